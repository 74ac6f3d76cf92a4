"""Sentences for arrays that fit no reading: what is plainly missing, and what would help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnninspect.conventions.dumps.roles import Guess
from rnninspect.conventions.dumps.spread import of_one_row
from rnninspect.core.evidence import Reading, Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument
from rnninspect.engine import cells
from rnninspect.errors import ShapeError


def shown(slots: tuple[Slot, ...]) -> str:
    """The arrays by role, name and shape."""
    return ", ".join(f"{s.role} = {s.name or 'the unnamed array'} {tuple(s.array.shape)}" for s in slots)


def no_reading(slots: tuple[Slot, ...], config: LayerConfig, tried: list[str]) -> str:
    """The arrays, every reading that was tried, and what would help."""
    arrays = shown(tuple(s for s in slots if s.role in ("outputs", "h", "c")))
    ways = "; ".join(dict.fromkeys(tried)) or "outputs must be [B, T, H], [T, B, H] or [T, D, B, H]"
    return (
        f"the final state fits no reading of the outputs ({arrays}{_why(slots, config)}); tried: {ways}. "
        f"State the layer's shape with {argument('layers')}, {argument('bidirectional', True)}, "
        f"{argument('time_major', True)}, or name arrays with {argument('outputs')}, {argument('state')}"
    )


def _why(slots: tuple[Slot, ...], config: LayerConfig) -> str:
    """What is plainly missing: the state of one row alone, or of the first rows, or packed data without its lengths."""
    outputs = next(s.array for s in slots if s.role == "outputs")
    state = next(s.array for s in slots if s.role == "h")
    if outputs.ndim == 2 and any(s.role == "lengths" for s in slots):
        return "; outputs of two axes are a PackedSequence's data where they have as many rows as the lengths sum to"
    if outputs.ndim != 3:
        return ""
    rows, units = outputs.shape[1 if config.time_major else 0], outputs.shape[2]
    if state.ndim == 1 and state.size == units:
        return f"; a state of one axis is that of one row, and there are {rows} rows (state[-1] of [B, H]: the last)"
    if state.ndim in (2, 3) and units in (state.shape[-1], 2 * state.shape[-1]) and state.shape[-2] < rows:
        return f"; the state has {state.shape[-2]} rows, and the batch {rows}: the other rows were dropped"
    return ""


def check_cell(slots: tuple[Slot, ...], config: LayerConfig) -> None:
    """Raise ShapeError where the cell that is stated has no such states: a c beside h, or other units than its
    projection's."""
    states, cell_states, outputs = ([s for s in slots if s.role == role] for role in ("h", "c", "outputs"))
    pairs = [(h, c) for h in states for c in cell_states if h.array.shape == c.array.shape]
    if config.cell is not None and pairs and not cells.get(config.cell).has_c:
        h, c = pairs[0]
        raise ShapeError(
            f"{argument('cell', config.cell)} has no cell state, but {c.name} {tuple(c.array.shape)} beside "
            f"{h.name} looks like one: give {argument('cell', 'lstm')}, or leave {c.name} out"
        )
    width = config.attributes.get("num_proj")
    units = outputs[0].array.shape[-1] if len(outputs) == 1 and outputs[0].array.ndim else width
    if width is not None and units not in (width, 2 * width):
        raise ShapeError(
            f"{argument('num_proj', width)} is stated, and the outputs {tuple(outputs[0].array.shape)} have {units} "
            "units: state their width, or leave it out"
        )


def misfit(slot: Slot, reading: Reading) -> str | None:
    """Why an array of this role has no place in the reading, or None where it has one."""
    trace = reading.trace
    outputs = f"the outputs have {trace.batch_size} rows and {trace.steps} steps"
    if slot.role == "inputs":
        if by_row(slot.array, reading) is not None:
            return None
        turned = _turned(slot, reading)
        return f"as inputs it must have the outputs' rows, and as many steps at least, but {outputs}{turned}"
    if slot.role == "c" and all(t.cell is None for t in trace.tracks):
        return f"as a cell state it fits no layer of {trace.batch_size} rows"
    for role, what, states in (
        ("initial_h", "an initial state", [t.initial for t in trace.tracks]),
        ("initial_c", "an initial cell state", [t.initial_cell for t in trace.tracks]),
    ):
        if slot.role == role and all(state is None for state in states):
            each = for_each((slot,), len(trace.tracks), trace.batch_size) or _for_more_layers(slot, reading)
            return f"as {what} it fits no layer of {trace.batch_size} rows{each}"
    return None


def _turned(slot: Slot, reading: Reading) -> str:
    """That inputs would fit along the other axes, as the end of a message; empty where they would not."""
    if by_row(slot.array.swapaxes(0, 1) if slot.array.ndim == 3 else slot.array, reading) is None:
        return ""
    theirs = "batch-major" if reading.time_major else "time-major"
    return f": they fit {theirs}, so give {slot.name}.swapaxes(0, 1)"


def starts_some_layers_alone(slot: Slot, reading: Reading) -> bool:
    """Whether it is an initial state of the reading's rows, or of one for all, and of its units, and not one for every
    layer and direction."""
    units = {t.final.shape[1] for t in reading.trace.tracks if t.final is not None}
    rows = slot.array.shape[-2:-1] == (reading.trace.batch_size,) or of_one_row(slot.array)
    return slot.role == "initial_h" and rows and slot.array.shape[-1] in units


