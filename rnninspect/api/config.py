"""A LayerConfig from options by their Python names."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from rnninspect.conventions.base import OPTION_ROLES
from rnninspect.conventions.weights.gates import ATTRIBUTES
from rnninspect.core.full_lengths import FULL
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.wording import argument
from rnninspect.engine import cells
from rnninspect.errors import UnknownNameError, UserError, did_you_mean

# What the verbs take beside the layer, which may have been meant.
_OTHERS = (*OPTION_ROLES, "final_state", "initial_state", "text", "weights", "weights_convention", "weights_prefix")
_OTHERS += ("against", "previous", "convention", "rtol", "atol", "select", "ignore", "excerpt", "hidden_size", "seed")

_CHOICES = {
    "direction": ("forward", "reverse", "bidirectional"),
    "merge_mode": ("concat", "sum", "mul", "ave", "none"),
}
MOST_LAYERS = 1024  # a mistyped number must not be worked on for hours


def with_full(config: LayerConfig, lengths: Any) -> tuple[LayerConfig, Any]:
    """The config and the lengths, where `full` may stand for them: then the config says so, and no lengths are left."""
    if isinstance(lengths, str) and lengths == FULL:
        return replace(config, full_lengths="stated"), None
    return config, lengths


def layer_config(**options: Any) -> LayerConfig:
    """A LayerConfig from options by their Python names; cell attributes may stand among them.

    Raises UserError on others, UnknownNameError on an unknown cell, direction or merge mode.
    """
    stated_fields = {f.name for f in fields(LayerConfig)} - {"attributes"}
    attributes = {k: options.pop(k) for k in ATTRIBUTES if k in options}
    two = options.pop("bidirectional", None)
    if two or (two is False and not options.get("direction") and not options.get("go_backwards")):
        options["direction"] = "bidirectional" if two else "forward"  # `bidirectional=False` is a statement too
    batch_first = options.pop("batch_first", None)
    if options.get("time_major") is not None:  # `time_major=False` is a statement too
        options["axes_stated"] = True
    if batch_first is not None:
        options["time_major"], options["axes_stated"] = not batch_first or options.get("time_major", False), True
    unknown = sorted(set(options) - stated_fields)
    if unknown:
        listed = sorted(
            {*stated_fields, *ATTRIBUTES, "bidirectional", "batch_first"}
            - {"full_lengths", "axes_stated", "axes_of_node"}
        )
        hints = [
            f"{name!r}{did_you_mean(name, sorted({*_OTHERS, *listed} - set(unknown)))}".rstrip(".") for name in unknown
        ]
        end = "" if hints[-1].endswith("?") else "."
        raise UserError(f"unknown keyword {', '.join(hints)}{end} Those that state the layer: {', '.join(listed)}")
    not_none = {k: v for k, v in options.items() if v is not None}
    if isinstance(layers := not_none.get("layers"), int) and layers > MOST_LAYERS:
        raise UserError(f"{argument('layers', layers)}: no stack has more than {MOST_LAYERS} layers; state its own")
    for name in _CHOICES.keys() & not_none.keys():
        if not_none[name] not in _CHOICES[name]:
            raise UnknownNameError(name, str(not_none[name]), list(_CHOICES[name]))
    if "cell" in not_none:
        cells.get(not_none["cell"])
    return LayerConfig(**not_none, attributes={k: v for k, v in attributes.items() if v is not None})
