"""Weights moved between frameworks: what is bent to fit, what is refused, and that both layers compute the same."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnninspect import conventions
from rnninspect.api import convert as convert_module
from rnninspect.api.convert import attributes, convert, largest_difference, move
from rnninspect.cli import call
from rnninspect.core.cell import CellSpec
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.weights import Weights
from rnninspect.errors import UnknownNameError, UserError
from rnninspect.formats.base import NamedArrays
from tests.support.logical import directions_of, logical_weights
from tests.support.oracles import random_stack, run_stack

NAMES = list(conventions.conventions())
RESET_BEFORE = {"tf1", "haiku", "keras", "onnx"}
RESET_AFTER = {"flax", "keras", "mxnet", "onnx", "paddle", "torch"}


def moved(weights: Weights, to: str) -> Weights:
    """The weights as the other framework reads them, with its defaults and what is to be stated beside."""
    config = LayerConfig(cell=weights.spec.cell, layers=weights.depth, attributes=attributes(weights, to))
    return conventions.get(to).read_weights(convert(weights, to), config)


@pytest.mark.parametrize(("source", "to"), list(permutations(NAMES, 2)))
def test_the_forget_bias_moves_in_and_out(source: str, to: str) -> None:
    """Whatever adds 1 at run time, the forget gate's whole bias is the same in every framework, and no other's."""
    convention = conventions.get(source)
    weights = logical_weights(convention.spec("lstm", {}), 2, directions_of(2), convention=source)
    target = moved(weights, to)
    for before, after in zip(weights.layers, target.layers, strict=True):
        whole = [
            w.bias + (0 if w.recurrent_bias is None else w.recurrent_bias) + spec.forget_bias * np.eye(4)[1][:, None]
            for w, spec in ((before, weights.spec), (after, target.spec))
        ]
        assert np.allclose(whole[0], whole[1], rtol=0, atol=1e-15)
        assert np.array_equal(before.input_kernel, after.input_kernel)
        assert np.array_equal(before.recurrent_kernel, after.recurrent_kernel)


@pytest.mark.parametrize("to", [name for name in NAMES if "gru" in conventions.get(name).cells])
@pytest.mark.parametrize("reset_after", [True, False])
def test_a_gru_goes_only_where_it_resets_alike(to: str, reset_after: bool) -> None:
    """A GRU keeps both of its biases, and is refused where the reset gate is on the other side of the product."""
    weights = logical_weights(CellSpec("gru", reset_after=reset_after), two_biases=reset_after)
    if to not in (RESET_AFTER if reset_after else RESET_BEFORE):
        with pytest.raises(
            UserError, match=f"{to} has no GRU that applies the reset gate {'after' if reset_after else 'before'}"
        ):
            convert(weights, to)
        return
    after = moved(weights, to).layers[0]
    second = np.zeros_like(after.bias) if after.recurrent_bias is None else after.recurrent_bias
    before = weights.layers[0]
    assert before.recurrent_bias is None or np.array_equal(second[2], before.recurrent_bias[2])
    merged = before.bias + (0 if before.recurrent_bias is None else before.recurrent_bias)
    assert np.allclose(after.bias + second, merged, rtol=0, atol=1e-15)


def test_what_to_state_beside_the_arrays() -> None:
    """Attributes that the target's defaults do not give, under the target's own names."""
    lstm = logical_weights(CellSpec("lstm", cell_clip=3.0), projection=2, peepholes=True)
    assert attributes(lstm, "tf1") == {"cell_clip": 3.0, "use_peepholes": True, "num_proj": 2}
    assert attributes(logical_weights(CellSpec("lstm")), "tf1") == {}
    assert attributes(logical_weights(CellSpec("gru", reset_after=False)), "keras") == {"reset_after": False}
    assert attributes(logical_weights(CellSpec("rnn")), "mxnet") == {"activation": "tanh"}
    hard = CellSpec("lstm", recurrent_activation="hard_sigmoid_keras3", activation="relu", output_activation="relu")
    assert attributes(logical_weights(hard), "keras") == {
        "activation": "relu",
        "recurrent_activation": "hard_sigmoid_keras3",
    }
    onnx = attributes(logical_weights(hard), "onnx")
    assert onnx["activations"] == ["HardSigmoid", "Relu", "Relu"]
    assert onnx["activation_alpha"] == pytest.approx([1 / 6])


def test_refusals_name_the_reason() -> None:
    """What moving weights cannot make up for is refused, with the part that the framework lacks."""
    for spec, more, to, message in (
        (CellSpec("lstm"), {"peepholes": True}, "keras", "peepholes"),
        (CellSpec("lstm"), {"projection": 2}, "onnx", "projection"),
        (CellSpec("lstm", gate_clip=1.0), {}, "torch", "clip of the gates' inputs"),
        (CellSpec("lstm", input_forget=True), {}, "tf1", "coupled input and forget gates"),
        (CellSpec("rnn"), {}, "haiku", "other activation"),
    ):
        with pytest.raises(UserError, match=message):
            convert(logical_weights(spec, **more), to)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="did you mean 'torch'"):
        convert(logical_weights(CellSpec("lstm")), "troch")


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize(("source", "to"), list(permutations(NAMES, 2)))
def test_both_layers_compute_the_same(source: str, to: str, cell: str) -> None:
    """Run on random inputs in float64, the layer and its copy differ by rounding; where it cannot go it is refused."""
    if cell not in {*conventions.get(source).cells} & {*conventions.get(to).cells}:
        pytest.skip(f"{source} or {to} has no {cell}")
    spec = conventions.get(source).spec(cell, {})
    after = cell == "gru" and spec.reset_after
    weights = logical_weights(spec, 2, directions_of(2), two_biases=after, convention=source)
    lacks_reset = cell == "gru" and to not in (RESET_AFTER if after else RESET_BEFORE)
    if lacks_reset or (cell == "rnn" and to == "haiku" and spec.activation != "relu"):
        with pytest.raises(UserError):
            convert(weights, to)
        return
    assert largest_difference(weights, convert(weights, to), to) < 1e-12


def test_a_wrong_copy_is_measured() -> None:
    """The difference is not zero by construction: one gate's bias off shows, and a single reverse direction runs."""
    weights = logical_weights(CellSpec("lstm"), directions=("backward",))
    arrays = convert(weights, "torch")
    assert largest_difference(weights, arrays, "torch") < 1e-12
    key = next(name for name in arrays if name.startswith("bias_ih"))
    wrong = {**arrays, key: arrays[key] + np.eye(12)[4]}
    assert largest_difference(weights, wrong, "torch") > 1e-3
    other = replace(weights, spec=replace(weights.spec, forget_bias=1.0))
    assert largest_difference(other, arrays, "torch") > 1e-3


