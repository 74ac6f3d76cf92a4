"""The engine against what people run: torch's own layers on packed batches, and ONNX Runtime's operators."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnninspect.core.batch import Batch
from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import DIRECTIONS, Direction, prefix_mask
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.engine import run
from tests.support.oracles import random_layer, random_stack
from tests.support.places import ROOT

# ONNX stacks i, o, f, c and z, r, h, and its peepholes are i, o, f.
ONNX_ORDER = {"lstm": [0, 3, 1, 2], "gru": [1, 0, 2], "rnn": [0]}
ONNX_DIRECTION = {("forward",): "forward", ("backward",): "reverse", DIRECTIONS: "bidirectional"}


def torch_layer(weights: Weights) -> torch.nn.RNNBase:
    """torch's own layer with these weights."""
    spec, first = weights.spec, weights.layers[0]
    kind: Any = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[spec.cell]
    options: dict[str, Any] = {"nonlinearity": spec.activation} if spec.cell == "rnn" else {}
    if first.projection is not None:
        options["proj_size"] = first.units
    module: torch.nn.RNNBase = kind(
        first.features,
        first.cell_units,
        num_layers=weights.depth,
        bidirectional=len(weights.directions) == 2,
        batch_first=True,
        **options,
    )
    for w in weights.layers:
        suffix = f"_l{w.layer}" + ("_reverse" if w.direction == "backward" else "")
        arrays = {
            "weight_ih": w.input_kernel.transpose(0, 2, 1),
            "weight_hh": w.recurrent_kernel.transpose(0, 2, 1),
            "bias_ih": w.bias,
            "bias_hh": w.recurrent_bias,
            "weight_hr": None if w.projection is None else w.projection.T,
        }
        for name, array in arrays.items():
            if array is not None:
                parameter = getattr(module, name + suffix)
                parameter.data = torch.from_numpy(np.ascontiguousarray(array)).reshape(parameter.shape)
    return module


