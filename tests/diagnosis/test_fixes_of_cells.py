"""Fixes that change what a cell computes, run in every framework: the layer that the code makes gives a clean report.

Where the code is a formula, a cell of the user's own is stepped with it in place; where it makes a layer or a node,
that is run, in the framework itself where it is installed.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnninspect.conventions import conventions
from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import Trace
from rnninspect.core.weights import Weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case, random_weights
from tests.support.stand_ins.own_cells import plain, run_own_cell

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

H = 5
Names = dict[str, Any]

# What the layer should compute: the other one than the framework's layers do, as the code mends that.
RESET_AFTER = {"tf1", "haiku", "onnx"}
HARD = {"tf1": "hard_sigmoid", "onnx": "hard_sigmoid", "mxnet": "sigmoid"}  # else Keras 3's and torch's slope of 1/6
FORMULAS = {
    "gru-reset-variant": {"torch", "flax", "haiku", "paddle", "mxnet"},
    "recurrent-activation": {"torch", "haiku", "paddle"},
    "clip-or-peephole-ignored": {"torch", "keras", "flax", "haiku", "paddle"},
}
LAYERS = {rule: set(conventions()) - formulas for rule, formulas in FORMULAS.items()} | {"forget-bias": {"tf1"}}


def right_case(rule: str, framework: str) -> Case:
    """A run of the cell that the weights were trained in."""
    if rule == "gru-reset-variant":
        weights = random_weights("gru", H, H, reset_after=framework in RESET_AFTER)
        if framework not in RESET_AFTER:  # one bias is all that such a cell has
            weights = _each_layer(weights, recurrent_bias=None)
    else:
        weights = random_weights("lstm", H, H, **_lstm(rule, framework))
    if rule == "clip-or-peephole-ignored":
        weights = _with_parts(weights, framework)
    return correct_case(weights.spec.cell, convention=framework, weights=weights)


def _lstm(rule: str, framework: str) -> Names:
    usual = conventions()[framework].spec("lstm", {}).forget_bias
    fields: Names = {"forget_bias": 0.0 if rule == "forget-bias" else usual}
    if rule == "recurrent-activation":
        fields["recurrent_activation"] = HARD.get(framework, "hard_sigmoid_keras3")
    if rule == "clip-or-peephole-ignored":
        fields |= {
            "onnx": {"gate_clip": 3.0},
            "tf1": {"cell_clip": 3.0, "proj_clip": 3.0},
            "mxnet": {"cell_clip": 3.0},
        }.get(framework, {"cell_clip": 0.5})
    return fields


def _with_parts(weights: Weights, framework: str) -> Weights:
    """Kernels that reach the clip, and the projection and peepholes that the code speaks of."""
    layer, rng = weights.layers[0], np.random.default_rng(9)
    kernel = layer.input_kernel * (4 if framework in ("onnx", "tf1", "mxnet") else 1)
    parts: Names = {"input_kernel": kernel}
    if framework == "mxnet":
        parts["bias"] = layer.bias + np.array([3, 4, 0, 0], np.float32)[:, None]  # c is kept, and so it grows
    if framework in ("tf1", "mxnet"):
        parts["projection"] = rng.uniform(-0.8, 0.8, (H, H)).astype(np.float32)
    if framework == "tf1":
        parts["peepholes"] = rng.uniform(-0.8, 0.8, (3, H)).astype(np.float32)
    return _each_layer(weights, **parts)


def _each_layer(weights: Weights, **fields: Any) -> Weights:
    return replace(weights, layers=tuple(replace(w, **fields) for w in weights.layers))


def wrong_case(rule: str, framework: str, right: Case) -> Case:
    """What the framework's plain layer gives for the same weights."""
    weights = right.weights
    assert weights is not None
    assert right.batch is not None
    spec = {
        "gru-reset-variant": replace(weights.spec, reset_after=not weights.spec.reset_after),
        "recurrent-activation": replace(
            weights.spec, recurrent_activation="hard_sigmoid" if framework == "mxnet" else "sigmoid"
        ),
        "clip-or-peephole-ignored": replace(weights.spec, cell_clip=None, proj_clip=None, gate_clip=None),
        "forget-bias": replace(weights.spec, forget_bias=1.0),
    }[rule]
    parts = {"peepholes": None} if rule == "clip-or-peephole-ignored" else {}
    layer = right.with_weights(_each_layer(replace(weights, spec=spec), **parts))
    return right.with_trace(layer.run(right.batch))


