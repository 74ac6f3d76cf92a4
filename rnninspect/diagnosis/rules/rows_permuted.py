"""Final states in another row order than the outputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.conventions.fixes.fitting import with_order
from rnninspect.core.trace import Array, Bools, Direction, Ints
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.cell_beside_state import cannot_be_of, rows_of_cells, with_cells_put_back
from rnninspect.diagnosis.evidence.copied_rows import copied_otherwise
from rnninspect.diagnosis.evidence.order_of_inputs import order_of_inputs, with_inputs_of
from rnninspect.diagnosis.evidence.other_row_order import (
    code_of_gather,
    is_mended_by_it,
    told_by_gather,
    with_outputs_put_back,
)
from rnninspect.diagnosis.evidence.rows_in_outputs import rows_in_outputs
from rnninspect.diagnosis.evidence.rows_of_run import orders_in_run, with_rows_of_run
from rnninspect.diagnosis.evidence.rows_told_by_run import put_back, told_by_run
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, listed, proposal
from rnninspect.diagnosis.state_in_hand import halves_apart, halves_put_back, rows_put_back
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import same, step_keys


class RowsPermuted(Rule):
    name = "rows-permuted"
    summary = "each final state belongs to another row: the batch was sorted and not put back in order"
    why = (
        "Packing wants the rows sorted by length. If the outputs are put back in the original order and the state is "
        "not (or the other way round), every state belongs to another row."
    )
    fix = (
        'order = np.argsort(-lengths, kind="stable")  # the order that the rows were run in\n'
        "h = h[np.argsort(order)]  # c likewise"
    )
    fixed_in = "arrays"
    moves = "rows"
    group = "Rows, axes, layers"
    place = 1
    needs = ("outputs", "lengths")
    implies = ("zero-length-row",)
    in_states = True
    threads = (
        Thread(
            "https://github.com/Lizhen0628/text_classification/issues/12",
            "After packing, the outputs are put back in the batch's order and the state is not; the author agrees.",
        ),
        Thread(
            "https://github.com/mead-ml/mead-baseline/pull/677",
            "Undoing the sort in place overwrote the results of other rows.",
        ),
        Thread(
            "https://github.com/pytorch/pytorch/issues/4927",
            "Two sequences per example, each sorted by its own lengths, no longer belong together.",
        ),
    )

    def code(self, case: Case) -> str:
        orders = _by_direction(case)
        if not orders:
            return code_of_gather(case) or self.fix
        if (order := _one_order(case)) is not None:
            return self._put_back(case, "h = h[np.argsort(order)]", order)
        halves = ((order, "h_fw" if direction == "forward" else "h_bw") for direction, order in orders.items())
        return "\n".join(self._put_back(case, f"{h} = {h}[np.argsort(order)]", order) for order, h in halves)

    def in_hand(self, case: Case) -> str:
        order, back = _one_order(case), rows_put_back(case)
        if order is not None and back:
            return self._put_back(case, back, order)
        halves = halves_apart(case)
        lines = [self._put_back(case, halves_put_back(halves[d]), o) for d, o in _by_direction(case).items() if halves]
        if order is not None and len(lines) > 1:
            lines = [self._put_back(case, halves_put_back(*halves.values()), order)]
        return "\n".join(lines)

    def held_as(self, case: Case) -> str:
        """A run that keeps the rows in their order, where nothing tells that of every row's state."""
        return self.name if _one_order(case) is not None else "lengths-ignored"

    def fitted(self, case: Case, theirs: str) -> str:
        order = _one_order(case) if case.reading.evidence.decided else None
        return theirs if order is None else with_order(theirs, order.tolist())

    def _put_back(self, case: Case, back: str, order: Ints) -> str:
        """The code that puts states back from this order, of which `back` does so."""
        asked = f"order = [{listed(order.tolist(), order.size)}]  # the rows that these states are of"
        if np.array_equal(order, np.argsort(-case.trace.real_counts, kind="stable")):  # rows of one length in turn
            asked = self.fix.partition("\n")[0]
        return f"{asked}\n{back}  # c likewise"

    def mends(self, case: Case) -> bool:
        """Where every state has a row of its own, the same in all tracks of a direction, or a run or h tells that of
        those that are off."""
        return bool(_by_direction(case)) or is_mended_by_it(case) or self.put_back(case) is not None

    def put_back(self, case: Case) -> Case | None:
        """Where a run of the weights, or the h that c goes with, tells the rows of states that no output does."""
        if any(facts.mismatched.any() for facts in case.facts):
            return None
        return with_rows_of_run(case) if orders_in_run(case) else with_cells_put_back(case)

    def missing(self, case: Case) -> list[str]:
        """Of rows of one step nobody need say how long they are."""
        return [need for need in super().missing(case) if need != "lengths" or case.trace.steps > 1]

    def check(self, case: Case) -> Iterable[Proposal]:
        for permutation in (True, False):
            seen, order = [], []
            for facts in (f for f in case.facts if f.mismatched.any() or (f.expected < 0).any()):
                source, rows = _sources(facts, case.trace.zero_length == "wrap")
                if rows.any() and _is_permutation(source, rows) == permutation:
                    seen.append(Seen(facts, rows))
                    order = source.tolist()
            if not seen:
                continue
            by_length = _is_sorted(seen[0].facts.ends, np.asarray(order))
            how = ", the order of the rows sorted by length" if by_length else ""
            told, copies = ["?" if row < 0 else row for row in order], copied_otherwise(seen[0].facts)
            yield from proposal(
                self,
                seen,
                f"{{rows}}: final_state.h is the final step of another row; in batch order, the states are those "
                "of rows "
                f"[{listed(told, 12)}]{how if permutation else '' if -1 in order else ', not each once'}"
                + (copies.how if copies else ""),
                fix=copies.fix if copies else self._fix_of_one_direction(case),
                evidence={"rows_of_states": order[:64]},
                strength=_strength(seen) if permutation else 0,
            )
        if any(facts.mismatched.any() for facts in case.facts) and not _by_direction(case):
            yield from told_by_gather(self, case)
        yield from self._of_cells_alone(case)
        yield from told_by_run(self, case)

    def _of_cells_alone(self, case: Case) -> Iterable[Proposal]:
        """Where every h is its own row's, and c is behind another row's h."""
        for facts in (f for f in case.facts if not f.mismatched.any()):
            off, order = cannot_be_of(case, facts.track), rows_of_cells(case, facts.track)
            if off is None or order is None:
                continue
            yield from proposal(
                self,
                [Seen(facts, off)],
                "{rows}: final_state.c cannot be the cell state behind final_state.h, which has other signs or is "
                f"larger than tanh(c); in order, the rows of c go with h of rows [{listed(order.tolist(), 12)}]",
                kind="fact",
                certainty="suspected",
                fix=f"order = [{listed(order.tolist(), order.size)}]  # the rows that these c are of\n"
                f"{put_back(case, 'c', [(facts.track.layer, facts.track.direction, 'c')])}",
                evidence={"rows_of_cells": order[:64].tolist()},
            )

    def _fix_of_one_direction(self, case: Case) -> str:
        """The code where the other direction's states stand right or in another order; else empty."""
        return (self.in_hand(case) or self.code(case)) if _by_direction(case) and _one_order(case) is None else ""

    def undo(self, case: Case) -> Iterable[Undone]:
        if (order := order_of_inputs(case)) is not None:
            yield Undone("the inputs in the order of the outputs' rows", with_inputs_of(case, order))
        if orders_in_run(case):
            yield Undone("the states of other rows put back", with_rows_of_run(case))
        if not _by_direction(case):
            yield from with_outputs_put_back(case)
        for source, how in _orders(case):
            back, placed = np.argsort(source), rows_put_back(case)
            fix = self._put_back(case, placed, source) if placed else ""
            yield Undone(how, _with_states_of(case, back), fix)
            if case.batch is not None and len(case.batch.inputs) == back.size:  # or the outputs were sorted, and not x
                batch = replace(case.batch, inputs=case.batch.inputs[back])
                yield Undone(f"{how}, and the inputs so too", replace(_with_states_of(case, back), batch=batch))

    def inject(self, case: Case) -> Case:
        lengths = case.trace.real_counts
        order = np.argsort(-lengths, kind="stable")
        if (order == np.arange(order.size)).all():
            order = np.roll(order, 1)
        if order.size < 2:
            raise CannotInject("needs two rows")
        return _with_states_of(case, order)


