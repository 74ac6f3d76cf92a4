"""A state with other rows than the batch: which rows of the batch these are of, or the layers of which one row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnninspect.conventions.dumps.cell_behind import are_own_steps
from rnninspect.core.evidence import Role, Slot, StateRows
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Ints
from rnninspect.errors import ShapeError
from rnninspect.measure.matching import equal_at, locate

BY_ROW: tuple[Role, ...] = ("outputs", "inputs", "lengths", "mask", "initial_h", "initial_c")
ENOUGH = 0.5  # share of the state's rows that must equal a step of the batch's row of the same number


@frozen(eq=False)
class Fewer:
    """The arrays cut to the rows of the batch that the state has rows for, and which these are."""

    slots: tuple[Slot, ...]
    state_rows: StateRows
    note: str


def with_fewer_rows(slots: tuple[Slot, ...], time_major: bool) -> Iterator[Fewer]:
    """The arrays of the rows that the state is of, for each axis that its rows may stand on; nothing where it has as
    many as the batch, or nothing tells which.

    `time_major`: which axes of the outputs are tried first. The rows are the batch's first ones where at least half of
    the state's rows equal a step of them (a loop whose batch shrinks), else those that the state's rows equal, where
    each equals a step of another one.
    """
    outputs = [slot for slot in slots if slot.role == "outputs"]
    states = [slot for slot in slots if slot.role == "h"]
    if not outputs or not states or any(slot.array.ndim != 3 for slot in outputs):
        return
    if any(not slot.array.size for slot in states) or len({slot.array.shape for slot in outputs}) > 1:
        return
    forms = list(_stacked(states))
    for stacked in forms[::-1] if all(_are_rows(slot.array, outputs) for slot in states) else forms:
        fewer = _of_stacked(slots, outputs, stacked, time_major)
        if fewer is not None:
            yield fewer


def _are_rows(state: Array, outputs: list[Slot]) -> bool:
    """Whether the states `[K, 1, H]` are steps of the outputs, each of them: of layers only the top one's is."""
    if state.ndim != 3 or state.shape[1] != 1 or not state.any(-1).all():
        return False
    views = [slot.array for slot in outputs if slot.array.shape[2] == state.shape[2]]
    return any(all(locate(view, state[:, 0])) for view in views)


def _stacked(states: list[Slot]) -> Iterator[list[Slot]]:
    """The states with their rows on the last axis but one, `[N, K, H]` or `[K, H]`: as they stand, then `[K, N, H]`; of
    `[L, D, K, H]` layers and directions are one axis, and a vector is one row's."""
    if all(slot.array.ndim <= 4 for slot in states):
        yield [replace(slot, array=_of_three_axes(slot.array)) for slot in states]
    if all(slot.array.ndim == 3 for slot in states):
        yield [replace(slot, array=slot.array.swapaxes(0, 1)) for slot in states]


def _of_three_axes(state: Array) -> Array:
    return state.reshape(-1, *state.shape[2:]) if state.ndim == 4 else np.atleast_2d(state)


def _of_stacked(slots: tuple[Slot, ...], outputs: list[Slot], states: list[Slot], time_major: bool) -> Fewer | None:
    """`with_fewer_rows` of states whose rows are on the last axis but one."""
    if len({slot.array.shape[-2] for slot in states}) > 1:
        return None
    count = states[0].array.shape[-2]
    told: list[tuple[int, Ints]] = []
    for axis in (1, 0) if time_major else (0, 1):
        size = outputs[0].array.shape[axis]
        if count >= size or not _lengths_fit(slots, size):
            continue
        if any(_is_batch_first(state.array, outputs[0].array.swapaxes(0, axis)) for state in states):
            continue
        _check_other_axis(slots, states, outputs[0].array, axis)
        rows = _rows_of(states, [slot.array.swapaxes(0, axis) for slot in outputs], size)
        if rows is not None:
            told.append((axis, rows))
    if not told:
        return None
    axis, rows = max(told, key=lambda one: _how_right(slots, states, *one)) if len(told) > 1 else told[0]
    return _cut(slots, rows, outputs[0].array.shape[axis], axis)


def _how_right(slots: tuple[Slot, ...], states: list[Slot], axis: int, rows: Ints) -> tuple[bool, bool, float]:
    """How much speaks for these rows along `axis`: that all states end where the lengths say; that they stand in place;
    how many end so."""
    lengths = next((np.asarray(s.array).reshape(-1) for s in slots if s.role == "lengths"), None)
    outputs = [slot.array.swapaxes(0, axis) for slot in slots if slot.role == "outputs"]
    ends = np.zeros(rows.size, dtype=np.bool_)
    if lengths is not None:
        for state, views in _pairs(states, outputs):
            for view in views:
                ends |= equal_at(view, state, rows, lengths[rows] - 1)
    return bool(ends.all()), np.array_equal(rows, np.arange(rows.size)), float(ends.mean())


