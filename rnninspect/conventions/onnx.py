"""ONNX: the `LSTM`, `GRU` and `RNN` operators, as ONNX Runtime's CPU kernels run them.

`Y` is `[T, D, B, H]` with a directions axis of its own, `Y_h` and `Y_c` are `[D, B, H]`; with `layout=1` they are
`[B, T, D, H]` and `[B, D, H]`. ONNX Runtime zeroes `Y` past `sequence_lens`; a reverse direction is aligned to the
inputs' time. W `[D, G*H, F]`, R `[D, G*H, H]`, B `[D, 2*G*H]`, P `[D, 3H]` (onnx/docs/Operators.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.conventions.base import Facts, Gates
from rnninspect.conventions.dumps.writer import DumpNames
from rnninspect.conventions.weights import gates
from rnninspect.conventions.weights.express import refusal, refuse
from rnninspect.conventions.weights.scopes import Parts, Scope, blocks
from rnninspect.conventions.weights.stack import ScopedConvention
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.evidence import Role
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.regex import regex
from rnninspect.core.trace import DIRECTIONS, Array, Direction, Trace, ZeroLength
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.engine import cells
from rnninspect.errors import ShapeError

ORDER: dict[Cell, str] = {"lstm": "iofg", "gru": "zrn", "rnn": "n"}  # ONNX writes i, o, f, c and z, r, h
_CELLS: dict[int, Cell] = {len(order): cell for cell, order in ORDER.items()}
_PEEPHOLES = (0, 2, 1)  # P holds i, o, f; canonical is i, f, o
_ACTIVATIONS = frozenset({"activations", "activation_alpha", "activation_beta"})
_NODE = r"(?:(?P<name>[^.]+)\.)?"
_GIVEN = regex(r"(.*[./])?(sequence_lens|initial_[hc])")  # of a node too, but no weights


class Onnx(ScopedConvention):
    name = "onnx"
    returns_all_states = False
    separator = "."
    variables = "W, R, B, P"
    variable = regex(r"(?:.*\.)?(?P<part>[WRBP])")
    files: Mapping[str, float] = {".onnx": 3.0}
    time_major = True
    stacks_states = True
    keeps_states_apart = False
    four_axes = ("B T D H", "T D B H")
    takes = frozenset({"linear_before_reset", "clip", "input_forget", "use_peepholes"}) | _ACTIVATIONS
    apart = True
    zero_length: ZeroLength = "zero"
    facts = Facts(
        framework="ONNX `LSTM`, `GRU`, `RNN` (ONNX Runtime, CPU)",
        outputs="T D B H; layout=1: B T D H",
        state="D B H",
        order="Y_h and Y_c separate",
        padding="zero",
        zero_length="zeros",
        lstm_gates=Gates(("i", "o", "f", "c")),
        gru_gates=Gates(("z", "r", "h"), "; reset before (linear_before_reset=0)"),
        kernels="[D, 4H, F], [D, 4H, H]",
        biases="two, in one array",
        source="onnx/docs/Operators.md; onnxruntime/core/providers/cpu/rnn",
    )
    names: Mapping[Role, tuple[str, ...]] = {
        "outputs": (_NODE + r"Y",),
        "h": (_NODE + r"Y_h",),
        "c": (_NODE + r"Y_c",),
        "initial_h": (_NODE + r"initial_h",),
        "initial_c": (_NODE + r"initial_c",),
        "inputs": (r"X",),
        "lengths": (r"sequence_lens",),
    }
    own_names: Mapping[str, str] = {"outputs_apart": "Y", "states": "Y_h", "cells": "Y_c", "inputs": "x"}
    fixes: Mapping[str, str] = {
        "lengths-ignored": "Y, Y_h, *_ = session.run(None, {'X': x, 'sequence_lens': lengths.astype(np.int32)})",
        "last-column-as-final-state": "Y, Y_h, *_ = session.run(None, feed); final = Y_h[0]  # not Y[-1]",
        "off-by-one-length": "lengths = last_index + 1  # lengths count the real steps of a row",
        "length-exceeds-time": "lengths = np.minimum(lengths, x.shape[0])  # ONNX Runtime refuses a length beyond T",
        "left-padded": "x[:n, b] = row  # pad on the right: sequence_lens counts from the first step",
        "lengths-misaligned": (
            "X, sequence_lens = X[:, order], sequence_lens[order]"
            "  # one order for both: batch and shuffle them together"
        ),
        "rows-permuted": "back = np.argsort(order)  # after x[:, order]\nY_h, Y_c = Y_h[:, back], Y_c[:, back]",
        "zero-length-row": "keep = lengths > 0  # the state of an empty row is zero",
        "padding-computed": "Y *= (np.arange(T)[:, None] < lengths)[:, None, :, None]",
        "padding-repeats-last-output": "Y *= (np.arange(T)[:, None] < lengths)[:, None, :, None]",
        "nonfinite-values": "assert np.isfinite(x).all()  # padding too",
        "cell-hidden-swapped": "Y, Y_h, Y_c = session.run(['Y', 'Y_h', 'Y_c'], feed)  # h comes before c",
        "cell-overwritten-by-hidden": "Y, Y_h, Y_c = session.run(['Y', 'Y_h', 'Y_c'], feed)  # h comes before c",
        "backward-final-at-last-step": "final = np.concatenate([Y_h[0], Y_h[1]], axis=1)  # Y[0, 1] is its last output",
        "state-read-batch-first": "final = Y_h.transpose(1, 0, 2).reshape(B, -1)  # not Y_h.reshape(B, -1)",
        "state-reshaped-not-transposed": "final = Y_h.transpose(1, 0, 2).reshape(B, -1)  # not Y_h.reshape(B, -1)",
        "batch-time-swapped": "x = x.transpose(1, 0, 2)  # layout=0 reads [T, B, F]",
        "flat-gather-wrong-stride": "index = (lengths - 1) * B + np.arange(B)  # into Y[:, 0] reshaped to [T * B, H]",
        "wrong-layer": "h = Y_h[-1]  # the Y_h of the last node: each layer is a node with a Y_h of its own",
        "layer-order-reversed": "np.stack([Y_h_bottom, Y_h_top])  # one Y_h per node; the bottom node reads X",
        "backward-not-flipped": "row = Y[:n, 1, b][::-1]  # ONNX aligns it to the inputs: flip only what ran by hand",
        "backward-read-padding": (
            "node = onnx.helper.make_node('LSTM', names, outputs, direction='bidirectional')"
            "  # sequence_lens among names"
        ),
        "directions-exchanged": "final = np.concatenate([Y_h[0], Y_h[1]], axis=1)  # forward first, as in Y",
        "direction-duplicated": "final = np.concatenate([Y_h[0], Y_h[1]], axis=1)  # forward, backward",
        "direction-missing": "final = np.concatenate([Y_h[0], Y_h[1]], axis=1)  # forward, backward",
        "directions-interleaved": (
            "outputs = Y.transpose(2, 0, 1, 3).reshape(B, T, -1)  # never reshape [T, D, B, H] itself"
        ),
        "output-dropout": (
            "dropped = onnx.helper.make_node('Dropout', ['Y'], ['Y_dropped'])  # behind Y; the state is Y_h"
        ),
        "output-residual": (
            "summed = Y.transpose(0, 2, 1, 3).reshape(x.shape) + x  # beside Y [T, D, B, H]; Y_h never holds the sum"
        ),
        "outputs-aliased": "steps.append(Y.copy())  # a copy of each step, not one buffer",
        "state-from-another-run": "Y, Y_h = session.run(['Y', 'Y_h'], feed)  # both from one run",
        "stale-initial-state": (
            "feed = {**feed, 'initial_h': h_0, 'initial_c': c_0}  # those that were used; or neither, for zeros"
        ),
        "gate-order": "i, o, f, c = np.split(W, 4, axis=1)  # ONNX's order; a GRU's is z, r, h",
        "forget-bias": "B[:, 2 * H:3 * H] += 1  # block f, where the other framework adds it at run time",
        "bias-dropped": "B = np.concatenate([bias_ih, bias_hh])[None]  # [D, 8H]: both halves count",
        "gru-reset-variant": (
            "node = onnx.helper.make_node('GRU', names, outputs, linear_before_reset=1)  # after the product; 0: before"
        ),
        "update-gate-flipped": "z = -z  # rows 0:H of W and R, both halves of B; here H = (1 - z) * h + z * H_before",
        "kernel-transposed": "W = kernel.T[None]; R = recurrent_kernel.T[None]  # [D, 4H, F] and [D, 4H, H] here",
        "recurrent-activation": (
            "node = onnx.helper.make_node('LSTM', names, outputs, activations=['HardSigmoid', 'Tanh', 'Tanh'])"
        ),
        "clip-or-peephole-ignored": (
            "node = onnx.helper.make_node('LSTM', names, outputs, clip=3.0)  # of the gates; P: peepholes i, o, f"
        ),
        "precision-drift": (
            "x = x.astype(np.float32)  # the same dtype in both runs\n"
            "# on a GPU: providers=[('CUDAExecutionProvider', {'use_tf32': 0})]"
        ),
        "lengths-rescaled": "lengths = (lengths + pads - kernel) // stride + 1  # after a Conv node",
        "truncated-time-axis": "x = np.pad(x, [(0, T - len(x)), (0, 0), (0, 0)])  # Y has as many steps as X",
        "mask-hole": "Y *= mask.T[:, None, :, None]  # sequence_lens cannot express holes",
    }

    def spec(self, cell: Cell, attributes: Mapping[str, Any]) -> CellSpec:
        return gates.spec(cell, gates.halved(cell, attributes)[0], reset_after=False)

    def backward_spec(self, scopes: Sequence[Scope], cell: Cell, config: LayerConfig) -> CellSpec | None:
        """`activations` may list other ones for the second direction."""
        both = [self.spec(cell, half) for half in gates.halved(cell, config.attributes)]
        return both[1] if len(both) == 2 and both[0] != both[1] else None

    def attributes(self, spec: CellSpec) -> dict[str, Any]:
        return gates.onnx_attributes(spec) | super().attributes(gates.without_activations(spec))

    def options_from_config(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """A node's attributes; without `layout` a node is time-major."""
        passed_on = (
            "activations",
            "activation_alpha",
            "activation_beta",
            "clip",
            "input_forget",
            "linear_before_reset",
        )
        options = {name: _text(attributes[name]) for name in passed_on if attributes.get(name) is not None}
        if "direction" in attributes:
            options["direction"] = _text(attributes["direction"])
        return options | {"time_major": not attributes.get("layout")}

    def state_batch_first(self, time_major: bool) -> bool:
        """`layout=1` puts the batch first in every array."""
        return not time_major

    def owns_weights(self, names: tuple[str, ...]) -> bool:
        last = {re.split(r"[/.]", name)[-1] for name in names}
        return {"W", "R"} <= last

    def scopes(self, arrays: Mapping[str, Array], config: LayerConfig) -> tuple[Scope, ...]:
        """One scope a direction: axis 0 of every array."""
        weights = {name: array for name, array in arrays.items() if not _GIVEN.fullmatch(name)}
        nodes = [scope for scope in super().scopes(weights, config) if {"W", "R"} & set(scope.arrays)]
        return tuple(one for node in nodes for one in _directions(node))

    def cell_of(self, scope: Scope) -> Cell | None:
        kernel = scope.arrays.get("R")
        if kernel is None or kernel.ndim != 2 or not kernel.shape[1] or kernel.shape[0] % kernel.shape[1]:
            return None
        return _CELLS.get(kernel.shape[0] // kernel.shape[1])

    def parts(self, scope: Scope, cell: Cell) -> Parts:
        return Parts(("W", "R"), ("B", "P") if "use_peepholes" in cells.get(cell).varied_by else ("B",))

    def read_layer(self, scope: Scope, spec: CellSpec, layer: int, direction: Direction) -> LayerWeights:
        order = ORDER[spec.cell]
        recurrent = scope.need("R", (None, None), "[D, gates * H, H], of each direction the last two axes")
        units = recurrent.shape[1]
        why = blocks(order.replace("g", "c").replace("n", "h"), units, f"R {(1, *recurrent.shape)}")
        total = len(order) * units
        scope.need("R", (total, units), f"a {spec.cell} has {why}")
        kernel = scope.need("W", (total, None), why)
        bias = scope.need("B", (2 * total,), f"two biases of {why}") if "B" in scope.arrays else None
        if bias is None:
            bias = np.zeros(2 * total, dtype=kernel.dtype)
        peepholes = scope.need("P", (3 * units,), f"3 peepholes of {why}") if "P" in scope.arrays else None
        return LayerWeights(
            layer,
            direction,
            gates.split_rows(kernel, order, spec.cell, "W"),
            gates.split_rows(recurrent, order, spec.cell, "R"),
            gates.split_bias(bias[:total], order, spec.cell, "B"),
            gates.split_bias(bias[total:], order, spec.cell, "B"),
            peepholes=None if peepholes is None else peepholes.reshape(3, units)[list(_PEEPHOLES)],
        )

    def write_weights(self, weights: Weights) -> dict[str, Array]:
        refuse(self, weights, projection=True)
        lacking = [name for spec in (weights.spec, weights.backward or weights.spec) for name in gates.onnx_lacks(spec)]
        if lacking:
            raise refusal(self, [f"activation {name}" for name in lacking])
        cell, order = weights.spec.cell, ORDER[weights.spec.cell]
        arrays: dict[str, Array] = {}
        for layer in range(weights.depth):
            prefix = f"{cell}_{layer}." if weights.depth > 1 else ""
            level = [w for w in weights.layers if w.layer == layer]
            arrays[f"{prefix}W"] = np.stack([gates.join_rows(w.input_kernel, order, cell) for w in level])
            arrays[f"{prefix}R"] = np.stack([gates.join_rows(w.recurrent_kernel, order, cell) for w in level])
            arrays[f"{prefix}B"] = np.stack([_both_biases(w, order, cell) for w in level])
            diagonals = [w.peepholes for w in level if w.peepholes is not None]
            if diagonals:
                arrays[f"{prefix}P"] = np.stack([p[list(_PEEPHOLES)].reshape(-1) for p in diagonals])
        return arrays

    def dump(self, trace: Trace, config: LayerConfig, weights: Weights | None = None) -> dict[str, Array]:
        names = DumpNames(trace, config)
        node_names = [n for n in weights.names if n] if weights is not None and weights.convention == self.name else []
        nodes = node_names if len(node_names) == trace.layers else [f"layer_{k}" for k in range(trace.layers)]
        arrays: dict[str, Array] = {}
        for layer, node in enumerate(nodes):
            prefix = f"{node}." if trace.layers > 1 else ""
            outputs = list(names.apart(layer).values())
            if outputs:
                arrays[f"{prefix}Y"] = np.stack(outputs, 1 if config.time_major else 2)
            for name, field in (
                ("Y_h", "final"),
                ("Y_c", "cell"),
                ("initial_h", "initial"),
                ("initial_c", "initial_cell"),
            ):
                states = [getattr(track, field) for track in names.layer(layer)]
                if all(state is not None for state in states):
                    arrays[prefix + name] = np.stack(states, 0 if config.time_major else 1)
        return arrays


def _text(value: Any) -> Any:
    """An attribute's strings as text; protobuf keeps them as bytes."""
    if isinstance(value, bytes):
        return value.decode()
    return [_text(v) for v in value] if isinstance(value, (list, tuple)) else value


def _directions(node: Scope) -> list[Scope]:
    """A node's arrays, `[D, …]` each, as one scope a direction."""
    counts = {part: array.shape[0] if array.ndim else 0 for part, array in node.arrays.items()}
    if len(set(counts.values())) != 1 or not set(counts.values()) <= {1, 2}:
        shown = ", ".join(node.shown(part) for part in node.arrays)
        raise ShapeError(f"axis 0 of W, R, B and P is the directions', 1 or 2 in all of them; got {shown}")
    count = next(iter(counts.values()))
    return [
        replace(
            node,
            arrays={part: array[i] for part, array in node.arrays.items()},
            direction=DIRECTIONS[i] if count == 2 else None,
        )
        for i in range(count)
    ]


def _both_biases(w: LayerWeights, order: str, cell: Cell) -> Array:
    second = np.zeros_like(w.bias) if w.recurrent_bias is None else w.recurrent_bias
    return np.concatenate([gates.join_bias(w.bias, order, cell), gates.join_bias(second, order, cell)])


CONVENTION = Onnx()
