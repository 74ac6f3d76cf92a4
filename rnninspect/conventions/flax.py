"""Flax: `nn.RNN` and `nn.Bidirectional` around `LSTMCell`, `OptimizedLSTMCell`, `GRUCell`, `SimpleCell` (linen, nnx).

Outputs past the length are what the cell computed on the padding; the carry is picked at `seq_lengths - 1`, so a
length of 0 wraps to the last step. `reverse=True` leaves the outputs reversed within the length unless `keep_order`.
Every gate is a Dense of its own (ii, if, ig, io, hi, …), nnx joins them (`dense_i`, `dense_h`); the LSTM's bias is on
the h side, the GRU's on the input side, with one more for hn (flax/linen/recurrent.py, flax/nnx/nn/recurrent.py).
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
from rnninspect.conventions.weights import flax_names, gates
from rnninspect.conventions.weights.express import merge_biases, refuse
from rnninspect.conventions.weights.scopes import Parts, Scope
from rnninspect.conventions.weights.stack import ScopedConvention
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Direction, PaddingPolicy, Trace, ZeroLength
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.engine import cells

_CELLS: dict[int, Cell] = {4: "lstm", 3: "gru", 1: "rnn"}  # by the gates' blocks in one Dense
_BIASED = {"lstm": ("hi", "hf", "hg", "ho"), "gru": ("ir", "iz", "in", "hn"), "mgu": ("if", "in", "hn"), "rnn": ("i",)}
_GATE = regex(r"([ih][ifgorzn]?|dense_[ih])/(kernel|bias)")
_NO_LAYER = regex(r"params|cell|(forward|backward)_rnn")
_LAYER = r"(?:(?P<name>[^.]+)\.)?"
_WAY = r"(?:\.(?P<direction>forward|backward))?"
WORDS = ("forward", "backward")
_BOTH_HALVES = "(_, fw_h), (_, bw_h) = carry; final = jnp.concatenate([fw_h, bw_h], axis=-1)"


class Flax(ScopedConvention):
    name = "flax"
    variables = "…/cell/ii/kernel, …/cell/hi/kernel, …/cell/hi/bias"
    variable = regex(r"(?:.*/)?(?P<part>\w+/(?:kernel|bias))")
    files: Mapping[str, float] = {".msgpack": 1.5}
    prints: Mapping[str, float] = {"Array(": 2.0, "DeviceArray(": 2.0}
    cell_first = True
    prior, of_cells = 0.1, True
    takes, own_options = frozenset({"activation", "recurrent_activation"}), frozenset({"keep_order"})
    cells: tuple[Cell, ...] = ("lstm", "gru", "rnn", "mgu")
    padding: PaddingPolicy = "computed"
    zero_length: ZeroLength = "wrap"
    facts = Facts(
        framework="Flax `nn.RNN`, `nn.Bidirectional`",
        outputs="B T (D H); time_major: T B (D H)",
        state="B H per direction; return_carry=True",
        order="(c, h)",
        padding="computed",
        zero_length="step T-1 (index -1 wraps)",
        lstm_gates=Gates(("i", "f", "g", "o"), "separate"),
        gru_gates=Gates(("r", "z", "n"), "separate; reset after"),
        kernels="one per gate [F, H], [H, H]",
        biases="one; GRU: one more for hn",
        source="flax/linen/recurrent.py, flax/nnx/nn/recurrent.py",
    )
    names: Mapping[Role, tuple[str, ...]] = {
        "outputs": (_LAYER + r"outputs",),
        "h": (_LAYER + r"carry" + _WAY + r"(?:\.h)?", _LAYER + r"carry(?P<position>(?:\.\d+)+)"),
        "c": (_LAYER + r"carry" + _WAY + r"\.c",),
        "initial_h": (
            _LAYER + r"initial_carry" + _WAY + r"(?:\.h)?",
            _LAYER + r"initial_carry(?P<position>(?:\.\d+)+)",
        ),
        "initial_c": (_LAYER + r"initial_carry" + _WAY + r"\.c",),
        "lengths": (r"seq_lengths", r"lengths"),
    }
    classes: Mapping[Cell, str] = {"lstm": "LSTM", "gru": "GRU", "rnn": "Simple"}
    two_directions: Mapping[str, str] = {
        "lengths-ignored": (
            "layer = nn.Bidirectional(nn.RNN(cell), nn.RNN(cell_bw), return_carry=True)\n"
            "carry, outputs = layer(x, seq_lengths=lengths)"
        ),
    }
    fixes: Mapping[str, str] = {
        "lengths-ignored": "carry, outputs = nn.RNN(cell, return_carry=True)(x, seq_lengths=lengths)",
        "last-column-as-final-state": (
            "(c, h), outputs = nn.RNN(cell, return_carry=True)(x, seq_lengths=lengths)  # h is final"
        ),
        "off-by-one-length": "lengths = last_index + 1  # lengths count the real steps of a row",
        "length-exceeds-time": "lengths = jnp.minimum(lengths, x.shape[1])  # Flax silently uses T for a longer one",
        "left-padded": "x = jnp.pad(row, ((0, T - n), (0, 0)))  # pad on the right",
        "lengths-misaligned": (
            "inputs, lengths = inputs[order], lengths[order]  # one order for both: batch and shuffle them together"
        ),
        "rows-permuted": "carry = jax.tree.map(lambda a: a[jnp.argsort(order)], carry)  # after x[order]",
        "zero-length-row": "keep = lengths > 0  # index -1 wraps: an empty row gets the state of step T-1",
        "padding-computed": "outputs = jnp.where((jnp.arange(T) < lengths[:, None])[..., None], outputs, 0)",
        "padding-repeats-last-output": "outputs = jnp.where((jnp.arange(T) < lengths[:, None])[..., None], outputs, 0)",
        "nonfinite-values": "jax.config.update('jax_debug_nans', True)  # padding is computed too",
        "cell-hidden-swapped": "c, h = carry  # c comes first here",
        "cell-overwritten-by-hidden": "c, h = carry  # c comes first here",
        "backward-final-at-last-step": _BOTH_HALVES,
        "state-read-batch-first": "final = jnp.concatenate([fw_h, bw_h], axis=-1)  # not a reshape of a stack",
        "state-reshaped-not-transposed": "final = jnp.concatenate([fw_h, bw_h], axis=-1)  # not a reshape of a stack",
        "batch-time-swapped": "nn.RNN(cell, time_major=True)  # for [T, B, F]; the default is [B, T, F]",
        "flat-gather-wrong-stride": "index = jnp.arange(B) * T + lengths - 1  # time-major: (lengths - 1) * B + row",
        "wrong-layer": "carry = carries[-1]  # of the last nn.RNN: each layer returns its own",
        "layer-order-reversed": "carries = [bottom_carry, top_carry]  # one carry per layer; the bottom one reads x",
        "backward-not-flipped": "nn.RNN(cell, reverse=True, keep_order=True)  # outputs in the inputs' order",
        "backward-read-padding": "flax.linen.recurrent.flip_sequences(x, lengths, num_batch_dims=1, time_major=False)",
        **dict.fromkeys(("directions-exchanged", "direction-duplicated", "direction-missing"), _BOTH_HALVES),
        "directions-interleaved": "outputs_fw, outputs_bw = jnp.split(outputs, 2, axis=-1)",
        "output-dropout": "outputs = nn.Dropout(rate)(outputs, deterministic=not train)  # after the carry was taken",
        "output-residual": "summed = outputs + x  # beside the outputs; the carry never holds the sum",
        "outputs-aliased": "steps.append(np.array(output))  # a copy of each step, not one numpy buffer",
        "state-from-another-run": "carry, outputs = rnn.apply(params, x, seq_lengths=lengths)  # both from one call",
        "stale-initial-state": "rnn.apply(params, x, initial_carry=carry)  # save it with the dump; without one: zeros",
        "gate-order": "params['ii'], params['if'], params['ig'], params['io']  # one Dense per gate: i, f, g, o",
        "forget-bias": "params['hf']['bias'] += 1  # where the other framework adds it at run time",
        "bias-dropped": "params['hi']['bias'] = bias_ih + bias_hh  # one bias here; a GRU keeps hn's apart",
        "gru-reset-variant": (
            "n = jnp.tanh(x @ w + b + (r * h) @ u)  # in a cell of your own: nn.GRUCell resets after the product"
        ),
        "update-gate-flipped": "iz, hz = jax.tree.map(jnp.negative, (iz, hz))  # here h' = (1 - z) * n + z * h",
        "kernel-transposed": "params['ii']['kernel'] = weight_ih[:H].T  # [F, H] here, one kernel per gate",
        "recurrent-activation": "nn.LSTMCell(H, gate_fn=nn.hard_sigmoid)  # nn.sigmoid is the default",
        "clip-or-peephole-ignored": (
            "c = jnp.clip(c, -cell_clip, cell_clip)"
            "  # in a cell of your own: Flax's have no clip, peephole or projection"
        ),
        "precision-drift": "jax.config.update('jax_default_matmul_precision', 'float32')  # lower on accelerators\n"
        "nn.LSTMCell(H, dtype=jnp.float32)  # the same dtype in both runs",
        "lengths-rescaled": "lengths = (lengths + stride - 1) // stride  # after a convolution with padding='SAME'",
        "truncated-time-axis": "x = jnp.pad(x, ((0, 0), (0, T - x.shape[1]), (0, 0)))  # one T for all batches",
        "mask-hole": "outputs = jnp.where(mask[..., None], outputs, 0)  # seq_lengths cannot express holes",
    }

    def spec(self, cell: Cell, attributes: Mapping[str, Any]) -> CellSpec:
        return gates.spec(cell, attributes)

    def attributes(self, spec: CellSpec) -> dict[str, Any]:
        """Whether an MGU resets is told by its arrays."""
        return super().attributes(replace(spec, reset_after=True) if spec.cell == "mgu" else spec)

    def order(self, config: LayerConfig) -> Literal["time", "reversed", "within"]:
        alone = config.direction == "reverse" or config.go_backwards
        return "within" if alone and not config.keep_order else "time"

    def place(self, slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...]:
        """A carry without names is (c, h)."""
        return place_lists(slots, config, self.cell_first)

    def owns_weights(self, names: tuple[str, ...]) -> bool:
        return any(_is_gate("/".join(self.normalise_name(re.sub(r"\.", "/", n)).split("/")[-2:])) for n in names)

    def normalise_name(self, name: str) -> str:
        return flax_names.normalised(name)

    def scopes(self, arrays: Mapping[str, Array], config: LayerConfig) -> tuple[Scope, ...]:
        return tuple(s for s in super().scopes(arrays, config) if any(_is_gate(part) for part in s.arrays))

    def cell_of(self, scope: Scope) -> Cell | None:
        for cell, gate in (("lstm", "g"), ("gru", "r"), ("mgu", "f"), ("rnn", "")):
            if f"i{gate}/kernel" in scope.arrays or f"h{gate}/kernel" in scope.arrays:
                return cell
        kernel = scope.arrays.get("dense_h/kernel")
        if kernel is None or kernel.ndim != 2 or not kernel.shape[0] or kernel.shape[1] % kernel.shape[0]:
            return None
        return _CELLS.get(kernel.shape[1] // kernel.shape[0])

    def parts(self, scope: Scope, cell: Cell) -> Parts:
        if any(part.startswith("dense_") for part in scope.arrays):
            bias, other = ("dense_h/bias", "dense_i/bias") if cell == "lstm" else ("dense_i/bias", "dense_h/bias")
            return Parts(("dense_i/kernel", "dense_h/kernel", bias), (other,))
        letters = _letters(cell)
        kernels = [f"{side}{gate}/kernel" for side in "ih" for gate in letters]
        required = [f"{side}/bias" for side in _biased(cell)]
        if cell == "mgu":  # reset_gate=False: no bias within a reset
            return Parts((*kernels, *required[:-1]), (required[-1],))
        return Parts((*kernels, *required))

    def spec_of(self, scopes: Sequence[Scope], cell: Cell, config: LayerConfig) -> CellSpec:
        """An MGU without a bias of its own for the recurrent product does not reset."""
        spec = self.spec(cell, config.attributes)
        if cell == "mgu" and "reset_after" not in config.attributes:
            return replace(spec, reset_after="hn/bias" in scopes[0].arrays)
        return spec

    def read_layer(self, scope: Scope, spec: CellSpec, layer: int, direction: Direction) -> LayerWeights:
        if "dense_h/kernel" in scope.arrays:
            return self._joined(scope, spec.cell, layer, direction)
        letters = _letters(spec.cell)
        first = f"h{letters[0]}/kernel"
        units = scope.need(first, (None, None), "a recurrent kernel is [H, H]").shape[1]
        why = f"{units} units, as {scope.shown(first)} says"
        recurrent = np.stack([scope.need(f"h{g}/kernel", (units, units), why) for g in letters])
        features = scope.need(f"i{letters[0]}/kernel", (None, units), why).shape[0]
        kernel = np.stack([scope.need(f"i{g}/kernel", (features, units), why) for g in letters])
        sides = [side for side in _biased(spec.cell) if f"{side}/bias" in scope.arrays]
        bias = {side: scope.need(f"{side}/bias", (units,), why) for side in sides}
        none = np.zeros(units, dtype=kernel.dtype)
        side = "h" if spec.cell == "lstm" else "i"
        return LayerWeights(
            layer,
            direction,
            kernel,
            recurrent,
            np.stack([bias[f"{side}{g}"] for g in letters]),
            np.stack([*[none] * (len(letters) - 1), bias["hn"]]) if "hn" in bias else None,
        )

    def _joined(self, scope: Scope, cell: Cell, layer: int, direction: Direction) -> LayerWeights:
        """nnx: the gates side by side in one Dense for the inputs and one for the state."""
        order = "".join(cells.get(cell).gates)
        recurrent = scope.need("dense_h/kernel", (None, None), "a recurrent kernel has two axes")
        units = recurrent.shape[0]
        why = f"{len(order)} gate blocks of {units} units, as {scope.shown('dense_h/kernel')} says"
        total = len(order) * units
        scope.need("dense_h/kernel", (units, total), why)
        kernel = scope.need("dense_i/kernel", (None, total), why)
        none = np.zeros(total, dtype=kernel.dtype)
        inner = scope.need("dense_i/bias", (total,), why) if "dense_i/bias" in scope.arrays else none
        outer = scope.need("dense_h/bias", (total,), why) if "dense_h/bias" in scope.arrays else none
        return LayerWeights(
            layer,
            direction,
            gates.split_columns(kernel, order, cell, scope.path_of("dense_i/kernel")),
            gates.split_columns(recurrent, order, cell, scope.path_of("dense_h/kernel")),
            gates.split_bias(inner if cell == "gru" else inner + outer, order, cell, scope.path_of("dense_i/bias")),
            gates.split_bias(outer, order, cell, scope.path_of("dense_h/bias")) if cell == "gru" else None,
        )

    def write_weights(self, weights: Weights) -> dict[str, Array]:
        refuse(self, weights, peepholes=True, projection=True)
        cell = weights.spec.cell
        arrays: dict[str, Array] = {}
        for w in weights.layers:
            prefix = f"layers_{w.layer}/" if weights.depth > 1 else ""
            prefix += f"{WORDS[w.direction == 'backward']}_rnn/" if len(weights.directions) > 1 else ""
            bias = merge_biases(w)
            if cell in ("gru", "mgu") and weights.spec.reset_after:
                bias = np.concatenate([bias[:-1], w.bias[-1:]])  # n's second bias stays inside the reset
            side = "h" if cell == "lstm" else "i"
            for k, gate in enumerate(_letters(cell)):
                arrays[f"{prefix}cell/i{gate}/kernel"] = w.input_kernel[k]
                arrays[f"{prefix}cell/h{gate}/kernel"] = w.recurrent_kernel[k]
                arrays[f"{prefix}cell/{side}{gate}/bias"] = bias[k]
            if cell in ("gru", "mgu") and weights.spec.reset_after:
                second = np.zeros_like(w.bias) if w.recurrent_bias is None else w.recurrent_bias
                arrays[f"{prefix}cell/hn/bias"] = second[-1]
        return arrays

    def arrays_for(self, path: str, weights: Weights) -> dict[str, Array]:
        """Linen's names, or nnx's where the file is called `….nnx.…`."""
        return flax_names.for_file(path, self.write_weights(weights), weights.spec.cell)

    def dump(self, trace: Trace, config: LayerConfig, weights: Weights | None = None) -> dict[str, Array]:
        names = DumpNames(trace, config)
        scopes = weights.names if weights is not None and weights.convention == self.name else ()
        arrays: dict[str, Array] = {}
        for layer, name in enumerate(_layer_names(scopes, trace.layers)):
            prefix = f"{name}." if trace.layers > 1 else ""
            arrays |= {prefix + key: array for key, array in names.merged(layer).items()}
            for track in names.layer(layer):
                way = f".{track.direction}" if names.bidirectional else ""
                for key, h, c in (
                    ("carry", track.final, track.cell),
                    ("initial_carry", track.initial, track.initial_cell),
                ):
                    state = {
                        f"{prefix}{key}{way}.c": c,
                        f"{prefix}{key}{way}.h" if c is not None else prefix + key + way: h,
                    }
                    arrays |= {k: a for k, a in state.items() if a is not None}
        return arrays


def _is_gate(part: str) -> bool:
    return _GATE.fullmatch(part) is not None


def _letters(cell: Cell) -> tuple[str, ...]:
    return ("",) if cell == "rnn" else cells.get(cell).gates


def _biased(cell: Cell) -> tuple[str, ...]:
    """Which Dense layers have a bias."""
    return _BIASED[cell]


def _layer_names(scopes: Sequence[str], layers: int) -> list[str]:
    """The modules' own names, or those of a list of modules."""
    paths = [[part for part in re.split(r"[/.]", scope) if not _NO_LAYER.fullmatch(part)] for scope in scopes]
    module_names = list(dict.fromkeys(parts[-1] for parts in paths if parts))
    return module_names if len(module_names) == layers else [f"layers_{k}" for k in range(layers)]


CONVENTION = Flax()
