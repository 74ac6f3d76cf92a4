"""Axes: every way in which one array can hold the outputs, or the states, of some layers and directions.

The stated or usual way comes first. Nothing here looks at values: which way fits is decided by the numbers, later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Direction

Key = tuple[int, Direction]
Placed = Mapping[Key, Array]


@frozen(eq=False)
class Layout:
    """Arrays placed by layer and direction, and the axes that were assumed, in letters.

    `shape`: rows and steps of outputs, which stand even where merged directions leave nothing to place.
    """

    axes: str
    placed: Placed
    usual: bool = True
    shape: tuple[int, int] = (0, 0)

    @property
    def units(self) -> dict[Key, int]:
        """H by layer and direction."""
        return {key: int(array.shape[-1]) for key, array in self.placed.items()}


def outputs_layout(
    array: Array,
    time_major: bool,
    directions: tuple[Direction, ...],
    layer: int,
    merged: bool = False,
    four_axes: tuple[str, str] | None = None,
) -> Layout | None:
    """The outputs of one layer, `[B, T, H]` a direction, or None where the shape has no such reading.

    `[B, T, D*H]` (or time-major) holds the directions side by side; `[T, H]` is one row. `four_axes`: the letters of
    outputs with a directions axis of its own, batch-major and time-major, where the framework has such. `merged`
    outputs (a sum of directions, say) cannot be split, and give no outputs to match.
    """
    count = len(directions)
    if array.ndim == 4 and four_axes is not None:
        letters = four_axes[time_major]
        by_row = array.transpose([letters.split().index(axis) for axis in "BTDH"])
        if by_row.shape[2] != count:
            return None
        return Layout(letters, {(layer, d): by_row[:, :, i] for i, d in enumerate(directions)}, shape=by_row.shape[:2])
    unbatched = array.ndim == 2
    if unbatched:
        array = array[None] if not time_major else array[:, None]
    if array.ndim != 3 or (array.shape[2] % count and not merged):
        return None
    by_row = array.transpose(1, 0, 2) if time_major else array
    letters = ("T " if unbatched else "T B " if time_major else "B T ") + ("H" if count == 1 else "(D H)")
    if merged:
        return Layout(
            letters.replace("(D H)", "H") + " (directions merged, not to be split)", {}, shape=by_row.shape[:2]
        )
    units = array.shape[2] // count
    placed: Placed = {(layer, d): by_row[:, :, i * units : (i + 1) * units] for i, d in enumerate(directions)}
    return Layout(letters, placed, shape=by_row.shape[:2])


def rows_of(array: Array, time_major: bool, four_axes: tuple[str, str] | None) -> int:
    """How many rows outputs `[B, T, H]` have if read so; 0 where they cannot be."""
    if array.ndim == 4:
        return array.shape[four_axes[time_major].split().index("B")] if four_axes else 0
    if array.ndim == 2:
        return 1
    return array.shape[1 if time_major else 0] if array.ndim == 3 else 0


def state_layouts(
    array: Array,
    rows: int,
    layers: int,
    directions: tuple[Direction, ...],
    units: int | None,
    batch_first: bool = False,
) -> Iterator[Layout]:
    """Every way in which one array can hold final states, `[B, H]` each; the stated or usual way first.

    `units`: H of the top layer's outputs of one direction, or None for a cell state (its width is its own).
    `batch_first`: the user states the layers axis second, `[B, L*D, H]`.
    """
    if array.ndim == 1 and rows == 1:
        array = array[None]
    if array.ndim == 2 and rows == 1 and len(array) == layers * len(directions) > 1:  # a call without a batch axis
        for layout in _three_axes(array[:, None], rows, layers, directions, units, True, batch_first):
            yield Layout(layout.axes.replace(" B ", " "), layout.placed, layout.usual)
        return
    column = array.ndim == 3 and array.shape[0] == rows and array.shape[2] == 1 != units
    if column and units is None:  # or states of one unit
        for layers_first in (not batch_first, batch_first):
            yield from _three_axes(array, rows, layers, directions, units, layers_first, batch_first)
    if column:  # [B, D*H, 1]: what attention multiplies by
        array = array[:, :, 0]
    if array.ndim == 4:
        yield from _four_axes(array, rows, layers, directions)
    elif array.ndim == 3:
        for layers_first in (not batch_first, batch_first):
            yield from _three_axes(array, rows, layers, directions, units, layers_first, batch_first)
    elif array.ndim == 2:
        for layout in _two_axes(array, rows, layers, directions, units):
            yield Layout(layout.axes + " 1", layout.placed, layout.usual) if column else layout


def _three_axes(
    array: Array,
    rows: int,
    layers: int,
    directions: tuple[Direction, ...],
    units: int | None,
    layers_first: bool,
    batch_first: bool,
) -> Iterator[Layout]:
    count, top = len(directions), layers - 1
    stack = array if layers_first else array.transpose(1, 0, 2)  # [L*D, B, H]
    if stack.shape[1] != rows:
        return
    usual = layers_first != batch_first
    letters = "{} B H" if layers_first else "B {} H"
    if stack.shape[0] == layers and count > 1 and units is not None and stack.shape[2] == count * units:
        # each layer's directions side by side (fairseq)
        placed = {
            (layer, d): stack[layer, :, i * units : (i + 1) * units]
            for layer in range(layers)
            for i, d in enumerate(directions)
        }
        yield Layout("L B (D H)" if layers_first else "B L (D H)", placed, usual)
    if units is not None and stack.shape[2] != units:
        return
    label = "(L D)" if count > 1 else "L"
    if stack.shape[0] == layers * count:
        keys = [(layer, d) for layer in range(layers) for d in directions]
        yield Layout(letters.format(label), dict(zip(keys, stack, strict=True)), usual)
        if layers > 1 and count > 1:
            keys = [(layer, d) for d in directions for layer in range(layers)]
            yield Layout(letters.format("(D L)"), dict(zip(keys, stack, strict=True)), False)
    elif stack.shape[0] == count:  # one layer's states of several
        yield Layout(letters.format("D"), {(top, d): stack[i] for i, d in enumerate(directions)}, usual)


def alone_layouts(
    array: Array, rows: int, layers: int, directions: tuple[Direction, ...], units: int | None
) -> Iterator[Layout]:
    """Every way in which an array `[L, B, H]` can hold one direction's states of every layer that reads in two."""
    if array.ndim != 3 or units is None or array.shape[2] != units:
        return
    for stack, letters in ((array, "L B H"), (array.transpose(1, 0, 2), "B L H")):
        if stack.shape[:2] == (layers, rows):
            for direction in directions:
                placed: Placed = {(layer, direction): stack[layer] for layer in range(layers)}
                yield Layout(f"{letters}, {direction} alone", placed, usual=False)