@given(
    cell=st.sampled_from(["lstm", "gru", "rnn"]),
    relu=st.booleans(),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    features=st.integers(1, 6),
    units=st.integers(2, 9),
    layers=st.integers(1, 3),
    both=st.booleans(),
    projected=st.booleans(),
    started=st.booleans(),
    double=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_torch_gives_the_same(
    cell: str,
    relu: bool,
    lengths: list[int],
    features: int,
    units: int,
    layers: int,
    both: bool,
    projected: bool,
    started: bool,
    double: bool,
) -> None:
    """Any of torch's layers on a packed batch gives the same outputs, h and c, in the same places."""
    dtype = "float64" if double else "float32"
    spec = CellSpec(cell, activation="relu" if relu and cell == "rnn" else "tanh")  # type: ignore[arg-type]
    options = {"projected": 1 + units // 2 if units > 2 else 1} if projected and cell == "lstm" else {}
    directions: tuple[Direction, ...] = DIRECTIONS if both else ("forward",)
    rng = np.random.default_rng(5)
    weights = random_stack(rng, spec, features, units, layers=layers, directions=directions, dtype=dtype, **options)
    rows, steps, places = len(lengths), 12, layers * len(directions)
    inputs = rng.normal(size=(rows, steps, features)).astype(dtype)
    first = weights.layers[0]
    h0 = rng.normal(size=(places, rows, first.units)).astype(dtype) * started
    c0 = rng.normal(size=(places, rows, first.cell_units)).astype(dtype) * started
    initial = {(w.layer, w.direction): (h, c) for w, h, c in zip(weights.layers, h0, c0, strict=True)}
    tracks = run.run(Batch(inputs, prefix_mask(lengths, steps)), weights, initial=initial if started else None)

    with torch.inference_mode():
        data = pack_padded_sequence(
            torch.from_numpy(inputs), torch.tensor(lengths), batch_first=True, enforce_sorted=False
        )
        start = (torch.from_numpy(h0), torch.from_numpy(c0))
        out, state = torch_layer(weights)(data, start if cell == "lstm" else start[0])
        top = pad_packed_sequence(out, batch_first=True, total_length=steps)[0].numpy()
    h_n, c_n = (state[0].numpy(), state[1].numpy()) if cell == "lstm" else (state.numpy(), None)
    # relu is unbounded: a small sum of large terms is off by their rounding, not by its own.
    scale = max(1.0, *(float(np.abs(t.outputs).max()) for t in tracks))  # type: ignore[arg-type]
    tolerance = {"rtol": 1e-12, "atol": 1e-12 * scale} if double else {"rtol": 1e-5, "atol": 1e-5 * scale}
    mine = [t.outputs for t in tracks if t.layer == layers - 1]
    np.testing.assert_allclose(np.concatenate(mine, axis=2), top, **tolerance)  # type: ignore[arg-type]
    for place, track in enumerate(tracks):
        np.testing.assert_allclose(track.final, h_n[place], **tolerance)
        if c_n is not None:
            np.testing.assert_allclose(track.cell, c_n[place], **tolerance)


def onnx_arrays(cell: str, layers: tuple[LayerWeights, ...]) -> dict[str, np.ndarray]:
    """`W`, `R`, `B` and, where there are peepholes, `P`, with their directions' axis."""
    order = ONNX_ORDER[cell]

    def stacked(kernel: np.ndarray) -> np.ndarray:
        return kernel[order].transpose(0, 2, 1).reshape(-1, kernel.shape[1])

    arrays = {
        "W": np.stack([stacked(w.input_kernel) for w in layers]),
        "R": np.stack([stacked(w.recurrent_kernel) for w in layers]),
        "B": np.stack(
            [np.concatenate([np.asarray(b)[order].ravel() for b in (w.bias, w.recurrent_bias)]) for w in layers]
        ),
    }
    if layers[0].peepholes is not None:
        arrays["P"] = np.stack([np.asarray(w.peepholes)[[0, 2, 1]].ravel() for w in layers])
    return arrays


def onnx_run(
    weights: Weights, inputs: np.ndarray, lengths: np.ndarray, states: dict[str, np.ndarray], **attributes: Any
) -> dict[str, np.ndarray]:
    """What ONNX Runtime gives: `Y` `[T, D, B, H]`, `Y_h` and, for an LSTM, `Y_c` `[D, B, H]`."""
    cell = weights.spec.cell
    feed = {"X": inputs.swapaxes(0, 1), **onnx_arrays(cell, weights.layers), "sequence_lens": lengths.astype(np.int32)}
    feed |= states
    wanted = ["X", "W", "R", "B", "sequence_lens", "initial_h", *(["initial_c", "P"] if cell == "lstm" else [])]
    given_names = [name if name in feed else "" for name in wanted]
    results = ["Y", "Y_h", "Y_c"][: 3 if cell == "lstm" else 2]
    kind = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}
    node = helper.make_node(
        cell.upper(),
        given_names,
        results,
        hidden_size=weights.layers[0].units,
        direction=ONNX_DIRECTION[weights.directions],
        **attributes,
    )
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info(n, kind[str(a.dtype)], a.shape) for n, a in feed.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in results],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    settings_ = onnxruntime.SessionOptions()
    settings_.intra_op_num_threads = 1
    settings_.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings_, providers=["CPUExecutionProvider"])
    return dict(zip(results, session.run(results, feed), strict=True))


