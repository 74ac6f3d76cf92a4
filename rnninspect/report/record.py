"""ReportRecord: facts and findings as plain values. Its JSON (schema 1) is its direct image; renderers read only it.

Every number here is a Python int, float, bool or None: a report can be saved, sent and rendered again without arrays.
A non-finite number is None, beside a field that says so (`distance_nonfinite`, an excerpt's `nonfinite`).
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from rnninspect.core.finding import SEVERITIES, Finding, NotChecked, PaddingClass, Status, Verdict, WhatIf
from rnninspect.core.frozen import frozen

SCHEMA = 1


@frozen
class Row:
    """What was measured of one row of one track. Steps count along the stored time axis.

    `real`: half-open ranges of real steps. `steps`: every step whose output equals the final state, at most 64 of
    `step_count`. `distance`: the largest absolute difference to `nearest_step`. `margin`: by how much the second
    nearest step is farther, where the match is not bit for bit. `elsewhere`: [row, step] of equal outputs in other
    rows. `zero_steps`: the steps whose outputs are all zero, padding or not, at most 64 of `zero_count`. `spoiled_by`:
    the rule whose cause makes the row wrong although its final state is where it ought to be. `noted_by`: the rule of a
    note that says why it is no step's own output, and no mistake.
    """

    row: int
    length: int | None
    real: list[list[int]]
    expected_step: int | None
    status: Status | None
    steps: list[int] | None
    step_count: int | None
    nearest_step: int | None
    distance: float | None
    margin: float | None
    padding: PaddingClass | None
    zero_steps: list[int] | None
    zero_count: int | None
    elsewhere: list[list[int]] = field(default_factory=list)
    spoiled_by: str | None = None
    noted_by: str | None = None


@frozen
class Excerpt:
    """The numbers of one row that the tables show: `outputs[i]` is step `steps[i]`; `units` are the columns kept.

    `nonfinite` names the places that are null because they are NaN or infinite: `outputs 2 0 nan` is step 2, unit 0.
    """

    row: int
    steps: list[int]
    units: list[int]
    outputs: list[list[float | None]] | None
    final: list[float | None] | None
    cell: list[float | None] | None
    nonfinite: list[str] = field(default_factory=list)


@frozen
class Levels:
    """How large every step is: `rows[b][t]` is a hexadecimal digit, the largest absolute output of the step in
    fifteenths of `largest`, rounded up (0: all zero), or ! where an output is not finite.
    """

    largest: float
    rows: list[str]


@frozen
class TrackReport:
    """One layer read in one direction. `units`, `cell_units`: the whole width, of which an excerpt may show less.

    `levels`: kept where more than the usual excerpt was asked for.
    """

    layer: int
    direction: str
    units: int | None
    cell_units: int | None
    order: str
    rows: list[Row]
    excerpt: list[Excerpt]
    levels: Levels | None = None


@frozen
class ProbeReport:
    """One change that was made to a live model's batch. `holds`: what must hold; `standing`: held, differs, not made.

    `largest`: the largest difference of a real result, `allowed`: what rounding may do there; `reason`: why it was not
    made.
    """

    probe: str
    holds: str
    standing: str
    largest: float | None = None
    allowed: float | None = None
    reason: str = ""


@frozen
class ReportRecord:
    """What `run` and `compare` found. `to_dict()` is the JSON; `ok` is True where something could have failed and no
    finding is an error. `untested`: what nothing given could test, in words, and `would_decide` what would; `what_if`:
    what would follow from lengths that nobody stated.
    """

    tool: dict[str, str]
    command: str
    source: dict[str, Any]
    convention: str
    reading: dict[str, Any]
    shape: dict[str, int]
    lengths: list[int] | None
    tolerance: dict[str, float]
    tracks: list[TrackReport]
    findings: list[Finding]
    not_checked: list[NotChecked]
    verdict: Verdict
    comparison: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    untested: str = ""
    would_decide: str = ""
    what_if: list[WhatIf] = field(default_factory=list)
    probes: list[ProbeReport] = field(default_factory=list)
    schema: int = SCHEMA

    def reaches(self, severity: str) -> bool:
        """Whether a finding is at least that severe ('note' < 'warning' < 'error')."""
        limit = SEVERITIES.index(severity)
        return any(SEVERITIES.index(f.severity) <= limit for f in self.findings)

    @property
    def ok(self) -> bool:
        """True where something was judged, no finding is an error, and no rule failed."""
        return self.verdict != "unjudged" and not self.reaches("error") and not self.failed

    @property
    def failed(self) -> bool:
        """Whether a rule failed, so that what it would have found is not known."""
        return any(rule.failed for rule in self.not_checked)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it, in schema 1's order of fields."""
        image = _image(self)
        return {"schema": image.pop("schema"), **image}

    def to_json(self, indent: int | None = None) -> str:
        """Strict JSON (no NaN, no Infinity); the same bytes for the same report."""
        import json

        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=True, allow_nan=False)


_SCALARS = (int, float, str, bool, type(None))


def _image(value: Any) -> Any:
    """What `dataclasses.asdict` gives, in a fraction of the time: a report of many rows is mostly lists of numbers."""
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, (list, tuple)):
        return [v if isinstance(v, _SCALARS) else _image(v) for v in value]
    if isinstance(value, dict):
        return {k: _image(v) for k, v in value.items()}
    return {name: _image(getattr(value, name)) for name in value.__dataclass_fields__}
