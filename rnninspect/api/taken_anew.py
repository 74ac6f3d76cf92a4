"""Takes every state anew from the outputs where no fix of one mistake puts it right: where several mistakes moved the
states alone, or the state has no room for the rows that it lost, the outputs still hold h of every row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnninspect.api.carry_out import Change, carried_out_anew
from rnninspect.api.direction_taken import Make
from rnninspect.api.fix_write import Arrays
from rnninspect.api.inspect import prepared
from rnninspect.core.evidence import StateRows
from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import gathered
from rnninspect.diagnosis.rules import rules as every_rule

LAST_STEPS = "h = outputs[np.arange(len(outputs)), lengths - 1]  # every row's own, whatever the state held"


def all_taken_anew(
    wrong: Sequence[Finding], findings: Sequence[Finding], case: Case, make: Make, arrays: Arrays
) -> Change | None:
    """Write the states anew from the outputs; None where not all that is wrong is of the states alone, rows are wrong
    that nothing explains, the outputs are not what the layer gave, or c of rows that have none would be missing.

    Args: `wrong`: those of `findings` that are to be mended.

    Raises: UserError where the outputs, or c, speak against it.
    """
    rules = every_rule()
    causes = {name for f in wrong for name in (f.rule, *f.alternatives)}
    if not all(name in rules and rules[name].in_states for name in causes) or not case.trace.knows_padding:
        return None
    if any(f.rule in rules and rules[f.rule].in_outputs for f in findings):
        return None
    kept = case.reading.state_rows
    if kept is not None:
        if kept.slots or not _made_room(kept, case, arrays):
            return None
        case = prepared(make(arrays))
        if case.reading.state_rows is not None:
            return None
    rows = {b for facts in case.facts for b in np.flatnonzero(facts.mismatched).tolist()}
    explained = set().union(*(f.rows for f in wrong))
    if not rows or (kept is None and not rows <= explained):  # nothing tells what the others hold, or that h is wrong
        return None
    finding = replace(wrong[0], rows=sorted(rows), alternatives=[])
    return carried_out_anew(gathered(case, LAST_STEPS), finding, case, arrays)


def _made_room(kept: StateRows, case: Case, arrays: Arrays) -> bool:
    """Whether the state now has a row for every one of the batch: those that it had in their places, zeros in the
    others. Nothing is changed where the dump holds c, which no output gives."""
    states = [slot for slot in case.dump.slots if slot.role == "h"]
    if any(slot.role == "c" for slot in case.dump.slots):
        return False
    names = {name for slot in states for name, whole in arrays.items() if np.may_share_memory(whole, slot.array)}
    if len(names) != len(states):
        return False
    for name in names:
        state = np.atleast_2d(arrays[name])
        axis = _axis_of_rows(state, case.reading.state_axes)
        by_row = state.swapaxes(0, axis)
        whole = np.zeros((kept.batch_size, *by_row.shape[1:]), by_row.dtype)
        whole[list(kept.rows)] = by_row
        arrays[name] = np.ascontiguousarray(whole.swapaxes(0, axis))
    return True


def _axis_of_rows(state: Array, axes: str) -> int:
    """Where the rows of a state stand, of axes in letters; of one of several arrays, in front of the units."""
    letters = re.findall(r"\(.*?\)|[A-Z]", axes.partition(",")[0])
    return letters.index("B") if len(letters) == state.ndim else state.ndim - 2
