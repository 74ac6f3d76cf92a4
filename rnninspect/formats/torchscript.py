"""TorchScript archives: the parameters and buffers that their modules hold as attributes; their code is never run.

`data.pkl` names the modules' classes (`__torch__.…`) and their attributes; tensors lie beside it as plain bytes
(torch/csrc/jit/serialization/pickler.cpp). Nothing that it names is imported: every class becomes a plain holder.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from rnninspect.errors import UnreadableError
from rnninspect.formats.torch_pickle import LaidOut, NotPlainError, Reader, read_zip
from rnninspect.formats.tree import LeftOut


class _Module:
    """A module of whatever class: its attributes; those of a class with code for its state are not read."""

    attributes: Any = None

    def __setstate__(self, state: Any) -> None:
        self.attributes = state


class _ModuleReader(Reader):
    """Builds holders of the modules' attributes too."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return type("Holder", (_Module,), {})
        if module == "torch.jit._pickle":  # build_intlist, restore_type_tag, …: the value comes first
            return lambda value, *_: value
        return super().find_class(module, name)


def is_script(members: list[str]) -> bool:
    """Whether a zip with these members is a TorchScript archive."""
    return any(member.endswith("/constants.pkl") for member in members)


def script_values(source: Path | BinaryIO, name: str, dtypes: dict[str, str]) -> list[tuple[str, Any]]:
    """Every parameter and buffer by its path, as `state_dict()` names them; `dtypes` gets those that are bfloat16.

    Raises UnreadableError, with the line that saves the state dict, where the archive's code would have to be run.
    """
    with zipfile.ZipFile(source) as archive:
        try:
            return list(_tensors(read_zip(source, archive, name, _ModuleReader), "", dtypes, name))
        except (NotPlainError, pickle.UnpicklingError) as error:
            raise UnreadableError(
                f"{name}: it is a TorchScript archive whose code would have to be run ({error}), and it is not; save "
                f"its state: torch.save(torch.jit.load({Path(name).name!r}).state_dict(), 'weights.pt')"
            ) from None


def _tensors(module: Any, path: str, dtypes: dict[str, str], name: str) -> Iterator[tuple[str, Any]]:
    """The arrays of a module and of the modules within it; numbers, texts and lists are no state."""
    if not isinstance(module, _Module) or not isinstance(module.attributes, Mapping):
        return
    for key, value in module.attributes.items():
        place = f"{path}.{key}" if path else str(key)
        if isinstance(value, LaidOut):
            if value.narrow:
                dtypes[place] = "bfloat16"
            yield place, value.array(name, place)
        elif isinstance(value, _Module) and not isinstance(value.attributes, Mapping):
            yield place, LeftOut("made by code")
        else:
            yield from _tensors(value, place, dtypes, name)