def code_of(rule: str, framework: str) -> str:
    code = conventions()[framework].fixes[rule]
    return code.partition("  #")[0]


def assert_mended(rule: str, framework: str, right: Case, trace: Trace) -> None:
    wrong = wrong_case(rule, framework, right)
    assert [f.rule for f in judge(wrong, rules()).findings if f.severity == "error"] == [rule], framework
    findings = [f for f in judge(right.with_trace(trace), rules()).findings if f.severity != "note"]
    assert not findings, (framework, code_of(rule, framework), [(f.rule, f.message) for f in findings])


def every(cases: dict[str, set[str]]) -> list[Any]:
    return [(rule, framework) for rule, frameworks in cases.items() for framework in sorted(frameworks)]


# --- a formula in a cell of the user's own


def namespace(framework: str) -> tuple[Names, Any]:
    """The framework's names, and what makes its arrays of numpy's; a stand-in's where it is not installed."""
    if framework == "torch":
        torch = pytest.importorskip("torch")
        return {"torch": torch, "F": torch.nn.functional}, torch.from_numpy
    if framework == "keras":
        keras = pytest.importorskip("keras", reason="keras is not installed")
        return {"keras": keras}, np.asarray
    if framework == "flax":
        jax = pytest.importorskip("jax", reason="jax is not installed")
        return {"jax": jax, "jnp": jax.numpy}, jax.numpy.asarray
    hard = SimpleNamespace(hard_sigmoid=_hard, hardsigmoid=_hard)
    like_numpy = SimpleNamespace(tanh=np.tanh, dot=np.dot, clip=np.clip)
    return {
        "haiku": {"jax": SimpleNamespace(nn=hard), "jnp": like_numpy},
        "paddle": {"paddle": like_numpy, "F": hard},
        "mxnet": {"nd": like_numpy},
    }[framework], np.asarray


def _hard(x: np.ndarray) -> np.ndarray:
    return np.clip(x / 6 + 0.5, 0, 1)


@pytest.mark.parametrize(("rule", "framework"), every(FORMULAS))
def test_a_formula_of_ones_own(rule: str, framework: str) -> None:
    """A cell with the line in its place gives what the weights were trained to give."""
    names, array = namespace(framework)
    target = {"gru-reset-variant": "n", "recurrent-activation": "gate", "clip-or-peephole-ignored": "c"}[rule]
    line = compile(code_of(rule, framework), rule, "exec")

    def formula(name: str, parts: dict[str, np.ndarray]) -> np.ndarray:
        if name != target:
            return plain(name, parts)
        into = {**names, "cell_clip": 0.5, **{key: array(np.asarray(a, np.float64)) for key, a in parts.items()}}
        exec(line, into)
        return np.asarray(into[name])

    right = right_case(rule, framework)
    assert_mended(rule, framework, right, run_own_cell(right, formula))


# --- a layer, a cell or a node that the code makes


@pytest.mark.parametrize(("rule", "framework"), every(LAYERS))
def test_a_layer_that_is_made_so(rule: str, framework: str) -> None:
    """It gives what the weights were trained to give."""
    right = right_case(rule, framework)
    assert_mended(rule, framework, right, MADE[framework](right, code_of(rule, framework)))


def traced(right: Case, outputs: Any, h: Any, c: Any = None) -> Trace:
    """The right trace with these arrays; outputs are zeroed where no step is real, as the convention may leave them."""
    (track,) = right.trace.tracks
    arrays = {"outputs": np.asarray(outputs), "final": np.asarray(h), "cell": None if c is None else np.asarray(c)}
    return replace(right.trace, tracks=(replace(track, **arrays),))


def by_keras(right: Case, code: str) -> Trace:
    keras = pytest.importorskip("keras", reason="keras is not installed")
    assert right.batch is not None
    assert right.weights is not None
    kinds = {
        name: functools.partial(getattr(keras.layers, name), return_sequences=True, return_state=True)
        for name in ("LSTM", "GRU")
    }
    layer = eval(code, {**kinds, "units": H})
    layer.build(right.batch.inputs.shape)
    layer.set_weights(list(conventions()["keras"].write_weights(right.weights).values()))
    return traced(right, *(a.detach() for a in layer(right.batch.inputs, mask=right.trace.mask)))


