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

POOLED = "pooled-state"
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
    """Raise UserError where states were taken anew from outputs whose one direction, or whose two, nobody stated and
    nothing shows: of two side by side the backward half ends at step 0, and pools look alike in both."""
    taken = [change.rule for change in changes if every_rule()[change.rule].moves == "h" or "outputs[" in change.code]
    one = ONE in case.trace.source
    if taken and case.weights is None and (one or (POOLED in taken and _two_by_widths_alone(case))):
        units = sum(facts.final.shape[1] for facts in case.facts)
        raise UserError(
            f"{taken[-1]}: its fix depends on the directions, which were neither stated nor shown by the numbers: "
            f"one direction of {units} units ends at the last step; of two of {units // 2} units, the second ends "
            "at step 0; state "
            f"{argument('direction', 'forward')} or {argument('bidirectional', True)}"
        )


def _two_by_widths_alone(case: Case) -> bool:
    """Whether one state `[B, 2H]` was read as that of two directions, and nobody stated how many there are."""
    states = [slot for slot in case.dump.slots if slot.role == "h"]
    return case.config.directions is None and case.trace.directions == 2 and len(states) == 1 and case.trace.layers == 1
