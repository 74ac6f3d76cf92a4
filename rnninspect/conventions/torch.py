"""PyTorch: `nn.LSTM`, `nn.GRU`, `nn.RNN`, their cells, and packed sequences.

Packed outputs come back as zeros past the length (`pad_packed_sequence`), the state is the one at the last real step,
in the rows' original order; `h_n` and `c_n` are `[L*D, B, H]` whatever `batch_first` says. Kernels are stacked in rows,
i, f, g, o or r, z, n, with two biases (torch/nn/modules/rnn.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rnninspect.conventions.base import Facts, Gates
from rnninspect.conventions.dumps.unpacking import unpack
from rnninspect.conventions.dumps.writer import DumpNames
from rnninspect.conventions.weights import gates
from rnninspect.conventions.weights.cudnn import RowConvention
from rnninspect.conventions.weights.express import refuse
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.evidence import Role
from rnninspect.core.feed import NO_FEEDS, Feed
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Trace
from rnninspect.core.weights import Weights
from rnninspect.errors import ShapeError

_PACK = "packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)"
_RUN_PACKED = (
    "output, (h_n, c_n) = lstm(packed)"
    "; output, _ = pad_packed_sequence(output, batch_first=True, total_length=x.size(1))"
)


class Torch(RowConvention):
    name = "torch"
    variables = "…weight_ih_l0, …weight_hh_l0, …bias_ih_l0, …bias_hh_l0"
    variable = regex(
        r"(?:.*\.)?(?P<part>(?:weight|bias)_(?:ih|hh)|weight_hr)(?:_l(?P<layer>\d+)(?P<direction>_reverse)?)?"
    )
    files: Mapping[str, float] = {".pt": 3.0, ".pth": 3.0, ".ckpt": 1.0, ".safetensors": 0.5, ".bin": 1.0}
    prints: Mapping[str, float] = {"tensor(": 3.0, "grad_fn=": 3.0, "Variable containing:": 3.0}
    time_major = True
    stacks_states = True
    prior = 0.3
    takes = frozenset({"activation"})
    also_leaves = frozenset({"computed"})  # of a sequence that was not packed
    activations: Mapping[str, tuple[str, ...]] = {"lstm": ("tanh",), "gru": ("tanh",), "rnn": ("tanh", "relu")}
    facts = Facts(
        framework="PyTorch `nn.LSTM`, `nn.GRU`, `nn.RNN`, packed",
        outputs="T B (D H); batch_first: B T (D H)",
        state="(L D) B H",
        order="(h, c)",
        padding="zero (pad_packed_sequence); unpacked: computed",
        zero_length="refused",
        lstm_gates=Gates(("i", "f", "g", "o")),
        gru_gates=Gates(("r", "z", "n"), "; reset after"),
        kernels="[4H, F], [4H, H]",
        biases="two",
        source="torch/nn/modules/rnn.py, torch/nn/utils/rnn.py",
    )
    names: Mapping[Role, tuple[str, ...]] = {
        "outputs": (r"output", r"0"),
        "h": (r"h_?n", r"1(?:\.0)?"),
        "c": (r"c_?n", r"1\.1"),
        "initial_h": (r"h_?0",),
        "initial_c": (r"c_?0",),
    }
    fixes: Mapping[str, str] = {
        "lengths-ignored": f"{_PACK}\n{_RUN_PACKED}",
        "last-column-as-final-state": (
            f"{_PACK}  # pad_packed_sequence unpacks output\n"
            "output, (h_n, c_n) = lstm(packed); final = h_n[-1]  # not output[:, -1]"
        ),
        "off-by-one-length": "lengths = last_index + 1  # lengths count the real steps of a row",
        "length-exceeds-time": "lengths = lengths.clamp(max=x.size(1))",
        "left-padded": "x = pad_sequence(rows, batch_first=True)  # padding_side='right', the default",
        "lengths-misaligned": (
            "x, lengths = x[order], lengths[order]  # one order for both: return them from one collate_fn"
        ),
        "rows-permuted": (
            "back = torch.argsort(order)\n"
            "h_n, c_n = h_n[:, back], c_n[:, back]  # or enforce_sorted=False, which restores the order"
        ),
        "zero-length-row": "keep = lengths > 0  # pack_padded_sequence refuses a length of 0",
        "padding-computed": "output = output * (torch.arange(T) < lengths[:, None]).unsqueeze(-1)",
        "padding-repeats-last-output": "output = output * (torch.arange(T) < lengths[:, None]).unsqueeze(-1)",
        "nonfinite-values": "assert torch.isfinite(x).all()  # padding too, unless the sequence is packed",
        "cell-hidden-swapped": "output, (h_n, c_n) = lstm(x)  # h comes first here",
        "cell-overwritten-by-hidden": "output, (h_n, c_n) = lstm(x)  # h comes first here",
        "backward-final-at-last-step": "final = torch.cat([h_n[-2], h_n[-1]], dim=1)  # not output[:, -1]",
        "state-read-batch-first": "final = h_n.transpose(0, 1).reshape(B, -1)  # not h_n.view(B, -1)",
        "state-reshaped-not-transposed": "final = h_n.transpose(0, 1).reshape(B, -1)  # not h_n.view(B, -1)",
        "batch-time-swapped": "nn.LSTM(F, H, batch_first=True)  # for [B, T, F]; the default reads [T, B, F]",
        "flat-gather-wrong-stride": "index = torch.arange(B) * T + lengths - 1  # time-major: (lengths - 1) * B + row",
        "wrong-layer": "final = h_n[-1]  # h_n[0] is the bottom layer; two directions: h_n[-2], h_n[-1]",
        "layer-order-reversed": "h_n.view(L, D, B, H)  # the bottom layer first, forward before backward",
        "backward-not-flipped": "row = output_bw[b, :n].flip(0)  # each row within its own length n",
        "backward-read-padding": f"{_PACK}  # no padding is read\n{_RUN_PACKED}",
        "directions-exchanged": "final = torch.cat([h_n[-2], h_n[-1]], dim=1)  # forward first, as output has it",
        "direction-duplicated": "final = torch.cat([h_n[-2], h_n[-1]], dim=1)  # forward, backward of the top layer",
        "direction-missing": "final = torch.cat([h_n[-2], h_n[-1]], dim=1)  # forward, backward of the top layer",
        "directions-interleaved": "output_fw, output_bw = output.view(B, T, 2, H).unbind(2)  # forward comes first",
        "output-dropout": "output = F.dropout(output, p, self.training)  # after the state; model.eval() to check",
        "output-residual": "summed = output + x  # beside the outputs; h_n never holds the sum",
        "outputs-aliased": "steps.append(h.clone())  # a copy of each step, not one buffer",
        "state-from-another-run": "output, (h_n, c_n) = lstm(x)  # both from one call, whether x is packed or not",
        "stale-initial-state": (
            "output, state = lstm(x)  # without a state: zeros; or save the state passed as h_0 and c_0"
        ),
        "gate-order": "i, f, g, o = weight.chunk(4)  # PyTorch's order; a GRU's is r, z, n",
        "forget-bias": "lstm.bias_ih_l0.data[H:2 * H] += 1  # where the other framework adds it at run time",
        "bias-dropped": "bias = bias_ih + bias_hh  # both count; a GRU's n parts stay apart",
        "gru-reset-variant": (
            "n = torch.tanh(x @ w + b + (r * h) @ u)  # in a cell of your own: nn.GRU resets after the product"
        ),
        "update-gate-flipped": "z = -z  # rows H:2H of both weights and biases; here h' = (1 - z) * n + z * h",
        "kernel-transposed": "weight_ih = kernel.T; weight_hh = recurrent_kernel.T  # [4H, F] and [4H, H] here",
        "recurrent-activation": "gate = F.hardsigmoid(x)  # in a cell of your own: the gates of nn.LSTM are sigmoid",
        "clip-or-peephole-ignored": (
            "c = c.clamp(-cell_clip, cell_clip)  # in a cell of your own: nn.LSTM has no clip and no peepholes"
        ),
        "precision-drift": (
            "x, lstm = x.float(), lstm.float()  # the same dtype in both runs, and no autocast\n"
            "torch.backends.cudnn.allow_tf32 = False  # on a GPU it rounds float32 to TF32 by default"
        ),
        "lengths-rescaled": "lengths = (lengths + 2 * padding - kernel_size) // stride + 1  # after a convolution",
        "truncated-time-axis": "output, _ = pad_packed_sequence(packed, batch_first=True, total_length=T)",
        "mask-hole": "output = output * mask.unsqueeze(-1)  # lengths cannot express holes",
        "mask-inverted": (
            "lengths = (~key_padding_mask).sum(1)  # true at padding, and pack_padded_sequence counts real steps"
        ),
        "lengths-from-zeros": (
            "lengths = torch.tensor([len(row) for row in rows])  # before padding, not from non-zeros"
        ),
    }

    own_names: Mapping[str, str] = {
        "outputs": "output",
        "outputs_fw": "output_fw",
        "outputs_bw": "output_bw",
        "inputs": "x",
        "states": "h_n",
        "cells": "c_n",
    }
    own_calls: Mapping[str, str] = {
        'np.argsort(-lengths, kind="stable")': "torch.argsort(-lengths, stable=True)",
        "order = [": "order = torch.tensor([",
        "]  # the rows that": "])  # the rows that",
        "np.split(outputs, 2, axis=-1)": "outputs.chunk(2, dim=-1)",
        "np.split(h, 2, axis=-1)": "h.chunk(2, dim=-1)",
        "np.maximum(lengths, 1)": "lengths.clamp(min=1)",
        "np.maximum(mask.sum(1), 1)": "mask.sum(1).clamp(min=1)",
        "np.array([": "torch.tensor([",
        "np.isfinite(": "torch.isfinite(",
        "np.inf).m": "torch.inf).am",
        "np.argsort(": "torch.argsort(",
        "np.arange(": "torch.arange(",
        "np.where(": "torch.where(",
        "np.concatenate(": "torch.cat(",
        ", axis=": ", dim=",
        ".transpose(0, 2": ".permute(0, 2",
        ".transpose(1, 0, 2": ".permute(1, 0, 2",
        ".transpose(1, 2": ".permute(1, 2",
        ".transpose(2, 0": ".permute(2, 0",
        "mask.argmax(1)": "mask.int().argmax(1)",
        "mask[:, ::-1].argmax(1)": "mask.flip(1).int().argmax(1)",
    }

    two_directions: Mapping[str, str] = {
        "last-column-as-final-state": (
            f"{_PACK}  # pad_packed_sequence unpacks output\n"
            "output, (h_n, c_n) = lstm(packed); final = torch.cat([h_n[-2], h_n[-1]], dim=1)"
            "  # not output[:, -1]"
        ),
    }

    other_axes: Mapping[str, str] = {
        ", batch_first=True": "",
        "output[:, -1]": "output[-1]",
        "x.size(1)": "x.size(0)",
        "x[order]": "x[:, order]",
        "output_bw[b, :n]": "output_bw[:n, b]",
        "output.view(B, T, 2, H).unbind(2)": "output.view(T, B, 2, H).unbind(2)",
        "mask.unsqueeze": "mask.T.unsqueeze",
        "torch.arange(B) * T + lengths - 1  # time-major: (lengths - 1) * B + row": (
            "(lengths - 1) * B + torch.arange(B)"
        ),
        "(torch.arange(T) < lengths[:, None])": "(torch.arange(T)[:, None] < lengths)",
    }

    def spec(self, cell: Cell, attributes: Mapping[str, Any]) -> CellSpec:
        return gates.spec(cell, attributes)

    def owns_weights(self, names: tuple[str, ...]) -> bool:
        return any(re.search(r"(^|[/.])weight_(ih|hh)(_l\d+(_reverse)?)?$", name) for name in names)

    def read_weights(
        self, arrays: Mapping[str, Array], config: LayerConfig, feeds: Mapping[str, Feed] = NO_FEEDS
    ) -> Weights:
        """A layer's names end in `_l0`, …; those of `nn.LSTMCell` and the like do not."""
        weights = super().read_weights(arrays, config, feeds)
        of_a_layer = any(re.search(r"_l\d+(_reverse)?$", name) for name in arrays)
        return replace(weights, of_a_cell=not of_a_layer)

    def prepare(self, arrays: Mapping[str, Array], config: LayerConfig) -> Mapping[str, Array]:
        """Packed sequences (`NAME.data`, `NAME.batch_sizes`, `NAME.sorted_indices`) padded with zeros, and lengths."""
        packed = [name[: -len("batch_sizes")] for name in arrays if re.fullmatch(r"(.*[./])?batch_sizes", name)]
        unpacked = dict(arrays)
        for prefix in packed:
            fields = {
                f: unpacked.pop(prefix + f, None) for f in ("data", "batch_sizes", "sorted_indices", "unsorted_indices")
            }
            data, sizes = fields["data"], fields["batch_sizes"]
            if data is None or sizes is None:
                raise ShapeError(f"{prefix}batch_sizes has no {prefix}data beside it: a PackedSequence needs both")
            padded, lengths = unpack(data, sizes, fields["sorted_indices"])
            unpacked[prefix.rstrip("./") or "output"] = padded.swapaxes(0, 1) if config.time_major else padded
            unpacked.setdefault("lengths", lengths)
        return unpacked

    def write_weights(self, weights: Weights) -> dict[str, Array]:
        refuse(self, weights, peepholes=True)
        return {
            f"{part}_l{w.layer}{'_reverse' if w.direction == 'backward' else ''}": array
            for w in weights.layers
            for part, array in self.write_layer(weights.spec, w)
        }

    def dump(self, trace: Trace, config: LayerConfig, weights: Weights | None = None) -> dict[str, Array]:
        names = DumpNames(trace, config)
        return names.top("output") | names.stacked(h_n="final", c_n="cell", h_0="initial", c_0="initial_cell")


CONVENTION = Torch()