def test_parts_without_an_effect_do_not_bind() -> None:
    """Peepholes of zeros and the clip of a projection that is not there are left behind; real ones are not."""
    lstm = logical_weights(CellSpec("lstm", proj_clip=1.0), peepholes=True)
    idle = replace(lstm, layers=tuple(replace(w, peepholes=0 * w.peepholes) for w in lstm.layers))  # type: ignore[operator]
    assert largest_difference(idle, convert(idle, "torch"), "torch") < 1e-12
    with pytest.raises(UserError, match="peepholes"):
        convert(lstm, "torch")


EIGHT = ["tf1", "flax", "haiku", "keras", "mxnet", "onnx", "paddle", "torch"]
JOINED = {"concat": EIGHT, "apart": ["tf1", "keras"], "sum": ["keras"], "mul": ["keras"], "ave": ["keras"]}


@pytest.mark.parametrize("between", list(JOINED))
@pytest.mark.parametrize("to", NAMES)
def test_a_stack_goes_only_where_its_layers_are_joined_alike(to: str, between: Any) -> None:
    """Cells stacked within a direction, layers that read a sum: they go to frameworks that have them; else why not."""
    weights = random_stack(
        np.random.default_rng(0), CellSpec(), 2, 3, layers=2, directions=directions_of(2), between=between
    )
    weights = replace(weights, convention="tf1" if between == "apart" else "keras")
    hand = {name for names in JOINED.values() for name in names}
    if to not in JOINED[between] and (to in hand or between not in conventions.get(to).joins):
        with pytest.raises(UserError, match=r"cells within each direction|layer that reads the"):
            convert(weights, to)
        return
    moved = move(weights, to)
    assert moved.convention.read_weights(moved.arrays, moved.config).between == between
    assert moved.difference < 1e-6


def run(*arguments: str) -> int:
    return call(["convert", *arguments, "-q"])


