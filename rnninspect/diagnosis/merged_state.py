"""One state `[B, H]` beside outputs of two directions side by side: their final states' sum, mean, maximum, product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Ints, Trace, Track, last_true
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import Judgement
from rnninspect.diagnosis.rule import listed
from rnninspect.diagnosis.unexplained import UNEXPLAINED
from rnninspect.measure.decimals import decimals
from rnninspect.measure.matching import gather

ENOUGH = 4  # numbers that must be merged so: fewer are by chance
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
    """The case with both directions' states, where one state is their merge; of two, which were taken for directions
    and are h and c then, in every row."""
    states = [np.asarray(half.final) for half in halves if half.final is not None]
    for right, ends in _ends(case.trace, halves):
        for state in states:
            for name, merge in MERGES.items():
                rows = _merged_rows(merge(*ends), state, case)
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
        "merged from the last steps before them, so these are taken"
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
