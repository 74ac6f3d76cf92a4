"""What a report says of every row of a track: plain values, made for all rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rnninspect.core.trace import Bools, Ints
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import parts
from rnninspect.report.record import Row

LISTED = 64  # entries of `steps` and `zero_steps` that a row holds at most

Places = Mapping[int, Sequence[tuple[int, int]]]  # by row: (row, step) where its final state was found


def unmeasured_rows(mask: Bools, lengths: Ints | None, absent: bool) -> list[Row]:
    """Rows of which only the mask `[B, T]` is known. `absent`: there are no outputs."""
    return [
        Row(b, length, real, None, None, None, None, None, None, None, "absent" if absent else None, None, None)
        for b, (length, real) in enumerate(zip(_lengths_by_row(lengths, len(mask)), _ranges(mask), strict=True))
    ]


def measured_rows(
    facts: TrackFacts,
    lengths: Ints | None,
    elsewhere: Places,
    spoiled: Mapping[int, str] | None = None,
    noted: Mapping[int, str] | None = None,
) -> list[Row]:
    """Every row's facts, of lengths `[B]`; its steps are those that it equals or, where it equals none, is near.

    `elsewhere`: where in the whole track the states lie that equal no step of their own row; `spoiled`: by row, the
    rule whose cause makes it wrong though its state is where it ought to be; `noted`: the rule of a note on its state.
    """
    expected, closest = facts.expected.tolist(), facts.closest
    columns = zip(
        _lengths_by_row(lengths, len(expected)),
        _ranges(facts.mask),
        facts.statuses,
        zip(*_places(facts.equal | (facts.near & ~facts.equal.any(1, keepdims=True))), strict=True),
        zip(*_places(facts.zero), strict=True),
        closest.step.tolist(),
        _finite(closest.distance),
        _finite(closest.margin),
        facts.padding,
        strict=True,
    )
    rows = []
    for b, (length, real, status, equal, zero, nearest, distance, margin, padding) in enumerate(columns):
        places = elsewhere.get(b, ())
        rows.append(
            Row(
                row=b,
                length=length,
                real=real,
                expected_step=expected[b] if facts.expected_known and expected[b] >= 0 else None,
                status="elsewhere" if status in ("none", "near") and places else status,
                steps=equal[0],
                step_count=equal[1],
                nearest_step=nearest,
                distance=distance,
                margin=margin,
                padding=padding,
                zero_steps=zero[0],
                zero_count=zero[1],
                elsewhere=[[j, s] for j, s in places],
                spoiled_by=(spoiled or {}).get(b),
                noted_by=(noted or {}).get(b),
            )
        )
    return rows


def _lengths_by_row(lengths: Ints | None, rows: int) -> list[int | None]:
    return [None] * rows if lengths is None else lengths.tolist()


def _finite(values: Ints | Bools) -> list[float | None]:
    """Plain floats; what is not finite is None."""
    return [v if good else None for v, good in zip(values.tolist(), np.isfinite(values).tolist(), strict=True)]


def _places(flags: Bools) -> tuple[list[list[int]], list[int]]:
    """Where each row of `[B, T]` is True, at most LISTED steps of it, and how often.

    >>> _places(np.array([[True, False, True], [False, False, False]]))
    ([[0, 2], []], [2, 0])
    """
    counts = np.count_nonzero(flags, axis=1)
    steps: list[list[int]] = []
    for part in parts(*flags.shape):
        at = np.flatnonzero(flags[part])  # several times as fast as rows and steps apart
        stops = np.cumsum(counts[part]).tolist()
        spans = zip([0, *stops[:-1]], stops, strict=True)
        steps += [(at[i : min(j, i + LISTED)] - row * flags.shape[1]).tolist() for row, (i, j) in enumerate(spans)]
    return steps, counts.tolist()


def _ranges(mask: Bools) -> list[list[list[int]]]:
    """Half-open ranges of True in every row of `[B, T]`.

    >>> _ranges(np.array([[True, True, False, True], [False, False, True, False]]))
    [[[0, 2], [3, 4]], [[2, 3]]]
    """
    ranges: list[list[list[int]]] = []
    for part in parts(*mask.shape):
        here = mask[part]
        edged = np.zeros((here.shape[0], here.shape[1] + 2), dtype=np.bool_)
        edged[:, 1:-1] = here
        rows, at = np.nonzero(edged[:, 1:] != edged[:, :-1])
        pairs = at.reshape(-1, 2).tolist()
        stops = np.cumsum(np.bincount(rows[::2], minlength=len(here))).tolist()
        ranges += [pairs[i:j] for i, j in zip([0, *stops[:-1]], stops, strict=True)]
    return ranges
