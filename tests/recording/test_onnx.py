"""Recording ONNX models that ONNX Runtime runs, right and wrong; and the command that does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import rnninspect
from rnninspect.cli import call
from rnninspect.errors import UnknownNameError, UserError

T, B, F, H = 6, 4, 3, 5
LENGTHS = np.array([3, 6, 2, 4], dtype=np.int32)
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
X = np.random.default_rng(1).normal(size=(T, B, F)).astype("float32")


def graph(
    operator: str = "LSTM",
    direction: str = "forward",
    *,
    told: bool = True,
    gives: tuple[str, ...] = ("mean",),
    layers: int = 1,
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of `x` `[T, B, F]` and `n` `[B]`: recurrent nodes in a row, and the mean of the last one's Y.

    `told`: whether the nodes read `n`. `gives`: the outputs of the graph, `mean`, `Y`, `Y_h`.
    """
    rng = np.random.default_rng(0)
    ways = 2 if direction == "bidirectional" else 1
    nodes, stored, read, features = [helper.make_node("Identity", ["n"], ["lengths"])], [], "x", F
    for k in range(layers):
        shapes = (
            (ways, GATES[operator] * H, features),
            (ways, GATES[operator] * H, H),
            (ways, 2 * GATES[operator] * H),
        )
        for part, shape in zip("WRB", shapes, strict=True):
            stored.append(numpy_helper.from_array(rng.normal(size=shape).astype("float32"), f"{part}{k}"))
        outputs = [f"Y{k}", "Y_h"] if "Y_h" in gives and k == layers - 1 else [f"Y{k}"]
        inputs = [read, f"W{k}", f"R{k}", f"B{k}", "n" if told else ""]
        nodes.append(
            helper.make_node(operator, inputs, outputs, f"rnn{k}", direction=direction, hidden_size=H, **attributes)
        )
        stored.append(numpy_helper.from_array(np.array([0, 0, -1]), f"shape{k}"))
        nodes.append(helper.make_node("Transpose", [f"Y{k}"], [f"t{k}"], perm=[0, 2, 1, 3]))
        nodes.append(helper.make_node("Reshape", [f"t{k}", f"shape{k}"], [f"r{k}"]))
        read, features = f"r{k}", ways * H
    nodes += [helper.make_node("ReduceMean", [read], ["mean"]), helper.make_node("Identity", [f"Y{layers - 1}"], ["Y"])]
    floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", *gives)]
    lengths = [helper.make_tensor_value_info(name, TensorProto.INT32, None) for name in ("n", "lengths")]
    made = helper.make_graph(nodes, "g", [floats[0], lengths[0]], [*floats[1:], lengths[1]], stored)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def opened(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def recorded(model: onnx.ModelProto, lengths: Any = "n", x: Any = X, n: Any = LENGTHS) -> Any:
    """The recording of one run, after it was seen to change nothing."""
    session, feed = opened(model), {"x": x, "n": n}
    before = session.run(None, feed)
    with rnninspect.record(session, lengths=lengths) as recording:
        during = session.run(None, feed)
    assert all(np.array_equal(a, b) for a, b in zip(before, during, strict=True))
    session.run(None, feed)
    return recording


def rules(recording: Any, **options: Any) -> list[str]:
    return [f.rule for f in recording.inspect(**options).findings if f.severity != "note"]


@pytest.mark.parametrize("operator", list(GATES))
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("gives", [("mean",), ("Y", "Y_h")])
def test_every_operator_and_direction(operator: str, direction: str, gives: tuple[str, ...]) -> None:
    """A node that reads the lengths is clean, its weights run again; one that does not is named, or unjudged."""
    right = recorded(graph(operator, direction, gives=gives))
    (report,) = right.inspect()
    assert (report.verdict, report.convention, report.lengths) == ("clean", "onnx", LENGTHS.tolist())
    assert not any("weights" in n.reason for n in report.not_checked)
    wrong = recorded(graph(operator, direction, told=False, gives=gives))
    forward = ["lengths-ignored"] if "Y_h" in gives else []
    expected = {
        "forward": forward,
        "reverse": ["backward-read-padding"],
        "bidirectional": forward or ["backward-read-padding"],  # which follows from lengths that were ignored
    }
    assert rules(wrong) == expected[direction]
    assert wrong.inspect()[0].verdict == ("findings" if expected[direction] else "unjudged")


def test_layers_in_a_row_and_what_the_user_takes() -> None:
    """Every node has its own reports; a state that the program takes from Y is judged in its place."""
    recording = recorded(graph(layers=3, told=False, gives=("Y",)))
    assert [r.source["name"] for r in recording.inspect()] == ["rnn0", "rnn1", "rnn2"]
    y = recording.calls[2].tracks[0].outputs
    assert recording.inspect("rnn2", final_state=y[np.arange(B), LENGTHS - 1]).ok
    assert rules(recording, name="rnn2", final_state=y[:, -1]) == ["lengths-ignored"]


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [("GRU", {"linear_before_reset": 1}), ("LSTM", {"clip": 0.1}), ("RNN", {"activations": ["Relu"]})],
)
def test_what_a_node_computes_besides_the_defaults(operator: str, attributes: dict[str, Any]) -> None:
    """Attributes are the node's own: the second run of the weights agrees."""
    assert recorded(graph(operator, **attributes)).inspect()[0].verdict == "clean"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda n: n, ""),
        (lambda n: np.full_like(n, T), "lengths-ignored"),
        (lambda n: np.sort(n)[::-1], "lengths-misaligned"),
    ],
)
def test_a_node_that_is_told_other_lengths(change: Any, rule: str) -> None:
    """A node that reads the feed as it is, and other lengths than are stated, is judged by those stated."""
    recording = recorded(graph("RNN", gives=("Y", "Y_h")), lengths=LENGTHS, n=np.ascontiguousarray(change(LENGTHS)))
    for options in ({}, {"final_state": recording.calls[0].tracks[0].final}):
        (report,) = reports = recording.inspect(**options)
        assert [f.rule for f in reports.findings] == ([rule] if rule else [])
        assert report.verdict == ("findings" if rule else "clean")


