"""`.pt`, `.pth`, `.bin`: what `torch.save` wrote of tensors in dicts, tuples and packed sequences; no code is run."""

from __future__ import annotations

import os
import pickle
import pickletools
import re
import warnings
import zipfile
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rnninspect.core.regex import regex
from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError, UnreadableError
from rnninspect.formats.base import ANONYMOUS, NamedArrays, guarded
from rnninspect.formats.limits import check_size
from rnninspect.formats.npz import check_members, first_member
from rnninspect.formats.torch_pickle import LaidOut, NotPlainError, holds_tensors, read_legacy, read_zip
from rnninspect.formats.torchscript import is_script, script_values
from rnninspect.formats.tree import check_dtypes, gather, leaves, little

NAME = "torch"
SUFFIXES = (".pt", ".pth", ".bin")
EXTRA: str | None = None
SUMMARY = "tensors that torch.save wrote: a state dict, nested dicts and tuples, packed sequences"

_OWN = regex(r"[^/]+/(data\.pkl|constants\.pkl|data/\d+|\.?data/.*|code/.*|version|byteorder|\.\w+)")
# Pickles of protocol 0 and 1 begin with no mark of their own, but with a container or a name.
_OLD_PICKLE = regex(rb"\((?:[dlt]p\d+\n|c[\w.]+\n\w+\n)|c[\w.]+\n\w+\n|[}\]]q\x00")
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch before 1.6 begins with its magic number, pickled
_SAVE = "save tensors, or model.state_dict(), with torch.save"


def sniff(head: bytes) -> bool:
    """A zip as torch writes it, or the pickle of torch before 1.6 (any pickle: none other is read)."""
    pickled = re.match(rb"\x80[\x02-\x05]", head) or _OLD_PICKLE.match(head)
    return _OWN.fullmatch(first_member(head)) is not None or pickled is not None


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """The tensors by their keys and places, joined by dots; mapped where torch can map them.

    bfloat16 and the 8-bit floats arrive as float32, exactly, in memory. Of TorchScript the state is read. Raises
    UnreadableError for anything pickled beside tensors and plain values, and for a damaged file.
    """
    members = _members(source, name)
    if is_script(members):
        narrow: dict[str, str] = {}
        with guarded(name):
            state = script_values(source, name, narrow)
            if not state:
                raise UnreadableError(
                    f"{name}: it is a TorchScript archive without parameters: torch.jit.freeze made them constants of "
                    "its code; save the module as it was before"
                )
            return gather(state, name, NAME, dtypes=narrow)
    if not members:
        _refuse_other_pickles(source, name)
    read = _read_plain(source, name, bool(members))
    if read is not None:
        return read
    if not isinstance(source, Path):
        source.seek(0)
    return _read_saved(source, name, bool(members))


def _read_plain(source: Path | BinaryIO, name: str, zipped: bool) -> NamedArrays | None:
    """What torch.save wrote, read without torch; None where that is more than tensors in plain containers."""
    dtypes: dict[str, str] = {}
    named_values: list[tuple[str, Any]] = []
    with guarded(name):
        try:
            tree = _plain_tree(source, name, zipped)
        except (NotPlainError, pickle.UnpicklingError):
            return None
        if holds_tensors(tree):
            return None
        for key, value in leaves(tree, "."):
            if isinstance(value, LaidOut) and value.narrow:
                dtypes[key] = "bfloat16"
            named_values.append((key, value.array(name, key) if isinstance(value, LaidOut) else value))
    if not any(isinstance(value, np.ndarray) for _, value in named_values):
        return None
    return gather(named_values, name, NAME, dtypes=dtypes)


def _plain_tree(source: Path | BinaryIO, name: str, zipped: bool) -> Any:
    if zipped:
        with zipfile.ZipFile(source) as archive:
            return read_zip(source, archive, name)
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return read_legacy(file, size)


def _read_saved(source: Path | BinaryIO, name: str, zipped: bool) -> NamedArrays:
    """What torch.save wrote, `zipped` or as before 1.6, where torch itself must make it of its pickle."""
    import torch

    with guarded(name):
        mmap = zipped and isinstance(source, Path)
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
            raise UnreadableError(f"{name}: it is not a file of plain tensors, or it is damaged; {_SAVE}") from None
        numpys = refused[1].startswith("numpy")
        what = "numpy arrays" if numpys else f"an object of the class {refused[1]}"
        loaded = f"torch.load({Path(name).name!r}, weights_only=False)"
        again = f"np.savez('weights.npz', **{loaded})" if numpys else f"torch.save({loaded}.state_dict(), 'weights.pt')"
        raise UnreadableError(
            f"{name}: it holds {what}, pickled, and pickled code is never run; {_SAVE}. If you trust it: {again}"
        ) from None


