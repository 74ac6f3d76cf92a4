"""Outputs that were moved to the end of the time axis, so that what lies behind the data lies before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.tiles import release
from rnninspect.core.trace import Array, Bools, Ints
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.padding_read_first import starts_moved
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.once import once
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import same


def may_be_moved(case: Case, by_run: bool = True) -> bool:
    """Whether the outputs of the short rows may have been moved to the end of the time axis: what lies before them is
    blank, or a run of the weights gives them at the front alone, where one is asked (`by_run`)."""
    trace = case.trace
    short = (trace.real_counts > 0) & ~trace.mask.all(1)
    if trace.mask_given or not short.any() or any(f.track.order != "time" for f in case.facts):
        return False
    lead = np.arange(trace.steps) < (trace.steps - trace.real_counts)[:, None]
    filled = not any(f.zero[short, -1].any() for f in case.facts)
    blank = filled and all(_is_blank(f, lead, short) for f in case.facts)
    asked = by_run and filled and not blank and case.has("inputs") and case.has("weights") and case.other is None
    return blank or bool(starts_moved(case)[short].all()) or (asked and _runs_at_the_front(case))


def moved_by_run(case: Case) -> list[Bools]:
    """`[B]` of each of the facts: rows that end in the last column, where a run of the weights gives the outputs once
    they are moved to the front, and not as they lie."""
    short = case.trace.real_counts < case.trace.steps
    seen = [np.asarray(f.mismatched & short & f.equal[:, -1] & ~f.final_blank) for f in case.facts]
    asked = any(rows.any() for rows in seen) and case.has("inputs") and case.has("weights") and case.other is None
    asked = asked and all(f.track.direction == "forward" for f in case.facts) and may_be_moved(case)
    return seen if asked and _runs_at_the_front(case) else [np.zeros_like(rows) for rows in seen]


@once
def _runs_at_the_front(case: Case) -> bool:
    return not agrees(case) and agrees(to_the_front(case))


def to_the_front(case: Case) -> Case:
    """The case with every row's last `length` outputs first, and what lies before them behind."""
    return moved(case, case.trace.real_counts - case.trace.steps)


def moved(case: Case, shift: Ints) -> Case:
    """The case with the outputs of row b `shift[b]` steps later, around the end; shift: `[B]`."""
    return case.with_tracks(
        lambda track: replace(track, outputs=None if track.outputs is None else _rolled(track.outputs, shift))
    )


def _is_blank(facts: TrackFacts, lead: Bools, short: Bools) -> bool:
    """Whether the steps that `lead` `[B, T]` the short rows are zero, or hold each row's last one."""
    if facts.zero[short][lead[short]].all():
        return True
    if facts.track.direction == "backward" or not (facts.repeats | ~lead)[short, 1:].all():
        return False
    around = np.asarray(same(facts.outputs[:, 0], facts.outputs[:, -1]).all(-1))
    release(facts.outputs)  # a few bytes of each row bring whole pieces of the file
    return bool((around | ~lead[:, 0])[short].all())


def _rolled(outputs: Array, shift: Ints) -> Array:
    """`[B, T, H]` with row b moved `shift[b]` steps later, around the end."""
    steps = outputs.shape[1]
    return np.take_along_axis(outputs, ((np.arange(steps)[None] - shift[:, None]) % steps)[..., None], 1)
