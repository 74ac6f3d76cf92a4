"""What a framework's call returned -> slots: a state as tuples, lists and named fields nest it, and the outputs.

torch     output, (h_n, c_n)                               output may be a PackedSequence
tf1       outputs, LSTMStateTuple(c, h)                    (fw, bw) of both in two directions; one entry a layer
keras     outputs, h, c                                    outputs, fw h, fw c, bw h, bw c
flax      (c, h), outputs                                  the carry comes first
haiku     outputs, LSTMState(hidden, cell)
onnx      Y, Y_h, Y_c                                      paddle, mxnet: outputs, (h, c)
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.conventions.base import DIRECTION_WORDS
from rnninspect.conventions.dumps.unpacking import unpack
from rnninspect.conventions.live.state import LiveState, nests
from rnninspect.core.arrays import framework, holds_arrays, is_array, padded, rank, to_array
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import DIRECTIONS, Array, Direction

_OF_PACKAGE: Mapping[str, tuple[str, ...]] = {  # whose arrays these are; of several the names decide, then the first
    "torch": ("torch",),
    "tensorflow": ("keras", "tf1"),
    "keras": ("keras",),
    "jax": ("flax", "haiku"),
    "jaxlib": ("flax", "haiku"),
    "paddle": ("paddle",),
    "mxnet": ("mxnet",),
}
_OF_STATE = {"LSTMStateTuple": "tf1", "LSTMState": "haiku"}
_INITIAL: Mapping[Role, Role] = {"h": "initial_h", "c": "initial_c"}


@frozen(eq=False)
class Outputs:
    """The outputs' slots, and the lengths `[B]` that a PackedSequence or ragged rows bring along."""

    slots: tuple[Slot, ...]
    lengths: Array | None = None


def is_packed(value: Any) -> bool:
    """Whether it is torch's PackedSequence: known by its fields, torch need not be there."""
    return not isinstance(value, Mapping) and all(
        hasattr(value, name) for name in ("batch_sizes", "sorted_indices", "data")
    )


def live(value: Any) -> bool:
    """Whether arrays of some framework are in it: a program's own numbers, which never went through a print-out."""
    return any(package for _, package in _types([value]))


def packages(values: Iterable[Any], layer: Any = None) -> tuple[str, ...]:
    """The conventions whose framework made these, by the types of arrays and states; empty where they are numpy's.

    `layer`: the weights' own object, where one was given. One of Keras says that the arrays, which are another
    package's, are Keras's.
    """
    if callable(getattr(layer, "get_weights", None)):
        return ("keras",)
    values = list(values)
    leaves = list(_types(values))
    of_state = next((_OF_STATE[kind] for kind, _ in leaves if kind in _OF_STATE), None)
    if of_state:
        return (of_state,)
    package = next((package for _, package in leaves if package in _OF_PACKAGE), "")
    if package in ("jax", "jaxlib") and _keras_computes_with("jax") and any(isinstance(v, list) for v in values):
        return ("keras", *_OF_PACKAGE[package])  # which lists h and c, where a carry is a tuple
    return _OF_PACKAGE.get(package, ())


def _keras_computes_with(backend: str) -> bool:
    """Whether Keras is there and its arrays are this package's."""
    keras: Any = sys.modules.get("keras")
    return keras is not None and keras.backend.backend() == backend


