"""Frameworks' own code against a mistake, run where the framework is installed: it gives what each row gives alone."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnninspect.conventions import conventions

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LENGTHS = np.array([3, 6, 1, 4])
B, T, F, H = 4, 6, 3, 5
MASK = np.arange(T) < LENGTHS[:, None]
INPUTS = np.where(MASK[..., None], np.random.default_rng(2).normal(size=(B, T, F)), 0.7).astype(np.float32)
ORDER = np.argsort(-LENGTHS)
CELLS = ("lstm", "gru", "rnn")

Names = dict[str, Any]


def ran(framework: str, kind: str, rule: str, /, **names: Any) -> Names:
    """The names after the framework's code; `_` is what its last line gives, where that gives something."""
    names |= {"np": np, "B": B, "T": T, "lengths": names.get("lengths", LENGTHS), "mask": names.get("mask", MASK)}
    code = conventions()[framework].fix(rule, cell=kind)  # type: ignore[arg-type]
    assert code is not None
    tree = ast.parse(code)
    if isinstance(tree.body[-1], ast.Expr):
        tree.body[-1] = ast.copy_location(ast.Assign([ast.Name("_", ast.Store())], tree.body[-1].value), tree.body[-1])
    exec(compile(ast.fix_missing_locations(tree), rule, "exec"), names)
    return names


def close(values: Any, right: Any) -> None:
    values = values.detach() if hasattr(values, "detach") else values
    np.testing.assert_allclose(np.asarray(values), right, rtol=1e-5, atol=1e-6)


def zeroed(outputs: np.ndarray) -> np.ndarray:
    return np.where(MASK[..., None], outputs, 0)


# --- ONNX Runtime


