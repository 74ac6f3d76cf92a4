"""One gather that gives every state, zeros too, is named before causes that leave states over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnninspect

SIZES = [([3, 9, 6, 2], 9), ([5, 2, 8, 4, 7, 1], 8), ([4, 6, 2], 7)]
WRONG = {
    "gathered before it was put back": ["rows-permuted"],
    "outputs left sorted": ["rows-permuted"],
    "lengths left sorted": ["lengths-misaligned"],
    "a step index without a row index": ["row-taken-for-step"],
    "the first row's length for all": ["lengths-misaligned"],
    "right": [],
}


def _dump(how: str, lengths: np.ndarray, steps: int, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs `[B, T, H]`, zero behind the lengths, and the states `[B, H]` that were taken from them."""
    rows, order = np.arange(lengths.size), np.argsort(-lengths, kind="stable")
    right = np.random.default_rng(units).uniform(-1, 1, (lengths.size, steps, units))
    right[np.arange(steps) >= lengths[:, None]] = 0
    states = {
        "gathered before it was put back": right[order][rows, lengths - 1],
        "lengths left sorted": right[rows, lengths[order] - 1],
        "a step index without a row index": right[0, lengths - 1],
        "the first row's length for all": right[:, lengths[0] - 1],
    }
    outputs = right[order] if how == "outputs left sorted" else right
    return outputs, states.get(how, right[rows, lengths - 1])


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize(("lengths", "steps"), SIZES, ids=["4 rows", "6 rows", "padded wider"])
@pytest.mark.parametrize("time_major", [False, True])
def test_one_gather_gives_every_state(how: str, lengths: list[int], steps: int, time_major: bool) -> None:
    """The one cause is named alone, for all rows that are off; its code, run on the arrays, leaves nothing wrong."""
    counts = np.array(lengths)
    outputs, states = _dump(how, counts, steps, 4)
    stored = outputs.swapaxes(0, 1).copy() if time_major else outputs
    told: dict[str, Any] = {"lengths": counts, "time_major": time_major, "convention": "tf1", "direction": "forward"}
    report = rnninspect.inspect(stored, states, **told)
    assert [f.rule for f in report.findings if f.severity != "note"] == WRONG[how]
    for finding in report.findings:
        assert finding.unexplained == []
        names: dict[str, Any] = {"np": np, "outputs": stored, "h": states, "lengths": counts, "B": counts.size}
        if how != "lengths left sorted":  # whose code is for a new run
            exec(finding.fix, names)
            assert rnninspect.inspect(names["outputs"], names["h"], **told).verdict == "clean"


@pytest.mark.parametrize(
    ("ends", "lengths", "rules"),
    [
        ([8, 3, 6, 2], [9, 5, 8, 4], ["off-by-one-length"]),
        ([8, 3, 6, 2], [9, 6, 9, 4], ["lengths-rescaled"]),
        ([7, 4, 3, 9], [9, 8, 6, 9], ["lengths-rescaled"]),
        ([7, 4, 3, 9], [9, 6, 5, 9], ["off-by-one-length"]),
        ([8, 3, 6, 2], [9, 3, 6, 2], ["off-by-one-length"]),
        ([8, 3, 6, 2], [8, 3, 6, 2], []),
    ],
)
def test_lengths_that_were_cut_to_the_time_axis(ends: list[int], lengths: list[int], rules: list[str]) -> None:
    """One offset, or one stride, of all lengths is told though the longest were cut; states that differ from the zeros
    at the stated ends are no layer norm of these."""
    outputs, states = _dump("right", np.array(ends), 9, 5)
    report = rnninspect.inspect(outputs, states, lengths=lengths)
    assert [f.rule for f in report.findings if f.severity != "note"] == rules
    assert report.verdict == ("findings" if rules else "clean")
    assert all(f.unexplained == [] for f in report.findings)
