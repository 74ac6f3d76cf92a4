"""What the page's scripts draw: every row's steps as a few ranges and marks, and units within a budget of bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rnninspect.core.finding import Finding
from rnninspect.core.wording import argument, worded
from rnninspect.report.record import Excerpt, ReportRecord, Row, TrackReport
from rnninspect.report.renderers import _elide, _steps, _text, _words
from rnninspect.report.renderers.view import View

BUDGET = 8_000_000  # bytes of all data; the page stays below 10 MB with its scripts and tables
LEAST = 4  # bytes of a number with its comma, at least
Claims = dict[int, dict[int, list[int]]]  # by row and step: the rows elsewhere whose final state equals it


def data(report: ReportRecord, view: View) -> tuple[dict[str, Any], str]:
    """The page's data, and in words which rows kept their units."""
    tracks = [_track_image(report, number, track) for number, track in enumerate(report.tracks)]
    made: dict[str, Any] = {
        "steps": report.shape.get("steps", 0),
        "digits": view.precision,
        "rules": list(dict.fromkeys(_text.clean(finding.rule) for finding in report.findings)),
        "tracks": tracks,
    }
    left = BUDGET - len(_json(made))
    for track, image in zip(report.tracks, tracks, strict=True):
        size = 0 if track.levels is None else sum(map(len, track.levels.rows)) + 4 * len(track.rows)
        if track.levels is not None and size <= left // 2:
            image["levels"] = {"largest": track.levels.largest, "rows": track.levels.rows}
            left -= size
    kept = total = 0
    for image, excerpt in _by_turns(report, tracks):
        total += 1
        if len(excerpt.steps) * len(excerpt.units) > left // LEAST:
            continue
        held = _excerpt(excerpt)
        size = len(_json(held)) + 8
        if size <= left:
            left -= size
            kept += 1
            image["excerpt"][str(excerpt.row)] = held
    return made, _kept_in_words(report, made, kept, total)


def _kept_in_words(report: ReportRecord, made: dict[str, Any], kept: int, held: int) -> str:
    """What the page holds of the numbers, and why not more."""
    rows = sum(len(track.rows) for track in report.tracks)
    note = "Unit values of every row." if kept == rows else f"Unit values of {kept} rows of {rows}, findings first."
    if kept < held:
        note += f" The page keeps at most {BUDGET / 1e6:.0f} MB of data."
    if held < rows:
        more, chosen = worded(argument("excerpt", "all")), worded(argument("rows", "3,7"))
        note += f" The report holds no more: {more} keeps every row, {chosen} chooses."
    if any("levels" not in track for track in made["tracks"]):
        note += " Steps are coloured by their kind: the report does not hold how large they are, or not in this budget."
    return note


def track_of(report: ReportRecord, finding: Finding) -> int:
    """The number of the track that a finding is about; the first one where it names none.

    Raises nothing: a finding about a track that the report lacks is shown with the first.
    """
    places = [(track.layer, track.direction) for track in report.tracks]
    wanted = [i for i, (layer, direction) in enumerate(places) if _about(finding, layer, direction)]
    return wanted[0] if wanted else 0


def anchor(track: int, row: int) -> str:
    """The address of a row within the page."""
    return f"t{track}-r{row}"


def strip(row: Row, total: int, view: View) -> str:
    """A row's steps as a mark each, a real step without one as a block."""
    marks = _text.marks(view.ascii)
    looks = (_steps.look(row, step, marks, []).mark for step in range(total))
    return "".join(("#" if view.ascii else "▪") if mark == " " else mark for mark in looks)


def _about(finding: Finding, layer: int, direction: str) -> bool:
    return finding.layer in (None, layer) and finding.direction in (None, direction)


