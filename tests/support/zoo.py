"""The zoo of live models, each right and wrong, and the awkward right ones."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.places import DATA

ZOO = DATA / "zoo"
FILES = ("text", "speech", "seq2seq", "other", "further")


@dataclass(frozen=True)
class Animal:
    """A model as people write it: right and, of the ones that go wrong, wrong. `place`: a pattern of where."""

    name: str
    right: Callable[[], Any]
    batch: Callable[[int, int], tuple[tuple[Any, ...], dict[str, Any]]]
    wrong: Callable[[], Any] | None = None
    finding: str = ""
    place: str = ""


def _module(name: str) -> Any:
    path = ZOO / f"{name}.py"
    sys.path.insert(0, str(ZOO))
    try:
        spec = importlib.util.spec_from_file_location(f"zoo_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(ZOO))


def pairs() -> list[Animal]:
    """Every model that there is right and wrong."""
    return [
        Animal(name, right, batch, wrong, finding, place)
        for file in FILES
        for name, (right, wrong, batch, finding, place) in _module(file).CASES.items()
    ]


def of_people() -> list[Animal]:
    """The models that the check was not written with; the finding is one of several, set apart by `|`."""
    module = _module("people")
    return [
        Animal(name, right, batch, wrong, "|".join(findings), module.PLACES.get(name, ""))
        for name, (right, wrong, batch, findings, _) in module.CASES.items()
    ]


def awkward() -> list[Animal]:
    """Right models that are easily taken for wrong ones."""
    files = ("awkward", "further")
    return [Animal(name, right, batch) for file in files for name, (right, batch) in _module(file).RIGHT.items()]
