"""Haiku: `hk.LSTM`, `hk.GRU`, `hk.VanillaRNN` and `hk.DeepRNN` under `dynamic_unroll`.

There are no lengths: every step is computed, and the state is the one after the last. The LSTM keeps one linear,
`[F + H, 4H]`, in the order i, g, f, o, and adds 1 to the forget gate at run time. The GRU resets before the product
and its z is 1 - z of the others: h' = (1 - z) h + z a, so its z block changes sign on the way in and out. `VanillaRNN`
is relu, with a bias on each side (haiku/_src/recurrent.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Direction, PaddingPolicy, Trace
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.errors import ShapeError

LSTM_ORDER = "igfo"
GRU_ORDER = "zrn"  # Haiku writes z, r, a
_LAYER = r"(?:\.(?P<direction>forward|backward))?(?:\.(?P<layer>\d+))?"
WORDS = ("forward", "backward")


class Haiku(ScopedConvention):
    name = "haiku"
    variables = "…/lstm/linear/w, …/lstm/linear/b, …/gru/w_i"
    variable = regex(r"(?:.*?/)??(?P<part>linear(?:_1)?/[wb]|w_i|w_h|b)")
    time_major = True
    of_cells = True
    padding: PaddingPolicy = "computed"
    prints: Mapping[str, float] = {"Array(": 2.0, "DeviceArray(": 2.0}
    facts = Facts(
        framework="Haiku `dynamic_unroll`",
        outputs="T B H",
        state="B H per layer; LSTMState",
        order="(hidden, cell)",
        padding="computed; no lengths",
        zero_length="no lengths",
        lstm_gates=Gates(("i", "g", "f", "o"), ", forget bias 1.0 at run time"),
        gru_gates=Gates(("z", "r", "a"), "with z = 1 - z; reset before"),
        kernels="one [F + H, 4H]",
        biases="one; VanillaRNN: two",
        source="haiku/_src/recurrent.py",
    )
    names: Mapping[Role, tuple[str, ...]] = {
        "outputs": (r"outputs",),
        "h": (rf"state{_LAYER}(?:\.hidden)?",),
        "c": (rf"state{_LAYER}\.cell",),
        "initial_h": (rf"initial_state{_LAYER}(?:\.hidden)?",),
        "initial_c": (rf"initial_state{_LAYER}\.cell",),
    }
    classes: Mapping[Cell, str] = {"lstm": "LSTM", "gru": "GRU", "rnn": "VanillaRNN"}
    nests_layers = True
    fixes_time_major = True
    other_axes: Mapping[str, str] = {
        "return_all_states=True)": "time_major=False, return_all_states=True)",
        "initial_state)": "initial_state, time_major=False)",
        "core.initial_state(B))": "core.initial_state(B), time_major=False)",
        "[lengths - 1, jnp.arange(B)]": "[jnp.arange(B), lengths - 1]",
        "x.shape[0]": "x.shape[1]",
        "inputs[:, order]": "inputs[order]",
        "(jnp.arange(T)[:, None] < lengths)": "(jnp.arange(T) < lengths[:, None])",
        "mask.T[": "mask[",
        "outputs_bw[:n, b]": "outputs_bw[b, :n]",
        "(lengths - 1 - jnp.arange(T)[:, None]) % T; x_bw = x[steps, jnp.arange(B)]": (
            "(lengths[:, None] - 1 - jnp.arange(T)) % T; x_bw = x[jnp.arange(B)[:, None], steps]"
        ),
        "jnp.pad(x, ((0, T - x.shape[1]), (0, 0), (0, 0)))": "jnp.pad(x, ((0, 0), (0, T - x.shape[1]), (0, 0)))",
        "(lengths - 1) * B + jnp.arange(B)  # into outputs reshaped to [T * B, H]": "jnp.arange(B) * T + lengths - 1",
    }
    two_directions: Mapping[str, str] = {
        "lengths-ignored": (
            "_, states_bw = hk.dynamic_unroll(core_bw, x_bw, state_bw, return_all_states=True)"
            "  # x_bw: x reversed within lengths\n"
            "final = jnp.concatenate([s.hidden[lengths - 1, jnp.arange(B)] for s in (states_fw, states_bw)], axis=-1)"
        ),
        "last-column-as-final-state": (
            "final = jnp.concatenate([s.hidden[lengths - 1, jnp.arange(B)] for s in (states_fw, states_bw)], axis=-1)"
            "  # each in the order it read"
        ),
        "wrong-layer": "final = jnp.concatenate([state_fw[-1].hidden, state_bw[-1].hidden], axis=-1)  # DeepRNN",
    }
    fixes: Mapping[str, str] = {
        "lengths-ignored": (
            "outputs, states = hk.dynamic_unroll(core, x, state, return_all_states=True)\n"
            "final = states.hidden[lengths - 1, jnp.arange(B)]"
        ),
        "last-column-as-final-state": (
            "final = states.hidden[lengths - 1, jnp.arange(B)]  # with return_all_states=True"
        ),
        "off-by-one-length": "lengths = last_index + 1  # lengths count the real steps of a row",
        "length-exceeds-time": "lengths = jnp.minimum(lengths, x.shape[0])",
        "left-padded": "x = jnp.pad(row, ((0, T - n), (0, 0)))  # pad on the right",
        "lengths-misaligned": (
            "inputs, lengths = inputs[:, order], lengths[order]  # one order for both: batch and shuffle them together"
        ),
        "rows-permuted": "state = jax.tree.map(lambda a: a[jnp.argsort(order)], state)  # after x[:, order]",
        "zero-length-row": "keep = lengths > 0  # index -1 wraps to step T-1",
        "padding-computed": "outputs = jnp.where((jnp.arange(T)[:, None] < lengths)[..., None], outputs, 0)",
        "padding-repeats-last-output": "outputs = jnp.where((jnp.arange(T)[:, None] < lengths)[..., None], outputs, 0)",
        "nonfinite-values": "jax.config.update('jax_debug_nans', True)  # padding is computed too",
        "cell-hidden-swapped": "h, c = state.hidden, state.cell  # LSTMState(hidden, cell)",
        "cell-overwritten-by-hidden": "h, c = state.hidden, state.cell  # LSTMState(hidden, cell)",
        "backward-final-at-last-step": "final = jnp.concatenate([state_fw.hidden, state_bw.hidden], axis=-1)",
        "state-read-batch-first": (
            "final = jnp.concatenate([s.hidden for s in state], axis=-1)  # not a reshape of a stack"
        ),
        "state-reshaped-not-transposed": (
            "final = jnp.concatenate([s.hidden for s in state], axis=-1)  # not a reshape of a stack"
        ),
        "batch-time-swapped": "outputs, state = hk.dynamic_unroll(core, x, state, time_major=False)  # for [B, T, F]",
        "flat-gather-wrong-stride": "index = (lengths - 1) * B + jnp.arange(B)  # into outputs reshaped to [T * B, H]",
        "wrong-layer": "final = state[-1].hidden  # DeepRNN: one state per core, the bottom first",
        "layer-order-reversed": "bottom, top = state[0], state[-1]  # DeepRNN: the bottom core first",
        "backward-not-flipped": "row = outputs_bw[:n, b][::-1]  # each row within its own length n",
        "backward-read-padding": "steps = (lengths - 1 - jnp.arange(T)[:, None]) % T; x_bw = x[steps, jnp.arange(B)]",
        "directions-exchanged": "final = jnp.concatenate([state_fw.hidden, state_bw.hidden], axis=-1)",
        "direction-duplicated": "final = jnp.concatenate([state_fw.hidden, state_bw.hidden], axis=-1)",
        "direction-missing": "final = jnp.concatenate([state_fw.hidden, state_bw.hidden], axis=-1)",
        "directions-interleaved": "outputs_fw, outputs_bw = jnp.split(outputs, 2, axis=-1)",
        "output-dropout": "outputs = hk.dropout(key, rate, outputs)  # after the state was taken",
        "output-residual": "summed = outputs + x  # beside the outputs; the state never holds the sum",
        "outputs-aliased": "steps.append(np.array(output))  # a copy of each step, not one numpy buffer",
        "state-from-another-run": "outputs, state = hk.dynamic_unroll(core, x, initial_state)  # both from one call",
        "stale-initial-state": (
            "outputs, state = hk.dynamic_unroll(core, x, core.initial_state(B))"
            "  # zeros; or save the one used with the dump"
        ),
        "gate-order": "i, g, f, o = jnp.split(w, 4, axis=1)  # Haiku's order; a GRU's is z, r, a",
        "forget-bias": "b = b.at[2 * H:3 * H].add(-1)  # Haiku adds 1 at run time: take it from baked-in biases",
        "bias-dropped": "b = bias_ih + bias_hh  # one bias here: the sum of the two",
        "gru-reset-variant": (
            "n = jnp.tanh(x @ w + b + r * (h @ u + b_h))  # in a core of your own: hk.GRU resets before the product"
        ),
        "update-gate-flipped": "z = -z  # the first block of w_i, w_h and b; here h' = (1 - z) * h + z * a",
        "kernel-transposed": "w = jnp.concatenate([w_ih.T, w_hh.T])  # [F + H, 4H]: the inputs' rows come first",
        "recurrent-activation": (
            "gate = jax.nn.hard_sigmoid(x)  # in a core of your own: the gates of hk.LSTM are sigmoid"
        ),
        "clip-or-peephole-ignored": (
            "c = jnp.clip(c, -cell_clip, cell_clip)"
            "  # in a core of your own: hk.LSTM has no clip, peephole or projection"
        ),
        "precision-drift": (
            "x = x.astype(jnp.float32)  # the same dtype in both runs\n"
            "jax.config.update('jax_default_matmul_precision', 'float32')  # accelerators round products by default"
        ),
        "lengths-rescaled": "lengths = (lengths + stride - 1) // stride  # after a convolution with padding='SAME'",
        "truncated-time-axis": "x = jnp.pad(x, ((0, T - x.shape[0]), (0, 0), (0, 0)))  # one T for all batches",
        "mask-hole": "outputs = jnp.where(mask.T[..., None], outputs, 0)",
    }

    def spec(self, cell: Cell, attributes: Mapping[str, Any]) -> CellSpec:
        return gates.spec(
            cell, attributes, forget_bias=1.0, reset_after=False, activation="relu" if cell == "rnn" else "tanh"
        )

    def place(self, slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...]:
        """`state.0` and `state.1` of one LSTM are a tuple without names, (hidden, cell)."""
        return place_lists(unnamed_pair(slots, config), config)

    def owns_weights(self, names: tuple[str, ...]) -> bool:
        matching = [n for n in names if re.search(r"(lstm|rnn)\w*[/.]linear[/.]w$|(^|[/.])w_[ih]$", n)]
        # Its GRU's one bias is called b: w_i and w_h beside other biases are somebody's own names.
        biases = {re.split(r"[/.]", n)[-1] for n in names if re.search(r"(^|[/.])b\w*$", n)}
        return bool(matching) and not any(n.endswith("kernel") for n in names) and biases <= {"b"}

    def scopes(self, arrays: Mapping[str, Array], config: LayerConfig) -> tuple[Scope, ...]:
        """Cores alone, where some module is called one: a model has linears of its own too."""
        with_kernels = [s for s in super().scopes(arrays, config) if {"linear/w", "w_i", "w_h"} & set(s.arrays)]
        cores = [s for s in with_kernels if re.search(r"(lstm|gru|rnn|core)\w*$", s.name) or "w_i" in s.arrays]
        return tuple(cores or with_kernels)

    def cell_of(self, scope: Scope) -> Cell | None:
        if {"w_i", "w_h"} & set(scope.arrays):
            return "gru"
        return "rnn" if {"linear_1/w", "linear_1/b"} & set(scope.arrays) else "lstm"

    def parts(self, scope: Scope, cell: Cell) -> Parts:
        return {
            "lstm": Parts(("linear/w", "linear/b")),
            "gru": Parts(("w_i", "w_h", "b")),
            "rnn": Parts(("linear/w", "linear/b", "linear_1/w"), ("linear_1/b",)),  # double_bias=False
        }[cell]

    def read_layer(self, scope: Scope, spec: CellSpec, layer: int, direction: Direction) -> LayerWeights:
        if spec.cell == "rnn":
            return self._vanilla(scope, layer, direction)
        if spec.cell == "gru":
            recurrent = scope.need("w_h", (None, None), "a recurrent kernel has two axes")
            why = blocks("zra", recurrent.shape[0], scope.shown("w_h"))
            total = 3 * recurrent.shape[0]
            scope.need("w_h", (recurrent.shape[0], total), why)
            arrays = (scope.need("w_i", (None, total), why), recurrent, scope.need("b", (total,), why))
            kernel, recurrent, bias = (_gru(a, scope.name) for a in (arrays[0], arrays[1], arrays[2][None]))
            return LayerWeights(layer, direction, kernel, recurrent, bias[:, 0])
        bias = gates.split_bias(scope.arrays["linear/b"], LSTM_ORDER, "lstm", scope.path_of("linear/b"))
        why = blocks(LSTM_ORDER, bias.shape[1], scope.shown("linear/b"))
        both = scope.need("linear/w", (None, bias.size), why)
        features = both.shape[0] - bias.shape[1]
        if features <= 0:
            raise ShapeError(f"{scope.shown('linear/w')} has no rows left for the features, with {why}")
        kernel = gates.split_columns(both, LSTM_ORDER, "lstm", scope.path_of("linear/w"))
        return LayerWeights(layer, direction, kernel[:, :features], kernel[:, features:], bias)

    def _vanilla(self, scope: Scope, layer: int, direction: Direction) -> LayerWeights:
        bias = scope.need("linear/b", (None,), "a bias has one axis")
        why = blocks("", bias.size, scope.shown("linear/b"))
        kernel = scope.need("linear/w", (None, bias.size), why)
        recurrent = scope.need("linear_1/w", (bias.size, bias.size), why)
        second = scope.need("linear_1/b", (bias.size,), why) if "linear_1/b" in scope.arrays else np.zeros_like(bias)
        return LayerWeights(layer, direction, kernel[None], recurrent[None], bias[None], second[None])

    def write_weights(self, weights: Weights) -> dict[str, Array]:
        refuse(self, weights, peepholes=True, projection=True)
        cell = weights.spec.cell
        arrays: dict[str, Array] = {}
        for w in weights.layers:
            word = f"{WORDS[w.direction == 'backward']}_" if len(weights.directions) > 1 else ""
            scope = f"{word}{'vanilla_rnn' if cell == 'rnn' else cell}" + (f"_{w.layer}" if w.layer else "")
            if cell == "rnn":
                second = np.zeros_like(w.bias) if w.recurrent_bias is None else w.recurrent_bias
                parts = {
                    "linear/w": w.input_kernel[0],
                    "linear/b": w.bias[0],
                    "linear_1/w": w.recurrent_kernel[0],
                    "linear_1/b": second[0],
                }
            elif cell == "gru":
                parts = {
                    "w_i": gates.join_columns(_flip_z(w.input_kernel), GRU_ORDER, "gru"),
                    "w_h": gates.join_columns(_flip_z(w.recurrent_kernel), GRU_ORDER, "gru"),
                    "b": gates.join_bias(_flip_z(merge_biases(w)), GRU_ORDER, "gru"),
                }
            else:
                both = np.concatenate([w.input_kernel, w.recurrent_kernel], 1)
                parts = {
                    "linear/w": gates.join_columns(both, LSTM_ORDER, "lstm"),
                    "linear/b": gates.join_bias(merge_biases(w), LSTM_ORDER, "lstm"),
                }
            arrays |= {f"{scope}/{part}": array for part, array in parts.items()}
        return arrays

    def dump(self, trace: Trace, config: LayerConfig, weights: Weights | None = None) -> dict[str, Array]:
        names = DumpNames(trace, config)
        arrays = names.top()
        for track in trace.tracks:
            for name, h, c in (
                ("state", track.final, track.cell),
                ("initial_state", track.initial, track.initial_cell),
            ):
                key = names.name(track, name, WORDS)
                state = {f"{key}.hidden" if c is not None else key: h, f"{key}.cell": c}
                arrays |= {k: a for k, a in state.items() if a is not None}
        return arrays


def _gru(kernel: Array, name: str) -> Array:
    """`[F, 3H]` in Haiku's order -> `[G, F, H]`, canonical, z turned round."""
    return _flip_z(gates.split_columns(kernel, GRU_ORDER, "gru", name))


def _flip_z(gru: Array) -> Array:
    """sigmoid(-x) = 1 - sigmoid(x): Haiku's z and everybody else's are one another's rest."""
    flipped = np.array(gru)
    flipped[1] = -flipped[1]
    return flipped


CONVENTION = Haiku()
