"""The mistakes as lessons: an order that teaches, and for each a worked example before and after it was made.

`before_and_after` measures it on two reports; `recorded` reads what that gave when the package was built
(`sample_data/demos.json`, written by `tests/tools/make_demos.py`), so that `explain` shows it without running anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

from rnninspect.diagnosis.examples import packaged
from rnninspect.diagnosis.rule import Group, Rule
from rnninspect.diagnosis.rules import rules
from rnninspect.report.record import ReportRecord, Row, TrackReport
from rnninspect.report.renderers import _elide

SHOWN = 2  # rows of a worked example
NO_STATE = "no state"


@dataclass(frozen=True)
class Worked:
    """A mistake planted in a right run: the rows that it changes, before and after, and what the report says of it.

    `before` and `after` hold as many lines, or none where the outputs and states are what they were (of weights).
    """

    rule: str
    example: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    summary: str


@dataclass(frozen=True)
class PrintOut:
    """The packaged print-out with which a lesson begins: its text, and the command that finds the rule in it."""

    command: str
    text: str


def print_out(rule: Rule) -> PrintOut | None:
    """The print-out of that rule; None for a rule that has none. UnknownNameError where the file is not packaged."""
    if rule.print_out is None:
        return None
    text = Path(packaged.path(rule.print_out)).read_text("utf-8")
    return PrintOut(f"rnninspect compare sample_data/{rule.print_out}", text)


def groups() -> list[str]:
    """The groups that have a rule, in the order that teaches."""
    return list(dict.fromkeys(group for group, _ in course()))


def course() -> list[tuple[str, Rule]]:
    """Every rule with its group, in the order that teaches: by group, by its place there, and by name."""
    order = {group: number for number, group in enumerate(get_args(Group))}
    taught = sorted(rules().values(), key=lambda rule: (order[rule.group], rule.place, rule.name))
    return [(rule.group, rule) for rule in taught]


def before_and_after(rule: Rule, right: ReportRecord, injected: ReportRecord) -> Worked:
    """What planting `rule` changed from one report to the other."""
    finding = next((f for f in injected.findings if rule.name in (f.rule, *f.alternatives)), None)
    several = len(right.tracks) > 1
    tracks = [_changes(*pair, several) for pair in zip(right.tracks, injected.tracks, strict=False)]
    changed = max(tracks, key=lambda lines: sum(NO_STATE not in after for _, after in lines) or bool(lines) / 2)[:SHOWN]
    before, after = zip(*changed, strict=True) if changed else ((), ())
    return Worked(rule.name, _shape(right), before, after, finding.message if finding else "")


def _changes(before: TrackReport, after: TrackReport, several: bool) -> list[tuple[str, str]]:
    """The lines of the rows that differ between two reports of one track, named where there are several."""
    lines = [(_says(a), _says(b)) for a, b in zip(before.rows, after.rows, strict=False)]
    place = f"layer {before.layer} {before.direction}, " if several else ""
    return [(place + a, place + b) for a, b in lines if a != b]


def _says(row: Row) -> str:
    """One row in words: `row 1 (length 1): h = outputs[1, 2], expected step 0; padding computed`."""
    padding = "" if row.padding in (None, "none", "absent") else f"; padding {row.padding}"
    length = "" if row.length is None else f" (length {row.length})"
    return f"row {row.row}{length}: {_place(row)}{padding}"


def _place(row: Row) -> str:
    """Where the final state is found, and where it should have been."""
    if row.status is None:
        return NO_STATE
    if row.status == "no-evidence":
        return "no evidence"
    if row.steps:
        place = f"h = {_elide.quote_outputs(row.row, row.steps, row.step_count)}"
    elif row.elsewhere:
        place = f"h = outputs[{row.elsewhere[0][0]}, {row.elsewhere[0][1]}]"
    else:
        place = f"h is near step {row.nearest_step}" if row.status == "near" else "h equals no step"
    right = row.status in ("match", "ambiguous")
    return f"{place}, as expected" if right else f"{place}, expected step {row.expected_step}"


def _shape(report: ReportRecord) -> str:
    """`5 rows of 4, 6, 1, 3, 5 steps, 2 layers, 2 directions`."""
    lengths = ", ".join(map(str, report.lengths or []))
    parts = [f"{report.shape['batch']} rows with {lengths} steps (T = {report.shape['steps']})"]
    for what, many in (("layers", "layers"), ("directions", "directions")):
        if report.shape[what] > 1:
            parts.append(f"{report.shape[what]} {many}")
    return ", ".join(parts)


@cache
def _records() -> dict[str, dict[str, object]]:
    records: dict[str, dict[str, object]] = json.loads(Path(packaged.path("demos.json")).read_text("utf-8"))
    return records


def recorded(name: str) -> Worked | None:
    """The worked example of that rule as it was recorded; None for a rule that came later.

    >>> recorded("lengths-ignored").after[0]
    'row 1 (length 1): h = outputs[1, 2], expected step 0; padding computed'
    """
    record = _records().get(name)
    return None if record is None else Worked(**{k: tuple(v) if isinstance(v, list) else v for k, v in record.items()})  # type: ignore[arg-type]
