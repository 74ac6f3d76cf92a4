"""A run in chunks: does this chunk start from the state in which the one before ended?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Bools, Ints
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.agreement import without_start
from rnninspect.diagnosis.evidence.starts import describe_starts, origins, starts_off
from rnninspect.diagnosis.evidence.weight_search import fixed, tolerance
from rnninspect.diagnosis.rule import Seen
from rnninspect.measure.facts import TrackFacts

NOT_IT = "the final state of the previous chunk"
_NOT_GIVEN = f"the first step is not what the weights give from {NOT_IT}"


@frozen
class Break:
    """Rows that did not start where the chunk before ended, and in words where they did; `other_rows`: in another
    row's state."""

    seen: Seen
    sentence: str
    other_rows: bool = False


def chain_breaks(case: Case) -> Iterator[Break]:
    """The rows that did not start where the chunk before ended, and in words where they did."""
    assert case.chunk is not None
    if case.chunk.named_initial is None:
        yield from _compare_first_steps(case)
        return
    for facts in case.facts:
        key = facts.track.layer, facts.track.direction
        yield from _compare_initial_states(case, facts, case.chunk.previous[key][0], case.chunk.named_initial.get(key))


def _compare_initial_states(case: Case, facts: TrackFacts, before: Array, named: Array | None) -> Iterator[Break]:
    """By the initial state `[B, P]` that the dump names, beside the state `before` it."""
    if named is None:
        return
    mismatched = ~np.isclose(named, before, rtol=case.tolerance.rtol, atol=case.tolerance.atol, equal_nan=True).all(1)
    zero = mismatched & ~named.any(1)
    swapped = mismatched & ~zero & (named[:, None] == before[None]).all(2).any(1)
    for rows, where in ((zero, "zeros"), (swapped, "another row's"), (mismatched & ~zero & ~swapped, "another state")):
        sentence = f"the initial state in the dump is {where}, not {NOT_IT}"
        yield Break(Seen(facts, np.asarray(rows)), sentence, rows is swapped)


def _compare_first_steps(case: Case) -> Iterator[Break]:
    """By the first step: what the weights give from the state before, from zeros, or from another row's state."""
    assert case.batch is not None
    assert case.chunk is not None
    limit = tolerance(case)
    reset = case.with_tracks(without_start).run(case.batch)
    mismatched = [(facts, starts_off(facts, case.reference, limit)) for facts in case.facts]
    zero = [(facts, rows & ~starts_off(facts, reset, limit)) for facts, rows in mismatched]
    for facts, rows in zero:
        yield Break(Seen(facts, rows), f"{_NOT_GIVEN}; it is what they give from zeros")
    other = [(facts, rows & ~there) for (facts, rows), (_, there) in zip(mismatched, zero, strict=True)]
    if any(rows.any() for _, rows in other) and fixed(case) is None:
        for facts, rows in other:
            left = np.flatnonzero(rows)
            whose = origins(case, facts, left, case.chunk.previous)
            traced, traced_to = left[whose >= 0], whose[whose >= 0]
            sentence = (
                f"it started from another row's state: {describe_starts(traced, traced_to)}: rows in another order?"
            )
            yield Break(Seen(facts, _mask(traced, rows.size)), f"{_NOT_GIVEN}; {sentence}", True)
            untraced = Seen(facts, _mask(left[whose < 0], rows.size))
            yield Break(untraced, f"{_NOT_GIVEN}; it started from another state")


def _mask(rows: Ints, size: int) -> Bools:
    """`[B]`: True at these rows."""
    mask = np.zeros(size, dtype=np.bool_)
    mask[rows] = True
    return mask