def _check_other_axis(slots: tuple[Slot, ...], states: list[Slot], outputs: Array, axis: int) -> None:
    """Raise ShapeError where lengths alone count the rows along `axis`: the states have one for every row along the
    other axis, and are steps of these."""
    rows = outputs.swapaxes(0, 1 - axis)
    lengths = [slot for slot in slots if slot.role == "lengths"]
    tops = [slot.array[-1] if slot.array.ndim == 3 else slot.array for slot in states]
    if lengths and all(len(top) == len(rows) and are_own_steps(rows, top) for top in tops):
        raise ShapeError(
            f"lengths has {lengths[0].array.size} values, but the batch has {len(rows)} rows, which the states are of; "
            "give one length per row"
        )


def with_layers_of_one_row(slots: tuple[Slot, ...], time_major: bool) -> Fewer | None:
    """The arrays of the one row of which the state `[L*D, H]` holds every layer and direction, `h_n[:, -1]`, or of the
    two that stand side by side, `cat([h_n[:, -2], h_n[:, -1]], 1)`; None where it does not. `time_major`: which axes of
    the outputs are tried first."""
    outputs = [slot for slot in slots if slot.role == "outputs"]
    states = [slot for slot in slots if slot.role == "h"]
    if len(outputs) != 1 or len(states) != 1 or outputs[0].array.ndim != 3 or states[0].array.ndim != 2:
        return None
    for axis in (1, 0) if time_major else (0, 1):
        size = outputs[0].array.shape[axis]
        if len(states[0].array) == size or not _lengths_fit(slots, size):
            continue
        for several in (1, 2):
            rows = _rows_of_layers(slots, states[0].array, outputs[0].array.swapaxes(0, axis), several)
            if rows:
                return _as_layers(slots, states[0], np.array(rows), size, axis)
    return None


def _rows_of_layers(slots: tuple[Slot, ...], state: Array, outputs: Array, several: int) -> list[int]:
    """The rows of which the state holds the layers, `several` side by side; empty where it does not. Of the steps that
    tell one of them the one at its length, if lengths are there."""
    lengths = next((np.asarray(s.array).reshape(-1) for s in slots if s.role == "lengths"), None)
    if state.shape[1] % several:
        return []
    rows: list[int] = []
    for part in np.split(state, several, 1):
        told = _row_of_layers(part, outputs)
        ends = [one for one in told if lengths is not None and lengths[one[0]] == one[1] + 1]
        rows += [row for row, _ in (ends or told)[:1]]
    return rows if len(set(rows)) == several else []


