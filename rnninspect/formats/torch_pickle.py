"""torch's pickles, read without torch: plain containers, and where the numbers of every tensor lie; no code is run.

A pickle names classes and functions. The few that tensors and dicts are made of stand for holders of this file, every
other name is refused, and nothing is imported (torch/serialization.py, torch/_utils.py).
"""

from __future__ import annotations

import math
import pickle
import sys
import zipfile
from _compat_pickle import IMPORT_MAPPING
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats.bfloat16 import widened
from rnninspect.formats.limits import check_size
from rnninspect.formats.npz import SMALL, stored_at

STORAGES = {
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

PackedSequence = namedtuple(  # a mirror of torch's own, made of whatever the file holds
    "PackedSequence", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"], defaults=(None, None, None)
)


# Modules of whose names none is passed over: what they make is asked of torch, or acts as it is made.
_MADE_BY_CODE = sys.stdlib_module_names | {"numpy", "torch"}
_OPAQUE = frozenset({"typing.Any", "argparse.Namespace", "torch.torch_version.TorchVersion"})


class NotPlainError(Exception):
    """The pickle holds what is more than tensors in plain containers; the text names it."""


class Opaque:
    """An object of a class that is not known here: what it was made of, and none of what its class does with it."""

    def __new__(cls, *parts: Any, **more: Any) -> Opaque:
        return object.__new__(cls)

    def __init__(self, *parts: Any, **more: Any) -> None:
        self._hold(parts, more)

    def __setstate__(self, state: Any) -> None:
        self._hold(state)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._hold(key, value)

    def append(self, item: Any) -> None:
        """Keep an item, as the pickle's own list would."""
        self._hold(item)

    def extend(self, items: Any) -> None:
        """Keep several items."""
        self._hold(items)

    def _hold(self, *parts: Any) -> None:
        self.parts = (*getattr(self, "parts", ()), *parts)


class Ordered(dict[Any, Any]):
    """An OrderedDict; what else is kept with it (a state dict's versions) is no weight."""

    def __setstate__(self, state: Any) -> None:
        pass


@dataclass(frozen=True, eq=False)
class Storage:
    """The numbers of one storage, in a row; bfloat16 as uint16."""

    kind: str
    numbers: Array


@dataclass(frozen=True, eq=False)
class LaidOut:
    """A tensor: how it lies in its storage, in numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def narrow(self) -> bool:
        """Whether it is bfloat16, which numpy lacks."""
        return self.storage.kind == "BFloat16Storage"

    def array(self, source: str, name: str) -> Array:
        """Its numbers `[…]`, bfloat16 as float32; UnreadableError where it lacks them or they repeat too often."""
        numbers, shape, strides = self.storage.numbers, self.shape, self.strides
        last = self.offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True) if all(shape))
        reach = max(1, numbers.size) + (not all(shape))
        if self.offset < 0 or min((*shape, *strides), default=0) < 0 or last >= reach:
            raise UnreadableError(
                f"{source}: {name or 'the tensor'}, of shape {list(shape)}, reaches beyond its numbers; save it again"
            )
        size = math.prod(shape) * numbers.itemsize
        if size > numbers.nbytes:
            check_size(source, name, size, numbers.nbytes)
        laid = np.lib.stride_tricks.as_strided(numbers[self.offset :], shape, [n * numbers.itemsize for n in strides])
        return widened(np.ascontiguousarray(laid)) if self.narrow else laid


class Reader(pickle._Unpickler):
    """Builds plain containers with `LaidOut` for tensors; NotPlainError for everything else that a pickle names.

    The reader that is written in Python is taken: the other one makes room for as many objects as a file claims.
    """

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]

    def __init__(self, file: BinaryIO, storage: Callable[[str, str, int], Storage]) -> None:
        """`storage`: the numbers of a storage by its kind, its key and how many there are said to be."""
        super().__init__(file)
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        built: dict[str, Any] = {
            "collections.OrderedDict": Ordered,
            "torch.Size": tuple,
            "torch._utils._rebuild_tensor": LaidOut,
            "torch._utils._rebuild_tensor_v2": _rebuilt,
            "torch._utils._rebuild_parameter": _parameter,
            "torch.nn.utils.rnn.PackedSequence": PackedSequence,
        }
        if module == "torch" and name in STORAGES:
            return name
        built |= {"builtins.list": list, "builtins.int": int, "builtins.long": int}
        built |= {"builtins.dict": _mapping, "collections.defaultdict": _mapping}
        module = IMPORT_MAPPING.get(module, module)  # a pickle of protocol 2 has the names of Python 2
        called = f"{module}.{name}"
        if called in built:
            return built[called]
        if called in _OPAQUE or (name[:1].isupper() and module.partition(".")[0] not in _MADE_BY_CODE):
            return type(name, (Opaque,), {"__module__": module})
        raise NotPlainError(called)

    def persistent_load(self, pid: Any) -> Storage:
        called, kind, key, _, count, *view = pid
        if called != "storage" or kind not in STORAGES or (view and view[0] is not None):
            raise NotPlainError(f"a {kind}")
        return self._storage(kind, str(key), int(count))

    def load_build(self) -> None:
        """Only what is made for it takes a state: an attribute set on anything else would outlive the file."""
        state = self.stack.pop()
        take = getattr(type(self.stack[-1]), "__setstate__", None)
        if take is None:
            raise NotPlainError(f"a state of a {type(self.stack[-1]).__name__}")
        take(self.stack[-1], state)

    dispatch[pickle.BUILD[0]] = load_build


def _rebuilt(storage: Storage, offset: int, shape: Any, strides: Any, *more: Any) -> LaidOut:
    """The tensor; NotPlainError where its numbers are conjugates or negatives of those that lie there."""
    if len(more) > 2 and more[2]:
        raise NotPlainError("a tensor that is computed on the way")
    return LaidOut(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _mapping(*parts: Any) -> Ordered:
    """A dict; a defaultdict's first part says what it makes of keys that are not there."""
    return Ordered(next((part for part in parts if isinstance(part, dict)), {}))


def holds_tensors(tree: Any) -> bool:
    """Whether an object of an unknown class has tensors within: a whole model, which only its own code can read."""
    opaque = [node for node in _nodes([tree]) if isinstance(node, Opaque)]
    return any(isinstance(node, LaidOut) for node in _nodes(opaque))


def _nodes(tops: list[Any]) -> Iterator[Any]:
    """Every object in and below these, once; objects may hold one another."""
    left, seen = list(tops), set[int]()
    while left:
        node = left.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            left.extend(_parts(node))


def _parts(tree: Any) -> Iterable[Any]:
    if isinstance(tree, Opaque):
        return getattr(tree, "parts", ())
    if isinstance(tree, dict):
        return [*tree, *tree.values()]
    return tree if isinstance(tree, (list, tuple, set, frozenset)) else ()


def _parameter(tensor: LaidOut, *_: Any) -> LaidOut:
    return tensor


def read_zip(source: Path | BinaryIO, archive: zipfile.ZipFile, name: str, reader: type[Reader] = Reader) -> Any:
    """What the `data.pkl` of torch's zip holds; NotPlainError where that is more than plain tensors.

    The numbers of large tensors are mapped where they lie.
    """
    pickled = next((member for member in archive.namelist() if member.endswith("/data.pkl")), None)
    if pickled is None:
        raise NotPlainError("no data.pkl in it")
    folder = pickled.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.NameToInfo and archive.read(f"{folder}byteorder") != b"little":
        raise NotPlainError("numbers in another byte order")
    storages: dict[str, Storage] = {}

    def storage(kind: str, key: str, _: int) -> Storage:
        if key not in storages:
            member = next((m for m in (f"{folder}data/{key}", f"{folder}{key}") if m in archive.NameToInfo), None)
            if member is None:
                raise NotPlainError(f"a storage without numbers ({key})")
            storages[key] = Storage(kind, _numbers(source, archive, archive.getinfo(member), STORAGES[kind], name))
        return storages[key]

    with archive.open(pickled) as file:
        return reader(file, storage).load()  # type: ignore[arg-type]


def _numbers(source: Path | BinaryIO, archive: zipfile.ZipFile, info: zipfile.ZipInfo, dtype: str, name: str) -> Array:
    whole = info.file_size - info.file_size % np.dtype(dtype).itemsize
    if isinstance(source, Path) and info.compress_type == zipfile.ZIP_STORED and info.file_size > SMALL:
        with source.open("rb") as file:
            start = stored_at(file, info, f"{name}: {info.filename}")
        return np.memmap(source, dtype, mode="r", offset=start, shape=(whole // np.dtype(dtype).itemsize,))
    return np.frombuffer(archive.read(info)[:whole], dtype)


def read_legacy(file: BinaryIO, size: int) -> Any:
    """What torch before 1.6 wrote: four pickles, then the numbers of every storage; NotPlainError as `read_zip`.

    `size`: of the file in bytes, which no storage in it exceeds.
    """
    storages: dict[str, Storage] = {}

    def storage(kind: str, key: str, count: int) -> Storage:
        if key not in storages:
            if kind == "BFloat16Storage" or not 0 <= count * np.dtype(STORAGES[kind]).itemsize <= size:
                raise NotPlainError(f"a {kind} of {count} numbers")
            storages[key] = Storage(kind, np.zeros(count, STORAGES[kind]))
        return storages[key]

    _, _, system = (Reader(file, storage).load() for _ in range(3))
    if not system.get("little_endian"):
        raise NotPlainError("numbers in another byte order")
    tree = Reader(file, storage).load()
    for key in Reader(file, storage).load():
        numbers = storages[str(key)].numbers
        count = int.from_bytes(file.read(8), "little")
        if count != numbers.size or file.readinto(numbers.view(np.uint8)) != numbers.nbytes:  # type: ignore[attr-defined]
            raise NotPlainError("a storage of another size than is said of it")
    return tree
