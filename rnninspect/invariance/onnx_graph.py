"""An ONNX graph whose values between the nodes are returned too, and some of them given."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import MissingExtraError

RECURRENT = ("LSTM", "GRU", "RNN")
_SILENT = ("Constant", "Shape", "Identity", "Cast")  # nodes that can make no difference by themselves
_WIDTHS = {11: 8, 1: 4, 10: 2, 16: 1}  # TensorProto.DOUBLE, FLOAT, FLOAT16 and BFLOAT16


@dataclass(frozen=True)
class Node:
    """One node under a name of its own. `inputs`: the values that are computed, by place; `results`: those returned.

    `table`: of a Gather, the stored array that it looks up in; `reverse`: a recurrent one that reads backwards alone.
    """

    name: str
    kind: str
    inputs: Mapping[int, str]
    results: Mapping[int, str]
    table: str = ""
    reverse: bool = False


class Graph:
    """The graph of a model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        stored = {tensor.name for tensor in model.graph.initializer}
        self.stored = stored | {o for node in model.graph.node if node.op_type == "Constant" for o in node.output}
        self.inputs = [value.name for value in model.graph.input if value.name not in stored]
        self.outputs = [value.name for value in model.graph.output]
        self.nodes = list(self._nodes())
        self._sessions: dict[tuple[str, ...], Any] = {}

    def _nodes(self) -> Iterator[Node]:
        taken: set[str] = set()
        for number, node in enumerate(self._model.graph.node):
            name = node.name if node.name and node.name not in taken else f"{node.op_type}_{number}"
            taken.add(name)
            if node.op_type == "Constant" or (node.op_type in _SILENT and not node.input):
                continue
            inputs = {i: value for i, value in enumerate(node.input) if value and value not in self.stored}
            results = {i: value for i, value in enumerate(node.output) if value}
            table = node.input[0] if node.op_type == "Gather" and node.input[0] in self.stored else ""
            reverse = any(one.name == "direction" and one.s == b"reverse" for one in node.attribute)
            yield Node(name, node.op_type, inputs, results, table, reverse)

    @property
    def coarsest(self) -> int:
        """The narrowest floats that it computes with: 8, 4, 2 (float16), or 1 (bfloat16), whatever it is fed."""
        graph = self._model.graph
        kinds = [tensor.data_type for tensor in graph.initializer]
        kinds += [a.i for node in graph.node if node.op_type == "Cast" for a in node.attribute if a.name == "to"]
        kinds += [value.type.tensor_type.elem_type for value in graph.input]
        return min((_WIDTHS[kind] for kind in kinds if kind in _WIDTHS), default=4)

    def rows_axes(self) -> dict[str, int]:
        """The axis of the rows of every input of the graph that a recurrent node reads as it is."""
        reading = [node for node in self.nodes if node.kind in RECURRENT and node.inputs.get(0) in self.inputs]
        return {node.inputs[0]: 1 for node in reading}  # ONNX Runtime runs no layout=1, where it would be the first

    def session(self, replaced: Mapping[str, Array] | None = None, everything: bool = True) -> Any:
        """A session that returns every value, and takes those that are replaced as inputs."""
        replaced = replaced or {}
        key = (*sorted(replaced), "*" if everything else "")
        if key not in self._sessions:
            self._sessions[key] = open_session(self._edited(replaced, everything).SerializeToString())
        return self._sessions[key]

    def _edited(self, replaced: Mapping[str, Array], everything: bool) -> Any:
        import onnx

        edited = onnx.ModelProto()
        edited.CopyFrom(self._model)
        graph = edited.graph
        for name, array in replaced.items():
            for node in graph.node:
                for i, value in enumerate(node.output):
                    if value == name:
                        node.output[i] = f"{name}__computed"
            kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            graph.input.append(onnx.helper.make_tensor_value_info(name, kind, [None] * array.ndim))
        if everything:
            present = {value.name for value in graph.output}
            for node in self.nodes:
                for value in node.results.values():
                    for name in (f"{value}__computed",) if value in replaced else (value,):
                        if name not in present:
                            graph.output.append(onnx.ValueInfoProto(name=name))
        for name in [value.name for value in graph.output if value.name in replaced]:
            for position, value in enumerate(graph.output):
                if value.name == name:
                    del graph.output[position]
                    break
        return edited

    def run(self, feed: Mapping[str, Array], replaced: Mapping[str, Array]) -> dict[str, Array]:
        """Every value of the graph by its name; what was replaced is among them, and what it was computed to be."""
        session = self.session(replaced)
        names = [output.name for output in session.get_outputs()]
        values = dict(zip(names, session.run(names, {**feed, **replaced}), strict=True))
        return {**feed, **values, **replaced}


def open_session(model: Any) -> Any:
    """A session on the CPU of a file or of a model's bytes; MissingExtraError without ONNX Runtime."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError("running an ONNX model", "onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def plain(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Array]:
    """Those values that are arrays of numbers."""
    kept = {name: values[name] for name in names if name in values}
    return {name: value for name, value in kept.items() if isinstance(value, np.ndarray) and value.dtype.kind in "fiub"}