def refuse_parts(slots: tuple[Slot, ...], time_major: bool) -> None:
    """Raise ShapeError where a state `[N*L*D, B/N, H]` is that of the whole batch, in N parts one after the other along
    the axis of layers: `torch.nn.DataParallel` so gathers what its devices return.

    `time_major`: which axes of the outputs are tried first.
    """
    outputs, states = ([s for s in slots if s.role == role] for role in ("outputs", "h"))
    if len(outputs) != 1 or len(states) != 1 or outputs[0].array.ndim != 3 or states[0].array.ndim != 3:
        return
    state = states[0].array
    planes, rows, units = state.shape
    for axis in (1, 0) if time_major else (0, 1):
        by_row = outputs[0].array.swapaxes(0, axis)
        parts, directions = len(by_row) // max(rows, 1), by_row.shape[2] // max(units, 1)
        whole = parts * rows == len(by_row) and directions * units == by_row.shape[2]
        if not whole or parts < 2 or directions not in (1, 2) or planes % (parts * directions):
            continue
        if _is_batch_first(state, by_row):
            continue  # N devices with a row each join the same array
        tops = state.reshape(parts, planes // parts, rows, units)[:, -directions]
        if all(are_own_steps(by_row[n * rows : (n + 1) * rows, :, :units], top) for n, top in enumerate(tops)):
            layers = planes // parts
            raise ShapeError(
                f"{states[0].short or 'the state'} {list(state.shape)} holds all {len(by_row)} rows in {parts} parts, "
                f"one after the other on the axis of layers, as torch.nn.DataParallel gathers them: put them together "
                f"along the rows: h.reshape({parts}, {layers}, {rows}, {units}).swapaxes(0, 1).reshape({layers}, "
                f"{len(by_row)}, {units})"
            )


def _is_batch_first(state: Array, outputs: Array) -> bool:
    """Whether a state `[B, 1, H]` is one layer's of every row of outputs `[B, T, H]`: `h_n` with its axes exchanged."""
    alike = state.ndim == 3 and state.shape == (len(outputs), 1, outputs.shape[2])
    return alike and are_own_steps(outputs, state[:, 0])


def _row_of_layers(state: Array, outputs: Array) -> list[tuple[int, int]]:
    """The one row of outputs `[B, T, D*H]` of which the last D of the state's vectors are steps, and the forward one's
    step; empty where there are several or another vector is a step too: the others are of layers below.

    A single vector that stands in the place of its own row is that row's.
    """
    width = state.shape[1]
    if not width or outputs.shape[2] not in (width, 2 * width) or not state.any(1).all():
        return []
    views = [outputs[..., i : i + width] for i in range(0, outputs.shape[2], width)]
    count, below = len(views), len(state) - len(views)
    if len(state) < 2 or len(state) % count:
        return []
    hits = [locate(view, state, most=outputs.shape[0] * outputs.shape[1]) for view in views]
    rows = set.intersection(*({row for row, _ in hits[i][below + i]} for i in range(count)))
    if len(rows) != 1 or any(hits[i][vector] for i in range(count) for vector in range(below)):
        return []
    return [one for one in hits[0][below] if one[0] in rows and (count > 1 or one[0] != len(state) - 1)][:1]


def _as_layers(slots: tuple[Slot, ...], state: Slot, rows: Ints, size: int, axis: int) -> Fewer:
    """The arrays of these rows, and the state as `[L*D, N, H]`, its c with it."""
    kept, count = _cut(slots, rows, size, axis), len(state.array)
    which = f"row{'s' if rows.size > 1 else ''} {', '.join(map(str, rows.tolist()))}"
    note = (
        f"{state.short or 'the state'} {list(state.array.shape)} is read as the {count} layers and directions of "
        f"{which} alone, by its numbers; the other rows of {size} have none"
    )
    stacked = tuple(
        replace(s, array=s.array.reshape(count, rows.size, -1))
        if s.role in ("h", "c") and s.array.shape[:-1] == (count,)
        else s
        for s in kept.slots
    )
    return Fewer(stacked, replace(kept.state_rows, slots=count), note)


def _lengths_fit(slots: tuple[Slot, ...], size: int) -> bool:
    lengths = [slot.array for slot in slots if slot.role == "lengths"]
    return all(array.size == size == max(array.shape, default=0) for array in lengths)  # not a table of them


def _rows_of(states: list[Slot], outputs: list[Array], size: int) -> Ints | None:
    """`[N]`: the batch's row of each of the state's; outputs are `[B, T, H]` or `[B, T, 2H]`."""
    candidates: list[set[int]] = [set() for _ in range(states[0].array.shape[-2])]
    zero = np.ones(len(candidates), dtype=np.bool_)
    for state, views in _pairs(states, outputs):
        zero &= (state == 0).all(-1)
        for view in views:
            for row, hits in enumerate(locate(view, state, most=size * view.shape[1])):
                candidates[row] |= {b for b, _ in hits} if state[row].any() else set()
    telling = np.flatnonzero(~zero)
    if not telling.size or telling[-1] >= size:
        return None
    if np.mean([row in candidates[row] for row in telling]) >= ENOUGH:
        return np.arange(len(candidates))
    picked = [min(options, default=-1) for options in candidates]
    distinct = len(set(picked)) == len(picked) and all(len(options) == 1 for options in candidates)
    return np.array(picked) if distinct else None


def _pairs(states: list[Slot], outputs: list[Array]) -> Iterator[tuple[Array, list[Array]]]:
    """Each state of the top `[N, H]`, and the outputs of its width that it may be a step of."""
    for slot in states:
        top = slot.array[-1] if slot.array.ndim == 3 else slot.array
        for array in outputs:
            units, width = array.shape[2], top.shape[1]
            if width > units and width % units == 0:  # layers side by side, the top one last
                top, width = top[:, -units:], units
            if units == width:
                yield top, [array]
            if units == 2 * width:
                yield top, [array[:, :, :width], array[:, :, width:]]
            elif units == width and width % 2 == 0:  # both directions side by side, which end at different steps
                half = width // 2
                yield top[:, :half], [array[:, :, :half]]


def _cut(slots: tuple[Slot, ...], rows: Ints, size: int, axis: int) -> Fewer:
    lengths = next((np.asarray(s.array).reshape(-1) for s in slots if s.role == "lengths"), None)
    state = next(slot for slot in slots if slot.role == "h")
    listed = ", ".join(map(str, rows.tolist()[:20])) + (", …" if rows.size > 20 else "")
    which = f"row{'s' if rows.size > 1 else ''} {listed}"
    note = (
        f"{state.short or 'the state'} {list(state.array.shape)} has {rows.size} row{'s' if rows.size > 1 else ''}, "
        f"the batch {size}: it is read as that of {which}, by its numbers, and the others have none"
    )
    if not np.array_equal(rows, np.arange(rows.size)):
        note += f" (row i here is row [{listed}][i] of the batch)"
    return Fewer(
        tuple(_of_rows(slot, rows, size, axis) for slot in slots), StateRows(tuple(rows.tolist()), size, lengths), note
    )


def _of_rows(slot: Slot, rows: Ints, size: int, axis: int) -> Slot:
    """These rows of an array that has one for every row of the batch; states that have fewer stay as they are."""
    array = slot.array
    if slot.role not in BY_ROW:
        return slot
    along = axis if slot.role in ("outputs", "inputs", "mask") else max(array.ndim - 2, 0)
    if slot.role == "lengths":
        array, along = array.reshape(-1), 0
    if array.ndim <= along or array.shape[along] != size:
        return slot
    return replace(slot, array=np.take(array, rows, along))
