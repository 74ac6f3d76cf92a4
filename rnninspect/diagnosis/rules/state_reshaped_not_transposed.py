"""`h_n.view(B, -1)` without the transpose: chunks of a row come from other rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnninspect.conventions.dumps.axes import Key
from rnninspect.core.trace import Array, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.slice_of_view import SliceOfView, slice_of_view
from rnninspect.diagnosis.fix_code import gathered, within_lengths
from rnninspect.diagnosis.rule import (
    CannotInject,
    Proposal,
    Rule,
    Seen,
    Thread,
    Undone,
    convincing,
    fixed_by,
    listed,
    proposal,
)

AXES_STACKED = ("(L D) B H", "L B H", "D B H", "L D B H")
AXES_BY_ROW = ("B (L D) H", "B L H", "B D H")
AXES_JOINED = ("L B (D H)", "B L (D H)")
JOINED = "joined = joined.reshape(L, D, B, -1).swapaxes(1, 2).reshape(L, B, -1)  # [L, B, D*H]; not h_n.view(L, B, -1)"
BACK = "states = states.reshape(B, L * D, -1).swapaxes(0, 1)  # [L*D, B, H]; not states.reshape(L * D, B, -1)"
BACK_APART = "states = states.reshape(B, L, D, -1).transpose(1, 2, 0, 3)  # [L, D, B, H]; not a reshape"
BY_ROW = "states = states.reshape(L * D, B, -1).swapaxes(0, 1)  # [B, L*D, H]; not states.reshape(B, L * D, -1)"
OF_OUTPUTS = "h = outputs[np.arange(len(outputs)), lengths - 1]  # the top layer's; not a slice of a view"
OF_TOP_ALONE = "# its last units are the top layer's: D * H of them"
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
            "Viewing the two directions' states as one vector per row mixes the rows, shown with numbers.",
        ),
        Thread(
            "https://github.com/Stable-Baselines-Team/stable-baselines3-contrib/issues/111",
            "States stored by sequence are reshaped to layers first, where a transpose was needed.",
        ),
        Thread(
            "https://github.com/OpenNMT/OpenNMT-py/issues/1521",
            "Flattening (layers, batch, units) with view puts different rows into one vector.",
        ),
    )

    def code(self, case: Case) -> str:
        mended = next((view for view in _unviewed(case) if convincing(case, fixed_by(case, view.trace))), None)
        if mended is None and slice_of_view(case) is not None:
            return gathered(case, OF_OUTPUTS)
        return mended.code if mended is not None else self.fix

    def held_as(self, case: Case) -> str:
        """One layer's halves are taken by their places, whatever else its stack of states holds."""
        one_layer = case.trace.directions == 2 and case.trace.layers == 1 and slice_of_view(case) is None
        if self.code(case) == TOP_ALONE or (one_layer and _depth(case) != 1):
            return within_lengths(case, "direction-missing")
        return self.name

    def in_hand(self, case: Case) -> str:
        """A view of several layers or directions along axes of their own was of no layer's making."""
        code, axes = self.code(case), case.reading.state_axes
        if code == BACK:
            code = BACK_APART if axes == "L D B H" else BACK
        elif code == self.fix and axes in AXES_BY_ROW:
            code = BY_ROW
        elif case.trace.layers == 1 and axes == "L B (D H)":
            code = JOINED
        elif code != JOINED and (code != self.fix or case.convention.stacks_states or case.trace.layers == 1):
            return ""
        return code if case.reading.evidence.decided or code != self.fix else ""

    def fitted(self, case: Case, theirs: str) -> str:
        return f"{theirs}\n{OF_TOP_ALONE}" if slice_of_view(case) is not None else theirs

    def check(self, case: Case) -> Iterable[Proposal]:
        seen_whole = False
        for view in _unviewed(case):
            seen = fixed_by(case, view.trace)
            if not convincing(case, seen):
                continue
            seen_whole = True
            yield from proposal(
                self,
                seen,
                f"{{rows}}: read as {view.told}, every state is right: the array was reshaped, not transposed",
                strength=6,
            )
        if not seen_whole and (part := slice_of_view(case)) is not None:
            yield from self._of_a_slice(case, part)

    def _of_a_slice(self, case: Case, part: SliceOfView) -> Iterable[Proposal]:
        """Some columns of the view of every layer's states, most of which are of lower layers."""
        open_rows = sorted({int(b) for rows in part.open_rows for b in np.flatnonzero(rows)})
        lower = f"; what rows {listed(open_rows)} hold would be lower layers' states, which are not given" * bool(
            open_rows
        )
        yield from proposal(
            self,
            [Seen(facts, rows) for facts, rows in zip(case.facts, part.rows, strict=True)],
            f"{{rows}}: these are {part.told}: the array was reshaped, not transposed{lower}",
            strength=6,
            certainty="suspected" if open_rows else "proven",
        )

    def undo(self, case: Case) -> Iterable[Undone]:
        for view in _unviewed(case):
            yield Undone(f"the states read as {view.told}", case.with_trace(view.trace))

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


