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
from rnninspect.conventions.weights import gates
from rnninspect.conventions.weights.express import merge_biases, refuse
from rnninspect.conventions.weights.scopes import Parts, Scope, blocks
from rnninspect.conventions.weights.stack import ScopedConvention
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Direction, Trace
from rnninspect.core.weights import Between, LayerWeights, Weights
from rnninspect.errors import ShapeError

LSTM_ORDER = "igfo"  # TensorFlow writes i, j, f, o
PEEPHOLES = ("w_i_diag", "w_f_diag", "w_o_diag")  # in canonical order i, f, o
GRU_PARTS = ("gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias")
WORDS = ("fw", "bw")


class TensorFlow1(ScopedConvention):
    name = "tf1"
    stacks_directions = True  # bidirectional_dynamic_rnn around two MultiRNNCells
    joins: frozenset[Between] = frozenset({"concat", "apart"})
    variables = "…/lstm_cell/kernel, …/lstm_cell/bias, …/gru_cell/gates/kernel"
    variable = re.compile(
        r"(?:.*?/)??(?P<part>(?:gates|candidate)/(?:kernel|bias)|projection/kernel|kernel|bias|w_[ifo]_diag)(?::0)?"
    )
    cell_first = True
    prior = 0.25
    takes = frozenset({"forget_bias", "cell_clip", "proj_clip", "activation", "use_peepholes", "num_proj"})
    prints: Mapping[str, float] = {"tf.Tensor": 1.0}
    facts = Facts(
        framework="TensorFlow 1 `dynamic_rnn`",
        outputs="B T H; time_major: T B H",
        state="B H a layer; LSTMStateTuple",
        order="(c, h)",
        padding="zero",
        zero_length="initial state",
        lstm_gates=Gates(("i", "j", "f", "o"), "(j = g), forget bias 1.0 at run time"),
        gru_gates=Gates(("r", "u"), ", candidate apart; reset before"),
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
    two_directions: Mapping[str, str] = {
        "lengths-ignored": (
            "outputs, (state_fw, state_bw) = tf.nn.bidirectional_dynamic_rnn("
            "cell_fw, cell_bw, inputs, sequence_length=lengths, dtype=tf.float32)"
        ),
        "wrong-layer": "final = tf.concat([state_fw[-1].h, state_bw[-1].h], axis=1)  # MultiRNNCell: the top layer",
        "output-residual": "final = tf.concat([state_fw.h, state_bw.h], axis=1)  # ResidualWrapper: the outputs alone",
    }
    fixes: Mapping[str, str] = {
        "lengths-ignored": (
            "outputs, state = tf.nn.dynamic_rnn(cell, inputs, sequence_length=lengths, dtype=tf.float32)"
        ),
        "last-column-as-final-state": "final = state.h  # not outputs[:, -1]; a GRU's state is h itself",
        "off-by-one-length": "lengths = last_index + 1  # lengths count the real steps of a row",
        "length-exceeds-time": "lengths = tf.minimum(lengths, tf.shape(inputs)[1])",
        "left-padded": "inputs = tf.keras.preprocessing.sequence.pad_sequences(rows, dtype='float32', padding='post')",
        "lengths-misaligned": (
            "inputs, lengths = inputs[order], lengths[order]  # one order for both: batch and shuffle them together"
        ),
        "rows-permuted": "inverse = tf.argsort(order); state = tf.gather(state.h, inverse)  # after sorting by length",
        "zero-length-row": "keep = lengths > 0  # or treat the state of an empty row as its initial state",
        "padding-computed": (
            "outputs *= tf.sequence_mask(lengths, tf.shape(outputs)[1], dtype=outputs.dtype)[..., None]"
        ),
        "padding-repeats-last-output": (
            "outputs *= tf.sequence_mask(lengths, tf.shape(outputs)[1], dtype=outputs.dtype)[..., None]"
        ),
        "nonfinite-values": "inputs = tf.debugging.check_numerics(inputs, 'inputs')",
        "cell-hidden-swapped": "c, h = state  # LSTMStateTuple(c, h): c comes first here",
        "cell-overwritten-by-hidden": "c, h = state  # LSTMStateTuple(c, h): c comes first here",
        "backward-final-at-last-step": "final = tf.concat([state_fw.h, state_bw.h], 1)  # outputs_bw[:, 0]",
        "state-read-batch-first": "final = tf.concat([s.h for s in state], axis=1)  # not tf.reshape(tf.stack(…), …)",
        "state-reshaped-not-transposed": (
            "final = tf.concat([s.h for s in state], axis=1)  # not tf.reshape(tf.stack(…), …)"
        ),
        "batch-time-swapped": "dynamic_rnn(cell, inputs, time_major=True)  # for [T, B, F]; the default is [B, T, F]",
        "flat-gather-wrong-stride": (
            "index = tf.range(B) * T + lengths - 1  # time-major: (lengths - 1) * B + tf.range(B)"
        ),
        "wrong-layer": "final = state[-1].h  # MultiRNNCell: one state a layer, the bottom layer first",
        "layer-order-reversed": "bottom, top = state[0], state[-1]  # MultiRNNCell: the bottom layer first",
        "backward-not-flipped": "outputs_bw = tf.reverse_sequence(outputs_bw, lengths, seq_axis=1, batch_axis=0)",
        "backward-read-padding": "reversed_inputs = tf.reverse_sequence(inputs, lengths, seq_axis=1, batch_axis=0)",
        "direction-duplicated": "final = tf.concat([state_fw.h, state_bw.h], axis=1)",
        "direction-missing": "final = tf.concat([state_fw.h, state_bw.h], axis=1)",
        "directions-interleaved": "outputs = tf.concat([outputs_fw, outputs_bw], axis=2)  # not a reshape of tf.stack",
        "output-dropout": "DropoutWrapper(cell, output_keep_prob=keep)  # 1.0 when evaluating; state.h keeps all",
        "output-residual": "final = state.h  # ResidualWrapper adds the inputs to the outputs alone",
        "state-from-another-run": "outputs_value, state_value = sess.run([outputs, state], feed)  # both from one run",
        "stale-initial-state": (
            "dynamic_rnn(cell, inputs, lengths, initial_state=cell.zero_state(batch_size, tf.float32))"
        ),
        "gate-order": "i, j, f, o = np.split(kernel, 4, axis=1)  # TensorFlow's order; j is the candidate g",
        "forget-bias": "LSTMCell(units, forget_bias=0.0)  # where the weights hold the forget bias already",
        "bias-dropped": "bias = bias_ih + bias_hh  # there is one bias here: the sum of the two",
        "gru-reset-variant": (
            "tf.contrib.cudnn_rnn.CudnnCompatibleGRUCell(units)  # resets after; GRUCell resets before"
        ),
        "update-gate-flipped": "u = -u  # that block of gates/kernel and gates/bias; here h' = u * h + (1 - u) * c",
        "kernel-transposed": "kernel = np.concatenate([w_ih.T, w_hh.T])  # [F + H, 4H]: the inputs' rows come first",
        "recurrent-activation": "tf.keras.layers.LSTMCell(units, recurrent_activation='hard_sigmoid')",
        "clip-or-peephole-ignored": "LSTMCell(units, use_peepholes=True, cell_clip=3.0, num_proj=size, proj_clip=3.0)",
        "precision-drift": "inputs = tf.cast(inputs, tf.float32)  # and dtype=tf.float32 in both runs",
        "truncated-time-axis": "outputs = tf.pad(outputs, [[0, 0], [0, T - tf.shape(outputs)[1]], [0, 0]])",
        "mask-hole": "outputs *= tf.cast(mask, outputs.dtype)[..., None]  # sequence_length cannot express holes",
    }

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