@pytest.mark.parametrize("suffix", [".npz", ".json", ".pt", ".safetensors", ".h5", ".msgpack"])
@pytest.mark.parametrize("to", NAMES)
def test_every_framework_in_every_format(
    to: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command writes the layer, reads it back, and says what it moved and how far the two are apart."""
    spec = CellSpec("lstm", forget_bias=1.0)
    arrays = conventions.get("tf1").write_weights(logical_weights(spec, 2, directions_of(2)))
    np.savez(tmp_path / "layer.npz", **{k: a.astype(np.float32) for k, a in arrays.items()})  # type: ignore[arg-type]
    target = tmp_path / f"moved{suffix}"
    assert run(str(tmp_path / "layer.npz"), "--to", to, "-o", str(target)) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"tf1 -> {to}: gates i j f o")
    moved_in = to not in ("tf1", "haiku")
    assert ("forget bias 1 at run time moved into the bias" in first) == moved_in
    line = re.fullmatch(r"largest difference on random inputs: (\S+) \(.*read back\)", last)
    assert line is not None
    assert float(line[1]) < 2e-6
    again = tmp_path / "again.npz"
    assert run(str(target), "--from", to, "--to", "tf1", "-o", str(again), "--bidirectional", "--layers", "2") == 0
    with np.load(again) as back:
        assert set(back) == set(arrays)
        assert all(np.allclose(back[name], arrays[name], rtol=0, atol=1e-6) for name in arrays)


def test_torch_itself_takes_what_was_written(tmp_path: Path) -> None:
    """A Keras layer moved into torch loads into `nn.GRU` and computes what Keras' equations give."""
    weights = logical_weights(CellSpec("gru"), 2, directions_of(2), two_biases=True)
    np.savez(tmp_path / "k.npz", **conventions.get("keras").write_weights(weights))  # type: ignore[arg-type]
    assert run(str(tmp_path / "k.npz"), "--to", "torch", "-o", str(tmp_path / "t.pt"), "--layers", "2") == 0
    layer = torch.nn.GRU(2, 3, num_layers=2, bidirectional=True, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(torch.load(tmp_path / "t.pt", weights_only=True))
    inputs = np.random.default_rng(1).normal(size=(3, 5, 2))
    with torch.no_grad():
        output, h_n = layer(torch.tensor(inputs))
    want = run_stack(weights, inputs, np.ones((3, 5), dtype=bool))
    for i, key in enumerate([(0, "forward"), (0, "backward"), (1, "forward"), (1, "backward")]):
        np.testing.assert_allclose(h_n[i].numpy(), want[key][1], rtol=0, atol=1e-12)  # type: ignore[index]
    np.testing.assert_allclose(output[..., :3].numpy(), want[1, "forward"][0], rtol=0, atol=1e-12)


def test_what_to_state_is_printed_as_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Attributes that the other framework's defaults do not give come as options; with them the layer is the same."""
    spec = CellSpec("gru", recurrent_activation="hard_sigmoid")
    np.savez(tmp_path / "k.npz", **conventions.get("keras").write_weights(logical_weights(spec)))  # type: ignore[arg-type]
    arguments = [str(tmp_path / "k.npz"), "--to", "onnx", "-o", str(tmp_path / "o.npz")]
    assert run(*arguments, "--recurrent-activation", "hard_sigmoid") == 0
    first, beside, _ = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "keras -> onnx: gates z r h; kernels [F, 3H], [H, 3H] -> [D, 3H, F], [D, 3H, H]; both biases"
    )
    assert beside == "state beside it: --activations HardSigmoid,Tanh --linear-before-reset 1"
    options = beside.partition(": ")[2].split()
    assert run(str(tmp_path / "o.npz"), "--to", "keras", "-o", str(tmp_path / "b.npz"), *options) == 0
    assert capsys.readouterr().out.splitlines()[1] == "state beside it: --recurrent-activation hard_sigmoid"
    with np.load(tmp_path / "k.npz") as one, np.load(tmp_path / "b.npz") as other:
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_copy_that_differs_exits_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back of the file is what is measured: a writer that loses a bias is found out."""
    weights = logical_weights(CellSpec("lstm"), convention="torch")
    np.savez(tmp_path / "t.npz", **conventions.get("torch").write_weights(weights))  # type: ignore[arg-type]
    real = convert_module.read_arrays

    def lossy(path: str) -> NamedArrays:
        read = real(path)
        return replace(read, arrays={k: 0 * a if k == "bias" else a for k, a in read.arrays.items()})

    monkeypatch.setattr(convert_module, "read_arrays", lossy)
    assert run(str(tmp_path / "t.npz"), "--to", "keras", "-o", str(tmp_path / "k.npz")) == 1
