"""Checkpoints as they are: other things beside the weights, cells, names spelt otherwise, TorchScript, pickles."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnninspect import conventions
from rnninspect.api.weights_file import read_layer
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError, UnreadableError
from rnninspect.formats import read_arrays


class Model(torch.nn.Module):
    """A scripted module must have its source in a file."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)
        self.norm = torch.nn.BatchNorm1d(8)
        self.head = torch.nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs, _ = self.rnn(x)
        return self.head(outputs)  # type: ignore[no-any-return]


BESIDE: dict[str, Any] = {
    "a vocabulary of operators' letters": {"char2id": {"W": 1, "R": 2, "B": 3, "P": 4}},
    "sizes called as Haiku's weights": {"opt": {"w_i": 3, "w_h": 4, "b": 1}},
    "attention called as Haiku's": {"attention": {"w_i": torch.ones(4, 4), "w_h": torch.ones(4, 4)}},
    "attention that lacks only Haiku's shapes": {
        "attention": {"w_i": torch.ones(4, 4), "w_h": torch.ones(4, 4), "b": torch.ones(4)}
    },
    "gates called as Flax's": {"mix": {"i": {"bias": torch.ones(4)}, "hn": {"bias": torch.ones(4)}}},
    "a counter called kernel": {"recurrent_kernel": torch.tensor(7)},
    "indices called as ONNX's": {"W": torch.arange(4), "R": torch.arange(4)},
}


@pytest.mark.parametrize("which", list(BESIDE))
def test_other_things_beside_the_weights_do_not_count(which: str, tmp_path: Path) -> None:
    """Scalars, whole numbers and names that are not whole cells never make a torch layer another framework's."""
    torch.save({"net": torch.nn.LSTM(3, 4).state_dict(), **BESIDE[which]}, tmp_path / "m.pt")
    layer = read_layer(read_arrays(tmp_path / "m.pt"), LayerConfig())
    assert layer.convention.name == "torch"
    assert layer.weights.names == ("net",)


@pytest.mark.parametrize("name", ["lstm_cell", "gru_cell", "rnn_cell"])
def test_a_cell_of_torch_is_not_tensorflows(name: str, tmp_path: Path) -> None:
    """`lstm_cell.bias_ih` is not a TF1 cell's `bias`: names are matched whole."""
    kind = {"lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell, "rnn": torch.nn.RNNCell}[name.split("_")[0]]
    state = {f"{name}.{key}": value for key, value in kind(3, 4).state_dict().items()}
    torch.save(state, tmp_path / "m.pt")
    assert [c.name for c in conventions.of_weights(state)] == ["torch", "paddle"]
    assert read_layer(read_arrays(tmp_path / "m.pt"), LayerConfig()).weights.spec.cell == name.split("_")[0]


def random(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


SPELT = {
    "torch, spelt short": (
        {"enc_w_ih": random(16, 3), "enc_w_hh": random(16, 4), "enc_b_ih": random(16), "enc_b_hh": random(16)},
        ["torch's weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0 of an lstm of 4 units", "=w['enc_w_ih']"],
    ),
    "a GRU": ({"kernel_ih": random(12, 5), "kernel_hh": random(12, 4)}, ["of a gru of 4 units"]),
    "turned round": (
        {"w_x": random(3, 20), "w_h2": random(5, 20)},
        ["keras's kernel, recurrent_kernel of an lstm of 5"],
    ),
    "a plain RNN with a hint": ({"w_in": random(6, 3), "w_hidden": random(6, 6)}, ["of an rnn of 6 units"]),
}


@pytest.mark.parametrize("which", list(SPELT))
def test_spellings_are_offered_by_shape(which: str, tmp_path: Path) -> None:
    """Names that nobody knows are refused with the names that fit, and the line that saves them so."""
    arrays, expected = SPELT[which]
    np.savez(tmp_path / "w.npz", **arrays)  # type: ignore[arg-type]
    for convention in (None, "torch"):
        with pytest.raises(ShapeError) as caught:
            read_layer(read_arrays(tmp_path / "w.npz"), LayerConfig(), convention)
        assert all(text in str(caught.value) for text in expected)
        assert "np.savez('weights.npz', " in str(caught.value)


def test_nothing_is_offered_where_nothing_fits(tmp_path: Path) -> None:
    """A dense network and a square matrix are no recurrent layer."""
    np.savez(tmp_path / "w.npz", dense=random(7, 3), square=random(4, 4), bias=random(7))
    with pytest.raises(ShapeError) as caught:
        read_layer(read_arrays(tmp_path / "w.npz"), LayerConfig())
    assert "by their shapes" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["script", "trace"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_torchscript_archive_is_its_state(how: str, dtype: torch.dtype, tmp_path: Path) -> None:
    """Every parameter and buffer under its own name, bit for bit, and no code is run."""
    model = Model().to(dtype)
    made = torch.jit.script(model) if how == "script" else torch.jit.trace(model, torch.zeros(2, 1, 3, dtype=dtype))
    made.save(str(tmp_path / "m.pt"))
    read, state = read_arrays(tmp_path / "m.pt").arrays, model.state_dict()
    assert list(read) == list(state)
    for name, tensor in state.items():
        wide = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        assert np.array_equal(read[name], wide.numpy()), name
    assert read_layer(read_arrays(tmp_path / "m.pt"), LayerConfig()).weights.depth == 2


@pytest.mark.filterwarnings("ignore")
def test_an_archive_that_needs_its_code_gets_the_line_that_saves_its_state(tmp_path: Path) -> None:
    """Packed parameters of a quantised layer are made by code."""
    quantised = torch.ao.quantization.quantize_dynamic(Model(), {torch.nn.LSTM}, dtype=torch.qint8)
    torch.jit.script(quantised).save(str(tmp_path / "q.pt"))
    with pytest.raises(UnreadableError, match=r"torch\.save\(torch\.jit\.load\('q\.pt'\)\.state_dict\(\), "):
        read_arrays(tmp_path / "q.pt")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_gets_the_line_that_saves_it_again(protocol: int, tmp_path: Path) -> None:
    """Of whatever protocol: named as a pickle, never run, with the line that fits what it holds."""
    arrays = {"weight_ih_l0": random(16, 3), "weight_hh_l0": random(16, 4)}
    lines = {
        "dict": (arrays, "np.savez('weights.npz', **pickle.load(open('w.pkl', 'rb')))"),
        "list": (list(arrays.values()), "np.savez('weights.npz', *pickle.load(open('w.pkl', 'rb')))"),
        "tensors": (torch.nn.LSTM(3, 4).state_dict(), "torch.save(pickle.load(open('w.pkl', 'rb')), 'weights.pt')"),
    }
    for held, line in lines.values():
        (tmp_path / "w.pkl").write_bytes(pickle.dumps(held, protocol=protocol))
        with pytest.raises(UnreadableError, match="it is a pickle of") as caught:
            read_arrays(tmp_path / "w.pkl")
        assert line in str(caught.value)


def test_a_whole_model_gets_the_line_that_saves_its_state(tmp_path: Path) -> None:
    """torch.save of a module, or of numpy arrays: what torch.load would have to trust."""
    torch.save(Model(), tmp_path / "m.pt")
    with pytest.raises(UnreadableError, match=r"torch\.save\(torch\.load\('m\.pt', weights_only=False\)\.state_dict"):
        read_arrays(tmp_path / "m.pt")
    torch.save({"a": random(3, 2)}, tmp_path / "n.pt")
    with pytest.raises(UnreadableError, match=r"np\.savez\('weights\.npz', \*\*torch\.load\('n\.pt'"):
        read_arrays(tmp_path / "n.pt")
