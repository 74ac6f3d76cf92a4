"""Keras 3 and tf_keras: the `LSTM`, `GRU` and `SimpleRNN` layers, `Bidirectional`, and stacked cells in `RNN`.

A masked step repeats the output before it (zeros before the first real step), or is zero with
`zero_output_for_mask`, which `Bidirectional` always sets (keras/src/backend/*/rnn.py, layers/rnn/bidirectional.py).
Kernels are `[F, G*H]` and `[H, G*H]` in the order i, f, c, o or z, r, h; a reset-after GRU keeps two biases, `[2, 3H]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from rnninspect.conventions.base import Facts, Gates
from rnninspect.conventions.dumps.positions import place_lists
from rnninspect.conventions.dumps.writer import DumpNames
from rnninspect.conventions.weights import gates, keras_cells, keras_names
from rnninspect.conventions.weights.express import merge_biases, refuse
from rnninspect.conventions.weights.scopes import Parts, Scope, blocks
from rnninspect.conventions.weights.stack import ScopedConvention
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Direction, PaddingPolicy, Trace, Track
from rnninspect.core.weights import Between, LayerWeights, Weights
from rnninspect.core.wording import argument
from rnninspect.errors import UserError

ORDER: dict[Cell, str] = {"lstm": "ifgo", "gru": "zrn", "rnn": "n"}
_LAYER = r"(?:(?P<name>[^.]+)\.)?"


class Keras(ScopedConvention):
    name = "keras"
    lists_by_direction = True
    stacks_directions = True  # Bidirectional around an RNN of stacked cells
    joins: frozenset[Between] = frozenset({"concat", "sum", "mul", "ave", "apart"})  # Bidirectional's `merge_mode`
    variables = "…/kernel, …/recurrent_kernel, …/bias, or …/cell/vars/0"
    variable = regex(r"(?:.*/)?(?P<part>kernel|recurrent_kernel|bias)(?::0)?")
    files: Mapping[str, float] = {".keras": 3.0, ".h5": 0.8, ".hdf5": 0.8}
    prints: Mapping[str, float] = {"tf.Tensor": 2.0}
    also_leaves = frozenset({"zero"})  # zero_output_for_mask, cuDNN
    prior = 0.2
    own_options = frozenset({"go_backwards"})
    takes = frozenset({"reset_after", "activation", "recurrent_activation"})
    apart = True
    padding: PaddingPolicy = "repeat"
    bidirectional_padding: PaddingPolicy | None = "zero"
    facts = Facts(
        framework="Keras 3 `LSTM`, `GRU`, `SimpleRNN`",
        outputs="B T H; Bidirectional: B T (D H)",
        state="B H per layer and direction",
        order="[h, c]",
        padding="repeat; Bidirectional: zero",
        zero_length="initial state",
        lstm_gates=Gates(("i", "f", "c", "o")),
        gru_gates=Gates(("z", "r", "h"), "; reset after by default"),
        kernels="[F, 4H], [H, 4H]",
        biases="one; GRU reset after: two",
        source="keras/src/layers/rnn/{lstm,gru,bidirectional}.py, keras/src/backend/tensorflow/rnn.py",
    )
    names: Mapping[Role, tuple[str, ...]] = {
        "outputs": (
            _LAYER + r"outputs(?:\.(?P<direction>forward|backward))?",
            _LAYER + r"(?P<direction>forward|backward)_outputs",
        ),
        "h": (
            _LAYER + r"state_h",
            _LAYER + r"(?P<direction>forward|backward)_h",
            r"states\.(?P<layer>\d+)\.h",
            r"(?P<direction>forward|backward)_states?\.(?P<layer>\d+)(?:\.h)?",
            _LAYER + r"states?(?P<position>(?:\.\d+)+)",
        ),
        "c": (
            _LAYER + r"state_c",
            _LAYER + r"(?P<direction>forward|backward)_c",
            r"states\.(?P<layer>\d+)\.c",
            r"(?P<direction>forward|backward)_states?\.(?P<layer>\d+)\.c",
        ),
        "initial_h": (
            _LAYER + r"initial_state(?P<position>(?:\.\d+)+)",
            r"(?:(?P<direction>forward|backward)_)?initial_state\.(?P<layer>\d+)(?:\.h)?",
        ),
        "initial_c": (r"(?:(?P<direction>forward|backward)_)?initial_state\.(?P<layer>\d+)\.c",),
    }
    classes: Mapping[Cell, str] = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}
    fixes: Mapping[str, str] = {
        "lengths-ignored": "outputs = layer(inputs, mask=np.arange(T)[None] < lengths[:, None])",
        "last-column-as-final-state": (
            "outputs, h, c = LSTM(units, return_sequences=True, return_state=True)(inputs, mask=mask)"
        ),
        "off-by-one-length": "lengths = last_index + 1  # lengths count the real steps of a row",
        "left-padded": "inputs = keras.utils.pad_sequences(rows, dtype='float32', padding='post')  # not 'pre'",
        "lengths-misaligned": (
            "inputs, mask = inputs[order], mask[order]  # one order for both: batch and shuffle them together"
        ),
        "rows-permuted": "h, c = (keras.ops.take(s, np.argsort(order), axis=0) for s in (h, c))",
        "zero-length-row": "keep = mask.any(axis=1)  # the state of an empty row is its initial state",
        "padding-computed": "LSTM(units, return_sequences=True, zero_output_for_mask=True)",
        "padding-repeats-last-output": "LSTM(units, return_sequences=True, zero_output_for_mask=True)",
        "nonfinite-values": "assert np.isfinite(inputs).all()  # padding too: masked steps are computed, then dropped",
        "cell-hidden-swapped": "outputs, state_h, state_c = layer(inputs)  # h comes first here",
        "cell-overwritten-by-hidden": "outputs, state_h, state_c = layer(inputs)  # h comes first here",
        "backward-final-at-last-step": "outputs, fw_h, fw_c, bw_h, bw_c = Bidirectional(layer)(inputs, mask=mask)",
        "state-read-batch-first": "final = keras.ops.concatenate([fw_h, bw_h], axis=-1)  # not a reshape of a stack",
        "state-reshaped-not-transposed": (
            "final = keras.ops.concatenate([fw_h, bw_h], axis=-1)  # not a reshape of a stack"
        ),
        "batch-time-swapped": "inputs = keras.ops.transpose(inputs, (1, 0, 2))  # Keras reads only [B, T, F]",
        "flat-gather-wrong-stride": "index = np.arange(B) * T + lengths - 1  # into outputs reshaped to [B * T, H]",
        "wrong-layer": "outputs, *states = RNN([bottom, top], return_state=True)(x); h, c = states[-1]",
        "layer-order-reversed": (
            "bottom, top = states[0], states[-1]  # stacked cells: one state per cell, the bottom first"
        ),
        "backward-not-flipped": "outputs_bw = keras.ops.flip(outputs_bw, axis=1)  # Bidirectional does it itself",
        "backward-read-padding": "Bidirectional(layer)(inputs, mask=mask)  # the mask keeps the padding out",
        "directions-exchanged": "outputs, fw_h, fw_c, bw_h, bw_c = Bidirectional(layer)(inputs, mask=mask)",
        "direction-duplicated": "final = keras.ops.concatenate([fw_h, bw_h], axis=-1)  # or return_sequences=False",
        "direction-missing": "final = keras.ops.concatenate([fw_h, bw_h], axis=-1)  # or return_sequences=False",
        "directions-interleaved": "outputs_fw, outputs_bw = outputs[..., :units], outputs[..., units:]",
        "output-dropout": "outputs = keras.layers.Dropout(rate)(outputs)  # after the state was taken",
        "output-residual": "summed = outputs + inputs  # beside the outputs; the state never holds the sum",
        "state-from-another-run": "outputs, h, c = model(inputs)  # outputs and states from one call of one model",
        "stale-initial-state": "layer.reset_state()  # or save the initial_state=[h, c] that was used",
        "gate-order": "i, f, c, o = np.split(kernel, 4, axis=1)  # Keras' order; a GRU's is z, r, h",
        "forget-bias": "bias[units:2 * units] += 1  # where the other framework adds it at run time",
        "bias-dropped": "bias = bias_ih + bias_hh  # a GRU with reset_after: np.stack([bias_ih, bias_hh])",
        "gru-reset-variant": "GRU(units, reset_after=False)  # resets before the product; True, the default, after",
        "update-gate-flipped": "z = -z  # that block of both kernels and the bias; here h' = z * h + (1 - z) * hh",
        "kernel-transposed": "layer.set_weights([w_ih.T, w_hh.T, bias])  # kernel [F, 4H], recurrent_kernel [H, 4H]",
        "recurrent-activation": "LSTM(units, recurrent_activation='hard_sigmoid')  # x/6 + 0.5 in Keras 3",
        "clip-or-peephole-ignored": (
            "c = keras.ops.clip(c, -cell_clip, cell_clip)  # in a cell for RNN(cell): Keras has no clip or peephole"
        ),
        "precision-drift": "keras.config.set_dtype_policy('float32')  # in both runs\n"
        "# and TF32, a GPU's default, off in the backend: torch.backends.cudnn.allow_tf32 = False, for one",
        "truncated-time-axis": (
            "inputs = keras.utils.pad_sequences(rows, maxlen=T, dtype='float32', padding='post')  # one T for all"
        ),
        "mask-hole": "mask = np.arange(T)[None] < lengths[:, None]  # Masking(0.0) hides real steps of zeros",
        "mask-inverted": "mask = keras.ops.logical_not(key_padding_mask)  # a layer reads where it is true",
    }

    def spec(self, cell: Cell, attributes: Mapping[str, Any]) -> CellSpec:
        return gates.with_slope(gates.spec(cell, gates.apart(attributes)[0]), 0.2)

    def backward_spec(self, scopes: Sequence[Scope], cell: Cell, config: LayerConfig) -> CellSpec | None:
        """`Bidirectional(layer, backward_layer=…)` may have another activation in each."""
        backward = gates.apart(config.attributes)[-1]
        both = [self.spec_of(scopes, cell, replace(config, attributes=a)) for a in (config.attributes, backward)]
        return both[1] if both[0] != both[1] else None

    def options_from_config(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """A layer's config; where Keras 3 wrote it (`keras_version`), its `hard_sigmoid` is x / 6 + 0.5."""
        copied = ("activation", "recurrent_activation", "reset_after", "go_backwards", "time_major", "merge_mode")
        options = {name: attributes[name] for name in copied if attributes.get(name) is not None}
        keras_1_or_2 = re.match("[12][.]", str(attributes.get("keras_version", "")))
        for name in ("activation", "recurrent_activation"):
            if options.get(name) == "hard_sigmoid" and not keras_1_or_2:
                options[name] = "hard_sigmoid_keras3"
        if attributes.get("merge_mode", "") is None:
            options["merge_mode"] = "none"
        return options | ({"padding": "zero"} if attributes.get("zero_output_for_mask") else {})

    def order(self, config: LayerConfig) -> Literal["time", "reversed", "within"]:
        return "reversed" if config.go_backwards and config.direction != "bidirectional" else "time"

    def place(self, slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...]:
        """A list of states is [h, c], or [fw h, fw c, bw h, bw c]; of stacked cells it runs over those of fw first."""
        return place_lists(slots, config, by_direction=self.lists_by_direction)

    def owns_weights(self, names: tuple[str, ...]) -> bool:
        return any(re.search(r"(^|[/.])recurrent_kernel(:0)?$|[/.]cell[/.](\S+[/.])?vars[/.]\d+$", n) for n in names)

    def scopes(self, arrays: Mapping[str, Array], config: LayerConfig) -> tuple[Scope, ...]:
        """Variables of recurrent cells alone; a dense layer has a kernel and a bias too."""
        return keras_cells.halved(tuple(scope for scope in super().scopes(arrays, config) if _is_cell(scope)))

    def normalise_name(self, name: str) -> str:
        return keras_names.by_part(name)

    def cell_of(self, scope: Scope) -> Cell | None:
        return keras_cells.cell_of(scope)

    def is_recurrent(self, attributes: Mapping[str, Any]) -> bool:
        return re.fullmatch(r"(CuDNN)?(LSTM|GRU)|SimpleRNN", str(attributes.get("class_name"))) is not None

    def module_of(self, scope: Scope) -> str | None:
        return keras_names.module_of(scope.name)

    def parts(self, scope: Scope, cell: Cell) -> Parts:
        return Parts(("kernel", "recurrent_kernel"), ("bias",))  # use_bias=False

    def spec_of(self, scopes: Sequence[Scope], cell: Cell, config: LayerConfig) -> CellSpec:
        """A GRU's bias tells how it resets, where nothing is stated: `[3H]` before, `[2, 3H]` after."""
        spec = self.spec(cell, config.attributes)
        after = keras_cells.reset_after(scopes) if cell == "gru" else None
        if after is not None and "reset_after" not in config.attributes:
            return replace(spec, reset_after=after)
        return spec

    def between(self, weights: Weights, config: LayerConfig) -> Between:
        """Stacked cells read one another's steps, whatever `merge_mode` makes of the outputs of the topmost."""
        if any(map(keras_names.is_stacked, weights.names)):
            return "apart"
        between = super().between(weights, config)
        if between == "apart" and any("bidirectional" in name for name in weights.names):
            how = f"state {argument('merge_mode', 'sum')}, mul or ave"
            raise UserError(f"a layer reads the directions below it merged, and the weights do not say how: {how}")
        return between

    def arrays_for(self, path: str, weights: Weights) -> dict[str, Array]:
        """`.weights.h5` and `.keras` hold the paths of a Sequential model."""
        arrays = self.write_weights(weights)
        return keras_names.numbered(weights, arrays) if path.endswith((".weights.h5", ".keras")) else arrays

    def read_layer(self, scope: Scope, spec: CellSpec, layer: int, direction: Direction) -> LayerWeights:
        scope, order = keras_cells.from_cudnn(scope), ORDER[spec.cell]
        recurrent = scope.need("recurrent_kernel", (None, None), "a recurrent kernel has two axes")
        units = recurrent.shape[0]
        why = blocks(order.replace("n", "h"), units, scope.shown("recurrent_kernel"))
        total = len(order) * units
        scope.need("recurrent_kernel", (units, total), f"a {spec.cell} has {why}")
        kernel = scope.need("kernel", (None, total), why)
        bias, second = keras_cells.biases_of(scope, spec, total, why)
        path = scope.path_of("bias")
        return LayerWeights(
            layer,
            direction,
            gates.split_columns(kernel, order, spec.cell, scope.path_of("kernel")),
            gates.split_columns(recurrent, order, spec.cell, scope.path_of("recurrent_kernel")),
            gates.split_bias(bias, order, spec.cell, path),
            None if second is None else gates.split_bias(second, order, spec.cell, path),
        )

    def write_weights(self, weights: Weights) -> dict[str, Array]:
        refuse(self, weights, peepholes=True, projection=True)
        cell, order = weights.spec.cell, ORDER[weights.spec.cell]
        arrays: dict[str, Array] = {}
        for w in weights.layers:
            prefix = keras_names.prefix_of(weights, w)
            arrays[f"{prefix}kernel"] = gates.join_columns(w.input_kernel, order, cell)
            arrays[f"{prefix}recurrent_kernel"] = gates.join_columns(w.recurrent_kernel, order, cell)
            if cell == "gru" and weights.spec.reset_after:
                second = np.zeros_like(w.bias) if w.recurrent_bias is None else w.recurrent_bias
                arrays[f"{prefix}bias"] = np.stack([gates.join_bias(b, order, cell) for b in (w.bias, second)])
            else:
                arrays[f"{prefix}bias"] = gates.join_bias(merge_biases(w), order, cell)
        return arrays

    def dump(self, trace: Trace, config: LayerConfig, weights: Weights | None = None) -> dict[str, Array]:
        names = DumpNames(trace, config)
        scopes = weights.names if weights is not None and weights.convention == self.name else ()
        if any(map(keras_names.is_stacked, scopes)):
            states = {key: array for track in trace.tracks for key, array in _stacked(track, names).items()}
            return _outputs(names, trace.layers - 1) | states
        layers = keras_names.layer_names(scopes, trace.layers, names)
        arrays: dict[str, Array] = {}
        for layer, name in enumerate(layers):
            prefix = f"{name}." if len(layers) > 1 else ""
            arrays |= {prefix + key: array for key, array in _outputs(names, layer).items()}
            tracks = names.layer(layer)
            for track in tracks:
                owner = prefix + (track.direction if names.bidirectional else "state")
                arrays |= {f"{owner}_{k}": a for k, a in (("h", track.final), ("c", track.cell)) if a is not None}
            initial = [a for track in tracks for a in (track.initial, track.initial_cell) if a is not None]
            arrays |= {f"{prefix}initial_state.{i}": a for i, a in enumerate(initial)}
        return arrays


def _is_cell(scope: Scope) -> bool:
    return "recurrent_kernel" in scope.arrays or bool(re.search(r"(lstm|gru|rnn|cell)\w*$", scope.name.lower()))


def _outputs(names: DumpNames, layer: int) -> dict[str, Array]:
    """One layer's outputs; with `merge_mode=None` one array a direction."""
    if names.config.merge_mode == "none" and names.bidirectional:
        return {f"{direction}_outputs": array for direction, array in names.apart(layer).items()}
    return names.merged(layer)


def _stacked(track: Track, names: DumpNames) -> dict[str, Array]:
    """Stacked cells: one state per cell, `states.0.h` and `.c`; without a cell state `states.0`."""
    states_by_name: dict[str, Array] = {}
    way = f"{track.direction}_" if names.bidirectional else ""
    final, initial = f"{way}states", f"{way}initial_state"
    for name, h, c in ((final, track.final, track.cell), (initial, track.initial, track.initial_cell)):
        if h is not None:
            states_by_name[f"{name}.{track.layer}" + (".h" if c is not None else "")] = h
        if c is not None:
            states_by_name[f"{name}.{track.layer}.c"] = c
    return states_by_name


CONVENTION = Keras()
