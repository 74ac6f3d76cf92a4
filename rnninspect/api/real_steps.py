"""What a program asks of padded rows: their last real output, and the rows turned round within their lengths.

Both take numpy arrays or torch tensors and give the same: in torch on the same device, and gradients flow through.
Importing this does not import torch: who hands a tensor over has done so.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rnninspect import conventions
from rnninspect.api import traced_steps
from rnninspect.core.arrays import framework, holds_arrays, is_array, to_array
from rnninspect.core.batch import check_mask, is_of_lengths, resolve_mask
from rnninspect.core.full_lengths import FULL
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Bools, Direction, Ints, TimeOrder, Trace, Track, ZeroLength
from rnninspect.core.wording import argument
from rnninspect.errors import ShapeError, UserError

DIRECTIONS = ("forward", "reverse", "bidirectional")


def final_state(
    outputs: Any,
    lengths: npt.ArrayLike | str | None = None,
    *,
    mask: npt.ArrayLike | None = None,
    bidirectional: bool = False,
    direction: Literal["forward", "reverse", "bidirectional"] | None = None,
    go_backwards: bool = False,
    keep_order: bool | None = None,
    time_major: bool = False,
    zero_length: ZeroLength | None = None,
    initial_state: Any = None,
    convention: str = "tf1",
) -> Any:
    """Gather the final state h of every row from the outputs: forward the last real step, backward the first.

    Args: `outputs`: `[B, T, H]`, `[B, T, 2H]` in two directions (`[T, B, …]` with `time_major`), a numpy array, a torch
    tensor or PackedSequence; or a pair (forward, backward). `lengths`: `[B]`, or `"full"`: no row is shorter than T;
    `mask`: `[B, T]`, True where a step is real; it may have holes or padding on the left. `bidirectional`,
    `direction`, `go_backwards` (Keras: the whole time axis is in reading order), `keep_order` (Flax: False leaves rows
    reversed within their lengths): how the layer reads, as for `inspect`. `convention`: the layer's framework.
    `zero_length`: the state of a row without real steps, by default that framework's: `initial`, its `initial_state`
    (as wide as the result; None: zeros); `wrap`, the state after a run over its masked steps; `zero`.

    Returns: `[B, H]`, or `[B, 2H]`, of the outputs' type; a pair where a pair was given.

    Raises: UserError where nothing says which steps are real, ShapeError where the shapes do not fit.

    >>> outputs = np.array([[[0.1], [0.2], [0.0]], [[0.3], [0.4], [0.5]]])
    >>> final_state(outputs, [2, 3]).tolist()
    [[0.2], [0.5]]
    """
    if direction not in (None, *DIRECTIONS) or (bidirectional and direction in ("forward", "reverse")):
        wanted = f"one of {', '.join(DIRECTIONS)}" if direction not in DIRECTIONS else "it contradicts bidirectional"
        raise UserError(f"{argument('direction', str(direction))}: {wanted}")
    outputs, lengths = _unpacked(outputs, lengths, time_major)
    is_pair = holds_arrays(outputs)
    config = LayerConfig(
        direction="bidirectional" if bidirectional or is_pair else direction,
        go_backwards=go_backwards,
        keep_order=keep_order,
    )
    directions = config.directions or ("forward",)
    order = _order(config, convention)
    policy = conventions.get(convention).zero_length if zero_length is None else zero_length
    if policy not in ("initial", "wrap", "zero"):
        raise UserError(f"{argument('zero_length', policy)}: a row without real steps ends in initial, wrap or zero")
    parts = outputs if is_pair else (outputs,)
    if traced_steps.is_traced(*parts) and not (lengths is None and mask is None):
        by_row = [part.swapaxes(0, 1) if time_major else part for part in parts]
        halves = by_row if len(by_row) == len(directions) else by_row[0].chunk(len(directions), -1)
        real = traced_steps.real_steps(lengths, mask, halves[0])
        finals = traced_steps.finals(halves, real, directions, order, policy, initial_state)
        return tuple(finals) if is_pair else _joined(finals)
    halves = _halves(parts, len(directions), time_major)
    rows, steps = halves[0].shape[:2]
    real = _real_steps(lengths, mask, rows, steps, time_major)
    finals = [_final(half, real, d, order, policy) for half, d in zip(halves, directions, strict=True)]
    if policy == "initial" and initial_state is not None:
        finals = _from_initial(finals, np.asarray(~real.any(1)), initial_state)
    return tuple(finals) if is_pair else _joined(finals)


def reverse_within_lengths(
    x: Any, lengths: npt.ArrayLike | None = None, *, mask: npt.ArrayLike | None = None, time_major: bool = False
) -> Any:
    """Reverse the real steps of every row and leave its padding in place: what a backward pass reads.

    Args: `x`: `[B, T, …]` (`[T, B, …]` with `time_major`), a numpy array or a torch tensor; or a PackedSequence, which
    brings its lengths. `lengths`: `[B]`; or `mask`: `[B, T]`, True where a step is real: only these are reversed.

    Returns: an array of the same shape and type. Applied twice, it gives `x` again.

    Raises: UserError where neither lengths nor a mask is given, ShapeError where the shapes do not fit.

    >>> reverse_within_lengths(np.array([[1, 2, 3], [4, 5, 0]]), [3, 2]).tolist()
    [[3, 2, 1], [5, 4, 0]]
    """
    if _is_packed(x):
        return _packed_turned(x, lengths, mask)
    if traced_steps.is_traced(x) and not (lengths is None and mask is None):
        by_row = x.swapaxes(0, 1) if time_major else x
        turned = traced_steps.turned(by_row, traced_steps.real_steps(lengths, mask, by_row))
        return turned.swapaxes(0, 1) if time_major else turned
    array = _sequence(x, "x")
    if len(array.shape) < 2:
        raise ShapeError(f"x is {tuple(array.shape)}: rows and steps are needed, [B, T, …]")
    by_row = array.swapaxes(0, 1) if time_major else array
    rows, steps = by_row.shape[:2]
    source = _turned(_real_steps(lengths, mask, rows, steps, time_major))
    turned = by_row[_like(np.arange(rows)[:, None], by_row), _like(source, by_row)]
    return turned.swapaxes(0, 1) if time_major else turned


def _order(config: LayerConfig, convention: str) -> TimeOrder:
    """How backward outputs lie in time: as the keyword that one framework has says, else as the framework has it."""
    whose = "keras" if config.go_backwards else "flax" if config.keep_order is not None else convention
    return conventions.get(whose).order(config)


def _turned(real: Bools) -> Ints:
    """`[B, T]`: for each step, the step that takes its place where the real ones are in reverse.

    >>> _turned(np.array([[True, False, True, True], [True, True, False, False]])).tolist()
    [[3, 1, 2, 0], [1, 0, 2, 3]]
    """
    steps = np.broadcast_to(np.arange(real.shape[1]), real.shape)
    source = steps.copy()
    ranks = np.cumsum(real, 1) - 1
    for row in np.flatnonzero(real.any(1)):
        places = np.flatnonzero(real[row])
        source[row, places] = places[::-1][ranks[row, places]]
    return source


def _final(half: Any, real: Bools, direction: Direction, order: TimeOrder, policy: ZeroLength) -> Any:
    """`[B, H]`: the outputs `[B, T, H]` of one direction at the step where it has read all of a row."""
    track = Track(0, direction, None, None, order=order if direction == "backward" else "time")
    expected = Trace(real, (track,)).expected_steps(track)
    empty = expected < 0
    wrapped = 0 if track.direction == "backward" and track.order == "time" else real.shape[1] - 1
    steps = np.where(empty, wrapped, expected)
    final = half[_like(np.arange(steps.size), half), _like(steps, half)]
    if policy != "wrap" and empty.any():
        return _chosen(empty, 0, final)
    return final


def _from_initial(finals: list[Any], empty: Bools, initial: Any) -> list[Any]:
    """The finals with the initial state in rows without a real step; each direction's half where one array has both."""
    states = initial if isinstance(initial, tuple) else (initial,)
    arrays = [_sequence(state, "initial_state") for state in states]
    shapes = ", ".join(str(tuple(a.shape)) for a in arrays)
    (rows, units), width = finals[0].shape, sum(int(f.shape[1]) for f in finals)
    if len(arrays) == 1 < len(finals) and arrays[0].shape and arrays[0].shape[-1] == width:
        arrays = [arrays[0][..., :units], arrays[0][..., units:]]
    wanted = [tuple(f.shape) for f in finals]
    if len(arrays) != len(finals) or any(
        tuple(a.shape) not in (w, w[1:], (1, *w[1:])) for a, w in zip(arrays, wanted, strict=True)
    ):
        pair = f", or a tuple of both directions' states, {' and '.join(map(str, wanted))}" if len(finals) > 1 else ""
        raise ShapeError(f"initial_state is {shapes}: it must be as wide as the result, {(rows, width)}{pair}")
    return [_chosen(empty, a, f) for a, f in zip(arrays, finals, strict=True)]


