"""Rows that stand in another order than a run of the weights gives them, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rnninspect.core.trace import Ints
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.order_of_inputs import order_of_inputs
from rnninspect.diagnosis.evidence.rows_of_run import orders_in_run
from rnninspect.diagnosis.evidence.states_of_run import StatePlace
from rnninspect.diagnosis.rule import Proposal, Rule, describe_rows, listed


def told_by_run(rule: Rule, case: Case) -> Iterator[Proposal]:
    """Inputs of other rows than the outputs, and states that no output tells of other rows than the run's."""
    order = order_of_inputs(case)
    if order is not None:
        moved = np.flatnonzero(order != np.arange(order.size)).tolist()
        yield Proposal(
            rule.name,
            "{rows}: the inputs are of other rows than the outputs and the final state: in the order of rows "
            f"[{listed(order.tolist(), 12)}], a run of the weights gives every output; as they stand, it does not",
            frozenset((f.track.layer, f.track.direction, row) for f in case.facts for row in moved),
            kind="fact",
            fix=f"inputs = inputs[[{listed(order.tolist(), order.size)}]]  # in the order of the outputs' rows",
            evidence={"rows_of_inputs": order[:64].tolist()},
        )
    by_order: dict[bytes, list[StatePlace]] = {}
    orders = orders_in_run(case)
    for place, order in orders.items():
        by_order.setdefault(order.tobytes(), []).append(place)
    for places in by_order.values():
        yield _of_states(rule, case, places, orders[places[0]])


def _of_states(rule: Rule, case: Case, places: list[StatePlace], order: Ints) -> Proposal:
    """The states at these places, which stand in one order `[B]`."""
    moved = np.flatnonzero(order != np.arange(order.size)).tolist()
    names = listed(f"{state} of layer {layer} {direction}" for layer, direction, state in places)
    states = "\n".join(put_back(case, state, places) for state in dict.fromkeys(p[2] for p in places))
    return Proposal(
        rule.name,
        f"{describe_rows(moved, order.size)}: {names} is of other rows than the outputs, as a run of these weights "
        f"shows: in order, of rows [{listed(order.tolist(), 12)}]",
        frozenset((layer, direction, row) for layer, direction, _ in places for row in moved),
        kind="fact",
        fix=f"order = [{listed(order.tolist(), order.size)}]  # the rows that {names} is of\n{states}",
        evidence={"rows_of_states": order[:64].tolist()},
    )


def put_back(case: Case, state: str, places: Sequence[StatePlace]) -> str:
    """The code that puts the rows of `h` or `c` back from `order` at these places: on the axis where rows stand, and of
    the tracks alone that are off.
    """
    raw = case.raw("h" if state == "h" else "c")
    if raw is None or raw.ndim < 3 or (raw.shape[0] == case.trace.batch_size and case.config.state_batch_first):
        return f"{state} = {state}[np.argsort(order)]"
    name = "states" if state == "h" else "cells"
    tracks = [(track.layer, track.direction) for track in case.trace.tracks]
    moved = [n for n, track in enumerate(tracks) if (*track, state) in places]
    if len(moved) == len(tracks) or raw.shape[0] != len(tracks):
        return f"{name} = {name}[:, np.argsort(order)]"
    return f"{name}[{moved}] = {name}[{moved}][:, np.argsort(order)]"
