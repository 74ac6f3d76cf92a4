"""What each recurrent node of an ONNX graph reads, by the graph's edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnninspect.core.feed import Feed
from rnninspect.formats.onnx_axes import Moved, arrives
from rnninspect.formats.onnx_values import Values

# Operators between two layers that move values and change none; Dropout does nothing where nothing is trained.
_UNCHANGED = frozenset(["Identity", "Cast", "Squeeze", "Unsqueeze", "Transpose", "Reshape", "Flatten", "Dropout"])
_OUTPUTS = ("the outputs", "the last output", "the last cell state")
_PICKS = frozenset({"Slice", "Gather", "Concat", "Expand"})
_JOINS = frozenset({"Add", "Sub", "Mul", "Concat", "Sum", "Where"})  # what they make is of all that they read
_DEEP, _WIDE = 3, 2  # operators told one within another, and beside one another


def feed_of(node: Any, values: Values, names: Mapping[int, str], branch: str) -> Feed:
    """What a recurrent node reads. `names`: of the recurrent nodes, by `id`; `branch`: where it lies, in words."""
    value, seen, moved = node.input[0] if node.input else "", values, list[Moved]()
    below, turned = None, False
    for _ in range(len(names) + 64):  # a graph has no circles, but a damaged file may
        made = seen.maker(value)
        if made is None:
            break
        maker, seen = made
        if id(maker) in names:
            as_it_is = value == maker.output[0] and arrives((maker, seen), moved[::-1], node)
            below = names[id(maker)] if as_it_is else None
            turned = value == maker.output[0] and not as_it_is
            break
        if maker.op_type not in _UNCHANGED or not maker.input:
            break
        moved.append((maker, seen))
        value = maker.input[0]
    unchanged = dict.fromkeys(maker.op_type for maker, _ in moved)
    parts = [_words(node.input[0] if node.input else "", values, names, _DEEP)]
    parts += [f"with other axes, through {', '.join(unchanged)}"] if turned else []
    states = [_state_of(name, values, names) for name in node.input[5:7] if name]
    parts += [f"starts from {state}" for state in states[:1] if state]
    return Feed("; ".join([*parts, branch] if branch else parts), below, tuple(unchanged))


def _words(value: str, values: Values, names: Mapping[int, str], depth: int) -> str:
    """A value in words: an input, the outputs of a layer, or the operator that computes it and what that reads."""
    made = values.maker(value)
    if made is None:
        owner = values.owner(value)
        return f"the input {value}" if owner is None or value in owner.inputs else f"the stored array {value}"
    node, seen = made
    if id(node) in names:
        which = list(node.output).index(value)
        return f"{_OUTPUTS[min(which, 2)]} of {names[id(node)]}"
    if not depth:
        return f"{node.op_type} of …"
    if node.op_type in _UNCHANGED and node.input:
        return _words(node.input[0], seen, names, depth)
    computed = [name for name in node.input if name and not _is_stored(name, seen)]
    if not computed or node.op_type == "If":
        return f"what {node.op_type} makes"
    inner = [_words(name, seen, names, depth - 1) for name in computed[: _WIDE if node.op_type in _JOINS else 1]]
    return f"{node.op_type} of {' and '.join(inner)}"


def _state_of(value: str, values: Values, names: Mapping[int, str]) -> str:
    """The layer or the input that an initial state comes from, through whatever picks or lays it out; else nothing."""
    seen = values
    for _ in range(_DEEP * 4):
        made = seen.maker(value)
        if made is None:
            owner = seen.owner(value)
            return "" if owner is not None and value in owner.stored else f"the input {value}"
        if id(made[0]) in names:
            return _words(value, seen, names, 1)
        node, seen = made
        if node.op_type not in _UNCHANGED | _PICKS or not node.input:
            return ""
        value = node.input[0]
    return ""


def _is_stored(name: str, values: Values) -> bool:
    """Whether it is a number that the model holds, and no data that passes through it."""
    owner, made = values.owner(name), values.maker(name)
    return (owner is not None and name in owner.stored) or (made is not None and made[0].op_type == "Constant")
