"""Several layers hold one identical state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import DIRECTIONS, Bools, Direction, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Place, Proposal, Rule, Thread, describe_rows, listed, places
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import same


class LayersShareState(Rule):
    name = "layers-share-state"
    summary = "several layers hold one identical state: one layer's state was given to all of them"
    why = (
        "A decoder with several layers needs one state per layer. One state repeated, as in (state,) * layers, has "
        "the right structure, but starts every layer from the same numbers and loses what the other layers computed."
    )
    fix = "states = np.stack(final_states)  # every layer's own, the bottom layer first; not one repeated"
    group = "Rows, axes, layers"
    place = 8
    needs = ()
    implies = ("wrong-layer",)
    example = "stack"
    in_states = True
    threads = (
        Thread(
            "https://github.com/zhedongzheng/finch/issues/1",
            "The top layer's state of an encoder starts every layer of the decoder.",
        ),
        Thread(
            "https://github.com/shen1994/ChatRobot/issues/3",
            "Both layers of a decoder start from the state of a one-layer encoder, and the results are bad.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        for direction in DIRECTIONS:
            for group in _groups(case.trace, direction):
                rows = np.flatnonzero(_real_rows(case.trace))
                layers = [track.layer for track in group]
                by_layer = [places(f, f.mismatched) for f in case.facts if f.track in group]
                off = frozenset[Place]().union(*by_layer)
                if len(by_layer) < len(group) and any(map(_stands, (f for f in case.facts if f.track in group))):
                    off = (
                        frozenset()
                    )  # a layer's own state was given to the others; what is off in it is another mistake's
                if off and len(group) < case.trace.layers:
                    continue  # one layer's state in another's place
                yield Proposal(
                    self.name,
                    f"{describe_rows(rows.tolist(), case.trace.batch_size)}: layers {listed(layers)} ({direction}) "
                    "hold one identical state, value for value: one layer's state was given to all",
                    off or frozenset((layer, direction, int(b)) for layer in layers for b in rows),
                    kind="state" if off else "fact",
                    strength=6,
                    alternatives=("wrong-layer",) if off else (),
                    copies=tuple(by_layer) if len(by_layer) == len(group) else (),
                    evidence={"layers": layers},
                )

    def inject(self, case: Case) -> Case:
        trace = case.trace
        if trace.layers < 2 or any(t.final is None for t in trace.tracks):
            raise CannotInject("needs the states of two layers")
        tops = {t.direction: t for t in trace.tracks if t.layer == trace.layers - 1}
        if any(t.final is not None and t.final.shape != tops[t.direction].final.shape for t in trace.tracks):  # type: ignore[union-attr]
            raise CannotInject("needs layers of one width")

        def shared(track: Track) -> Track:
            return replace(track, final=tops[track.direction].final, cell=tops[track.direction].cell)

        return case.with_tracks(shared)


def _stands(facts: TrackFacts) -> bool:
    """Whether the states are of this layer: one that could be off is right, or is another step of its row."""
    telling = ~facts.uniform & ~facts.final_blank
    return bool((telling & (facts.at_expected | facts.equal.any(1))).any())


def _groups(trace: Trace, direction: Direction) -> Iterator[list[Track]]:
    """The layers of one direction whose states are equal in every row that has a real step; two or more each."""
    left = [t for t in trace.tracks if t.direction == direction and t.final is not None]
    while left:
        group = [t for t in left if t is left[0] or _shared(left[0], t, _real_rows(trace))]
        left = [t for t in left if all(t is not other for other in group)]
        if len(group) > 1:
            yield group


def _real_rows(trace: Trace) -> Bools:
    """`[B]`: rows with a real step; a row without one may rightly hold one initial state in all layers."""
    return np.asarray(trace.mask.any(1))


def _shared(one: Track, other: Track, rows: Bools) -> bool:
    """Whether two layers' h are equal in these rows, whatever c is, and hold more than zeros and saturated ones."""
    a, b = one.final, other.final
    if a is None or b is None or a.shape != b.shape or not rows.any():
        return False
    alike = bool(same(a[rows], b[rows]).all())
    return alike and np.unique(np.abs(a[rows][~np.isin(np.abs(a[rows]), (0, 1))])).size > 1


RULE = LayersShareState()
