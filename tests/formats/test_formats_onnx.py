"""ONNX graphs: recurrent nodes are found wherever they are, their weights resolved, and nothing is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect import conventions
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import UnreadableError
from rnninspect.formats import read_arrays

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

W, R, B, P = (
    np.random.default_rng(i).normal(size=s).astype(np.float32)
    for i, s in enumerate([(1, 12, 2), (1, 12, 3), (1, 24), (1, 9)])
)
HELD = {"W": W, "R": R, "B": B, "P": P}


def tensor(name: str, array: Any) -> Any:
    return numpy_helper.from_array(np.asarray(array), name)


def graph(nodes: list[Any], stored: dict[str, Any] | None = None, inputs: tuple[str, ...] = ("X",)) -> Any:
    graph_inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs]
    out = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)]
    initial = [tensor(name, array) for name, array in (HELD if stored is None else stored).items()]
    return helper.make_graph(nodes, "g", graph_inputs, out, initial)


def saved(made: Any, folder: Path) -> Path:
    path = folder / "x.onnx"
    path.write_bytes(helper.make_model(made).SerializeToString())
    return path


def lstm(name: str = "", inputs: tuple[str, ...] = ("X", "W", "R", "B"), **attributes: Any) -> Any:
    return helper.make_node("LSTM", list(inputs), ["Y"], name=name, hidden_size=3, **attributes)


def test_inputs_by_place_and_attributes(tmp_path: Path) -> None:
    """Every input is called by its place in the operator, empty ones are left out, and attributes are plain values."""
    states = {"h": np.ones((1, 4, 3), np.float32), "n": np.array([2, 1], np.int32)}
    node = lstm(
        "enc/rnn", ("X", "W", "R", "", "n", "h", "", "P"), direction="reverse", layout=1, activations=["Relu"] * 3
    )
    read = read_arrays(saved(graph([node], HELD | states), tmp_path))
    assert list(read.arrays) == [f"enc/rnn.{role}" for role in ("W", "R", "sequence_lens", "initial_h", "P")]
    assert np.array_equal(read.arrays["enc/rnn.P"], P)
    assert np.array_equal(read.arrays["enc/rnn.sequence_lens"], states["n"])
    assert read.notes == ("the model stores states: enc/rnn.initial_h; a run takes them only through initial_state=",)
    weights = conventions.get("onnx").read_weights(read.arrays, LayerConfig())
    assert (weights.depth, weights.names) == (1, ("enc.rnn",))
    assert read.attributes == {
        "enc/rnn.hidden_size": 3,
        "enc/rnn.direction": "reverse",
        "enc/rnn.layout": 1,
        "enc/rnn.activations": ["Relu"] * 3,
    }


def test_gru_and_rnn_have_no_cell_state(tmp_path: Path) -> None:
    """The operators' inputs differ: a GRU's sixth is initial_h, and there are no more."""
    node = helper.make_node("GRU", ["X", "W", "R", "B", "", "h"], ["Y"], hidden_size=4)
    stored = {"W": W, "R": np.ones((1, 12, 4), np.float32), "B": B, "h": np.ones((1, 2, 4), np.float32)}
    assert list(read_arrays(saved(graph([node], stored), tmp_path)).arrays) == [
        "GRU_0.W", "GRU_0.R", "GRU_0.B", "GRU_0.initial_h",
    ]  # fmt: skip


def test_names_are_stable_and_never_shared(tmp_path: Path) -> None:
    """Nodes without a name are numbered by operator; a name that is taken or met twice is never given again."""
    nodes = [lstm(), lstm("LSTM_0"), lstm(), lstm("twice"), lstm("twice")]
    names = [
        name.rpartition(".")[0] for name in read_arrays(saved(graph(nodes), tmp_path)).arrays if name.endswith("W")
    ]
    assert names == ["LSTM_1", "LSTM_0", "LSTM_2", "twice", "twice_0"]


def test_constants_and_identities_are_followed(tmp_path: Path) -> None:
    """Weights held by Constant nodes, or handed on by Identity, are the same arrays."""
    nodes = [
        helper.make_node("Constant", [], ["W"], value=tensor("", W)),
        helper.make_node("Identity", ["kept"], ["mid"]),
        helper.make_node("Identity", ["mid"], ["R"]),
        helper.make_node("Constant", [], ["n"], value_ints=[3, 1]),
        lstm("a", ("X", "W", "R", "", "n")),
    ]
    arrays = read_arrays(saved(graph(nodes, {"kept": R}), tmp_path)).arrays
    assert np.array_equal(arrays["a.W"], W)
    assert np.array_equal(arrays["a.R"], R)
    assert arrays["a.sequence_lens"].tolist() == [3, 1]


def test_nodes_within_branches_and_loops(tmp_path: Path) -> None:
    """A node in a subgraph sees its own values first, then those of the graphs around it."""
    inner = graph([lstm("inner")], {"W": W + 1}, inputs=())
    nodes = [
        helper.make_node("If", ["c"], ["Z"], then_branch=inner, else_branch=graph([lstm("other")], {}, inputs=())),
        lstm("outer"),
    ]
    arrays = read_arrays(saved(graph(nodes, inputs=("X", "c")), tmp_path)).arrays
    assert np.array_equal(arrays["inner.W"], W + 1)
    assert np.array_equal(arrays["inner.R"], R)
    assert np.array_equal(arrays["other.W"], W)
    assert np.array_equal(arrays["outer.W"], W)


def test_weights_that_the_graph_computes_are_refused(tmp_path: Path) -> None:
    """What would need running is named; a state that the caller gives is simply not there."""
    nodes = [helper.make_node("Sin", ["kept"], ["W"]), lstm("a", ("X", "W", "R", "B", "", "h"))]
    with pytest.raises(UnreadableError, match=r"W of node a \(W\) is computed in the graph"):
        read_arrays(saved(graph(nodes, {"kept": W, "R": R, "B": B}), tmp_path))
    arrays = read_arrays(saved(graph([lstm("a", ("X", "W", "R", "B", "", "h"))], inputs=("X", "h")), tmp_path)).arrays
    assert list(arrays) == ["a.W", "a.R", "a.B"]


def test_a_graph_without_recurrence_lists_what_it_holds(tmp_path: Path) -> None:
    """One line with the operators that are there; a custom operator of the same name is not ONNX's."""
    nodes = [
        helper.make_node("Relu", ["X"], ["Z"]),
        helper.make_node("LSTM", ["X", "W", "R"], ["Y"], domain="com.example"),
    ]
    with pytest.raises(UnreadableError, match=r"node in this graph; it holds LSTM \(unnamed\), an operator of com.ex"):
        read_arrays(saved(graph(nodes), tmp_path))
    path = saved(graph([lstm()]), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"LSTM", b"\xff\n\x1bM"))  # protobuf hands such text on as bytes
    with pytest.raises(UnreadableError, match=r"it holds b'\\xff\\n\\x1bM'$"):
        read_arrays(path)
    with pytest.raises(UnreadableError, match="it holds no nodes at all"):
        read_arrays(saved(graph([]), tmp_path))


