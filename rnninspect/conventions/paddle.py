"""Paddle: `paddle.nn.LSTM`, `GRU`, `SimpleRNN`, and `paddle.nn.RNN` around a cell.

The layers zero the outputs past the length; `nn.RNN(cell)` leaves what it computed there. States are `[L*D, B, H]`,
or `[B, H]` of a cell. Kernels, gate orders and names are PyTorch's, but the projection `weight_ho` is `[H, P]`
(python/paddle/nn/layer/rnn.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rnninspect.conventions.base import Facts, Gates
from rnninspect.conventions.dumps.positions import place_lists
from rnninspect.conventions.dumps.writer import DumpNames
from rnninspect.conventions.weights import gates
from rnninspect.conventions.weights.cudnn import RowConvention, RowNames
from rnninspect.conventions.weights.express import refuse
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, PaddingPolicy, Trace
from rnninspect.core.weights import Weights

_CELL = regex(r"(?P<before>.*\.)?(?P<layer>\d+)\.cell(?:_(?P<direction>fw|bw))?\.(?P<part>\w+)")


class Paddle(RowConvention):
    name = "paddle"
    variables = "…weight_ih_l0, …weight_hh_l0, …bias_ih_l0, …bias_hh_l0, or 0.cell.weight_ih"
    variable = regex(
        r"(?:.*\.)?(?P<part>(?:weight|bias)_(?:ih|hh)|weight_ho)(?:_l(?P<layer>\d+)(?P<direction>_reverse)?)?"
    )
    rows = RowNames(projection="weight_ho", projection_by_unit=True)
    borrows_names = True  # PyTorch's
    files: Mapping[str, float] = {".pdparams": 3.0}
    prints: Mapping[str, float] = {"Tensor(": 3.0}
    stacks_states = True
    also_leaves = frozenset({"computed"})  # nn.RNN around a cell
    prior = 0.05
    takes = frozenset({"activation"})
    activations: Mapping[str, tuple[str, ...]] = {"lstm": ("tanh",), "gru": ("tanh",), "rnn": ("tanh", "relu")}
    facts = Facts(
        framework="Paddle `nn.LSTM`, `nn.GRU`, `nn.SimpleRNN`",
        outputs="B T (D H); time_major: T B (D H)",
        state="(L D) B H; a cell's: B H",
        order="(h, c)",
        padding="zero; `nn.RNN(cell)`: computed",
        zero_length="initial state",
        lstm_gates=Gates(("i", "f", "g", "o")),
        gru_gates=Gates(("r", "z", "c"), "; reset after"),
        kernels="[4H, F], [4H, H]",
        biases="two",
        source="python/paddle/nn/layer/rnn.py",
    )
    names: Mapping[Role, tuple[str, ...]] = {
        "outputs": (r"outputs",),
        "h": (r"h", r"(?:final_)?states?(?P<position>(?:\.\d+)+)", r"final_states?"),
        "c": (r"c",),
        "lengths": (r"sequence_length",),
        "initial_h": (r"initial_h", r"initial_states?\.(?P<position>\d+)"),
        "initial_c": (r"initial_c",),
    }
    classes: Mapping[Cell, str] = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}
    own_names: Mapping[str, str] = {"states": "h", "cells": "c", "inputs": "x"}
    fixes: Mapping[str, str] = {
        "lengths-ignored": "outputs, (h, c) = lstm(x, sequence_length=lengths)",
        "last-column-as-final-state": (
            "outputs, (h, c) = lstm(x, sequence_length=lengths); final = h[-1]  # not outputs[:, -1]"
        ),
        "off-by-one-length": "lengths = last_index + 1  # lengths count the real steps of a row",
        "length-exceeds-time": "lengths = paddle.clip(lengths, max=x.shape[1])  # a length beyond T ends the process",
        "left-padded": "x = paddle.nn.functional.pad(row, [0, T - n, 0, 0])  # on the right",
        "lengths-misaligned": (
            "x, lengths = x[order], lengths[order]  # one order for both: return them from one collate_fn"
        ),
        "rows-permuted": (
            "back = paddle.argsort(order)  # after x[order]\n"
            "h, c = paddle.index_select(h, back, axis=1), paddle.index_select(c, back, axis=1)"
        ),
        "zero-length-row": "keep = lengths > 0  # the state of an empty row is its initial state",
        "padding-computed": "outputs *= paddle.nn.functional.sequence_mask(lengths, T, dtype='float32').unsqueeze(-1)",
        "padding-repeats-last-output": (
            "outputs *= paddle.nn.functional.sequence_mask(lengths, T, dtype='float32').unsqueeze(-1)"
        ),
        "nonfinite-values": "assert paddle.isfinite(x).all()  # padding too",
        "cell-hidden-swapped": "outputs, (h, c) = lstm(x, sequence_length=lengths)  # h comes first here",
        "cell-overwritten-by-hidden": "outputs, (h, c) = lstm(x, sequence_length=lengths)  # h comes first here",
        "backward-final-at-last-step": "final = paddle.concat([h[-2], h[-1]], axis=1)  # not outputs[:, -1]",
        "state-read-batch-first": "final = h.transpose([1, 0, 2]).reshape([B, -1])  # not h.reshape([B, -1])",
        "state-reshaped-not-transposed": "final = h.transpose([1, 0, 2]).reshape([B, -1])  # not h.reshape([B, -1])",
        "batch-time-swapped": "nn.LSTM(F, H, time_major=True)  # for [T, B, F]; the default is [B, T, F]",
        "flat-gather-wrong-stride": "index = paddle.arange(B) * T + lengths - 1  # time-major: (lengths - 1) * B + row",
        "wrong-layer": "final = h[-1]  # h[0] is the bottom layer; two directions: h[-2], h[-1]",
        "layer-order-reversed": "h.reshape([L, D, B, H])  # the bottom layer first, forward before backward",
        "backward-not-flipped": "row = outputs_bw[b, :n].flip(0)  # each row within its own length n",
        "backward-read-padding": "outputs, (h, c) = nn.LSTM(F, H, direction='bidirect')(x, sequence_length=lengths)",
        "directions-exchanged": "final = paddle.concat([h[-2], h[-1]], axis=1)  # forward first, as outputs have it",
        "direction-duplicated": "final = paddle.concat([h[-2], h[-1]], axis=1)  # forward, backward of the top layer",
        "direction-missing": "final = paddle.concat([h[-2], h[-1]], axis=1)  # forward, backward of the top layer",
        "directions-interleaved": "outputs_fw, outputs_bw = paddle.split(outputs, 2, axis=-1)",
        "output-dropout": "outputs = nn.functional.dropout(outputs, p, training=lstm.training)  # after the state",
        "output-residual": "summed = outputs + x  # beside the outputs; h never holds the sum",
        "outputs-aliased": "steps.append(h.clone())  # a copy of each step, not one buffer",
        "state-from-another-run": "outputs, (h, c) = lstm(x, sequence_length=lengths)  # both from one call",
        "stale-initial-state": (
            "outputs, (h, c) = lstm(x, sequence_length=lengths)"
            "  # without initial_states: zeros; or save those passed as initial_h, initial_c"
        ),
        "gate-order": "i, f, g, o = paddle.split(weight, 4)  # Paddle's order; a GRU's is r, z, c",
        "forget-bias": "bias_ih[H:2 * H] += 1  # where the other framework adds it at run time",
        "bias-dropped": "bias = bias_ih + bias_hh  # both count; a GRU's c parts stay apart",
        "gru-reset-variant": (
            "n = paddle.tanh(x @ w + b + (r * h) @ u)  # in a cell for nn.RNN(cell): nn.GRU resets after the product"
        ),
        "update-gate-flipped": "z = -z  # rows H:2H of both weights and biases; here h' = z * h + (1 - z) * c",
        "kernel-transposed": "weight_ih = kernel.T; weight_hh = recurrent_kernel.T  # [4H, F] and [4H, H] here",
        "recurrent-activation": (
            "gate = F.hardsigmoid(x)  # in a cell for nn.RNN(cell): the gates of nn.LSTM are sigmoid"
        ),
        "clip-or-peephole-ignored": (
            "c = paddle.clip(c, -cell_clip, cell_clip)  # in a cell for nn.RNN(cell): nn.LSTM has no clip, no peepholes"
        ),
        "precision-drift": (
            "x = x.astype('float32')  # the same dtype in both runs\n"
            "# on a GPU: NVIDIA_TF32_OVERRIDE=0 in the environment, else it rounds float32 to TF32"
        ),
        "lengths-rescaled": "lengths = (lengths + 2 * padding - kernel_size) // stride + 1  # after a convolution",
        "truncated-time-axis": "x = nn.functional.pad(x, [0, 0, 0, T - x.shape[1], 0, 0])  # one T for all batches",
        "mask-hole": "outputs *= mask.unsqueeze(-1)  # sequence_length cannot express holes",
    }
    other_axes: Mapping[str, str] = {
        "outputs[:, -1]": "outputs[-1]",
        "x.shape[1]": "x.shape[0]",
        "x[order]": "x[:, order]",
        "sequence_mask(lengths, T, dtype='float32')": "sequence_mask(lengths, T, dtype='float32').transpose([1, 0])",
        "mask.unsqueeze": "mask.transpose([1, 0]).unsqueeze",
        "outputs_bw[b, :n]": "outputs_bw[:n, b]",
        "[0, 0, 0, T - x.shape[0], 0, 0]": "[0, T - x.shape[0], 0, 0, 0, 0]",
        "paddle.arange(B) * T + lengths - 1  # time-major: (lengths - 1) * B + row": (
            "(lengths - 1) * B + paddle.arange(B)"
        ),
        "direction='bidirect')": "direction='bidirect', time_major=True)",
    }
    two_directions: Mapping[str, str] = {
        "last-column-as-final-state": (
            "outputs, (h, c) = lstm(x, sequence_length=lengths)\n"
            "final = paddle.concat([h[-2], h[-1]], axis=1)  # not outputs[:, -1]: both directions"
        ),
    }

    def spec(self, cell: Cell, attributes: Mapping[str, Any]) -> CellSpec:
        return gates.spec(cell, attributes)

    def padding_for(self, config: LayerConfig) -> PaddingPolicy:
        """A layer with a projection is run cell by cell, as `nn.RNN(cell)` is, and leaves what it computed."""
        if config.padding is None and config.attributes.get("num_proj"):
            return "computed"
        return super().padding_for(config)

    def place(self, slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...]:
        return place_lists(slots, config)

    def owns_weights(self, names: tuple[str, ...]) -> bool:
        return any(re.search(r"(^|[/.])weight_(ih|hh|ho)(_l\d+(_reverse)?)?$", name) for name in names)

    def normalise_name(self, name: str) -> str:
        """`0.cell_bw.weight_ih` is `weight_ih_l0_reverse`."""
        match = _CELL.fullmatch(name)
        if match is None:
            return name
        reverse = "_reverse" if match["direction"] == "bw" else ""
        return f"{match['before'] or ''}{match['part']}_l{match['layer']}{reverse}"

    def write_weights(self, weights: Weights) -> dict[str, Array]:
        refuse(self, weights, peepholes=True)
        return {
            f"{part}_l{w.layer}{'_reverse' if w.direction == 'backward' else ''}": array
            for w in weights.layers
            for part, array in self.write_layer(weights.spec, w)
        }

    def dump(self, trace: Trace, config: LayerConfig, weights: Weights | None = None) -> dict[str, Array]:
        names = DumpNames(trace, config)
        return names.top() | names.stacked(h="final", c="cell", initial_h="initial", initial_c="initial_cell")


CONVENTION = Paddle()