def agrees_with_onnx(weights: Weights, *, seed: int = 6, lengths: Any = (3, 6, 1, 5, 4), **attributes: Any) -> None:
    """Runs both on one batch from random initial states and compares everything, padding too."""
    rng = np.random.default_rng(seed)
    ends, first = np.array(lengths), weights.layers[0]
    rows, steps, both = len(ends), 6, len(weights.directions)
    inputs = rng.normal(size=(rows, steps, first.features)).astype(np.float32)
    states = {"initial_h": rng.normal(size=(both, rows, first.units)).astype(np.float32)}
    if weights.spec.cell == "lstm":
        states["initial_c"] = rng.normal(size=(both, rows, first.units)).astype(np.float32)
    want = onnx_run(weights, inputs, ends, states, **attributes)
    c0 = states.get("initial_c", [None] * both)
    initial = {(0, d): (states["initial_h"][k], c0[k]) for k, d in enumerate(weights.directions)}
    tracks = run.run(Batch(inputs, prefix_mask(ends, steps)), weights, initial=initial)
    for k, track in enumerate(tracks):
        np.testing.assert_allclose(track.outputs, want["Y"][:, k].swapaxes(0, 1), rtol=1e-5, atol=2e-6)
        np.testing.assert_allclose(track.final, want["Y_h"][k], rtol=1e-5, atol=2e-6)
        if track.cell is not None:
            np.testing.assert_allclose(track.cell, want["Y_c"][k], rtol=1e-5, atol=2e-6)


def onnx_weights(spec: CellSpec, directions: tuple[Direction, ...] = ("forward",), **options: Any) -> Weights:
    rng = np.random.default_rng(7)
    return Weights(spec, tuple(random_layer(rng, spec.cell, 3, 4, direction=d, **options) for d in directions))


@pytest.mark.parametrize("directions", [("forward",), ("backward",), DIRECTIONS], ids=["fw", "bw", "both"])
@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize("clip", [None, 0.6])
@pytest.mark.parametrize("coupled", [False, True])
def test_onnx_runtime_lstms(
    directions: tuple[Direction, ...], peepholes: bool, clip: float | None, coupled: bool
) -> None:
    """The LSTM operator with peepholes, clip and coupled gates, in every direction, with lengths."""
    weights = onnx_weights(CellSpec("lstm", gate_clip=clip, input_forget=coupled), directions, peepholes=peepholes)
    agrees_with_onnx(weights, input_forget=int(coupled), **({} if clip is None else {"clip": clip}))


@pytest.mark.parametrize("directions", [("forward",), ("backward",), DIRECTIONS], ids=["fw", "bw", "both"])
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("clip", [None, 0.6])
def test_onnx_runtime_grus(directions: tuple[Direction, ...], after: int, clip: float | None) -> None:
    """The GRU operator, the reset gate before and after the product, with clip, in every direction, with lengths."""
    weights = onnx_weights(CellSpec("gru", reset_after=bool(after), gate_clip=clip), directions)
    agrees_with_onnx(weights, linear_before_reset=after, **({} if clip is None else {"clip": clip}))


ONNX_ACTIVATIONS = {
    "Tanh": ("tanh", None, None),
    "Sigmoid": ("sigmoid", None, None),
    "Relu": ("relu", None, None),
    "Softsign": ("softsign", None, None),
    "Softplus": ("softplus", None, None),
    "HardSigmoid": ("hard_sigmoid", 0.3, 0.4),
    "LeakyRelu": ("leaky_relu", 0.2, None),
    "ThresholdedRelu": ("thresholded_relu", 0.3, None),
    "Elu": ("elu", 0.8, None),
    "ScaledTanh": ("scaled_tanh", 1.2, 0.7),
    "Affine": ("affine", 0.6, 0.1),
}


@pytest.mark.parametrize("name", list(ONNX_ACTIVATIONS))
@pytest.mark.parametrize("directions", [("forward",), ("backward",), DIRECTIONS], ids=["fw", "bw", "both"])
def test_onnx_runtime_rnns(name: str, directions: tuple[Direction, ...]) -> None:
    """The RNN operator with every activation of the specification, its alpha and beta, in every direction."""
    activation, alpha, beta = ONNX_ACTIVATIONS[name]
    both = len(directions)
    spec = CellSpec(
        "rnn",
        activation=activation,
        activation_alpha=() if alpha is None else (("candidate", alpha),),
        activation_beta=() if beta is None else (("candidate", beta),),
    )
    node_attributes: dict[str, Any] = {"activations": [name] * both}
    if alpha is not None:
        node_attributes["activation_alpha"] = [alpha] * both
    if beta is not None:
        node_attributes["activation_beta"] = [beta] * both
    agrees_with_onnx(onnx_weights(spec, directions), **node_attributes)


