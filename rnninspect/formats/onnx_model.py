"""A stack of recurrent layers -> an ONNX model that runs: one node a layer, each reading the outputs below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import need
from rnninspect.formats.tree import little

OPSET, IR = 17, 8  # what ONNX Runtime has read since 1.12
_OPERATORS = {4: "LSTM", 3: "GRU", 1: "RNN"}
_ACTIVATIONS = {"LSTM": 3, "GRU": 2, "RNN": 1}  # a direction's
_NO_ATTRIBUTES = ("direction", "use_peepholes", "layers", "merge_mode")
_BY_DIRECTION = ("activations", "activation_alpha", "activation_beta")
_INPUTS = {"LSTM": ("W", "R", "B", "", "", "", "P"), "GRU": ("W", "R", "B"), "RNN": ("W", "R", "B")}


def write_model(arrays: Mapping[str, Array], options: Mapping[str, Any], target: BinaryIO) -> None:
    """Write `[NODE.]W`, `.R`, `.B`, `.P` as a model of `X` `[T, B, F]`, with `options` as every node's attributes.

    Its outputs are the top layer's `Y` and every layer's `Y_h` (and `Y_c`). Raises UnreadableError where arrays have
    other names, MissingExtraError without onnx.
    """
    onnx = need("onnx", "writing .onnx", "onnx")
    layers: dict[str, dict[str, Array]] = {}
    for key, array in arrays.items():
        name, _, part = key.rpartition(".")
        layers.setdefault(name, {})[part] = little(array)
    if not all({"W", "R"} <= {*parts} <= {"W", "R", "B", "P"} for parts in layers.values()):
        raise UnreadableError(f".onnx holds the W, R, B and P of ONNX's layers, not {', '.join(arrays)}: write .npz")
    helper, stored, nodes, outputs, x = onnx.helper, [], [], [], "X"
    for i, (name, parts) in enumerate(layers.items()):
        nodes += _between(helper, x, f"X{i}", i) if i else []
        stem, x = (f"{name}_" if name else ""), (f"X{i}" if i else "X")
        node, held = _node(onnx, name, stem, parts, x, options)
        nodes.append(node)
        stored += held
        outputs += [helper.make_tensor_value_info(value, held[0].data_type, None) for value in node.output[1:]]
        x = str(node.output[0])
    kernel = next(iter(layers.values()))["W"]
    dtype = helper.np_dtype_to_tensor_dtype(kernel.dtype)
    batch = helper.make_tensor_value_info("X", dtype, ["steps", "rows", int(kernel.shape[2])])
    top = helper.make_tensor_value_info(x, dtype, None)
    stored += [onnx.numpy_helper.from_array(np.array([0, 0, -1]), "both_directions")] if len(layers) > 1 else []
    graph = helper.make_graph(nodes, "layers", [batch], [top, *outputs], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="rnninspect")
    model.ir_version = IR
    target.write(model.SerializeToString())


def _node(
    onnx: Any, name: str, stem: str, parts: Mapping[str, Array], x: str, options: Mapping[str, Any]
) -> tuple[Any, list[Any]]:
    """One layer's node, and its stored arrays."""
    kernel, recurrent = parts["W"], parts["R"]
    operator = _OPERATORS[recurrent.shape[1] // recurrent.shape[2]]
    inputs = [f"{stem}{part}" if part in parts else "" for part in _INPUTS[operator]]
    while not inputs[-1]:
        inputs.pop()
    outputs = [f"{stem}{value}" for value in ("Y", "Y_h", "Y_c")[: 3 if operator == "LSTM" else 2]]
    direction = "bidirectional" if len(kernel) == 2 else options.get("direction", "forward")
    taken = {key: value for key, value in options.items() if key not in _NO_ATTRIBUTES}
    if len(kernel) == 2 and len(taken.get("activations", ())) == _ACTIVATIONS[operator]:  # one set for both
        taken |= {key: [*taken[key], *taken[key]] for key in _BY_DIRECTION if key in taken}
    node = onnx.helper.make_node(
        operator,
        [x, *inputs],
        outputs,
        name=name or operator.lower(),
        hidden_size=int(recurrent.shape[2]),
        direction=direction,
        **taken,
    )
    return node, [onnx.numpy_helper.from_array(parts[part], f"{stem}{part}") for part in parts]


def _between(helper: Any, y: str, x: str, layer: int) -> list[Any]:
    """The nodes that lay `[T, D, B, H]` out as the `[T, B, D * H]` that the next layer reads."""
    return [
        helper.make_node("Transpose", [y], [f"{y}_turned"], perm=[0, 2, 1, 3], name=f"turn_{layer}"),
        helper.make_node("Reshape", [f"{y}_turned", "both_directions"], [x], name=f"join_{layer}"),
    ]
