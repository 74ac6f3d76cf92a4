"""LayerConfig: what the user states about a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, replace
from typing import Any, Literal

from rnninspect.core.cell import Cell
from rnninspect.core.frozen import frozen
from rnninspect.core.full_lengths import FullLengths
from rnninspect.core.trace import Direction, PaddingPolicy


@frozen
class LayerConfig:
    """What the user states about a layer; None = nothing stated. `attributes` are the cell's own (`forget_bias`, …).

    `axes_stated`: the user said which axis is time, if only that it is not the first. `axes_of_node`: a file of weights
    said so of its node, and the graph around one may turn its arrays round. `full_lengths`: no row is shorter than T,
    as stated, or as assumed (a project's setting) where the dump says nothing of it.
    """

    cell: Cell | None = None
    layers: int | None = None
    direction: Literal["forward", "reverse", "bidirectional"] | None = None
    time_major: bool = False
    go_backwards: bool = False
    keep_order: bool | None = None
    state_batch_first: bool | None = None
    padding: PaddingPolicy | None = None
    merge_mode: Literal["concat", "sum", "mul", "ave", "none"] = "concat"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    axes_stated: bool = False
    axes_of_node: bool = False
    full_lengths: FullLengths | None = None

    def over(self, options: Mapping[str, Any]) -> LayerConfig:
        """This config and, where it says nothing, what `options` say: options by their Python names.

        >>> config = LayerConfig(cell="gru").over({"cell": "lstm", "go_backwards": True, "clip": 3.0})
        >>> config.cell, config.go_backwards, config.attributes
        ('gru', True, {'clip': 3.0})
        """
        fields_here = {f.name: getattr(self, f.name) for f in fields(self)}
        uninformative = {name for name, value in fields_here.items() if value in (None, False, "concat")}
        uninformative -= {"time_major"} if self.axes_stated else set()
        uninformative -= {"direction", "go_backwards"} if self.directions else set()
        config = {name: value for name, value in options.items() if name in uninformative}
        more = {name: value for name, value in options.items() if name not in fields_here}
        return replace(self, **config, attributes={**more, **self.attributes})

    @property
    def options(self) -> frozenset[str]:
        """The names of what was stated of a layer that only some frameworks' layers have."""
        stated_options = {"go_backwards": self.go_backwards, "keep_order": self.keep_order is not None}
        return frozenset(name for name, is_there in stated_options.items() if is_there)

    @property
    def directions(self) -> tuple[Direction, ...] | None:
        """The directions stated, forward first, or None."""
        if self.go_backwards and self.direction is None:
            return ("backward",)
        if self.direction is None:
            return None
        return {
            "forward": ("forward",),
            "reverse": ("backward",),
            "bidirectional": ("forward", "backward"),
        }[self.direction]  # type: ignore[return-value]
