"""What could be named of two mistakes at once: told by injecting others, not by what a report says.

A pair of which not both are named is one of four kinds. `one`: a single mistake gives every array of the pair, so that
a second must not be sought. `other pair`: two others give the same arrays, and these are named. `lost`: too little is
left to tell the two from many others. `missed`: all else, what the tool ought to have named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rule import Rule
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.measure.matching import gather
from tests.support.alike import alike, injected, run_rightly
from tests.support.lost_pairs import made_alone, what_is_gone

Kind = Literal["one", "other pair", "lost", "missed"]
CLASSES: tuple[Kind, ...] = ("one", "other pair", "lost", "missed")
ROUNDING = 1e-6  # by which two ways of running one row differ
MANY = 3  # other pairs that give the same arrays: a report names two alternatives at most


@dataclass(frozen=True)
class Class:
    """The kind, and the rules that show it."""

    kind: Kind
    shown_by: tuple[str, ...] = ()


def class_of(right: Case, both: Case, first: Rule, second: Rule, findings: list[Finding]) -> Class:
    """What could be named of two mistakes, the `second` made in what the `first` left of a `right` run.

    both: the case as it was given to the tool, with weights or without. findings: what the tool said of it.
    """
    if not any(np.asarray(facts.final).any() for facts in both.facts):
        return Class("lost", ("no state that is not zero is beside its outputs",))
    single = next(_single_mistakes(right, both), None)
    if single is not None:
        return Class("one", (single,))
    named = {name for f in findings for name in (f.rule, *f.alternatives)}
    alone = made_alone(second, right)
    if alone is not None and _gives(replace(alone, other=both.other, other_batch=both.other_batch), both):
        return Class("lost", ("all but a second dump, or a c that is absent, is as the second alone leaves it",))
    if gone := what_is_gone(right, both, first, second):
        return Class("lost", (gone,))
    others = tuple(
        dict.fromkeys((*_other_firsts(right, both, second), *_firsts_of_another_run(right, both, first, second)))
    )
    if second.name in others:
        return Class("one", (second.name,))
    if second.name in named and not named.isdisjoint(others):
        return Class("other pair", tuple(name for name in others if name in named))
    padding = sorted(name for name in named if name in rules() and rules()[name].group == "Padding")
    if second.name in named and padding and _shows_in_padding_alone(right, both, first, second):
        return Class("other pair", tuple(padding))
    if len(others) > MANY:
        return Class("lost", others)
    return Class("missed", others)


def _single_mistakes(right: Case, both: Case) -> Iterator[str]:
    """The rules whose mistake, made alone in a right run, gives the arrays of both, or whose mistake undone leaves a
    right run.

    The right run is the one that the pair was made from, or any other that these arrays may be of: with their outputs
    and the states that these tell, or with their states and these at the steps where they belong.
    """
    if _is_of_other_axes(both):
        yield "batch-time-swapped"
    if _is_of_ignored_lengths(both):
        yield "lengths-ignored"
    if one_half := _is_one_half(both):
        yield one_half
    if _is_lower_layer(both):
        yield "wrong-layer"
    weighed = both.weights is not None
    for name, rule in rules().items():
        if isinstance(rule, WeightsRule) and not weighed:
            continue
        for run in (right, *_conceivable(right, both)):
            one = made_alone(rule, right) if run is right else injected(rule, run)
            if one is not None and _gives(one, both):
                yield name
    for name, rule in rules().items():
        if rule.missing(both):
            continue
        for undone in rule.undo(both):
            if _is_right(undone.case):
                yield name


def _is_of_other_axes(both: Case) -> bool:
    """Whether the arrays are those of a layer that ran along the other axes: every state a row's last step, in outputs
    that are nowhere blank, and neither inputs nor weights to say otherwise."""
    if not both.reading.time_swapped or both.batch is not None or not both.facts:
        return False
    forward = all(facts.track.direction == "forward" for facts in both.facts)
    return forward and all(bool(facts.equal[:, -1].all()) and not facts.zero.any() for facts in both.facts)


def _is_of_ignored_lengths(both: Case) -> bool:
    """Whether the arrays are those of some layer that ran over its padding, whose weights nobody gave: no padded output
    is blank, and every state is where a direction that reads all steps ends."""
    if both.weights is not None or not both.facts or both.trace.mask.all() or not both.trace.knows_padding:
        return False
    ends = {"forward": -1, "backward": 0}
    return all(
        facts.equal[:, ends[facts.track.direction]].all()
        and {"computed"} == {p for p, full in zip(facts.padding, facts.mask.all(1), strict=True) if not full}
        for facts in both.facts
    )


def _is_one_half(both: Case) -> str:
    """The rule of a state of which only one half is there, or one half twice, and that is what either direction ends
    in: the halves have no names of their own."""
    if both.weights is not None:
        return ""
    layers = [[t for t in both.trace.tracks if t.layer == k] for k in range(both.trace.layers)]
    whole = all(_is_at_one_end(both, pair) for pair in layers if all(t.final is not None for t in pair))
    halved = [pair for pair in layers if any(t.final is None for t in pair)]
    below = [f for f in both.facts if f.track.layer != both.trace.layers - 1]
    if halved == layers[-1:] and not any(f.mismatched.any() for f in below) and _is_at_one_end(both, halved[0]):
        return "direction-missing"
    return "direction-duplicated" if whole and not halved else ""


def _is_at_one_end(both: Case, pair: list[Track]) -> bool:
    """Whether the states that there are of two directions are one, and what either direction ends in."""
    finals = [t.final for t in pair if t.final is not None]
    if len(pair) != 2 or not finals or any((f != finals[0]).any() for f in finals):
        return False
    ends = [_at_end(both, t) for t in pair]
    return any(e is not None and (e == finals[0]).all() for e in ends)


def _is_lower_layer(both: Case) -> bool:
    """Whether the top layer's states are those of one below, in either direction, and all of these are right."""
    top = [f for f in both.facts if f.track.layer == both.trace.layers - 1]
    below = [f for f in both.facts if f.track.layer == both.trace.layers - 2]
    copied = len(top) == len(below) > 0 and all(
        a.final.shape == b.final.shape and (a.final == b.final).all() for a, b in zip(top, below, strict=True)
    )
    return copied and not any(f.mismatched.any() for f in both.facts if f.track.layer != both.trace.layers - 1)


