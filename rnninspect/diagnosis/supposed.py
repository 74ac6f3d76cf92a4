"""Lengths that nobody stated: those that the numbers prove are taken, those that they suggest are tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from rnninspect.core.finding import WhatIf
from rnninspect.core.trace import Array, Bools, Ints, prefix_mask
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.other_mask import as_before, blank_where_read, with_mask
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.mask_by_run import counts_other_axes, may_mask
from rnninspect.diagnosis.rule import Rule, listed
from rnninspect.measure.facts import TrackFacts, of_other_rows

ENOUGH = 3  # different lengths that numbers must follow before they are these in another unit


def with_proven_lengths(case: Case) -> Case:
    """The case with the lengths that its zeroed padding proves, which its trace's `source` says; the case as it is,
    where it has lengths or none are proven.

    Proven: rows end in zeros from different steps on, and every final state equals the last step before them, of its
    own row or, each once, of another.
    """
    ends = None if case.trace.knows_padding or counts_other_axes(case) else _zeroed_from(case.facts)
    if ends is None or np.unique(ends).size < 2 or not ends.all():
        return case
    supposed = case.with_lengths(ends)
    in_place = all((f.at_expected & ~f.uninformative).all() for f in supposed.facts)
    if not (in_place or _of_other_rows(supposed)) or _listed_otherwise(case, ends):
        return case
    whose = "" if in_place else ", of another row each or of its own"
    sentence = (
        f"none were stated; the outputs end in zeros after {listed(ends.tolist())} steps, and every final "
        f"state equals the last step before them{whose}, so these are used"
    )
    trace = replace(supposed.trace, source={**supposed.trace.source, "lengths": sentence})
    return supposed.with_trace(trace, supposed.facts)


def _of_other_rows(case: Case) -> bool:
    """Whether the states of some tracks are those of other rows, each once, and the others' stand in their places."""
    moved = [of_other_rows(case.trace, facts.track) for facts in case.facts]
    right = [bool((facts.at_expected & ~facts.uninformative).all()) for facts in case.facts]
    return any(moved) and all(one or stands for one, stands in zip(moved, right, strict=True))


def _listed_otherwise(case: Case, ends: Ints) -> bool:
    """Whether an array without a role holds these lengths `[B]`, moved by one number (and cut to T), for other rows, or
    times one number, as of frames before they are subsampled: it speaks against them."""
    listed_apart, _ = _listed_apart(case)
    if listed_apart is None:
        return any(_are_times(array, ends) for array in _without_role(case).values())
    if np.array_equal(listed_apart, ends):
        return False
    moved = (listed_apart - ends)[listed_apart < case.trace.steps]
    in_order = np.unique(moved).size == 1 or _are_times(listed_apart, ends)
    return in_order or np.array_equal(np.sort(listed_apart), np.sort(ends))


def _are_times(array: Array, ends: Ints) -> bool:
    """Whether whole numbers `[B]` are lengths `[B]`, not all one, in another unit: each the same number of times its
    length or its part, up to rounding, of enough rows that it is no chance."""
    if array.dtype.kind not in "iu" or array.size != ends.size or np.unique(ends).size < ENOUGH:
        return False
    values = array.reshape(-1).astype(np.float64)
    ratio = values.max() / ends.max()
    if values.min() < 1 or abs(ratio - 1) < 0.25:
        return False
    unit = max(ratio, 1.0)  # what one step of the coarser of the two is, in steps of the finer one
    return bool((np.abs(values - ratio * ends) < unit).all())


def with_proven_mask(case: Case) -> Case:
    """The case with the mask that its zeroed steps prove, where a layer may mask steps before a row's end.

    Proven: the steps that are zero, or as the one read before, in every track leave every final state at the last step
    that its direction reads, and some row begins with such steps, or has them before its last.
    """
    if case.trace.knows_padding or not case.facts or not may_mask(case) or counts_other_axes(case):
        return case
    if any(facts.track.order != "time" for facts in case.facts):
        return case
    mask = ~np.logical_and.reduce([facts.zero | as_before(facts) for facts in case.facts])
    if np.array_equal(mask, prefix_mask(mask.sum(1), mask.shape[1])):
        return case
    sentence = (
        "none were stated; some steps are zero, or as the one before, ahead of others that are not, and every final "
        "state is where the others end, so these are used"
    )
    supposed = with_mask(case, mask, sentence)
    real = mask.any(1)
    if not all((f.at_expected & ~f.uninformative)[real].all() for f in supposed.facts):
        return case
    if blank := blank_where_read(case, mask):
        return with_mask(case, ~mask, f"none were stated; {blank}: blank at the other steps, so these are used")
    return supposed


