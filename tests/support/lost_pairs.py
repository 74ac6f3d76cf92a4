"""What of the first of two mistakes is gone once the second is made: told by the arrays of each alone."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import Rule
from rnninspect.diagnosis.weights_rule import WeightsRule
from tests.support.alike import alike, injected, run_rightly, same

FEW = 8  # numbers that chance may bring together


@functools.cache
def made_alone(rule: Rule, right: Case) -> Case | None:
    """The right run with one mistake, made once."""
    return injected(rule, right)


def what_is_gone(right: Case, both: Case, first: Rule, second: Rule) -> str:
    """What of the first mistake is left nowhere, since the second overwrote it, in words; empty where something is."""
    if _second_dump_is_replaced(right, both, first, second):
        return "the dump that the first one's differs from is gone"
    if both.batch is None and "inputs" in first.needs:
        return "the inputs that the first one is told by are gone"
    if _is_of_no_changed_weights(right, both, first, second):
        return "no number of the first one's is made with the weights that the second one changed"
    if _states_are_written_again(right, both, first, second):
        return "every state that the first one took is written again, whatever it was"
    if first.name == "cell-hidden-swapped" and both.weights is None and not both.has("cell state"):
        return "the states are c, of which no other array tells"
    if first.name == "direction-missing" and not any(t.final is not None for t in _top(both)):
        return "of the state of which one half was missing nothing is left"
    if both.trace.batch_size < right.trace.batch_size and first.in_states and _is_of_no_output(both):
        return "the rows whose steps the first one's states are were dropped"
    if both.trace.batch_size < right.trace.batch_size and _is_of_dropped_rows(right, both, first, second):
        return "the rows whose inputs or lengths the first one's numbers are of were dropped"
    if _is_left_in_one_step(right, both, second):
        return "the first one shows in one row of one step alone, in which the second one had it begin"
    if first.name == "pooled-state" and _few_terms_are_left(right, both):
        return "of a pool, too few units have all their terms left"
    if _states_are_of_nowhere(right, both, first, second):
        return "the outputs that the first one's states are of are gone"
    return ""


def _top(case: Case) -> list[Track]:
    return [t for t in case.trace.tracks if t.layer == case.trace.layers - 1]


def _is_of_no_output(both: Case) -> bool:
    """Whether every state that is off, and not zero, equals no output of any track."""
    outputs = [f.outputs.reshape(-1, f.outputs.shape[2]) for f in both.facts]
    off = [state for f in both.facts for state in f.final[f.mismatched & ~f.final_zero]]
    return not any((o == state).all(-1).any() for state in off for o in outputs if o.shape[1] == state.size)


def _is_of_no_changed_weights(right: Case, both: Case, first: Rule, second: Rule) -> bool:
    """Whether the first mistake, made in a run of the weights that the second changed, gives the same arrays: such a
    run tells nothing of the change."""
    if not isinstance(second, WeightsRule) or both.weights is None:
        return False
    ran = run_rightly(right.with_weights(both.weights))
    again = injected(first, ran)
    return again is not None and alike(again, both)


def _states_are_written_again(right: Case, both: Case, first: Rule, second: Rule) -> bool:
    """Whether the first mistake is in the states alone, and the second gives the same arrays of any others."""
    one = made_alone(first, right)
    if one is None or not first.in_states:
        return False
    others = one.with_tracks(lambda t: t if t.final is None else replace(t, final=-t.final))
    again = injected(second, others)
    return again is not None and alike(again if both.weights is not None else again.with_weights(None), both)


def _is_of_dropped_rows(right: Case, both: Case, first: Rule, second: Rule) -> bool:
    """Whether the first mistake, made in the rows that the second keeps, would leave other arrays, or none."""
    kept = made_alone(second, right)
    again = None if kept is None else injected(first, kept)
    return again is None or not alike(again if both.weights is not None else again.with_weights(None), both)


def _is_left_in_one_step(right: Case, both: Case, second: Rule) -> bool:
    """Whether all arrays but those of one row, which has one real step, are as the second mistake alone leaves them."""
    alone = made_alone(second, right)
    if alone is None or both.other is not None or not same(alone.batch, both.batch):
        return False
    rows = np.zeros(both.trace.batch_size, dtype=np.bool_)
    for a, b in zip(alone.trace.tracks, both.trace.tracks, strict=False):
        for one, other in ((a.outputs, b.outputs), (a.final, b.final), (a.cell, b.cell)):
            if one is not None and other is not None and one.shape == other.shape:
                rows |= (one != other).reshape(len(one), -1).any(1)
    return (
        rows.sum() == 1 and bool((both.trace.real_counts[rows] == 1).all()) and same(alone.trace.mask, both.trace.mask)
    )


def _few_terms_are_left(right: Case, both: Case) -> bool:
    """Whether, without weights, so few units have all the outputs left that are not zero in a right run that a pool of
    these tells nothing."""
    if both.weights is not None or len(right.trace.tracks) != len(both.trace.tracks):
        return False
    left = 0
    for before, track in zip(right.trace.tracks, both.trace.tracks, strict=True):
        if before.outputs is None or track.outputs is None or before.outputs.shape != track.outputs.shape:
            return False
        left += int(((track.outputs != 0) | (before.outputs == 0)).all(1).sum())
    return left < FEW


def _second_dump_is_replaced(right: Case, both: Case, first: Rule, second: Rule) -> bool:
    """Whether the second mistake put a dump of its own in place of the one that the first differs from."""
    one, alone = made_alone(first, right), made_alone(second, right)
    if one is None or alone is None or not first.compares or one.other is None or alone.other is None:
        return False
    first_dump, second_dump, dump = (replace(both, other=case.other, other_batch=None) for case in (one, alone, both))
    return alike(second_dump, dump) and not alike(first_dump, dump)


def _states_are_of_nowhere(right: Case, both: Case, first: Rule, second: Rule) -> bool:
    """Whether a state that the second mistake left as it was can be told by nothing that is left, because of the first:
    it was some output, and the second left zeros, none, or numbers of its own in place of every one that it equals; nor
    do weights tell it."""
    one, alone = made_alone(first, right), made_alone(second, right)
    if one is None or alone is None or both.weights is not None:
        return False
    for track in both.trace.tracks:
        place = track.layer, track.direction
        runs = [right.trace.track(*place), one.trace.track(*place), alone.trace.track(*place)]
        start, before, after = [(t.outputs, t.final) if t is not None else (None, None) for t in runs]
        if track.final is None or track.outputs is None or before[0] is None or start[0] is None:
            continue
        for state in track.final:
            if not state.any() or not _is_among(state, before[1]):
                continue
            overwritten = after[0] is not None and _is_overwritten(
                state, (start[0], before[0], after[0]), track.outputs
            )
            if not overwritten and not _is_gone(state, before[0], track.outputs):
                continue
            anyway = after[0] is not None and _is_among(state, after[1]) and _is_gone(state, start[0], after[0])
            if not anyway:
                return True
    return False


def _is_among(state: Array, states: Array | None) -> bool:
    """Whether a state `[H]` is one of these `[B, H]`."""
    return states is not None and any(np.array_equal(state, other) for other in states)


def _is_gone(state: Array, before: Array, after: Array) -> bool:
    """Whether a state `[H]` is an output before, and nothing is left after of any output that it was."""
    if before.shape[2] != state.size or not (there := (before == state).all(-1)).any():
        return False
    return not after[there].any() if before.shape == after.shape else not (after == state).all(-1).any()


def _is_overwritten(state: Array, runs: tuple[Array, Array, Array], outputs: Array) -> bool:
    """Whether a state `[H]` is an output of the first mistake's run and none of `outputs`, which hold in its place what
    the second alone makes there of other numbers: nothing of the first is in them.

    runs: the outputs of the right run, and of those with the first and with the second mistake alone.
    """
    start, before, alone = runs
    if not start.shape == before.shape == outputs.shape == alone.shape:
        return False
    there = (before == state).all(-1)
    is_anywhere = (outputs == state).all(-1).any() or (start[there] == state).all(-1).any()
    return bool(there.any()) and np.array_equal(outputs[there], alone[there]) and not is_anywhere