def _conceivable(right: Case, both: Case) -> Iterator[Case]:
    """The right runs that may lie behind the arrays of both, with the weights of the one that does.

    Weights that were given would give other numbers.
    """
    if both.weights is not None or both.trace.mask.shape != right.trace.mask.shape:
        return
    steps = {(t.layer, t.direction): both.trace.expected_steps(t) for t in both.trace.tracks}

    def at_end(track: Track) -> Array:
        assert track.outputs is not None
        expected = np.maximum(steps[track.layer, track.direction], 0)
        return np.asarray(gather(track.outputs, np.arange(expected.size), expected))

    def with_states_of_outputs(track: Track) -> Track:
        return track if track.outputs is None else replace(track, final=at_end(track))

    def with_cells_exchanged(track: Track) -> Track:
        there = track.outputs is not None and track.cell is not None
        return replace(track, final=at_end(track), cell=track.final) if there else track

    def with_outputs_of_states(track: Track) -> Track:
        before = right.trace.track(track.layer, track.direction)
        if (
            before is None
            or before.outputs is None
            or track.final is None
            or before.outputs.shape[2] != track.final.shape[1]
        ):
            return track
        outputs, rows = before.outputs.copy(), np.flatnonzero(steps[track.layer, track.direction] >= 0)
        outputs[rows, steps[track.layer, track.direction][rows]] = track.final[rows]
        return replace(track, outputs=outputs)

    for change in (with_states_of_outputs, with_cells_exchanged, with_outputs_of_states):
        run = both.with_tracks(change)
        if _is_right(run):
            yield run.with_weights(right.weights)


def _is_right(case: Case) -> bool:
    """Whether nothing is said of a case."""
    return not judge(case, rules(), seek_two=False).findings


def _gives(case: Case, both: Case) -> bool:
    """Whether a case holds the arrays of both, which may lack weights and cell states that it has."""
    if len(case.trace.tracks) != len(both.trace.tracks):
        return False
    pairs = zip(case.trace.tracks, both.trace.tracks, strict=True)
    bare = case.with_trace(
        replace(case.trace, tracks=tuple(replace(t, cell=None) if other.cell is None else t for t, other in pairs))
    )
    return alike(bare if both.weights is not None else bare.with_weights(None), both, ROUNDING)


def _shows_in_padding_alone(right: Case, both: Case, first: Rule, second: Rule) -> bool:
    """Whether the second mistake, made in a right run of what the first left in inputs and lengths, gives the arrays of
    both but for padded outputs: what these hold is a mistake by itself, whatever put it there."""
    one = made_alone(first, right)
    again = None if one is None or one.batch is None else injected(second, run_rightly(one))
    if again is None or len(again.trace.tracks) != len(both.trace.tracks):
        return False
    bare = again if both.weights is not None else again.with_weights(None)
    return alike(bare.with_padding_at_zero(), both.with_padding_at_zero(), ROUNDING)


def _firsts_of_another_run(right: Case, both: Case, first: Rule, second: Rule) -> Iterator[str]:
    """The first mistakes with which the second gives the same arrays in another run: its padding computed as the first
    one's is, where nobody gave weights, or states of zeros, of which nothing tells where they are from."""
    one, alone = made_alone(first, right), made_alone(second, right)
    if one is None or alone is None:
        return
    padding = {p for facts in one.facts for p in facts.padding} if both.weights is None else set()
    if "computed" in padding and np.array_equal(one.trace.mask, right.trace.mask):
        with_padding = one.with_tracks(lambda t: replace(t, final=_at_end(one, t), cell=t.cell))
        two = injected(second, with_padding)
        if two is not None and _gives(two, both):
            yield "padding-computed"
    if len(alone.trace.tracks) == len(both.trace.tracks) and _gives(_with_zeros_of(alone, both), both):
        yield "state-never-written"


def _at_end(case: Case, track: Track) -> Array | None:
    """`[B, H]`: the outputs of each row's own last step."""
    steps = np.maximum(case.trace.expected_steps(track), 0)
    return track.final if track.outputs is None else np.asarray(gather(track.outputs, np.arange(steps.size), steps))


def _with_zeros_of(case: Case, both: Case) -> Case:
    """The case with zeros for every state that is zero in both."""

    def zeroed(state: Array | None, theirs: Array | None) -> Array | None:
        if state is None or theirs is None or state.shape != theirs.shape:
            return state
        return np.where(theirs.any(-1, keepdims=True), state, 0).astype(state.dtype)

    pairs = zip(case.trace.tracks, both.trace.tracks, strict=True)
    tracks = tuple(replace(a, final=zeroed(a.final, b.final), cell=zeroed(a.cell, b.cell)) for a, b in pairs)
    return case.with_trace(replace(case.trace, tracks=tracks))


def _other_firsts(right: Case, both: Case, second: Rule) -> Iterator[str]:
    """The first mistakes with which the second gives the same arrays, the one that was made among them."""
    for name, rule in rules().items():
        one = None if rule is second else made_alone(rule, right)
        two = None if one is None else injected(second, one)
        if two is not None and _gives(two, both):
            yield name
