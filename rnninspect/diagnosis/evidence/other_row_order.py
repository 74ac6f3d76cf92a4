"""States gathered at their rows' own lengths from outputs in another row order: these were not put back in order, or
those that were gathered from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Ints, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.evidence.whole_gathers import ends_move_with, orders_by_length, rows_gathered
from rnninspect.diagnosis.fix_code import gathered
from rnninspect.diagnosis.once import once
from rnninspect.diagnosis.rule import Proposal, Rule, Seen, Undone, listed, proposal
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import equal_at

PLAIN = "h = outputs[np.arange(B), lengths - 1]  # of outputs in the order of the lengths: each row's own last step"


@frozen(eq=False)
class OtherOrder:
    """`order` `[B]`: the row in whose outputs each state is. `outputs_moved`: whether the outputs themselves stand in
    that order, and not only those that the states were gathered from; None where nothing tells."""

    order: Ints
    outputs_moved: bool | None


@once
def other_order(case: Case) -> OtherOrder | None:
    """The one order by which the states of all forward tracks that are off are gathered; None where there is none."""
    off = [facts for facts in case.facts if facts.track.direction == "forward" and facts.mismatched.any()]
    if case.trace.mask_given or not off:
        return None
    order = rows_gathered(off[0], _orders_shown(case, off[0]))
    if order is None or any(not _is_gathered(facts, order).all() for facts in off):
        return None
    return OtherOrder(order, _outputs_moved(case, order))


def told_by_gather(rule: Rule, case: Case) -> Iterable[Proposal]:
    """The rule's proposal for states that were gathered so."""
    told = other_order(case)
    if told is None:
        return
    rows = listed(told.order.tolist(), 12)
    message = (
        f"{{rows}}: final_state.h is the last step of its row by the lengths, but in the outputs of rows [{rows}]: "
        + {
            True: "these outputs are in another order than states and lengths",
            False: "it was gathered from outputs in another order than these",
            None: "these outputs, or those that it was gathered from, are in another order than the lengths",
        }[told.outputs_moved]
    )
    seen = [Seen(facts, facts.mismatched & _is_gathered(facts, told.order)) for facts in case.facts]
    evidence = {"rows_of_states": told.order[:64].tolist()}
    yield from proposal(rule, seen, message, fix=code_of_gather(case), evidence=evidence, strength=2)


def code_of_gather(case: Case) -> str:
    """The code that puts the outputs, or the states, in order; empty where no states were gathered so."""
    told = other_order(case)
    if told is None:
        return ""
    if not told.outputs_moved:
        return gathered(case, PLAIN)
    axes = ":, " if case.reading.time_major else ""
    back = np.argsort(np.argsort(-case.trace.real_counts, kind="stable"))
    if np.array_equal(told.order, back):
        return (
            'order = np.argsort(-lengths, kind="stable")  # the order that these outputs are in\n'
            f"outputs = outputs[{axes}np.argsort(order)]"
        )
    rows = f"np.array([{listed(told.order.tolist(), told.order.size)}])"
    return f"outputs = outputs[{axes}{rows}]  # in the order of the states"


def is_mended_by_it(case: Case) -> bool:
    """Whether that code mends the case's own arrays, all of them: of several tracks, where it moves the outputs, which
    they share, and every state that is off is gathered so."""
    told = other_order(case)
    if told is None or told.outputs_moved is None:
        return False
    alone = len(case.trace.tracks) == 1
    return alone or (told.outputs_moved and all(_is_gathered(f, told.order)[f.mismatched].all() for f in case.facts))


def with_outputs_put_back(case: Case) -> Iterable[Undone]:
    """The case with its outputs, and perhaps the inputs, in the order of the states, where they may be in another."""
    told = other_order(case)
    if told is None or told.outputs_moved is False:
        return
    order = told.order
    how = f"the outputs put back in the order of rows [{listed(order.tolist(), 12)}]"

    def put_back(track: Track) -> Track:
        return track if track.outputs is None else replace(track, outputs=track.outputs[order])

    moved = case.with_tracks(put_back)
    yield Undone(how, moved)
    if case.batch is not None and len(case.batch.inputs) == order.size:
        batch = replace(case.batch, inputs=case.batch.inputs[order])
        yield Undone(f"{how}, and the inputs so too", replace(moved, batch=batch))


def _is_gathered(facts: TrackFacts, order: Ints) -> np.ndarray:
    """`[B]`: whether each state is the step before its length, or its track's last, of the row in that order."""
    ends, last = (
        equal_at(facts.outputs, np.asarray(facts.final), order, step) for step in (facts.expected, facts.ends - 1)
    )
    return np.asarray(ends | last)


def _outputs_moved(case: Case, order: Ints) -> bool | None:
    """Whether the outputs stand in that order: by their ends, by a run of the weights, by which sort it is."""
    by_ends = ends_move_with(case.facts, order)
    if by_ends is not None:
        return by_ends
    if case.has("inputs") and case.has("weights"):
        return not agrees(case)
    sorts = list(orders_by_length(case.trace.real_counts))
    is_sort = any(np.array_equal(order, one) for one in sorts[::2])
    is_back = any(np.array_equal(order, one) for one in sorts[1::2])
    return None if is_sort == is_back else is_back


def _orders_shown(case: Case, facts: TrackFacts) -> Iterable[Ints]:
    """The order in which the states that are off are found in other rows' outputs, each row once, if there is one."""
    rows = facts.mismatched & ~facts.final_blank
    if facts.equal[rows].any() or (facts.mismatched & facts.final_blank).any():
        return
    order = np.arange(rows.size)
    for row, hits in case.elsewhere(facts, rows).items():
        sources = [b for b, step in hits if step == facts.ends[row] - 1]
        if len(sources) != 1:
            return
        order[row] = sources[0]
    if np.unique(order).size == order.size:
        yield order
