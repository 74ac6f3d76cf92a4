"""`torch.save` files: dumps as people save them reach `compare`, and what is not plain is named and never run."""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnninspect.core.layer_config import LayerConfig
from rnninspect.diagnosis import build_case
from rnninspect.errors import ShapeError, UnreadableError
from rnninspect.formats import read_arrays

LENGTHS = torch.tensor([7, 2, 5, 1])


def saved(value: Any, folder: Path, **how: Any) -> Path:
    path = folder / "x.pt"
    torch.save(value, path, **how)
    return path


def ran(cell: str, directions: int) -> tuple[Any, torch.Tensor, Any]:
    """(packed outputs, padded outputs, state) of a layer on sequences of uneven lengths, not sorted."""
    torch.manual_seed(1)
    layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](3, 4, bidirectional=directions == 2)
    inputs = pack_padded_sequence(torch.randn(7, 4, 3), LENGTHS, enforce_sorted=False)
    with torch.no_grad():
        packed, state = layer(inputs)
    return packed, pad_packed_sequence(packed, batch_first=True)[0], state


SHAPES = {
    "tuple": lambda packed, padded, state: (padded, state),
    "list": lambda packed, padded, state: [padded, state],
    "packed tuple": lambda packed, padded, state: (packed, state),
    "dict": lambda packed, padded, state: {"output": padded, "h_n": first(state), "note": "kept", "lr": 0.1},
    "packed dict": lambda packed, padded, state: {"output": packed, "h_n": first(state)},
}


def first(state: Any) -> torch.Tensor:
    return state[0] if isinstance(state, tuple) else state


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_dumps_reach_the_trace(shape: str, cell: str, directions: int, zipped: bool, tmp_path: Path) -> None:
    """However they were put together, output and state come out as the layer gave them, every row where it was."""
    packed, padded, state = ran(cell, directions)
    path = saved(SHAPES[shape](packed, padded, state), tmp_path, _use_new_zipfile_serialization=zipped)
    arrays = dict(read_arrays(path).arrays)
    if "packed" not in shape:
        arrays["lengths"] = LENGTHS.numpy()
    config = LayerConfig(cell=cell, direction="bidirectional" if directions == 2 else None)  # type: ignore[arg-type]
    trace = build_case.read_case(arrays, config, "torch").trace
    assert trace.lengths is not None
    assert trace.lengths.tolist() == LENGTHS.tolist()
    for d, track in enumerate(trace.tracks):
        assert np.array_equal(track.outputs, padded[..., 4 * d : 4 * d + 4].numpy())
        assert np.array_equal(track.final, first(state)[d].numpy())
    assert len(trace.tracks) == directions


def test_a_packed_sequence_alone(tmp_path: Path) -> None:
    """Its fields arrive under their own names."""
    packed, _, _ = ran("gru", 1)
    arrays = read_arrays(saved(packed, tmp_path)).arrays
    assert list(arrays) == ["data", "batch_sizes", "sorted_indices", "unsorted_indices"]
    assert np.array_equal(arrays["data"], packed.data.numpy())
    assert np.array_equal(arrays["batch_sizes"], packed.batch_sizes.numpy())


def test_tensors_of_every_kind(tmp_path: Path) -> None:
    """Parameters, views, strides, conjugates, bfloat16 and 8-bit floats have the values that torch shows."""
    whole = torch.arange(24.0).reshape(2, 3, 4)
    held = {
        "parameter": torch.nn.Parameter(whole.clone()),
        "view": whole[1, ::2],
        "transposed": whole.permute(2, 0, 1),
        "expanded": torch.ones(1).expand(3, 2),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "negated": torch.complex(whole, whole).conj().imag,
        "half": whole.half(),
        "bf16": (whole / 7).bfloat16(),
        "f8": whole.to(torch.float8_e4m3fn),
        "lengths": [3, 1, 2],
        "size": torch.Size([2, 3]),
        "step": 7,
        "none": None,
        "deep": {"er": [whole, {"est": whole}]},
    }
    read = read_arrays(saved(held, tmp_path))
    for name in ("parameter", "view", "transposed", "expanded", "scalar", "empty", "negated", "half"):
        tensor = held[name].detach().resolve_neg()  # type: ignore[attr-defined]
        assert read.arrays[name].dtype == tensor.numpy().dtype
        assert np.array_equal(read.arrays[name], tensor.numpy())
    for name in ("bf16", "f8"):
        assert np.array_equal(read.arrays[name], held[name].float().numpy())  # type: ignore[attr-defined]
    assert read.dtypes == {"bf16": "bfloat16", "f8": "float8_e4m3fn"}
    assert read.arrays["lengths"].tolist() == [3, 1, 2]
    assert read.arrays["size"].tolist() == [2, 3]
    assert np.array_equal(read.arrays["deep.er.1.est"], whole.numpy())
    assert "none" not in read.arrays
    assert len(read.notes) == 1


class Harmful:
    """Loading this by pickle would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_is_run(zipped: bool, tmp_path: Path) -> None:
    """A pickle that would act is refused before it acts, by name, beside good tensors and under any suffix."""
    touched = tmp_path / "touched"
    for suffix in (".pt", ".bin", ".npz", ".safetensors"):
        path = tmp_path / f"x{suffix}"
        torch.save({"a": torch.ones(2), "b": Harmful(touched)}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(UnreadableError, match="never run"):
            read_arrays(path)
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Harmful(touched)))
    with pytest.raises(UnreadableError, match=r"torch\.save"):
        read_arrays(tmp_path / "plain.pkl")
    assert not touched.exists()
    pickle.loads(pickle.dumps(Harmful(touched)))
    assert touched.exists()  # the trap does act


def test_what_is_not_plain_is_named(tmp_path: Path) -> None:
    """A module, numpy arrays, sparse and quantized tensors: one line each on what to save; TorchScript is read."""
    module = torch.nn.LSTM(2, 3)
    with pytest.raises(UnreadableError, match=r"of the class torch\.nn\.modules\.rnn\.LSTM.*state_dict\(\)"):
        read_arrays(saved(module, tmp_path))
    with pytest.raises(UnreadableError, match="numpy arrays"):
        read_arrays(saved({"a": np.ones(2)}, tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), tmp_path / "script.pt")
        quantized = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    for source in (tmp_path / "script.pt", "-"):
        script = read_arrays(source, stdin=io.BytesIO((tmp_path / "script.pt").read_bytes()))
        assert list(script.arrays) == list(module.state_dict())
    with pytest.raises(ShapeError, match="a is sparse"):
        read_arrays(saved({"a": torch.eye(2).to_sparse()}, tmp_path))
    with pytest.raises(ShapeError, match="a is quantized"):
        read_arrays(saved({"a": quantized}, tmp_path))
    with pytest.raises(ShapeError, match="a is without data"):
        read_arrays(saved({"a": torch.ones(2, device="meta")}, tmp_path))
    with pytest.raises(UnreadableError, match=r"no arrays; not read.*note \(str\)"):
        read_arrays(saved({"note": "x"}, tmp_path))


def test_what_was_written_is_a_state_dict(tmp_path: Path) -> None:
    """What `write_arrays` wrote loads into a module as it is."""
    from rnninspect.formats import write_arrays

    source, target = torch.nn.GRU(2, 3, bidirectional=True), torch.nn.GRU(2, 3, bidirectional=True)
    write_arrays(str(tmp_path / "x.pt"), {name: value.numpy() for name, value in source.state_dict().items()})
    target.load_state_dict(torch.load(tmp_path / "x.pt", weights_only=True))
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))
