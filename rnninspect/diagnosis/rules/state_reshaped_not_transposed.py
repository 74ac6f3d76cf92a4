"""`h_n.view(B, -1)` without the transpose: chunks of a row come from other rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Trace
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Thread, Undone, convincing, fixed_by, proposal

TOP_ALONE = "h = h.reshape(D, B, -1).transpose(1, 0, 2).reshape(B, -1)  # the top layer's; not states.reshape(B, -1)"


class StateReshaped(Rule):
    name = "state-reshaped-not-transposed"
    summary = "a state row is put together from several rows: (L*D, B, H) was viewed as (B, L*D*H)"
    why = (
        "h_n is [L*D, B, H]. view or reshape to [B, L*D*H] keeps the memory order, so that row 0 gets the states of "
        "several rows of the first layer; the axes must be transposed first."
    )
    fix = "final = final.reshape(L * D, B, -1).transpose(1, 0, 2).reshape(B, -1)  # not states.reshape(B, -1)"
    fixed_in = "arrays"
    moves = "state"
    group = "Rows, axes, layers"
    place = 2
    needs = ("outputs",)
    implies = ("rows-permuted", "wrong-layer", "lengths-misaligned", "direction-duplicated")
    example = "bidirectional"
    in_states = True
    threads = (
        Thread(
            "https://github.com/graykode/nlp-tutorial/issues/38",
            "Viewing the two directions' states as one vector a row mixes the rows, shown with numbers.",
        ),
        Thread(
            "https://github.com/Stable-Baselines-Team/stable-baselines3-contrib/issues/111",
            "States stored by sequence are reshaped to layers first where the axes had to be swapped.",
        ),
        Thread(
            "https://github.com/OpenNMT/OpenNMT-py/issues/1521",
            "Flattening (layers, batch, units) with view puts different rows into one vector.",
        ),
    )

    def code(self, case: Case) -> str:
        slots = next((n for trace, n in _unviewed(case) if convincing(case, fixed_by(case, trace))), None)
        alone = slots is not None and slots < len(case.trace.tracks)
        return TOP_ALONE if alone else self.fix

    def check(self, case: Case) -> Iterable[Proposal]:
        for trace, slots in _unviewed(case):
            seen = fixed_by(case, trace)
            if not convincing(case, seen):
                continue
            yield from proposal(
                self,
                seen,
                f"{{rows}}: read as a view of ({slots}, {case.trace.batch_size}, H), every state is right: the array "
                "was reshaped, not transposed",
                strength=6,
            )

    def undo(self, case: Case) -> Iterable[Undone]:
        for trace, slots in _unviewed(case):
            yield Undone(f"the states read as a view of ({slots}, {case.trace.batch_size}, H)", case.with_trace(trace))

    def inject(self, case: Case) -> Case:
        finals = [t.final for t in case.trace.tracks]
        if len(finals) < 2 or case.trace.batch_size < 2 or any(f is None or f.shape != _shape(finals) for f in finals):
            raise CannotInject("needs two tracks of one width and two rows")
        stacked = np.stack([f for f in finals if f is not None])
        viewed = stacked.reshape(case.trace.batch_size, len(finals), -1)
        tracks = [replace(t, final=viewed[:, i], cell=None) for i, t in enumerate(case.trace.tracks)]
        return case.with_trace(replace(case.trace, tracks=tuple(tracks)))


def _shape(finals: list[Array | None]) -> tuple[int, ...]:
    return finals[0].shape if finals[0] is not None else ()


def _unviewed(case: Case) -> Iterator[tuple[Trace, int]]:
    """The trace whose states are the memory of these, taken as (S, B, H): of all tracks, or of the top layer's."""
    rows = case.trace.batch_size
    top = [t for t in case.trace.tracks if t.layer == case.trace.layers - 1]
    for tracks in ([*case.trace.tracks], top):
        finals = [t.final for t in tracks]
        if len(tracks) < 2 or any(f is None or f.shape != _shape(finals) for f in finals):
            continue
        memory = np.stack([f for f in finals if f is not None], 1)  # [B, S, H], as the reading took it
        states = memory.reshape(len(tracks), rows, -1)
        changed = {(t.layer, t.direction): states[i] for i, t in enumerate(tracks)}
        yield (
            replace(
                case.trace,
                tracks=tuple(replace(t, final=changed.get((t.layer, t.direction), t.final)) for t in case.trace.tracks),
            ),
            len(tracks),
        )
        if len(top) == len(case.trace.tracks):
            return


RULE = StateReshaped()
