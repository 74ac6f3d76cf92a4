"""Report -> text, one file per format. A new file with a NAME is a new format."""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType
from typing import Any, Protocol, cast

from rnninspect.core.modules_in import modules_in
from rnninspect.errors import UnknownNameError
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers.view import View


class Renderer(Protocol):
    """What a module of this folder holds: its format's name, one line about it, and `render`."""

    NAME: str
    SUMMARY: str

    def render(self, report: ReportRecord, view: View) -> str:
        """The report as text that ends in one newline."""


def _imported(name: str) -> ModuleType:
    """A renderer's file, imported without a trace in Python's random numbers: `rich` draws some as it is imported."""
    import random  # not at the start of every command

    state = random.getstate()
    try:
        return importlib.import_module(f"{__name__}.{name}")
    finally:
        random.setstate(state)


@cache
def _renderers() -> dict[str, Renderer]:
    renderers = {}
    for name in modules_in(__path__):
        module = _imported(name)
        if hasattr(module, "NAME"):
            renderers[module.NAME] = cast(Renderer, module)
    return dict(sorted(renderers.items()))


@cache
def _renderer(format: str) -> Renderer | None:
    """The renderer of that format; a file called as the format is tried first, so that no other need be imported."""
    for name in modules_in(__path__):
        if name.rstrip("_") == format:
            module = _imported(name)
            if getattr(module, "NAME", None) == format:
                return cast(Renderer, module)
    return _renderers().get(format)


def renderers() -> list[tuple[str, str]]:
    """Every format's name and what it is good for, by name."""
    return [(name, renderer.SUMMARY) for name, renderer in _renderers().items()]


def render(report: ReportRecord, format: str = "table", **view: Any) -> str:
    """The report as text in that format, ending in a newline; `view` holds the fields of View.

    Raises UnknownNameError, which lists the known formats, or the known fields.
    """
    for name in view.keys() - View.__dataclass_fields__.keys():
        raise UnknownNameError("keyword of a view", name, list(View.__dataclass_fields__))
    renderer = _renderer(format)
    if renderer is None:
        raise UnknownNameError("format", format, list(_renderers()))
    return renderer.render(report, View(**view))


def is_format(name: str) -> bool:
    """Whether there is a format of that name."""
    return _renderer(name) is not None


def excerpt(format: str) -> int | None:
    """How many numbers a report should quote for that format; None where the usual ones do, or it is unknown."""
    return getattr(_renderer(format), "EXCERPT", None)
