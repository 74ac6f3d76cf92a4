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

from rnninspect.conventions import gates
from rnninspect.conventions.base import Convention, Facts, Role, Slot, Statement
from rnninspect.conventions.layers import DumpNames, canonical_directions, merge_biases, refuse
from rnninspect.errors import ShapeError
from rnninspect.trace import Array, Direction, Trace
from rnninspect.weights import Cell, CellSpec, LayerWeights, Weights

LSTM_ORDER = "igfo"  # TensorFlow writes i, j, f, o
PEEPHOLES = ("w_i_diag", "w_f_diag", "w_o_diag")  # in canonical order i, f, o
_VARIABLE = re.compile(
    r"(?P<scope>.*?)(?:(?P<cell>(?:basic_|layer_norm_basic_)?(?:lstm|gru|rnn)_cell|cudnn_compatible_\w+|\w*cell\w*)/)?"
    r"(?P<part>gates/kernel|gates/bias|candidate/kernel|candidate/bias|projection/kernel|kernel|bias|w_[ifo]_diag)(?::0)?"
)


class TensorFlow1(Convention):
    name = "tf1"
    facts = Facts(
        framework="TensorFlow 1 `dynamic_rnn`",
        outputs="B T H; time_major: T B H",
        state="B H a layer; LSTMStateTuple",
        order="(c, h)",
        padding="zero",
        zero_length="initial state",
        lstm_gates="i j f o (j = g), forget bias 1.0 at run time",
        gru_gates="r u, candidate apart; reset before",
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
    fixes: Mapping[str, str] = {
        "pass_lengths": "outputs, state = tf.nn.dynamic_rnn(cell, inputs, sequence_length=lengths, dtype=tf.float32)",
        "use_final_state": "final = state.h  # not outputs[:, -1]; a GRU's state is h itself",
        "gather_last_step": "final = tf.gather_nd(outputs, tf.stack([tf.range(batch_size), lengths - 1], axis=1))",
        "count_steps": "lengths = number of real steps of a row (last index + 1)",
        "clip_lengths": "lengths = tf.minimum(lengths, tf.shape(inputs)[1])",
        "pad_right": "pad on the right: tf.keras.preprocessing.sequence.pad_sequences(rows, padding='post')",
        "align_lengths": "keep rows and lengths in one order: batch and shuffle them together",
        "restore_order": "inverse = tf.argsort(order); state = tf.gather(state.h, inverse)  # after sorting by length",
        "drop_empty_rows": "keep = lengths > 0  # or treat the state of an empty row as its initial state",
        "mask_outputs": "outputs *= tf.sequence_mask(lengths, tf.shape(outputs)[1], dtype=outputs.dtype)[..., None]",
        "find_nonfinite": "inputs = tf.debugging.check_numerics(inputs, 'inputs')",
        "name_the_states": "c, h = state  # LSTMStateTuple(c, h): c comes first here",
        "read_backward_at_first_step": "final = tf.concat([state_fw.h, state_bw.h], 1)  # outputs_bw[:, 0]",
    }

    def spec(self, cell: Cell, attributes: Mapping[str, Any]) -> CellSpec:
        return gates.spec(cell, attributes, forget_bias=1.0 if cell == "lstm" else 0.0, reset_after=False)

    def owns_weights(self, names: tuple[str, ...]) -> bool:
        return any(re.search(r"(lstm|gru|rnn)_cell/(gates/|candidate/|projection/)?(kernel|bias)", n) for n in names)

    def place(self, slots: tuple[Slot, ...], statement: Statement) -> tuple[Slot, ...]:
        """With `state_is_tuple=False` a state is `[B, 2H]`: c, then h."""
        if statement.attributes.get("state_is_tuple") is not False:
            return slots
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

    def read_weights(self, arrays: Mapping[str, Array], statement: Statement) -> Weights:
        groups = self._cells(arrays)
        cell: Cell = statement.cell or ("gru" if any("gates/kernel" in g for g in groups.values()) else "lstm")
        spec = self.spec(cell, statement.attributes)
        layers: list[LayerWeights] = []
        seen: dict[Direction, int] = {}
        only = canonical_directions(statement)
        for scope, parts in groups.items():
            named = re.search(r"(?:^|/)(fw|bw)(?:/|$)", scope)
            direction: Direction = ("backward" if named.group(1) == "bw" else "forward") if named else only[0]
            layer = seen.get(direction, 0)
            seen[direction] = layer + 1
            layers.append(self._layer(spec, scope, parts, layer, direction))
        ordered = sorted(layers, key=lambda w: (w.layer, w.direction == "backward"))
        return Weights(spec, tuple(ordered), convention=self.name, names=tuple(groups))

    def _cells(self, arrays: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        groups: dict[str, dict[str, Array]] = {}
        for name, array in arrays.items():
            match = _VARIABLE.fullmatch(name)
            if match:
                groups.setdefault(match["scope"] + (match["cell"] or ""), {})[match["part"]] = array
        groups = {scope: parts for scope, parts in groups.items() if any("kernel" in p for p in parts)}
        if not groups:
            raise ShapeError(f"no TensorFlow cell variables (…/kernel, …/bias) among {', '.join(arrays) or 'nothing'}")
        return groups

    def _layer(
        self, spec: CellSpec, scope: str, parts: dict[str, Array], layer: int, direction: Direction
    ) -> LayerWeights:
        if spec.cell == "gru":
            kernel, bias = self._gru(scope, parts)
            units = kernel.shape[2]
        else:
            order = LSTM_ORDER if spec.cell == "lstm" else "n"
            kernel = gates.split_columns(self._part(scope, parts, "kernel"), order, spec.cell, f"{scope}/kernel")
            bias = gates.split_bias(self._part(scope, parts, "bias"), order, spec.cell, f"{scope}/bias")
            units = kernel.shape[2]
        projection = parts.get("projection/kernel")
        state = units if projection is None else projection.shape[1]
        features = kernel.shape[1] - state
        if features <= 0 or bias.shape[1] != units:
            raise ShapeError(
                f"{scope}: kernel {parts.get('kernel', parts.get('gates/kernel', kernel)).shape} and bias "
                f"{bias.shape} do not fit a {spec.cell} of {units} units ([features + {state}, gates * {units}])"
            )
        diagonals = [parts[p] for p in PEEPHOLES if p in parts]
        return LayerWeights(
            layer,
            direction,
            kernel[:, :features],
            kernel[:, features:],
            bias,
            peepholes=np.stack(diagonals) if len(diagonals) == len(PEEPHOLES) else None,
            projection=projection,
        )

    def _gru(self, scope: str, parts: dict[str, Array]) -> tuple[Array, Array]:
        both = self._part(scope, parts, "gates/kernel")
        candidate = self._part(scope, parts, "candidate/kernel")
        kernel = gates.split_columns(np.concatenate([both, candidate], 1), "rzn", "gru", f"{scope}/gates/kernel")
        biases = [self._part(scope, parts, "gates/bias"), self._part(scope, parts, "candidate/bias")]
        return kernel, gates.split_bias(np.concatenate(biases), "rzn", "gru", f"{scope}/gates/bias")

    def _part(self, scope: str, parts: dict[str, Array], part: str) -> Array:
        if part not in parts:
            raise ShapeError(f"{scope or 'the file'} has no {part}; it holds {', '.join(parts)}")
        return np.asarray(parts[part])

    def write_weights(self, weights: Weights) -> dict[str, Array]:
        refuse(self.name, weights, reset_after=True, input_forget=True, gate_clip=True)
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
        cell = {"lstm": "lstm_cell", "gru": "gru_cell", "rnn": "basic_rnn_cell"}[weights.spec.cell]
        root = (
            f"bidirectional_rnn/{'bw' if w.direction == 'backward' else 'fw'}" if len(weights.directions) > 1 else "rnn"
        )
        return f"{root}/multi_rnn_cell/cell_{w.layer}/{cell}" if weights.depth > 1 else f"{root}/{cell}"

    def dump(self, trace: Trace, statement: Statement, weights: Weights | None = None) -> dict[str, Array]:
        names = DumpNames(trace, statement)
        arrays = names.outputs(apart=True, name="outputs", words=("fw", "bw"))
        together = statement.attributes.get("state_is_tuple") is False
        for track, key in names.tracks("final_state", words=("fw", "bw")):
            if track.final is None:
                continue
            if track.cell is None:
                arrays[key] = track.final
            elif together:
                arrays[key] = np.concatenate([track.cell, track.final], 1)
            else:
                arrays[f"{key}.c"], arrays[f"{key}.h"] = track.cell, track.final
        return arrays


CONVENTION = TensorFlow1()
