"""Arrays in other forms, made into the usual ones: packed rows and lengths as shares of the longest row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Slot
from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError

MOST_ROWS = 16  # of a flat state, that are looked at
TELLING = 12  # numbers from which on one half is not by chance what c may be behind the other


def unpack(data: Array, batch_sizes: Array, sorted_indices: Array | None) -> tuple[Array, Array]:
    """A PackedSequence's `data` `[N, H]` as `[B, T, H]` with zeros past the lengths, and the lengths `[B]`.

    Raises ShapeError where the parts do not fit together.


    `batch_sizes[t]` rows are `t + 1` steps long or longer; packed row i is row `sorted_indices[i]` of the batch.

    >>> outputs, lengths = unpack(np.array([[1], [2], [3]]), np.array([2, 1]), np.array([1, 0]))
    >>> outputs[:, :, 0].tolist(), lengths.tolist()
    ([[2, 0], [1, 3]], [1, 2])
    """
    sizes = np.asarray(batch_sizes)
    if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or not _sum_up(sizes.astype(np.int64), np.shape(data)):
        raise ShapeError(
            f"batch_sizes {np.ravel(sizes).tolist()[:8]} do not fit the shape {list(np.shape(data))} of a "
            "PackedSequence's data"
        )
    rows, starts = int(sizes[0]), np.cumsum(sizes) - sizes
    order = np.arange(rows) if sorted_indices is None else np.ravel(np.asarray(sorted_indices))
    if order.dtype.kind not in "iu" or not np.array_equal(np.sort(order), np.arange(rows)):
        raise ShapeError(
            f"sorted_indices {order.tolist()[:8]} do not number the {rows} rows of a PackedSequence, each once"
        )
    padded = np.zeros((rows, len(sizes), *data.shape[1:]), dtype=data.dtype)
    for step, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        padded[order[:size], step] = data[start : start + size]
    lengths = np.zeros(rows, dtype=np.int64)
    lengths[order] = (sizes[:, None] > np.arange(rows)).sum(0)
    return padded, lengths


def _sum_up(sizes: Array, shape: tuple[int, ...]) -> bool:
    """Whether `[T]` rows a step, never more than before and never none, are all the rows of data of that shape."""
    ordered = bool(sizes.size) and bool((np.diff(sizes) <= 0).all()) and int(sizes[-1]) > 0
    return ordered and bool(shape) and int(sizes[0]) <= shape[0] and int(sizes.sum()) == shape[0]


def packed_otherwise(arrays: Mapping[str, Array], slots: tuple[Slot, ...]) -> str:
    """That the lengths used are not those that a PackedSequence of the dump was packed with; empty where they are."""
    used = next((s for s in slots if s.role == "lengths"), None)
    for name, sizes in arrays.items():
        prefix, sizes_name, _ = name.rpartition("batch_sizes")
        data = arrays.get(prefix + "data")
        if used is None or not sizes_name or data is None or name != prefix + sizes_name:
            continue
        packed = unpack(data, sizes, arrays.get(prefix + "sorted_indices"))[1]
        used_lengths = np.asarray(used.array).reshape(-1)
        if not np.array_equal(packed, used_lengths):
            shown = f"{used_lengths.tolist()[:20]}, and {name} packs {packed.tolist()[:20]}"
            return f"{used.name or 'lengths'} and the packed lengths disagree: {used.name or 'lengths'} are {shown}"
    return ""


def with_rows_unpacked(slots: tuple[Slot, ...], time_major: bool) -> Iterator[tuple[tuple[Slot, ...], str]]:
    """The slots with outputs `[sum of lengths, H]` padded: as a PackedSequence's data, or rows one after the other.

    Yields each with a note, that first with which the states go better; nothing where the outputs are
    no such array. The axes are those stated.
    """
    outputs = [s for s in slots if s.role == "outputs"]
    lengths = next((np.asarray(s.array) for s in slots if s.role == "lengths"), None)
    if len(outputs) != 1 or outputs[0].array.ndim != 2 or lengths is None or lengths.dtype.kind not in "iu":
        return
    lengths = lengths.reshape(-1)
    data = outputs[0].array
    if lengths.size < 2 or (lengths < 1).any() or lengths.sum() != len(data):
        return
    order = np.argsort(-lengths, kind="stable")
    sizes = (lengths[None] > np.arange(int(lengths.max()))[:, None]).sum(1)
    joined = np.zeros((lengths.size, int(lengths.max()), data.shape[1]), dtype=data.dtype)
    for row, part in enumerate(np.split(np.asarray(data), np.cumsum(lengths)[:-1])):
        joined[row, : len(part)] = part
    shown = f"{outputs[0].name or 'outputs'} {list(data.shape)}"
    ways = [
        (unpack(np.asarray(data), sizes, order)[0], "a PackedSequence's data, unpacked by the lengths"),
        (joined, "the rows' real steps one after the other, unpacked by the lengths"),
    ]
    states = [s.array for s in slots if s.role == "h"]
    for padded, what in sorted(ways, key=lambda way: -_fit(way[0], lengths, states)):
        array = padded.swapaxes(0, 1) if time_major else padded
        yield tuple(replace(s, array=array) if s is outputs[0] else s for s in slots), f"{shown} is read as {what}"


def _fit(outputs: Array, lengths: Array, states: list[Array]) -> float:
    """How well states, planes `[B, W]` of these, go with outputs `[B, T, H]`: the share that are a step of their own
    row, and that end some row, in the first or the last W units; the best plane's."""
    planes = [plane for s in states if s.ndim > 1 for plane in s.reshape(-1, *s.shape[-2:])]
    ends = outputs[np.arange(lengths.size), lengths - 1]
    fits = [0.0]
    for plane in planes:
        width = plane.shape[1]
        if len(plane) != len(outputs) or not 0 < width <= outputs.shape[2]:
            continue
        for units in (slice(width), slice(-width, None)):
            steps = (outputs[..., units] == plane[:, None]).all(-1).any(1)
            last = (ends[None, :, units] == plane[:, None]).all(-1).any(1)
            fits.append(float(np.mean([steps, last])))
    return max(fits)