def _track_image(report: ReportRecord, number: int, track: TrackReport) -> dict[str, Any]:
    claims: Claims = {}
    for row in track.rows:
        for j, step in row.elsewhere:
            claims.setdefault(j, {}).setdefault(step, []).append(row.row)
    named = _rules_by_row(report, track)
    excerpts = {excerpt.row: excerpt for excerpt in track.excerpt}
    return {
        "name": _words.track_name(track.layer, track.direction),
        "rows": [_row(report, row, claims, named, excerpts.get(row.row)) for row in track.rows],
        "excerpt": {},
    }


def _rules_by_row(report: ReportRecord, track: TrackReport) -> dict[int, list[str]]:
    """The rules that name each row of the track."""
    named: dict[int, list[str]] = {}
    for finding in report.findings:
        if _about(finding, track.layer, track.direction):
            for row in dict.fromkeys([*finding.rows, *finding.unexplained]):
                named.setdefault(row, []).append(_text.clean(finding.rule))
    return named


def _row(
    report: ReportRecord, row: Row, claims: Claims, named: dict[int, list[str]], excerpt: Excerpt | None
) -> dict[str, Any]:
    total = report.shape.get("steps", 0)
    remarks = filter(None, [_words.equals(row), _words.judged(row), *_words.remarks(row, total)])
    return {
        "length": row.length,
        "real": row.real,
        "zero": _elide.runs(row.zero_steps or []),
        "padding": row.padding,
        "standing": _words.standing(row),
        "words": "; ".join(remarks),
        "rules": named.get(row.row, []),
        "marks": _marks(row, total, claims, excerpt),
    }


def _marks(
    row: Row, total: int, claims: Claims, excerpt: Excerpt | None
) -> list[tuple[str, str, list[tuple[int, int]]]]:
    """The steps that relate to a final state or are not finite, as (mark, words, ranges of steps)."""
    nonfinite = {int(place.split()[1]) for place in (excerpt.nonfinite if excerpt else []) if _is_step(place)}
    others = claims.get(row.row, {})
    wanted = {*(row.steps or []), *others, *nonfinite, row.expected_step, row.nearest_step} - {None}
    steps_by_look: dict[tuple[str, str], list[int]] = {}
    for step in sorted(step for step in wanted if step is not None and 0 <= step < total):
        look = _steps.look(row, step, _text.UNICODE, others.get(step, []), excerpt)
        if look.mark in _RELATED:
            steps_by_look.setdefault((look.mark, look.label), []).append(step)
    return [(mark, label, _elide.runs(steps)) for (mark, label), steps in steps_by_look.items()]


_M = _text.UNICODE
_RELATED = {_M.equal, _M.wrong, _M.expected, _M.near, _M.nearest, _M.nonfinite}


def _is_step(place: str) -> bool:
    parts = place.split()
    return len(parts) == 4 and parts[0] == "outputs" and parts[1].isdecimal()


def _by_turns(report: ReportRecord, tracks: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Excerpt]]:
    """Every excerpt with its track, in the order in which they are kept: rows with findings, then spread evenly."""
    ranked = []
    for number, (track, image) in enumerate(zip(report.tracks, tracks, strict=True)):
        for excerpt in track.excerpt:
            in_image = 0 <= excerpt.row < len(image["rows"])
            plain = not (
                in_image and (image["rows"][excerpt.row]["rules"] or image["rows"][excerpt.row]["standing"] == "bad")
            )
            spread = int(f"{excerpt.row:032b}"[::-1], 2) if plain else excerpt.row
            ranked.append((plain, spread, number, excerpt))
    for _, _, number, excerpt in sorted(ranked, key=lambda item: item[:3]):
        yield tracks[number], excerpt


def _excerpt(excerpt: Excerpt) -> dict[str, Any]:
    return {
        "steps": excerpt.steps,
        "units": excerpt.units,
        "outputs": excerpt.outputs,
        "final": excerpt.final,
        "cell": excerpt.cell,
        "nonfinite": [_text.clean(place) for place in excerpt.nonfinite],
    }


def _json(part: Any) -> str:
    return json.dumps(part, separators=(",", ":"))
