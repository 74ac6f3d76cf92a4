"""Runs that read the padding, by what was stated, and no real step: by their outputs, by their states, or by a run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnninspect.core.batch import is_of_lengths
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Bools, Ints, count_true, prefix_mask
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.other_mask import as_before, in_time, with_mask
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.once import once
from rnninspect.measure.facts import TrackFacts

FEW = 4  # rows that are looked at before all are
SKIPPED = "skipped"  # a run over the steps that are not real
COUNTED = "counted"  # a run over the first T - length steps


@frozen(eq=False)
class PaddingTaken:
    """Which steps `[B, T]` were read, along the inputs' time; in which way; how that is seen, in words; and the case
    with these taken for the real ones."""

    steps: Bools
    kind: str
    how: str
    case: Case


@once
def _found(case: Case) -> tuple[Bools, str, str] | None:
    mask = case.trace.mask
    if not case.facts or mask.all() or not case.trace.knows_padding:
        return None
    by_run = case.has("inputs") and case.has("weights") and not agrees(case)
    if not by_run and not _may_show(case):
        return None
    ways = list(_ways(mask))
    for steps, kind in ways:
        how = _shown(case, steps, kind)
        if how:
            return steps, kind, how
    for steps, kind in ways if by_run else ():
        if _holds_more(case, steps) or (kind == COUNTED and not _told_apart(case.trace.mask, steps)):
            continue
        supposed = with_mask(case, steps, "")
        if agrees(supposed) and not any(f.mismatched.any() for f in supposed.facts):
            return steps, kind, "a run of these weights over other steps alone gives these outputs and states"
    return None


def padding_taken(case: Case) -> PaddingTaken | None:
    """The steps that were read in place of the real ones; None where the numbers do not show that they were."""
    told = _found(case)
    if told is None:
        return None
    steps, kind, how = told
    return PaddingTaken(steps, kind, how, with_mask(case, steps, ""))


def _ways(mask: Bools) -> Iterator[tuple[Bools, str]]:
    """The steps `[B, T]` that such runs read. Of rows that are half padding, padding on the other side reads the same:
    some row must be another."""
    if (~mask != mask[:, ::-1]).any():
        yield ~mask, SKIPPED
    counted = prefix_mask(mask.shape[1] - mask.sum(1), mask.shape[1])
    if is_of_lengths(mask) and (counted != mask).any():
        yield counted, COUNTED


def _may_show(case: Case) -> bool:
    """Whether outputs and states alone may show such steps: some state is off, or the first few rows move at those."""
    mask, few = case.trace.mask[:FEW], slice(FEW)
    ways = ~mask, prefix_mask(mask.shape[1] - count_true(mask), mask.shape[1])
    moves = [in_time(f, ~(f.zero[few] | as_before(f, few))) for f in case.facts]
    return any(f.mismatched.any() for f in case.facts) or any(
        all(np.array_equal(moving, steps) for moving in moves) for steps in ways
    )


def _shown(case: Case, steps: Bools, kind: str) -> str:
    """How outputs and states alone show that these steps were read and no others; empty where they do not."""
    moves = [in_time(f, ~(f.zero | as_before(f))) for f in case.facts]
    enough = case.trace.mask.sum() > 1 or (told_by_one_step(case) and _is_state_off(case))
    if enough and steps.any() and all((moving == steps).all() for moving in moves) and _differ(case):
        if kind == COUNTED:
            return "the outputs end after T - length steps" if _told_apart(case.trace.mask, steps) else ""
        return "the outputs are zero or constant at the real steps, and change at the padded ones"
    if kind == COUNTED and _end_there(case, steps):
        zero = np.any([f.final_zero for f in case.facts], axis=0)  # a zero is at any padded step
        if _told_apart(case.trace.mask[~zero], steps[~zero]):
            return "every final_state.h equals outputs at step T - length - 1"
    return ""


def told_by_one_step(case: Case) -> bool:
    """Whether a single step is real and no run tells what was read: a run that read on gives a zero there as well, of
    zero inputs and no bias."""
    return int(case.trace.mask.sum()) == 1 and not (case.has("inputs") and case.has("weights"))


def _is_state_off(case: Case) -> bool:
    """Whether a state is off and no padding's."""
    return any((f.mismatched & ~f.final_blank).any() for f in case.facts)


def _differ(case: Case) -> bool:
    """Whether the outputs hold anything but zeros and one number."""
    return any((f.outputs != f.outputs.flat[0]).any() for f in case.facts)


def _told_apart(mask: Bools, steps: Bools) -> bool:
    """Whether rows `[B, T]` of two lengths or more, at least, would end elsewhere: of one, an offset gives the same."""
    counts, read = mask.sum(1), steps.sum(1)
    off = (counts != read) & (read > 0)
    permuted = np.array_equal(np.sort(counts[off]), np.sort(read[off]))
    return len(set((counts - read)[off].tolist())) > 1 and not permuted


def _end_there(case: Case, steps: Bools) -> bool:
    """Whether every state that is read forwards is where these steps end, and none is so by being the same anywhere."""
    forward = [f for f in case.facts if f.track.direction == "forward"]
    unread, read = _unread(case, steps), steps.sum(1)
    whole = any((_is_right(f) & unread).any() for f in forward)
    return bool(forward) and not whole and all(_ends_at(f, read > 0, read - 1) for f in forward)


def _holds_more(case: Case, steps: Bools) -> bool:
    """Whether a row has a state of its own, though no step of it would have been read: from zeros on, any that is not
    zero; else the right one. No run need show that it was not so."""
    unread = _unread(case, steps)
    states = [~f.final_zero if f.track.initial is None else _is_right(f) for f in case.facts]
    return any((state & unread).any() for state in states)


def _unread(case: Case, steps: Bools) -> Bools:
    """`[B]`: rows of which no step would have been read, in a layer that does not end such rows in their last step."""
    return np.asarray(~steps.any(1) & (case.trace.zero_length != "wrap"))


def _is_right(facts: TrackFacts) -> Bools:
    return facts.at_expected & ~facts.uniform & ~facts.final_zero


def _ends_at(facts: TrackFacts, rows: Bools, steps: Ints) -> bool:
    stands = as_before(facts)[np.arange(steps.size), np.maximum(steps, 0)]  # repeated from an end before it
    at_end = facts.equals(steps) & (~stands | facts.uniform)
    told = at_end & rows & facts.mismatched & ~facts.uniform & ~facts.final_zero
    return bool((at_end | ~rows).all() and told.sum() > 1)
