"""`fix` of what a program holds: the arrays stay whole, and are read with the weights as `inspect` reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect import conventions
from rnninspect.core.cell import CellSpec
from rnninspect.errors import UserError
from tests.support.oracles import random_layer, random_stack, run_masked, run_stack

LENGTHS = np.array([9, 7, 5, 4, 1, 1])
UNITS = 6


def _run(cell: str) -> tuple[Any, Any]:
    """Outputs `[B, T, H]` of a right packed run, and what it returned as the state."""
    torch.manual_seed(1)
    layer = getattr(torch.nn, cell)(5, UNITS, batch_first=True)
    with torch.no_grad():
        packed, state = layer(
            torch.nn.utils.rnn.pack_padded_sequence(torch.randn(6, 9, 5), torch.tensor(LENGTHS), batch_first=True)
        )
    return torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].numpy(), state


@pytest.mark.parametrize("kept", [4, 5])
@pytest.mark.parametrize("stacked", [False, True])
def test_rows_that_a_state_lost_are_not_cut_from_the_rest(kept: int, stacked: bool) -> None:
    """A state with the first rows alone is refused where c is missing too, and is whole again where h is all there is,
    as of a file; no other array is made to fit it."""
    outputs, h = _run("GRU")
    state, whole = (h.numpy()[:, :kept], h.numpy()) if stacked else (h.numpy()[0, :kept], h.numpy()[0])
    for dump in ((outputs, state), ({"outputs": outputs, "final_state": state},)):
        fixed = rnninspect.fix(*dump, lengths=LENGTHS, direction="forward")
        assert [change.rule for change in fixed.changes] == ["rows-dropped"]
        assert np.array_equal(fixed.arrays["final_state"], whole)
        assert np.array_equal(fixed.arrays["outputs"], outputs)
    outputs, (h, c) = _run("LSTM")
    state = (h[:, :kept], c[:, :kept]) if stacked else (h[0, :kept], c[0, :kept])
    with pytest.raises(UserError, match="rows-dropped"):
        rnninspect.fix(outputs, state, lengths=LENGTHS)
    assert rnninspect.fix(outputs, (h, c), lengths=LENGTHS).arrays["outputs"].shape == outputs.shape


@pytest.mark.parametrize("told", [{}, {"state_is_tuple": False}], ids=str)
def test_c_and_h_in_one_array_stay_one_array(told: dict[str, Any]) -> None:
    """TensorFlow's `[B, 2H]` comes back as it is where it is right, and with its rows in order where it is not."""
    outputs, (h, c) = _run("LSTM")
    state = np.concatenate([c[0].numpy(), h[0].numpy()], 1)
    right = rnninspect.fix(outputs, state, lengths=LENGTHS, convention="tf1", **told)
    assert (right.changes, right.report.verdict) == ((), "clean")
    assert np.array_equal(right.arrays["final_state"], state)
    moved = rnninspect.fix(outputs, state[[1, 2, 0, 3, 4, 5]], lengths=LENGTHS, convention="tf1", **told)
    assert [change.rule for change in moved.changes] == ["rows-permuted"]
    assert np.array_equal(moved.arrays["final_state"], state)


@pytest.mark.parametrize("framework", ["haiku", "flax", "keras", "tf1"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_weights_own_framework_is_taken(framework: str, cell: str) -> None:
    """Right arrays beside weights of any framework are left as they are, as `inspect` finds them clean."""
    convention = conventions.get(framework)
    spec = convention.spec(cell, {})  # type: ignore[arg-type]
    w = random_layer(np.random.default_rng(4), cell, 5, UNITS, two_biases=False)
    stack = random_stack(np.random.default_rng(4), spec, 5, UNITS, two_biases=False)
    stack = type(stack)(spec, (w,), between=stack.between)
    inputs = np.random.default_rng(5).normal(size=(6, 9, 5))
    outputs, h, _ = run_masked(spec, w, inputs, np.arange(9) < LENGTHS[:, None])
    arrays: dict[str, Any] = {"lengths": LENGTHS, "inputs": inputs, "weights": convention.write_weights(stack)}
    report = rnninspect.inspect(outputs, h, rtol=1e-6, **arrays)
    assert report.verdict == "clean", report.findings
    fixed = rnninspect.fix(outputs, h, rtol=1e-6, **arrays)
    assert (fixed.changes, fixed.report.convention) == ((), report.convention)


def test_the_layer_that_is_picked_is_taken() -> None:
    """`weights_prefix` picks one of two layers for arrays that a program holds, too."""
    spec = CellSpec("lstm")
    layers = {name: random_stack(np.random.default_rng(seed), spec, 5, UNITS) for seed, name in enumerate("ab")}
    write = conventions.get("torch").write_weights
    weights = {f"{name}.{key}": array for name, stack in layers.items() for key, array in write(stack).items()}
    inputs = np.random.default_rng(5).normal(size=(6, 9, 5))
    outputs, h, c = run_stack(layers["b"], inputs, np.arange(9) < LENGTHS[:, None])[0, "forward"]
    options: dict[str, Any] = {"lengths": LENGTHS, "inputs": inputs, "weights": weights, "rtol": 1e-6}
    assert rnninspect.fix(outputs, (h, c), weights_prefix="b", **options).changes == ()
    with pytest.raises(UserError):
        rnninspect.fix(outputs, (h, c), weights_prefix="a", **options)
