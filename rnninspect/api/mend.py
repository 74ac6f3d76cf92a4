"""Mends a dump by its own arrays: judge, carry out the fix of one finding, judge again, until nothing is wrong.

The arrays are written in place: the tracks of a case are views of them, so that what is mended in a track is mended in
the dump's own layout. What a fix leaves behind (c of a state gathered anew, the layers below) must be seen to be right,
else the whole is refused, with what to run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rnninspect.api import inspect
from rnninspect.api.fix_names import Mended, run
from rnninspect.api.fix_write import Arrays, written
from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array, Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import Rule, describe_rows
from rnninspect.diagnosis.rules import rules as every_rule
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.errors import UserError
from rnninspect.report.report import Report

MOST = 8  # mistakes one behind the other
ENOUGH = 8  # numbers by which c is known to belong to h
SLACK = 1 + 1e-6  # times which rounding may carry |h| over its bound


@dataclass(frozen=True)
class Change:
    """What was changed and why: the mistake, the arrays by name, the rows (empty: all), the code carried out."""

    rule: str
    arrays: tuple[str, ...]
    rows: tuple[int, ...]
    why: str
    code: str

    def __str__(self) -> str:
        return f"{', '.join(self.arrays)}: {self.rule}: {self.why}"


@dataclass(frozen=True, eq=False)
class Fixed:
    """The dump as it ought to be: its arrays by name, what was changed (nothing where all was right), its report."""

    arrays: Mapping[str, Array]
    changes: tuple[Change, ...]
    report: Report


def mend(
    make: Callable[[Arrays], Case], arrays: Arrays, judge: Callable[[Case], Report]
) -> tuple[tuple[Change, ...], Report]:
    """Mends `arrays` in place, and says what was changed; the report is of the arrays as they are then.

    `make`: the case that the arrays make, whose tracks are views of them. `judge`: its report.
    Raises UserError where something is wrong that the arrays cannot mend, or where nothing can be judged.
    """
    changes: list[Change] = []
    for _ in range(MOST):
        case = make(arrays)
        report = judge(case)
        case = inspect.prepared(case)
        wrong = [f for f in report.findings if _is_wrong(f, case)]
        if not wrong:
            if report.verdict == "unjudged":
                raise UserError(f"nothing tells whether it is right: {report.untested}. Give {report.would_decide}")
            return tuple(changes), report
        finding = next((f for f in wrong if _is_mendable(f, case)), None)
        if finding is None:
            raise UserError(_refusal(wrong[0], case))
        changes.append(_carried_out(every_rule()[finding.rule], finding, case, arrays))
    raise UserError(f"{wrong[0].rule}: it is still there after {MOST} changes; run the layer again")


def _is_mendable(finding: Finding, case: Case) -> bool:
    rule = every_rule().get(finding.rule)
    return rule is not None and rule.mends(case)


def _is_wrong(finding: Finding, case: Case) -> bool:
    """Errors, and warnings that can be mended or that only a new run mends; the others are facts of the data."""
    if finding.severity != "warning":
        return finding.severity == "error"
    return _is_mendable(finding, case) or every_rule()[finding.rule].fixed_in == "run"


def _refusal(finding: Finding, case: Case) -> str:
    where = f" ({describe_rows(finding.rows, case.trace.batch_size)})" if finding.rows else ""
    if finding.rule not in every_rule():
        return f"{finding.rule}{where}: no known mistake gives these arrays; run again, outputs and state of one call"
    of_weights = isinstance(every_rule()[finding.rule], WeightsRule)
    what = "the weights, not the dump, are to be mended" if of_weights else "these arrays do not suffice, run again"
    return f"{finding.rule}{where}: {what}: {_first_line(finding)}"


def _first_line(finding: Finding) -> str:
    return finding.fix.partition("\n")[0]


def _carried_out(rule: Rule, finding: Finding, case: Case, arrays: Arrays) -> Change:
    """The rule's code, run on the case's arrays and written into those of the dump."""
    case = rule.seen_as(case)
    code = rule.code(case)
    mended = list(_gathered(code, finding, case) if rule.moves == "h" else _moved(rule, code, finding, case))
    if not mended:
        raise UserError(f"{finding.rule}: its fix changes nothing here; run again: {_first_line(finding)}")
    names = [name for item in mended for name in written(item, finding, case, arrays)]
    others = " or ".join(finding.alternatives)
    why = f"{finding.message} (or it is {others}, which these numbers cannot tell)" if others else finding.message
    return Change(rule.name, tuple(dict.fromkeys(names)), tuple(finding.rows), why, code)


def _gathered(code: str, finding: Finding, case: Case) -> Iterator[Mended]:
    """What the code makes of every layer whose outputs are there; of h, the rows that were off alone."""
    with_outputs = {t.layer for t in case.trace.tracks if t.outputs is not None}
    rows = np.isin(np.arange(case.trace.batch_size), finding.rows)
    moved = False
    for layer in sorted(with_outputs):
        for item in run(case, code, layer):
            off = _off(item.track, case) & rows
            if item.field == "final" and item.track is not None and item.track.final is not None:
                if not off.any():
                    continue
                _check_not_zero(item, off, finding)
                _check_cell(item.array, item.track.cell, off, finding, case)
                item = Mended("final", np.where(off[:, None], item.array, item.track.final), item.track)
            moved |= item.field == "final"
            yield item
    below = [t for t in case.trace.tracks if t.layer not in with_outputs and t.final is not None]
    if moved and below:
        raise UserError(
            f"{finding.rule}: the states of layers without outputs ({', '.join(t.name for t in below[:4])}) may be "
            f"wrong too, and nothing here tells: run again: {_first_line(finding)}"
        )


def _off(track: Track | None, case: Case) -> Bools:
    """`[B]`: rows of the track whose state is not where it ought to be."""
    facts = next((f for f in case.facts if f.track is track), None)
    return np.ones(case.trace.batch_size, dtype=np.bool_) if facts is None else facts.mismatched


def _check_not_zero(item: Mended, rows: Bools, finding: Finding) -> None:
    """The outputs of masked steps are zero: a length that counts such a step is wrong, or the run left it out."""
    zero = rows & ~item.array.any(-1)
    if zero.any():
        which = describe_rows(np.flatnonzero(zero).tolist(), zero.size)
        raise UserError(
            f"{finding.rule}: the outputs at the last real step of {which} are zero, as those of padding: the lengths "
            "are wrong, or the run left that step out; state other lengths, or run again"
        )


def _check_cell(h: Array, cell: Array | None, rows: Bools, finding: Finding, case: Case) -> None:
    """Raises UserError unless c is seen to be of the states taken anew."""
    if cell is None or _belongs(h[rows], cell[rows], case):
        return
    which = describe_rows(np.flatnonzero(rows).tolist(), rows.size)
    raise UserError(
        f"{finding.rule}: h of {which} is in the outputs, but c is not in these arrays, and the one given is not known "
        "to be of that step: run the layer again with its lengths, or leave c out"
    )


def _belongs(h: Array, cell: Array, case: Case) -> bool:
    """Whether |h| <= |tanh(c)| everywhere, which hardly holds by chance: h = o * tanh(c) with 0 < o < 1."""
    if h.shape != cell.shape or h.size < ENOUGH or {"activation", "activations"} & set(case.config.attributes):
        return False
    bound = np.abs(np.tanh(cell.astype(np.float64))) * SLACK + 1e-7
    return bool((np.abs(h.astype(np.float64)) <= bound).all())


def _moved(rule: Rule, code: str, finding: Finding, case: Case) -> Iterator[Mended]:
    """What the code makes of whole states: of c what it makes of h, unless c stands right as it is."""
    for layer in _layers_of(rule, code, case):
        mended = run(case, code, layer)
        yield from mended
        if any(item.field == "cell" for item in mended) or not any(item.field == "final" for item in mended):
            continue
        cells = run(case, code, layer, of_cell=True) if any(t.cell is not None for t in case.trace.tracks) else []
        yield from _cells_of(rule, mended, cells, finding, case)


def _layers_of(rule: Rule, code: str, case: Case) -> list[int]:
    """The layers that the code is to be run on: of rows all, of outputs those that are off, else the top."""
    layers = range(case.trace.layers)
    if rule.moves == "rows":
        return [k for k in layers if all(t.final is not None for t in case.trace.tracks if t.layer == k)]
    if "outputs" in code.partition("#")[0]:
        return sorted({f.track.layer for f in case.facts if f.mismatched.any()})
    return [case.trace.layers - 1]


def _cells_of(rule: Rule, mended: list[Mended], cells: list[Mended], finding: Finding, case: Case) -> Iterator[Mended]:
    """The cell states that go with states that were moved: moved alike, or as they were where those alone fit."""
    states = {id(item.track): item.array for item in mended if item.field == "final"}
    moved = {id(item.track): item.array for item in cells if item.field == "cell"}
    pairs = [(states[id(t)], moved.get(id(t), t.cell), t.cell) for t in case.trace.tracks if id(t) in states]
    alike = all(_belongs(h, c, case) for h, c, _ in pairs if c is not None)
    if rule.moves == "rows" or alike:
        yield from (item for item in cells if item.field == "cell")
    elif not all(_belongs(h, c, case) for h, _, c in pairs if c is not None):
        raise UserError(
            f"{finding.rule}: c fits the mended h neither as it is nor moved alike; run again: {_first_line(finding)}"
        )