def test_weights_beside_the_model(tmp_path: Path) -> None:
    """External data are read from the model's folder; missing, cut short or elsewhere they are named."""
    model = helper.make_model(graph([lstm("a")]))
    path = tmp_path / "x.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="x.data", size_threshold=0)
    assert np.array_equal(read_arrays(path).arrays["a.R"], R)
    data = tmp_path / "x.data"
    whole = data.read_bytes()
    data.write_bytes(whole[:50])
    with pytest.raises(UnreadableError, match=r"of node a lies in 'x\.data', which must stand beside the model"):
        read_arrays(path)
    data.unlink()
    with pytest.raises(UnreadableError, match=r"lies in 'x\.data'"):
        read_arrays(path)
    (tmp_path / "away").mkdir()
    (tmp_path / "x.data").write_bytes(whole)
    moved = path.read_bytes().replace(b"x.data", b"../x.d")
    (tmp_path / "x.d").write_bytes(whole)
    (tmp_path / "away" / "x.onnx").write_bytes(moved)
    with pytest.raises(UnreadableError, match=r"lies in '\.\./x\.d'"):
        read_arrays(tmp_path / "away" / "x.onnx")


@pytest.mark.parametrize("kind", ["BFLOAT16", "FLOAT16", "DOUBLE"])
def test_weights_of_other_precision(kind: str, tmp_path: Path) -> None:
    """Half and double precision keep their dtype; bfloat16 becomes float32, exactly, and is said."""
    bits = (W.view(np.uint32) >> 16).astype(np.uint16)
    stored = helper.make_tensor("W", getattr(TensorProto, kind), W.shape, _raw(kind, bits), raw=True)
    made = graph([lstm("a")], {"R": R, "B": B})
    made.initializer.append(stored)
    read = read_arrays(saved(made, tmp_path))
    want = {"BFLOAT16": (W.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)}
    want |= {"FLOAT16": W.astype(np.float16), "DOUBLE": W.astype(np.float64)}
    assert read.arrays["a.W"].dtype == want[kind].dtype
    assert np.array_equal(read.arrays["a.W"], want[kind])
    assert read.dtypes == ({"a.W": "bfloat16"} if kind == "BFLOAT16" else {})


