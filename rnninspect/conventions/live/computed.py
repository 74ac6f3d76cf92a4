"""Weights that a torch layer computes from other parameters: under weight norm, spectral norm and alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# What the parameters are called from which torch computes a weight: `weight_g` and `weight_v` of weight norm, `…_orig`
# of spectral norm and pruning (torch/nn/utils/weight_norm.py, spectral_norm.py, prune.py).
_PARTS = ("_g", "_v", "_orig", "_mask", "_u")
_CELL = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def state_of(module: Any) -> Mapping[str, Any]:
    """What `state_dict()` holds, with the weights of recurrent layers as they are used, where these are computed.

    `torch.nn.utils.parametrize` computes a weight whenever it is asked for; older ways keep the last one.
    """
    state = dict(module.state_dict())
    named_modules = getattr(module, "named_modules", None)
    for path, layer in named_modules() if callable(named_modules) else ():
        before = f"{path}." if path else ""
        for name in weight_names(layer):
            if f"{before}{name}" in state:
                continue
            parts = {f"{before}{name}{part}" for part in _PARTS}
            below = f"{before}parametrizations.{name}."
            state = {key: value for key, value in state.items() if key not in parts and not key.startswith(below)}
            state[f"{before}{name}"] = _as_used(layer, name)
    return state


def weight_names(layer: Any) -> Iterator[str]:
    """The names of a recurrent layer's weights, none of which is computed for that."""
    names, parameters = getattr(layer, "_flat_weights_names", _CELL), vars(layer).get("_parameters", {})
    held = {*getattr(layer, "parametrizations", ()), *vars(layer), *parameters}
    yield from (name for name in names if name in held and parameters.get(name, layer) is not None)


def _as_used(layer: Any, name: str) -> Any:
    """The weight, computed as in evaluation: in training spectral norm moves its vectors whenever it is asked."""
    modules = getattr(layer, "parametrizations", {})
    parts = list(modules[name].modules()) if name in modules else []
    trained = [part for part in parts if part.training]
    for part in trained:
        part.training = False
    try:
        return getattr(layer, name).detach()
    finally:
        for part in trained:
            part.training = True
