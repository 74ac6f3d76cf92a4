"""A final state as a program holds it -> slots: tuples and lists that nest layers, directions, h and c."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from rnninspect.conventions.base import DIRECTION_WORDS
from rnninspect.conventions.dumps.cell_behind import (
    are_equal,
    are_own_steps,
    are_pairs,
    is_cell_first,
    may_be_a_pair,
    may_be_of_other_rows,
)
from rnninspect.conventions.dumps.layer_names import natural_order
from rnninspect.conventions.dumps.list_order import is_by_direction
from rnninspect.conventions.dumps.positions import are_layers, place_lists
from rnninspect.core.arrays import holds_arrays, is_array, rank, to_array
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import DIRECTIONS, Array, Direction
from rnninspect.engine import cells
from rnninspect.errors import ShapeError

_CELLS = (("h", "c"), ("hidden", "cell"))  # the fields of TensorFlow's and of Haiku's states


@frozen(eq=False)
class LiveState:
    """Reads one final state beside its outputs."""

    outputs: tuple[Slot, ...]
    config: LayerConfig
    cell_first: bool | None
    by_direction: bool | None = False

    def slots(
        self, node: Any, name: str, layer: int | None = None, direction: Direction | None = None
    ) -> Iterator[Slot]:
        """Depth first: fields, then directions, then layers. Raises ShapeError on what nests deeper."""
        cells = fields_of(node)
        if is_array(node):
            yield Slot("h", name, to_array(node, name), layer, direction)
        elif cells is not None:
            yield Slot("h", f"{name}.h", to_array(cells[0], f"{name}.h"), layer, direction)
            yield Slot("c", f"{name}.c", to_array(cells[1], f"{name}.c"), layer, direction)
        elif isinstance(node, Mapping) and node and set(node) <= set(DIRECTION_WORDS):
            for word, child in node.items():
                yield from self.slots(child, f"{name}.{word}", layer, DIRECTION_WORDS[word])
        elif isinstance(node, Mapping) and node and all(fields_of(child) is not None for child in node.values()):
            layer_names = natural_order(map(str, node))
            by_word = {str(word): child for word, child in node.items()}
            yield from self.slots([by_word[word] for word in layer_names], name, layer, direction)
        elif not isinstance(node, (tuple, list)):
            yield Slot("h", name, to_array(node, name), layer, direction)
        elif all(is_array(child) for child in node) or not nests(node):
            yield from self._slots_of_list(node, name, layer, direction)
        elif layer is None and direction is None and _is_h_list_and_c_list(node, self.outputs):
            in_turn = [array for pair in zip(*node, strict=True) for array in pair]
            yield from self._slots_of_list(in_turn, name, None, None)
        elif layer is None and direction is None and (in_turn := self._h_of_layers(node)):
            yield from self._slots_of_list(in_turn, name, None, None)
        elif direction is None and self._two_directions(node):
            for child, way in zip(node, DIRECTIONS, strict=True):
                yield from self.slots(child, f"{name}.{way}", layer, way)
        elif layer is None and direction is None and self._of_both_directions(node):
            for k, (child, (level, way)) in enumerate(zip(node, self._places(node), strict=True)):
                yield from self.slots(child, f"{name}.{k}", level, way)
        elif layer is None:
            for k, child in enumerate(node):
                yield from self.slots(child, f"{name}.{k}", k, direction)
        else:
            raise ShapeError(
                f"{name or 'the final state'} nests deeper than layers and directions; give the h and c of one call"
            )

    def _slots_of_list(self, node: Any, name: str, layer: int | None, direction: Direction | None) -> Iterator[Slot]:
        """Arrays in a list: a pair, or states by their place; lists of plain numbers are one array, tuples a pair."""
        if not holds_arrays(node) and not (isinstance(node, tuple) and len(node) == 2 and rank(node[0]) >= 2):
            yield Slot("h", name, to_array(node, name), layer, direction)
            return
        arrays = [to_array(child, f"{name}[{i}]") for i, child in enumerate(node)]
        axes = 2 if {s.array.ndim for s in self.outputs} == {2} and len(arrays[0]) > 1 else 3
        if (
            layer is None
            and direction is None
            and axes == 3
            and self._are_states_of_layers(arrays, isinstance(node, list))
        ):
            yield from (Slot("h", f"{name}.{k}", array, k) for k, array in enumerate(arrays))
            return
        if layer is None and direction is None and self._one_a_layer(arrays):
            yield from (Slot("h", f"{name}.{i}", a[0] if a.ndim == 3 else a, i) for i, a in enumerate(arrays))
            return
        if len(arrays) == 2 and all(a.ndim >= axes for a in arrays):  # each holds all layers: h_n and c_n
            first = is_cell_first(arrays) if self.cell_first is None else self.cell_first
            roles: tuple[Role, Role] = ("c", "h") if first else ("h", "c")
            yield from (Slot(r, f"{name}.{r}", a, layer, direction) for r, a in zip(roles, arrays, strict=True))
            return
        listed = [Slot("h", f"{name}.{i}", a, layer, None, (i,)) for i, a in enumerate(arrays)]
        config = self.config if layer is None else replace(self.config, layers=1)
        config = config if direction is None else replace(config, direction="forward")
        for slot in place_lists((*listed, *self.outputs), config, self.cell_first, self.by_direction):
            if slot.role in ("h", "c"):
                yield slot if direction is None else replace(slot, direction=direction)

    def _are_states_of_layers(self, arrays: list[Array], in_list: bool) -> bool:
        """Whether arrays `[D, B, H]` are the h of a layer each, as modules of one layer return them, and not h and c:
        the last one holds steps of the outputs, or `in_list` the first, and no array can be the c of another; or the
        cell has no c."""
        if any(array.ndim != 3 or array.shape != arrays[0].shape for array in arrays) or len(self.outputs) != 1:
            return False
        pairs = ((a, b) for a, b in product(arrays, arrays) if a is not b)
        if self.config.layers not in (None, len(arrays)) or any(are_pairs([a], [b]) for a, b in pairs):
            return False
        planes, units = len(arrays[0]), arrays[0].shape[-1]
        if planes not in (1, 2) or self.outputs[0].array.shape[-1] != planes * units:
            return False
        if self.config.cell is not None and not cells.get(self.config.cell).has_c:
            return True
        forward = self.outputs[0].array[..., :units]
        ends = [are_own_steps(forward, arrays[k][0]) for k in (0, -1)]
        if in_list and ends == [True, False]:  # in reverse order, or h and the c of other rows
            return not any(may_be_of_other_rows(arrays[0], array) for array in arrays[1:])
        return ends == [False, True]

    def _one_a_layer(self, arrays: list[Array]) -> bool:
        """Whether outputs are by layer, and these are as many states h, `[1, B, H]` or `[B, H]` each."""
        layers = [slot.layer for slot in self.outputs]
        planes = {array.shape[0] for array in arrays if array.ndim == 3}
        return len(arrays) > 1 and layers == list(range(len(arrays))) and planes <= {1}

    def _h_of_layers(self, node: Any) -> list[Array]:
        """The states of a GRU's layers and directions, nested either way, in the order of a flat list; else nothing.

        Of a framework that returns (c, h) nested by layer alone: two pairs the other way round are c, c, h, h.
        """
        if not all(isinstance(child, (tuple, list)) and holds_arrays(child) for child in node):
            return []
        nested = [[to_array(array, "final_state") for array in child] for child in node]
        if len({len(child) for child in nested}) > 1:
            return []
        if all(len(child) == 2 and may_be_a_pair(*child) for child in nested):
            return []  # h and c of each, whichever comes first
        turned = [list(states) for states in zip(*nested, strict=True)]
        ways = (nested,) if self.cell_first else (nested, turned)
        flat = ([a for states in way for a in states] for way in ways if len(way[0]) == 2)
        layers = (arrays for arrays in flat if are_layers(arrays, 2, self.outputs, may_be_by_direction=False))
        return next(layers, [])

    def _two_directions(self, node: Any) -> bool:
        """Whether two nested states are two directions: by the widths, as stated, or as the outputs come."""
        if len(node) != 2:
            return False
        if any(slot.direction is not None for slot in self.outputs):
            return True
        width, whole = self._widths(node)
        pairs = any(isinstance(child, (tuple, list)) and not all(map(is_array, child)) for child in node)
        if not pairs and self._hold_both(node):
            return False
        if width == whole and self._merge_both(node):
            return True
        if width and whole in (width, 2 * width):
            return whole == 2 * width and not self._layers_of_directions(node)
        return self.config.directions is not None and len(self.config.directions) == 2

    def _merge_both(self, node: Any) -> bool:
        """Whether two directions were stated, and one array of outputs, as wide as one, merges both: neither state is a
        step of it, nor is the forward half of one, as where each holds both directions of a layer."""
        if len(self.config.directions or ()) != 2 or self.config.layers not in (None, 1) or len(self.outputs) != 1:
            return False
        states, outputs = [self._first_h(child) for child in node], self.outputs[0].array
        widths = {state.shape[-1] // parts for state in states for parts in (1, 2)}
        return not any(are_own_steps(outputs[..., :n], state[..., :n]) for state in states for n in widths)

    def _layers_of_directions(self, node: Any) -> bool:
        """Whether two layers hold two directions each, and not two directions two layers: the forward half of the
        outputs ends in the last one's first state, and not in the first one's last."""
        if not all(_pairs_up(child) for child in node) or len(self.outputs) != 1:
            return False
        top, other = (self._first_h(state) for state in (node[1][0], node[0][1]))
        forward = self.outputs[0].array[..., : top.shape[-1]]
        return are_own_steps(forward, top) and not are_own_steps(forward, other)

    def _hold_both(self, node: Any) -> bool:
        """Whether each of these states holds both directions, `[2, B, H]`, as modules of one layer return them."""
        return all(h.ndim == 3 and len(h) == 2 for h in map(self._first_h, node))

    def _first_h(self, node: Any) -> Array:
        return next(slot.array for slot in self.slots(node, "", 0, "forward") if slot.role == "h")

    def _of_both_directions(self, node: Any) -> bool:
        """Whether nested states are every layer's two directions, each a state of its own."""
        if _pairs_up(node[0]) or self._hold_both(node):
            return False  # each holds two states of its own
        width, whole = self._widths(node)
        apart = any(slot.direction is not None for slot in self.outputs)
        beside = apart or (bool(width) and whole == 2 * width)
        return len(node) % 2 == 0 and beside and self.config.layers in (None, len(node) // 2)

    def _places(self, node: Any) -> list[tuple[int, Direction]]:
        """The layer and direction of each nested state: l0 fw, l0 bw, l1 fw, … or all layers of one direction first."""
        layers = range(len(node) // 2)
        usual = bool(self.by_direction) or all(
            isinstance(child, list) for child in node
        )  # no other framework lists them
        if is_by_direction([self._first_h(child) for child in node], self.outputs, usual):
            return [(level, way) for way in DIRECTIONS for level in layers]
        return [(level, way) for level in layers for way in DIRECTIONS]

    def _widths(self, node: Any) -> tuple[int, int]:
        """The width of the last state, and of outputs that may hold both directions; 0 where it is not known."""
        last = node[-1]
        while _pairs_up(last):  # layers of directions, or the other way round
            last = last[-1]
        state_widths = [s.array.shape[-1] for s in self.slots(last, "", 0, "forward") if s.role == "h"]
        output_widths = [s.array.shape[-1] for s in self.outputs if s.direction is None]
        return (state_widths[-1] if state_widths else 0), (output_widths[-1] if output_widths else 0)


def nests(node: Any) -> bool:
    """Whether a tuple or list holds whole states, not numbers."""
    return holds_arrays(node) or any(fields_of(child) is not None or isinstance(child, Mapping) for child in node)


def _is_h_list_and_c_list(node: Any, outputs: Sequence[Slot] = ()) -> bool:
    """Whether it is ([h, h, …], [c, c, …]), or the other way round, of layers: the values fit so, and pairs do not; or
    both hold the h of every layer."""
    if len(node) != 2 or not all(isinstance(child, (tuple, list)) and holds_arrays(child) for child in node):
        return False
    lists = [[to_array(array, "final_state") for array in child] for child in node]
    if len(lists[0]) != len(lists[1]):
        return False
    if len(lists[0]) == 1:
        return may_be_a_pair(lists[0][0], lists[1][0])
    beside = [are_pairs(*lists), are_pairs(*lists[::-1])]
    neighbours = [are_pairs(child[::2], child[1::2]) or are_pairs(child[1::2], child[::2]) for child in lists]
    return (any(beside) and not all(neighbours)) or (not any(neighbours) and _are_doubled(lists, outputs))


def _are_doubled(lists: list[list[Array]], outputs: Sequence[Slot]) -> bool:
    """Whether two lists hold the same states, different ones by layer, the last of which ends the outputs, which are as
    wide and so of one direction."""
    first, second = lists
    if not are_equal(first, second) or are_equal(first[:-1], first[1:]) or len(outputs) != 1:
        return False
    return are_own_steps(outputs[0].array, first[-1])


def _pairs_up(node: Any) -> bool:
    """Whether it holds two whole states, each with parts of its own."""
    return isinstance(node, (tuple, list)) and len(node) == 2 and not any(is_array(c) for c in node) and nests(node)


def fields_of(node: Any) -> tuple[Any, Any] | None:
    """(h, c) of a state with named fields."""
    for h, c in _CELLS:
        if isinstance(node, Mapping):
            if set(node) == {h, c}:
                return node[h], node[c]
        elif not is_array(node) and hasattr(node, h) and hasattr(node, c):
            return getattr(node, h), getattr(node, c)
    return None
