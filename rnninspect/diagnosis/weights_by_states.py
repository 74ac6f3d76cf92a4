"""Wrong weights beside outputs that are not what the layer gave: the final states alone tell them.

No run can be compared with outputs that were dropped, overwritten or exchanged for c. Their states are the layer's own
still: every change of the weights is made on the shortest rows, and one that gives their states on all of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rnninspect.core.trace import Ints, Trace
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.small_cases import cut_to
from rnninspect.diagnosis.evidence.weight_changes import Change, changes_of
from rnninspect.diagnosis.evidence.weight_search import tolerance
from rnninspect.diagnosis.rule import Proposal, Rule
from rnninspect.diagnosis.weights_rule import everywhere

FEW = 2  # rows on which every change is tried
MOST_STEPS = 64  # of these rows: longer ones are not run for every change
TELLING = 8  # numbers of the states that must agree at least


def leaves_states_alone(named: Iterable[Rule]) -> bool:
    """Whether a cause that was named is in the outputs, so that only states may tell the weights."""
    return any(rule.in_outputs or rule.name == "outputs-are-cell-state" for rule in named)


def weights_by_states(case: Case) -> list[Proposal]:
    """The weights' mistake with whose change a run ends in every final state, which one of these weights does not."""
    if case.weights is None or case.batch is None or case.other is not None or case.layer.weights_as_run:
        return []
    rows = _short_rows(case)
    steps = int(np.flatnonzero(case.trace.mask[rows].any(0)).max(initial=0)) + 1
    if steps > MOST_STEPS or _can_tell(case) < TELLING or gives_states(case, case.reference):
        return []
    few = cut_to(case, rows, steps)
    telling = [change for change in changes_of(case.weights) if gives_states(few, _run(few, change))]
    changes = [change for change in telling if gives_states(case, _run(case, change))]
    if not changes:
        return []
    others = dict.fromkeys(change.rule for change in changes[1:] if change.rule != changes[0].rule)
    description = changes[0].description
    return [
        Proposal(
            changes[0].rule,
            f"a run with these weights does not end in the final states; with {description}, it does, in every row: "
            "the outputs tell nothing, since another mistake is in them",
            everywhere(case),
            kind="fact",
            alternatives=tuple(others)[:2],
            evidence={"change": description},
        )
    ]


def _short_rows(case: Case) -> Ints:
    """`[N]`: the shortest rows of two steps or more."""
    counts = case.trace.real_counts
    order = np.argsort(np.where(counts > 1, counts, counts.max() + 1), kind="stable")
    return np.asarray(order[:FEW])


def _run(case: Case, change: Change) -> Trace:
    assert case.weights is not None
    return case.with_weights(change.apply(case.weights)).reference


def _can_tell(case: Case) -> int:
    """How many numbers of final states are not zero."""
    return sum(int(np.count_nonzero(t.final)) for t in case.trace.tracks if t.final is not None)


def gives_states(case: Case, trace: Trace) -> bool:
    """Whether a run ends in every final state h, to within by which two right runs may differ."""
    limit, ended = tolerance(case), case.trace.real_counts > 0
    for track in case.trace.tracks:
        ran = trace.track(track.layer, track.direction)
        if track.final is None:
            continue
        if ran is None or ran.final is None or ran.final.shape != track.final.shape:
            return False
        if not (np.abs(track.final - ran.final)[ended] <= limit).all():
            return False
    return True