def _halves(outputs: Sequence[Any], count: int, time_major: bool) -> list[Any]:
    """`[B, T, H]` for each direction, of one array or a pair."""
    if len(outputs) not in (1, 2):
        raise ShapeError(f"outputs are {len(outputs)} arrays: a pair is needed, forward and backward")
    arrays = [_sequence(array, "outputs") for array in outputs]
    if any(len(a.shape) != 3 or 0 in a.shape[:2] for a in arrays) or len({tuple(a.shape[:2]) for a in arrays}) > 1:
        shapes = ", ".join(str(tuple(a.shape)) for a in arrays)
        raise ShapeError(f"outputs are {shapes}: rows, steps and units are needed, [B, T, H]")
    by_row = [a.swapaxes(0, 1) if time_major else a for a in arrays]
    if len(by_row) == count:
        return by_row
    units, rest = divmod(int(by_row[0].shape[2]), 2)
    if rest:
        raise ShapeError(f"outputs are {tuple(arrays[0].shape)}: an odd number of units is not that of two directions")
    return [by_row[0][..., :units], by_row[0][..., units:]]


def _real_steps(lengths: Any, mask: Any, rows: int, steps: int, time_major: bool) -> Bools:
    """`[B, T]`: True where a step is real. Lengths beyond T and masks that fit two ways are refused."""
    if lengths is None and mask is None:
        raise UserError(
            f"nothing says which steps are real: give {argument('lengths')} or {argument('mask')}, or "
            f"{argument('lengths', FULL)} where no row is shorter than {steps} steps"
        )
    if isinstance(lengths, str):
        if lengths != FULL or mask is not None:
            raise UserError(f"{argument('lengths', lengths)}: give numbers, [B], or {FULL!r} alone")
        return np.ones((rows, steps), dtype=np.bool_)
    numbers = None if lengths is None else to_array(lengths, "lengths")
    real, checked = resolve_mask(rows, steps, numbers, None if mask is None else _by_row(mask, rows, steps, time_major))
    bad = [] if checked is None else np.flatnonzero(checked > steps).tolist()
    if bad and checked is not None:
        shown = ", ".join(f"lengths[{b}] is {checked[b]}" for b in bad[:20])
        raise ShapeError(f"{shown}, and there are {steps} steps; the lengths are of another time axis")
    return real


