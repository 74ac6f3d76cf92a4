"""Whether a layer's outputs reach the next one of an ONNX graph with steps, rows and units on its own axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnninspect.formats.onnx_values import Values

Moved = tuple[Any, Values]  # an operator that lays out anew what it reads, and the values that it sees
_ONE = "1"  # an axis of one entry, that an operator put in


def arrives(lower: Any, moved: Sequence[Moved], upper: Any) -> bool:
    """Whether the lower node's Y is the upper node's X, through operators in the order in which they run.

    T, D, B and H stand for the axes of steps, directions, rows and units. An operator whose axes are not in the file is
    taken to do what the two nodes need.
    """
    directions = 2 if _attribute(lower, "direction", b"forward") == b"bidirectional" else 1
    axes = list("BTDH" if _attribute(lower, "layout", 0) else "TDBH")
    for node, values in moved:
        behind = _moved(node, values, axes, directions)
        if behind is None:
            return True
        if not behind:
            return False
        axes = behind
    wanted = list("BTH" if _attribute(upper, "layout", 0) else "TBH")
    return [axis for axis in axes if axis not in (_ONE, *"D" * (directions == 1))] == wanted


def _moved(node: Any, values: Values, axes: list[str], directions: int) -> list[str] | None:
    """The axes behind one operator; None where the file does not say, empty where one that matters is lost."""
    if node.op_type == "Transpose":
        order = list(_attribute(node, "perm", list(range(len(axes)))[::-1]))
        return [axes[i] for i in order] if sorted(order) == list(range(len(axes))) else []
    if node.op_type in ("Squeeze", "Unsqueeze"):
        places = _places(node, values)
        if places is None:
            return None if node.op_type == "Unsqueeze" else [axis for axis in axes if axis not in (_ONE, "D")]
        count = len(axes) + (len(places) if node.op_type == "Unsqueeze" else 0)
        at = sorted(place % count for place in places)
        if node.op_type == "Squeeze":
            kept = [axis for i, axis in enumerate(axes) if i not in at]
            return kept if set("TBH") & {*axes} <= {*kept} else []
        for place in at:
            axes = [*axes[:place], _ONE, *axes[place:]]
        return axes
    if node.op_type in ("Reshape", "Flatten"):
        return _joined([axis for axis in axes if axis != _ONE], directions)
    return axes


def _joined(axes: list[str], directions: int) -> list[str]:
    """The axes of a reshaped array: those of one direction keep their order, two are side by side where they lie so."""
    if directions == 1 or "D" not in axes:
        return [axis for axis in axes if axis != "D"]
    return [axis for axis in axes if axis != "D"] if axes.index("D") + 1 == axes.index("H") else []


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
