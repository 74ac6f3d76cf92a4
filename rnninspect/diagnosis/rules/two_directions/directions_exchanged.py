"""The forward and the backward half change places: in the state, in the outputs, or in both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Bools, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import first_word, gathered, within_lengths
from rnninspect.diagnosis.rule import (
    CannotInject,
    Proposal,
    Rule,
    Seen,
    Thread,
    Undone,
    convincing,
    proposal,
)
from rnninspect.diagnosis.state_in_hand import turned
from rnninspect.measure.facts import TrackFacts, may_end_right, measure

OF_STATE = "h = np.concatenate([h_bw, h_fw], axis=-1)  # the half that was second is the forward one"
BOTH_ANEW = "h = outputs[np.arange(B), lengths - 1]  # each direction's own end"
OF_OUTPUTS = "outputs = np.concatenate([outputs_bw, outputs_fw], axis=-1)  # the second half is the forward one"
OF_WEIGHTS = "weights_fw, weights_bw = weights_bw, weights_fw  # every kernel and bias of each layer, under both names"
OF_STACK = "states = states.reshape(L, D, B, -1)[:, ::-1].reshape(L * D, B, -1)  # of every layer the forward one first"


class DirectionsExchanged(Rule):
    name = "directions-exchanged"
    summary = "the forward and the backward half stand in each other's place"
    why = (
        "Both halves have one shape, so nothing fails when they change places: (bw, fw) unpacked as (fw, bw), or "
        "cat([h[-1], h[-2]]) for cat([h[-2], h[-1]]). Frameworks put the forward half first."
    )
    fix = OF_STATE
    fixed_in = "arrays"
    moves = "state"
    group = "Directions"
    place = 7
    needs = ("outputs", "two directions")
    implies = ("backward-final-at-last-step",)
    example = "bidirectional"
    threads = (
        Thread(
            "https://github.com/soumith/cudnn.torch/issues/357",
            "In which order do the outputs hold the two directions, [forward, backward] or [backward, forward]?",
        ),
        Thread(
            "https://github.com/pytorch/pytorch/pull/74291",
            "The documentation did not say how the halves of h_n correspond to the halves of the outputs.",
        ),
    )

    def code(self, case: Case) -> str:
        way, _ = _seen_way(case)
        return _of_state(case) if way is None else way.code

    def held_as(self, case: Case) -> str:
        return within_lengths(case, self.name)

    def undecided(self, case: Case) -> str:
        """Layers whose states are one array with the top one's were exchanged with it."""
        way, _ = _seen_way(case)
        if way is None or way.code == OF_OUTPUTS or not _holds_other_layers(case) or case.raw("h") is not None:
            return ""
        return (
            "whether the states of the layers below are exchanged too is not told by these arrays; give their outputs"
        )

    def mends(self, case: Case) -> bool:
        """Where outputs tell it: of some states alone a run told it, and the others stand right."""
        return any(facts.mismatched.any() for facts in case.facts)

    def check(self, case: Case) -> Iterable[Proposal]:
        if not any(facts.mismatched.any() for facts in case.facts):
            if case.has("inputs") and case.has("weights"):
                from rnninspect.diagnosis.evidence.places_in_run import told_by_places

                yield from told_by_places(self, case, "direction")
                yield from _of_weights(self, case)
            return
        way, seen = _seen_way(case)
        if way is not None and way.what == "states" and (half := _one_half_alone(case, seen)) is not None:
            other = "forward" if half.facts.track.direction == "backward" else "backward"
            yield from proposal(
                self,
                [half],
                f"{{rows}}: the {half.facts.track.direction} half of final_state.h is what the {other} outputs end in, "
                f"and the {other} half is not what the {half.facts.track.direction} ones do: one half stands in the "
                "place of the other",
                strength=5,
                fix=gathered(case, BOTH_ANEW),
                evidence={"exchanged": "states"},
            )
        elif way is not None:
            yield from proposal(
                self,
                seen if way.what == "outputs" else _where_they_lie(seen),
                f"{{rows}}: {way.sentence}",
                strength=5,
                fix=_of_hand(case, way),
                evidence={"exchanged": way.what},
            )

    def undo(self, case: Case) -> Iterable[Undone]:
        for way in _ways(case):
            yield Undone(f"the two directions' {way.what} exchanged", case.with_trace(way.trace), _of_hand(case, way))

    def inject(self, case: Case) -> Case:
        if case.trace.directions != 2 or any(t.final is None for t in case.trace.tracks):
            raise CannotInject("needs two directions")
        exchanged = _exchanged(case.trace, outputs=False, states=True)
        if exchanged is None:
            raise CannotInject("needs two directions of one width")
        return case.with_trace(exchanged)


def _of_weights(rule: Rule, case: Case) -> Iterable[Proposal]:
    """The weights of the two directions in each other's place: a run of them put right gives the dump."""
    from rnninspect.diagnosis.evidence.part_search import exchanged_directions
    from rnninspect.diagnosis.weights_rule import everywhere

    fit = exchanged_directions(case)
    if fit is not None:
        yield Proposal(
            rule.name,
            f"a run with these weights differs from the dump by up to {fit.before:.2g}; with "
            f"{fit.changes[0].description}, by {fit.after:.2g}: they were exchanged, and the dump is right",
            everywhere(case),
            kind="fact",
            fix=OF_WEIGHTS,
            evidence={"before": fit.before, "after": fit.after, "exchanged": "weights"},
        )


