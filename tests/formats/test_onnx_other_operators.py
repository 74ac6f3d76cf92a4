"""A graph whose recurrent node is not ONNX's own: it is named as what it is, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnninspect.errors import UnreadableError
from rnninspect.formats import read_arrays

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

ENDS = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("X", "Y")]
IMPORTS = [helper.make_opsetid("", 17), helper.make_opsetid("custom.ops", 1)]


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("QLinearLSTM", "a quantised operator"),
        ("QGRU", "a quantised operator"),
        ("DynamicQuantizeRNN", "a quantised operator"),
        ("CudnnLSTM", "an operator"),
        ("AttnGRU", "an operator"),
    ],
)
def test_an_operator_of_another_domain_is_named(operator: str, kind: str, tmp_path: Path) -> None:
    """With its node and domain: its arithmetic is not that of an LSTM, and it is not said to hold nothing."""
    nodes = [
        helper.make_node("Relu", ["X"], ["x"]),
        helper.make_node(operator, ["x"], ["Y"], domain="custom.ops", name="top"),
    ]
    made = helper.make_model(helper.make_graph(nodes, "g", ENDS[:1], ENDS[1:]), opset_imports=IMPORTS)
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(UnreadableError, match=rf"it holds {operator} \(top\), {kind} of custom.ops, whose arithmetic"):
        read_arrays(tmp_path / "m.onnx")


def test_nodes_within_a_function_of_the_model(tmp_path: Path) -> None:
    """The line says how to inline it; what that gives is read."""
    weights = {"W": (1, 4, 2), "R": (1, 4, 4)}
    stored = [helper.make_node("ConstantOfShape", [f"{name}_shape"], [name]) for name in weights]
    shapes = [
        helper.make_node("Constant", [], [f"{name}_shape"], value_ints=list(shape)) for name, shape in weights.items()
    ]
    body = [*shapes, *stored, helper.make_node("RNN", ["X", "W", "R"], ["Y"], hidden_size=4)]
    function = helper.make_function("custom.ops", "Encode", ["X"], ["Y"], body, IMPORTS[:1])
    call = helper.make_node("Encode", ["X"], ["Y"], domain="custom.ops", name="encoder")
    graph = helper.make_graph([call], "g", ENDS[:1], ENDS[1:])
    made = helper.make_model(graph, functions=[function], opset_imports=IMPORTS)
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(UnreadableError, match=r"function of its node Encode \(encoder\); .*inline_local_functions"):
        read_arrays(tmp_path / "m.onnx")