def by_flax(right: Case, code: str) -> Trace:
    pytest.importorskip("jax", reason="jax is not installed")
    nn = pytest.importorskip("flax.linen", reason="flax is not installed")
    assert right.batch is not None
    assert right.weights is not None
    params: Names = {}
    for name, array in conventions()["flax"].write_weights(right.weights).items():
        cell, part, kind = name.split("/")
        params.setdefault(cell, {}).setdefault(part, {})[kind] = array
    layer = nn.RNN(eval(code, {"nn": nn, "H": H}), return_carry=True)
    (c, h), outputs = layer.apply({"params": params}, right.batch.inputs, seq_lengths=right.trace.lengths)
    return traced(right, outputs, h, c)


def by_onnx(right: Case, code: str) -> Trace:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    assert right.batch is not None
    assert right.weights is not None
    made, cell = onnx.helper, right.weights.spec.cell
    outputs = ["Y", "Y_h", *(["Y_c"] if cell == "lstm" else [])]
    names: Names = {"onnx": onnx, "names": ["X", "W", "R", "B", "sequence_lens"], "outputs": outputs}
    exec(code, names)
    node = names["node"]
    node.attribute.append(made.make_attribute("hidden_size", H))
    arrays = conventions()["onnx"].write_weights(right.weights)
    fed = [
        made.make_tensor_value_info("X", onnx.TensorProto.FLOAT, ["T", "B", H]),
        made.make_tensor_value_info("sequence_lens", onnx.TensorProto.INT32, ["B"]),
    ]
    results = [made.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
    stored = [onnx.numpy_helper.from_array(arrays[name], name) for name in "WRB"]
    model = made.make_model(
        made.make_graph([node], "g", fed, results, stored), opset_imports=[made.make_opsetid("", 14)], ir_version=8
    )
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert right.trace.lengths is not None
    feed = {"X": right.batch.inputs.swapaxes(0, 1), "sequence_lens": right.trace.lengths.astype(np.int32)}
    y, *states = session.run(None, feed)
    return traced(right, y[:, 0].swapaxes(0, 1), *(state[0] for state in states))


def by_stand_in(framework: str, right: Case, code: str) -> Trace:
    """A layer that computes what its arguments say, on the case's arrays; what is not stated is the default."""
    assert right.weights is not None
    assert right.batch is not None
    default = conventions()[framework].spec(right.weights.spec.cell, {})
    parts: Names = {"peepholes": None, "projection": None}

    def cell(units: int, **options: Any) -> CellSpec:
        assert units == H
        (layer,) = right.weights.layers  # type: ignore[union-attr]
        if options.pop("use_peepholes", False):
            parts["peepholes"] = layer.peepholes
        if options.pop("num_proj", None) or options.pop("projection_size", None):
            parts["projection"] = layer.projection
        if "state_clip_max" in options:
            assert options.pop("state_clip_min") == -options["state_clip_max"]
            options["cell_clip"] = options.pop("state_clip_max")
        return replace(default, **options)

    def reset_after(units: int) -> CellSpec:
        return replace(default, reset_after=True)

    keras = SimpleNamespace(layers=SimpleNamespace(LSTMCell=cell))
    contrib = SimpleNamespace(cudnn_rnn=SimpleNamespace(CudnnCompatibleGRUCell=reset_after))
    names: Names = {"tf": SimpleNamespace(keras=keras, contrib=contrib), "LSTMCell": cell, "units": H, "size": H}
    names |= {"rnn": SimpleNamespace(LSTM=cell, LSTMCell=cell), "H": H, "P": H}
    spec = eval(code, names)
    if "keras" in code:  # Keras holds its forget bias in the weights
        spec = replace(spec, forget_bias=right.weights.spec.forget_bias)
    weights = _each_layer(replace(right.weights, spec=spec), **parts)
    return right.with_weights(weights).run(right.batch)


MADE = {
    "keras": by_keras,
    "flax": by_flax,
    "onnx": by_onnx,
    "tf1": functools.partial(by_stand_in, "tf1"),
    "mxnet": functools.partial(by_stand_in, "mxnet"),
}
