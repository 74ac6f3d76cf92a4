"""`.onnx`: the weights and attributes of a graph's LSTM, GRU and RNN nodes; nothing of the graph is executed."""

from __future__ import annotations

import re
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
from rnninspect.formats.onnx_feeds import feed_of
from rnninspect.formats.onnx_model import write_model
from rnninspect.formats.onnx_quantised import OPERATOR as QUANTISED
from rnninspect.formats.onnx_quantised import SCALES, STATED, dequantised
from rnninspect.formats.onnx_values import UnheldError, Values
from rnninspect.formats.tree import gather, shorten, shown

NAME = "onnx"
SUFFIXES = (".onnx",)
EXTRA: str | None = "onnx"
SUMMARY = "the LSTM, GRU and RNN nodes of a graph: their weights and attributes"

# The operators' inputs by place (onnx/docs/Operators.md); X is no weight.
_COMMON = ("X", "W", "R", "B", "sequence_lens", "initial_h")
_LSTM = (*_COMMON, "initial_c", "P")
INPUTS = {"LSTM": _LSTM, "GRU": _COMMON, "RNN": _COMMON, QUANTISED: (*_LSTM, *SCALES)}
NEEDED = ("W", "R", "B", "P", *SCALES)
_ONNX = ("", "ai.onnx")  # the domain of all operators but those of a runtime's own
STATES = ("initial_h", "initial_c")
TAKES_FEED = True  # `read` takes what the inputs of the graph are given
LAYERS_OF = "onnx"  # the framework whose layers `write_layer` takes


@dataclass(frozen=True)
class _Node:
    """A recurrent node under a name of its own, with the values that its graph and the graphs around it hold.

    `branch`: the graph within another node that it lies in, in words; empty in the model's own.
    """

    name: str
    proto: Any
    values: Values
    branch: str

    def inputs(self) -> Iterator[tuple[str, str]]:
        """(what it is, the value's name) of every input that is given, but X."""
        for role, value in zip(INPUTS[self.proto.op_type], self.proto.input, strict=False):
            if value and role != "X":
                yield role, value


def sniff(head: bytes) -> bool:
    """A protobuf whose first field is a small `ir_version`, with another field of ModelProto behind it."""
    return len(head) > 2 and head[0] == 0x08 and head[1] < 0x20 and head[2] in b"\x12\x1a\x22\x28\x32\x3a\x42\x72"


def read(source: Path | BinaryIO, name: str, feed: Mapping[str, Array] | None = None) -> NamedArrays:
    """`NODE.W`, `.R`, `.B`, `.P` (and what else is stored) of every node, its attributes as `NODE.direction`, ….

    A node without a name is called by its operator and number. `feed`: the values of the graph's inputs, which
    win over its own defaults. Raises UnreadableError where the graph has no such node, or where no node's weights are
    stored, or they lie in a file that is not there.
    """
    onnx = need("onnx", name, "onnx")
    folder = source.parent if isinstance(source, Path) else None
    arrays: dict[str, Array] = {}
    attributes: dict[str, Any] = {}
    lacking: list[str] = []
    with guarded(name):
        model = onnx.load_model_from_string(whole(source, name))
        counts = Counter(tensor.name for tensor in model.graph.initializer)
        refuse_duplicates(name, [shown(tensor) for tensor, count in counts.items() if count > 1])
        values = Values(model.graph, None, folder, model.opset_import, feed)
        nodes = list(_give_names(list(_nodes(model.graph, values, ""))))
        names = {id(node.proto): node.name for node in nodes}
        feeds = {node.name: feed_of(node.proto, node.values, names, node.branch) for node in nodes}
        for node in nodes:
            try:
                held = {
                    role: array
                    for role, value in node.inputs()
                    if (array := _array(node, role, value, name)) is not None
                }
            except _ComputedError as error:
                lacking.append(str(error))
                continue
            if node.proto.op_type == QUANTISED:
                held, attributes[f"{node.name}.{STATED}"] = dequantised(held), QUANTISED
            arrays |= {f"{node.name}.{role}": array for role, array in held.items()}
            for attribute in node.proto.attribute:
                attributes[f"{node.name}.{attribute.name}"] = _plain(onnx.helper.get_attribute_value(attribute))
        others = list(_all_nodes(model.graph))
    if not arrays and lacking:
        raise UnreadableError(f"{name}: {lacking[0]}")
    if not arrays:
        raise UnreadableError(
            f"{name}: no LSTM, GRU or RNN node in this graph; {_what_it_holds(others, model.functions)}"
        )
    dtypes = {key: "bfloat16" for key, array in arrays.items() if array.dtype.name == "bfloat16"}
    named_arrays = ((key, widened(array.view(np.uint16)) if key in dtypes else array) for key, array in arrays.items())
    notes = [f"left out: {reason}" for reason in lacking]
    kept = [key for key in arrays if key.rpartition(".")[2] in STATES]
    if kept:
        taken = worded(argument("initial_state"))
        notes.append(f"the model stores states: {shorten(kept)}; a run takes them only through {taken}")
    quantised = [node.name for node in nodes if f"{node.name}.{STATED}" in attributes]
    if quantised:
        notes.append(
            f"{shorten(quantised)}: {QUANTISED}, whose 8-bit weights are read as the numbers that they stand for; "
            "where it runs, what it reads is rounded to 8 bits as well, so its outputs come near this layer's alone"
        )
    return gather(named_arrays, name, NAME, dtypes=dtypes, attributes=attributes, notes=tuple(notes), feeds=feeds)


