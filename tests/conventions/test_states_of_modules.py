"""States as stacks of modules, bridges to a decoder and torch's own views hand them over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect

LENGTHS = torch.tensor([8, 3, 5, 2, 6])
ORDER = [0, 2, 1, 4, 3]


def _ran(module: Any, inputs: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Outputs `[B, T, D*H]` and what the module returns as its state."""
    with torch.no_grad():
        packed, state = module(pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False))
    return pad_packed_sequence(packed, batch_first=True)[0], state


def _layer(kind: str, layers: int, both: bool, features: int = 4) -> Any:
    torch.manual_seed(9)
    return getattr(torch.nn, kind)(features, 6, layers, batch_first=True, bidirectional=both)


def _rules(report: rnninspect.Report) -> list[str]:
    return [finding.rule for finding in report.findings]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("options", [{}, {"convention": "torch"}, {"cell": "lstm"}])
def test_h_and_c_of_the_top_layer_are_no_two_layers(both: bool, options: dict[str, Any]) -> None:
    """`(h_n[-1], c_n[-1])` of two layers, stated as such: right, and with rows in another order, h and c mended."""
    outputs, state = _ran(_layer("LSTM", 2, both), torch.randn(5, 8, 4))
    h, c = (torch.cat([s[-2], s[-1]], 1) if both else s[-1] for s in state)
    assert rnninspect.inspect(outputs, (h, c), lengths=LENGTHS, **options).verdict == "clean"
    fixed = rnninspect.fix(outputs, (h[ORDER], c[ORDER]), lengths=LENGTHS, **options)
    assert [change.rule for change in fixed.changes] == ["rows-permuted"]
    states = [array for name, array in fixed.arrays.items() if name.startswith("final_state")]
    assert [np.array_equal(*pair) for pair in zip(states, (h.numpy(), c.numpy()), strict=True)] == [True, True]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("told", [False, True], ids=["cell not stated", "cell stated"])
def test_a_list_of_modules_states(kind: str, both: bool, told: bool) -> None:
    """`[state1, state2]` of two modules, each `[D, B, H]` or a pair of such, is of two layers, the bottom one first."""
    first, second = _layer(kind, 1, both), _layer(kind, 1, both, 12 if both else 6)
    below, state1 = _ran(first, torch.randn(5, 8, 4))
    outputs, state2 = _ran(second, below)
    cell = {"cell": kind.lower()} if told else {}
    report = rnninspect.inspect(outputs, [state1, state2], lengths=LENGTHS, layers=2, **cell)
    assert (report.verdict, report.shape["layers"], report.shape["directions"]) == ("clean", 2, 1 + both)
    if cell:
        swapped = rnninspect.inspect(outputs, [state2, state1], lengths=LENGTHS, layers=2, **cell)
        assert _rules(swapped) == ["layer-order-reversed"]


@pytest.mark.parametrize("kind", ["GRU", "RNN", "LSTM"])
@pytest.mark.parametrize("wrap", [torch.Tensor.clone, np.asarray], ids=["torch", "numpy"])
def test_a_list_of_bidirectional_modules_states_of_which_nothing_is_stated(kind: str, wrap: Any) -> None:
    """Two modules' states that hold both directions each are two layers, clean in their order and named in reverse:
    not the directions of one layer, though there are two, and no h beside a c."""
    first, second = _layer(kind, 1, True), _layer(kind, 1, True, 12)
    below, state1 = _ran(first, torch.randn(5, 8, 4))
    outputs, state2 = _ran(second, below)
    states = [tuple(map(wrap, s)) if kind == "LSTM" else wrap(s) for s in (state1, state2)]
    report = rnninspect.inspect(wrap(outputs), states, lengths=LENGTHS)
    assert (report.verdict, report.shape["layers"], report.shape["directions"]) == ("clean", 2, 2)
    assert _rules(rnninspect.inspect(wrap(outputs), states[::-1], lengths=LENGTHS)) == ["layer-order-reversed"]