def by_row(inputs: Array, reading: Reading) -> Array | None:
    """The inputs `[B, T, …]` along the rows and steps of a reading; None where they do not fit it.

    Where only the outputs lie along other axes than stated or usual, the inputs may lie along those.
    """
    if inputs.ndim not in (2, 3):
        return None
    trace = reading.trace
    if inputs.ndim == 2 and "B" not in reading.outputs_axes.split():  # a call without a batch axis: [T, F]
        return inputs[None] if len(inputs) >= trace.steps else None
    ways = [reading.time_major, not reading.time_major] if reading.time_swapped else [reading.time_major]
    for time_major in ways:
        array = inputs.swapaxes(0, 1) if time_major else inputs
        if array.shape[0] == trace.batch_size and array.shape[1] >= trace.steps:
            return array
    return None


def for_each(slots: tuple[Slot, ...], count: int, rows: int) -> str:
    """What an initial state of one layer lacks where there are several layers and directions, `count` in all."""
    shapes = {s.array.shape for s in slots if s.array.ndim < 3 or (s.array.ndim == 3 and len(s.array) < count)}
    if count < 2 or not shapes:
        return ""
    seen, units = list(next(iter(shapes))), next(iter(shapes))[-1]
    return f": it is {seen}, one state; give one for every layer and direction, [L, B, H] = {[count, rows, units]}"


def _for_more_layers(slot: Slot, reading: Reading) -> str:
    """What to state where an initial state is of more layers or directions than the final state shows."""
    trace, shape = reading.trace, slot.array.shape
    if len(shape) != 3 or shape[1] != trace.batch_size or shape[0] <= len(trace.tracks):
        return ""
    widths = {t.final.shape[1] for t in trace.tracks if t.final is not None}
    ways = []
    if shape[2] in widths and shape[0] % trace.directions == 0:
        ways.append(argument("layers", shape[0] // trace.directions))
    if trace.directions == 1 and widths == {2 * shape[2]} and shape[0] % 2 == 0:
        more = "" if shape[0] == 2 else f" and {argument('layers', shape[0] // 2)}"
        ways.append(argument("bidirectional", True) + more)
    how = f"state {' or '.join(ways)}" if ways else "state the layer's shape"
    return f": it holds {shape[0]} states, and the final state is of {len(trace.tracks)}: {how}"


def untold(guess: Guess) -> str:
    """That no name tells the outputs or the state, and that the one candidate does not fit by its numbers."""
    arrays = ", ".join(f"{s.name} {tuple(s.array.shape)}" for s in guess.slots)
    roles = " and ".join("outputs" if role == "outputs" else "final state h" for role in guess.by_shape)
    options = " and ".join(argument("outputs" if role == "outputs" else "state") for role in guess.by_shape)
    alone = ", ".join(s.name for s in guess.slots if s.role in guess.by_shape)
    fits = f"by its shape {alone} could be, and no number shows it" if alone else "no array fits by its numbers"
    return f"found no {roles} among {arrays} by name, and {fits}; name them with {options}"


def several(candidates: list[tuple[Slot, ...]]) -> str:
    """That several arrays could be outputs and state, and how to say which are."""
    pairs = [[s for s in slots if s.role in ("outputs", "h")] for slots in candidates]
    arrays = "; ".join(", ".join(f"{s.role} = {s.name} {tuple(s.array.shape)}" for s in pair) for pair in pairs[:6])
    both = f"{argument('outputs')} and {argument('state')}"
    if len({tuple((s.role, s.name) for s in pair) for pair in pairs}) == 1:
        return f"by shape alone these could be the outputs and the final state ({arrays}): name them with {both}"
    return f"several arrays could be the outputs and the final state ({arrays}): name them with {both}"


def unplaced(
    slots: Sequence[Slot], reading: Reading, named: Mapping[Role, Slot], returned: Sequence[Slot]
) -> list[str]:
    """Arrays with a role that fit no place in the reading; ShapeError for one that was stated, or that is plainly an
    initial state of this call and would be left out of it."""
    sentences = []
    for slot in slots:
        why = misfit(slot, reading)
        if why is None:
            continue
        came_with_the_call = slot.role in named or (slot in returned and slot.role != "c")
        if came_with_the_call or starts_some_layers_alone(slot, reading):
            raise ShapeError(f"{slot.role} = {slot.name} {tuple(slot.array.shape)}: {why}")
        sentences.append(f"{slot.name} {list(slot.array.shape)} was not used: {why}")
    return sentences


def with_rows_of_inputs(fitting: list[Reading], slots: tuple[Slot, ...]) -> list[Reading]:
    """The readings without those of other axes that the inputs fit in no order, where the inputs fit the usual axes:
    in a batch of two rows and two steps, `[B, T, 1, H]` would be one row of two directions."""
    inputs = [slot.array for slot in slots if slot.role == "inputs"]

    def fits(reading: Reading) -> bool:
        return all(by_row(array, reading) is not None for array in inputs)

    if not inputs or not any(r.as_stated and fits(r) for r in fitting):
        return fitting
    return [r for r in fitting if not r.time_swapped or fits(r)]


def refuse_truths(slots: tuple[Slot, ...]) -> None:
    """Raise ShapeError where outputs or states are truth values, of which nothing can be told apart."""
    for slot in slots:
        if slot.role in ("outputs", "h", "c") and slot.array.dtype.kind == "b":
            what = slot.short or slot.role
            raise ShapeError(f"{what} {list(slot.array.shape)} holds only true and false: give the numbers themselves")
