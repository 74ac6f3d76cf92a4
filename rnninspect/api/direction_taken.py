"""One direction or two, layers or parts of one state, where nobody stated it: what a fix reads, and may not write."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rnninspect.api.carry_out import Change
from rnninspect.api.fix_write import Arrays
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.joined_pools import joined_pools
from rnninspect.diagnosis.rules import rules as every_rule
from rnninspect.diagnosis.two_side_by_side import side_by_side
from rnninspect.errors import UserError
from rnninspect.measure.one_or_two import ONE

Make = Callable[[Arrays], Case]


def reading_two(make: Make) -> Make:
    """What makes the case that a report is of which read one direction as two side by side."""

    def made(arrays: Arrays) -> Case:
        case = make(arrays)
        return side_by_side(case) or case

    return made


def reading_joined(make: Make) -> Make:
    """What makes the case that a report is of which read states of layers as the joined parts of one."""

    def made(arrays: Arrays) -> Case:
        case = make(arrays)
        trace = joined_pools(case)
        return case if trace is None else case.with_trace(trace)

    return made


def check_direction(case: Case, changes: Sequence[Change]) -> None:
    """Raise UserError where states were taken anew from outputs whose one direction nobody stated and nothing shows: of
    two side by side the backward half would now be wrong."""
    taken = [change.rule for change in changes if every_rule()[change.rule].moves == "h" or "outputs[" in change.code]
    if taken and ONE in case.trace.source and case.weights is None:
        units = case.facts[0].final.shape[1]
        raise UserError(
            f"{taken[-1]}: its fix depends on the direction, which nobody stated and nothing shows: one of {units} "
            f"units ends in its last step, and of two of {units // 2} side by side the second at step 0; state "
            f"{argument('direction', 'forward')} or {argument('bidirectional', True)}"
        )
