"""One recorded call of a layer of any framework, as tracks: what the recorders of arrays give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rnninspect import conventions
from rnninspect.conventions.live import read_state
from rnninspect.core.arrays import to_array
from rnninspect.core.batch import Batch, resolve_mask
from rnninspect.core.evidence import Reading, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Trace, Track, prefix_mask
from rnninspect.core.weights import Weights
from rnninspect.core.wording import argument, worded
from rnninspect.diagnosis.build_case import dump, read_weights, rerun
from rnninspect.diagnosis.case import Case, Layer
from rnninspect.errors import ShapeError, UserError
from rnninspect.measure.choose_reading import Choice, Tolerance
from rnninspect.recording.base import Judged, Where
from rnninspect.recording.own_lengths import settle_own
from rnninspect.recording.stated import Settled, Stated, settle, states_read

ROUNDING = 1e-6  # of XLA, which fuses what leads to an output in another way than what leads to a state


@dataclass(frozen=True, eq=False)
class TrackCall:
    """One call of a layer, of one or two directions. Arrays are copies, batch-major.

    `inputs`: `[B, T, F]`. `own_lengths`: what the layer itself was told of the padding, lengths `[B]` or a mask
    `[B, T]`; None: nothing. `weights`: under the convention's names. `state_used`: whether anything reads the final
    state that the call returned. `not_rerun`: why no second run of its weights gives its numbers; empty where one does.
    `rounding`: by how much an output and the state that is the same value may differ, where the framework's compiler
    computes them apart.
    """

    where: Where
    convention: str
    config: LayerConfig
    inputs: Array
    tracks: tuple[Track, ...]
    own_lengths: Array | None = None
    weights: Mapping[str, Array] = field(default_factory=dict)
    state_used: bool = True
    not_rerun: str = ""
    rounding: float = 0.0

    def judged(self, tolerance: Tolerance, final_state: Any = None, lengths: Any = None) -> Judged:
        """The case of this call; see `RecordedCall`. Raises ShapeError where it has no rows or steps."""
        rows, steps = self.inputs.shape[:2]
        if not rows or not steps:
            raise ShapeError(f"{self.where.called} has {rows} rows and {steps} steps: there is nothing to compare")
        settled = self._settled(self.where.stated_lengths if lengths is None else Stated(lengths, exact=True))
        convention = conventions.get(self.convention)
        told = settled.mask is not None and self.own_lengths is not None
        config = self.config if self._ends_rows else replace(self.config, padding="computed")
        mask, real = resolve_mask(rows, steps, settled.lengths, settled.mask)
        trace = Trace(
            mask,
            self.tracks,
            real,
            settled.mask is not None,
            convention.padding_for(config),
            convention.zero_length,
            self.convention,
        )
        tolerance = Tolerance(max(tolerance.rtol, self.rounding), max(tolerance.atol, self.rounding))
        opened, notes = [settled.open] if settled.open else [], [*settled.notes]
        if final_state is not None:
            trace = replace(trace, tracks=self._with_final(states_read(final_state, rows, settled.kept)))
        elif not self._ends_rows and not self.state_used and not mask.all():
            trace = replace(
                trace, tracks=tuple(_picked(trace, track) for track in self.tracks if track.outputs is not None)
            )
            opened.append(
                "the layer read the padding, and its final state is not used: which of its outputs your code takes "
                f"cannot be seen; {worded(argument('final_state_of', self.where.name))}"
            )
            notes.append("the final state shown is the output of each row's last real step (of the way back: first)")
        if not trace.knows_padding and rows > 1:
            notes.append("no lengths are known: every step is taken as real")
        weights, why = self._weights(config)
        if why:
            notes.append(f"{why}, so the weights were not run again")
        batch = Batch(self.inputs, mask, real, told or settled.mask is not None)
        layer = Layer(convention, config, weights, rerun)
        case = Case(Choice(Reading(trace, "B T H", "B H")), layer, batch, tolerance=tolerance)
        return Judged(case, "; ".join(opened), tuple(notes), settled.hint)

    def dump(self) -> dict[str, Array]:
        """All arrays of the call under the convention's own names, and the weights."""
        return dump(self.judged(Tolerance()).case) | dict(self.weights)

    def states(self) -> tuple[Array | None, Array | None]:
        """The state that the call began with and the one that it ended in."""
        track = self.tracks[0]
        return track.initial, track.final

    @property
    def size(self) -> int:
        """Bytes of what it holds besides the weights."""
        arrays = [
            self.inputs,
            self.own_lengths,
            *(a for t in self.tracks for a in (t.outputs, t.final, t.cell, t.initial)),
        ]
        return sum(array.nbytes for array in arrays if array is not None)

    @property
    def _ends_rows(self) -> bool:
        """Whether the layer was told of padding at all; not, where it was told that every row is full."""
        own_lengths, steps = self.own_lengths, self.inputs.shape[1]
        return own_lengths is not None and not bool((own_lengths == (1 if own_lengths.ndim == 2 else steps)).all())

    def _settled(self, stated_lengths: Stated) -> Settled:
        rows, steps = self.inputs.shape[:2]
        if self.own_lengths is None:
            return settle(stated_lengths, rows, steps, self.where.called)
        own_lengths = self.own_lengths
        if own_lengths.ndim == 2:
            counts = own_lengths.sum(1)
            if not np.array_equal(own_lengths, prefix_mask(counts, steps)):
                beside = settle_own(stated_lengths, counts, steps, False, self.where.called)
                return replace(beside, lengths=None, mask=own_lengths)
            own_lengths = counts
        return settle_own(stated_lengths, own_lengths.astype(np.int64), steps, False, self.where.called)

    def _weights(self, config: LayerConfig) -> tuple[Weights | None, str]:
        """The weights to run again, or why they are not."""
        if self.not_rerun or not self.weights:
            return None, self.not_rerun
        try:
            return read_weights(self.weights, config, self.convention), ""
        except UserError as error:
            return None, str(error)

    def _with_final(self, final_state: Any) -> tuple[Track, ...]:
        """The tracks with the state that the user's code took; ShapeError where it cannot be told apart."""
        top = max(track.layer for track in self.tracks)
        below, tops = ([t for t in self.tracks if (t.layer == top) is is_top] for is_top in (False, True))
        outputs = [Slot("outputs", "outputs", _outputs(t), None, t.direction) for t in tops]
        shown = tuple(outputs) if len(outputs) > 1 else (replace(outputs[0], direction=None),)
        cell_first = conventions.get(self.convention).cell_first
        slots = list(read_state(final_state, shown, replace(self.config, layers=1), cell_first))
        parts = {(slot.role, slot.direction): slot.array for slot in slots}
        tracks = [*below]
        for k, track in enumerate(tops):
            h, c = (_part(parts, role, track, k, len(tops)) for role in ("h", "c"))
            if h is None:
                raise ShapeError(f"final_state has no h for {track.name}: give one per direction, (forward, backward)")
            h = _one_a_row(h, "h", _outputs(track))
            c = None if c is None else _one_a_row(c, "c", _outputs(track))
            tracks.append(replace(track, final=h, cell=c))
        return tuple(tracks)


