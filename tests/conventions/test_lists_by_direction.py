"""Lists of every layer's two directions in either order: layer by layer, or one direction's cells before the other's,
as Keras's `Bidirectional(RNN([cell, cell]))` returns them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = np.array([9, 3, 6, 2, 8])
MASK = np.arange(9) < LENGTHS[:, None]
SIZES = [(5, 5), (4, 6, 5)]


def _flipped(steps: torch.Tensor) -> torch.Tensor:
    """The real steps `[B, T, F]` of every row in reverse order."""
    rows = [torch.cat([row[:n].flip(0), row[n:]]) for row, n in zip(steps, LENGTHS, strict=True)]
    return torch.stack(rows)


def _of_direction(kind: str, sizes: tuple[int, ...], x: torch.Tensor) -> tuple[torch.Tensor, list[list[Any]]]:
    """Outputs of the topmost of stacked layers, and [h] or [h, c] of each, the bottom one first."""
    states = []
    for units in sizes:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(LENGTHS), True, enforce_sorted=False)
        steps, state = getattr(torch.nn, kind)(x.shape[-1], units, batch_first=True)(packed)
        x = torch.nn.utils.rnn.pad_packed_sequence(steps, batch_first=True)[0]
        states.append([part[0].numpy() for part in (state if kind == "LSTM" else (state,))])
    return x, states


@cache
def _ran(kind: str, sizes: tuple[int, ...]) -> tuple[Any, Any, list[Any], list[Any]]:
    """Outputs and states of the forward and the backward stack, each of which reads its own direction alone."""
    torch.manual_seed(1)
    x = torch.randn(5, 9, 3)
    with torch.no_grad():
        forward, states_fw = _of_direction(kind, sizes, x)
        backward, states_bw = _of_direction(kind, sizes, _flipped(x))
    return forward.numpy(), _flipped(backward).numpy(), states_fw, states_bw


def _judged(outputs: Any, states: Any, **about: Any) -> tuple[str, list[str]]:
    report = rnninspect.inspect(outputs, states, mask=MASK, **about)
    return report.verdict, [finding.rule for finding in report.findings]


def _in_turn(forward: list[Any], backward: list[Any]) -> list[Any]:
    return [state for pair in zip(forward, backward, strict=True) for state in pair]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_nested_states_of_stacked_cells(kind: str, sizes: tuple[int, ...]) -> None:
    """Proves that right lists are clean in either order, cells of one size or of several, and that directions
    exchanged, cells in reverse order, rows in another order and c before h are named as that alone."""
    forward, backward, fw, bw = _ran(kind, sizes)
    outputs = np.concatenate([forward, backward], axis=-1)
    for whose in ("keras", "auto"):
        assert _judged(outputs, fw + bw, convention=whose) == ("clean", [])
    assert _judged(outputs, _in_turn(fw, bw), convention="keras") == ("clean", [])
    assert _judged([outputs, *fw, *bw], None, layers=len(sizes), bidirectional=True) == ("clean", [])
    assert _judged([forward, backward, *fw, *bw], None, convention="keras") == ("clean", [])  # merge_mode=None
    permuted = [[part[[1, 0, 2, 4, 3]] for part in state] for state in fw + bw]
    wrong = {"directions-exchanged": bw + fw, "rows-permuted": permuted}
    if len(set(sizes)) == 1:
        wrong["layer-order-reversed"] = fw[::-1] + bw[::-1]
    if kind == "LSTM":
        wrong["cell-hidden-swapped"] = [state[::-1] for state in fw + bw]
    for rule, states in wrong.items():
        assert _judged(outputs, states, convention="keras") == ("findings", [rule])


def test_flat_states_of_stacked_cells() -> None:
    """Proves that a flat list of h is read in either order, as tf_keras returns it, and not as h and c; a framework
    with an order of its own is held to it."""
    forward, backward, fw, bw = _ran("GRU", (5, 5))
    outputs = np.concatenate([forward, backward], axis=-1)
    by_direction = [state[0] for state in fw + bw]
    for whose in ("keras", "auto"):
        assert _judged(outputs, by_direction, convention=whose) == ("clean", [])
        assert _judged(outputs, _in_turn(by_direction[:2], by_direction[2:]), convention=whose) == ("clean", [])
    assert _judged(outputs, by_direction[2:] + by_direction[:2], convention="keras")[1] != []
    assert _judged(outputs, by_direction, convention="mxnet")[1] == ["layer-order-reversed"]


def test_few_numbers_that_may_be_c_and_h_are_no_two_layers_for_sure() -> None:
    """Proves that a list of two states is not clean where the first may be the c behind the second, as of an LSTM whose
    list is in the wrong order; and that layers, or a cell, that are stated decide, and so do other signs."""
    outputs = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 4, 3)).astype(np.float32)
    h = outputs[:, -1]
    c = np.arctanh(h) * np.float32(1.5)
    other = c * np.array([1, -1, 1], dtype=np.float32)
    for below, about, expected in (
        (c, {}, "unjudged"),
        (other, {}, "clean"),
        (c, {"layers": 2}, "clean"),
        (c, {"cell": "gru"}, "clean"),
    ):
        report = rnninspect.inspect([outputs, below, h], lengths=[4, 4], convention="keras", **about)
        assert report.verdict == expected
