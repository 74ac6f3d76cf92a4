"""The stated initial states, in another order than the run began with: of the rows, of the layers or directions, of h
and c, or viewed; or some of them in the place of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np

from rnninspect.core.trace import Array, Direction
from rnninspect.diagnosis.case import Case, States
from rnninspect.diagnosis.evidence.starts import begun_elsewhere, describe_starts, origins, started, starts_off
from rnninspect.diagnosis.evidence.weight_search import agrees, tolerance

EXCHANGED = "it started from c_0 as its h and from h_0 as its c: the two were passed in each other's place"


def began_otherwise(case: Case) -> str:
    """In words, which state each row began with instead of its own, where a run from these is the dump; else empty."""
    states = {(t.layer, t.direction): (t.initial, t.initial_cell) for t in case.trace.tracks if t.initial is not None}
    if case.batch is None or len(states) != len(case.trace.tracks) or agrees(case):
        return ""
    ways = chain(
        _with_c_for_h(states),
        _of_other_rows(case, states),
        _of_other_layers(case, states),
        _of_one_of_them(case, states),
    )
    for sentence, others in ways:
        if agrees(started(case, others)):
            return sentence
    return ""


def _with_c_for_h(states: States) -> Iterator[tuple[str, States]]:
    exchanged: States = {key: (c, h) for key, (h, c) in states.items() if c is not None and c.shape == h.shape}
    if len(exchanged) == len(states):
        yield EXCHANGED, exchanged


def _of_other_rows(case: Case, states: States) -> Iterator[tuple[str, States]]:
    for facts in case.facts:
        rows = np.flatnonzero(starts_off(facts, case.reference, tolerance(case)))
        whose = np.arange(case.trace.batch_size)
        if rows.size:
            whose[rows] = origins(case, facts, rows, states)
            if (whose >= 0).all():
                yield (
                    f"it started from another row's: {describe_starts(rows, whose[rows])}",
                    begun_elsewhere(states, whose),
                )
            return


def _of_other_layers(case: Case, states: States) -> Iterator[tuple[str, States]]:
    """Of states of one shape alone: in reverse order of the layers, or viewed along another axis first."""
    keys = [(t.layer, t.direction) for t in case.trace.tracks]
    h, c = _stacked([states[key][0] for key in keys]), _stacked([states[key][1] for key in keys])
    if len(keys) < 2 or h is None:
        return
    (count, rows), layers, directions = h.shape[:2], case.trace.layers, case.trace.directions
    ways: tuple[tuple[str, Callable[[Array], Array]], ...] = (
        ("the layers' in reverse order", lambda s: s.reshape(layers, directions, rows, -1)[::-1].reshape(s.shape)),
        ("a view of [batch, layers x directions, units]", lambda s: s.swapaxes(0, 1).reshape(s.shape)),
        ("what was a view of these", lambda s: s.reshape(rows, count, -1).swapaxes(0, 1)),
    )
    for what, change in ways:
        changed_h, changed_c = change(h), None if c is None else change(c)
        others: States = {
            key: (changed_h[i], None if changed_c is None else changed_c[i]) for i, key in enumerate(keys)
        }
        yield f"it started from {what}", others


def _of_one_of_them(case: Case, states: States) -> Iterator[tuple[str, States]]:
    """h for both, c for both; one layer's for all layers, one direction's for both, or the directions exchanged."""
    pairs = {key: (h, c) for key, (h, c) in states.items() if c is not None and c.shape == h.shape}
    for number, name in enumerate("hc") if len(pairs) == len(states) else ():
        both: States = {key: (pair[number], pair[number]) for key, pair in pairs.items()}
        yield f"it started from {name}_0 as its h and as its c", both
    keys, layers = list(states), case.trace.layers
    if len({h.shape for h, _ in states.values()}) > 1:
        return
    ways = [(f"layer {k}'s in every layer", {key: (k, key[1]) for key in keys}) for k in range(layers) if layers > 1]
    if case.trace.directions == 2:
        other: dict[Direction, Direction] = {"forward": "backward", "backward": "forward"}
        ways += [("those of the other direction", {key: (key[0], other[key[1]]) for key in keys})]
        ways += [(f"the {one} direction's in both", {key: (key[0], one) for key in keys}) for one in other]
    for what, taken in ways:
        yield f"it started from {what}", {key: states[taken[key]] for key in keys}


def _stacked(states: list[Array | None]) -> Array | None:
    """`[S, B, H]`; None where one is absent, or they differ in shape."""
    there = [s for s in states if s is not None]
    return np.stack(there) if len(there) == len(states) and len({s.shape for s in there}) == 1 else None