def what_if(case: Case, rules: Mapping[str, Rule]) -> list[WhatIf]:
    """What would follow from each set of lengths that inputs, outputs or a lone array suggest, where none are known."""
    if case.trace.knows_padding or not case.facts:
        return []
    what_ifs: list[WhatIf] = []
    for lengths, because in _suggested(case):
        if any(lengths.tolist() == other.lengths for other in what_ifs):
            continue
        bare = replace(case.with_weights(None).with_lengths(lengths), other=None)
        findings = [f for f in judge(bare, rules, seek_two=False, in_numbers=False).findings if f.severity != "note"]
        what_ifs.append(WhatIf(lengths.tolist(), because, list(dict.fromkeys(f.rule for f in findings))))
    return what_ifs


def _suggested(case: Case) -> Iterator[tuple[Ints, str]]:
    """Lengths that some row ends by before T, none of them 0, and what suggests them."""
    for lengths, because in _candidates(case):
        if lengths is not None and (lengths > 0).all() and (lengths < case.trace.steps).any():
            yield lengths, because


def _candidates(case: Case) -> Iterator[tuple[Ints | None, str]]:
    yield _listed_apart(case)
    if case.batch is not None:
        yield _ends_of(case.batch.inputs[:, : case.trace.steps])
    yield _zeroed_from(case.facts), "the outputs are zero after them"


def _ends_of(inputs: Array) -> tuple[Ints | None, str]:
    """Where the rows of `[B, T, F]` go over into one vector, and which that is."""
    from rnninspect.diagnosis.evidence.padded_inputs import ends_of_inputs

    zero = inputs.ndim == 3 and bool((inputs[:, -1] == 0).all(-1).any())
    return ends_of_inputs(
        inputs
    ), "the inputs are zero after them" if zero else "the inputs repeat one vector after them"


def _listed_apart(case: Case) -> tuple[Ints | None, str]:
    """The one array without a role that holds a whole number from 1 to T for every row."""
    fitting = [(name, a) for name, a in _without_role(case).items() if _may_be_lengths(a, case)]
    if len(fitting) != 1:
        return None, ""
    name, array = fitting[0]
    return array.reshape(-1).astype(np.int64), f"they stand under {name!r}"


def _without_role(case: Case) -> dict[str, Array]:
    used = {id(slot.array) for slot in case.dump.slots}
    return {name: array for name, array in case.dump.arrays.items() if id(array) not in used}


def _may_be_lengths(array: Array, case: Case) -> bool:
    if array.size != case.trace.batch_size or array.ndim > 2 or array.dtype.kind not in "fiu":
        return False
    values = array.reshape(-1)
    return bool(((values >= 1) & (values <= case.trace.steps) & (values == np.floor(values))).all())


def _zeroed_from(facts: tuple[TrackFacts, ...]) -> Ints | None:
    """`[B]`: the steps before the zeros that the outputs of every track end in; None where no row ends in zeros."""
    if not facts or any(f.track.order != "time" for f in facts) or not any(f.zero[:, -1].any() for f in facts):
        return None
    return _before(np.logical_and.reduce([f.zero for f in facts]))


def _before(zero: Bools) -> Ints:
    """`[B]`: how many steps come before the run of True at the end of each row of `[B, T]`.

    >>> _before(np.array([[False, True, True], [True, True, False], [True, True, True]])).tolist()
    [1, 3, 0]
    """
    return np.where(zero.all(1), 0, zero.shape[1] - (~zero[:, ::-1]).argmax(1)).astype(np.int64)
