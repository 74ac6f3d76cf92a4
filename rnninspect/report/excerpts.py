"""The numbers that a report quotes: rows with findings first, the steps that matter, within a budget."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from rnninspect.core.trace import Array, Track
from rnninspect.measure.facts import TrackFacts
from rnninspect.report.record import Excerpt, Levels, Row

EXCERPT = 4096  # numbers that all excerpts hold together, unless more are asked for
EXCERPT_STEPS, EXCERPT_UNITS = 32, 16
SHARE = 8  # of an excerpt larger than EXCERPT a row may take one part in this many, whole
LEVELS = 4_000_000  # steps of a track whose levels are kept at most
DECIMAL = 2.0**20  # below which a float32 has digits behind the point


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
    """The numbers of as many rows as the budget holds, rows with findings first, in row order: every step and unit
    where they are few, else those that matter and both ends.

    `more` than the usual was asked for: whole rows where the budget has room for several.
    """
    total = 0 if facts is None else facts.steps
    width, cell_width = (0 if state is None else state.shape[1] for state in (track.final, track.cell))
    whole = budget is None or (more and width * total * SHARE <= budget)
    units, cells = (list(range(n)) if whole else _ends(n, EXCERPT_UNITS) for n in (width, cell_width))
    most = total if whole else min(total, EXCERPT_STEPS)
    size = (most + 1) * len(units) + len(cells)  # of every row
    first = [*sorted(named), *(b for b in range(len(rows)) if b not in named)]
    chosen = sorted(first if budget is None or not size else first[: budget // size])
    if not chosen:
        return []
    steps = [list(range(total)) if total <= most else _around(total, _matters(rows[b], total), most) for b in chosen]
    nonfinite: list[list[str]] = [[] for _ in chosen]
    outputs: list[Any] = [None] * len(chosen)
    if facts is not None:
        at = np.array(chosen)[:, None, None], np.array(steps)[:, :, None], np.array(units, dtype=np.intp)
        outputs = _numbers(facts.outputs[at], [[f"outputs {t}" for t in of_row] for of_row in steps], units, nonfinite)
    finals = _of_state(track.final, "final", chosen, units, nonfinite)
    last_cells = _of_state(track.cell, "cell", chosen, cells, nonfinite)
    columns = zip(chosen, steps, outputs, finals, last_cells, nonfinite, strict=True)
    return [Excerpt(b, of_row, list(units), *numbers) for b, of_row, *numbers in columns]


def _of_state(state: Array | None, name: str, chosen: list[int], units: list[int], nonfinite: list[list[str]]) -> Any:
    """The numbers of a state `[B, H]` of the `chosen` rows; None of each where there is no state."""
    if state is None:
        return [None] * len(chosen)
    block = state[np.array(chosen)[:, None], np.array(units, dtype=np.intp)]
    return [vector for (vector,) in _numbers(block[:, None], [[name]] * len(chosen), units, nonfinite)]


def _matters(row: Row, total: int) -> list[int]:
    """The steps of a row, of `total`, that a reader wants to see, the most wanted first."""
    edges = [step for pair in row.real[:3] for step in (pair[0], pair[1] - 1, pair[1], pair[0] - 1)]
    wanted = [row.expected_step, *(row.steps or [])[:4], row.nearest_step, 0, total - 1, *edges[:8]]
    wanted += (row.zero_steps or [])[:2]
    return [s for s in wanted if s is not None and 0 <= s < total]


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


def _numbers(block: Array, places: list[list[str]], units: list[int], nonfinite: list[list[str]]) -> list[Any]:
    """Plain floats of `[R, n, u]` that print as the array's own dtype does: 0.1 for float32(0.1), not 0.10000000149.

    What is not finite is None, and is listed in the row's `nonfinite` by its place and unit.
    """
    values = shortest(block)
    numbers: list[Any] = values.tolist()
    for b, i, j in np.argwhere(~np.isfinite(values)).tolist():
        nonfinite[b].append(f"{places[b][i]} {units[j]} {numbers[b][i][j]}")
        numbers[b][i][j] = None
    return numbers


def shortest(block: Array) -> Array:
    """The float64 of the fewest digits by which each number of `[…]` is told from all others of its dtype.

    >>> shortest(np.array([0.1, 2 / 3], dtype=np.float32)).tolist()
    [0.1, 0.6666667]
    """
    if block.dtype.kind != "f" or block.dtype == np.float64:
        return block.astype(np.float64)
    numbers, left = np.zeros(block.shape), np.ones(block.shape, dtype=np.bool_)
    if block.dtype == np.float32:
        # Decimal by decimal, which takes a tenth of the time that text takes: float64 holds a float32 times 10^12. Not
        # where whole numbers are many of one float32, nor of powers of two, which are nearer to the number below.
        plain = (np.abs(block) < DECIMAL) & (np.abs(np.frexp(block)[0]) != 0.5)
        exact = np.where(plain, block, 0).astype(np.float64)
        fits = plain
        for decimals in range(12, -1, -1):  # what one less holds, this one does
            rounded = np.rint(exact * 10.0**decimals) / 10.0**decimals
            fits = fits & (rounded.astype(np.float32) == block)
            if not fits.any():
                break
            np.copyto(numbers, rounded, where=fits)
            left &= ~fits
    numbers[left] = block[left].astype(str).astype(np.float64)
    return numbers
