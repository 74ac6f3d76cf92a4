"""The recorders that there are, and which of them knows a model."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

from rnninspect.core.modules_in import modules_in
from rnninspect.errors import UserError
from rnninspect.recording.base import Recorder


@cache
def recorders() -> dict[str, Recorder]:
    """Every recorder of this folder, by its name."""
    package = __name__.rpartition(".")[0]
    modules = modules_in([str(Path(__file__).parent)])
    candidates = [getattr(importlib.import_module(f"{package}.{name}"), "RECORDER", None) for name in modules]
    return {recorder.name: recorder for recorder in sorted(filter(None, candidates), key=lambda r: r.name)}


def recorders_of(model: Any) -> list[Recorder]:
    """The recorder that knows the model; of None all that can record everything. UserError where none knows it."""
    all_kinds = recorders().values()
    if model is None:
        return [recorder for recorder in all_kinds if recorder.everything]
    for recorder in all_kinds:
        if recorder.recognises(model):
            return [recorder]
    if isinstance(model, str):
        raise UserError(
            f"record({model!r}) names no model: lengths are stated beside it, record(model, lengths={model!r})"
        )
    kind = type(model)
    kinds = "; ".join(f"{recorder.name}: {recorder.models}" for recorder in all_kinds)
    raise UserError(
        f"a {kind.__module__}.{kind.__qualname__} is not a model that can be recorded; known kinds: {kinds}"
    )