def in_two_directions(where: Where, forward: TrackCall, backward: TrackCall, state_used: bool) -> TrackCall:
    """One call of both: two directions of one layer, which were called one after the other. Outputs are in time."""
    tracks = []
    for ahead, back in zip(forward.tracks, backward.tracks, strict=True):
        outputs = back.outputs
        if back.order == "reversed" and outputs is not None:
            outputs = outputs[:, ::-1]
        tracks += [
            replace(ahead, direction="forward"),
            replace(back, direction="backward", outputs=outputs, order="time"),
        ]
    weights = {f"forward_rnn/{n}": a for n, a in forward.weights.items()}
    weights |= {f"backward_rnn/{n}": a for n, a in backward.weights.items()}
    config = replace(forward.config, direction="bidirectional", go_backwards=False, keep_order=None)
    return replace(
        forward,
        where=where,
        config=config,
        tracks=tuple(tracks),
        weights=weights,
        state_used=state_used,
        not_rerun=forward.not_rerun or backward.not_rerun,
    )


def copied(value: Any, what: str) -> Array:
    """A copy of the numbers `[…]`, whatever becomes of the array."""
    return np.array(to_array(value, what))


def halves(array: Array | None, directions: Sequence[str]) -> list[Array | None]:
    """An array `[D, …]`, one part a direction."""
    return [None if array is None else array[k] for k in range(len(directions))]


def _outputs(track: Track) -> Array:
    if track.outputs is None:
        raise ShapeError(f"{track.name} has no outputs to be compared with")
    return track.outputs


def _picked(trace: Trace, track: Track) -> Track:
    """The track with the state that a right reader takes from its outputs."""
    outputs = _outputs(track)
    steps = trace.expected_steps(track)
    return replace(track, final=outputs[np.arange(outputs.shape[0]), np.maximum(steps, 0)], cell=None)


def _one_a_row(state: Array, name: str, outputs: Array) -> Array:
    """The state as `[B, H]`. Raises ShapeError where it is not one vector for each of the batch's rows."""
    rows, units = outputs.shape[0], outputs.shape[2]
    alone = state[0] if state.ndim == 3 and state.shape[0] == 1 else state
    if alone.ndim != 2 or alone.shape[0] != rows or (name == "h" and alone.shape[1] != units):
        raise ShapeError(
            f"final_state's {name} is {list(state.shape)}; of {rows} rows with {units} units it is [{rows}, {units}]: "
            "give the whole batch's, in its order"
        )
    return alone


def _part(parts: Mapping[Any, Array], role: str, track: Track, k: int, count: int) -> Array | None:
    """The state of one track: its own, or its share of what holds all directions."""
    if (role, track.direction) in parts:
        return parts[role, track.direction]
    whole = parts.get((role, None))
    if whole is None or count == 1:
        return whole
    if whole.ndim == 3 and whole.shape[0] == count:
        return np.asarray(whole[k])
    width = whole.shape[-1] // count
    if role == "h" and width != _outputs(track).shape[-1]:
        return None
    return np.asarray(whole[:, k * width : (k + 1) * width])