def _raw(kind: str, bits: Any) -> bytes:
    return {"BFLOAT16": bits, "FLOAT16": W.astype("<f2"), "DOUBLE": W.astype("<f8")}[kind].tobytes()


FOLDED = {
    "Slice": ([("Slice", ["kept", "start", "end", "axis"], ["W"], {})], lambda w: np.concatenate([w + 1, w])),
    "Transpose": ([("Transpose", ["kept"], ["W"], {"perm": [0, 2, 1]})], lambda w: w.swapaxes(1, 2).copy()),
    "Cast": ([("Cast", ["kept"], ["W"], {"to": TensorProto.FLOAT})], lambda w: w.astype(np.float64)),
    "Identity, Unsqueeze": (
        [("Identity", ["kept"], ["i"], {}), ("Unsqueeze", ["i", "axis"], ["W"], {})],
        lambda w: w[0],
    ),
    "Split, Concat": (
        [("Split", ["kept", "halves"], ["p", "q"], {"axis": 1}), ("Concat", ["q", "p"], ["W"], {"axis": 1})],
        lambda w: np.concatenate([w[:, 6:], w[:, :6]], 1),
    ),
    "DequantizeLinear": (
        [("DequantizeLinear", ["kept", "scale"], ["W"], {})],
        lambda w: np.round(w * 4).astype(np.int8),
    ),
}


@pytest.mark.parametrize("which", list(FOLDED))
def test_stored_arrays_that_the_graph_lays_out_anew_are_folded(which: str, tmp_path: Path) -> None:
    """Weights behind operators that move or convert stored numbers are those that ONNX Runtime would use."""
    steps, undone = FOLDED[which]
    nodes = [helper.make_node(op, inputs, outputs, **more) for op, inputs, outputs, more in steps]
    stored = {"kept": undone(W), "R": R, "start": np.array([1]), "end": np.array([2]), "axis": np.array([0])}
    stored |= {"halves": np.array([6, 6]), "scale": np.array(0.25, np.float32)}
    model = helper.make_model(
        graph([*nodes, lstm("a", ("X", "W", "R"))], stored), opset_imports=[helper.make_opsetid("", 17)]
    )
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    expected = np.round(W * 4).astype(np.float32) / 4 if which == "DequantizeLinear" else W
    assert np.array_equal(read_arrays(tmp_path / "x.onnx").arrays["a.W"], expected)
