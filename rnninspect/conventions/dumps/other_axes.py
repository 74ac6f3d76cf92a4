"""Outputs and states whose units do not lie along the last axis, as Flux, MATLAB and DL4J have them: turned round.

Nothing is copied: what is written into the arrays that were turned is written into those of the dump.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from rnninspect.conventions.dumps.shapes import fits_as_state
from rnninspect.core.evidence import Reading, Slot
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array

# Orders of the outputs' axes whose last is not the units', and who has them.
ORDERS = {
    "B H T": "units before steps, as DL4J and layers of convolution have them",
    "H T B": "units before steps, as Flux has them",
    "H B T": "units before rows, as MATLAB has them",
    "T H B": "units before rows, as a list of Flux's steps has them",
}
SAMPLE = 8  # states that are looked for
NEAR = 1e-3  # of their largest number: casts and print-outs round; a reading tells in the end


@frozen(eq=False)
class Turned:
    """How arrays were turned: `order`, the outputs' axes as they were given, in letters, or empty where they stand as
    usual; `to`, as they are read; `states`: whether those of the states were exchanged; `in_one_plane`: whether all
    states that were looked for are of one step or of one row, which may be units of all rows; `note`: what was done.
    """

    order: str
    to: str
    states: bool
    in_one_plane: bool
    note: str

    def outputs(self, array: Array) -> Array:
        """Outputs `[B, T, H]`, or inputs, in the order of `to`, from those in `order`: a view."""
        axes = self.order.split()
        return array.transpose([axes.index(axis) for axis in self.to.split()]) if self.order else array

    def state(self, array: Array) -> Array:
        """A state `[…, H, B]` along the usual axes, `[…, B, H]`: a view."""
        return array.swapaxes(-1, -2) if self.states and array.ndim > 1 else array

    def array(self, slot: Slot, outputs: Array) -> Array:
        """The array `[…]` of a slot along the usual axes; `outputs` `[…]`: those given, of whose axes inputs may be."""
        if slot.role == "outputs":
            return self.outputs(slot.array)
        if slot.role in ("h", "c", "initial_h", "initial_c"):
            return self.state(slot.array)
        if slot.role == "inputs" and slot.array.ndim == 3:
            array = self.outputs(slot.array)
            return array if array.shape[:2] == self.outputs(outputs).shape[:2] else slot.array
        return slot.array

    def told(self, reading: Reading) -> Reading:
        """The reading with the axes as they were given."""
        units = "(D H)" if "(D H)" in reading.outputs_axes else "H"
        outputs_axes = self.order.replace("H", units) if self.order else reading.outputs_axes
        state_axes = reading.state_axes.replace("B (D H)", "(D H) B").replace("B H", "H B")
        notes = (self.note, *reading.evidence.notes)
        return replace(
            reading,
            outputs_axes=outputs_axes,
            state_axes=state_axes if self.states else reading.state_axes,
            evidence=replace(reading.evidence, notes=notes),
        )


def turns(slots: Sequence[Slot], time_major: bool) -> Iterator[Turned]:
    """Every way to turn the arrays, so that their shapes fit and outputs hold most of some states; the states are then
    the last ones of rows or of other steps, which is not asked here.

    `time_major`: outputs are to be `[T, B, H]`, else `[B, T, H]`. Nothing where several arrays are outputs or h.
    """
    outputs, states, cells = ([slot for slot in slots if slot.role == role] for role in ("outputs", "h", "c"))
    if len(outputs) != 1 or len(states) != 1 or outputs[0].array.ndim != 3 or states[0].array.ndim not in (2, 3):
        return
    to = "T B H" if time_major else "B T H"
    for order, exchanged in product(("", *ORDERS), (False, True)):
        note = _note(outputs[0], states[0], order, to, exchanged)
        turned = Turned(order, to, exchanged, False, note)
        array, state = turned.outputs(outputs[0].array), turned.state(states[0].array)
        if not (order or exchanged) or not fits_as_state(state, array):
            continue
        by_row = array.swapaxes(0, 1) if time_major else array
        of_cells = (turned.state(slot.array) for slot in cells[:1] if slot.array.shape == states[0].array.shape)
        places = next(filter(None, (_places(final, by_row) for final in (state, *of_cells))), None)
        if places:
            rows, steps = (len({place[axis] for some in places for place in some}) for axis in (0, 1))
            yield replace(turned, in_one_plane=min(rows, steps) == 1)


def goes_as_usual(slots: Sequence[Slot]) -> bool:
    """Whether the arrays as they are given may go together: most of a few states are steps, of any row, and lengths are
    as many as one of the first two axes has entries."""
    outputs, states, lengths = ([s.array for s in slots if s.role == role] for role in ("outputs", "h", "lengths"))
    return any(
        o.ndim == 3 and 1 < h.ndim < 4 and h.shape[-1] in (o.shape[2], o.shape[2] // 2) and _places(h, o)
        for o in outputs
        for h in states
        if all(counted.size in o.shape[:2] for counted in lengths)
    )


def _places(state: Array, outputs: Array) -> list[set[tuple[int, int]]]:
    """The (row, step) of outputs `[B, T, H]` at which each of a few states is, of two units or more that differ; empty
    unless most are somewhere. Of two directions side by side each half is somewhere."""
    width, units = state.shape[-1], outputs.shape[2]
    if not state.size:
        return []
    vectors = state.reshape(-1, width)
    telling = vectors[(vectors != vectors[:, :1]).any(1)][:SAMPLE]
    places = []
    for vector in telling:
        whole = {place for i in {0, units - width} for place in _equal(outputs[..., i : i + width], vector)}
        halves: list[set[tuple[int, int]]] = []
        if not whole and width == units and width % 2 == 0:
            half = width // 2
            halves = [set(_equal(outputs[..., at], vector[at])) for at in (slice(half), slice(half, None))]
        places.append(whole or (set.union(*halves) if halves and all(halves) else set()))
    return list(filter(None, places)) if 2 * sum(map(bool, places)) >= len(places) else []


def _equal(outputs: Array, vector: Array) -> Iterator[tuple[int, int]]:
    allowed = NEAR * float(np.abs(vector).max())
    unit = int(np.abs(vector).argmax())  # of zeros there may be very many
    near = np.argwhere(np.abs(outputs[..., unit] - vector[unit]) <= allowed)
    equal = (np.abs(outputs[near[:, 0], near[:, 1]] - vector) <= allowed).all(-1)
    yield from map(tuple, near[equal].tolist())


def _note(outputs: Slot, state: Slot, order: str, to: str, exchanged: bool) -> str:
    """What was done to the arrays, and how to do it."""
    sentences = []
    if order:
        axes = order.split()
        way = ", ".join(str(axes.index(axis)) for axis in to.split())
        name, letters = outputs.short or "outputs", ", ".join(axes)
        sentences.append(
            f"{name} {list(outputs.array.shape)} is read as [{letters}], {ORDERS[order]}: {name}.transpose({way}) is "
            f"[{', '.join(to.split())}]"
        )
    if exchanged:
        name = state.short or "the final state"
        shown, usual = ("[H, B]", "[B, H]") if state.array.ndim == 2 else ("[L, H, B]", "[L, B, H]")
        sentences.append(
            f"{name} {list(state.array.shape)} is read as {shown}, units before rows: {name}.swapaxes(-1, -2) is "
            f"{usual}"
        )
    return "; ".join(sentences)