@functools.cache
def session(cell: str, directions: int) -> Any:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    rng, gates, made = np.random.default_rng(5), {"lstm": 4, "gru": 3, "rnn": 1}[cell], onnx.helper
    shapes = {"W": (gates * H, F), "R": (gates * H, H), "B": (2 * gates * H,)}
    weights = [
        onnx.numpy_helper.from_array(rng.normal(size=(directions, *shape)).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    outputs = ["Y", "Y_h", *(["Y_c"] if cell == "lstm" else [])]
    way = "bidirectional" if directions == 2 else "forward"
    names = ["X", "W", "R", "B", "sequence_lens"]
    node = made.make_node(cell.upper(), names, outputs, hidden_size=H, direction=way)
    graph_inputs = [
        made.make_tensor_value_info("X", onnx.TensorProto.FLOAT, ["T", "B", F]),
        made.make_tensor_value_info("sequence_lens", onnx.TensorProto.INT32, ["B"]),
    ]
    results = [made.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
    graph = made.make_graph([node], "g", graph_inputs, results, weights)
    model = made.make_model(graph, opset_imports=[made.make_opsetid("", 14)], ir_version=8)
    return runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def onnx_run(cell: str, directions: int, x: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    fed = {"X": x.swapaxes(0, 1), "sequence_lens": lengths.astype(np.int32)}
    return list(session(cell, directions).run(None, fed))


def onnx_alone(cell: str, directions: int) -> np.ndarray:
    """`[D, B, H]`: each row's state, of a run over its real steps alone."""
    rows = [onnx_run(cell, directions, INPUTS[b : b + 1, :n], np.array([n]))[1] for b, n in enumerate(LENGTHS)]
    return np.concatenate(rows, 1)


@pytest.mark.parametrize("cell", CELLS)
def test_onnx_states(cell: str) -> None:
    """Lengths that are fed, the state and not the last column, and the rows in their order again."""
    right, x = onnx_alone(cell, 1), INPUTS.swapaxes(0, 1)
    run = functools.partial(ran, "onnx", cell, session=session(cell, 1), x=x)
    assert not np.allclose(onnx_run(cell, 1, INPUTS, np.full(B, T))[1], right)
    close(run("lengths-ignored")["Y_h"], right)
    feed = {"X": x, "sequence_lens": LENGTHS.astype(np.int32)}
    close(run("last-column-as-final-state", feed=feed)["final"], right[0])
    y_h = onnx_run(cell, 1, INPUTS[ORDER], LENGTHS[ORDER])[1]
    put_back = run("rows-permuted", Y_h=y_h, Y_c=-y_h, order=ORDER)
    close(put_back["Y_h"], right)
    close(-put_back["Y_c"], right if cell == "lstm" else y_h)
    outputs = onnx_run(cell, 1, INPUTS, LENGTHS)[0]
    close(run("padding-computed", Y=outputs + 0)["Y"], outputs)
    computed = onnx_run(cell, 1, INPUTS, np.full(B, T))[0]
    close(run("padding-computed", Y=computed)["Y"], outputs)
    close(run("mask-hole", Y=onnx_run(cell, 1, INPUTS, np.full(B, T))[0])["Y"], outputs)
    index = run("flat-gather-wrong-stride")["index"]
    close(outputs[:, 0].reshape(T * B, H)[index], right[0])
    close(run("batch-time-swapped", x=INPUTS)["x"], x)
    assert run("length-exceeds-time", lengths=LENGTHS + 2)["lengths"].max() == T
    left = np.zeros((T, B, F), dtype=np.float32)
    for b, n in enumerate(LENGTHS):
        run("left-padded", x=left, b=b, n=n, row=INPUTS[b, :n])
    close(onnx_run(cell, 1, left.swapaxes(0, 1), LENGTHS)[1], right)


@pytest.mark.parametrize("cell", CELLS)
def test_onnx_directions(cell: str) -> None:
    """Both halves of the state, from whatever mistake: the forward one, then the backward one, of each row."""
    right = np.concatenate(list(onnx_alone(cell, 2)), -1)
    outputs, y_h, *_ = onnx_run(cell, 2, INPUTS, LENGTHS)
    for rule in (
        "backward-final-at-last-step",
        "directions-exchanged",
        "direction-missing",
        "direction-duplicated",
        "state-reshaped-not-transposed",
        "state-read-batch-first",
    ):
        close(ran("onnx", cell, rule, Y_h=y_h)["final"], right)
    side = ran("onnx", cell, "directions-interleaved", Y=outputs)["outputs"]
    close(side[np.arange(B), LENGTHS - 1, :H], right[:, :H])
    close(side[:, 0, H:], right[:, H:])


def test_onnx_c_is_not_h() -> None:
    """h comes before c, by name."""
    feed = {"X": INPUTS.swapaxes(0, 1), "sequence_lens": LENGTHS.astype(np.int32)}
    for rule in ("cell-hidden-swapped", "cell-overwritten-by-hidden"):
        names = ran("onnx", "lstm", rule, session=session("lstm", 1), feed=feed)
        close(names["Y_h"], onnx_alone("lstm", 1))
        assert not np.allclose(names["Y_c"], names["Y_h"])


# --- torch, in two directions


@pytest.mark.parametrize("cell", CELLS)
def test_torch_directions(cell: str) -> None:
    """A packed run reads no padding from either end, and both halves of the state are the rows' own."""
    torch = pytest.importorskip("torch")
    from torch.nn.utils import rnn

    torch.manual_seed(3)
    layer = getattr(torch.nn, cell.upper())(F, H, batch_first=True, bidirectional=True)
    h_of = (lambda state: state[0]) if cell == "lstm" else (lambda state: state)
    x = torch.from_numpy(INPUTS)
    alone = torch.cat([h_of(layer(x[b : b + 1, :n])[1]) for b, n in enumerate(LENGTHS)], 1)
    right = torch.cat(list(alone), -1).detach().numpy()
    run = functools.partial(ran, "torch", cell, **{**vars(rnn), "torch": torch, cell: layer, "x": x})
    for rule in ("backward-read-padding", "lengths-ignored"):
        names = run(rule, lengths=torch.from_numpy(LENGTHS))
        h_n = names["h_n"]
        close(names["output"][:, 0, H:], right[:, H:])  # the way back read no padding
        assert not names["output"][~torch.from_numpy(MASK)].any()
        for taken in (
            "backward-final-at-last-step",
            "directions-exchanged",
            "state-reshaped-not-transposed",
            "state-read-batch-first",
        ):
            close(run(taken, h_n=h_n)["final"], right)


# --- Keras, on torch


@functools.cache
def keras_layer(cell: str, **options: Any) -> Any:
    """A layer whose weights are the same each time."""
    return keras_class(cell)(H, return_sequences=True, return_state=True, **options)


def keras_class(cell: str) -> Any:
    keras = pytest.importorskip("keras", reason="keras is not installed")
    kind = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}[cell]
    start = keras.initializers
    return functools.partial(
        getattr(keras.layers, kind),
        kernel_initializer=start.GlorotUniform(seed=1),
        recurrent_initializer=start.GlorotUniform(seed=2),
        bias_initializer=start.RandomUniform(-0.3, 0.3, seed=3),
    )


def keras_alone(cell: str, layer: Any) -> np.ndarray:
    """`[B, H]`, or `[B, 2H]`: each row's state, of a run over its real steps alone."""
    rows = [layer(INPUTS[b : b + 1, :n])[1:] for b, n in enumerate(LENGTHS)]
    kept = slice(None, None, 2) if cell == "lstm" else slice(None)
    return np.concatenate([np.concatenate([s.detach() for s in states[kept]], -1) for states in rows])


@pytest.mark.parametrize("cell", ["lstm", pytest.param("gru", marks=pytest.mark.long)])
def test_keras_states(cell: str) -> None:
    """A mask that arrives, the state that is returned, zeros where they are asked for, and the rows in order again."""
    layer = keras_layer(cell)
    right = keras_alone(cell, layer)
    names: Names = {"keras": pytest.importorskip("keras"), "inputs": INPUTS, "units": H, "layer": layer}
    names |= {name: keras_class(k) for name, k in (("LSTM", "lstm"), ("GRU", "gru"), ("SimpleRNN", "rnn"))}
    run = functools.partial(ran, "keras", cell, **names)
    assert not np.allclose(layer(INPUTS)[1].detach(), right)
    close(run("lengths-ignored")["outputs"][1], right)
    close(run("last-column-as-final-state")["h"], right)
    final = layer(INPUTS[ORDER], mask=MASK[ORDER])[1]
    put_back = run("rows-permuted", h=final, c=-final, order=ORDER)
    close(put_back["h"], right)
    close(-put_back["c"], right if cell == "lstm" else final.detach())
    outputs = run("padding-computed")["_"](INPUTS, mask=MASK).detach().numpy()
    close(outputs, zeroed(outputs))
    close(outputs[np.arange(B), LENGTHS - 1], right)
    rows = [INPUTS[b, :n] for b, n in enumerate(LENGTHS)]
    for rule in ("left-padded", "truncated-time-axis"):
        close(run(rule, rows=rows)["inputs"], zeroed(INPUTS))


@pytest.mark.parametrize("cell", ["lstm", pytest.param("gru", marks=pytest.mark.long)])
def test_keras_directions(cell: str) -> None:
    """Both directions' states are the rows' own, though padding lies behind."""
    keras = pytest.importorskip("keras", reason="keras is not installed")
    names: Names = {
        "keras": keras,
        "inputs": INPUTS,
        "layer": keras_layer(cell),
        "Bidirectional": keras.layers.Bidirectional,
    }
    right = keras_alone(cell, keras.layers.Bidirectional(keras_layer(cell)))
    for rule in ("backward-final-at-last-step", "directions-exchanged"):
        made = ran("keras", cell, rule, **names)
        halves = {"fw_h": made["fw_h"], "bw_h": made["bw_h"]}
        close(np.concatenate([halves["fw_h"].detach(), halves["bw_h"].detach()], -1), right)
    for rule in ("direction-missing", "direction-duplicated", "state-reshaped-not-transposed"):
        close(ran("keras", cell, rule, keras=keras, **halves)["final"], right)
    close(ran("keras", cell, "backward-read-padding", **names)["_"][0].detach()[:, 0, H:], right[:, H:])
    backwards = keras_layer(cell, go_backwards=True)
    outputs_bw = backwards(INPUTS, mask=MASK)[0]
    flipped = ran("keras", cell, "backward-not-flipped", keras=keras, outputs_bw=outputs_bw)["outputs_bw"]
    close(flipped[:, 0], keras_alone(cell, backwards))


# --- Flax


def in_flax(cell: str, call: Callable[..., Any]) -> Any:
    """What `call(nn, jax, new_cell)` gives within a module; weights depend on where a cell stands alone."""
    jax = pytest.importorskip("jax", reason="jax is not installed")
    nn = pytest.importorskip("flax.linen", reason="flax is not installed")
    kind = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.SimpleCell}[cell]
    made: list[Any] = []

    class Model(nn.Module):  # type: ignore[misc, name-defined]
        @nn.compact
        def __call__(self) -> int:
            made.append(call(nn, jax, functools.partial(kind, H, bias_init=nn.initializers.normal(0.3))))
            return 0

    Model().init(jax.random.key(0))
    return made[0]


def flax_ran(cell: str, rule: str, **names: Any) -> Names:
    return dict(
        in_flax(cell, lambda nn, jax, new: ran("flax", cell, rule, nn=nn, jax=jax, jnp=jax.numpy, cell=new(), **names))
    )


def flax_run(cell: str, directions: int, x: np.ndarray, lengths: np.ndarray | None = None) -> Any:
    """Carry and outputs of a layer in one direction or two."""

    def call(nn: Any, _: Any, new: Any) -> Any:
        layers = [nn.RNN(new(), return_carry=True) for _ in range(directions)]
        return (layers[0] if directions == 1 else nn.Bidirectional(*layers, return_carry=True))(x, seq_lengths=lengths)

    return in_flax(cell, call)


def h_of(carry: Any) -> np.ndarray:
    return np.asarray(carry[1] if isinstance(carry, tuple) else carry)


@pytest.mark.parametrize(
    "cell", ["lstm", pytest.param("gru", marks=pytest.mark.long), pytest.param("rnn", marks=pytest.mark.long)]
)
def test_flax_states(cell: str) -> None:
    """Lengths that are fed, the carry that is returned, zeroed padding, and the rows in their order again."""
    right = np.concatenate([h_of(flax_run(cell, 1, INPUTS[b : b + 1, :n])[0]) for b, n in enumerate(LENGTHS)])
    assert not np.allclose(h_of(flax_run(cell, 1, INPUTS)[0]), right)
    fed = flax_ran(cell, "lengths-ignored", x=INPUTS)
    close(h_of(fed["carry"]), right)
    close(flax_ran(cell, "last-column-as-final-state", x=INPUTS)["h"], right)
    carry, _ = flax_run(cell, 1, INPUTS[ORDER], LENGTHS[ORDER])
    close(h_of(flax_ran(cell, "rows-permuted", carry=carry, order=ORDER)["carry"]), right)
    outputs = np.asarray(fed["outputs"])
    close(flax_ran(cell, "padding-computed", outputs=outputs)["outputs"], zeroed(outputs))
    close(flax_ran(cell, "mask-hole", outputs=outputs)["outputs"], zeroed(outputs))
    for b, n in enumerate(LENGTHS):
        close(flax_ran(cell, "left-padded", row=INPUTS[b, :n], n=n)["x"], zeroed(INPUTS)[b])


@pytest.mark.parametrize(
    "cell", ["rnn", pytest.param("gru", marks=pytest.mark.long), pytest.param("lstm", marks=pytest.mark.long)]
)
def test_flax_directions(cell: str) -> None:
    """Both directions' states are the rows' own, and what the backward pass reads is turned within each length."""
    rows = [flax_run(cell, 2, INPUTS[b : b + 1, :n])[0] for b, n in enumerate(LENGTHS)]
    right = np.concatenate([np.concatenate([h_of(half) for half in halves], -1) for halves in rows])
    carry, _ = flax_run(cell, 2, INPUTS, LENGTHS)
    for rule in ("backward-final-at-last-step", "directions-exchanged", "direction-missing", "direction-duplicated"):
        close(flax_ran(cell, rule, carry=carry)["final"], right)
    fw_h, bw_h = map(h_of, carry)
    close(flax_ran(cell, "state-reshaped-not-transposed", fw_h=fw_h, bw_h=bw_h)["final"], right)
    turned = flax_ran(cell, "backward-read-padding", flax=pytest.importorskip("flax"), x=INPUTS)["_"]
    for b, n in enumerate(LENGTHS):
        close(turned[b, :n], INPUTS[b, :n][::-1])
