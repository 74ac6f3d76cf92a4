"""What the names in an ONNX graph stand for: stored arrays, also as the graph lays them out anew, and computed ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.formats.limits import check_size

# Operators whose result is known where their inputs are stored: they lay arrays out anew, or convert their numbers.
FOLDED = frozenset({"Identity", "Cast", "CastLike", "Concat", "Slice", "Split", "Gather", "Squeeze", "Unsqueeze"})
FOLDED |= {"Transpose", "Reshape", "Flatten", "Shape", "Neg", "DequantizeLinear"}
ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div"})  # where one input has the shape of the result
_DEEP = 64  # operators one after the other
_LARGE = 1 << 32  # bytes that one of them is given at most


class UnheldError(Exception):
    """An array cannot be had from where the file says; the text says why, to stand behind the array's name."""


class Values:
    """The values of one graph; what it does not make itself is looked up in the graph around it."""

    def __init__(
        self,
        graph: Any,
        outer: Values | None,
        folder: Path | None,
        imports: Sequence[Any],
        feed: Mapping[str, Array] | None = None,
    ) -> None:
        """`folder`: of the model, beside which external data lie; `imports`: the operator sets of the model; `feed`:
        what its inputs are given, by name."""
        self.outer, self.folder, self.imports = outer, folder, imports
        self.inputs = {value.name for value in graph.input}
        self.stored = {tensor.name: tensor for tensor in graph.initializer}
        self.shapes = {value.name: value.type.tensor_type.shape for value in (*graph.value_info, *graph.input)}
        self.makers = {name: node for node in graph.node for name in node.output if name}
        self.folded: dict[str, Array | None] = {}
        self.feed = {name: array for name, array in (feed or {}).items() if name in self.inputs}

    def within(self, graph: Any) -> Values:
        """The values of a graph within one of this graph's nodes."""
        return Values(graph, self, self.folder, self.imports)

    def owner(self, name: str) -> Values | None:
        """The values that this name is one of, or None where there is none; a graph's own hide those around it."""
        if name in self.makers or name in self.stored or name in self.inputs:
            return self
        return None if self.outer is None else self.outer.owner(name)

    def maker(self, name: str) -> tuple[Any, Values] | None:
        """The node that computes a value, with the values that it sees; None for inputs and stored arrays."""
        owner = self.owner(name)
        if owner is None or name not in owner.makers:
            return None
        return owner.makers[name], owner

    def shape(self, name: str) -> list[int] | None:
        """How long the axes of a value are as the file states it, 0 where one may be of any length; None unstated."""
        owner = self.owner(name)
        if owner is None or name not in owner.shapes:
            return None
        return [int(axis.dim_value) for axis in owner.shapes[name].dim]

    def array(self, name: str, depth: int = _DEEP) -> Array | None:
        """The stored array `[…]` of that name, laid out as the graph lays it out; None where it is given or computed.

        Raises UnheldError where its shape is none, or where it lies in a file that cannot be read.
        """
        owner = self.owner(name)
        if owner is None or not depth:
            return None
        if name not in owner.folded:
            owner.folded[name] = owner._resolved(name, depth - 1)
        return owner.folded[name]

    def unfed(self, name: str) -> tuple[list[str], list[str]]:
        """The inputs that a value depends on and that nothing gives: of the model, and of the loops within it."""
        of_model, of_loops, met = dict[str, None](), dict[str, None](), set[str]()
        ahead: list[tuple[Values, str]] = [(self, name)]
        while ahead:
            seen, value = ahead.pop()
            owner = seen.owner(value)
            if owner is None or f"{id(owner)} {value}" in met:
                continue
            met.add(f"{id(owner)} {value}")
            if value in owner.makers:
                ahead += [(owner, read) for read in reversed(owner.makers[value].input) if read]
            elif value in owner.inputs and value not in owner.stored and value not in owner.feed:
                (of_model if owner.outer is None else of_loops)[value] = None
        return list(of_model), list(of_loops)

    def _resolved(self, name: str, depth: int) -> Array | None:
        if name in self.feed:
            return np.asarray(self.feed[name])
        if name in self.stored:
            return _tensor(self.stored[name], self.folder)
        node = self.makers.get(name)
        if node is not None and node.op_type == "Constant":
            return _constant(node)
        if node is None or node.domain not in ("", "ai.onnx") or node.op_type not in FOLDED | ARITHMETIC:
            return None
        inputs = {value: self.array(value, depth) for value in node.input if value}
        arrays = {value: array for value, array in inputs.items() if array is not None}
        if len(arrays) < len(inputs) or sum(array.nbytes for array in arrays.values()) > _LARGE:
            return None
        if node.op_type in ARITHMETIC and not _keeps_a_shape(list(arrays.values())):
            return None
        if node.op_type == "DequantizeLinear":
            return _dequantised(node, [arrays[value] for value in node.input if value])
        try:
            return self._run(node, arrays)[list(node.output).index(name)]
        except Exception:  # an operator that its own reference does not run in this form is not folded
            return None

    def _run(self, node: Any, arrays: Mapping[str, Array]) -> list[Array]:
        """Every output of one node by ONNX's reference implementation, as the model's operator sets define it."""
        from onnx import ValueInfoProto, helper
        from onnx.reference import ReferenceEvaluator

        inputs = [ValueInfoProto(name=value) for value in arrays]
        outputs = [ValueInfoProto(name=value) for value in node.output]
        graph = helper.make_graph([node], "folded", inputs, outputs)
        model = helper.make_model(graph, opset_imports=list(self.imports))
        return [np.asarray(array) for array in ReferenceEvaluator(model).run(None, dict(arrays))]


