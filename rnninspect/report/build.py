"""Case and judgement -> Report: arrays become plain values here, and nowhere later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect._version import __version__
from rnninspect.core.finding import WhatIf
from rnninspect.core.trace import Ints, Track
from rnninspect.core.wording import worded
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import Judgement
from rnninspect.diagnosis.rule import Place, listed
from rnninspect.diagnosis.verdict import untested, verdict
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.measure.difference import TrackDifference, state_differences
from rnninspect.measure.facts import TrackFacts
from rnninspect.report.excerpts import EXCERPT, excerpts, levels
from rnninspect.report.record import ReportRecord, TrackReport
from rnninspect.report.rows import measured_rows, unmeasured_rows


def compose(
    case: Case,
    judgement: Judgement,
    command: str,
    source: dict[str, Any],
    excerpt: int | None = EXCERPT,
    what_if: Sequence[WhatIf] = (),
) -> ReportRecord:
    """The report of one case; `excerpt` is how many numbers the excerpts may hold (None: all). `what_if`: what would
    follow from lengths that nobody stated."""
    trace, evidence = case.trace, case.reading.evidence
    told = "path" in source or bool(evidence.unused)
    facts = {(f.track.layer, f.track.direction): f for f in case.facts}
    named = {row for finding in judgement.findings for row in finding.rows}
    budget = None if excerpt is None else excerpt // max(1, len(trace.tracks))
    more = excerpt is None or excerpt > EXCERPT
    tracks = [
        _track_report(case, t, facts.get((t.layer, t.direction)), named, budget, more, judgement) for t in trace.tracks
    ]
    lengths, open_question = _lengths(case), untested(case)
    widths = [f.final.shape[1] for f in case.facts] or [t.final.shape[1] for t in trace.tracks if t.final is not None]
    return ReportRecord(
        tool={"name": "rnninspect", "version": __version__},
        command=command,
        source={**source, "unused": [*map(worded, evidence.unused), *source.get("unused", ())]} if told else source,
        convention=case.convention.name,
        reading={
            "used": case.reading.text,
            "stated": case.reading.as_stated,
            "also_fit": [rival.text for rival in case.choice.rivals],
            "because": list(evidence.because),
            "conventions": [{"name": b.name, "because": list(b.because)} for b in evidence.conventions],
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
        findings=[replace(f, message=worded(f.message), fix=worded(f.fix)) for f in judgement.findings],
        not_checked=judgement.not_checked,
        verdict=verdict(judgement.findings, open_question),
        comparison=_comparison(case),
        notes=_notes(case),
        untested=worded(open_question.what) if open_question else "",
        would_decide=worded(open_question.would_decide) if open_question else "",
        what_if=list(what_if),
    )


def _notes(case: Case) -> list[str]:
    """What was taken without being stated, what was done to the numbers, and where the lengths come from."""
    own_lengths = [s.array for s in case.dump.slots if s.role == "lengths"]
    notes = list(case.reading.evidence.notes)
    notes += [worded(note) for note in case.weights.notes] if case.weights is not None else []
    notes += [
        f"the lengths are stated as full, so those of the dump ({listed(lengths.reshape(-1).tolist())}) were not used"
        for lengths in own_lengths
        if case.config.full_lengths == "stated" and (lengths != case.trace.steps).any()
    ]
    notes += [
        f"the lengths are stated as full, so the mask {s.name} was not used"
        for s in case.dump.slots
        if s.role == "mask" and case.config.full_lengths == "stated" and (s.array == 0).any()
    ]
    notes += [worded(f"{about}: {text}") for about, text in case.trace.source.items()]
    digits = case.choice.rounded_to
    if digits is None:
        return notes
    if digits.kind is not None:
        return [*notes, f"outputs and states hold numbers of unequal precision: all are rounded to {digits}"]
    return [
        *notes,
        f"outputs and states were printed with different decimals: all are rounded to {digits}, and match "
        f"within {_within(case.tolerance)}",
    ]


def _within(tolerance: Tolerance) -> str:
    parts = [f"{tolerance.atol:.3g}"] if tolerance.atol or not tolerance.rtol else []
    return " + ".join([*parts, *([f"{tolerance.rtol:.3g} * |h|"] if tolerance.rtol else [])])


def _comparison(case: Case) -> dict[str, Any] | None:
    """The second dump beside the first: per track the first differing step of each row, the difference by step, the
    worst place with both values, and the smallest tolerance that would pass; padding and non-finite places apart."""
    if case.other is None:
        return None
    from rnninspect.diagnosis.evidence.first_differences import explain

    tracks = [_difference(d) for d in case.differences]
    states = state_differences(case.trace, case.other)
    return {
        "cause": explain(case.differences, states),
        "largest": max((d.largest for d in case.differences), default=None),
        "smallest_passing_atol": max((d.largest for d in case.differences), default=None),
        "tracks": tracks,
        "states": [
            {
                "layer": d.track.layer,
                "direction": d.track.direction,
                "state": d.state,
                "rows": d.rows,
                "largest": _finite(d.difference.max()),
            }
            for d in states
        ],
    }


def _difference(between: TrackDifference) -> dict[str, Any]:
    real = np.where(between.real, between.difference, 0.0)
    row, step, unit = between.worst()
    assert between.track.outputs is not None
    assert between.other.outputs is not None
    here, there = float(between.track.outputs[row, step, unit]), float(between.other.outputs[row, step, unit])
    return {
        "layer": between.track.layer,
        "direction": between.track.direction,
        "first_differing_step": [int(s) if s >= 0 else None for s in between.first],
        "largest_by_step": [float(v) for v in real.max(0)],
        "largest_padded": between.largest_padded,
        "nonfinite_places": int(between.nonfinite.sum()),
        "worst": {
            "row": row,
            "step": step,
            "unit": unit,
            "value": _finite(np.float64(here)),
            "reference": _finite(np.float64(there)),
            "difference": between.largest,
        },
    }


def _lengths(case: Case) -> Ints | None:
    if case.trace.lengths is not None:
        return case.trace.lengths
    return np.asarray(case.trace.real_counts) if case.trace.knows_padding else None


def _track_report(
    case: Case,
    track: Track,
    facts: TrackFacts | None,
    named: set[int],
    budget: int | None,
    more: bool,
    judgement: Judgement,
) -> TrackReport:
    """One track; `more` than the usual excerpt was asked for."""
    lengths = _lengths(case)
    if facts is None:
        rows = unmeasured_rows(case.trace.stored_mask(track), lengths, track.outputs is None)
    else:
        nowhere = case.elsewhere(facts, facts.mismatched & ~facts.equal.any(1))
        spoiled, noted = (_of_track(track, told) for told in (judgement.spoiled, judgement.noted))
        rows = measured_rows(facts, lengths, nowhere, spoiled, noted)
    return TrackReport(
        layer=track.layer,
        direction=track.direction,
        units=None if track.final is None else int(track.final.shape[1]),
        cell_units=None if track.cell is None else int(track.cell.shape[1]),
        order=track.order,
        rows=rows,
        excerpt=excerpts(track, facts, rows, named, budget, more),
        levels=levels(facts) if more and facts is not None else None,
    )


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _of_track(track: Track, by_place: Mapping[Place, str]) -> dict[int, str]:
    """By row, what is said of the rows of one track."""
    return {row: rule for (layer, way, row), rule in by_place.items() if (layer, way) == (track.layer, track.direction)}
