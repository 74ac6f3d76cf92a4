"""Weights as a program holds them -> arrays by name: a tree of parameters, a module, a Keras layer, `get_weights()`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from rnninspect import conventions
from rnninspect.conventions.live.computed import state_of, weight_names
from rnninspect.core.arrays import is_array, to_array
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument
from rnninspect.errors import ShapeError, UserError

_LISTED = "[kernel [F, nH], recurrent_kernel [H, nH], bias], as Keras's get_weights() gives them"
_CELLS = {1: "simple_rnn", 3: "gru", 4: "lstm"}
WORDS = ("forward", "backward")


def as_named(weights: Any, config: LayerConfig) -> dict[str, Array]:
    """The arrays of weights by name; names of nested mappings are joined by slashes.

    `weights`: a mapping, which may nest others; an object with `state_dict()` (torch, Paddle) or `weights` (Keras); a
    module of Flax's nnx; or the list that Keras's `get_weights()` gives, told by its shapes. `config` tells layers from
    directions where the shapes do not. Raises UserError on anything else, ShapeError on a list whose shapes are no
    recurrent layer's.

    >>> import numpy as np
    >>> list(as_named({"lstm/linear": {"w": np.ones((2, 4)), "b": np.ones(4)}}, LayerConfig()))
    ['lstm/linear/w', 'lstm/linear/b']
    """
    if isinstance(weights, Mapping):
        leaves = [(name, value) for name, value in _leaves(weights, "") if value is not None and not _is_key(value)]
        return {name: to_array(value, name) for name, value in leaves}
    stacked = _stacked_cells(weights)
    if stacked:
        return as_named({path: variable for path, _, variable in stacked}, config)
    variables = _variables(weights)
    of_keras = bool(variables) and callable(getattr(weights, "get_weights", None))  # on torch it is a module, too
    if callable(getattr(weights, "state_dict", None)) and not of_keras:
        return as_named(state_of(weights), config)
    if isinstance(weights, (list, tuple)):
        return _of_list(weights, config)
    nnx = sys.modules.get("flax.nnx")  # imported by whoever holds a module of it
    if nnx is not None and isinstance(weights, nnx.Module):
        return as_named(nnx.state(weights, nnx.Param), config)
    named = {_path(variable): variable for variable in variables}
    if named and len(named) == len(variables):
        return as_named(named, config)
    if callable(getattr(weights, "get_weights", None)):
        return _of_list(weights.get_weights(), config)
    raise UserError(
        f"weights are of type {type(weights).__name__}: give a file's path, arrays by name (nested or "
        "not), a module or layer, or what its get_weights() returns"
    )


def layers_of(weights: Any) -> int | None:
    """How many cells a Keras layer stacks, each of which reads the one before; None of any other object."""
    depths = {k for _, k, _ in _stacked_cells(weights)}
    return 1 + max(depths) if depths else None


def _stacked_cells(layer: Any) -> list[tuple[str, int, Any]]:
    """(path, place in the stack, variable) of a Keras `RNN([cell, cell])`, or of the two in a `Bidirectional`, in the
    order in which its cells are read, whatever they are called; of any other object, none."""
    both = [getattr(layer, f"{way}_layer", None) for way in WORDS]
    if all(both):
        by_way = ((way, _stacked_cells(one)) for way, one in zip(WORDS, both, strict=True))
        return [(f"{way}_rnn/{path}", k, variable) for way, stack in by_way for path, k, variable in stack]
    cells = getattr(getattr(layer, "cell", None), "cells", None)
    if not isinstance(cells, (list, tuple)) or len(cells) < 2:
        return []
    stack = [(k, list(_variables(cell))) for k, cell in enumerate(cells)]
    return [(f"cells/{k}/{variable.name}", k, variable) for k, variables in stack for variable in variables]


def dropout_on(weights: Any) -> float:
    """The share of units that a torch module, or one inside it, drops between its layers as it is: it has several, and
    is in train mode; else 0."""
    modules = getattr(weights, "modules", None)
    for module in modules() if callable(modules) and hasattr(weights, "training") else ():
        share = getattr(module, "dropout", 0)
        if isinstance(share, float) and module.training and getattr(module, "num_layers", 1) > 1 and share > 0:
            return share
    return 0.0


def reads_time_first(weights: Any) -> bool | None:
    """Whether the first axis is time for a torch layer, or the recurrent layers inside a module, as `batch_first` says;
    None where nothing says so, or they differ."""
    modules = getattr(weights, "modules", None)
    recurrent = [m for m in modules() if any(weight_names(m))] if callable(modules) else []
    told = {getattr(module, "batch_first", None) for module in recurrent}
    batch_first = told.pop() if len(told) == 1 else None
    return None if batch_first is None else not batch_first


def cell_configs(weights: Any) -> list[dict[str, Any]]:
    """What the recurrent cells of a torch module, or of a Keras layer or model, say of themselves, as Keras's
    `get_config()` has it; none where weights are arrays."""
    if callable(getattr(weights, "get_weights", None)):
        return [cell.get_config() for layer in getattr(weights, "layers", [weights]) for cell in _keras_cells(layer)]
    modules = getattr(weights, "modules", None)
    recurrent = [module for module in modules() if any(weight_names(module))] if modules else []
    return [config_of_torch(module) for module in recurrent]


def config_of_torch(module: Any) -> dict[str, Any]:
    """What a recurrent torch module says of its cell: only the plain RNN has a choice of activation."""
    relu = "RELU" in str(getattr(module, "mode", getattr(module, "nonlinearity", ""))).upper()
    return {"activation": "relu"} if relu else {}


def cell_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """What such a config says besides the defaults, options by their Python names; a function that is none of Keras's
    own goes by whatever its config calls it."""
    version = getattr(sys.modules.get("keras"), "__version__", "")
    options = conventions.get("keras").options_from_config({**config, "keras_version": version})
    of_cell = {name: options[name] for name in ("activation", "recurrent_activation", "reset_after") if name in options}
    return {name: _name_of(value) if "activation" in name else value for name, value in of_cell.items()}


def _name_of(function: Any) -> str:
    return str(function.get("config", function)) if isinstance(function, Mapping) else str(function)


def _keras_cells(layer: Any) -> list[Any]:
    """The cells of a recurrent Keras layer, of one direction where it has two; none of another layer."""
    layer = getattr(layer, "forward_layer", layer)
    cell = getattr(layer, "cell", layer)
    cells = getattr(cell, "cells", [cell])
    return [one for one in cells if hasattr(one, "recurrent_kernel")]


def _leaves(tree: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{name}/")
        elif isinstance(value, (list, tuple)) and value and all(is_array(v) or isinstance(v, Mapping) for v in value):
            yield from _leaves(dict(enumerate(value)), f"{name}/")
        else:
            yield name, value


def _is_key(value: Any) -> bool:
    """Whether it is a key of JAX's random numbers, which a state of nnx holds beside weights."""
    return str(getattr(value, "dtype", "")).startswith("key<")