@dataclass(frozen=True, eq=False)
class _View:
    """The trace whose states are the memory of those given, taken as `told`, and the code that takes them so."""

    trace: Trace
    told: str
    code: str


def _unviewed(case: Case) -> Iterator[_View]:
    """The states as the memory that was viewed: of each layer apart in one array `[L, B, D*H]`, else of all tracks, or
    of the top layer's."""
    rows, layers = case.trace.batch_size, case.trace.layers
    by_layer = [[t for t in case.trace.tracks if t.layer == layer] for layer in range(layers)]
    if layers > 1 and case.reading.state_axes in AXES_JOINED:
        apart = [_as_memory(tracks, rows) for tracks in by_layer]
        if all(apart):
            changed = {key: state for states in apart for key, state in states.items()}
            yield _View(_with(changed, case.trace), f"a view of ({layers * len(by_layer[0])}, {rows}, H)", JOINED)
        return
    if case.reading.state_axes in AXES_STACKED and (states := _as_memory(case.trace.tracks, rows, by_row=True)):
        yield _View(_with(states, case.trace), f"a view of ({rows}, {len(case.trace.tracks)}, H)", BACK)
    top = by_layer[-1]
    for tracks, code in ((case.trace.tracks, StateReshaped.fix), (top, TOP_ALONE)):
        code = TOP_ALONE if layers == 1 and (_depth(case) or 1) > 1 else code
        if states := _as_memory(tracks, rows):
            yield _View(_with(states, case.trace), f"a view of ({len(tracks)}, {rows}, H)", code)
        if len(top) == len(case.trace.tracks):
            return


def _depth(case: Case) -> int | None:
    """How many layers there are, whichever of them have their states here; None where nothing says."""
    return case.weights.depth if case.weights is not None else case.config.layers


def _as_memory(tracks: Sequence[Track], rows: int, by_row: bool = False) -> dict[Key, Array]:
    """The states `[B, H]` of these tracks, taken side by side as the memory of `[S, B, H]`, or one after the other as
    that of `[B, S, H]` (`by_row`); none where they have not one shape."""
    finals = [t.final for t in tracks]
    if len(tracks) < 2 or any(f is None or f.shape != _shape(finals) for f in finals):
        return {}
    if by_row:
        stacked = np.stack([f for f in finals if f is not None])  # [S, B, H], as the reading took it
        states = stacked.reshape(rows, len(tracks), -1).swapaxes(0, 1)
    else:
        memory = np.stack([f for f in finals if f is not None], 1)  # [B, S, H], as the reading took it
        states = memory.reshape(len(tracks), rows, -1)
    return {(t.layer, t.direction): states[i] for i, t in enumerate(tracks)}


def _with(states: Mapping[Key, Array], trace: Trace) -> Trace:
    tracks = (replace(t, final=states.get((t.layer, t.direction), t.final)) for t in trace.tracks)
    return replace(trace, tracks=tuple(tracks))


RULE = StateReshaped()
