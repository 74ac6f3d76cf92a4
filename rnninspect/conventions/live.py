"""What a framework's call returned -> slots: a state as tuples, lists and named fields nest it, and the outputs.

torch     output, (h_n, c_n)                               output may be a PackedSequence
tf1       outputs, LSTMStateTuple(c, h)                    (fw, bw) of both in two directions; one entry a layer
keras     outputs, h, c                                    outputs, fw h, fw c, bw h, bw c
flax      (c, h), outputs                                  the carry comes first
haiku     outputs, LSTMState(hidden, cell)
onnx      Y, Y_h, Y_c                                      paddle, mxnet: outputs, (h, c)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnninspect.conventions.base import DIRECTION_WORDS
from rnninspect.conventions.dumps.positions import is_cell_first, place_lists
from rnninspect.conventions.dumps.unpacking import unpack
from rnninspect.core.arrays import framework, holds_arrays, is_array, padded, rank, to_array
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import DIRECTIONS, Array, Direction
from rnninspect.errors import ShapeError

_CELLS = (("h", "c"), ("hidden", "cell"))  # the fields of TensorFlow's and of Haiku's states
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


@dataclass(frozen=True, eq=False)
class Outputs:
    """The outputs' slots, and the lengths `[B]` that a PackedSequence or ragged rows bring along."""

    slots: tuple[Slot, ...]
    lengths: Array | None = None


def is_packed(value: Any) -> bool:
    """Whether it is torch's PackedSequence: known by its fields, torch need not be there."""
    return all(hasattr(value, name) for name in ("batch_sizes", "sorted_indices", "data"))


def live(value: Any) -> bool:
    """Whether arrays of some framework are in it: a program's own numbers, which never went through a print-out."""
    return any(package for _, package in _types([value]))


def packages(values: Iterable[Any]) -> tuple[str, ...]:
    """The conventions whose framework made these, by the types of arrays and states; empty where they are numpy's."""
    leaves = list(_types(values))
    of_state = next((_OF_STATE[kind] for kind, _ in leaves if kind in _OF_STATE), None)
    return (
        (of_state,) if of_state else next((_OF_PACKAGE[package] for _, package in leaves if package in _OF_PACKAGE), ())
    )


def _types(values: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """The type's name and package of every state and array, at any depth."""
    for value in values:
        yield type(value).__name__, framework(value) if is_array(value) else "torch" if is_packed(value) else ""
        if isinstance(value, Mapping):
            yield from _types(value.values())
        elif isinstance(value, (tuple, list)) and (holds_arrays(value) or _nests(value)):
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
        if len(rest) > 1 and is_array(rest[0]) and rank(rest[0]) >= 3 and all(rank(r) == 2 for r in rest[1:]):
            return (first, rest[0]), rest[1] if len(rest) == 2 else rest[1:]
        return first, rest[0] if len(rest) == 1 else rest
    if len(rest) == 1 and _are_outputs(rest[0]) and (holds_arrays(first) or is_array(first)):
        return rest[0], first
    return (first, rest[0]) if len(rest) == 1 and (are_steps(first) or _is_unbatched(first, rest[0])) else None


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
    """The outputs from an array, a PackedSequence, a pair (forward, backward), rows of uneven lengths, or a list of
    steps `[B, H]` each, where the state's `rows` say that it is one.

    Axes are `[B, T, H]`, `[T, B, H]` where `config` is time-major. Raises ShapeError on what is none of these.
    """
    if are_steps(value) and value[0].shape[0] == rows != len(value):
        steps = np.stack([to_array(v, f"outputs[{t}]") for t, v in enumerate(value)], 0 if config.time_major else 1)
        return Outputs((Slot("outputs", "outputs", steps),))
    if is_packed(value):
        array, lengths = _unpacked(value)
        return Outputs((Slot("outputs", "outputs", array.swapaxes(0, 1) if config.time_major else array),), lengths)
    if isinstance(value, Mapping) and value and set(value) <= set(DIRECTION_WORDS):
        return _in_directions([(value[word], DIRECTION_WORDS[word]) for word in value], config)
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_are_outputs, value)):
        return _in_directions(list(zip(value, DIRECTIONS, strict=True)), config)
    if holds_arrays(value):
        whole, lengths_held = padded(value, "outputs")
        return Outputs((Slot("outputs", "outputs", whole),), lengths_held)
    return Outputs((Slot("outputs", "outputs", to_array(value, "outputs")),))


def read_state(state: Any, outputs: Sequence[Slot], config: LayerConfig, cell_first: bool | None) -> tuple[Slot, ...]:
    """A slot for every h and c in a final state, with the layer and direction that the nesting says.

    `state`: an array; (h, c), or (c, h) where `cell_first` (None: as the values tell); an object or mapping with the
    fields h and c (or hidden and cell); a flat list in the framework's order; or tuples of those, one a layer or one a
    direction. Which of the two is told by the widths of the outputs, else by what is stated. Raises ShapeError on what
    holds no arrays.
    """
    return tuple(_State(tuple(outputs), config, cell_first).slots(state, "final_state"))


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