def _strength(seen: list[Seen]) -> int:
    """How much a permutation tells: more where a row of no step holds a state that is another row's, as nothing else
    leaves it."""
    filled = any((s.rows & (s.facts.expected < 0) & ~s.facts.final_zero).any() for s in seen)
    return 6 if filled else 3


def _with_states_of(case: Case, rows: Ints) -> Case:
    """The case with the state of row `rows[b]` in row b."""

    def taken(array: Array | None) -> Array | None:
        return None if array is None else array[rows]

    return case.with_tracks(lambda track: replace(track, final=taken(track.final), cell=taken(track.cell)))


def _orders(case: Case) -> Iterator[tuple[Ints, str]]:
    """Permutations that put row `source[b]`'s state in row b: one that the outputs tell by equal steps, whichever they
    are, and those of rows that were sorted by length."""
    told = next((source for facts in case.facts if (source := rows_in_outputs(case, facts)) is not None), None)
    if told is None:
        from rnninspect.diagnosis.evidence.pooling import rows_of_pools

        pooled = (rows_of_pools(facts, case.tolerance.atol) for facts in case.facts)
        told = next((source for source in pooled if source is not None), None)
    if told is not None:
        yield told, f"the states put back in the order of rows [{listed(told.tolist(), 12)}]"
    lengths = case.trace.real_counts
    tried = [] if told is None else [told]
    for how, key in (("longest", -lengths), ("shortest", lengths)):
        order = np.argsort(key, kind="stable")
        for source in (order, np.argsort(order)):
            if (np.diff(source) == 1).all() or any(np.array_equal(source, other) for other in tried):
                continue
            tried.append(source)
            yield source, f"the states put back from an order sorted by length, {how} first"


