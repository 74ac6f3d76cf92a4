"""TensorFlow 1: `dynamic_rnn`, `static_rnn` and `bidirectional_dynamic_rnn` with the cells of `rnn_cell_impl.py`.

Outputs are zero past the length and the state is frozen there (`_rnn_step`, rnn.py). `LSTMCell` keeps one kernel
`[F + H, 4H]` in the order i, j, f, o (j is the candidate g) and adds `forget_bias`, 1.0 by default, at run time.
`GRUCell` resets before the product: gates `[F + H, 2H]` in the order r, u (u is z), and a candidate kernel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.conventions.base import Facts, Gates
from rnninspect.conventions.dumps.positions import place_lists, unnamed_pair
from rnninspect.conventions.dumps.writer import DumpNames
from rnninspect.conventions.fixes.tf1 import FIXES, OTHER_AXES, TWO_DIRECTIONS
from rnninspect.conventions.weights import gates
from rnninspect.conventions.weights.express import merge_biases, refuse
from rnninspect.conventions.weights.scopes import Parts, Scope, blocks
from rnninspect.conventions.weights.stack import ScopedConvention
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Direction, Trace
from rnninspect.core.weights import Between, LayerWeights, Weights
from rnninspect.core.wording import argument
from rnninspect.errors import ShapeError, UserError

LSTM_ORDER = "igfo"  # TensorFlow writes i, j, f, o
PEEPHOLES = ("w_i_diag", "w_f_diag", "w_o_diag")  # in canonical order i, f, o
GRU_PARTS = ("gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias")
WORDS = ("fw", "bw")


class TensorFlow1(ScopedConvention):
    name = "tf1"
    stacks_directions = True  # bidirectional_dynamic_rnn around two MultiRNNCells
    joins: frozenset[Between] = frozenset({"concat", "apart"})
    variables = "…/lstm_cell/kernel, …/lstm_cell/bias, …/gru_cell/gates/kernel"
    variable = regex(
        r"(?:.*?/)??(?P<part>(?:gates|candidate)/(?:kernel|bias)|projection/kernel|kernel|bias|w_[ifo]_diag)(?::0)?"
    )
    cell_first = True
    prior = 0.25
    takes = frozenset({"forget_bias", "cell_clip", "proj_clip", "activation", "use_peepholes", "num_proj"})
    prints: Mapping[str, float] = {"tf.Tensor": 1.0}
    facts = Facts(
        framework="TensorFlow 1 `dynamic_rnn`",
        outputs="B T H; time_major: T B H",
        state="B H per layer; LSTMStateTuple",
        order="(c, h)",
        padding="zero",
        zero_length="initial state",
        lstm_gates=Gates(("i", "j", "f", "o"), "(j = g), forget bias 1.0 at run time"),
        gru_gates=Gates(("r", "u"), ", candidate separate; reset before"),
        kernels="one [F + H, 4H]",
        biases="one",
        source="tensorflow/python/ops/rnn.py, rnn_cell_impl.py",
    )
    names: Mapping[Role, tuple[str, ...]] = {
        "outputs": (r"outputs(?:\.(?P<direction>fw|bw))?",),
        "h": (r"final_state(?:\.(?P<direction>fw|bw))?(?:\.(?P<layer>\d+))?(?:\.h)?",),
        "c": (r"final_state(?:\.(?P<direction>fw|bw))?(?:\.(?P<layer>\d+))?\.c",),
        "initial_h": (r"initial_state(?:[._](?P<direction>fw|bw))?(?:\.(?P<layer>\d+))?(?:\.h)?",),
        "initial_c": (r"initial_state(?:[._](?P<direction>fw|bw))?(?:\.(?P<layer>\d+))?\.c",),
        "lengths": (r"sequence_length", r"lengths"),
    }
    classes: Mapping[Cell, str] = {"lstm": "LSTM", "gru": "GRU", "rnn": "BasicRNN"}
    nests_layers = True
    other_axes = OTHER_AXES
    two_directions = TWO_DIRECTIONS
    fixes = FIXES

    def spec(self, cell: Cell, attributes: Mapping[str, Any]) -> CellSpec:
        usual = gates.spec(cell, attributes, forget_bias=1.0, reset_after=False)
        return gates.with_slope(usual, 0.2)

    def owns_weights(self, names: tuple[str, ...]) -> bool:
        if any("recurrent_kernel" in name for name in names):
            return False  # Keras calls its cells lstm_cell too
        cell = re.compile(r"(lstm|gru|rnn)_cell[/.](gates[/.]|candidate[/.]|projection[/.])?(kernel|bias)(:0)?$")
        return any(cell.search(name) for name in names)

    def place(self, slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...]:
        """With `state_is_tuple=False` a state is `[B, 2H]`: c, then h. A pair without names is (c, h) too."""
        if config.attributes.get("state_is_tuple") is not False:
            return place_lists(unnamed_pair(slots, config), config, self.cell_first)
        _refuse_a_state_alone(slots)
        placed: list[Slot] = []
        for slot in slots:
            if slot.role not in ("h", "initial_h") or slot.array.ndim != 2 or slot.name.endswith(".h"):
                placed.append(slot)
                continue
            half = slot.array.shape[1] // 2
            cell_role: Role = "c" if slot.role == "h" else "initial_c"
            placed.append(replace(slot, array=slot.array[:, half:]))
            placed.append(replace(slot, role=cell_role, array=slot.array[:, :half]))
        return tuple(placed)

    def scopes(self, arrays: Mapping[str, Array], config: LayerConfig) -> tuple[Scope, ...]:
        """Variables of cells alone, where some scope is called a cell: a model has dense kernels too."""
        kernels_only = [s for s in super().scopes(arrays, config) if any("kernel" in part for part in s.arrays)]
        kernels_only = [
            s for s in kernels_only if not any("recurrent_kernel" in name for name in s.surplus)
        ]  # Keras' cells
        cells = [s for s in kernels_only if re.search(r"cell\w*$", s.name) or set(s.arrays) & set(GRU_PARTS)]
        return tuple(cells or kernels_only)

    def cell_of(self, scope: Scope) -> Cell | None:
        if set(scope.arrays) & set(GRU_PARTS):
            return "gru"
        if {"projection/kernel", *PEEPHOLES} & set(scope.arrays) or "lstm" in scope.name.rpartition("/")[2]:
            return "lstm"
        return "rnn" if "rnn_cell" in scope.name.rpartition("/")[2] else None

    def module_of(self, scope: Scope) -> str | None:
        """MultiRNNCell and `stack_bidirectional_rnn` count the cells of their own."""
        match = re.match(r"(.*?(?:multi_rnn_cell|stack_bidirectional_rnn)(?:_\d+)?)/cell_\d+(?:/|$)", scope.name)
        return match[1] if match else None

    def parts(self, scope: Scope, cell: Cell) -> Parts:
        if cell == "gru":
            return Parts(GRU_PARTS)
        if cell == "rnn":
            return Parts(("kernel", "bias"))
        some = any(part in scope.arrays for part in PEEPHOLES)  # all of them, or none
        return Parts(("kernel", "bias", *(PEEPHOLES if some else ())), ("projection/kernel",))

    def read_layer(self, scope: Scope, spec: CellSpec, layer: int, direction: Direction) -> LayerWeights:
        kernel, bias = self._gru(scope) if spec.cell == "gru" else self._joint(scope, spec.cell)
        units = bias.shape[1]
        why = blocks("", units, scope.path_of("bias"))
        projection = (
            scope.need("projection/kernel", (units, None), why) if "projection/kernel" in scope.arrays else None
        )
        features = kernel.shape[1] - (units if projection is None else projection.shape[1])
        if features <= 0:
            raise ShapeError(
                f"{scope.name}'s kernel has {kernel.shape[1]} rows, but needs the features' and the state's: "
                f"more than {kernel.shape[1] - features}, {why}"
            )
        diagonals = [scope.need(part, (units,), why) for part in PEEPHOLES if part in scope.arrays]
        return LayerWeights(
            layer,
            direction,
            kernel[:, :features],
            kernel[:, features:],
            bias,
            peepholes=np.stack(diagonals) if diagonals else None,
            projection=projection,
        )

    def _joint(self, scope: Scope, cell: Cell) -> tuple[Array, Array]:
        order = LSTM_ORDER if cell == "lstm" else "n"
        bias = gates.split_bias(scope.arrays["bias"], order, cell, scope.path_of("bias"))
        why = blocks(order.replace("g", "j") if cell == "lstm" else "", bias.shape[1], scope.shown("bias"))
        kernel = scope.need("kernel", (None, bias.size), why)
        return gates.split_columns(kernel, order, cell, scope.path_of("kernel")), bias

    def _gru(self, scope: Scope) -> tuple[Array, Array]:
        candidate = scope.need("candidate/bias", (None,), "a bias has one axis")
        units = candidate.shape[0]
        why = blocks("", units, scope.shown("candidate/bias"))
        inner = scope.need("candidate/kernel", (None, units), why)
        both = scope.need("gates/kernel", (inner.shape[0], 2 * units), f"2 gate blocks (r, u) of {why}")
        first = scope.need("gates/bias", (2 * units,), f"2 gate blocks (r, u) of {why}")
        kernel = gates.split_columns(np.concatenate([both, inner], 1), "rzn", "gru", scope.name)
        return kernel, gates.split_bias(np.concatenate([first, candidate]), "rzn", "gru", scope.name)

    def write_weights(self, weights: Weights) -> dict[str, Array]:
        refuse(self, weights)
        arrays: dict[str, Array] = {}
        for w in weights.layers:
            scope = self._scope(weights, w)
            bias = merge_biases(w)
            kernel = np.concatenate([w.input_kernel, w.recurrent_kernel], 1)
            if weights.spec.cell == "gru":
                arrays[f"{scope}/gates/kernel"] = gates.join_columns(kernel, "rz", "gru")
                arrays[f"{scope}/gates/bias"] = gates.join_bias(bias, "rz", "gru")
                arrays[f"{scope}/candidate/kernel"] = gates.join_columns(kernel, "n", "gru")
                arrays[f"{scope}/candidate/bias"] = gates.join_bias(bias, "n", "gru")
                continue
            order = LSTM_ORDER if weights.spec.cell == "lstm" else "n"
            arrays[f"{scope}/kernel"] = gates.join_columns(kernel, order, weights.spec.cell)
            arrays[f"{scope}/bias"] = gates.join_bias(bias, order, weights.spec.cell)
            if w.peepholes is not None:
                arrays.update({f"{scope}/{name}": w.peepholes[i] for i, name in enumerate(PEEPHOLES)})
            if w.projection is not None:
                arrays[f"{scope}/projection/kernel"] = w.projection
        return arrays

    def _scope(self, weights: Weights, w: LayerWeights) -> str:
        """`stack_bidirectional_rnn` joins the directions between layers; MultiRNNCells in two directions do not."""
        cell = {"lstm": "lstm_cell", "gru": "gru_cell", "rnn": "basic_rnn_cell"}[weights.spec.cell]
        way = "bidirectional_rnn/" + WORDS[w.direction == "backward"] if len(weights.directions) > 1 else "rnn"
        if weights.depth == 1:
            return f"{way}/{cell}"
        if len(weights.directions) > 1 and weights.between != "apart":
            return f"stack_bidirectional_rnn/cell_{w.layer}/{way}/{cell}"
        return f"{way}/multi_rnn_cell/cell_{w.layer}/{cell}"

    def dump(self, trace: Trace, config: LayerConfig, weights: Weights | None = None) -> dict[str, Array]:
        names = DumpNames(trace, config)
        top = names.apart(trace.layers - 1)
        arrays = {f"outputs.{WORDS[d == 'backward']}" if len(top) > 1 else "outputs": a for d, a in top.items()}
        for track in trace.tracks:
            for name, h, c in (
                ("final_state", track.final, track.cell),
                ("initial_state", track.initial, track.initial_cell),
            ):
                arrays.update(_state(names.name(track, name, WORDS), h, c, config))
        return arrays


def _refuse_a_state_alone(slots: tuple[Slot, ...]) -> None:
    """Raise UserError where the one state is as wide as the outputs, and so cannot hold c beside h."""
    states = [s for s in slots if s.role == "h" and s.direction is None]
    outputs = [s for s in slots if s.role == "outputs"]
    if len(states) == len(outputs) == 1 and states[0].array.shape[-1:] == outputs[0].array.shape[-1:]:
        units = states[0].array.shape[-1]
        raise UserError(
            f"{argument('state_is_tuple', False)} says that {states[0].name} holds c and h side by side, "
            f"[B, {2 * units}] beside outputs of {units} units; it is {list(states[0].array.shape)}: leave it out"
        )


def _state(key: str, h: Array | None, c: Array | None, config: LayerConfig) -> dict[str, Array]:
    """One state: `key` alone, `key.c` and `key.h`, or c and h in one array where `state_is_tuple=False`."""
    if h is None:
        return {}
    if c is None:
        return {key: h}
    if config.attributes.get("state_is_tuple") is False:
        return {key: np.concatenate([c, h], 1)}
    return {f"{key}.c": c, f"{key}.h": h}


CONVENTION = TensorFlow1()
