"""ONNX models: the probes, the node where a difference arises, the rule of a recurrent node, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from rnninspect import check_padding
from rnninspect.errors import UnreadableError, UserError
from rnninspect.invariance.loading import load_model

F, H = 3, 4
LENGTHS = np.array([6, 2, 4, 5], np.int32)
X = np.random.default_rng(0).normal(size=(6, 4, F)).astype(np.float32)  # [T, B, F]


def graph(masked: bool, ending: str, batch: Any = "B") -> onnx.ModelProto:
    """An LSTM over X, with lengths or without, and its final state, its last output or the mean of its outputs."""
    rng = np.random.default_rng(1)
    stored = {
        "W": rng.normal(size=(1, 4 * H, F)),
        "R": rng.normal(size=(1, 4 * H, H)),
        "bias": rng.normal(size=(1, 8 * H)),
    }
    initializers = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in stored.items()]
    initializers.append(numpy_helper.from_array(np.array(-1, np.int64), "minus_one"))
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["T", batch, F])]
    inputs += [helper.make_tensor_value_info("lens", TensorProto.INT32, [batch])] if masked else []
    nodes = [
        helper.make_node(
            "LSTM", ["X", "W", "R", "bias", "lens" if masked else ""], ["Y", "Y_h"], hidden_size=H, name="lstm"
        )
    ]
    if ending == "final":
        nodes.append(helper.make_node("Identity", ["Y_h"], ["result"], name="state"))
    elif ending == "last":
        nodes.append(helper.make_node("Gather", ["Y", "minus_one"], ["result"], axis=0, name="pick"))
    else:
        nodes.append(helper.make_node("ReduceMean", ["Y"], ["result"], axes=[0], keepdims=0, name="mean"))
    outputs = [helper.make_tensor_value_info("result", TensorProto.FLOAT, None)]
    made = helper.make_graph(nodes, "made", inputs, outputs, initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def test_a_right_model_is_clean() -> None:
    """A node that is given the lengths reads no padding."""
    assert check_padding(graph(True, "final"), X, LENGTHS, lengths="lens").verdict == "clean"


@pytest.mark.parametrize("masked", [True, False])
def test_a_node_that_reads_backwards_without_lengths_begins_in_the_padding(masked: bool) -> None:
    """Its rule is that, not one of a forward node that ran on; with lengths it is right."""
    model = graph(masked, "final")
    model.graph.node[0].attribute.append(helper.make_attribute("direction", "reverse"))
    arguments = (X, LENGTHS) if masked else (X,)
    report = check_padding(model, *arguments, lengths="lens" if masked else LENGTHS)
    assert [finding.evidence["rule"] for finding in report.findings] == ([] if masked else ["backward-read-padding"])
    assert masked or "direction='reverse')  # sequence_lens" in report.findings[0].fix


def test_the_fix_gives_lengths_to_a_node_that_has_none() -> None:
    """Run as it is shown, it makes the model right: the graph has no input that it could be fed as yet."""
    model = graph(False, "final")
    (finding,) = check_padding(model, X, lengths=LENGTHS).findings
    exec(finding.fix, {"model": model, "helper": helper, "TensorProto": TensorProto})  # as a reader would paste it
    assert check_padding(model, X, LENGTHS, lengths="lengths").verdict == "clean"


@pytest.mark.parametrize(
    ("masked", "ending", "finding", "node", "rule"),
    [
        (False, "final", "reads-padding", "lstm", "lengths-ignored"),
        (False, "last", "reads-padding", "pick", None),
        (True, "mean", "depends-on-padded-width", "mean", "pooled-state"),
    ],
)
def test_the_node_and_the_rule_are_named(masked: bool, ending: str, finding: str, node: str, rule: str | None) -> None:
    """The node that makes the difference is named, and what is found of the recurrent one before it."""
    inputs = (X, LENGTHS) if masked else (X,)
    report = check_padding(graph(masked, ending), *inputs, lengths=LENGTHS)
    assert [f.rule for f in report.findings] == [finding]
    assert report.findings[0].evidence["where"] == node
    if rule is not None:
        assert report.findings[0].evidence["rule"] == rule
    assert report.convention == "onnx"


def test_files_messages_sessions_and_feeds(tmp_path: Path) -> None:
    """A file, its message and a session of it give the same report; inputs come in order, by name or as a feed."""
    model, path = graph(False, "final"), tmp_path / "model.onnx"
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    options: dict[str, Any] = {"lengths": LENGTHS}
    reports = [check_padding(one, X, **options) for one in (model, path, str(path), session)]
    reports += [check_padding(path, {"X": X}, **options), check_padding(path, kwargs={"X": X}, **options)]
    assert {report.findings[0].evidence["where"] for report in reports} == {"lstm"}
    assert check_padding(path, X.astype(np.float64), **options).verdict == "findings"


def test_a_fixed_batch_is_checked_as_far_as_it_goes() -> None:
    """A model of a fixed number of rows is judged by the probes that keep it; the others say why they were not made."""
    report = check_padding(graph(False, "final", 4), X, lengths=LENGTHS)
    assert [f.rule for f in report.findings] == ["reads-padding"]
    assert {p.probe: p.standing for p in report.probes}["alone"] != "differs"


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    """A missing file, a file of another kind and inputs that there are not are one line each."""
    with pytest.raises(UnreadableError, match="no such file"):
        check_padding(str(tmp_path / "none.onnx"), X)
    (tmp_path / "bad.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(UnreadableError, match="no ONNX model"):
        check_padding(str(tmp_path / "bad.onnx"), X)
    with pytest.raises(UserError, match="has no input Y; it takes X"):
        check_padding(graph(False, "final"), kwargs={"Y": X})
    with pytest.raises(UserError, match="does not run on this batch"):
        check_padding(graph(False, "final"), X[..., :2], lengths=LENGTHS)


def test_dynamically_quantised_graphs_are_refused() -> None:
    """A graph that rounds by its batch's largest value depends on all of it by design: one line names the node."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["X"], ["q", "scale", "zero"], name="narrow"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["Y"]),
    ]
    ends = [helper.make_tensor_value_info(name, kind, ["B", "T", 3]) for name in "XY"]
    made = helper.make_graph(nodes, "graph", ends[:1], ends[1:])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(UserError, match=r"its node narrow .*before it is quantised"):
        check_padding(model, X, lengths=LENGTHS)