def _sources(facts: TrackFacts, wrap: bool) -> tuple[Ints, Bools]:
    """`[B]`: the row whose right final state each state is, each row once as far as they allow it (-1: none), and the
    rows that hold another row's. A row of all zeros tells nothing where no permutation needs it."""
    right = _right(facts, wrap)
    astray = facts.mismatched | ((facts.expected < 0) & ~same(facts.final, right).all(-1))
    source = np.where(astray, -1, np.arange(astray.size))
    rows = np.flatnonzero(astray)
    if facts.mismatched.any():
        by_key: dict[int, deque[int]] = {}
        for row, key in enumerate(step_keys(right).tolist()):
            by_key.setdefault(key, deque()).append(row)
        first = {key: alike[0] for key, alike in by_key.items()}
        taken = set(source[source >= 0].tolist())
        for b, key in zip(rows.tolist(), step_keys(np.asarray(facts.final)[rows]).tolist(), strict=True):
            alike = by_key.get(key, deque())
            while alike and alike[0] in taken:
                alike.popleft()
            source[b] = alike[0] if alike else first.get(key, -1)
            taken.add(int(source[b]))
    source[~same(facts.final, right[np.maximum(source, 0)]).all(-1)] = -1
    elsewhere = astray & (source >= 0)
    return source.astype(np.int64), elsewhere if _is_permutation(source, elsewhere) else elsewhere & ~facts.final_blank


def _by_direction(case: Case) -> dict[Direction, Ints]:
    """The order `[B]` in which the rows' states stand, of each direction in which they are off; empty where a track's
    are in no such order, or two tracks of one direction in two."""
    orders: dict[Direction, dict[bytes, Ints]] = {}
    for facts in (f for f in case.facts if f.mismatched.any() or f.at_expected[~f.uninformative].any()):
        source, _ = _sources(facts, case.trace.zero_length == "wrap")
        if np.unique(source).size < source.size or source.min(initial=0) < 0:
            return {}
        orders.setdefault(facts.track.direction, {})[source.tobytes()] = source
    if any(len(of_direction) > 1 for of_direction in orders.values()):
        return {}
    alone = {direction: next(iter(of_direction.values())) for direction, of_direction in orders.items()}
    return {direction: order for direction, order in alone.items() if (np.diff(order) != 1).any()}


def _one_order(case: Case) -> Ints | None:
    """The one order `[B]` in which the rows' states of every direction that can be judged stand; None where none is."""
    orders, judged = _by_direction(case), {f.track.direction for f in case.facts if not f.uninformative.all()}
    same_order = len({order.tobytes() for order in orders.values()}) == 1 and len(orders) == len(judged)
    return next(iter(orders.values())) if same_order else None


def _right(facts: TrackFacts, wrap: bool) -> Array:
    """`[B, H]`: what each row ought to end in; an empty row in its initial state, or in its last step (`wrap`)."""
    empty = facts.expected < 0
    if not empty.any():
        return facts.at_end
    right = facts.at_end.copy()
    if wrap:
        right[empty] = facts.outputs[empty, -1]
    else:
        right[empty] = 0 if facts.track.initial is None else facts.track.initial[empty]
    return right


def _is_permutation(source: Ints, rows: Bools) -> bool:
    """Whether two or more rows hold one another's states, each once."""
    return bool(rows.sum() > 1 and np.unique(source[rows]).size == rows.sum() and rows[source[rows]].all())


def _is_sorted(lengths: Ints, order: Ints) -> bool:
    """Whether the rows named, in that order, go from long to short."""
    return bool((order >= 0).all() and (np.diff(lengths[order]) <= 0).all())


RULE = RowsPermuted()