def test_h_and_c_are_not_taken_for_modules_states() -> None:
    """A pair `[D, B, H]` whose c is another row's, or a copy of h, stays h and c, in a list too."""
    outputs, (h, c) = _ran(_layer("LSTM", 1, False), torch.randn(5, 8, 4))
    for wrong in ((h, c[:, ORDER]), (h, h.clone())):
        assert rnninspect.inspect(outputs, wrong, lengths=LENGTHS).verdict == "findings"
        assert _rules(rnninspect.inspect(outputs, [*wrong], lengths=LENGTHS)) != ["layer-order-reversed"]


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"layers": 1, "bidirectional": True}])
def test_the_view_that_torch_documents_of_one_layer(options: dict[str, Any]) -> None:
    """`h_n.view(num_layers, num_directions, B, H)` of one layer is read, and its directions exchanged are named."""
    outputs, h = _ran(_layer("GRU", 1, True), torch.randn(5, 8, 4))
    view = h.view(1, 2, 5, 6)
    assert rnninspect.inspect(outputs, view, lengths=LENGTHS, **options).verdict == "clean"
    assert rnninspect.inspect(outputs, view.flip(1), lengths=LENGTHS, **options).verdict != "clean"


STACKS = {
    "fw h, fw c, bw h, bw c": lambda h, c: torch.stack([h[0], c[0], h[1], c[1]]),
    "fw c, fw h, bw c, bw h": lambda h, c: torch.stack([c[0], h[0], c[1], h[1]]),
    "both h, both c": lambda h, c: torch.stack([torch.cat(list(h), 1), torch.cat(list(c), 1)]),
}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"convention": "keras"}])
def test_lists_of_two_directions_that_numpy_stacked(stack: str, options: dict[str, Any]) -> None:
    """`np.savez(states=[fh, fc, bh, bc])` is one array `[4, B, H]`: right as such, and rows in another order are named
    and put back, of h and of c."""
    outputs, (h, c) = _ran(_layer("LSTM", 1, True), torch.randn(5, 8, 4))
    right = STACKS[stack](h, c)
    arrays = {"outputs": outputs.numpy(), "states": right.numpy(), "lengths": LENGTHS.numpy()}
    if "convention" in options and stack.startswith("fw c"):  # Keras returns h first
        assert _rules(rnninspect.inspect(arrays, **options)) == ["cell-hidden-swapped"]
        assert np.array_equal(
            rnninspect.fix(arrays, **options).arrays["states"], STACKS["fw h, fw c, bw h, bw c"](h, c)
        )
        return
    assert rnninspect.inspect(arrays, **options).verdict == "clean"
    fixed = rnninspect.fix({**arrays, "states": right[:, ORDER].numpy()}, **options)
    assert [change.rule for change in fixed.changes] == ["rows-permuted"]
    assert np.array_equal(fixed.arrays["states"], right.numpy())


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_four_states_of_two_layers_are_not_taken_for_pairs(kind: str) -> None:
    """torch's `h_n` `[L*D, B, H]` stays the h of two layers and two directions, and its directions exchanged stay
    named."""
    outputs, state = _ran(_layer(kind, 2, True), torch.randn(5, 8, 4))
    h = state[0] if isinstance(state, tuple) else state
    right = rnninspect.inspect(outputs, h, lengths=LENGTHS)
    assert (right.verdict, right.shape["layers"]) == ("clean", 2)
    exchanged = h.view(2, 2, 5, 6).flip(1).reshape(4, 5, 6)
    assert "directions-exchanged" in _rules(rnninspect.inspect(outputs, exchanged, lengths=LENGTHS, bidirectional=True))


@pytest.mark.parametrize("kind", ["GRU", "RNN"])
@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("nest", [list, lambda states: list(zip(states[::2], states[1::2], strict=True))])
def test_a_list_of_every_state_has_no_c_where_the_directions_show_it(kind: str, layers: int, nest: Any) -> None:
    """TensorFlow 1 returns (c, h): a list whose last two states end either half of the outputs holds h alone, as few
    numbers as there are; an LSTM's in its own order is right, and in the other one is not."""
    torch.manual_seed(9)
    for rows, units in ((5, 6), (2, 2)):
        module = getattr(torch.nn, kind)(4, units, layers, batch_first=True, bidirectional=True)
        with torch.no_grad():
            outputs, h = module(torch.randn(rows, 3, 4))
        outputs, states = outputs.numpy(), list(h.numpy())
        assert rnninspect.inspect(outputs, nest(states), lengths=[3] * rows, convention="tf1").verdict == "clean"
    with torch.no_grad():
        outputs, (h, c) = torch.nn.LSTM(4, 6, batch_first=True, bidirectional=True)(torch.randn(5, 3, 4))
    for states, rules in (([c[0], h[0], c[1], h[1]], []), ([h[0], c[0], h[1], c[1]], ["cell-hidden-swapped"])):
        arrays = nest([state.numpy() for state in states])
        assert _rules(rnninspect.inspect(outputs.numpy(), arrays, lengths=[3] * 5, convention="tf1")) == rules