@pytest.mark.parametrize("shape", [(0, 7), (4, 0)], ids=str)
def test_a_batch_of_nothing_is_refused(shape: tuple[int, int]) -> None:
    """A batch without rows or without steps is one line, and does not end the process."""
    with pytest.raises(UserError, match="without any numbers"):
        check_padding(graph(False, "final"), np.zeros((*shape, 3), np.float32), lengths=np.zeros(shape[0], np.int64))


def test_weights_beside_a_model_file_are_refused(tmp_path: Path) -> None:
    """A model file holds its weights: others beside it are not passed over in silence."""
    onnx.save(graph(False, "final"), tmp_path / "model.onnx")
    with pytest.raises(UserError, match="brings its own weights"):
        load_model(str(tmp_path / "model.onnx"), "weights.npz")


@pytest.mark.parametrize("masked", [True, False])
def test_a_graph_that_casts_within_is_judged_by_the_narrower_type(masked: bool) -> None:
    """A product in float16 between inputs and results in float32: its rounding is allowed, reading padding is not."""
    model = graph(masked, "final")
    kernel = np.random.default_rng(2).normal(size=(H, 2)).astype(np.float16)
    model.graph.initializer.append(numpy_helper.from_array(kernel, "K"))
    del model.graph.node[-1]
    model.graph.node.extend(
        [
            helper.make_node("Cast", ["Y_h"], ["half"], to=TensorProto.FLOAT16, name="narrow"),
            helper.make_node("MatMul", ["half", "K"], ["product"], name="product"),
            helper.make_node("Cast", ["product"], ["result"], to=TensorProto.FLOAT, name="wide"),
        ]
    )
    report = check_padding(model, X, *[LENGTHS][:masked], lengths="lens" if masked else LENGTHS)
    assert [finding.rule for finding in report.findings] == ([] if masked else ["reads-padding"])
    assert "computed in float16" in report.render("table")
