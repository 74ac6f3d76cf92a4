"""What a program hands over -> numpy arrays: arrays of any framework, without importing one.

An array is whatever has a shape and a dtype. What follows numpy's protocols (`__array__`, `__dlpack__`) is read through
them; torch's tensors are first detached and brought to the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError

DEEPEST = 64  # levels of lists and mappings: numpy has no more axes
_NARROW = ("bfloat16", "float8", "float4")  # dtypes that numpy lacks; float32 holds their values exactly


def is_array(value: Any) -> bool:
    """Whether it is an array of some framework, not a list of numbers.

    >>> is_array(np.zeros(3)), is_array([0.0, 0.0])
    (True, False)
    """
    try:
        return hasattr(value, "shape") and hasattr(value, "dtype")
    except Exception:  # a nested tensor has no shape to tell, and says so in an error of its own
        return False


def holds_arrays(value: Any) -> bool:
    """Whether a list or tuple has an array in it, at any depth."""
    return isinstance(value, (list, tuple)) and any(is_array(v) or holds_arrays(v) for v in value)


def refuse_deep(value: Any, what: str, levels: int = DEEPEST) -> None:
    """Raise ShapeError where lists and mappings nest deeper than arrays can, as one does that holds itself."""
    if not levels:
        raise ShapeError(f"{what} is nested too deeply for arrays, or holds itself; give arrays, or lists of them")
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    for part in parts:
        if isinstance(part, (list, tuple, Mapping)):
            refuse_deep(part, what, levels - 1)


def framework(value: Any) -> str:
    """The package that the array's type comes from: `torch`, `jax`, `numpy`, …

    >>> framework(np.zeros(3))
    'numpy'
    """
    return type(value).__module__.partition(".")[0]


def rank(value: Any) -> int:
    """How many axes it has, read off the shape where it is an array: nothing is copied. 0 for what is none."""
    try:
        return len(value.shape) if is_array(value) else np.ndim(value)
    except Exception:  # `to_array` says what is wrong with it
        return 0


def to_array(value: Any, what: str = "the array") -> Array:
    """The numbers `[…]` as numpy has them: views where the framework allows, bfloat16 as float32, value for value.

    `value`: an array of any framework, on any device, with or without gradient; nested lists of numbers; a list of
    arrays of one shape, which is stacked. `what` names it in messages. Raises ShapeError on what holds no numbers (a
    symbolic or traced value, text, objects, complex numbers) and on lists that are uneven.

    >>> to_array([np.ones(2), np.zeros(2)]).shape
    (2, 2)
    """
    if isinstance(value, np.ma.MaskedArray):
        raise ShapeError(
            f"{what} is a masked array, whose mask would be lost: give its .data, and what is real as mask"
        )
    numbers = _converted(value, what)
    if numbers.dtype.kind == "V" and numbers.dtype.name.startswith(_NARROW):
        numbers = numbers.astype(np.float32)
    if numbers.dtype.kind == "u" and str(getattr(value, "dtype", "")).endswith("bfloat16"):  # Paddle's bits
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    if numbers.dtype.kind not in "fiub":
        raise ShapeError(f"{what} ({_type_name(value)}) has dtype {numbers.dtype}; numbers are needed")
    return numbers


def padded(rows: Sequence[Any], what: str) -> tuple[Array, Array | None]:
    """Arrays of one row each, `[n, …]`, as one `[B, T, …]` with zeros behind the shorter ones, and their lengths `[B]`.

    Rows of one shape are stacked and have no lengths of their own: None. Raises ShapeError where the other axes differ.

    >>> padded([np.ones((1, 2)), np.ones((3, 2))], "outputs")[1]
    array([1, 3])
    """
    arrays = [to_array(row, f"{what}[{b}]") for b, row in enumerate(rows)]
    if len({a.shape for a in arrays}) == 1:
        return np.stack(arrays), None
    inner = {a.shape[1:] for a in arrays if a.ndim}
    if len(inner) != 1 or not all(a.ndim for a in arrays):
        shown = ", ".join(f"{what}[{b}] is {a.shape}" for b, a in enumerate(arrays[:20]))
        raise ShapeError(f"{shown}: rows may differ in their number of steps alone")
    lengths = np.array([len(a) for a in arrays], dtype=np.int64)
    whole = np.zeros((len(arrays), int(lengths.max()), *inner.pop()), dtype=np.result_type(*arrays))
    for b, row in enumerate(arrays):
        whole[b, : len(row)] = row
    return whole, lengths


def _converted(value: Any, what: str) -> Array:
    if isinstance(value, np.ndarray):
        return value if type(value) in (np.ndarray, np.memmap) else np.asarray(value)  # a matrix is always 2-D
    if holds_arrays(value):
        parts = [to_array(v, f"{what}[{i}]") for i, v in enumerate(value)]
        if len({p.shape for p in parts}) > 1:
            shapes = ", ".join(str(p.shape) for p in parts[:8])
            raise ShapeError(f"{what} is a list of arrays of different shapes ({shapes}); one shape is needed")
        return np.stack(parts)
    try:
        if framework(value) == "torch" or hasattr(value, "detach"):
            return _from_torch(value)
        return np.asarray(_by_protocol(value))
    except Exception as error:  # every framework has its own for values that hold no numbers
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ShapeError(
            f"{what} ({_type_name(value)}) cannot be read as numbers: {reason}. Give what a run returned, on the CPU"
        ) from None


def _from_torch(tensor: Any) -> Array:
    """A tensor's values; a conjugate or negative view is resolved, sparse ones are refused by torch itself."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    if str(plain.dtype).startswith(tuple(f"torch.{name}" for name in _NARROW)):
        plain = plain.float()
    return np.asarray(plain.numpy())


def _by_protocol(value: Any) -> Any:
    """What numpy reads: itself by `__array__`, else by DLPack, else by MXNet's own word."""
    if hasattr(value, "__array__") or not is_array(value):
        return value
    if hasattr(value, "asnumpy"):
        return value.asnumpy()
    return np.from_dlpack(value) if hasattr(value, "__dlpack__") else value


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{framework(value)} {kind.__name__}"
