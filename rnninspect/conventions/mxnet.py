"""MXNet: Gluon's fused `rnn.LSTM`, `rnn.GRU`, `rnn.RNN`, and cells with `unroll(valid_length=…)`.

The fused layers keep `[L*D, B, H]` states; on CPU they accept `valid_length` and ignore it. Cells zero the outputs past
the length; `BidirectionalCell` returns its states in one list, [fw h, fw c, bw h, bw c]. Kernels are stacked in rows,
i, f, g, o or r, z, n, with two biases (python/mxnet/gluon/rnn/rnn_cell.py, rnn_layer.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rnninspect.conventions.base import Facts, Gates
from rnninspect.conventions.dumps.positions import place_lists
from rnninspect.conventions.dumps.writer import DumpNames
from rnninspect.conventions.weights import gates
from rnninspect.conventions.weights.cudnn import RowConvention, RowNames
from rnninspect.conventions.weights.express import refuse
from rnninspect.conventions.weights.scopes import Scope
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Trace
from rnninspect.core.weights import Weights

_FUSED = regex(r"(?:.*[_.])?[lr]\d+")


class MXNet(RowConvention):
    name = "mxnet"
    variables = "…i2h_weight, …h2h_weight, …i2h_bias, …h2h_bias"
    variable = regex(
        r"(?:.*?[_.])??(?:(?P<direction>[lr])(?P<layer>\d+)?_)?(?P<part>[ih]2h_(?:weight|bias)|h2r_weight)"
    )
    rows = RowNames("i2h_weight", "h2h_weight", "i2h_bias", "h2h_bias", "h2r_weight")
    biases_may_lack = False
    files: Mapping[str, float] = {".params": 3.0}
    prints: Mapping[str, float] = {"<NDArray": 3.0}
    time_major = True
    stacks_states = True
    takes = frozenset({"activation", "recurrent_activation"})
    facts = Facts(
        framework="MXNet Gluon `rnn.LSTM`, cells with `unroll`",
        outputs="T B (D H); layout NTC: B T (D H)",
        state="(L D) B H; a cell's: B H",
        order="[h, c]; BidirectionalCell: fw h, fw c, bw h, bw c",
        padding="zero (cells); fused on CPU: lengths ignored",
        zero_length="uninitialised memory",
        lstm_gates=Gates(("i", "f", "g", "o")),
        gru_gates=Gates(("r", "z", "n"), "; reset after"),
        kernels="[4H, F], [4H, H]",
        biases="two",
        source="python/mxnet/gluon/rnn/rnn_cell.py, rnn_layer.py",
    )
    names: Mapping[Role, tuple[str, ...]] = {
        "outputs": (r"outputs",),
        "h": (r"h", r"states?\.(?P<position>\d+)"),
        "c": (r"c",),
        "initial_h": (r"initial_h", r"(?:begin|initial)_states?\.(?P<position>\d+)"),
        "initial_c": (r"initial_c",),
        "lengths": (r"valid_length", r"lengths"),
    }
    other_axes: Mapping[str, str] = {
        "layout='NTC'": "layout='TNC'",
        "use_sequence_length=True, axis=1": "use_sequence_length=True, axis=0",
        "SequenceReverse(outputs_bw.swapaxes(0, 1)": "SequenceReverse(outputs_bw",
        "SequenceReverse(x.swapaxes(0, 1)": "SequenceReverse(x",
        "use_sequence_length=True).swapaxes(0, 1)": "use_sequence_length=True)",
        "mask.expand_dims": "mask.T.expand_dims",
        "inputs[order]": "inputs[:, order]",
        "mx.nd.arange(B) * T + lengths - 1  # TNC: (lengths - 1) * B + row": "(lengths - 1) * B + mx.nd.arange(B)",
    }
    two_directions: Mapping[str, str] = {
        "last-column-as-final-state": (
            "outputs, states = cell.unroll(T, x, layout='NTC', merge_outputs=True, valid_length=lengths)\n"
            "fw_h, fw_c, bw_h, bw_c = states[-4:]; final = mx.nd.concat(fw_h, bw_h, dim=1)"
        ),
        "cell-hidden-swapped": "fw_h, fw_c, bw_h, bw_c = states[-4:]  # of the top layer; h comes first here",
        "cell-overwritten-by-hidden": "fw_h, fw_c, bw_h, bw_c = states[-4:]  # of the top layer; h comes first here",
    }
    own_names: Mapping[str, str] = {"states": "h", "cells": "c"}
    fixes: Mapping[str, str] = {
        "lengths-ignored": (
            "outputs, states = cell.unroll(T, x, layout='NTC', merge_outputs=True, valid_length=lengths)"
        ),
        "last-column-as-final-state": (
            "outputs, states = cell.unroll(T, x, layout='NTC', merge_outputs=True, valid_length=lengths)\n"
            "final = states[-2]  # the top layer's h, before its c"
        ),
        "off-by-one-length": "lengths = last_index + 1  # lengths count the real steps of a row",
        "length-exceeds-time": "lengths = mx.nd.minimum(lengths, T)",
        "left-padded": "batchify = gluonnlp.data.batchify.Pad(axis=0, pad_val=0)  # pads on the right",
        "lengths-misaligned": (
            "inputs, lengths = inputs[order], lengths[order]  # one order for both: return them from one batchify_fn"
        ),
        "rows-permuted": (
            "back = mx.nd.argsort(order)  # after taking rows in `order`\n"
            "h, c = mx.nd.take(h, back, axis=1), mx.nd.take(c, back, axis=1)"
        ),
        "zero-length-row": "keep = lengths > 0  # the state of an empty row is uninitialised memory here",
        "padding-computed": "outputs = mx.nd.SequenceMask(outputs, lengths, use_sequence_length=True, axis=1)",
        "padding-repeats-last-output": (
            "outputs = mx.nd.SequenceMask(outputs, lengths, use_sequence_length=True, axis=1)"
        ),
        "nonfinite-values": "assert np.isfinite(x.asnumpy()).all()  # padding too",
        "cell-hidden-swapped": "h, c = states[-2:]  # of the top layer; h comes first here",
        "cell-overwritten-by-hidden": "h, c = states[-2:]  # of the top layer; h comes first here",
        "backward-final-at-last-step": "fw_h, fw_c, bw_h, bw_c = states[-4:]; final = mx.nd.concat(fw_h, bw_h, dim=1)",
        "state-read-batch-first": "final = h.transpose((1, 0, 2)).reshape((B, -1))  # not h.reshape((B, -1))",
        "state-reshaped-not-transposed": "final = h.transpose((1, 0, 2)).reshape((B, -1))  # not h.reshape((B, -1))",
        "batch-time-swapped": "rnn.LSTM(H, layout='NTC')  # for [B, T, F]; the default TNC reads [T, B, F]",
        "flat-gather-wrong-stride": "index = mx.nd.arange(B) * T + lengths - 1  # TNC: (lengths - 1) * B + row",
        "wrong-layer": "final = h[-1]  # h[0] is the bottom layer; two directions: h[-2], h[-1]",
        "layer-order-reversed": "h.reshape((L, D, B, H))  # the bottom layer first, forward before backward",
        "backward-not-flipped": (
            "outputs_bw = mx.nd.SequenceReverse(outputs_bw.swapaxes(0, 1), lengths, use_sequence_length=True)"
            ".swapaxes(0, 1)"
        ),
        "backward-read-padding": (
            "x_bw = mx.nd.SequenceReverse(x.swapaxes(0, 1), lengths, use_sequence_length=True).swapaxes(0, 1)"
        ),
        "directions-exchanged": "fw_h, fw_c, bw_h, bw_c = states[-4:]; final = mx.nd.concat(fw_h, bw_h, dim=1)",
        "direction-duplicated": "final = mx.nd.concat(h[-2], h[-1], dim=1)  # forward, backward of the top layer",
        "direction-missing": "final = mx.nd.concat(h[-2], h[-1], dim=1)  # forward, backward of the top layer",
        "directions-interleaved": "outputs_fw, outputs_bw = mx.nd.split(outputs, num_outputs=2, axis=2)",
        "output-dropout": "outputs = gluon.nn.Dropout(rate)(outputs)  # after the state; it drops only in training",
        "output-residual": "summed = outputs + x  # beside the outputs; rnn.ResidualCell changes only the outputs",
        "outputs-aliased": "steps.append(output.copy())  # a copy of each step, not one buffer",
        "state-from-another-run": (
            "outputs, states = cell.unroll(T, x, layout='NTC', merge_outputs=True, valid_length=lengths)"
            "  # both from one call"
        ),
        "stale-initial-state": (
            "outputs, states = cell.unroll(T, x, cell.begin_state(batch_size=B), layout='NTC', merge_outputs=True,"
            " valid_length=lengths)"
        ),
        "gate-order": "i, f, g, o = mx.nd.split(weight, 4, axis=0)  # MXNet's order; a GRU's is r, z, n",
        "forget-bias": "i2h_bias[H:2 * H] += 1  # where the other framework adds it at run time",
        "bias-dropped": "bias = i2h_bias + h2h_bias  # both count; a GRU's n parts stay apart",
        "gru-reset-variant": (
            "n = nd.tanh(nd.dot(x, w) + b + nd.dot(r * h, u))"
            "  # in a HybridRecurrentCell: rnn.GRU resets after the product"
        ),
        "update-gate-flipped": "z = -z  # rows H:2H of both weights and biases; here h' = (1 - z) * n + z * h",
        "kernel-transposed": "i2h_weight = kernel.T; h2h_weight = recurrent_kernel.T  # [4H, F] and [4H, H] here",
        "recurrent-activation": "rnn.LSTMCell(H, recurrent_activation='sigmoid')  # as in the other framework",
        "clip-or-peephole-ignored": "rnn.LSTM(H, projection_size=P, state_clip_min=-3, state_clip_max=3)",
        "precision-drift": (
            "x = x.astype('float32'); net.cast('float32')  # the same dtype in both runs\n"
            "# on a GPU: NVIDIA_TF32_OVERRIDE=0 in the environment, else it rounds float32 to TF32"
        ),
        "lengths-rescaled": "lengths = (lengths + 2 * pad - kernel) // stride + 1  # after a convolution",
        "truncated-time-axis": (
            "outputs, states = cell.unroll(T, x, layout='NTC', merge_outputs=True, valid_length=lengths)"
            "  # T of the padded batch"
        ),
        "mask-hole": "outputs = outputs * mask.expand_dims(2)  # valid_length cannot express holes",
    }

    def spec(self, cell: Cell, attributes: Mapping[str, Any]) -> CellSpec:
        """Gluon's fused `rnn.RNN` is relu where nothing is stated; `spec_of` knows the cells, which are tanh."""
        return gates.spec(cell, attributes, **({"activation": "relu"} if cell == "rnn" else {}))

    def spec_of(self, scopes: Sequence[Scope], cell: Cell, config: LayerConfig) -> CellSpec:
        if cell == "rnn" and not any(_FUSED.fullmatch(scope.name) for scope in scopes):
            return self.spec(cell, {"activation": "tanh", **config.attributes})
        return self.spec(cell, config.attributes)

    def module_of(self, scope: Scope) -> str | None:
        """`lstm0_l0` and `lstm0_l1` are layers of `lstm0`."""
        return re.sub(r"[_.]?[lr]\d+$", "", scope.name) if _FUSED.fullmatch(scope.name) else None

    def place(self, slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...]:
        """A list of states is [h, c], or [fw h, fw c, bw h, bw c]; a GRU's is [h], or [fw h, bw h]."""
        return place_lists(slots, config)

    def owns_weights(self, names: tuple[str, ...]) -> bool:
        return any(re.search(r"(^|[_./])[ih]2h_(weight|bias)$", name) for name in names)

    def write_weights(self, weights: Weights) -> dict[str, Array]:
        refuse(self, weights, peepholes=True)
        return {
            f"{weights.spec.cell}0_{'r' if w.direction == 'backward' else 'l'}{w.layer}_{part}": array
            for w in weights.layers
            for part, array in self.write_layer(weights.spec, w)
        }

    def dump(self, trace: Trace, config: LayerConfig, weights: Weights | None = None) -> dict[str, Array]:
        names = DumpNames(trace, config)
        scopes = weights.names if weights is not None and weights.convention == self.name else ()
        if not scopes or all(_FUSED.fullmatch(scope) for scope in scopes):
            stacked = names.stacked(h="final", c="cell", initial_h="initial", initial_c="initial_cell")
            return names.top() | stacked
        arrays = names.top()
        several = len(trace.tracks) > 1
        for prefix, single, fields in (
            ("states", ("h", "c"), ("final", "cell")),
            ("begin_state", ("initial_h", "initial_c"), ("initial", "initial_cell")),
        ):
            listed = [(k, getattr(t, f)) for t in trace.tracks for k, f in zip(single, fields, strict=True)]
            held = [(k, a) for k, a in listed if a is not None]
            arrays |= {f"{prefix}.{i}" if several else k: a for i, (k, a) in enumerate(held)}
        return arrays


CONVENTION = MXNet()
