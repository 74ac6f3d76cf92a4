"""Records ONNX models that ONNX Runtime runs. Importing this imports neither onnx nor onnxruntime.

A session's `run` is wrapped: it runs as ever, and then a second session of the same model runs the same feed, with what
every LSTM, GRU and RNN node reads and returns among its outputs. Nodes within subgraphs are listed, and not recorded.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnninspect import conventions
from rnninspect.core.cell import Cell
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Direction, Track
from rnninspect.errors import UnknownNameError, UnreadableError, UserError
from rnninspect.formats.base import need
from rnninspect.recording.base import Recorder, Wanted, Where
from rnninspect.recording.direct_reading import reads_directly
from rnninspect.recording.shelf import ShelfSession
from rnninspect.recording.stated import stated_for
from rnninspect.recording.track_call import TrackCall
from rnninspect.recording.wrapping import wrap

_COMMON = ("X", "W", "R", "B", "sequence_lens", "initial_h")  # the operators' inputs by place
_READS = {"LSTM": (*_COMMON, "initial_c", "P"), "GRU": _COMMON, "RNN": _COMMON}
_GIVES = ("Y", "Y_h", "Y_c")
_WAYS: dict[str, tuple[Direction, ...]] = {
    "forward": ("forward",),
    "reverse": ("backward",),
    "bidirectional": ("forward", "backward"),
}
_CELLS: dict[str, Cell] = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}


@dataclass(frozen=True, eq=False)
class Node:
    """One recurrent node: `values`: the graph's name of each of its inputs and outputs, by its own name for it.

    `state_used`: whether the graph reads or gives back a final state of it.
    """

    name: str
    cell: Cell
    attributes: Mapping[str, Any]
    values: Mapping[str, str]
    state_used: bool


class Session(ShelfSession[TrackCall]):
    """One recording of an `onnxruntime.InferenceSession`."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self._nodes: list[Node] = []
        self._stored: dict[str, Array] = {}
        self._inputs: list[str] = []
        self._session: Any = None
        self._beside: Any = None

    def begin(self, model: Any, hooks: ExitStack) -> None:
        """Build the second session; UserError where the model's graph holds no recurrent node."""
        runtime: Any = sys.modules["onnxruntime"]
        proto = _proto(model)
        self._nodes, inner = _extended(proto)
        self._shelf.unseen |= {name: "it stands within a subgraph (If, Loop, Scan)" for name in inner}
        if not self._nodes:
            where = f"; {', '.join(inner)} stand within subgraphs" if inner else ""
            raise UserError(f"no LSTM, GRU or RNN node can be recorded: the graph holds none{where}")
        helper = need("onnx", "the model", "onnx").numpy_helper
        names = {value for node in self._nodes for value in node.values.values()}
        self._stored = {t.name: helper.to_array(t) for t in proto.graph.initializer if t.name in names}
        self._inputs = [value.name for value in proto.graph.input if value.name not in self._stored]
        self.state_lengths(self._lengths)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        self._beside = runtime.InferenceSession(proto.SerializeToString(), options, providers=model.get_providers())
        self._session, self._open = model, True
        wrap(runtime.InferenceSession, "run", self._run, hooks)

    def state_lengths(self, lengths: Any) -> None:
        """State the lengths of the calls to come; UserError where they name what is not there."""
        if self._inputs:
            stated_for(lengths, "", [node.name for node in self._nodes], {})
            for value in lengths.values() if isinstance(lengths, Mapping) else [lengths]:
                if isinstance(value, str) and value not in ("full", *self._inputs):
                    raise UnknownNameError("input of the graph for lengths", value, self._inputs)
        self._lengths = lengths

    def _run(self, run: Any, session: Any, output_names: Any, input_feed: Any, *args: Any, **kwargs: Any) -> Any:
        result = run(output_names, input_feed, *args, **kwargs)
        if session is self._session and self._open:
            with self._shelf.lock:
                self._record(input_feed)
        return result

    def _record(self, feed: Mapping[str, Any]) -> None:
        """Run the model once more, where a call of some node is to be kept."""
        numbers = {node.name: self._shelf.number(node.name) for node in self._nodes}
        kept = [node for node in self._nodes if numbers[node.name] is not None]
        held = {**self._stored, **{name: np.asarray(array) for name, array in feed.items()}}
        wanted = [v for v in dict.fromkeys(v for node in kept for v in node.values.values()) if v not in held]
        if not kept:
            return
        held |= dict(zip(wanted, self._beside.run(wanted, dict(feed)), strict=True))
        for node in kept:
            call = self._call(node, numbers[node.name] or 0, held, feed)
            self._shelf.put(node.name, call, call.size)

    def _call(self, node: Node, number: int, held: Mapping[str, Array], feed: Mapping[str, Any]) -> TrackCall:
        arrays = {role: np.array(held[value]) for role, value in node.values.items()}
        options = dict(conventions.get("onnx").options_from_config(node.attributes))
        direction, time_major = options.pop("direction", "forward"), options.pop("time_major")
        tracks = [_track(arrays, way, k, time_major) for k, way in enumerate(_WAYS[direction])]
        inputs = arrays["X"]
        values = {name: np.array(value) for name, value in feed.items()}
        stated_lengths = stated_for(self._lengths, node.name, None, values)
        by_row = inputs.swapaxes(0, 1) if time_major else inputs
        if "sequence_lens" in arrays:
            direct = reads_directly(by_row, arrays["sequence_lens"].astype(np.int64), values.values())
            stated_lengths = replace(stated_lengths, direct=direct)
        shown = f"{node.cell.upper()}({', '.join(f'{k}={v}' for k, v in node.attributes.items())})"
        weights = {str(role): arrays[role] for role in ("W", "R", "B", "P") if role in arrays}
        compute = str(inputs.dtype)
        return TrackCall(
            Where(node.name, number, shown, options, stated_lengths),
            "onnx",
            LayerConfig(node.cell, 1, direction, attributes=options),
            by_row,
            tuple(tracks),
            arrays.get("sequence_lens"),
            self._shelf.weights(node.name, weights),
            node.state_used,
            "" if compute in ("float32", "float64") else f"it computes in {compute}",
        )