def with_columns_flat(slots: tuple[Slot, ...]) -> tuple[Slot, ...]:
    """The slots with states `[B, N*H, 1]`, which attention multiplies by, as `[B, N*H]`; as they are where the outputs
    have one unit, of which `[B, L*D, 1]` is a stack."""
    if any(slot.role == "outputs" and slot.array.shape[-1:] == (1,) for slot in slots):
        return slots

    def flat(slot: Slot) -> Slot:
        column = slot.role in ("h", "c") and slot.array.ndim == 3 and slot.array.shape[2] == 1
        return replace(slot, array=slot.array[:, :, 0]) if column else slot

    return tuple(map(flat, slots))


def with_cells_apart(slots: tuple[Slot, ...], units: int) -> Iterator[tuple[tuple[Slot, ...], str]]:
    """The slots with a lone state `[B, 2H]` taken apart into c and h, in the order that its numbers allow, with a note.

    `units`: H of the outputs. Nothing where it is no such array, or where neither half can be the c behind the other;
    nor where so few numbers can be that by chance and the half taken for c holds steps of the outputs, as the top one
    of two layers side by side does.
    """
    states = [s for s in slots if s.role == "h"]
    if len(states) != 1 or any(s.role == "c" for s in slots) or states[0].array.ndim != 2:
        return
    whole = states[0].array
    if whole.shape[1] != 2 * units or whole.dtype.kind != "f":
        return
    first, second = whole[:, :units], whole[:, units:]
    for cell, h, order in ((first, second, "c and h"), (second, first, "h and c")):
        if may_be_cells(cell, h) and not (cell.size < TELLING and _holds_steps_alone(cell, h, slots)):
            apart = (replace(states[0], array=h), replace(states[0], role="c", array=cell))
            others = tuple(s for s in slots if s is not states[0])
            yield (
                (*others, *apart),
                f"{states[0].name or 'the state'} {list(whole.shape)} is read as {order} side by side",
            )


def _holds_steps_alone(cell: Array, h: Array, slots: tuple[Slot, ...]) -> bool:
    """Whether the one half equals steps of the outputs, and the other none."""
    outputs = next((s.array for s in slots if s.role == "outputs" and s.array.ndim == 3), None)
    return outputs is not None and holds_steps(cell, outputs) and not holds_steps(h, outputs)


def holds_steps(state: Array, outputs: Array) -> bool:
    """Whether some part of a flat state `[B, N*H]`, as wide as one direction of the outputs `[B, T, H]`, equals a step.

    The batch may be either of the first two axes, and H one direction or two side by side. A few rows are looked at.
    """
    units = outputs.shape[2]
    for width in (units, units // 2) if units % 2 == 0 else (units,):
        parts = np.asarray(state[:MOST_ROWS]).reshape(-1, width)
        for steps in (outputs[..., i : i + width] for i in range(0, units, width)):
            if any(part.any() and (steps == part).all(-1).any() for part in parts):
                return True
    return False


def may_be_cells(cell: Array, h: Array) -> bool:
    """Whether `[B, H]` can be the c behind this h, unit by unit: of one sign, and no smaller than h takes.

    >>> may_be_cells(np.array([[2.0, -0.5]]), np.array([[0.5, -0.1]]))
    True
    >>> may_be_cells(np.array([[0.5]]), np.array([[-0.1]]))
    False
    """
    with np.errstate(all="ignore"):
        c, reached = np.asarray(cell, dtype=np.float64), np.asarray(h, dtype=np.float64)
        return bool((reached * c >= 0).all() and (np.abs(reached) <= np.abs(np.tanh(c)) + 1e-3).all() and c.any())


def are_shares(lengths: Array) -> bool:
    """Whether these `[B]` are shares of the longest row: from 0 to 1, 1 among them, and not all whole.

    >>> are_shares(np.array([1.0, 0.5])), are_shares(np.array([1.0, 1.0])), are_shares(np.array([4, 2]))
    (True, False, False)
    """
    if lengths.dtype.kind != "f" or not lengths.size or not np.isfinite(lengths).all():
        return False
    inside = (lengths >= 0).all() and np.isclose(lengths.max(), 1.0, rtol=1e-6)
    return bool(inside and (lengths != np.rint(lengths)).any())