def _dequantised(node: Any, inputs: Sequence[Array]) -> Array | None:
    """(x - zero point) * scale, of a whole tensor or along an axis; None where it is scaled block by block."""
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    if attributes.get("block_size"):
        return None
    x, scale, *zero = inputs
    shape = [1] * x.ndim
    if scale.size > 1:
        shape[attributes.get("axis", 1)] = scale.size
    shifted = x.astype(np.float32) - (zero[0].astype(np.float32).reshape(shape) if zero else 0)
    return np.asarray(shifted * scale.reshape(shape), dtype=scale.dtype)


def _keeps_a_shape(arrays: Sequence[Array]) -> bool:
    return np.broadcast_shapes(*(array.shape for array in arrays)) in {array.shape for array in arrays}


def _tensor(held: Any, folder: Path | None) -> Array:
    """The numbers of a TensorProto; those of another file where that stands beside the model, and is no link."""
    from onnx import numpy_helper

    if any(n < 0 for n in held.dims):
        raise UnheldError(f"is of shape {list(held.dims)}, and no axis can be negative; export it again")
    if held.data_location != held.EXTERNAL:
        array: Array = numpy_helper.to_array(held)
        return array
    where = {entry.key: entry.value for entry in held.external_data}.get("location", "?")
    try:
        if folder is None or not _stands_beside(folder, where):
            raise UnheldError(where)
        check_size(where, "", (folder / where).stat().st_size)
        external: Array = numpy_helper.to_array(held, base_dir=str(folder))
        return external
    except Exception:
        raise UnheldError(f"lies in {where!r}, which must stand beside the model, be whole, and be no link") from None


def _stands_beside(folder: Path, where: str) -> bool:
    """Whether that is a file in the model's own folder or below it, and not led out of it by dots or links."""
    file = folder / where
    inside = os.path.realpath(folder)
    return not file.is_symlink() and file.is_file() and os.path.realpath(file).startswith(inside + os.sep)


def _constant(node: Any) -> Array | None:
    """What a Constant node holds, in any of its spellings but text and sparse arrays."""
    from onnx import helper

    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.name == "value":
            return _tensor(value, None)
        if attribute.name in ("value_float", "value_floats"):
            return np.asarray(value, dtype=np.float32)
        if attribute.name in ("value_int", "value_ints"):
            return np.asarray(value, dtype=np.int64)
    return None