def test_stated_lengths_and_those_that_a_node_read() -> None:
    """What the node read and what is stated are compared; names are those of the graph's inputs."""
    (report,) = recorded(graph(), lengths=LENGTHS - 1).inspect()
    assert report.verdict == "unjudged"
    assert "1 more in every row" in report.untested
    assert rules(recorded(graph(), lengths={"rnn0": LENGTHS + 1}, x=np.pad(X, ((0, 1), (0, 0), (0, 0))))) == [
        "off-by-one-length"
    ]
    for wrong in ("lengthz", {"rnn9": LENGTHS}):
        with pytest.raises(UnknownNameError), rnninspect.record(opened(graph()), lengths=wrong):
            pass


def test_graphs_without_nodes_and_nodes_within_subgraphs() -> None:
    """A graph without recurrent nodes is refused; nodes of a subgraph are listed."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    plain = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    with pytest.raises(UserError, match="the graph holds none"), rnninspect.record(opened(helper.make_model(plain))):
        pass
    model = graph()
    (node,) = [node for node in model.graph.node if node.op_type == "LSTM"]
    inner = onnx.NodeProto()
    inner.CopyFrom(node)
    inner.name, inner.output[0] = "within", "inner"
    branch = helper.make_graph([inner], "b", [], [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(helper.make_node("If", ["yes"], ["chosen"], then_branch=branch, else_branch=branch))
    model.graph.output.append(helper.make_tensor_value_info("chosen", TensorProto.FLOAT, None))
    reports = recorded(model).inspect()
    assert (reports[0].source["name"], reports[0].verdict) == ("rnn0", "clean")
    assert {r.untested for r in reports[1:]} == {"not recorded: it stands within a subgraph (If, Loop, Scan)"}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that reads its lengths, one that does not, and what both are fed with."""
    monkeypatch.chdir(tmp_path)
    Path("right.onnx").write_bytes(graph().SerializeToString())
    Path("wrong.onnx").write_bytes(graph(told=False, gives=("Y_h",), layers=2).SerializeToString())
    np.savez("feed.npz", x=X, n=LENGTHS.astype(np.int64), real=LENGTHS, half=X.astype("float64"))
    return tmp_path


def ran(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = call(["record", *arguments])
    return code, *capfd.readouterr()


@pytest.mark.usefixtures("files")
def test_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    """The report goes to stdout; lengths are an input of the graph, or an array of the feed."""
    code, out, err = ran(capfd, "right.onnx", "--feed", "feed.npz")
    assert (code, err) == (0, "")
    assert "clean" in out
    behind = ran(capfd, "wrong.onnx", "--feed", "feed.npz", "--lengths", "n", "--format", "json")
    code, out, _ = ran(capfd, "--feed", "feed.npz", "--lengths", "n", "--format", "json", "wrong.onnx")
    assert behind[0] == code
    assert json.loads(behind[1])["layers"] == json.loads(out)["layers"]
    assert code == 1
    whole = json.loads(out)
    assert [layer["name"] for layer in whole["layers"]] == ["rnn0", "rnn1"]
    assert "lengths-ignored" in {rule["rule"] for rule in whole["layers"][1]["rules"]}
    assert ran(capfd, "--lengths", "real", "wrong.onnx", "--feed=feed.npz")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["right.onnx"], "give the arrays that it reads, --feed feed.npz"),
        (["missing.onnx", "--feed", "feed.npz"], "missing.onnx: no such file"),
        (["--feed", "feed.npz", "feed.npz"], "which feed.npz is not"),
        (["bad.onnx", "--feed", "feed.npz"], "bad.onnx: ONNX Runtime cannot load it"),
        (["right.onnx", "--feed", "other.npz"], "other.npz lacks n: the model reads x, n; the file has x"),
        (["right.onnx", "--feed", "shape.npz"], "the model does not run on shape.npz"),
        (["right.onnx", "--feed", "feed.npz", "more"], "it takes no arguments"),
        (["-m", "right.onnx", "--feed", "feed.npz"], "not a module (-m)"),
        (["feed.npz"], "feed.npz is a file of arrays, not a Python script"),
        (["--lengths", "m", "right.onnx", "--feed", "feed.npz"], "unknown input of the graph for lengths 'm'"),
    ],
)
@pytest.mark.usefixtures("files")
def test_what_the_command_refuses(capfd: pytest.CaptureFixture[str], arguments: list[str], phrase: str) -> None:
    """What is missing or does not fit is one line, exit code 2."""
    Path("bad.onnx").write_bytes(b"no model")
    np.savez("other.npz", x=X)
    np.savez("shape.npz", x=X[0], n=LENGTHS)
    code, out, err = ran(capfd, *arguments)
    assert (code, out) == (2, "")
    assert phrase in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