def _variables(layer: Any) -> Sequence[Any]:
    """The variables of a Keras layer or model; none where it is no such thing."""
    variables = getattr(layer, "weights", None)
    return variables if isinstance(variables, (list, tuple)) else ()


def _path(variable: Any) -> str:
    """A variable's whole name: `path` in Keras 3, whose `name` is its last part alone."""
    return str(getattr(variable, "path", None) or getattr(variable, "name", ""))


def _of_list(listed: Sequence[Any], config: LayerConfig) -> dict[str, Array]:
    """Keras's names for its `get_weights()`: one cell, the two of a Bidirectional, or a stack of either."""
    arrays = [to_array(value, f"weights[{i}]") for i, value in enumerate(listed)]
    groups = list(_cells(arrays))
    if len(groups) == 1:  # bare names: the cell is told by its shapes
        return groups[0]
    ways = [way for way, fits in (("stack", _are_stack), ("bidirectional", _are_pairs)) if fits(groups)]
    if config.directions is not None:
        ways = [way for way in ways if way == ("bidirectional" if len(config.directions) == 2 else "stack")]
    if len(ways) != 1:
        told = "two directions or two layers" if ways else "neither the directions nor the layers of one stack"
        raise ShapeError(
            f"weights are a list of {len(groups)} cells ({_shown(arrays)}), which may be {told}: "
            f"give them by name, or state {argument('direction')}"
        )
    per_layer = 2 if ways[0] == "bidirectional" else 1
    by_name: dict[str, Array] = {}
    for i, group in enumerate(groups):
        layer = i // per_layer
        number = f"_{layer}" if layer else ""
        cell = _CELLS[_factor(group)]
        outer = f"bidirectional{number}/{WORDS[i % 2]}_{cell}/" if per_layer == 2 else f"{cell}{number}/"
        by_name |= {outer + part: array for part, array in group.items()}
    return by_name


def _cells(arrays: list[Array]) -> Iterator[dict[str, Array]]:
    """The arrays of one cell after the other; ShapeError where they are none."""
    left = list(arrays)
    while left or not arrays:
        group = dict(zip(("kernel", "recurrent_kernel"), left, strict=False))
        if len(group) < 2 or any(a.ndim != 2 for a in group.values()) or _factor(group) not in _CELLS:
            raise ShapeError(
                f"weights are a list of {_shown(arrays) or 'nothing'}, which is not {_LISTED}, of recurrent layers "
                "alone; give the arrays by name"
            )
        left = left[2:]
        wide = group["kernel"].shape[1]
        if left and (left[0].shape == (wide,) or (left[0].shape == (2, wide) and _factor(group) == 3)):
            group["bias"] = left.pop(0)
        yield group


def _factor(group: Mapping[str, Array]) -> int:
    """How many gates the two kernels hold; 0 where they do not go together."""
    (_, wide), (units, width) = group["kernel"].shape, group["recurrent_kernel"].shape
    return wide // units if units and wide == width and wide % units == 0 else 0


def _are_stack(groups: list[dict[str, Array]]) -> bool:
    return all(above["kernel"].shape[0] == below["recurrent_kernel"].shape[0] for below, above in pairwise(groups))


def _are_pairs(groups: list[dict[str, Array]]) -> bool:
    """Whether each two are of one shape, and those above read the two below, concatenated."""
    pairs = list(zip(groups[::2], groups[1::2], strict=False))
    alike = len(groups) % 2 == 0 and all(a[k].shape == b[k].shape for a, b in pairs for k in a.keys() & b.keys())
    return alike and all(
        above[0]["kernel"].shape[0] == 2 * below[0]["recurrent_kernel"].shape[0] for below, above in pairwise(pairs)
    )


def _shown(arrays: Sequence[Array]) -> str:
    return ", ".join(str(list(array.shape)) for array in arrays[:8]) + (", …" if len(arrays) > 8 else "")
