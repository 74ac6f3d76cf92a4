"""Outputs or a state that went through a cast: a right one is clean, and a wrong one is told in spite of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnninspect.api.inspect import inspect
from rnninspect.core.trace import Array
from rnninspect.measure.casts import narrowed, narrowest

KINDS = ["float16", "bfloat16", "float32"]


def cast(array: Array, kind: str) -> Array:
    """The array as a file holds it after a cast; numpy has no bfloat16, so that its numbers lie in float32."""
    return narrowed(array.astype(np.float32), kind) if kind == "bfloat16" else array.astype(kind)


def dumped() -> dict[str, Array]:
    """A right float64 dump of forward outputs `[5, 8, 4]` with lengths, zeros behind them."""
    outputs, lengths = np.random.default_rng(4).uniform(-1, 1, (5, 8, 4)), np.array([8, 3, 5, 6, 2])
    outputs[np.arange(8) >= lengths[:, None]] = 0
    return {"outputs": outputs, "h_n": outputs[np.arange(5), lengths - 1], "lengths": lengths}


@pytest.mark.parametrize("which", ["outputs", "h_n"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_cast_of_a_right_run_is_clean(kind: str, which: str) -> None:
    """Whichever of the two was cast, both are rounded to its type, which is said; no tolerance is needed."""
    arrays = dumped()
    report = inspect(arrays | {which: cast(arrays[which], kind)}, direction="forward")
    assert (report.verdict, [*report.findings]) == ("clean", [])
    assert report.tolerance == {"rtol": 0.0, "atol": 0.0}
    assert any(f"rounded to {kind}" in note for note in report.notes)


@pytest.mark.parametrize("which", ["outputs", "h_n"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_cast_hides_no_wrong_step(kind: str, which: str) -> None:
    """The last column, one step short, and twice the coarser type's rounding beside the right step are accused."""
    arrays = dumped()
    outputs, lengths = arrays["outputs"], arrays["lengths"]
    rows = np.arange(len(lengths))
    step = {"float16": 2.0**-9, "bfloat16": 2.0**-6, "float32": 2.0**-21}[kind]
    for state, rule in (
        (outputs[:, -1], "last-column-as-final-state"),
        (outputs[rows, lengths - 2], "off-by-one-length"),
        (arrays["h_n"] + step, ""),
    ):
        wrong = arrays | {"h_n": state}
        report = inspect(wrong | {which: cast(wrong[which], kind)}, direction="forward")
        assert report.verdict == "findings", (rule, report.notes)
        assert not rule or rule in [f.rule for f in report.findings]


def test_equal_types_and_round_numbers_need_nothing() -> None:
    """Arrays of one type, and the few round numbers of an example written by hand, are left as they are."""
    full = np.random.default_rng(0).uniform(size=20)
    assert narrowest([full, full]) is None
    assert narrowest([full, np.array([0.0, 1.0, 0.5, -2.0, 0.25])]) is None
    assert narrowest([full, np.array([1, 2])]) is None
    assert narrowest([full.astype(np.float32), full.astype(np.float16)]) == "float16"


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("which", ["outputs", "states"])
def test_tensors_of_unequal_types_are_compared_alike(kind: torch.dtype, which: str) -> None:
    """Mixed precision in a program: a right pair is clean, rows in another order are named alone, and a state of
    another run is not taken for a cast."""
    torch.manual_seed(1)
    layer, lengths = torch.nn.GRU(5, 8, batch_first=True), torch.tensor([9, 4, 7, 2, 6])
    with torch.no_grad():
        packed, h = layer(
            torch.nn.utils.rnn.pack_padded_sequence(
                torch.randn(5, 9, 5), lengths, batch_first=True, enforce_sorted=False
            )
        )
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
    for state, rules in ((h, []), (h[:, [1, 0, 2, 4, 3]], ["rows-permuted"])):
        pair = (outputs.to(kind), state) if which == "outputs" else (outputs, state.to(kind))
        assert [f.rule for f in inspect(*pair, lengths=lengths).findings] == rules
    drifted = h * (1 + 0.02 * torch.randn_like(h))
    pair = (outputs.to(kind), drifted) if which == "outputs" else (outputs, drifted.to(kind))
    assert inspect(*pair, lengths=lengths).verdict == "findings"


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["GRU", "LSTM"])
def test_inputs_that_were_saved_in_half_precision(name: str, kind: torch.dtype) -> None:
    """A run of them gives the outputs but for their rounding: clean; a lost bias is named still, and inputs that are
    round by themselves (one-hot) loosen nothing."""
    torch.manual_seed(3)
    layer, lengths, x = (
        getattr(torch.nn, name)(4, 6, batch_first=True),
        torch.tensor([9, 3, 5, 2, 6]),
        torch.randn(5, 9, 4),
    )

    def judged(inputs: torch.Tensor, saved: torch.Tensor, shift: float = 0.0) -> list[str]:
        with torch.no_grad():
            packed, state = layer(
                torch.nn.utils.rnn.pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
            )
        outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
        weights = {key: array + shift * ("bias_hh" in key) for key, array in layer.state_dict().items()}
        return [f.rule for f in inspect(outputs, state, lengths=lengths, inputs=saved, weights=weights).findings]

    assert judged(x, x.to(kind)) == []
    assert judged(x, x.to(kind), shift=0.5) != []
    one_hot = torch.nn.functional.one_hot(torch.randint(0, 4, (5, 9)), 4).float()
    assert judged(one_hot, one_hot.to(kind)) == []
    assert judged(one_hot, one_hot.to(kind), shift=2e-3) != []
