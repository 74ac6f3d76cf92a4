"""Final states in another row order than the outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.case import Case
from rnninspect.facts import TrackFacts
from rnninspect.matching import equal_at, step_keys
from rnninspect.rules.base import CannotPlant, Proposal, Rule, Seen, Thread, listed, proposal
from rnninspect.trace import Array, Bools, Ints, Track


class RowsPermuted(Rule):
    name = "rows-permuted"
    summary = "each final state is another row's: the batch was sorted and not put back"
    why = (
        "Packing wants rows sorted by length. Where the outputs are put back in the original order and the state is "
        "not (or the other way round), every state belongs to another row."
    )
    fix = "restore_order"
    needs = ("outputs", "lengths")
    threads = (
        Thread(
            "https://github.com/Lizhen0628/text_classification/issues/12",
            "After packing, the outputs are put back in the batch's order and the state is not; the author agrees.",
        ),
        Thread(
            "https://github.com/mead-ml/mead-baseline/pull/677",
            "Undoing the sort in place wrote some rows' results over those of others.",
        ),
        Thread(
            "https://github.com/pytorch/pytorch/issues/4927",
            "Two sequences an example, each sorted by its own lengths, no longer belong together.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        for permutation in (True, False):
            seen, order = [], []
            for facts in case.facts:
                source = _sources(facts)
                rows = facts.off & (source >= 0) & ~facts.final_zero
                if rows.any() and _is_permutation(source, rows) == permutation:
                    seen.append(Seen(facts, rows))
                    order = source.tolist()
            sorted_by_length = bool(seen) and _is_sorted(seen[0].facts.ends, np.asarray(order))
            how = ", the order of the rows sorted by length" if sorted_by_length else ""
            yield from proposal(
                self,
                seen,
                f"{{rows}}: final_state.h is another row's final step; in order, they are those of rows "
                f"[{listed(order, 12)}]{how if permutation else ', not each once'}",
                evidence={"rows_of_states": order[:64]},
                strength=3 if permutation else 0,
            )

    def plant(self, case: Case) -> Case:
        lengths = case.trace.mask.sum(1)
        order = np.argsort(-lengths, kind="stable")
        if (order == np.arange(order.size)).all():
            order = np.roll(order, 1)
        if order.size < 2:
            raise CannotPlant("needs two rows")

        def taken(array: Array | None) -> Array | None:
            return None if array is None else array[order]

        def permuted(track: Track) -> Track:
            return replace(track, final=taken(track.final), cell=taken(track.cell))

        return case.with_tracks(permuted)


def _sources(facts: TrackFacts) -> Ints:
    """`[B]`: the row whose final step each state is, each row once as far as they allow it; -1 where it is none."""
    usable = np.flatnonzero(facts.expected >= 0)
    source = np.where(facts.at_expected | (facts.expected < 0), np.arange(facts.expected.size), -1)
    off = np.flatnonzero(facts.off)
    if off.size:
        ends = facts.outputs[usable, facts.expected[usable]]
        by_key: dict[int, list[int]] = {}
        for row, key in zip(usable.tolist(), step_keys(ends).tolist(), strict=True):
            by_key.setdefault(key, []).append(row)
        taken = set(source[source >= 0].tolist())
        for b, key in zip(off.tolist(), step_keys(np.asarray(facts.final)[off]).tolist(), strict=True):
            alike = by_key.get(key, [])
            source[b] = next((r for r in alike if r not in taken), alike[0] if alike else -1)
            taken.add(int(source[b]))
    real = equal_at(facts.outputs, facts.final, np.maximum(source, 0), facts.expected[np.maximum(source, 0)])
    source[facts.off & ~real] = -1
    return source.astype(np.int64)


def _is_permutation(source: Ints, rows: Bools) -> bool:
    """Whether two or more rows hold one another's states, each once."""
    return bool(rows.sum() > 1 and np.unique(source[rows]).size == rows.sum() and rows[source[rows]].all())


def _is_sorted(lengths: Ints, order: Ints) -> bool:
    """Whether the rows named, in that order, go from long to short."""
    return bool((order >= 0).all() and (np.diff(lengths[order]) <= 0).all())


RULE = RowsPermuted()