def _by_row(mask: Any, rows: int, steps: int, time_major: bool) -> Array:
    """A mask as `[B, T]`: of `[T, B]` arrays it may be `[T, B]` too."""
    array = to_array(mask, "mask")
    if not time_major or array.shape != (steps, rows):
        return array
    if rows != steps:
        return np.asarray(check_mask(array.T, rows, steps))
    one_block, turned = _is_one_block(array), _is_one_block(array.T)
    if one_block and turned and not np.array_equal(array, array.T):
        raise ShapeError(f"mask is {array.shape}: it may be [B, T] or [T, B], which differ; give {argument('lengths')}")
    return np.asarray(array.T if turned and not one_block else array)


def _is_one_block(mask: Array) -> bool:
    """Whether the real steps of every row stand together at its beginning, or of every row at its end."""
    real = mask.astype(np.bool_)
    return is_of_lengths(real) or is_of_lengths(real[:, ::-1])


def _is_packed(value: Any) -> bool:
    return hasattr(value, "batch_sizes") and hasattr(value, "unsorted_indices")


def _packed_turned(packed: Any, lengths: Any, mask: Any) -> Any:
    """A PackedSequence with the steps of each row in reverse, packed as it was."""
    if mask is not None:
        raise UserError(f"a PackedSequence brings its own lengths: leave {argument('mask')} out")
    _unpacked(packed, lengths, False)
    sizes = packed.batch_sizes.numpy()
    starts, counts = np.cumsum(sizes) - sizes, (np.arange(sizes[0])[:, None] < sizes).sum(1)
    source = np.concatenate([starts[counts[:size] - 1 - step] + np.arange(size) for step, size in enumerate(sizes)])
    return packed._replace(data=packed.data[_like(source, packed.data)])


def _unpacked(outputs: Any, lengths: Any, time_major: bool) -> tuple[Any, Any]:
    """A PackedSequence padded, and its own lengths; all else as it is."""
    if not _is_packed(outputs):
        return outputs, lengths
    from torch.nn.utils.rnn import pad_packed_sequence

    padded, own_lengths = pad_packed_sequence(outputs, batch_first=not time_major)
    if lengths is not None and not np.array_equal(to_array(lengths, "lengths"), own_lengths.numpy()):
        raise UserError(f"a PackedSequence brings its own lengths, {own_lengths.tolist()[:20]}: leave lengths out")
    return padded, own_lengths


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _sequence(value: Any, what: str) -> Any:
    """A torch tensor as it is, all else as a numpy array; UserError on the arrays of other frameworks."""
    if _is_tensor(value):
        if value.is_complex():
            raise ShapeError(f"{what} (torch Tensor) has dtype {str(value.dtype).split('.')[-1]}; numbers are needed")
        return value
    if is_array(value) and framework(value) != "numpy":
        raise UserError(f"{what} is of {framework(value)}: give a numpy array, np.asarray({what}), or a torch tensor")
    return to_array(value, what)


def _like(index: Ints | Bools, array: Any) -> Any:
    """An index, for an array: where that is a tensor, one on its device."""
    return sys.modules["torch"].as_tensor(index, device=array.device) if _is_tensor(array) else index


def _chosen(rows: Bools, these: Any, others: Any) -> Any:
    """`[B, H]`: `these` in the rows named, `others` elsewhere, of the type of `others`."""
    if not _is_tensor(others):
        return np.where(rows[:, None], to_array(these, "initial_state"), others).astype(others.dtype)
    torch = sys.modules["torch"]
    values = torch.as_tensor(these, dtype=others.dtype, device=others.device)
    return torch.where(_like(rows[:, None], others), values, others)


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    return sys.modules["torch"].cat(parts, -1) if _is_tensor(parts[0]) else np.concatenate(parts, -1)