def _four_axes(array: Array, rows: int, layers: int, directions: tuple[Direction, ...]) -> Iterator[Layout]:
    if array.shape[:2] == (layers, len(directions)) and array.shape[2] == rows:
        yield Layout("L D B H", {(k, d): array[k, i] for k in range(layers) for i, d in enumerate(directions)})


def _two_axes(
    array: Array, rows: int, layers: int, directions: tuple[Direction, ...], units: int | None
) -> Iterator[Layout]:
    count, top = len(directions), layers - 1
    if array.shape[0] != rows or (array.shape[1] % count and units is None):
        return
    width = units if units is not None else array.shape[1] // count
    if array.shape[1] == count * width:
        yield Layout("B H" if count == 1 else "B (D H)", _side_by_side(array, width, [(top, d) for d in directions]))
    elif array.shape[1] == layers * count * width:
        keys = [(layer, d) for layer in range(layers) for d in directions]
        yield Layout("B (L H)" if count == 1 else "B (L D H)", _side_by_side(array, width, keys))
    elif count > 1 and array.shape[1] == width:
        for direction in reversed(directions):  # `h_n[-1]` is the backward half
            yield Layout(f"B H, {direction} alone", {(top, direction): array}, usual=False)


def _side_by_side(array: Array, width: int, keys: list[Key]) -> Placed:
    return {key: array[:, i * width : (i + 1) * width] for i, key in enumerate(keys)}


def units_beside(state: Array, cell: Array, units: Mapping[Key, int]) -> dict[Key, int]:
    """The widths of c `[…, C]` by layer and direction, where it has the axes of `state` `[…, H]`, whose widths are
    `units`: as much wider as the whole (a projected LSTM's c is); empty where it has other axes.

    >>> import numpy as np
    >>> units_beside(np.ones((2, 5, 16)), np.ones((2, 5, 24)), {(1, "forward"): 8, (1, "backward"): 8})
    {(1, 'forward'): 12, (1, 'backward'): 12}
    """
    wide, whole = cell.shape[-1:], state.shape[-1:]
    if cell.shape[:-1] != state.shape[:-1] or not all(whole) or any(n * wide[0] % whole[0] for n in units.values()):
        return {}
    return {key: n * wide[0] // whole[0] for key, n in units.items()}
