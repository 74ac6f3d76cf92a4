"""Carries out a rule's fix on the arrays of a dump, and sees to it that what it leaves behind is right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnninspect.api.fix_names import Mended, run
from rnninspect.api.fix_write import Arrays, exchanged, remade_states, turned_outputs, written
from rnninspect.conventions.dumps.projected import EXCHANGED
from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array, Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.cell_beside_state import go_together
from rnninspect.diagnosis.rule import Rule, describe_rows
from rnninspect.diagnosis.rules import rules as every_rule
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.errors import UserError
from rnninspect.measure.run_ends import contradicts_lengths, run_ends

ENOUGH = 8  # numbers by which c is known to belong to h


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


def first_line(finding: Finding) -> str:
    """What to do about it, in one line."""
    return finding.fix.partition("\n")[0]


def refusal(finding: Finding, case: Case) -> str:
    """Why the arrays do not suffice for what was found, and what to do instead."""
    where = f" ({describe_rows(finding.rows, case.trace.batch_size)})" if finding.rows else ""
    rule = every_rule().get(finding.rule)
    if rule is None and finding.fix:
        return f"{finding.rule}{where}: the lengths must be corrected, not the arrays: {first_line(finding)}"
    if rule is None:
        return f"{finding.rule}{where}: no known mistake gives these arrays; run again, and save both of one call"
    if undecided := rule.undecided(case):
        return f"{finding.rule}{where}: {undecided}"
    of_weights = isinstance(rule, WeightsRule)
    what = "the weights must be fixed, not the dump" if of_weights else "these arrays are not enough; run again"
    return f"{finding.rule}{where}: {what}: {first_line(finding)}"


def carried_out(rule: Rule, finding: Finding, case: Case, arrays: Arrays) -> Change:
    """The rule's code, run on the case's arrays and written into those of the dump. Raises UserError where it changes
    nothing."""
    case = rule.seen_as(case)
    code = rule.code(case)
    if (remade := rule.remade(case)) is not None:
        return Change(rule.name, (remade_states(remade, finding, case, arrays),), (), finding.message, code)
    if rule.turns_outputs(case):
        return Change(rule.name, tuple(turned_outputs(finding, case, arrays)), (), finding.message, finding.fix)
    if (put_back := rule.put_back(case)) is not None:
        return _written_back(rule.name, list(_differing(case, put_back)), finding.fix, finding, case, arrays)
    mended = list(_gathered(code, finding, case) if rule.moves == "h" else _moved(rule, code, finding, case))
    return _written_back(rule.name, mended, code, finding, case, arrays)


def _differing(case: Case, other: Case) -> Iterator[Mended]:
    """The states of the other case that are not the case's own."""
    for track, right in zip(case.trace.tracks, other.trace.tracks, strict=True):
        if right.final is not track.final and right.final is not None:
            yield Mended("final", right.final, track)
        if right.cell is not track.cell and right.cell is not None:
            yield Mended("cell", right.cell, track)


def carried_out_anew(code: str, finding: Finding, case: Case, arrays: Arrays) -> Change:
    """The states that `code` takes from the outputs, in the place of those that the finding's rows hold, whatever its
    rule's fix is. Raises UserError where it changes nothing."""
    mended = list(_gathered(code, finding, case))
    return _written_back(finding.rule, mended, code, finding, case, arrays)


def _written_back(rule: str, mended: list[Mended], code: str, finding: Finding, case: Case, arrays: Arrays) -> Change:
    if not mended:
        raise UserError(f"{finding.rule}: its fix changes nothing here; run again: {first_line(finding)}")
    if EXCHANGED in case.trace.source and {item.field for item in mended} == {"final", "cell"}:
        names = list(exchanged(finding, case, arrays))
    else:
        mended.sort(key=_is_put_in)
        names = [name for item in mended for name in written(item, finding, case, arrays)]
    others = " or ".join(finding.alternatives)
    why = f"{finding.message} (or it is {others}; these numbers do not show which)" if others else finding.message
    return Change(rule, tuple(dict.fromkeys(names)), tuple(finding.rows), why, code)


def _is_put_in(item: Mended) -> bool:
    """Whether the dump has no such state: it is put in after the others are written, beside which it comes to stand."""
    return item.track is not None and getattr(item.track, item.field) is None


def _gathered(code: str, finding: Finding, case: Case) -> Iterator[Mended]:
    """What the code makes of every layer whose outputs are there; of h, the rows that were off alone."""
    with_outputs = {t.layer for t in case.trace.tracks if t.outputs is not None}
    if not re.search(r"\b(lengths|mask) =", code):
        _check_lengths(finding, case)
    rows = np.isin(np.arange(case.trace.batch_size), finding.rows)
    moved = False
    for layer in sorted(with_outputs):
        for item in run(case, code, layer):
            off = _off(item.track, case) & rows
            if item.field == "final" and item.track is not None and item.track.final is not None:
                if not off.any():
                    continue
                _check_not_zero(item, off, finding)
                _check_cell(item, off, finding, case)
                item = Mended("final", np.where(off[:, None], item.array, item.track.final), item.track)
            moved |= item.field == "final"
            yield item
    below = [t for t in case.trace.tracks if t.layer not in with_outputs and t.final is not None]
    if moved and below:
        raise UserError(
            f"{finding.rule}: the states of layers without outputs ({', '.join(t.name for t in below[:4])}) may "
            f"be wrong too, which these arrays do not show: run again: {first_line(finding)}"
        )


