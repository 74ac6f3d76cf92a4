"""Case and judgement -> Report: arrays become plain values here, and nowhere later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect._version import __version__
from rnninspect.case import Case
from rnninspect.causes import Judgement
from rnninspect.comparison import TrackDifference, in_words
from rnninspect.facts import TrackFacts
from rnninspect.report import Excerpt, Finding, Levels, Report, Row, TrackReport, Verdict
from rnninspect.trace import Array, Bools, Ints, Track

LISTED = 64  # entries of `steps` and `zero_steps` that a row holds at most
EXCERPT = 4096  # numbers that all excerpts hold together, unless more are asked for
EXCERPT_STEPS, EXCERPT_UNITS = 32, 16
SHARE = 8  # of an excerpt larger than EXCERPT a row may take one part in this many, whole
LEVELS = 4_000_000  # steps of a track whose levels are kept at most


def compose(
    case: Case, judgement: Judgement, command: str, source: dict[str, Any], excerpt: int | None = EXCERPT
) -> Report:
    """The report of one case; `excerpt` is how many numbers the excerpts may hold (None: all)."""
    trace = case.trace
    facts = {(f.track.layer, f.track.direction): f for f in case.facts}
    named = {row for finding in judgement.findings for row in finding.rows}
    budget = None if excerpt is None else excerpt // max(1, len(trace.tracks))
    more = excerpt is None or excerpt > EXCERPT
    tracks = [_track(case, t, facts.get((t.layer, t.direction)), named, budget, more) for t in trace.tracks]
    lengths = _lengths(case)
    widths = [f.final.shape[1] for f in case.facts] or [t.final.shape[1] for t in trace.tracks if t.final is not None]
    return Report(
        tool={"name": "rnninspect", "version": __version__},
        command=command,
        source=source,
        convention=case.convention.name,
        reading={
            "used": case.reading.text,
            "stated": case.reading.stated,
            "also_fit": [rival.text for rival in case.rivals],
        },
        shape={
            "batch": trace.batch_size,
            "steps": trace.steps,
            "units": int(widths[-1]) if widths else 0,
            "layers": trace.layers,
            "directions": trace.directions,
        },
        lengths=lengths.tolist() if lengths is not None else None,
        tolerance={"rtol": case.tolerance.rtol, "atol": case.tolerance.atol},
        tracks=tracks,
        findings=judgement.findings,
        not_checked=judgement.not_checked,
        verdict=verdict(case, judgement.findings),
        comparison=_comparison(case),
        notes=_notes(case),
    )


def _notes(case: Case) -> list[str]:
    """What was done to the numbers before they were compared."""
    if case.rounded_to is None:
        return []
    return [
        f"outputs and states were printed with different decimals: all are rounded to {case.rounded_to}, and match "
        f"within {case.tolerance.atol:.3g}"
    ]


def verdict(case: Case, findings: list[Finding]) -> Verdict:
    """`unjudged` where no row could say anything: a report that compared nothing is not clean."""
    if findings:
        return "findings"
    compared = any((~f.silent).any() for f in case.facts) or any(d.real.any() for d in case.differences)
    return "clean" if compared else "unjudged"


def _comparison(case: Case) -> dict[str, Any] | None:
    """The second dump beside the first: per track the first differing step of each row, the difference by step, the
    worst place with both values, and the smallest tolerance that would pass; padding and non-finite places apart."""
    if case.other is None:
        return None
    tracks = [_difference(d) for d in case.differences]
    return {
        "cause": in_words(case.differences),
        "largest": max((d.largest for d in case.differences), default=None),
        "smallest_passing_atol": max((d.largest for d in case.differences), default=None),
        "tracks": tracks,
    }


def _difference(found: TrackDifference) -> dict[str, Any]:
    real = np.where(found.real, found.difference, 0.0)
    row, step, unit = found.worst()
    assert found.track.outputs is not None
    assert found.other.outputs is not None
    here, there = float(found.track.outputs[row, step, unit]), float(found.other.outputs[row, step, unit])
    return {
        "layer": found.track.layer,
        "direction": found.track.direction,
        "first_differing_step": [int(s) if s >= 0 else None for s in found.first],
        "largest_by_step": [float(v) for v in real.max(0)],
        "largest_padded": found.largest_padded,
        "nonfinite_places": int(found.nonfinite.sum()),
        "worst": {
            "row": row,
            "step": step,
            "unit": unit,
            "value": _finite(np.float64(here)),
            "reference": _finite(np.float64(there)),
            "difference": found.largest,
        },
    }


def _lengths(case: Case) -> Ints | None:
    if case.trace.lengths is not None:
        return case.trace.lengths
    return np.asarray(case.trace.mask.sum(1)) if case.trace.knows_padding else None


def _track(
    case: Case, track: Track, facts: TrackFacts | None, named: set[int], budget: int | None, more: bool
) -> TrackReport:
    """`more` than the usual was asked for: levels, and whole rows where the budget has room for several."""
    mask, lengths = case.trace.stored_mask(track), _lengths(case)
    rows = [_unmeasured(b, mask[b], lengths, track.outputs is None) for b in range(case.trace.batch_size)]
    if facts is not None:
        elsewhere = case.elsewhere(facts, facts.off & ~facts.equal.any(1))
        rows = [_measured(row, facts, elsewhere.get(row.row, [])) for row in rows]
    return TrackReport(
        layer=track.layer,
        direction=track.direction,
        units=None if track.final is None else int(track.final.shape[1]),
        cell_units=None if track.cell is None else int(track.cell.shape[1]),
        order=track.order,
        rows=rows,
        excerpt=_excerpts(track, facts, rows, named, budget, more),
        levels=_levels(facts) if more and facts is not None and facts.mask.size <= LEVELS else None,
    )


def _levels(facts: TrackFacts) -> Levels:
    """The size of every step, read a row at a time: the outputs may be larger than memory."""
    sizes = np.stack([np.abs(row.astype(np.float64)).max(-1, initial=0) for row in facts.outputs])
    finite = np.isfinite(sizes)
    largest = sizes[finite].max(initial=0)
    share = np.divide(sizes, largest, out=np.zeros_like(sizes), where=finite & (largest > 0))
    levels = np.where(finite, np.where(sizes > 0, np.clip(np.ceil(share * 15), 1, 15), 0), 16).astype(np.intp)
    digits = np.frombuffer(b"0123456789abcdef!", dtype="S1")[levels]
    return Levels(float(largest), [row.tobytes().decode() for row in digits])


def _unmeasured(b: int, mask: Bools, lengths: Ints | None, absent: bool) -> Row:
    """A row of which only the mask is known."""
    return Row(
        row=b,
        length=None if lengths is None else int(lengths[b]),
        real=_ranges(mask),
        expected_step=None,
        status=None,
        steps=None,
        step_count=None,
        nearest_step=None,
        distance=None,
        margin=None,
        padding="absent" if absent else None,
        zero_steps=None,
        zero_count=None,
    )


def _measured(row: Row, facts: TrackFacts, elsewhere: list[tuple[int, int]]) -> Row:
    b = row.row
    steps, zero = np.flatnonzero(facts.equal[b]), np.flatnonzero(facts.zero[b])
    status = facts.status(b)
    known = facts.expected_known and facts.expected[b] >= 0
    return replace(
        row,
        expected_step=int(facts.expected[b]) if known else None,
        status="elsewhere" if status in ("none", "near") and elsewhere else status,
        steps=steps[:LISTED].tolist(),
        step_count=int(steps.size),
        nearest_step=int(facts.nearest[b]),
        distance=_finite(facts.distance[b]),
        margin=_finite(facts.margin[b]),
        padding=facts.padding[b],
        zero_steps=zero[:LISTED].tolist(),
        zero_count=int(zero.size),
        elsewhere=[[j, s] for j, s in elsewhere],
    )


def _ranges(mask: Bools) -> list[list[int]]:
    """Half-open ranges of True.

    >>> _ranges(np.array([True, True, False, True]))
    [[0, 2], [3, 4]]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [[int(a), int(b)] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _excerpts(
    track: Track, facts: TrackFacts | None, rows: list[Row], named: set[int], budget: int | None, more: bool
) -> list[Excerpt]:
    """The numbers of as many rows as the budget holds, rows with findings first, in row order."""
    first = sorted(range(len(rows)), key=lambda b: (b not in named, b))
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
    lost: list[str] = []
    if facts is not None:
        total = facts.steps
        steps = list(range(total)) if whole else _around(total, _matters(row, facts), EXCERPT_STEPS)
        outputs = [_numbers(facts.outputs[b, t, units], f"outputs {t}", units, lost) for t in steps]
    final = None if track.final is None else _numbers(track.final[b, units], "final", units, lost)
    cell = None
    if track.cell is not None:
        cells = list(range(track.cell.shape[1])) if whole else _ends(track.cell.shape[1], EXCERPT_UNITS)
        cell = _numbers(track.cell[b, cells], "cell", cells, lost)
    return Excerpt(b, steps, units, outputs, final, cell, lost)


def _matters(row: Row, facts: TrackFacts) -> list[int]:
    """The steps of a row that a reader wants to see, the most wanted first."""
    edges = [step for pair in row.real for step in (pair[0], pair[1] - 1, pair[1], pair[0] - 1)]
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
    order = [*matters, *(s + d for d in (1, -1) for s in matters), *range(total)]
    return sorted(list(dict.fromkeys(s for s in order if 0 <= s < total))[:most])


def _ends(total: int, most: int) -> list[int]:
    """At most `most` of `range(total)`, three quarters from the front, the rest from the end."""
    if total <= most:
        return list(range(total))
    tail = most // 4
    return [*range(most - tail), *range(total - tail, total)]


def _numbers(values: Array, place: str, units: list[int], lost: list[str]) -> list[float | None]:
    """Plain floats that print as the array's own dtype does; what is not finite is None and listed in `lost`."""
    numbers: list[float | None] = []
    for unit, value in zip(units, values, strict=True):
        if np.isfinite(value):
            numbers.append(_shortest(value))
        else:
            numbers.append(None)
            lost.append(f"{place} {unit} {str(float(value)).lower()}")
    return numbers


def _shortest(value: Any) -> float:
    """The shortest decimal that the value's own dtype reads back: 0.1 for float32(0.1), not 0.10000000149."""
    return float(str(value)) if value.dtype.kind == "f" else float(value)


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
