"""What every probe is made of: a change to the batch that must change no real result, and what it means if it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rnninspect.core.finding import Severity
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Group, Proposal, Rule
from rnninspect.invariance.batch import Batch
from rnninspect.invariance.compare import Difference
from rnninspect.invariance.model import Manner, OutOfTime
from rnninspect.invariance.trial import Trial

NOTHING = "no result follows the rows, or each differs with the random numbers"


@dataclass(frozen=True, eq=False)
class Disturbed:
    """A changed batch on which real results differ: its rows as rows of the base, and how both are run.

    `alike`: the rows that are given what they were, where others are not; None: all of them.
    """

    batch: Batch
    rows: tuple[int, ...]
    manner: Manner = field(default_factory=Manner)
    same_shapes: bool = False
    exact: bool = False
    alike: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a probe gave. `held`: None where it could not be made, and `reason` says why.

    `differences`: those beyond the tolerance, the worst first; `largest`: of all that was compared, `allowed`: there.
    `what`: what was done, in words; `remark`: what a reader should know although it held. `trial`: of the batch on
    which it differed, where that is not the batch that was given. `late`: whether there was no time left for it.
    `severity`, `fix`: where they are not the probe's own.
    `doubtful`: whether a difference was seen that may mean nothing: nothing is clean then. `of_width`: whether the
    length of the longest row makes the difference, as the width of the batch would.
    """

    probe: str
    held: bool | None
    reason: str = ""
    differences: tuple[Difference, ...] = ()
    largest: float = 0.0
    allowed: float = 0.0
    compared: int = 0
    disturbed: Disturbed | None = None
    what: str = ""
    remark: str = ""
    severity: Severity | None = None
    fix: str = ""
    trial: Trial | None = None
    late: bool = False
    doubtful: bool = False
    of_width: bool = False


class Probe(Rule):
    """One change, and the finding where it changes a real result.

    `probe`: its short name; `holds`: what must hold, in one line. Of the finding it has all that a rule has: `name`,
    `severity`, `summary`, `why`, `fix`, `threads`; several probes may share one finding.
    """

    probe: str
    holds: str
    severity: Severity = "error"
    group: Group = "Models that run"
    needs: tuple[str, ...] = ("a model and a batch",)
    order: int = 100

    def make(self, trial: Trial) -> Outcome:
        """Make the change and compare."""
        raise NotImplementedError

    def message(self, outcome: Outcome) -> str:
        """What the finding says of the difference, before the place."""
        raise NotImplementedError

    def shown_on(self) -> tuple[Any, tuple[Any, ...]]:
        """A model that makes the mistake, and the inputs that it is shown on."""
        raise NotImplementedError

    def check(self, case: Case) -> Iterable[Proposal]:
        """Nothing: a recorded run cannot be made again."""
        return ()

    def inject(self, case: Case) -> Case:
        """Raise CannotInject: the example of a probe is a model, not a recorded run."""
        raise CannotInject("it is shown on a model that runs")


def gathered(steps: Iterable[Sequence[tuple[Difference, Disturbed]]]) -> tuple[list[tuple[Difference, Disturbed]], str]:
    """What the comparisons of a probe gave, made one after the other, and a remark where there was no time for all:
    what was seen to differ by then stands.

    Raises OutOfTime where nothing was.
    """
    listed: list[tuple[Difference, Disturbed]] = []
    try:
        for pairs in steps:
            listed += pairs
    except OutOfTime as error:
        if not any(one.rows for one, _ in listed):
            raise
        return listed, f"not all was compared, {error}"
    return listed, ""


def not_made(probe: str, reason: str, doubtful: bool = False) -> Outcome:
    """The outcome of a probe that could not be made; `doubtful`: that saw a difference which may mean nothing."""
    return Outcome(probe, None, reason, doubtful=doubtful)


def outcome(probe: str, listed: Sequence[tuple[Difference, Disturbed]], what: str = "", remark: str = "") -> Outcome:
    """The outcome of all comparisons of a probe; runs that keep all rows in their places come first."""
    if not listed:
        return not_made(probe, NOTHING)
    beyond = sorted((pair for pair in listed if pair[0].rows), key=lambda pair: (not pair[1].exact, -relative(pair[0])))
    worst = max(listed, key=lambda pair: pair[0].largest)[0]
    top = beyond[0][0] if beyond else worst
    return Outcome(
        probe,
        not beyond,
        "",
        tuple(d for d, _ in beyond),
        top.largest,
        top.allowed,
        len(listed),
        beyond[0][1] if beyond else None,
        what,
        remark,
    )


def relative(one: Difference) -> float:
    """The difference beside the largest real value."""
    return one.largest / max(one.scale, 1e-12)


def rows_of(outcome: Outcome) -> list[int]:
    """The rows whose results differ."""
    return sorted({row for one in outcome.differences for row in one.rows})


def amount(outcome: Outcome) -> str:
    """By how much, and where: `by up to 0.31 in output[0]`."""
    worst = outcome.differences[0]
    size = "to NaN or infinity" if worst.largest == float("inf") else f"by up to {worst.largest:.3g}"
    beside = f" (the largest real value is {worst.scale:.3g})" if worst.scale else ""
    return f"{size} in {shown(worst.path)}{beside}"


def shown(path: str) -> str:
    """A result's place in what the model returns.

    >>> shown(""), shown("[0]"), shown("logits['a']"), shown("logits")
    ('the result', 'result[0]', "result['logits']['a']", "result['logits']")
    """
    if not path:
        return "the result"
    head, bracket, rest = path.partition("[")
    if path.startswith("["):
        return f"result{path}"
    return f"result[{head!r}]{bracket}{rest}"


def evidence(outcome: Outcome) -> dict[str, Any]:
    """What a finding keeps of its outcome."""
    worst = outcome.differences[0]
    finite = worst.largest if worst.largest != float("inf") else None
    return {
        "probe": outcome.probe,
        "result": worst.path,
        "largest_difference": finite,
        "allowed": worst.allowed,
        "results": [d.path for d in outcome.differences[:64]],
    }
