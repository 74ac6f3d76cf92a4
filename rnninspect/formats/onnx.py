"""`.onnx`: the weights and attributes of a graph's LSTM, GRU and RNN nodes; nothing of the graph is executed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.core.wording import argument, worded
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import NamedArrays, guarded, need, refuse_duplicates, whole
from rnninspect.formats.bfloat16 import widened
from rnninspect.formats.limits import check_size
from rnninspect.formats.tree import gather, shorten, shown

NAME = "onnx"
SUFFIXES = (".onnx",)
EXTRA: str | None = "onnx"
SUMMARY = "the LSTM, GRU and RNN nodes of a graph: their weights and attributes"

# The operators' inputs by place (onnx/docs/Operators.md); X is no weight.
_COMMON = ("X", "W", "R", "B", "sequence_lens", "initial_h")
INPUTS = {"LSTM": (*_COMMON, "initial_c", "P"), "GRU": _COMMON, "RNN": _COMMON}
NEEDED = ("W", "R", "B", "P")
STATES = ("initial_h", "initial_c")

Values = Mapping[str, Any]  # a value's name -> its TensorProto, Constant node, or None where the graph computes it


@dataclass(frozen=True)
class _Node:
    """A recurrent node under a name of its own, with the values that its graph and the graphs around it hold."""

    name: str
    proto: Any
    values: Values

    def inputs(self) -> Iterator[tuple[str, str]]:
        """(what it is, the value's name) of every input that is given, but X."""
        for role, value in zip(INPUTS[self.proto.op_type], self.proto.input, strict=False):
            if value and role != "X":
                yield role, value


def sniff(head: bytes) -> bool:
    """A protobuf whose first field is a small `ir_version`, with another field of ModelProto behind it."""
    return len(head) > 2 and head[0] == 0x08 and head[1] < 0x20 and head[2] in b"\x12\x1a\x22\x28\x32\x3a\x42\x72"


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """`NODE.W`, `.R`, `.B`, `.P` (and what else is stored) of every node, its attributes as `NODE.direction`, ….

    A node without a name is called by its operator and number. Raises UnreadableError where the graph has no such
    node, or where weights are computed in it rather than stored, or lie in a file that is not there.
    """
    onnx = need("onnx", name, "onnx")
    folder = source.parent if isinstance(source, Path) else None
    arrays: dict[str, Array] = {}
    attributes: dict[str, Any] = {}
    with guarded(name):
        model = onnx.load_model_from_string(whole(source, name))
        counts = Counter(tensor.name for tensor in model.graph.initializer)
        refuse_duplicates(name, [shown(tensor) for tensor, count in counts.items() if count > 1])
        for node in _give_names(list(_nodes(model.graph, _values(model.graph, {})))):
            for attribute in node.proto.attribute:
                attributes[f"{node.name}.{attribute.name}"] = _plain(onnx.helper.get_attribute_value(attribute))
            for role, value in node.inputs():
                array = _array(node, role, value, folder, name)
                if array is not None:
                    arrays[f"{node.name}.{role}"] = array
        seen = sorted({str(node.op_type) for node in _all_nodes(model.graph)})
    if not arrays:
        raise UnreadableError(
            f"{name}: no LSTM, GRU or RNN node in this graph; it holds {shorten(seen) or 'no nodes at all'}"
        )
    dtypes = {key: "bfloat16" for key, array in arrays.items() if array.dtype.name == "bfloat16"}
    named_arrays = ((key, widened(array.view(np.uint16)) if key in dtypes else array) for key, array in arrays.items())
    kept = [key for key in arrays if key.rpartition(".")[2] in STATES]
    note = (
        f"the model stores states: {shorten(kept)}; a run takes them only through {worded(argument('initial_state'))}"
        if kept
        else ""
    )
    return gather(named_arrays, name, NAME, dtypes=dtypes, attributes=attributes, notes=(note,))


def _nodes(graph: Any, values: Values) -> Iterator[tuple[Any, Values]]:
    """Every recurrent node of a graph and of the graphs within its nodes (If, Loop, Scan), in order."""
    for node in graph.node:
        if node.op_type in INPUTS and node.domain in ("", "ai.onnx"):
            yield node, values
        for inner in _subgraphs(node):
            yield from _nodes(inner, _values(inner, values))


def _all_nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for inner in _subgraphs(node):
            yield from _all_nodes(inner)


def _subgraphs(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _values(graph: Any, outer: Values) -> Values:
    """What the names in a graph stand for: its own hide those of the graphs around it."""
    values: dict[str, Any] = dict(outer)
    values.update({value.name: None for value in graph.input})
    values.update({tensor.name: tensor for tensor in graph.initializer})
    for node in graph.node:
        holder = node if node.op_type == "Constant" else None
        if node.op_type == "Identity" and node.input:
            holder = values.get(node.input[0])
        values.update(dict.fromkeys(node.output, holder))
    return values


def _give_names(recurrent: list[tuple[Any, Values]]) -> Iterator[_Node]:
    """The nodes by their own names, or by operator and number (`LSTM_0`); a name met before gets a number too."""
    taken = {node.name for node, _ in recurrent}
    counts: Counter[str] = Counter()
    met: set[str] = set()
    for node, values in recurrent:
        name, stem = node.name, node.name or node.op_type
        while not name or name in met:
            numbered = f"{stem}_{counts[stem]}"
            counts[stem] += 1
            name = "" if numbered in taken else numbered
        met.add(name)
        yield _Node(name, node, values)


def _array(node: _Node, role: str, value: str, folder: Path | None, source: str) -> Array | None:
    """The array that is stored for an input; None for states and lengths that a graph computes or is given."""
    held = node.values.get(value)
    if held is None:
        if role not in NEEDED:
            return None
        raise UnreadableError(
            f"{source}: {role} of node {shown(node.name)} ({shown(value)}) is computed in the graph, not stored in it; "
            "export with constant folding, or fold it (onnxsim)"
        )
    whose = f"{source}: {role} of node {shown(node.name)}"
    return _constant(held, whose) if hasattr(held, "op_type") else _tensor(held, folder, whose)


def _tensor(held: Any, folder: Path | None, whose: str) -> Array:
    """The numbers of a TensorProto; those of another file where that stands beside the model, and is no link."""
    from onnx import numpy_helper

    if any(n < 0 for n in held.dims):
        raise UnreadableError(f"{whose} is of shape {list(held.dims)}, and no axis is shorter than 0; export it again")
    if held.data_location != held.EXTERNAL:
        array: Array = numpy_helper.to_array(held)
        return array
    where = {entry.key: entry.value for entry in held.external_data}.get("location", "?")
    try:
        if folder is None or not _stands_beside(folder, where):
            raise UnreadableError(where)
        check_size(whose, "", (folder / where).stat().st_size)
        external: Array = numpy_helper.to_array(held, base_dir=str(folder))
        return external
    except Exception:
        raise UnreadableError(
            f"{whose} lies in {where!r}, which must stand beside the model, be whole, and be no link"
        ) from None


def _stands_beside(folder: Path, where: str) -> bool:
    """Whether that is a file in the model's own folder or below it, and not led out of it by dots or links."""
    file = folder / where
    inside = os.path.realpath(folder)
    return not file.is_symlink() and file.is_file() and os.path.realpath(file).startswith(inside + os.sep)


def _constant(node: Any, whose: str) -> Array | None:
    """What a Constant node holds, in any of its spellings."""
    from onnx import helper

    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.name == "value":
            return _tensor(value, None, whose)
        if attribute.name in ("value_float", "value_floats"):
            return np.asarray(value, dtype=np.float32)
        if attribute.name in ("value_int", "value_ints"):
            return np.asarray(value, dtype=np.int64)
    return None


def _plain(value: Any) -> Any:
    """Bytes as text, and lists of them."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
