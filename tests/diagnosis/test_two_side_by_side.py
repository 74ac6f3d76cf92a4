"""A state `[B, 2H]` alone, direction not stated, is tried as two directions before it is called unexplained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = np.array([11, 4, 9, 1, 6])
ORDER = [3, 0, 4, 1, 2]
UNITS = 6


def _ran(cell: str, seed: int, both: bool = True) -> tuple[Any, Any]:
    """Outputs `[B, T, D*H]` of a right packed run, and h `[D, B, H]`."""
    torch.manual_seed(seed)
    layer = getattr(torch.nn, cell)(4, UNITS if both else 2 * UNITS, batch_first=True, bidirectional=both)
    with torch.no_grad():
        packed, state = layer(
            torch.nn.utils.rnn.pack_padded_sequence(
                torch.randn(5, 11, 4), torch.from_numpy(LENGTHS), batch_first=True, enforce_sorted=False
            )
        )
    h = state[0] if isinstance(state, tuple) else state
    return torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].numpy(), h.numpy()


def _in_turn(array: Any) -> Any:
    """The units of both directions one after the other: fw 0, bw 0, fw 1, …"""
    return array.reshape(*array.shape[:-1], 2, UNITS).swapaxes(-1, -2).reshape(array.shape)


def _right(h: Any) -> Any:
    return np.concatenate(list(h), -1)


MISTAKES: dict[str, tuple[Callable[[Any, Any], tuple[Any, Any]], list[str]]] = {
    "outputs in turn": (lambda o, h: (_in_turn(o), _right(h)), ["directions-interleaved"]),
    "state in turn": (lambda o, h: (o, _in_turn(_right(h))), ["directions-interleaved"]),
    "exchanged, rows in another order": (
        lambda o, h: (o, _right(h[::-1])[ORDER]),
        ["directions-exchanged", "rows-permuted"],
    ),
    "a view, rows in another order": (
        lambda o, h: (o, h[:, ORDER].reshape(5, -1)),
        ["rows-permuted", "state-reshaped-not-transposed"],
    ),
    "one state twice": (lambda o, h: (o, _right([h[1], h[1]])), ["direction-duplicated"]),
}


@pytest.mark.parametrize("cell", ["GRU", *(pytest.param(cell, marks=pytest.mark.long) for cell in ("LSTM", "RNN"))])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_two_directions_is_named_as_where_they_are_stated(cell: str, mistake: str) -> None:
    """The causes are those of `bidirectional=True`, and the report is of two directions."""
    wrong, causes = MISTAKES[mistake]
    for seed in range(2):
        outputs, state = wrong(*_ran(cell, seed))
        dump = {"output": outputs, "state": state, "lengths": LENGTHS}
        for told in ({}, {"bidirectional": True}):
            report = rnninspect.inspect(dump, **told)
            assert sorted(f.rule for f in report.findings if f.severity == "error") == causes
            assert report.shape["directions"] == 2


@pytest.mark.parametrize("mistake", ["state in turn", "exchanged, rows in another order"])
def test_fix_mends_what_was_read_so(mistake: str) -> None:
    """The state that is written is the one that the run returned, whether or not the directions are stated."""
    outputs, h = _ran("GRU", 3)
    _, state = MISTAKES[mistake][0](outputs, h)
    for told in ({}, {"bidirectional": True}):
        fixed = rnninspect.fix({"output": outputs, "state": state, "lengths": LENGTHS}, **told)
        assert np.array_equal(fixed.arrays["state"], _right(h))


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_what_no_reading_explains_stays_unexplained(cell: str) -> None:
    """Another run's states are no mistake of two directions, nor is one direction's state that was scaled."""
    outputs, _ = _ran(cell, 4)
    _, other = _ran(cell, 5)
    one, state = _ran(cell, 6, both=False)
    for steps, wrong in ((outputs, _right(other)), (one, state[0] * 1.5)):
        report = rnninspect.inspect({"output": steps, "state": wrong, "lengths": LENGTHS})
        assert [f.rule for f in report.findings if f.severity == "error"] == ["unexplained-state"]
        assert report.shape["directions"] == 1


def test_units_that_are_all_alike_are_no_state_twice() -> None:
    """Two halves of one number are equal whatever they are: no direction is said to be duplicated."""
    outputs, _ = _ran("GRU", 8)
    constant = np.ones((5, 2 * UNITS), dtype=np.float32) * np.arange(1, 6, dtype=np.float32)[:, None]
    report = rnninspect.inspect({"output": outputs, "state": constant, "lengths": LENGTHS})
    assert [f.rule for f in report.findings if f.severity == "error"] == ["unexplained-state"]


def test_one_direction_that_is_stated_stays_one() -> None:
    """Nothing is read against what was said."""
    outputs, state = MISTAKES["state in turn"][0](*_ran("GRU", 7))
    report = rnninspect.inspect({"output": outputs, "state": state, "lengths": LENGTHS}, direction="forward")
    assert [f.rule for f in report.findings] == ["unexplained-state"]
