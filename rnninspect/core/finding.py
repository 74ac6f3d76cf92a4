"""Finding: one named cause, how bad and how sure; and the words in which rows, padding and verdicts are classed."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal, get_args

from rnninspect.core.frozen import frozen

Severity = Literal["error", "warning", "note"]


SEVERITIES: tuple[str, ...] = get_args(Severity)  # worst first


Certainty = Literal["proven", "suspected"]


Verdict = Literal["clean", "findings", "unjudged"]


Status = Literal["match", "ambiguous", "near", "elsewhere", "none", "no-evidence"]


PaddingClass = Literal["none", "zero", "repeat", "constant", "computed", "nonfinite", "absent"]


@frozen
class Finding:
    """One named cause. `rows` it concerns (rows of the batch), `explains` how many, `unexplained` those it does not.

    `certainty`: proven, it reconstructs the numbers; suspected, it fits, but the evidence to prove it is missing.
    `alternatives`: at most two rules that the evidence cannot tell from this one; `evidence` says what would decide.
    `why`: how people come to make the mistake.
    """

    rule: str
    severity: Severity
    certainty: Certainty
    message: str
    layer: int | None = None
    direction: str | None = None
    rows: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    explains: int = 0
    unexplained: list[int] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    fix: str = ""
    why: str = ""


FAILED = "failed: "  # what the reason begins with where the rule itself is at fault


@frozen
class NotChecked:
    """A rule whose evidence is missing, and which; or one that failed, by a fault of its own."""

    rule: str
    reason: str

    @property
    def failed(self) -> bool:
        return self.reason.startswith(FAILED)


@frozen
class WhatIf:
    """What would follow if the rows had these lengths, which nobody stated. `because`: what implies them.

    `rules`: the mistakes that they would show; none where every row would end where it should.
    """

    lengths: list[int]
    because: str
    rules: list[str]