def _one_half_alone(case: Case, seen: list[Seen]) -> Seen | None:
    """The rows of the one half that is the other direction's, where in none is the other half this direction's and all
    of that is off; None where both are, or nothing is off beside it."""
    lie = [s for s in _where_they_lie(seen) if s.rows.any()]
    if len(lie) != 1 or case.trace.directions != 2:
        return None
    layer, way = lie[0].facts.track.layer, lie[0].facts.track.direction
    beside = [f for f in case.facts if f.track.layer == layer and f.track.direction != way]
    off = bool(beside) and all((f.mismatched | (f.expected < 0)).all() for f in beside)
    return lie[0] if off else None


@frozen(eq=False)
class _Way:
    """What may have changed places, the case's trace with that put back, and what says and mends it."""

    what: str
    sentence: str
    code: str
    trace: Trace


def _ways(case: Case) -> Iterator[_Way]:
    """The three, the state alone first; none where the halves differ in width."""
    of_state, first = _of_state(case), first_word(case)
    last = "the last real step" if case.trace.knows_padding else "one of their steps"
    ways = (
        (
            "states",
            False,
            True,
            "the halves of final_state.h are exchanged: each is the final step of the other direction",
            of_state,
        ),
        (
            "outputs",
            True,
            False,
            f"the forward half of final_state.h equals the second half of the outputs at {last}, and the "
            f"backward half the first one at {first}: the two halves of the outputs are exchanged",
            OF_OUTPUTS,
        ),
        (
            "outputs and states",
            True,
            True,
            f"the first half of final_state.h equals its outputs at {first}, and the second half its own at {last}: "
            "the first half is the backward one, in outputs and state",
            f"{OF_OUTPUTS}\n{of_state}",
        ),
    )
    for what, outputs, states, sentence, code in ways:
        trace = _exchanged(case.trace, outputs, states)
        if trace is not None:
            yield _Way(what, sentence, code, trace)


def _of_hand(case: Case, way: _Way) -> str:
    """The code that turns what is exchanged in the arrays in hand; of states alone, where they are no whole array of
    the layer's, empty: the framework's is right."""
    states = "" if way.what == "outputs" else turned(case, "D", "of every layer the forward one first")
    if way.what == "states":
        return states
    return f"{OF_OUTPUTS}\n{states}" if states else way.code


def _of_state(case: Case) -> str:
    return OF_STACK if _holds_other_layers(case) else OF_STATE


def _holds_other_layers(case: Case) -> bool:
    """Whether the states of layers below the top one are there too, of both directions and of one shape."""
    finals = [t.final for t in case.trace.tracks]
    return case.trace.layers > 1 and len({None if f is None else f.shape for f in finals}) == 1


def _seen_way(case: Case) -> tuple[_Way | None, list[Seen]]:
    """The way that puts right the most of what is off and loses no row that is right, and the rows it puts right; of
    equals the first, as rows of one step tell no way from another. (None, []) where none does."""
    best: tuple[_Way | None, list[Seen]] = None, []
    for way in _ways(case):
        seen = _put_right(case, way.trace)
        if convincing(case, seen) and _count(seen) > _count(best[1]):
            best = way, seen
    return best


def _where_they_lie(seen: list[Seen]) -> list[Seen]:
    """The states that are right in the other direction, in the place in which they were seen: what else is wrong there
    has another cause."""
    right = {(s.facts.track.layer, s.facts.track.direction): s.rows for s in seen}
    other = {"forward": "backward", "backward": "forward"}
    return [
        Seen(s.facts, s.facts.mismatched & right[s.facts.track.layer, other[s.facts.track.direction]])  # type: ignore[index]
        for s in seen
        if (s.facts.track.layer, other[s.facts.track.direction]) in right
    ]


def _count(seen: list[Seen]) -> int:
    return sum(int(s.rows.sum()) for s in seen)


def _put_right(case: Case, trace: Trace) -> list[Seen]:
    """The rows that are off in the case and right in `trace`, told by their expected step alone; none where a row that
    was right is lost."""
    seen = []
    for facts in case.facts:
        track = trace.track(facts.track.layer, facts.track.direction)
        assert track is not None
        right = _is_right(case, trace, track, facts)
        if right is None or (~facts.mismatched & ~facts.uninformative & ~right).any():
            return []
        telling = np.asarray(track.final).any(-1) & ~facts.uniform
        seen.append(Seen(facts, facts.mismatched & right & telling))
    return seen


def _is_right(case: Case, trace: Trace, track: Track, facts: TrackFacts) -> Bools | None:
    """`[B]`: whether the track's states are where they ought to be; None where they cannot be compared."""
    rtol, atol = case.tolerance.rtol, case.tolerance.atol
    if facts.expected_known:
        return may_end_right(trace, track, rtol, atol, np.arange(facts.ends.size))
    measured = measure(trace, track, rtol, atol)  # where the rows end is not known: any step of the row will do
    return None if measured is None else measured.at_expected


def _exchanged(trace: Trace, outputs: bool, states: bool) -> Trace | None:
    """The trace with the outputs, the states or both of every layer's two directions in each other's place; None with
    one direction, where the directions lie differently along time, or where they differ in shape."""
    tracks = []
    for track in trace.tracks:
        other = trace.track(track.layer, "backward" if track.direction == "forward" else "forward")
        if other is None or track.order != "time" or not _of_one_shape(track, other):
            return None
        track = replace(track, outputs=other.outputs) if outputs else track
        tracks.append(replace(track, final=other.final, cell=other.cell) if states else track)
    return replace(trace, tracks=tuple(tracks))


def _of_one_shape(track: Track, other: Track) -> bool:
    pairs = ((track.outputs, other.outputs), (track.final, other.final), (track.cell, other.cell))
    if any((a is None) != (b is None) for a, b in pairs[:2]):  # c may be there of one half alone
        return False
    return all(a is None or b is None or a.shape == b.shape for a, b in pairs)


RULE = DirectionsExchanged()
