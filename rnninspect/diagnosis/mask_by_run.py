"""Which steps are real, where nobody said: masks that outputs and states suggest, held against a run of the weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnninspect import conventions
from rnninspect.core.trace import Bools, prefix_mask
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.other_mask import as_before, blank_where_read, ends_of, in_time, is_prefix, with_mask
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.rule import listed
from rnninspect.diagnosis.unexplained import UNEXPLAINED
from rnninspect.measure.facts import TrackFacts


def with_mask_by_run(case: Case) -> Case:
    """The case with the mask under which a run of its weights gives its numbers, which its trace's `source` says.

    The case as it is, where it has lengths, lacks inputs or weights, is right with every step real, or where no mask
    that its numbers suggest is confirmed: every output of a real step and every final state must follow from it.
    """
    if case.trace.knows_padding or not (case.facts and case.has("inputs") and case.has("weights")):
        return case
    if counts_other_axes(case) or is_of_its_run(case):
        return case
    from rnninspect.diagnosis.lengths_by_run import lengths_by_run

    tried: list[Bools] = []
    for mask in _suggested(case.facts):
        if mask.all() or not mask.any() or any(np.array_equal(mask, other) for other in tried):
            continue
        if not (is_prefix(mask) or may_mask(case)):
            continue  # a layer that takes lengths cannot have left out steps before the end
        tried.append(mask)
        if blank_where_read(case, mask):
            continue  # a run over the padding alone gives its numbers too
        supposed = _confirmed(case, mask)
        if is_right(supposed):
            return supposed
    lengths = lengths_by_run(case)
    supposed = case if lengths is None else _confirmed(case, prefix_mask(lengths, case.trace.steps))
    return supposed if is_right(supposed) else case


def counts_other_axes(case: Case) -> bool:
    """Whether there are lengths, or a mask, that do not fit these outputs: of as many rows as these have steps, say."""
    return any(slot.role in ("lengths", "mask") for slot in case.dump.slots)


def may_mask(case: Case) -> bool:
    """Whether the layer may have left out steps before a row's end: Keras, as the weights may say where nobody stated a
    framework, or nobody knows whose."""
    evidence, whose = case.reading.evidence, case.weights.convention if case.weights is not None else ""
    if case.convention.padding == "repeat" or not evidence.decided:
        return True
    return bool(whose) and not evidence.framework_stated and conventions.get(whose).padding == "repeat"


def is_right(case: Case) -> bool:
    """Whether a run of the weights gives these numbers, and every state is of the last real step."""
    return is_of_its_run(case) and not any(f.mismatched.any() for f in case.facts)


def is_of_its_run(case: Case) -> bool:
    """Whether a run of the weights gives every output of a real step, and every state that no output tells; True
    without inputs or weights."""
    from rnninspect.diagnosis.unseen_states import states_unlike_the_run

    if not (case.has("inputs") and case.has("weights")):
        return True
    return agrees(case) and next(states_unlike_the_run(case, UNEXPLAINED), None) is None


def _suggested(facts: tuple[TrackFacts, ...]) -> Iterator[Bools]:
    """`[B, T]` masks, along the inputs' time: steps that no track leaves zero, or as the step read before; steps up to
    the one that every state read forward equals."""
    yield ~np.logical_and.reduce([in_time(f, f.zero) for f in facts])
    yield ~np.logical_and.reduce([in_time(f, f.zero | as_before(f)) for f in facts])
    forward = [f.equal for f in facts if f.track.direction == "forward" or f.track.order == "within"]
    if forward:
        hit = np.logical_and.reduce(forward)
        yield prefix_mask(np.where(hit.any(1), hit.argmax(1) + 1, hit.shape[1]), hit.shape[1])


def _confirmed(case: Case, mask: Bools) -> Case:
    """The case with these steps taken as the real ones, if a run of the weights confirms them."""
    what = (
        f"{listed(ends_of(mask).tolist())} real steps"
        if is_prefix(mask)
        else "a mask with holes or padding on the left"
    )
    sentence = f"none were stated; a run of the weights over {what} gives these outputs and states, so these are used"
    return with_mask(case, mask, sentence)
