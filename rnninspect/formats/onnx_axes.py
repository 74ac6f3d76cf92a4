"""Whether a layer's outputs reach the next one of an ONNX graph with steps, rows and units on its own axes.

T, D, B and H stand for the axes of steps, directions, rows and units; two that lie on one axis, the outer first, are
written as one text: `["T", "B", "DH"]` is both directions side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from rnninspect.formats.onnx_values import Values

Moved = tuple[Any, Values]  # an operator that lays out anew what it reads, and the values that it sees
Axes = list[str]
_UNSTATED = {"T": 7919, "B": 7907}  # sizes for axes of any size: primes, which no other axes make up


@dataclass(frozen=True)
class _Sizes:
    """How long the axes of the lower node's outputs are; `fixed`: whether steps and rows have one size in the file."""

    by_letter: Mapping[str, int]
    fixed: bool

    def of(self, axis: str) -> int:
        return prod(self.by_letter[letter] for letter in axis)


def arrives(lower: Moved, moved: Sequence[Moved], upper: Any) -> bool:
    """Whether the lower node's Y is the upper node's X, through operators in the order in which they run.

    An operator whose axes are not in the file is taken to do what the two nodes need.
    """
    node, seen = lower
    directions = 2 if _attribute(node, "direction", b"forward") == b"bidirectional" else 1
    axes = list("BTDH" if _attribute(node, "layout", 0) else "TDBH")
    sizes = _sizes(node, seen, directions)
    for operator, values in moved:
        behind = _moved(operator, values, axes, sizes)
        if behind is None:
            return True
        if not behind:
            return False
        axes = behind
    wanted = ["B", "T"] if _attribute(upper, "layout", 0) else ["T", "B"]
    letters = [axis if directions == 2 else axis.replace("D", "") for axis in axes]
    return [axis for axis in letters if axis] == [*wanted, "DH" if directions == 2 else "H"]


def _sizes(lower: Any, values: Values, directions: int) -> _Sizes:
    """The sizes that the file fixes: units always; steps and rows where the node's X has a shape without names."""
    shape = values.shape(lower.input[0]) if lower.input else None
    steps_and_rows = shape[:2] if shape is not None and len(shape) == 3 and all(shape[:2]) else None
    if steps_and_rows is not None and _attribute(lower, "layout", 0):
        steps_and_rows = steps_and_rows[::-1]
    by_letter = dict(zip("TB", steps_and_rows, strict=True)) if steps_and_rows else _UNSTATED
    units = int(_attribute(lower, "hidden_size", 0))
    return _Sizes({**by_letter, "D": directions, "H": units}, bool(steps_and_rows) and units > 0)


def _moved(node: Any, values: Values, axes: Axes, sizes: _Sizes) -> Axes | None:
    """The axes behind one operator; None where the file does not say, empty where one that matters is lost."""
    if node.op_type == "Transpose":
        order = list(_attribute(node, "perm", list(range(len(axes)))[::-1]))
        return [axes[i] for i in order] if sorted(order) == list(range(len(axes))) else []
    if node.op_type in ("Squeeze", "Unsqueeze"):
        places = _places(node, values)
        if places is None:
            one = [axis for axis in axes if axis not in ("", "D")]
            return None if node.op_type == "Unsqueeze" else one
        count = len(axes) + (len(places) if node.op_type == "Unsqueeze" else 0)
        at = sorted(place % count for place in places)
        if node.op_type == "Squeeze":
            kept = [axis for i, axis in enumerate(axes) if i not in at]
            return kept if set("TBH") & {*"".join(axes)} <= {*"".join(kept)} else []
        for place in at:
            axes = [*axes[:place], "", *axes[place:]]
        return axes
    if node.op_type in ("Reshape", "Flatten"):
        lengths = _lengths(node, values, axes, sizes)
        reshaped = None if lengths is None else _reshaped(axes, lengths, sizes)
        if reshaped is None:  # its lengths are for steps and rows that the file does not fix
            return [] if sizes.fixed and lengths is not None else _joined(axes, sizes.by_letter["D"])
        return reshaped
    return axes


def _lengths(node: Any, values: Values, axes: Axes, sizes: _Sizes) -> list[int] | None:
    """How long the axes behind a Reshape or Flatten are, of the sizes that are there; None where that is computed."""
    before = [sizes.of(axis) for axis in axes]
    if node.op_type == "Flatten":
        at = int(_attribute(node, "axis", 1)) % (len(axes) + 1)
        return [prod(before[:at]), prod(before[at:])]
    told = values.array(node.input[1]) if len(node.input) > 1 else None
    if told is None or not told.ndim:
        return None
    lengths = [int(n) if n or i >= len(before) else before[i] for i, n in enumerate(told)]
    rest = prod(n for n in lengths if n != -1)
    return [prod(before) // rest if n == -1 and rest else n for n in lengths]


def _reshaped(axes: Axes, lengths: Sequence[int], sizes: _Sizes) -> Axes | None:
    """The letters on axes of these lengths, in the order in which they lie; None where a length parts one of them."""
    left = [letter for letter in "".join(axes) if sizes.by_letter[letter] > 1 or letter != "D"]
    reshaped = []
    for length in lengths:
        axis = ""
        while left and sizes.of(axis) < length:
            axis += left.pop(0)
        if length == 1 and left and sizes.of(left[0]) == 1:
            axis = left.pop(0)
        if sizes.of(axis) != length:
            return None
        reshaped.append(axis)
    return None if left else reshaped


def _joined(axes: Axes, directions: int) -> Axes:
    """The axes of an array reshaped as the layer above needs it: all keep their order, two directions are side by side
    where they lie so; empty where they do not.
    """
    letters = [letter for letter in "".join(axes) if directions == 2 or letter != "D"]
    if directions == 1:
        return letters
    at = letters.index("D")
    if letters[at + 1 : at + 2] != ["H"]:
        return []
    return [*letters[:at], "DH", *letters[at + 2 :]]


def _places(node: Any, values: Values) -> list[int] | None:
    """The axes that an operator names: an attribute, or an input from opset 13 on; None where the file has neither."""
    named_axes = _attribute(node, "axes", None)
    if named_axes is None and len(node.input) > 1:
        named_axes = values.array(node.input[1])
    return None if named_axes is None else [int(place) for place in named_axes]


def _attribute(node: Any, name: str, default: Any) -> Any:
    from onnx import helper

    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default
