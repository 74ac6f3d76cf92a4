"""`.pt`, `.pth`, `.bin`: what `torch.save` wrote of tensors in dicts, tuples and packed sequences; no code is run."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError, UnreadableError
from rnninspect.formats.base import ANONYMOUS, NamedArrays, guarded
from rnninspect.formats.limits import check_size
from rnninspect.formats.npz import check_members, first_member
from rnninspect.formats.tree import check_dtypes, gather, leaves, little

NAME = "torch"
SUFFIXES = (".pt", ".pth", ".bin")
EXTRA: str | None = None
SUMMARY = "tensors that torch.save wrote: a state dict, nested dicts and tuples, packed sequences"

_OWN = re.compile(r"[^/]+/(data\.pkl|constants\.pkl|data/\d+|\.?data/.*|code/.*|version|byteorder|\.\w+)")
_SAVE = "save tensors, or model.state_dict(), with torch.save"


def sniff(head: bytes) -> bool:
    """A zip as torch writes it, or the pickle of torch before 1.6 (any pickle: none other is read)."""
    return _OWN.fullmatch(first_member(head)) is not None or re.match(rb"\x80[\x02-\x05]", head) is not None


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """The tensors by their keys and places, joined by dots; mapped where torch can map them.

    bfloat16 and the 8-bit floats arrive as float32, exactly, in memory. Raises UnreadableError for anything pickled
    beside tensors and plain values, for TorchScript, and for a damaged file.
    """
    import torch

    with guarded(name):
        mmap = _is_archive(source, name) and isinstance(source, Path)
        mmap = mmap and not name.endswith(".safetensors")  # torch goes by that suffix, whatever the file holds
        with _packed_sequences(torch), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = _load(source, name, mmap)
        dtypes: dict[str, str] = {}
        named_values = [(key, _leaf(value, key, dtypes, name)) for key, value in leaves(loaded, ".")]
    return gather(named_values, name, NAME, dtypes=dtypes)


def _load(source: Path | BinaryIO, name: str, mmap: bool) -> Any:
    import torch

    try:
        if isinstance(source, Path) and not mmap:
            with source.open("rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
        held = str(source) if isinstance(source, Path) else source
        return torch.load(held, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        if refused is None:
            raise UnreadableError(f"{name}: it is no file of plain tensors, or damaged; {_SAVE}") from None
        kind = refused[1].rpartition(".")[2]
        what = "numpy arrays" if refused[1].startswith("numpy") else f"a {kind} ({refused[1]})"
        raise UnreadableError(f"{name}: it holds {what}, pickled, and pickled code is never run; {_SAVE}") from None


def _is_archive(source: Path | BinaryIO, name: str) -> bool:
    """Whether it is torch's zip, and not its older pickle; TorchScript, a zip too, is refused."""
    zipped = zipfile.is_zipfile(source)
    if zipped:
        with zipfile.ZipFile(source) as archive:
            check_members(archive, archive.infolist(), name)
            members = archive.namelist()
        if any(member.endswith("/constants.pkl") for member in members):
            raise UnreadableError(f"{name}: it is a TorchScript archive, and code is never run; {_SAVE}")
        if not any(member.endswith("data.pkl") for member in members):
            raise UnreadableError(f"{name}: it is a zip, but not one of torch.save; {_SAVE}")
    if not isinstance(source, Path):
        source.seek(0)
    return zipped


def _packed_sequences(torch: Any) -> AbstractContextManager[Any]:
    """Lets PackedSequence in, a named tuple of tensors, where this torch can let in single types (2.5)."""
    allow = getattr(torch.serialization, "safe_globals", None)
    return allow([torch.nn.utils.rnn.PackedSequence]) if allow else nullcontext()


def _leaf(value: Any, name: str, dtypes: dict[str, str], source: str) -> Any:
    """A tensor as an array; what is none passes as it is. One that repeats few numbers (`expand`) is a size claimed."""
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        raise ShapeError(f"{source}: {name or 'the tensor'} is {_kind(value)}; save it as a plain tensor")
    if 0 in value.stride():
        check_size(source, name, value.numel() * value.element_size(), value.untyped_storage().nbytes())
    plain = value.detach().resolve_conj().resolve_neg()
    if plain.is_floating_point() and plain.dtype not in (torch.float16, torch.float32, torch.float64):
        dtypes[name] = str(plain.dtype).removeprefix("torch.")
        plain = plain.float()
    try:
        return plain.numpy()
    except TypeError:
        dtype = str(plain.dtype).removeprefix("torch.")
        raise ShapeError(
            f"{source}: {name or 'the tensor'} has dtype {dtype}, and numpy has none; save it as float32"
        ) from None


def _kind(value: Any) -> str:
    return "quantized" if value.is_quantized else "without data" if value.is_meta else "sparse"


def write(arrays: dict[str, Array], target: BinaryIO) -> None:
    """Writes a dict of tensors, which `torch.load` and `load_state_dict` take."""
    import torch

    check_dtypes(arrays, ".pt")
    try:
        state = {key: torch.from_numpy(np.array(little(array))) for key, array in arrays.items()}
    except TypeError as error:  # unsigned integers of 16 bits and more, in torch before 2.3
        raise ShapeError(f".pt: {error}") from None
    torch.save(state[ANONYMOUS] if list(state) == [ANONYMOUS] else state, target)