def _types(values: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """The type's name and package of every state and array, at any depth."""
    for value in values:
        yield type(value).__name__, framework(value) if is_array(value) else "torch" if is_packed(value) else ""
        if isinstance(value, Mapping):
            yield from _types(value.values())
        elif isinstance(value, (tuple, list)) and (holds_arrays(value) or nests(value)):
            yield from _types(value)


def parted(result: Any) -> tuple[Any, Any] | None:
    """(outputs, state) where one value is all that a layer's call returned, else None.

    The outputs are the part with three axes, or two such parts, one a direction; or a list of steps of two axes. A
    state that comes before them is a carry (Flax).
    """
    if not isinstance(result, (tuple, list)) or len(result) < 2 or is_packed(result):
        return None
    first, *rest = result
    if _are_outputs(first):
        if len(rest) > 1 and is_array(rest[0]) and rank(rest[0]) >= 3 and all(map(_is_state, rest[1:])):
            return (first, rest[0]), rest[1] if len(rest) == 2 else rest[1:]
        return first, rest[0] if len(rest) == 1 else rest
    if len(rest) == 1 and _are_outputs(rest[0]) and (holds_arrays(first) or is_array(first)):
        return rest[0], first
    return (first, rest[0]) if len(rest) == 1 and (are_steps(first) or _is_unbatched(first, rest[0])) else None


def _is_state(value: Any) -> bool:
    """Whether it is one state `[B, H]`, or those of one cell in a list."""
    return rank(value) == 2 or (isinstance(value, list) and bool(value) and all(rank(part) == 2 for part in value))


def _is_unbatched(outputs: Any, state: Any) -> bool:
    """Whether a call without a batch axis returned these: `[T, D*H]`, and `[L*D, H]` or a pair of such."""
    states = state if isinstance(state, tuple) else (state,)
    flat = bool(states) and all(is_array(array) and rank(array) == 2 for array in (outputs, *states))
    apart = flat and tuple(states[0].shape) != tuple(outputs.shape)
    return apart and all(outputs.shape[1] in (array.shape[1], 2 * array.shape[1]) for array in states)


def are_steps(value: Any) -> bool:
    """Whether it is a list of arrays of two axes and one shape, as `static_rnn` returns: one a step, `[B, H]`."""
    if not isinstance(value, list) or not value or not all(is_array(v) and rank(v) == 2 for v in value):
        return False
    return len({tuple(v.shape) for v in value}) == 1


def read_outputs(value: Any, config: LayerConfig, rows: int | None = None) -> Outputs:
    """The outputs from an array, a PackedSequence, torch's nested tensor, a pair (forward, backward), a list of every
    layer's, rows of uneven lengths, or a list of steps `[B, H]` each, where the state's `rows` say that it is one.

    A list of two may be a pair as well, which the states tell later.

    Axes are `[B, T, H]`, `[T, B, H]` where `config` is time-major. Raises ShapeError on what is none of these.
    """
    if getattr(value, "is_nested", False) is True:
        whole, lengths_held = padded(list(value.detach().unbind()), "outputs")
        return Outputs(
            (Slot("outputs", "outputs", whole.swapaxes(0, 1) if config.time_major else whole),), lengths_held
        )
    if are_steps(value) and value[0].shape[0] == rows != len(value):
        steps = np.stack([to_array(v, f"outputs[{t}]") for t, v in enumerate(value)], 0 if config.time_major else 1)
        return Outputs((Slot("outputs", "outputs", steps),))
    if is_packed(value):
        array, lengths = _unpacked(value)
        return Outputs((Slot("outputs", "outputs", array.swapaxes(0, 1) if config.time_major else array),), lengths)
    if isinstance(value, Mapping) and value and set(value) <= set(DIRECTION_WORDS):
        return _in_directions([(value[word], DIRECTION_WORDS[word]) for word in value], config)
    if isinstance(value, (tuple, list)) and _are_of_layers(value, config):
        read = [read_outputs(one, config) for one in value]
        slots = tuple(replace(r.slots[0], name=f"outputs.{layer}", layer=layer) for layer, r in enumerate(read))
        return Outputs(slots, next((r.lengths for r in read if r.lengths is not None), None))
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_are_outputs, value)):
        return _in_directions(list(zip(value, DIRECTIONS, strict=True)), config)
    if holds_arrays(value):
        whole, lengths_held = padded(value, "outputs")
        return Outputs((Slot("outputs", "outputs", whole),), lengths_held)
    return Outputs((Slot("outputs", "outputs", to_array(value, "outputs")),))


