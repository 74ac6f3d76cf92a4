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
_OF_SIZES = frozenset({"Shape", "Size", "Constant"})  # what they make has nothing of the numbers that they read
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
    starts = [_start_of(name, values, names) for name in node.input[5:7] if name]
    parts += [f"starts from {start}" for start, _ in starts[:1] if start]
    below = None if any(computed for _, computed in starts) else below
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


def _start_of(value: str, values: Values, names: Mapping[int, str]) -> tuple[str, bool]:
    """What an initial state comes from, in words, through whatever picks or lays it out, and whether the model computes
    it of what it reads; nothing where it holds it, as zeros of the batch's size are held.
    """
    if not _depends(value, values):
        return "", False
    seen = values
    for _ in range(_DEEP * 4):
        made = seen.maker(value)
        if made is None:
            return f"the input {value}", False
        if id(made[0]) in names or made[0].op_type not in _UNCHANGED | _PICKS or not made[0].input:
            break
        node, seen = made
        value = next(name for name in node.input if name and _depends(name, seen))
    return _words(value, seen, names, 1), True


def _depends(value: str, values: Values) -> bool:
    """Whether a value changes with what the model reads, and not with the sizes of that alone."""
    ahead, met = [(value, values)], set[tuple[int, str]]()
    while ahead:
        name, seen = ahead.pop()
        owner, made = seen.owner(name), seen.maker(name)
        if made is None:
            if owner is None or name not in owner.stored:
                return True
        elif made[0].op_type not in _OF_SIZES and (id(made[1]), name) not in met:
            met.add((id(made[1]), name))
            if made[0].op_type in ("If", "Loop", "Scan"):
                return True
            ahead += [(read, made[1]) for read in made[0].input if read]
    return False


def _is_stored(name: str, values: Values) -> bool:
    """Whether it is a number that the model holds, and no data that passes through it."""
    owner, made = values.owner(name), values.maker(name)
    return (owner is not None and name in owner.stored) or (made is not None and made[0].op_type == "Constant")