def write_layer(arrays: Mapping[str, Array], options: Mapping[str, Any], target: BinaryIO) -> None:
    """Write the layers as a model that runs; `options`: the attributes of its nodes."""
    write_model(arrays, options, target)


def _what_it_holds(nodes: list[Any], functions: Any) -> str:
    """The operators of a graph without a recurrent node of ONNX's; one that is such by name, or holds one, comes first,
    as what it is."""
    within = {str(function.name) for function in functions if any(node.op_type in INPUTS for node in function.node)}
    for node in nodes:
        operator = str(node.op_type)  # bytes where the file holds no text
        called = f"{shown(node.op_type)} ({shown(node.name or 'unnamed')})"
        if operator in within:
            inlined = "onnx.inliner.inline_local_functions(onnx.load('m.onnx'))"
            return (
                f"they stand in the function of its node {called}; save the model with its functions inlined: {inlined}"
            )
        if re.search("LSTM|GRU|RNN", operator):
            kind = "a quantised operator" if re.search("^Q|[Qq]uant", operator) else "an operator"
            return (
                f"it holds {called}, {kind} of {shown(node.domain) or 'no domain'}, whose arithmetic is its own and "
                "not known here; give the model as it was before it got that node"
            )
    return f"it holds {shorten(sorted({str(node.op_type) for node in nodes})) or 'no nodes at all'}"


def _nodes(graph: Any, values: Values, branch: str) -> Iterator[tuple[Any, Values, str]]:
    """Every recurrent node of a graph and of the graphs within its nodes (If, Loop, Scan), in order."""
    for node in graph.node:
        if node.op_type in INPUTS and node.domain in (("com.microsoft",) if node.op_type == QUANTISED else _ONNX):
            yield node, values, branch
        for attribute, inner in _subgraphs(node):
            called = f"{node.op_type} {shown(node.name)}" if node.name else str(node.op_type)
            yield from _nodes(inner, values.within(inner), f"in the {attribute} of {called}")


def _all_nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for _, inner in _subgraphs(node):
            yield from _all_nodes(inner)


def _subgraphs(node: Any) -> Iterator[tuple[str, Any]]:
    """The graphs within a node, with the attributes that hold them."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        yield from ((attribute.name, graph) for graph in attribute.graphs)


def _give_names(unnamed: list[tuple[Any, Values, str]]) -> Iterator[_Node]:
    """The nodes by their own names, or by operator and number (`LSTM_0`); a name met before gets a number too."""
    taken = {node.name for node, _, _ in unnamed}
    counts: Counter[str] = Counter()
    met: set[str] = set()
    for node, values, branch in unnamed:
        name, stem = node.name, node.name or node.op_type
        while not name or name in met:
            numbered = f"{stem}_{counts[stem]}"
            counts[stem] += 1
            name = "" if numbered in taken else numbered
        met.add(name)
        yield _Node(name, node, values, branch)


class _ComputedError(Exception):
    """The weights of a node are not in the file."""


def _array(node: _Node, role: str, value: str, source: str) -> Array | None:
    """The array that is stored for an input; None for states and lengths that a graph computes or is given.

    Raises _ComputedError where weights are.
    """
    where = f"{role} of node {shown(node.name)}"
    try:
        array = node.values.array(value)
    except UnheldError as error:
        raise UnreadableError(f"{source}: {where} {error}") from None
    if array is not None or role not in NEEDED:
        return array
    raise _ComputedError(f"{where} ({shown(value)}) {_why_unheld(node.values, value)}")


def _why_unheld(values: Values, value: str) -> str:
    """What keeps a weight from being read, and what to do about it."""
    owner = values.owner(value)
    if owner is None:
        return "is made by nothing in the graph; export the model again"
    unfed, carried = values.unfed(value)
    if value in unfed:
        return f"is an input of the graph, and the file does not hold it: {worded(argument('feed_of', value))}"
    if unfed:
        listed = f"{shorten(unfed)}, {'an input' if len(unfed) == 1 else 'inputs'} of the graph that the file does not"
        return f"is computed from {listed} hold: {worded(argument('feed_of', unfed[0]))}"
    if carried:
        return (
            f"comes with {shorten(carried)}, which the loop around it gives anew at every turn: there is no one array "
            "to read; store it outside the loop"
        )
    return "is computed in the graph, not stored in it; export with constant folding, or fold it (onnxsim)"


def _plain(value: Any) -> Any:
    """Bytes as text, and lists of them."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
