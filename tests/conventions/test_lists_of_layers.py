"""Outputs and states in lists, `[o0, o1], [h0, h1]`: two layers stacked by hand, or the two directions of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = torch.tensor([8, 3, 6, 2])


def _ran(layer: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Outputs `[B, T, D*H]` and final state of a packed run."""
    pack = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    with torch.no_grad():
        outputs, state = layer(pack)
    return torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0], state


def _stack(kind: str, count: int) -> tuple[list[torch.Tensor], list[Any]]:
    """Outputs and states of layers that each read the one before."""
    torch.manual_seed(3)
    x, outputs, states = torch.randn(4, 8, 5), [], []
    for _ in range(count):
        layer = getattr(torch.nn, kind)(x.shape[-1], 6, batch_first=True)
        x, state = _ran(layer, x)
        outputs.append(x)
        states.append(state)
    return outputs, states


@pytest.mark.parametrize("plane", [True, False], ids=["[1, B, H]", "[B, H]"])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("count", [2, 3])
def test_lists_of_layers(count: int, kind: str, plane: bool) -> None:
    """Right lists are clean, stated as layers or not; states in reverse order, and one given for all, are named."""
    outputs, states = _stack(kind, count)
    if not plane:
        states = [s[0] if kind == "GRU" else tuple(part[0] for part in s) for s in states]
    for about in ({}, {"layers": count}):
        right = rnninspect.inspect(outputs, states, lengths=LENGTHS, **about)
        assert (right.verdict, right.shape["layers"]) == ("clean", count)
        reversed_states = rnninspect.inspect(outputs, states[::-1], lengths=LENGTHS, **about)
        assert [f.rule for f in reversed_states.findings] == ["layer-order-reversed"]
        shared = rnninspect.inspect(outputs, [states[-1]] * count, lengths=LENGTHS, **about)
        assert [f.rule for f in shared.findings] == ["layers-share-state"]
    columns = rnninspect.inspect(outputs, [o[:, -1] for o in outputs], lengths=LENGTHS)
    assert "last-column-as-final-state" in [f.rule for f in columns.findings]


@pytest.mark.parametrize("kind", ["GRU", "RNN"])
def test_lists_of_directions(kind: str) -> None:
    """`[fw, bw], [h_fw, h_bw]`: clean as it is and with both stated; the backward state at the last step is named once
    both are stated, as of a pair."""
    torch.manual_seed(5)
    both, h = _ran(getattr(torch.nn, kind)(5, 6, batch_first=True, bidirectional=True), torch.randn(4, 8, 5))
    outputs = [both[..., :6], both[..., 6:]]
    for about in ({}, {"bidirectional": True}):
        right = rnninspect.inspect(outputs, [h[0], h[1]], lengths=LENGTHS, **about)
        assert (right.verdict, right.shape["directions"]) == ("clean", 2)
    ends = [o[np.arange(4), LENGTHS - 1] for o in outputs]
    for pair in (outputs, tuple(outputs)):
        wrong = rnninspect.inspect(pair, ends, lengths=LENGTHS, bidirectional=True)
        assert [f.rule for f in wrong.findings] == ["backward-final-at-last-step"]
    assert rnninspect.inspect(tuple(outputs), tuple(ends), lengths=LENGTHS).verdict == "findings"
    assert rnninspect.inspect(outputs, ends, lengths=LENGTHS).verdict != "clean"


NAMES = [("layer_0/outputs", "layer_0/h"), ("layer0.output", "layer0.h_n"), ("l0.outputs", "l0.state")]


@pytest.mark.parametrize("names", NAMES, ids=[name for name, _ in NAMES])
def test_arrays_saved_layer_by_layer(names: tuple[str, str]) -> None:
    """The layer stands first in the name: right ones are clean, states in reverse order are named and put back."""
    outputs, states = _stack("GRU", 2)
    arrays = {names[0].replace("0", str(k)): o for k, o in enumerate(outputs)}
    for order in ((0, 1), (1, 0)):
        held = {names[1].replace("0", str(k)): states[at][0] for k, at in enumerate(order)}
        dump = {name: np.asarray(array) for name, array in (arrays | held).items()} | {"lengths": LENGTHS.numpy()}
        report = rnninspect.inspect(dump)
        assert report.shape["layers"] == 2
        assert [f.rule for f in report.findings] == ["layer-order-reversed"] * (order == (1, 0))
        fixed = rnninspect.fix(dump)
        for k in (0, 1):
            assert np.array_equal(fixed.arrays[names[1].replace("0", str(k))], np.asarray(states[k][0]))


def test_numbered_outputs_beside_one_stack_of_states() -> None:
    """`outputs.0`, `outputs.1` and `h_n` `[2, B, H]`: two layers, in either order; or two directions, if one ends at
    step 0. Both at the last real step is called clean as neither."""
    outputs, states = _stack("GRU", 2)
    dump: dict[str, Any] = {f"outputs.{k}": o.numpy() for k, o in enumerate(outputs)} | {"lengths": LENGTHS.numpy()}
    assert rnninspect.inspect(dump | {"h_n": torch.cat(states).numpy()}).verdict == "clean"
    wrong = rnninspect.inspect(dump | {"h_n": torch.cat(states[::-1]).numpy()})
    assert [f.rule for f in wrong.findings] == ["layer-order-reversed"]
    for seed in range(6):
        torch.manual_seed(seed)
        both, h = _ran(torch.nn.GRU(5, 6, batch_first=True, bidirectional=True), torch.randn(4, 8, 5))
        halves = {"outputs.0": both[..., :6].numpy(), "outputs.1": both[..., 6:].numpy(), "lengths": LENGTHS.numpy()}
        right = rnninspect.inspect(halves | {"h_n": h.numpy()})
        assert (right.verdict, right.shape["directions"]) == ("clean", 2)
        ends = both[np.arange(4), LENGTHS - 1].numpy()
        ends = np.stack([ends[:, :6], ends[:, 6:]])
        assert rnninspect.inspect(halves | {"h_n": ends}).verdict == "unjudged"
        as_two = rnninspect.inspect(halves | {"h_n": ends}, bidirectional=True)
        assert [f.rule for f in as_two.findings] == ["backward-final-at-last-step"]