def _track(arrays: Mapping[str, Array], direction: Direction, k: int, time_major: bool) -> Track:
    """One direction of a node: the k-th of Y `[T, D, B, H]` and of its states `[D, B, H]`; the batch may come first."""
    h, c, h_0, c_0 = (
        arrays[name].take(k, 0 if time_major else 1) if name in arrays else None
        for name in ("Y_h", "Y_c", "initial_h", "initial_c")
    )
    outputs = arrays["Y"].take(k, 1 if time_major else 2)
    return Track(0, direction, outputs.swapaxes(0, 1) if time_major else outputs, h, c, h_0, c_0)


def open_model(path: str) -> Any:
    """A session of a model's file, on the CPU; UserError where it is none, or ONNX Runtime is not installed."""
    if not os.path.isfile(path):
        raise UnreadableError(f"{path}: no such file; name an ONNX model")
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        raise UserError(f"running {path} needs ONNX Runtime: pip install onnxruntime") from None
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what it has to say is in the error
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own exceptions have no common type but this
        raise UnreadableError(f"{path}: ONNX Runtime cannot load it: {_first_line(error)}") from None


def run_once(session: Any, arrays: Mapping[str, Array], feed: str) -> None:
    """Run the model on the arrays that it reads, cast to what it wants where no value changes.

    Raises UserError where one is missing, or the model does not run on them.
    """
    wanted = session.get_inputs()
    missing = [value.name for value in wanted if value.name not in arrays]
    if missing:
        raise UserError(
            f"{feed} lacks {', '.join(missing)}: the model reads {', '.join(v.name for v in wanted)}; "
            f"the file has {', '.join(arrays) or 'no arrays'}"
        )
    feeds = {value.name: _cast(arrays[value.name], value.type) for value in wanted}
    try:
        session.run(None, feeds)
    except Exception as error:
        raise UserError(f"the model does not run on {feed}: {_first_line(error)}") from None


def _cast(array: Array, wanted: str) -> Array:
    """The array in the dtype that a graph's input wants (`tensor(int32)`), where every value stays what it is."""
    name = {"float": "float32", "double": "float64"}.get(wanted[7:-1], wanted[7:-1])
    try:
        cast = array.astype(name)
    except TypeError:
        return array
    return cast if cast.dtype.kind == "f" == array.dtype.kind or np.array_equal(cast, array) else array


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _proto(session: Any) -> Any:
    """The model that a session was made of; UserError where that is no longer at hand."""
    onnx = need("onnx", "the model", "onnx")
    held = getattr(session, "_model_bytes", None)
    path = getattr(session, "_model_path", None)
    try:
        return onnx.load_model_from_string(held) if held else onnx.load(path)
    except Exception as error:
        raise UserError(
            f"the session's model cannot be read again ({type(error).__name__}): make it of an .onnx file, or its bytes"
        ) from None


def _extended(proto: Any) -> tuple[list[Node], list[str]]:
    """The recurrent nodes, whose values become outputs of the graph; and the names of those within subgraphs."""
    graph = proto.graph
    outputs = {value.name for value in graph.output}
    read = outputs | {name for node in _nodes(graph) for name in node.input}
    stored = {tensor.name for tensor in graph.initializer} | {value.name for value in graph.input}
    nodes: list[Node] = []
    taken: set[str] = set()
    for node in graph.node:
        if not _is_recurrent(node):
            continue
        gives = _GIVES[: 3 if node.op_type == "LSTM" else 2]
        used = any(name in read for name in list(node.output)[1:] if name)
        name = _unused(node.name or node.op_type, taken)
        while len(node.output) < len(gives):
            node.output.append("")
        for k, role in enumerate(gives):
            node.output[k] = node.output[k] or f"rnninspect {name} {role}"
        values = {role: v for role, v in zip(_READS[node.op_type], node.input, strict=False) if v}
        values |= dict(zip(gives, node.output, strict=False))
        for value in values.values():
            if value not in outputs and value not in stored:
                graph.output.add().name = value
                outputs.add(value)
        attributes = {a.name: sys.modules["onnx"].helper.get_attribute_value(a) for a in node.attribute}
        attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
        nodes.append(Node(name, _CELLS[node.op_type], attributes, values, used))
    inner = [node.name or node.op_type for node in _nodes(graph) if _is_recurrent(node)]
    for node in graph.node:
        if _is_recurrent(node):
            inner.remove(node.name or node.op_type)
    return nodes, inner


def _is_recurrent(node: Any) -> bool:
    return node.op_type in _READS and node.domain in ("", "ai.onnx")


def _nodes(graph: Any) -> Iterator[Any]:
    """Every node, those of subgraphs too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from _nodes(inner)


def _unused(stem: str, taken: set[str]) -> str:
    """`LSTM`, then `LSTM 2`, …: a name of the node's own."""
    count = 1
    while (name := stem if count == 1 else f"{stem} {count}") in taken:
        count += 1
    taken.add(name)
    return name


def recognises(model: Any) -> bool:
    """Whether it is a session of ONNX Runtime's."""
    runtime: Any = sys.modules.get("onnxruntime")
    return runtime is not None and isinstance(model, runtime.InferenceSession)


RECORDER = Recorder("onnx", "onnxruntime.InferenceSession with LSTM, GRU or RNN nodes", recognises, Session)
