"""The state's layers are in the opposite order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from rnninspect.core.trace import Trace
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, fixed_by, proposal
from rnninspect.diagnosis.state_in_hand import layer_by_layer, turned

BY_HALVES = "states = states.reshape(L, D, B, -1).swapaxes(0, 1).reshape(L * D, B, -1)  # halves h_n[0::2], h_n[1::2]"
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
            "Is h_n ordered by layer first, or by direction first?",
        ),
    )

    def code(self, case: Case) -> str:
        for order in _orders(case.trace):
            if any(s.rows.any() for s in _mended(case, order.trace)):
                return order.code
        return self.fix

    def mends(self, case: Case) -> bool:
        """Where outputs tell it: of some states alone a run told it, and the others stand right."""
        return any(facts.mismatched.any() for facts in case.facts)

    def check(self, case: Case) -> Iterable[Proposal]:
        if case.trace.layers < 2:
            return
        from rnninspect.diagnosis.evidence.joined_pools import joined_pools
        from rnninspect.diagnosis.evidence.one_half import may_be_directions
        from rnninspect.diagnosis.evidence.places_in_run import told_by_places

        yield from told_by_places(self, case, "layer")
        if joined_pools(case) is not None:
            return
        for order in _orders(case.trace):
            seen, halved = _mended(case, order.trace), may_be_directions(case)
            one_half = f", or outputs hold the forward half of two directions ({argument('bidirectional', True)})"
            yield from proposal(
                self,
                seen,
                f"{{rows}}: the top layer's outputs end {order.where}" + one_half * halved,
                strength=4,
                certainty="suspected" if halved else "proven",
                fix=order.in_hand(case),
            )

    def undo(self, case: Case) -> Iterable[Undone]:
        if case.trace.layers < 2:
            return
        for order in _orders(case.trace):
            if order.trace is not None:
                yield Undone(order.undone, case.with_trace(order.trace), order.in_hand(case) or order.code)

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


@dataclass(frozen=True, eq=False)
class _Order:
    """The trace with its states in another order (None where they cannot stand so), what is said of it, the rule's code
    and that of the array in hand (empty where the framework's is right)."""

    trace: Trace | None
    where: str
    undone: str
    code: str
    in_hand: Callable[[Case], str]


def _orders(trace: Trace) -> Iterator[_Order]:
    yield _Order(
        _reversed(trace),
        "in the state listed first, not last: the layers are in reverse order",
        "the layers' states in the opposite order",
        LayerOrderReversed.fix,
        lambda case: turned(case, "L", "the bottom layer first"),
    )
    listed = _placed(trace, lambda layer, d: divmod(d * trace.layers + layer, trace.directions))
    yield _Order(
        listed,
        "where the states are listed by direction first, all layers forward and then all backward, not layer by layer: "
        "[D, L, B, H], not [L, D, B, H]",
        "the states taken as [D, L, B, H], all layers forward first",
        DIRECTIONS_FIRST,
        lambda case: layer_by_layer(case, "layer by layer"),
    )
    if trace.layers != trace.directions:  # else it is the same order
        yield _Order(
            _placed(trace, lambda layer, d: divmod(layer * trace.directions + d, trace.layers)[::-1]),
            "where each layer's halves are h_n[:L] and h_n[L:], and h_n is listed layer by layer, not by direction "
            "first: they are h_n[0::2] and h_n[1::2]",
            "the halves of each layer taken from h_n[0::2] and h_n[1::2]",
            BY_HALVES,
            lambda case: "",  # the array is right, and the halves taken from it are not
        )


def _placed(trace: Trace, place: Callable[[int, int], tuple[int, int]]) -> Trace | None:
    """The trace whose states stand elsewhere; None with one direction or where widths differ.

    `place`: of a layer and direction, the layer and direction that the reading took its state for.
    """
    directions = list(dict.fromkeys(t.direction for t in trace.tracks))
    if len(directions) < 2 or any(t.final is None for t in trace.tracks):
        return None
    if len({t.final.shape for t in trace.tracks if t.final is not None}) > 1:
        return None
    tracks = []
    for track in trace.tracks:
        layer, direction = place(track.layer, directions.index(track.direction))
        other = trace.track(layer, directions[direction])
        assert other is not None
        tracks.append(replace(track, final=other.final, cell=other.cell))
    return replace(trace, tracks=tuple(tracks))


RULE = LayerOrderReversed()