def _members(source: Path | BinaryIO, name: str) -> list[str]:
    """The members of torch's zip; none where it is torch's older pickle, or another one."""
    members: list[str] = []
    with guarded(name):
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                check_members(archive, archive.infolist(), name)
                members = archive.namelist()
            if not any(member.endswith("data.pkl") for member in members):
                raise UnreadableError(f"{name}: it is a zip, but not one of torch.save; {_SAVE}")
    if not isinstance(source, Path):
        source.seek(0)
    return members


def _refuse_other_pickles(source: Path | BinaryIO, name: str) -> None:
    """Raise UnreadableError, with the line that saves it again, for a pickle that torch did not make."""
    head = _head(source)
    if head.startswith(_LEGACY):
        return
    held, named = _pickled(head)
    opened = f"pickle.load(open({Path(name).name!r}, 'rb'))"
    if any("torch" in module for module in named):
        what, again = "Python objects", f"torch.save({opened}, 'weights.pt')"
    elif any("numpy" in module for module in named):
        ways = {"dict": f"np.savez('weights.npz', **{opened})", "list": f"np.savez('weights.npz', *{opened})"}
        what, again = "numpy arrays", ways.get(held, f"np.save('array.npy', {opened})")
    elif sniff(head):
        what, again = "Python objects", _SAVE
    else:
        raise UnreadableError(f"{name}: it is not a file of plain tensors, or it is damaged; {_SAVE}")
    raise UnreadableError(
        f"{name}: it is a pickle of {what}, and pickled code is never run; if you trust it, save it again: {again}"
    )


def _head(source: Path | BinaryIO) -> bytes:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return file.read(1 << 16)
    head = source.read(1 << 16)
    source.seek(0)
    return head


def _pickled(head: bytes) -> tuple[str, list[str]]:
    """What a pickle begins with (dict, list, array), and the modules that it names, as far as its head goes."""
    held, named = "", []
    with suppress(Exception):  # a head ends within an operation
        for operation, argument, _ in islice(pickletools.genops(head), 4096):
            kind = operation.name
            if kind == "GLOBAL" and str(argument).endswith("Dict"):
                held = held or "dict"
            if not held and kind in ("EMPTY_DICT", "DICT", "EMPTY_LIST", "LIST", "GLOBAL", "STACK_GLOBAL", "TUPLE"):
                held = "dict" if "DICT" in kind else "list" if kind in ("EMPTY_LIST", "LIST") else "array"
            if kind == "GLOBAL" or (kind.endswith("UNICODE") and isinstance(argument, str)):
                named.append(str(argument))
    modules = [text for text in named if re.match(r"(numpy|torch)[\w.]*", text)]
    return held or "dict", modules


def _packed_sequences(torch: Any) -> AbstractContextManager[Any]:
    """Let PackedSequence in, a named tuple of tensors, where this torch can let in single types (2.5)."""
    allow = getattr(torch.serialization, "safe_globals", None)
    return allow([torch.nn.utils.rnn.PackedSequence]) if allow else nullcontext()


def _leaf(value: Any, name: str, dtypes: dict[str, str], source: str) -> Any:
    """A tensor as an array; what is none passes as it is. One that repeats few numbers (`expand`) is a size claimed."""
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        raise ShapeError(f"{source}: {name or 'the tensor'} is {_kind(value)}; save it as a plain tensor")
    size, stored = value.numel() * value.element_size(), value.untyped_storage().nbytes()
    if size > stored:
        check_size(source, name, size, stored)
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


def write_like(arrays: dict[str, Array], target: BinaryIO, source: Path) -> None:
    """Write the arrays in the containers and dtypes of `source`, a file that was read; as `write` does if it cannot
    be filled so.

    Raises ShapeError on numbers that torch has no type for.
    """
    import torch

    from rnninspect.formats.torch_like import filled

    script = is_script(_members(source, str(source)))
    with _packed_sequences(torch), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = None if script else _load(source, str(source), mmap=False)
    whole = None if tree is None or isinstance(tree, torch.Tensor) else filled(tree, arrays)
    if whole is None:
        write(arrays, target)
    else:
        torch.save(whole, target)


def _kind(value: Any) -> str:
    return "quantized" if value.is_quantized else "without data" if value.is_meta else "sparse"


def write(arrays: dict[str, Array], target: BinaryIO) -> None:
    """Write a dict of tensors, which `torch.load` and `load_state_dict` take.

    Raises ShapeError on numbers that torch has no type for.
    """
    import torch

    check_dtypes(arrays, ".pt")
    try:
        state = {key: torch.from_numpy(np.array(little(array))) for key, array in arrays.items()}
    except TypeError as error:  # unsigned integers of 16 bits and more, in torch before 2.3
        raise ShapeError(f".pt: {error}") from None
    torch.save(state[ANONYMOUS] if list(state) == [ANONYMOUS] else state, target)
