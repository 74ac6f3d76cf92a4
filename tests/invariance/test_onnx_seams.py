"""The exact rule beside a node of an ONNX graph: both directions' state reshaped, rows sorted, axes not transposed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - it may not be installed

from rnninspect import check_padding  # noqa: E402

F, H = 3, 5
LENGTHS = np.array([6, 2, 4, 5], np.int32)
X = np.random.default_rng(0).normal(size=(6, 4, F)).astype(np.float32)  # [T, B, F]

ENDINGS = {
    "reshaped": [("Reshape", ["Y_h", "flat"], "result", {})],
    "transposed": [
        ("Transpose", ["Y_h"], "turned", {"perm": [1, 0, 2]}),
        ("Reshape", ["turned", "flat"], "result", {}),
    ],
    "sorted": [("Gather", ["Y_h", "order"], "result", {"axis": 1})],
    "last": [("Gather", ["Y", "minus_one"], "result", {"axis": 0})],
    "state": [("Identity", ["Y_h"], "result", {})],
}
VIEWED = [
    ("Shape", ["X"], "shape", {}),
    ("Gather", ["shape", "exchange"], "turned_shape", {}),
    ("Reshape", ["X", "turned_shape"], "read", {}),
]


def graph(ending: str, directions: int = 2, masked: bool = True, viewed: bool = False) -> onnx.ModelProto:
    """A GRU over X, with its lengths or not, each node under the name of what it returns."""
    rng = np.random.default_rng(1)
    weights = {"W": (3 * H, F), "R": (3 * H, H), "bias": (6 * H,)}
    stored = {name: rng.normal(size=(directions, *shape)).astype(np.float32) for name, shape in weights.items()}
    numbers = {"flat": [-1, directions * H], "order": [0, 3, 2, 1], "minus_one": -1, "exchange": [1, 0, 2]}
    stored |= {name: np.array(values, np.int64) for name, values in numbers.items()}
    way = "bidirectional" if directions == 2 else "forward"
    reads = ["read" if viewed else "X", "W", "R", "bias", "lens" if masked else ""]
    nodes = [helper.make_node(k, i, [o], name=o, **a) for k, i, o, a in (VIEWED if viewed else [])]
    nodes.append(helper.make_node("GRU", reads, ["Y", "Y_h"], hidden_size=H, direction=way, name="gru"))
    nodes += [helper.make_node(k, i, [o], name=o, **a) for k, i, o, a in ENDINGS[ending]]
    axes = ["B", "T", F] if viewed else ["T", "B", F]
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, axes)]
    inputs += [helper.make_tensor_value_info("lens", TensorProto.INT32, ["B"])] if masked else []
    outputs = [helper.make_tensor_value_info("result", TensorProto.FLOAT, None)]
    initializers = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    made = helper.make_graph(nodes, "made", inputs, outputs, initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


@pytest.mark.parametrize(
    ("model", "finding", "node", "rule"),
    [
        (graph("reshaped"), "rows-mixed", "result", "state-reshaped-not-transposed"),
        (graph("sorted"), "rows-mixed", "result", "rows-permuted"),
        (graph("last"), "depends-on-padded-width", "result", "last-column-as-final-state"),
        (graph("last", masked=False), "reads-padding", "result", "lengths-ignored"),
        (graph("last", directions=1, masked=False), "reads-padding", "result", "lengths-ignored"),
        (graph("state", directions=1, masked=False), "reads-padding", "gru", "lengths-ignored"),
    ],
)
def test_the_rule_of_a_time_major_node(model: onnx.ModelProto, finding: str, node: str, rule: str) -> None:
    """Of `[T, D, B, H]` both directions are judged, with what the graph makes of them."""
    inputs = (X, LENGTHS) if len(model.graph.input) > 1 else (X,)
    first = check_padding(model, *inputs, lengths=LENGTHS).findings[0]
    assert (first.rule, first.evidence["where"], first.evidence.get("rule")) == (finding, node, rule)


def test_a_transposed_state_is_clean() -> None:
    """Both directions beside each other, as they should be, are not accused."""
    assert check_padding(graph("transposed"), X, LENGTHS).verdict == "clean"


def test_inputs_that_are_reshaped() -> None:
    """`[B, T, F]` given the shape `[T, B, F]` is named before the node that reads it."""
    model = graph("state", directions=1, masked=False, viewed=True)
    first = check_padding(model, np.ascontiguousarray(X.transpose(1, 0, 2)), lengths=LENGTHS).findings[0]
    assert (first.evidence["where"], first.evidence["rule"]) == ("read", "inputs-reshaped-not-transposed")


@pytest.mark.parametrize("widths", [(5, 2), (2, 5), (4, 4)])
def test_where_nothing_else_tells_the_rows_lie_where_the_layer_takes_them(widths: tuple[int, int]) -> None:
    """A reshape mixes the rows whichever axis they are on; the GRU reads `[T, B, F]`, so that B is the second."""
    made = graph("reshaped", directions=1, masked=False)
    made.graph.node.insert(1, helper.make_node("Reshape", ["Y", "exchanged"], ["again"], name="again"))
    made.graph.node[2].input[0] = "again"
    made.graph.initializer.append(numpy_helper.from_array(np.array([widths[1], widths[0], H]), "exchanged"))
    batch = np.random.default_rng(0).normal(size=(*widths, F)).astype(np.float32)
    report = check_padding(made, {"X": batch})
    assert "X [steps, batch, features]" in report.render("table")
