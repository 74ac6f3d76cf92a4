"""The numbers that a report quotes: rows with findings first, the steps that matter, within a budget."""

from __future__ import annotations

from itertools import chain

import numpy as np

from rnninspect.core.trace import Array, Track
from rnninspect.measure.facts import TrackFacts
from rnninspect.report.record import Excerpt, Levels, Row

EXCERPT = 4096  # numbers that all excerpts hold together, unless more are asked for
EXCERPT_STEPS, EXCERPT_UNITS = 32, 16
SHARE = 8  # of an excerpt larger than EXCERPT a row may take one part in this many, whole
LEVELS = 4_000_000  # steps of a track whose levels are kept at most


def levels(facts: TrackFacts) -> Levels | None:
    """The size of every step, read a row at a time: the outputs may be larger than memory. None where they are many."""
    if facts.mask.size > LEVELS:
        return None
    sizes = np.stack([np.abs(row.astype(np.float64)).max(-1, initial=0) for row in facts.outputs])
    finite = np.isfinite(sizes)
    largest = sizes[finite].max(initial=0)
    share = np.divide(sizes, largest, out=np.zeros_like(sizes), where=finite & (largest > 0))
    codes = np.where(finite, np.where(sizes > 0, np.clip(np.ceil(share * 15), 1, 15), 0), 16).astype(np.intp)
    digits = np.frombuffer(b"0123456789abcdef!", dtype="S1")[codes]
    return Levels(float(largest), [row.tobytes().decode() for row in digits])


def excerpts(
    track: Track, facts: TrackFacts | None, rows: list[Row], named: set[int], budget: int | None, more: bool
) -> list[Excerpt]:
    """The numbers of as many rows as the budget holds, rows with findings first, in row order.

    `more` than the usual was asked for: whole rows where the budget has room for several.
    """
    first = chain(sorted(named), (b for b in range(len(rows)) if b not in named))
    chosen: list[Excerpt] = []
    left = budget
    width = (0 if track.final is None else track.final.shape[1]) * (0 if facts is None else facts.steps)
    whole = budget is None or (more and width * SHARE <= budget)
    for b in first:
        excerpt = _excerpt(track, facts, rows[b], whole)
        size = sum(len(line) for line in excerpt.outputs or []) + len(excerpt.final or []) + len(excerpt.cell or [])
        if left is not None:
            if size > left:
                break
            left -= size
        chosen.append(excerpt)
    return sorted(chosen, key=lambda e: e.row)


def _excerpt(track: Track, facts: TrackFacts | None, row: Row, whole: bool) -> Excerpt:
    """One row's numbers: every step and unit where they are few, else those that matter and both ends."""
    b = row.row
    width = 0 if track.final is None else track.final.shape[1]
    units = list(range(width)) if whole else _ends(width, EXCERPT_UNITS)
    steps: list[int] = []
    outputs: list[list[float | None]] | None = None
    nonfinite: list[str] = []
    if facts is not None:
        total = facts.steps
        steps = list(range(total)) if whole else _around(total, _matters(row, facts), EXCERPT_STEPS)
        block = np.asarray(facts.outputs[b])[np.ix_(steps, units)]
        outputs = _numbers(block, [f"outputs {t}" for t in steps], units, nonfinite)
    final = None if track.final is None else _numbers(track.final[b, units][None], ["final"], units, nonfinite)[0]
    cell = None
    if track.cell is not None:
        cells = list(range(track.cell.shape[1])) if whole else _ends(track.cell.shape[1], EXCERPT_UNITS)
        cell = _numbers(track.cell[b, cells][None], ["cell"], cells, nonfinite)[0]
    return Excerpt(b, steps, units, outputs, final, cell, nonfinite)


def _matters(row: Row, facts: TrackFacts) -> list[int]:
    """The steps of a row that a reader wants to see, the most wanted first."""
    edges = [step for pair in row.real[:3] for step in (pair[0], pair[1] - 1, pair[1], pair[0] - 1)]
    wanted = [row.expected_step, *(row.steps or [])[:4], row.nearest_step, 0, facts.steps - 1, *edges[:8]]
    wanted += (row.zero_steps or [])[:2]
    return [s for s in wanted if s is not None and 0 <= s < facts.steps]


def _around(total: int, matters: list[int], most: int) -> list[int]:
    """At most `most` of `range(total)`: those that matter, then their neighbours, then the first ones.

    >>> _around(100, [50, 0], 5)
    [0, 1, 49, 50, 51]
    """
    if total <= most:
        return list(range(total))
    chosen: set[int] = set()
    for step in chain(matters, (s + d for d in (1, -1) for s in matters), range(total)):
        if 0 <= step < total:
            chosen.add(step)
        if len(chosen) == most:
            break
    return sorted(chosen)


def _ends(total: int, most: int) -> list[int]:
    """At most `most` of `range(total)`, three quarters from the front, the rest from the end."""
    if total <= most:
        return list(range(total))
    tail = most // 4
    return [*range(most - tail), *range(total - tail, total)]


def _numbers(block: Array, places: list[str], units: list[int], nonfinite: list[str]) -> list[list[float | None]]:
    """Plain floats of `[n, u]` that print as the array's own dtype does: 0.1 for float32(0.1), not 0.10000000149.

    What is not finite is None, and is listed in `lost` by its place and unit.
    """
    if block.dtype.kind != "f":
        return [[float(v) for v in line] for line in block.tolist()]
    numbers: list[list[float | None]] = [[float(text) for text in line] for line in block.astype(str).tolist()]
    for i, j in zip(*(at.tolist() for at in np.nonzero(~np.isfinite(block))), strict=True):
        nonfinite.append(f"{places[i]} {units[j]} {str(numbers[i][j]).lower()}")
        numbers[i][j] = None
    return numbers