def read_state(
    state: Any, outputs: Sequence[Slot], config: LayerConfig, cell_first: bool | None, by_direction: bool | None = False
) -> tuple[Slot, ...]:
    """A slot for every h and c in a final state, with the layer and direction that the nesting says.

    `state`: an array; (h, c), or (c, h) where `cell_first` (None: as the values tell); an object or mapping with the
    fields h and c (or hidden and cell); a flat list in the framework's order; or tuples of those, one a layer or one a
    direction. Which of the two is told by the widths of the outputs, else by what is stated. `by_direction`: a list of
    both holds all forward ones first (None: as the values tell). Raises ShapeError on what
    holds no arrays.
    """
    return tuple(LiveState(tuple(outputs), config, cell_first, by_direction).slots(state, "final_state"))


def as_initial(slots: Sequence[Slot]) -> tuple[Slot, ...]:
    """The slots of a final state as those of an initial one."""
    return tuple(replace(s, role=_INITIAL[s.role], name=s.name.replace("final", "initial", 1)) for s in slots)


def flattened(dump: Mapping[Any, Any]) -> dict[str, Array]:
    """Named arrays from a mapping that may nest others; names are joined by dots, list entries by their index.

    >>> import numpy as np
    >>> list(flattened({"outputs": np.ones(2), "state": {"h": np.ones(2), "c": np.ones(2)}}))
    ['outputs', 'state.h', 'state.c']
    """
    return {name: to_array(value, name) for name, value in _leaves(dump, "")}


def names(dump: Mapping[Any, Any]) -> Iterator[str]:
    """What `flattened` calls the arrays, without reading them."""
    return (name for name, _ in _leaves(dump, ""))


def _leaves(node: Any, name: str) -> Iterator[tuple[str, Any]]:
    if is_packed(node):
        fields = {field: getattr(node, field) for field in ("data", "batch_sizes", "sorted_indices")}
        parts: dict[Any, Any] = {field: value for field, value in fields.items() if value is not None}
    elif isinstance(node, Mapping):
        parts = dict(node)
    elif isinstance(node, tuple) and hasattr(node, "_asdict"):
        parts = node._asdict()
    elif holds_arrays(node):
        parts = dict(enumerate(node))
    else:
        yield name, node
        return
    for key, value in parts.items():
        yield from _leaves(value, f"{name}.{key}" if name else str(key))


def _are_outputs(value: Any) -> bool:
    """Three axes or more, or a pair of such, one a direction."""
    if is_packed(value) or (is_array(value) and rank(value) >= 3):
        return True
    return isinstance(value, tuple) and len(value) == 2 and all(is_array(v) and rank(v) == 3 for v in value)


def _are_of_layers(value: tuple[Any, ...] | list[Any], config: LayerConfig) -> bool:
    """Whether outputs are listed by layer: as many as were stated, or in a list whose number says no more than that."""
    if len(value) < 2 or not all(is_packed(one) or (is_array(one) and rank(one) == 3) for one in value):
        return False
    if len(config.directions or ()) == len(DIRECTIONS) and len(value) == len(DIRECTIONS):
        return False
    if config.layers is not None or isinstance(value, tuple):
        return config.layers == len(value)
    return len({tuple(one.shape[:2]) for one in value if is_array(one)}) <= 1


def _in_directions(values: list[tuple[Any, Direction]], config: LayerConfig) -> Outputs:
    slots: list[Slot] = []
    lengths = None
    for value, direction in values:
        read = read_outputs(value, config)
        slots += [replace(s, name=f"outputs.{direction}", direction=direction) for s in read.slots]
        lengths = read.lengths if lengths is None else lengths
    return Outputs(tuple(slots), lengths)


def _unpacked(packed: Any) -> tuple[Array, Array]:
    order = packed.sorted_indices
    data, sizes = to_array(packed.data, "outputs.data"), to_array(packed.batch_sizes, "outputs.batch_sizes")
    return unpack(data, sizes, None if order is None else to_array(order, "outputs.sorted_indices"))
