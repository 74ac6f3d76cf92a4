"""A LayerConfig from options by their Python names."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from rnninspect.conventions.weights.gates import ATTRIBUTES
from rnninspect.core.full_lengths import FULL
from rnninspect.core.layer_config import LayerConfig
from rnninspect.engine import cells
from rnninspect.errors import UserError


def with_full(config: LayerConfig, lengths: Any) -> tuple[LayerConfig, Any]:
    """The config and the lengths, where `full` may stand for them: then the config says so, and no lengths are left."""
    if isinstance(lengths, str) and lengths == FULL:
        return replace(config, full_lengths="stated"), None
    return config, lengths


def layer_config(**stated: Any) -> LayerConfig:
    """A LayerConfig from options by their Python names; cell attributes may stand among them.

    Raises UserError on others, UnknownNameError on an unknown cell.
    """
    own = {f.name for f in fields(LayerConfig)} - {"attributes"}
    attributes = {k: stated.pop(k) for k in ATTRIBUTES if k in stated}
    if stated.pop("bidirectional", False):
        stated["direction"] = "bidirectional"
    batch_first = stated.pop("batch_first", None)
    if batch_first is not None:
        stated["time_major"], stated["axes_stated"] = not batch_first or stated.get("time_major", False), True
    unknown = sorted(set(stated) - own)
    if unknown:
        known = sorted(own - {"full_lengths"} | set(ATTRIBUTES))
        raise UserError(f"unknown options {', '.join(unknown)}; known: {', '.join(known)}")
    given = {k: v for k, v in stated.items() if v is not None}
    if "cell" in given:
        cells.get(given["cell"])
    return LayerConfig(**given, attributes={k: v for k, v in attributes.items() if v is not None})
