"""TorchScript archives: the parameters and buffers that their modules hold as attributes; their code is never run.

`data.pkl` names the modules' classes (`__torch__.…`) and their attributes; tensors lie beside it as plain bytes
(torch/csrc/jit/serialization/pickler.cpp). Nothing that it names is imported: every class becomes a plain holder.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats.bfloat16 import widened
from rnninspect.formats.limits import check_size
from rnninspect.formats.tree import LeftOut

_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}


class _NeedsCodeError(Exception):
    """Something in the archive is made by running its code."""


class _Module:
    """A module of whatever class: its attributes; those of a class with code for its state are not read."""

    attributes: Any = None

    def __setstate__(self, state: Any) -> None:
        self.attributes = state


def is_script(members: list[str]) -> bool:
    """Whether a zip with these members is a TorchScript archive."""
    return any(member.endswith("/constants.pkl") for member in members)


def script_values(source: Path | BinaryIO, name: str, dtypes: dict[str, str]) -> list[tuple[str, Any]]:
    """Every parameter and buffer by its path, as `state_dict()` names them; `dtypes` gets those that are bfloat16.

    Raises UnreadableError, with the line that saves the state dict, where the archive's code would have to be run.
    """
    with zipfile.ZipFile(source) as archive:
        pickled = next((member for member in archive.namelist() if member.endswith("/data.pkl")), None)
        try:
            if pickled is None:
                raise _NeedsCodeError("it has no data.pkl")
            reader = _Unpickler(archive, pickled.removesuffix("data.pkl"), name)
            return list(_tensors(reader.load(), "", dtypes, reader.narrow))
        except (_NeedsCodeError, pickle.UnpicklingError) as error:
            raise UnreadableError(
                f"{name}: it is a TorchScript archive whose code would have to be run ({error}), and it is not; save "
                f"its state: torch.save(torch.jit.load({Path(name).name!r}).state_dict(), 'weights.pt')"
            ) from None


def _tensors(module: Any, path: str, dtypes: dict[str, str], narrow: set[int]) -> Iterator[tuple[str, Any]]:
    """The arrays of a module and of the modules within it; numbers, texts and lists are no state."""
    if not isinstance(module, _Module) or not isinstance(module.attributes, Mapping):
        return
    for key, value in module.attributes.items():
        place = f"{path}.{key}" if path else str(key)
        if isinstance(value, np.ndarray):
            if id(value) in narrow:
                dtypes[place] = "bfloat16"
            yield place, value
        elif isinstance(value, _Module) and not isinstance(value.attributes, Mapping):
            yield place, LeftOut("made by code")
        else:
            yield from _tensors(value, place, dtypes, narrow)


class _Unpickler(pickle.Unpickler):
    """Builds holders of attributes and arrays, and refuses to import anything."""

    def __init__(self, archive: zipfile.ZipFile, folder: str, name: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}data.pkl")))
        self.archive, self.folder, self.name = archive, folder, name
        self.narrow: set[int] = set()  # arrays, by `id`, that were bfloat16
        self.storages: dict[str, tuple[Array, bool]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return type("Holder", (_Module,), {})
        if module == "torch.jit._pickle":  # build_intlist, restore_type_tag, …: the value comes first
            return lambda value, *_: value
        if module == "torch" and name.endswith("Storage"):
            return name
        built: dict[str, Callable[..., Any]] = {
            "torch._utils._rebuild_tensor_v2": self._rebuilt,
            "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
            "collections.OrderedDict": dict,
        }
        if f"{module}.{name}" not in built:
            raise _NeedsCodeError(f"{module}.{name}")
        return built[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> tuple[Array, bool]:
        """The numbers of a storage, and whether they are bfloat16."""
        _, kind, key, *_ = pid
        if kind not in _STORAGES:
            raise _NeedsCodeError(f"a {kind}")
        if key not in self.storages:
            member = next(
                m for m in (f"{self.folder}data/{key}", f"{self.folder}{key}") if m in self.archive.NameToInfo
            )
            raw = np.frombuffer(self.archive.read(member), _STORAGES[kind])
            self.storages[key] = raw, kind == "BFloat16Storage"
        return self.storages[key]

    def _rebuilt(self, storage: tuple[Array, bool], offset: int, shape: Any, strides: Any, *_: Any) -> Array:
        """The tensor that lies in a storage from `offset` on."""
        raw, narrow = storage
        shape, strides = tuple(shape), tuple(strides)
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if all(shape) else offset
        if offset < 0 or min((*shape, *strides), default=0) < 0 or last >= max(1, raw.size) + (not all(shape)):
            raise UnreadableError(
                f"{self.name}: a tensor of shape {list(shape)} reaches beyond its numbers; save it again"
            )
        if 0 in strides:
            check_size(self.name, "a tensor", math.prod(shape) * raw.itemsize, raw.nbytes)
        view = np.lib.stride_tricks.as_strided(raw[offset:], shape, [step * raw.itemsize for step in strides])
        array = widened(np.ascontiguousarray(view)) if narrow else view
        if narrow:
            self.narrow.add(id(array))
            self.storages[f"kept {id(array)}"] = array, True  # so that no other array gets its id
        return array
