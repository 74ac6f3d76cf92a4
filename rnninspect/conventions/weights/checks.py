"""What weights must be whatever their framework: finite, with the parts stated, each layer as wide as what it reads."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rnninspect.conventions.weights.scopes import Scope
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Direction
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.core.wording import argument
from rnninspect.errors import ShapeError, UserError


def check_finite(scopes: Iterable[Scope]) -> None:
    """Raise UserError where a weight is not finite."""
    bad = [scope.paths[part] for scope in scopes for part, a in scope.arrays.items() if not np.isfinite(a).all()]
    if bad:
        raise UserError(f"NaN or infinity in the weights: {', '.join(bad)}; give finite weights")


def units_of(weights: Weights, layer: int, direction: Direction) -> int | None:
    """The width of that layer's outputs, or None where the weights hold no such layer."""
    return next((w.units for w in weights.layers if (w.layer, w.direction) == (layer, direction)), None)


def is_stack(weights: Weights) -> bool:
    """Whether every layer has all directions, and each reads what the one below gives it."""
    if len(weights.layers) != weights.depth * len(weights.directions):
        return False
    bottom = {w.features for w in weights.layers if not w.layer}
    return len(bottom) == 1 and all(
        w.features == weights.reads(w.layer, w.direction) for w in weights.layers if w.layer
    )


def check_stated(layers: tuple[LayerWeights, ...], config: LayerConfig) -> None:
    """Raise ShapeError where peepholes or a projection are stated that the weights do not hold."""
    if config.attributes.get("use_peepholes") and any(w.peepholes is None for w in layers):
        named = argument("use_peepholes", True)
        raise ShapeError(f"{named} is stated, but the weights hold no peepholes; give them, or drop the option")
    num_proj = config.attributes.get("num_proj")
    widths = [None if w.projection is None else w.units for w in layers]
    if num_proj and any(width != int(num_proj) for width in widths):
        shown = ", ".join("none" if width is None else str(width) for width in widths)
        raise ShapeError(
            f"{argument('num_proj', num_proj)} is stated, but the weights hold projections of width {shown}"
        )
