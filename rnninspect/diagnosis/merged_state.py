"""One state `[B, H]` beside outputs of two directions side by side, as their final states' sum, mean, maximum or
product, and beside outputs that are such a sum themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import DIRECTIONS, Array, Ints, Trace, Track, last_true
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import Judgement
from rnninspect.diagnosis.rule import listed
from rnninspect.diagnosis.unexplained import UNEXPLAINED
from rnninspect.measure.decimals import decimals
from rnninspect.measure.facts import TrackFacts, measure
from rnninspect.measure.matching import gather
from rnninspect.measure.merged import (
    goes_with_both_ends,
    goes_with_one_end,
    goes_with_two_halves,
    is_scaled_end,
    may_go_with_both_ends,
)

ENOUGH = 4  # numbers that must be merged so: fewer are by chance
COMPUTED = "a state computed from others"  # what a trace's `source` says where a layer behind both may have given it
TAKEN_APART = ("sum", "mean")  # merges of which one half follows from the other
MERGES: dict[str, Callable[[Array, Array], Array]] = {
    "sum": lambda forward, backward: forward + backward,
    "mean": lambda forward, backward: (forward + backward) / 2,
    "maximum": np.maximum,
    "product": lambda forward, backward: forward * backward,
}


def as_merged_state(case: Case, judgement: Judgement) -> Case | None:
    """The case with its one state taken apart into both directions' own, where no cause is known and it is what merging
    the final states of both gives: in every row, or, of a sum or mean, in most. None else.

    Where no lengths are known, the zeros in which its outputs end may tell them, if every row is merged so.
    """
    errors = [finding.rule for finding in judgement.findings if finding.severity != "note"]
    halves = _halves(case) if errors == [UNEXPLAINED] else None
    if halves is None:
        return None
    apart = _taken_apart(case, halves)
    return apart or _with_lengths_of_zeros(case, halves)


def _halves(case: Case) -> list[Track] | None:
    """The two directions of the top layer, whose outputs are there, where no other layer has a state."""
    trace = case.trace
    top = [track for track in trace.tracks if track.layer == trace.layers - 1]
    states = [track for track in trace.tracks if track.final is not None]
    whole = len(top) == 2 and all(half.outputs is not None for half in top)
    return top if whole and states and all(track in top for track in states) else None


def _taken_apart(case: Case, halves: list[Track]) -> Case | None:
    """The case with both directions' states, where one state is their merge; of two arrays, which were taken for
    directions and are h and c then, in every row. Halves of one array are no h and c."""
    states = [np.asarray(half.final) for half in halves if half.final is not None]
    raw = case.raw("h")
    if len(states) > 1 and raw is not None and raw.shape[-1] == sum(state.shape[1] for state in states):
        return None
    for right, ends in _ends(case.trace, halves):
        for state in states:
            for name, merge in MERGES.items():
                merged = merge(*ends)
                if any(np.array_equal(merged, end) for end in ends):
                    continue  # of one direction alone: what the other half holds is not explained
                rows = _merged_rows(merged, state, case)
                if _is_merge(rows, state, name, whole=len(states) > 1 or not right):
                    return _apart(case, halves, ends, state, (name, rows))
    return None


def _with_lengths_of_zeros(case: Case, halves: list[Track]) -> Case | None:
    """The same with the lengths after which the outputs are zero, where none are known."""
    written = np.logical_or.reduce([np.asarray(half.outputs).any(-1) for half in halves])
    lengths = last_true(written) + 1
    if case.trace.knows_padding or not written.any(1).all() or (lengths == lengths[0]).all():
        return None
    apart = _taken_apart(case.with_lengths(lengths), halves)
    if apart is None or any(facts.mismatched.any() for facts in apart.facts):
        return None
    sentence = (
        f"none were stated; the outputs end in zeros after {listed(lengths.tolist())} steps, and every final state is "
        "merged from the last steps before them, so these are used"
    )
    return apart.with_trace(replace(apart.trace, source={**apart.trace.source, "lengths": sentence}))


def _ends(trace: Trace, halves: list[Track]) -> Iterator[tuple[bool, list[Array]]]:
    """What is merged, whether it is right, and a row `[B, H]` of each direction: where it ends; else what a single
    index takes of both, the last real step or the last column."""
    yield True, [_outputs_at(half, trace.expected_steps(half)) for half in halves]
    last = last_true(trace.mask)
    for steps in (last, np.full_like(last, trace.steps - 1)):
        yield False, [_outputs_at(half, steps) for half in halves]


def _outputs_at(half: Track, steps: Ints) -> Array:
    """`[B, H]`: the outputs at these steps `[B]`; zeros of a row without a real step, which is -1."""
    ends = gather(np.asarray(half.outputs), np.arange(steps.size), np.maximum(steps, 0))
    return np.where(steps[:, None] < 0, 0, ends.astype(np.float64))


def _merged_rows(merged: Array, state: Array, case: Case) -> Array:
    """`[B]`: the rows whose state is that, up to the rounding of a sum."""
    narrow = min((a for a in (state, case.raw("outputs")) if a is not None), key=lambda array: array.dtype.itemsize)
    spacing = np.finfo(narrow.dtype).eps if narrow.dtype.kind == "f" else np.finfo(np.float32).eps
    places = decimals(state)
    printed = 0.0 if places is None else 2 * 10.0**-places
    allowed = 2 * float(spacing) * np.abs(merged).max(initial=0.0) + printed + case.tolerance.atol
    return np.asarray((np.abs(merged - state) <= allowed).all(1))


def _is_merge(rows: Array, state: Array, name: str, whole: bool) -> bool:
    """Whether so many of the rows are merged that it is no chance; `whole`: all must be."""
    told = rows & np.any(state != 0, axis=1)
    most = 2 * int(rows.sum()) > rows.size if name in TAKEN_APART and not whole else bool(rows.all())
    return most and int(told.sum()) * state.shape[1] >= ENOUGH


def _apart(case: Case, halves: list[Track], ends: list[Array], state: Array, merge: tuple[str, Array]) -> Case:
    """The case with both states: those of merged rows as they were, the backward one of others what the sum leaves."""
    name, rows = merge
    kind = np.result_type(*(np.asarray(half.outputs).dtype for half in halves))
    left = state.astype(np.float64) * (2 if name == "mean" else 1) - ends[0]
    finals = (ends[0], np.where(rows[:, None], ends[1], left))
    apart = {half.direction: final.astype(kind) for half, final in zip(halves, finals, strict=True)}
    sentence = f"it is the {name} of both directions' states, and taken apart so"
    trace = case.trace
    tracks = tuple(
        replace(track, final=apart[track.direction], cell=None) if track in halves else track for track in trace.tracks
    )
    return case.with_trace(replace(trace, tracks=tracks, source={**trace.source, "state": sentence}))


def as_summed(case: Case, judgement: Judgement) -> Case | None:
    """The case with its outputs taken for two directions' sum or mean, where every state equals no output for no reason
    that is known, and goes with both ends of its row, as such a sum does, or with one, as one direction's own state;
    None else.

    Nothing takes these apart. With weights a run of them does.
    """
    if [f.rule for f in judgement.findings if f.severity != "note"] != [UNEXPLAINED] or case.weights is not None:
        return None
    if case.config.direction in ("forward", "reverse") or case.trace.layers > 1 or not case.facts:
        return None
    joined = _whole(case)
    if _equal_a_step(case) or any(map(goes_with_two_halves, joined)) or not all(map(_may_be, joined)):
        return None
    sentence = (
        f"{'none was' if case.config.directions is None else 'two were'} stated; no state equals an output, and each "
        "goes with its row's first or last real step, or both: outputs may be the sum (or mean) of two directions, "
        "which cannot be taken apart, and states too, or one direction's own, or weighted means of the row's steps "
        "(attention)"
    )
    tracks = tuple(replace(track, outputs=None) for track in case.trace.tracks)
    return case.with_trace(replace(case.trace, tracks=tracks, source={**case.trace.source, "direction": sentence}))


def as_computed(case: Case, judgement: Judgement) -> Case | None:
    """The case of a state `[B, H]` beside outputs of two directions that nobody stated, no step of which it equals, for
    no reason that is known, without these: a layer behind both may give it, as a bridge to a decoder does; None else.
    """
    errors = [finding.rule for finding in judgement.findings if finding.severity != "note"]
    raw, trace = case.raw("h"), case.trace
    held = [track for track in trace.tracks if track.final is not None]
    told = case.weights is not None or case.config.directions is not None
    if errors != [UNEXPLAINED] or told or raw is None or raw.ndim != 2:
        return None
    if len(trace.tracks) != 2 or trace.directions != 2 or len(held) != 1 or trace.tracks[0].outputs is None:
        return None
    if any(f.mismatched[f.expected >= 0].sum() < 2 or f.equal.any() for f in case.facts) or _equal_a_step(case):
        return None
    sentence = (
        "the state is as wide as one direction and equals no output of either: a layer behind the final states of both "
        "(a dense layer, a bridge to a decoder) may have given it"
    )
    tracks = tuple(replace(track, outputs=None) for track in trace.tracks)
    return case.with_trace(replace(trace, tracks=tracks, source={**trace.source, COMPUTED: sentence}))


def _equal_a_step(case: Case) -> bool:
    """Whether the state of a row of several real steps equals an output, of its own row or of another."""
    for facts in case.facts:
        several = facts.real_counts > 1
        if facts.somewhere[several].any() or any(case.elsewhere(facts, several & ~facts.final_zero).values()):
            return True
    return False


def _may_be(facts: TrackFacts) -> bool:
    """Whether the states go with an end of their rows, or with both, or, of few numbers, may do, and are no multiple of
    one."""
    goes = goes_with_both_ends(facts) or goes_with_one_end(facts) or may_go_with_both_ends(facts)
    return goes and not is_scaled_end(facts)


def _whole(case: Case) -> list[TrackFacts]:
    """The facts of each track; of two directions' halves, as which one array was read, those of the whole."""
    halves = [facts.track for facts in case.facts]
    outputs = [half.outputs for half in halves if half.outputs is not None]
    states = [half.final for half in halves if half.final is not None]
    if [half.direction for half in halves] != list(DIRECTIONS) or len(outputs) != 2 or len(states) != 2:
        return list(case.facts)
    joined = Track(0, DIRECTIONS[0], np.concatenate(outputs, -1), np.concatenate(states, -1))
    whole = measure(case.trace, joined, case.tolerance.rtol, case.tolerance.atol)
    return list(case.facts) if whole is None else [whole]
