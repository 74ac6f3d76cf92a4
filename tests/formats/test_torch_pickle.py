"""torch's files read without torch: the same arrays as torch gives, and nothing of a pickle outlives its reading."""

from __future__ import annotations

import collections
import io
import pickle
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnninspect.errors import UnreadableError
from rnninspect.formats import read_arrays
from rnninspect.formats.torch_pickle import NotPlainError, Ordered, Reader, Storage

DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
IMPORTED = "import sys; from rnninspect.cli import call; call(sys.argv[1:]); print('torch' in sys.modules)"


def views(dtype: str) -> dict[str, torch.Tensor]:
    """One storage seen in several ways, small and too large to be copied."""
    whole = torch.arange(24).reshape(2, 3, 4).to(getattr(torch, dtype))
    large = torch.arange(1 << 17).to(getattr(torch, dtype)).reshape(1 << 9, 1 << 8)
    return {"whole": whole, "turned": whole.permute(2, 0, 1), "part": whole[1, ::2, 1:], "large": large.T}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_as_torch_reads(dtype: str, zipped: bool, tmp_path: Path) -> None:
    """Views, turned and cut ones too, have torch's own values and dtypes, from a file and from a stream."""
    held = views(dtype)
    path = tmp_path / "x.pt"
    torch.save({"deep": [held]}, path, _use_new_zipfile_serialization=zipped)
    for read in (read_arrays(path), read_arrays("-", stdin=io.BytesIO(path.read_bytes()))):
        for name, tensor in held.items():
            plain = (tensor.float() if dtype == "bfloat16" else tensor).numpy()
            array = read.arrays[f"deep.0.{name}"]
            assert (array.dtype, array.shape) == (plain.dtype, plain.shape)
            assert np.array_equal(array, plain)
        assert set(read.dtypes.values()) == ({"bfloat16"} if dtype == "bfloat16" else set())


@pytest.mark.parametrize("way", ["zip", "before 1.6", "script"])
def test_layers_are_listed_without_torch(way: str, tmp_path: Path) -> None:
    """A state dict, also with a model's settings beside it, and TorchScript."""
    layer, path = torch.nn.GRU(3, 4, 2), tmp_path / "x.pt"
    if way == "script":
        torch.jit.script(layer).save(str(path))
    else:
        held = {"model": layer.state_dict(), "epoch": 3, "args": {"hidden": 4}}
        torch.save(held, path, _use_new_zipfile_serialization=way == "zip")
    run = subprocess.run(
        [sys.executable, "-c", IMPORTED, "list", "layers", str(path)], capture_output=True, text=True, check=True
    )
    assert run.stdout.split()[7:] == [*(["model"] if way != "script" else []), "gru", "2", "1", "3", "4", "False"]


def read(pickled: bytes) -> Any:
    return Reader(io.BytesIO(pickled), lambda kind, key, count: Storage(kind, np.zeros(count))).load()


@pytest.mark.parametrize("name", ["os\nsystem", "builtins\neval", "torch.nn.modules.rnn\nLSTM", "numpy\nndarray"])
def test_other_names_are_refused(name: str) -> None:
    """Whatever a pickle names beside dicts and tensors is not looked up."""
    with pytest.raises(NotPlainError, match=name.replace("\n", r"\.")):
        read(b"c" + name.encode() + b"\n.")


def test_nothing_outlives_a_reading() -> None:
    """A state that would be set on a class, or on a function, of this program is refused."""
    for made in (b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n"):
        with pytest.raises(NotPlainError, match="a state of a"):
            read(made + b"N}(X\x05\x00\x00\x00itemsK\x01u\x86b.")
    assert Ordered({1: 2}).items()
    many = b"\x80\x02}r" + (0xFFFFFFF0).to_bytes(4, "little") + b"."  # the object with the number 4,294,967,280
    assert read(many) == {}


@pytest.mark.parametrize("shape", [(3, 5), (-1,)])
def test_tensors_beyond_their_numbers(shape: tuple[int, ...], tmp_path: Path) -> None:
    """A tensor that is larger than its storage is refused by name."""
    path = tmp_path / "x.pt"
    torch.save({"w": torch.zeros(3, 4)}, path)
    changed = tmp_path / "y.pt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member.endswith("data.pkl"):
                wanted = pickle.dumps(shape, 2)[2:-1].replace(b"q\x00", b"")
                content = content.replace(b"K\x03K\x04\x86", wanted, 1)
            new.writestr(member, content)
    with pytest.raises(UnreadableError, match=r"w, of shape|damaged"):
        read_arrays(changed)


class Settings:
    """What a trainer keeps beside the weights; it refers to itself."""

    def __init__(self, held: Any = None) -> None:
        self.held, self.itself = held, self


def saved_beside(module: str, held: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint with an object of a class of `module` in it."""
    library = types.ModuleType(module)
    monkeypatch.setitem(sys.modules, module, library)
    monkeypatch.setattr(Settings, "__module__", module)
    library.Settings = Settings  # type: ignore[attr-defined]
    weights = torch.nn.GRU(3, 4).state_dict()
    many = collections.defaultdict(list, {"a": [1]})
    torch.save({"state_dict": weights, "settings": Settings(held), "many": many}, path)
    return path


def test_objects_beside_weights_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a trainer saves with a state dict does not hide it, and is named; its class is never looked for."""
    path = saved_beside("omegaconf", {"units": 4}, tmp_path / "x.ckpt.pt", monkeypatch)
    monkeypatch.delitem(sys.modules, "omegaconf")
    file = read_arrays(path)
    assert [name for name in file.arrays if "state_dict" in name] == [
        f"state_dict.{part}_l0" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    assert file.notes == ("not read, because they are not arrays of numbers: settings (Settings)",)


@pytest.mark.parametrize(
    ("module", "held"), [("omegaconf", torch.ones(2)), ("omegaconf", [{"a": torch.ones(2)}]), ("subprocess", None)]
)
def test_models_and_what_acts_are_refused(
    module: str, held: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that holds tensors is a model, whose own code names them; a name of Python's own library may act."""
    path = saved_beside(module, held, tmp_path / "x.pt", monkeypatch)
    with pytest.raises(UnreadableError, match=r"of the class \w+\.Settings.*never run"):
        read_arrays(path)