@dataclass(frozen=True, eq=False)
class _State:
    """Reads one final state beside its outputs."""

    outputs: tuple[Slot, ...]
    config: LayerConfig
    cell_first: bool | None

    def slots(
        self, node: Any, name: str, layer: int | None = None, direction: Direction | None = None
    ) -> Iterator[Slot]:
        """Depth first: fields, then directions, then layers."""
        cells = _fields(node)
        if is_array(node):
            yield Slot("h", name, to_array(node, name), layer, direction)
        elif cells is not None:
            yield Slot("h", f"{name}.h", to_array(cells[0], f"{name}.h"), layer, direction)
            yield Slot("c", f"{name}.c", to_array(cells[1], f"{name}.c"), layer, direction)
        elif isinstance(node, Mapping) and node and set(node) <= set(DIRECTION_WORDS):
            for word, child in node.items():
                yield from self.slots(child, f"{name}.{word}", layer, DIRECTION_WORDS[word])
        elif not isinstance(node, (tuple, list)):
            yield Slot("h", name, to_array(node, name), layer, direction)
        elif all(is_array(child) for child in node) or not _nests(node):
            yield from self._slots_of_list(node, name, layer, direction)
        elif direction is None and self._two_directions(node):
            for child, way in zip(node, DIRECTIONS, strict=True):
                yield from self.slots(child, f"{name}.{way}", layer, way)
        elif layer is None and direction is None and self._interleaved(node):
            for k, child in enumerate(node):
                yield from self.slots(child, f"{name}.{k}", k // 2, DIRECTIONS[k % 2])
        elif layer is None:
            for k, child in enumerate(node):
                yield from self.slots(child, f"{name}.{k}", k, direction)
        else:
            raise ShapeError(f"{name} nests deeper than layers and directions; give the h and c of one call")

    def _slots_of_list(self, node: Any, name: str, layer: int | None, direction: Direction | None) -> Iterator[Slot]:
        """Arrays in a list: a pair, or states by their place; lists of plain numbers are one array, tuples a pair."""
        if not holds_arrays(node) and not (isinstance(node, tuple) and len(node) == 2 and rank(node[0]) >= 2):
            yield Slot("h", name, to_array(node, name), layer, direction)
            return
        arrays = [to_array(child, f"{name}[{i}]") for i, child in enumerate(node)]
        axes = 2 if {s.array.ndim for s in self.outputs} == {2} and len(arrays[0]) > 1 else 3
        if len(arrays) == 2 and all(a.ndim >= axes for a in arrays):  # each holds all layers: h_n and c_n
            first = is_cell_first(arrays) if self.cell_first is None else self.cell_first
            h, c = reversed(arrays) if first else arrays
            yield Slot("h", f"{name}.h", h, layer, direction)
            yield Slot("c", f"{name}.c", c, layer, direction)
            return
        listed = [Slot("h", f"{name}.{i}", a, layer, None, (i,)) for i, a in enumerate(arrays)]
        config = self.config if layer is None else replace(self.config, layers=1)
        config = config if direction is None else replace(config, direction="forward")
        for slot in place_lists((*listed, *self.outputs), config, self.cell_first):
            if slot.role in ("h", "c"):
                yield slot if direction is None else replace(slot, direction=direction)

    def _two_directions(self, node: Any) -> bool:
        """Whether two nested states are two directions: by the widths, as stated, or as the outputs come."""
        if len(node) != 2:
            return False
        if any(slot.direction is not None for slot in self.outputs):
            return True
        width, whole = self._widths(node)
        if width and whole in (width, 2 * width):
            return whole == 2 * width
        return self.config.directions is not None and len(self.config.directions) == 2

    def _interleaved(self, node: Any) -> bool:
        """Whether nested states are every layer's two directions, one after the other: l0 fw, l0 bw, l1 fw, …"""
        width, whole = self._widths(node)
        layers = self.config.layers
        return len(node) % 2 == 0 and bool(width) and whole == 2 * width and layers in (None, len(node) // 2)

    def _widths(self, node: Any) -> tuple[int, int]:
        """The width of the last state, and of outputs that may hold both directions; 0 where it is not known."""
        state_widths = [s.array.shape[-1] for s in self.slots(node[-1], "", 0, "forward") if s.role == "h"]
        output_widths = [s.array.shape[-1] for s in self.outputs if s.direction is None]
        return (state_widths[-1] if state_widths else 0), (output_widths[-1] if output_widths else 0)


def _nests(node: Any) -> bool:
    """Whether a tuple or list holds whole states, not numbers."""
    return holds_arrays(node) or any(_fields(child) is not None or isinstance(child, Mapping) for child in node)


def _fields(node: Any) -> tuple[Any, Any] | None:
    """(h, c) of a state with named fields."""
    for h, c in _CELLS:
        if isinstance(node, Mapping):
            if set(node) == {h, c}:
                return node[h], node[c]
        elif not is_array(node) and hasattr(node, h) and hasattr(node, c):
            return getattr(node, h), getattr(node, c)
    return None