def _check_lengths(finding: Finding, case: Case) -> None:
    """Raise UserError where the outputs show that the run itself had other lengths than those stated."""
    for facts in case.facts:
        rows = np.flatnonzero(contradicts_lengths(facts)).tolist()
        if rows:
            end, length = run_ends(facts)[rows[0]], facts.ends[rows[0]]
            raise UserError(
                f"{finding.rule}: the outputs of {describe_rows(rows, case.trace.batch_size)} end at other steps than "
                f"the lengths say (row {rows[0]} at step {end - 1}, its length is {length}): the run had others, or "
                "these are wrong; state the right ones, or run again"
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


def _check_cell(item: Mended, rows: Bools, finding: Finding, case: Case) -> None:
    """Raise UserError unless c is seen to be of the states taken anew, and not of those that a run ended in which read
    on over the padding: c creeps, and so fits the h of many a step."""
    assert item.track is not None
    cell, ran_to = item.track.cell, rows & _read_on(item.track, case)
    if cell is None:
        return
    of_that_run = item.track.final is not None and ran_to.any() and _may_belong(item.track.final[ran_to], cell[ran_to])
    if _belongs(item.array[rows], cell[rows], case) and not of_that_run:
        return
    which = describe_rows(np.flatnonzero(rows).tolist(), rows.size)
    raise UserError(
        f"{finding.rule}: h of {which} is in the outputs, but c is not in these arrays, and the one given is not known "
        "to be of that step: run the layer again with its lengths, or leave c out"
    )


def _read_on(track: Track, case: Case) -> Bools:
    """`[B]`: rows whose state is the last column, which was computed behind their ends."""
    facts = next((f for f in case.facts if f.track is track), None)
    if facts is None:
        return np.zeros(case.trace.batch_size, dtype=np.bool_)
    return np.asarray(facts.equal[:, -1] & ~facts.mask[:, -1] & np.array([p == "computed" for p in facts.padding]))


def _may_belong(h: Array, cell: Array) -> bool:
    """Whether no c speaks against its h."""
    return h.shape == cell.shape and bool(go_together(h, cell).all())


def _belongs(h: Array, cell: Array, case: Case) -> bool:
    """Whether every c can be the one behind its h, which hardly holds by chance."""
    if h.shape != cell.shape or h.size < ENOUGH or {"activation", "activations"} & set(case.config.attributes):
        return False
    return bool(np.isfinite(h + cell).all() and go_together(h, cell).all())


def _moved(rule: Rule, code: str, finding: Finding, case: Case) -> Iterator[Mended]:
    """What the code makes of whole states: of c what it makes of h, unless c stands right as it is."""
    for layer in _layers_of(rule, code, case):
        mended = [item for item in run(case, code, layer) if not _is_of_the_other_half(item, rule, finding, case)]
        yield from mended
        if any(item.field == "cell" for item in mended) or not any(item.field == "final" for item in mended):
            continue
        cells = run(case, code, layer, of_cell=True) if any(t.cell is not None for t in case.trace.tracks) else []
        yield from _cells_of(rule, mended, cells, finding, case)


def _is_of_the_other_half(item: Mended, rule: Rule, finding: Finding, case: Case) -> bool:
    """Whether it is a state of the direction that nothing was found in, where h and c are exchanged, each track's own:
    that half stays as it is."""
    one_half = rule.reads_c and finding.direction is not None and case.trace.layers == 1
    return one_half and item.track is not None and item.track.direction != finding.direction


def _layers_of(rule: Rule, code: str, case: Case) -> list[int]:
    """The layers that the code is to be run on: of states' rows all, of outputs those that are off, else the top."""
    layers = range(case.trace.layers)
    if rule.moves == "rows" and not re.search(r"^outputs =", code, re.MULTILINE):
        return [k for k in layers if all(t.final is not None for t in case.trace.tracks if t.layer == k)]
    if rule.moves == "rows" or "outputs" in code.partition("#")[0]:
        return sorted({f.track.layer for f in case.facts if f.mismatched.any()})
    return [case.trace.layers - 1]


def _cells_of(rule: Rule, mended: list[Mended], cells: list[Mended], finding: Finding, case: Case) -> Iterator[Mended]:
    """The cell states that go with states that were moved: moved alike, or as they were where those alone fit."""
    states = {id(item.track): item.array for item in mended if item.field == "final"}
    moved = {id(item.track): item.array for item in cells if item.field == "cell"}
    pairs = [(states[id(t)], moved.get(id(t), t.cell), t.cell) for t in case.trace.tracks if id(t) in states]
    alike = all(_belongs(h, c, case) for h, c, _ in pairs if c is not None)
    in_place = all(_belongs(h, c, case) for h, _, c in pairs if c is not None)
    if alike or (rule.moves == "rows" and not in_place):
        yield from (item for item in cells if item.field == "cell")
    elif not in_place:
        raise UserError(
            f"{finding.rule}: c fits the corrected h neither as it is nor moved in the same way; run again: "
            f"{first_line(finding)}"
        )
