"""The state's layers are in the opposite order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rnninspect.core.trace import Trace
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.one_half import may_be_directions
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, fixed_by, proposal

DIRECTIONS_FIRST = "states = states.reshape(D, L, B, -1).swapaxes(0, 1).reshape(L * D, B, -1)  # layer by layer"


class LayerOrderReversed(Rule):
    name = "layer-order-reversed"
    summary = "the state's entry k holds layer L-1-k: the layers are listed in reverse order"
    why = (
        "Frameworks list the states of the layers from the bottom up. A hand-written list, an exporter or another "
        "library may list them from the top down; if all layers have the same width, the shapes do not show it."
    )
    fix = "states = states.reshape(L, D, B, -1)[::-1].reshape(L * D, B, -1)  # the bottom layer first"
    fixed_in = "arrays"
    moves = "state"
    group = "Rows, axes, layers"
    place = 7
    needs = ("outputs",)
    implies = ("wrong-layer",)
    example = "stack"
    in_states = True
    threads = (
        Thread(
            "https://github.com/keras-team/keras/pull/11021",
            "Keras' stacked cells listed their states from the top layer down until this change.",
        ),
        Thread(
            "https://github.com/OpenNMT/OpenNMT-py/issues/61",
            "Does h_n run through a layer's directions first, or through all layers of one direction?",
        ),
    )

    def code(self, case: Case) -> str:
        by_direction = _directions_first(case.trace)
        if not any(s.rows.any() for s in _mended(case, _reversed(case.trace))) and by_direction is not None:
            return DIRECTIONS_FIRST
        return self.fix

    def check(self, case: Case) -> Iterable[Proposal]:
        if case.trace.layers < 2:
            return
        for fixed, where in (
            (_reversed(case.trace), "in the state listed first, not last: the layers are in reverse order"),
            (
                _directions_first(case.trace),
                "where the states are listed by direction first, all layers forward and then all backward, not layer "
                "by layer: [D, L, B, H], not [L, D, B, H]",
            ),
        ):
            seen, halved = _mended(case, fixed), may_be_directions(case)
            one_half = f", or outputs hold the forward half of two directions ({argument('bidirectional', True)})"
            yield from proposal(
                self,
                seen,
                f"{{rows}}: the top layer's outputs end {where}" + one_half * halved,
                strength=4,
                certainty="suspected" if halved else "proven",
            )

    def undo(self, case: Case) -> Iterable[Undone]:
        if case.trace.layers < 2:
            return
        for trace, how in (
            (_reversed(case.trace), "the layers' states in the opposite order"),
            (_directions_first(case.trace), "the states taken as [D, L, B, H], all layers forward first"),
        ):
            if trace is not None:
                yield Undone(how, case.with_trace(trace))

    def inject(self, case: Case) -> Case:
        fixed = _reversed(case.trace) if case.trace.layers > 1 else None
        if fixed is None:
            raise CannotInject("needs two layers of one width")
        return case.with_trace(fixed)


def _mended(case: Case, fixed: Trace | None) -> list[Seen]:
    """The rows that another order of the states mends."""
    return [] if fixed is None else fixed_by(case, fixed)


def _reversed(trace: Trace) -> Trace | None:
    """The trace with its states listed from the top down; None where widths differ."""
    tracks = []
    for track in trace.tracks:
        other = trace.track(trace.layers - 1 - track.layer, track.direction)
        if other is None or other.final is None or track.final is None or other.final.shape != track.final.shape:
            return None
        tracks.append(replace(track, final=other.final, cell=other.cell))
    return replace(trace, tracks=tuple(tracks))


def _directions_first(trace: Trace) -> Trace | None:
    """The trace whose states were listed `[D, L, B, H]`, read so; None with one direction or where widths differ."""
    count, directions = trace.layers, list(dict.fromkeys(t.direction for t in trace.tracks))
    listed = [trace.track(layer, d) for layer in range(count) for d in directions]
    if len(directions) < 2 or any(t is None or t.final is None for t in listed):
        return None
    if len({t.final.shape for t in listed if t is not None and t.final is not None}) > 1:
        return None
    tracks = []
    for track in trace.tracks:
        other = listed[directions.index(track.direction) * count + track.layer]
        assert other is not None
        tracks.append(replace(track, final=other.final, cell=other.cell))
    return replace(trace, tracks=tuple(tracks))


RULE = LayerOrderReversed()
