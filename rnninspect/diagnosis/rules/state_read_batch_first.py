"""The state was indexed, or stated, as (B, L*D, H), though it is (L*D, B, H)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Trace
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.one_row_taken import is_last_row_alone, is_none_of_the_longest
from rnninspect.diagnosis.fix_code import gathered
from rnninspect.diagnosis.rule import (
    CannotInject,
    Place,
    Proposal,
    Rule,
    Thread,
    Undone,
    convincing,
    fixed_by,
    listed,
    places,
    proposal,
)
from rnninspect.measure.matching import equal_at

TAKEN_ANEW = "h = outputs[np.arange(B), lengths - 1]  # or states[-1], not states[:, -1]: states are [L * D, B, H]"

EVERY_ROW = "h = states[-1]  # (L*D, B, H): the last layer's of every row; not states[:, -1]"
EVERY_ROW_OF_TWO = "h = np.concatenate([states[-2], states[-1]], axis=-1)  # (L*D, B, H); not states[:, -1]"


class StateReadBatchFirst(Rule):
    name = "state-read-batch-first"
    summary = "the state was indexed as (B, L*D, H) although it is (L*D, B, H): a vector taken from it mixes rows"
    why = (
        "batch_first changes the inputs and outputs of a PyTorch layer, but never h_n and c_n, which stay [L*D, B, "
        "H]. h_n[:, -1] is therefore the state of the last row in every layer, not the state of the last layer in "
        "every row."
    )
    fix = "h = states[-1]  # not states[:, -1]: states are [L * D, B, H]; of two directions states[-2], states[-1]"
    group = "Rows, axes, layers"
    place = 4
    needs = ("outputs",)
    implies = ("direction-missing", "rows-permuted", "wrong-layer", "lengths-misaligned")
    example = "stack"
    in_states = True
    threads = (
        Thread(
            "https://github.com/pytorch/pytorch/issues/19675",
            "Somebody expects the batch first in h_n with batch_first=True; it is the second axis.",
        ),
        Thread(
            "https://github.com/pytorch/pytorch/issues/34036",
            "The state of a batch-first LSTM looks as if batch and time were swapped; it has no time axis.",
        ),
        Thread(
            "https://github.com/timbmg/Sentence-VAE/issues/15",
            "A model treats the state as batch-first because its inputs are, and the rows mix without an error.",
        ),
    )

    def code(self, case: Case) -> str:
        return gathered(case, TAKEN_ANEW) if self.mends(case) else self.fix

    def mends(self, case: Case) -> bool:
        """Where the dump holds one vector a row: the outputs hold the right one."""
        return _vector(case) is not None and any(f.mismatched.any() for f in case.facts)

    def check(self, case: Case) -> Iterable[Proposal]:
        kept = case.reading.state_rows
        if kept is not None and kept.slots:
            rows = f"row{'s' if len(kept.rows) > 1 else ''} {listed(kept.rows)}"
            matched_places = frozenset(p for f in case.facts for p in places(f, f.somewhere & ~f.final_zero))
            yield Proposal(
                self.name,
                f"final_state.h has {kept.slots} rows, and the batch {kept.batch_size}: these are the {kept.slots} "
                f"layers and directions of {rows} alone: (L*D, B, H) was indexed as (B, L*D, H)",
                matched_places,
                kind="fact",
                evidence={"row": kept.rows[0]} if len(kept.rows) == 1 else {"rows": list(kept.rows)},
            )
            return
        if is_last_row_alone(case) and is_none_of_the_longest(case):
            yield from self._last_row(case)
            return
        if case.config.state_batch_first and not case.reading.as_stated and not case.reading.time_swapped:
            matched: set[Place] = {p for f in case.facts for p in places(f, f.at_expected & ~f.uninformative)}
            if matched:
                yield Proposal(
                    self.name,
                    f"stated as (B, L*D, H), but only as {case.reading.state_axes} do the states equal the last real "
                    "outputs",
                    frozenset(matched),
                    kind="fact",
                )
            return
        if case.config.state_batch_first and case.reading.as_stated:
            yield from self._square(case)
        yield from self._one_row(case)

    def _last_row(self, case: Case) -> Iterable[Proposal]:
        """The vector of the last row alone: `h_n[:, -1]` of one layer."""
        kept = case.reading.state_rows
        where = frozenset(p for f in case.facts for p in places(f, f.somewhere & ~f.final_zero & ~f.all_near))
        if kept is not None and where:
            yield Proposal(
                self.name,
                f"final_state.h is that of row {kept.rows[0]} alone, the last of {kept.batch_size}: (L*D, B, H) was "
                "indexed as (B, L*D, H)",
                where,
                kind="fact",
                fix=EVERY_ROW_OF_TWO if case.trace.directions == 2 else EVERY_ROW,
                evidence={"row": kept.rows[0]},
            )

    def _square(self, case: Case) -> Iterable[Proposal]:
        """As many rows as layers and directions: no shape tells that the statement is wrong, the numbers do."""
        trace = _turned(case)
        seen = [] if trace is None else fixed_by(case, trace)
        if convincing(case, seen):
            yield from proposal(
                self,
                seen,
                "{rows}: stated as (B, L*D, H), but only if read as (L*D, B, H) do the states equal the last real "
                "outputs",
                strength=7,  # of two rows and two tracks a view is the same array: what was stated is to blame
            )

    def _one_row(self, case: Case) -> Iterable[Proposal]:
        """A vector a row, which holds the slots (layers x directions) of one single row."""
        vectors = [t.final for t in case.trace.tracks if t.final is not None]
        count, directions = len(case.trace.tracks), case.trace.directions
        if case.config.layers is None and directions == 2 and vectors and len(vectors[0]) % directions == 0:
            count = len(vectors[0])  # as many layers as there may be: the top one's two directions tell
        facts = [f for f in case.facts if f.mismatched.any()]
        if not facts or count < 2 or not 1 <= len(vectors) <= directions or len(vectors[0]) != count:
            return
        rows = [row for vector in vectors if (row := _row_of_slots(case, vector)) is not None]
        if len(set(rows)) < len(vectors) or _are_steps(case, vectors, count - directions):
            return
        in_place = rows if len(rows) == 1 else [*rows, *range(count - directions, count)]
        others = ~np.isin(np.arange(case.trace.batch_size), in_place)
        if any((f.at_expected & ~f.uninformative & others).any() for f in facts):
            return  # a row that holds its own state holds no slot of another
        mismatched = frozenset().union(*(places(f, f.mismatched) for f in facts))
        yield Proposal(
            self.name,
            f"{{rows}}: final_state.h holds the {count} layers and directions of row"
            f"{'s' if len(rows) > 1 else ''} {listed(rows)} alone: (L*D, B, H) was indexed as (B, L*D, H)",
            mismatched,
            strength=5,
            evidence={"row": rows[0]} if len(rows) == 1 else {"rows": rows},
        )

    def undo(self, case: Case) -> Iterable[Undone]:
        trace = _turned(case) if case.config.state_batch_first and case.reading.as_stated else None
        if trace is not None:
            yield Undone("the states read as (L*D, B, H)", case.with_trace(trace))

    def inject(self, case: Case) -> Case:
        finals = [t.final for t in case.trace.tracks]
        count = len(finals)
        if count < 2 or count != case.trace.batch_size or any(f is None for f in finals):
            raise CannotInject("needs as many rows as layers x directions")
        stacked = np.stack([f for f in finals if f is not None])  # [L*D, B, H]
        if case.trace.directions == 2:
            raise CannotInject("needs one direction")
        tracks = [replace(t, final=None, cell=None) for t in case.trace.tracks[:-1]]
        last = replace(case.trace.tracks[-1], final=stacked[:, -1], cell=None)
        return case.with_trace(replace(case.trace, tracks=(*tracks, last)))


def _row_of_slots(case: Case, state: Array) -> int | None:
    """The one row of whose last layer the last vectors of `[L*D, H]` are the states; None where no row or several."""
    top = [t for t in case.trace.tracks if t.layer == case.trace.layers - 1 and t.outputs is not None]
    if len(top) != case.trace.directions:
        return None
    rows, hits = np.arange(case.trace.batch_size), np.ones(case.trace.batch_size, dtype=np.bool_)
    for track, slot in zip(top, state[-len(top) :], strict=True):
        if track.outputs is None or track.outputs.shape[2] != slot.size:
            return None
        targets = np.broadcast_to(slot, (rows.size, slot.size))
        hits &= equal_at(track.outputs, targets, rows, case.trace.expected_steps(track))
    return int(np.flatnonzero(hits)[0]) if hits.sum() == 1 else None


def _are_steps(case: Case, vectors: list[Array], below: int) -> bool:
    """Whether one of the first `below` of these `[L*D, H]`, which are of layers below, is a step of the outputs that is
    not zero."""
    outputs, states = [f.outputs for f in case.facts], [state for v in vectors for state in v[:below] if state.any()]
    return any((o == state).all(-1).any() for state in states for o in outputs)


def _turned(case: Case) -> Trace | None:
    """The trace whose states are read as (L*D, B, H), where as many rows as tracks leave that open; else None."""
    state, tracks = case.raw("h"), case.trace.tracks
    if state is None or state.ndim != 3 or not state.shape[0] == state.shape[1] == len(tracks):
        return None
    return replace(case.trace, tracks=tuple(replace(t, final=state[i], cell=None) for i, t in enumerate(tracks)))


def _vector(case: Case) -> Array | None:
    """The one state vector a row, `[B, H]`, where the dump holds a single one."""
    finals = [t.final for t in case.trace.tracks if t.final is not None]
    return finals[0] if len(finals) == 1 else None


RULE = StateReadBatchFirst()
