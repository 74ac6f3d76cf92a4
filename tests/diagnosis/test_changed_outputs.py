"""Outputs that something changed behind the layer, beside states in which a run of the weights ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.report.report import Report

LENGTHS = torch.tensor([9, 3, 6, 2])
INPUTS = torch.randn(4, 9, 3, generator=torch.Generator().manual_seed(1))


def layers_of(kind: str, layers: int = 1, seed: int = 0) -> torch.nn.RNNBase:
    torch.manual_seed(seed)
    made: torch.nn.RNNBase = getattr(torch.nn, kind)(3, 5, layers, batch_first=True)
    return made


def ran(module: torch.nn.RNNBase) -> tuple[Tensor, Tensor, Tensor | None]:
    """Outputs `[B, T, H]`, h and c `[L, B, H]` of a packed run in torch."""
    with torch.no_grad():
        packed, state = module(pack_padded_sequence(INPUTS, LENGTHS, batch_first=True, enforce_sorted=False))
    outputs = pad_packed_sequence(packed, batch_first=True)[0]
    return (outputs, *state) if isinstance(state, tuple) else (outputs, state, None)


def judged(outputs: Tensor, h: Tensor, c: Tensor | None, module: torch.nn.RNNBase) -> Report:
    state = h if c is None else (h, c)
    return rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=INPUTS, weights=module)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "times 2": lambda o: 2 * o,
    "norm": lambda o: torch.nn.functional.normalize(o, dim=-1),
}


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("name", list(CHANGES))
def test_outputs_changed_behind_the_layer(name: str, kind: str) -> None:
    """Proves that right states beside such outputs are clean, with a note, and that states of other rows, and those of
    the last column, stay accused."""
    module = layers_of(kind)
    outputs, h, c = ran(module)
    changed = CHANGES[name](outputs)
    right = judged(changed, h, c, module)
    assert (right.verdict, right.findings) == ("clean", [])
    assert "changed behind it" in str(right.notes)
    moved = None if c is None else c.roll(1, 1)
    assert judged(changed, h.roll(1, 1), moved, module).verdict == "findings"
    with torch.no_grad():
        last = module(INPUTS)[0][None, :, -1]
    assert judged(changed, last, c, module).verdict == "findings"


def test_a_few_changed_steps_are_no_change_behind_the_layer() -> None:
    """Proves that outputs which are the run's but for a step stay an error, whichever way that step was changed."""
    module = layers_of("GRU")
    outputs, h, _ = ran(module)
    for change in (lambda step: 2 * step, lambda step: step + 0.1):
        wrong = outputs.clone()
        wrong[0, 4] = change(wrong[0, 4])
        assert judged(wrong, h, None, module).verdict == "findings"


def test_outputs_of_a_lower_layer_and_of_a_residual_connection() -> None:
    """Proves that both are told by a run beside every layer's state; another run's outputs are left open, and a state
    of another row is accused."""
    module = layers_of("GRU", 2)
    outputs, h, _ = ran(module)
    lower = layers_of("GRU")
    lower.load_state_dict({name: array for name, array in module.state_dict().items() if name.endswith("l0")})
    below = ran(lower)[0]
    for others, states, told in ((below, h, "those of layer 0"), (below + outputs, h[-1], "a residual connection")):
        assert judged(others, h, None, module).verdict == "clean"
        report = judged(others, states, None, module)
        assert (report.verdict, report.findings) == ("clean", [])
        assert told in str(report.notes)
        assert judged(others, h[:, [1, 0, 2, 3]], None, module).verdict == "findings"
    report = judged(outputs.flip(2), h, None, module)
    assert (report.verdict, report.findings) == ("unjudged", [])
    assert "no output is of that run" in report.untested


@pytest.mark.parametrize("width", [2, 1], ids=["[B, 2H]", "pairs"])
def test_the_forward_half_beside_both_directions_states(width: int) -> None:
    """Proves that one half of the outputs beside both states, joined or as a list of TensorFlow's pairs, is left open:
    these may be two layers in reverse order or two directions."""
    torch.manual_seed(0)
    module = torch.nn.LSTM(3, 5, batch_first=True, bidirectional=True)
    outputs, h, c = ran(module)
    assert c is not None
    both = {"h": np.concatenate(list(h.numpy()), 1)}
    if width == 1:
        both = {f"final_state.{i}.{k}": s[i].numpy() for i in range(2) for k, s in (("h", h), ("c", c))}
    report = rnninspect.inspect({"outputs": outputs[..., :5].numpy(), **both}, lengths=LENGTHS.numpy())
    assert (report.verdict, report.findings) == ("unjudged", [])
    assert "forward half of two" in report.untested


@pytest.mark.parametrize("convention", ["tf1", "flax"])
def test_the_forward_half_beside_a_pair_of_states_that_is_no_h_and_c(convention: str) -> None:
    """Proves that a GRU's two directions' states, which stand where (c, h) of an LSTM would, are left open, and that an
    LSTM's own two in the wrong order stay named."""
    torch.manual_seed(0)
    module = torch.nn.GRU(3, 5, batch_first=True, bidirectional=True)
    outputs, h, _ = ran(module)
    pair = tuple(state.numpy() for state in h)
    report = rnninspect.inspect(outputs[..., :5].numpy(), pair, lengths=LENGTHS.numpy(), convention=convention)
    assert (report.verdict, report.findings) == ("unjudged", [])
    assert "forward half of two" in report.untested
    outputs, h, c = ran(layers_of("LSTM"))
    assert c is not None
    swapped = (h[0].numpy(), c[0].numpy())  # both frameworks return (c, h)
    report = rnninspect.inspect(outputs.numpy(), swapped, lengths=LENGTHS.numpy(), convention=convention, cell="lstm")
    assert [f.rule for f in report.findings] in (["cell-hidden-swapped"], [])
    assert report.verdict == "findings" or "check that your code" in str(report.notes)
