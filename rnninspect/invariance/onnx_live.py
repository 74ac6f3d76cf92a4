"""An ONNX model as the check runs it: by ONNX Runtime, its nodes by their results."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.core.arrays import to_array
from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError, UserError
from rnninspect.invariance.model import Change, Key, LayerCall, Manner, Patch, RunFailed, Traced, one_line
from rnninspect.invariance.onnx_graph import RECURRENT, Graph, Node, open_session, plain

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
SEQUENCE_LENS = 4  # which input of a recurrent node
_WIRE = (
    "node = next(n for n in model.graph.node if n.op_type == {kind!r})  # here {name}, which reads no lengths\n"
    "node.input.extend([''] * (5 - len(node.input)))\n"
    "node.input[4] = 'lengths'\n"
    "model.graph.input.append(helper.make_tensor_value_info('lengths', TensorProto.INT32, ['B']))\n"
    "# then feed 'lengths': lengths.astype(np.int32); or export the model again, with packed sequences"
)
ROOT: Key = ("", 0)


class OnnxModel:
    """A file, a model's message, or a session. Of a session that knows no file the nodes cannot be watched."""

    framework = "onnx"
    until = float("inf")
    drawn: Any = None
    norms: Sequence[str] = ()
    training = False

    def __init__(self, model: Any) -> None:
        self._graph = _graph(model)
        self.traceable = self._graph is not None
        self.coarsest: int | None = None if self._graph is None else self._graph.coarsest
        if isinstance(model, (str, os.PathLike)):
            self.name = os.path.basename(os.fspath(model))
        else:
            self.name = type(model).__name__
        quantised = (
            next((n for n in self._graph.nodes if n.kind.startswith("DynamicQuantize")), None) if self._graph else None
        )
        if quantised is not None:
            raise UserError(
                f"{self.name}: its node {quantised.name} ({quantised.kind}) rounds by the largest value of the whole "
                "batch: check the model before it is quantised"
            )
        self._session = model if hasattr(model, "get_inputs") else None
        if self._session is None:
            assert self._graph is not None
            try:
                self._session = self._graph.session(everything=False)
            except Exception as error:
                raise UnreadableError(f"{self.name}: ONNX Runtime cannot load it ({one_line(error)})") from None
        self.input_names = [value.name for value in self._session.get_inputs()]
        # Which axis of an input holds the rows, where a recurrent node reads it.
        self.rows_axes = self._graph.rows_axes() if self._graph is not None else {}
        self._types = {value.name: value.type for value in self._session.get_inputs()}
        self._outputs = [value.name for value in self._session.get_outputs()]

    def bind(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of the graph by their names; a mapping of them may be given alone.

        Raises UserError on inputs that it does not have.
        """
        if len(inputs) == 1 and isinstance(inputs[0], Mapping) and not options:
            options, inputs = inputs[0], []
        if len(inputs) > len(self.input_names):
            raise UserError(f"{self.name} takes {len(self.input_names)} inputs ({', '.join(self.input_names)})")
        named = {**dict(zip(self.input_names, inputs, strict=False)), **options}
        unknown = [name for name in named if name not in self.input_names]
        if unknown:
            raise UserError(f"{self.name} has no input {', '.join(unknown)}; it takes {', '.join(self.input_names)}")
        return {name: self._typed(name, to_array(value, name)) for name, value in named.items()}

    def _typed(self, name: str, array: Array) -> Array:
        return np.asarray(array, dtype=_TYPES.get(self._types[name], array.dtype))

    def free(self) -> Sequence[str]:
        """The names of the graph's inputs."""
        return self.input_names

    @contextmanager
    def kept(self) -> Iterator[None]:
        """A session keeps nothing from one run to the next."""
        yield

    def run(self, arguments: Mapping[str, Any], manner: Manner) -> Any:
        """The graph's outputs by their names; RunFailed where the runtime raises."""
        assert self._session is not None
        feed = {name: self._typed(name, array) for name, array in arguments.items()}
        try:
            results = self._session.run(self._outputs, feed)
        except Exception as error:  # ONNX Runtime has many: each is its answer to this batch
            raise RunFailed(one_line(error)) from error
        return dict(zip(self._outputs, results, strict=True))

    def trace(self, arguments: Mapping[str, Any], manner: Manner, patches: Mapping[Key, Patch]) -> Traced:
        """The outputs with every node's inputs and results; a node's results are patched in the order of the graph."""
        assert self._graph is not None
        feed = {name: self._typed(name, array) for name, array in arguments.items()}
        replaced: dict[str, Array] = {}
        values = self._values(feed, replaced)
        for node in self._graph.nodes:
            patch = patches.get((node.name, 0))
            if patch is None:
                continue
            results = {f"[{i}]": value for i, value in node.results.items()}
            computed = {path: values[name] for path, name in results.items() if name in values}
            changed = patch(computed)
            replaced |= {results[path]: np.asarray(changed[path], values[results[path]].dtype) for path in computed}
            values = self._values(feed, replaced)
        outputs = {name: values[name] for name in self._outputs if name in values}
        whole = patches.get(ROOT)
        if whole is not None:
            outputs = dict(whole(outputs))
        calls = [LayerCall("", 0, "the graph", None, plain(values, list(feed)), outputs)]
        calls += [_call(node, values) for node in self._graph.nodes]
        return Traced(outputs, calls)

    def _values(self, feed: Mapping[str, Array], replaced: Mapping[str, Array]) -> dict[str, Array]:
        assert self._graph is not None
        try:
            return self._graph.run(feed, replaced)
        except Exception as error:
            raise RunFailed(one_line(error)) from error

    def embeddings(self, arguments: Mapping[str, Any], manner: Manner, change: Change) -> Any:
        """The outputs with changed rows in place of those that Gather nodes look up in a stored table."""
        if self._graph is None:
            return None
        feed = {name: self._typed(name, array) for name, array in arguments.items()}
        values = self._values(feed, {})
        replaced = {}
        for node in self._graph.nodes:
            for name in node.results.values() if node.table and node.inputs.get(1) in values else ():
                changed = change(values[node.inputs[1]], values[name]) if values[name].dtype.kind == "f" else None
                if changed is not None:
                    replaced[name] = np.asarray(changed, values[name].dtype)
        if not replaced:
            return None
        values = self._values(feed, replaced)
        return {name: values[name] for name in self._outputs}

    def rule(self, layer: Key, arguments: Mapping[str, Any], lengths: Array, final: Array | None) -> Any:
        """What is found of a recurrent node's results without weights (`lengths` `[B]`, `final` `[B, H]`)."""
        from rnninspect.api.inspect import inspect

        assert self._graph is not None
        node = next((one for one in self._graph.nodes if one.name == layer[0] and one.kind in RECURRENT), None)
        if node is None or 0 not in node.results:
            return None
        if final is None and node.reverse and SEQUENCE_LENS not in node.inputs:
            return _begun_in_padding(node)
        values = self._values({n: self._typed(n, a) for n, a in arguments.items()}, {})
        states = [values[node.results[i]] for i in (1, 2) if i in node.results]
        try:
            if final is not None:
                outputs = values[node.results[0]].transpose(0, 2, 1, 3)  # [T, D, B, H] -> [T, B, D, H]
                merged = outputs.reshape(*outputs.shape[:2], -1)
                report = inspect(merged, final, lengths=lengths, time_major=True)
            else:
                report = inspect(values[node.results[0]], *states[:1], lengths=lengths, convention="onnx")
        except UserError:
            return None
        named = [_wired(one, node) for one in report.findings if not one.rule.startswith("unexplained")]
        return next((one for one in named if one.severity in ("error", "warning")), None)


def _wired(finding: Finding, node: Node) -> Finding:
    """The finding with a fix that the graph can be given: lengths are fed to a node that has such an input alone."""
    if SEQUENCE_LENS in node.inputs or "'sequence_lens'" not in finding.fix:
        return finding
    return replace(finding, fix=_WIRE.format(kind=node.kind, name=node.name))


def _begun_in_padding(node: Node) -> Finding:
    """What is wrong with a node that reads backwards without lengths, of which it is known that padding changes it."""
    from rnninspect.conventions import get as convention
    from rnninspect.diagnosis.fixes import fix_for
    from rnninspect.diagnosis.rules import get as rule_of

    rule = rule_of("backward-read-padding")
    fix = fix_for(rule, convention("onnx")).replace("'LSTM'", repr(node.kind)).replace("bidirectional", "reverse")
    message = f"{node.name} reads backwards without sequence_lens: it begins in the padding of shorter rows"
    return Finding(rule.name, "error", "proven", message, evidence={}, fix=fix)


def _call(node: Node, values: Mapping[str, Array]) -> LayerCall:
    inputs = plain({f"[{i}]": values.get(name) for i, name in node.inputs.items()}, [f"[{i}]" for i in node.inputs])
    results = plain({f"[{i}]": values.get(name) for i, name in node.results.items()}, [f"[{i}]" for i in node.results])
    recurrent = node.kind in RECURRENT
    return LayerCall(node.name, 0, node.kind, ROOT, inputs, results, recurrent, 1 if recurrent else None)


def _graph(model: Any) -> Graph | None:
    """The graph of a file, a message or a session; None where it is not known."""
    from rnninspect.formats.base import need

    onnx = need("onnx", "an ONNX model", "onnx")
    if isinstance(model, (str, os.PathLike)):
        try:
            return Graph(onnx.load(os.fspath(model)))
        except Exception as error:
            raise UnreadableError(f"{os.fspath(model)}: no ONNX model ({one_line(error)})") from None
    if hasattr(model, "graph") and hasattr(model, "SerializeToString"):
        return Graph(model)
    path, raw = getattr(model, "_model_path", None), getattr(model, "_model_bytes", None)
    if path:
        return Graph(onnx.load(path))
    return Graph(onnx.load_model_from_string(raw)) if raw else None


__all__ = ["OnnxModel", "open_session"]