@pytest.mark.parametrize("name", ["HardSigmoid", "LeakyRelu", "Elu"])
def test_onnx_runtime_defaults_of_alpha_and_beta(name: str) -> None:
    """Without alpha and beta, the defaults are those of the ONNX operators."""
    agrees_with_onnx(onnx_weights(CellSpec("rnn", activation=ONNX_ACTIVATIONS[name][0])), activations=[name])


@pytest.mark.parametrize("name", ["ThresholdedRelu", "ScaledTanh", "Affine"])
def test_onnx_runtime_takes_missing_parameters_as_zero(name: str) -> None:
    """Where a model states no alpha for these three, ONNX Runtime takes 0, whatever the specification says."""
    zero = (("candidate", 0.0),)
    spec = CellSpec("rnn", activation=ONNX_ACTIVATIONS[name][0], activation_alpha=zero, activation_beta=zero)
    agrees_with_onnx(onnx_weights(spec), activations=[name])


def test_onnx_runtime_activations_by_role() -> None:
    """In an LSTM and a GRU each role has its own activation, alpha and beta."""
    lstm = CellSpec(
        "lstm",
        recurrent_activation="hard_sigmoid",
        activation="leaky_relu",
        output_activation="softsign",
        activation_alpha=(("recurrent", 0.3), ("candidate", 0.1)),
        activation_beta=(("recurrent", 0.45),),
    )
    names = ["HardSigmoid", "LeakyRelu", "Softsign"]
    agrees_with_onnx(
        onnx_weights(lstm, peepholes=True), activations=names, activation_alpha=[0.3, 0.1], activation_beta=[0.45]
    )
    gru = CellSpec("gru", recurrent_activation="hard_sigmoid", activation="relu", reset_after=False)
    agrees_with_onnx(onnx_weights(gru), activations=["HardSigmoid", "Relu"])


@given(
    cell=st.sampled_from(["lstm", "gru"]),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=7),
    directions=st.sampled_from([("forward",), ("backward",), DIRECTIONS]),
    flag=st.booleans(),
    clip=st.none() | st.floats(0.25, 2, width=32),
    seed=st.integers(0, 999),
)
@settings(max_examples=40, deadline=None)
def test_onnx_runtime_on_any_lengths(
    cell: str, lengths: list[int], directions: tuple[Direction, ...], flag: bool, clip: float | None, seed: int
) -> None:
    """Random batches, options together, in every direction."""
    fields = {"input_forget": flag} if cell == "lstm" else {"reset_after": flag}
    node_attributes: dict[str, Any] = {("input_forget" if cell == "lstm" else "linear_before_reset"): int(flag)}
    if clip is not None:
        node_attributes["clip"] = clip
    weights = onnx_weights(CellSpec(cell, gate_clip=clip, **fields), directions)  # type: ignore[arg-type]
    agrees_with_onnx(weights, lengths=lengths, seed=seed, **node_attributes)


def test_the_benchmark_runs() -> None:
    """The forward benchmark runs at tiny sizes, with every cell, and its ways agree with each other."""
    script = ROOT / "tests" / "benchmarks" / "forward.py"
    done = subprocess.run(
        [sys.executable, str(script), "--tiny", "--cells", "all"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for cell in ("lstm", "gru", "rnn", "lstm, peepholes and clip", "lstm, hard sigmoid", "gru, reset before"):
        assert f"\n{cell} (ms)\n" in done.stdout
    assert "real steps" in done.stdout
