"""What a weight file says about its own layers: an ONNX node's attributes, a Keras config, as options."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rnninspect.conventions.base import Convention
from rnninspect.conventions.weights.gates import pairs
from rnninspect.core.cell import ROLE_FIELDS, CellSpec
from rnninspect.core.feed import owners
from rnninspect.core.wording import argument
from rnninspect.engine import cells
from rnninspect.errors import UserError


def of_file(convention: Convention, attributes: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Options by their Python names that the file states about the layers called `names` (`Weights.names`).

    `attributes` are called `LAYER.attribute`, or `attribute` alone where the file holds one layer; LAYER is a whole
    name or a part of one (`lstm` of `layers/lstm/cell`). Raises UserError where layers differ in what one statement has
    to say of all of them.
    """
    layers = by_layer(attributes)
    applied = dict.fromkeys(layer for name in names for layer in owners(name, layers))
    by_way: dict[str, dict[str, Any]] = {}
    for way in dict.fromkeys(map(_way, applied)):
        by_way[way] = _agreed(convention, {layer: layers[layer] for layer in applied if _way(layer) == way})
    forward, backward = by_way.get("forward", {}), by_way.get("backward", {})
    together = pairs(forward, backward) if convention.apart else {}
    options: dict[str, Any] = {}
    source: dict[str, str] = {}
    for way, of_way in by_way.items():
        layer = next(layer for layer in applied if _way(layer) == way)
        for option, value in of_way.items():
            if option in together:
                continue
            if options.setdefault(option, value) != value:
                raise _differ(option, (source[option] or "one", options[option]), (layer, value))
            source.setdefault(option, layer)
    return options | together


def _way(layer: str) -> str:
    """The direction that a layer's own name says it has within a Bidirectional; empty where it says none."""
    match = re.match(r"(forward|backward)_", layer.rpartition(".")[2])
    return match[1] if match else ""


def _agreed(convention: Convention, layers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The options of layers that are one statement; UserError where they differ."""
    options: dict[str, Any] = {}
    source: dict[str, str] = {}
    for layer, described in layers.items():
        for option, value in convention.options_from_config(described).items():
            if option in options and options[option] != value:
                raise _differ(option, (source[option] or "one", options[option]), (layer, value))
            options[option], source[option] = value, layer
    return options


def _differ(option: str, one: tuple[str, Any], other: tuple[str, Any]) -> UserError:
    return UserError(
        f"the layers differ in {option}: {one[0]} {one[1]}, {other[0]} {other[1]}; "
        f"pick one layer with {argument('weights_prefix')}"
    )


def by_layer(attributes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Attributes called `LAYER.attribute` by layer, the empty name for those of no layer."""
    layers: dict[str, dict[str, Any]] = {}
    for key, value in attributes.items():
        layer, _, attribute = key.replace("/", ".").rpartition(".")
        layers.setdefault(layer, {})[attribute] = value
    return layers


def paths_by_name(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Where the weights of a file's layers lie, by the names that the layers' own config gives them; a name that
    several have is left out.

    >>> paths_by_name({"layers/lstm.name": "encoder", "layers/lstm_1.name": "decoder"})
    {'encoder': 'layers.lstm', 'decoder': 'layers.lstm_1'}
    """
    called = [(str(described["name"]), path) for path, described in by_layer(attributes).items() if "name" in described]
    counts = Counter(name for name, _ in called)
    return {name: path for name, path in called if counts[name] == 1}


def unmatched(convention: Convention, attributes: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The recurrent layers that a file describes but holds no cells for, each with what it says that is not used.

    >>> from rnninspect import conventions
    >>> unmatched(conventions.get("keras"), {"gru.class_name": "GRU", "gru.activation": "relu"}, ["lstm"])
    ['gru (activation relu)']
    """
    layers = by_layer(attributes)
    applied = {layer for name in names for layer in owners(name, layers)}
    left = []
    for layer, described in layers.items():
        if layer in applied or not convention.is_recurrent(described):
            continue
        options = {k: v for k, v in convention.options_from_config(described).items() if k not in ("padding",)}
        shown = ", ".join(f"{name} {value}" for name, value in options.items())
        left.append(f"{layer} ({shown})" if shown else layer)
    return left


_ACTIVATIONS = ("activation", "recurrent_activation", "activations")


def activations_not_stated(convention: Convention, spec: CellSpec, attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Say which activations are taken for granted where neither a file nor the user states them; empty where there
    is no other choice."""
    options = [name for name in _ACTIVATIONS if name in convention.takes & cells.get(spec.cell).varied_by]
    alone = len(convention.activations.get(spec.cell, ("any", "other"))) == 1
    if not options or alone or any(attributes.get(name) is not None for name in _ACTIVATIONS):
        return ()
    roles = cells.get(spec.cell).roles
    taken = dict.fromkeys(getattr(spec, ROLE_FIELDS[role]) for role in roles)
    shown = " and ".join(argument(name) for name in options)
    are, state = "are" if len(taken) > 1 else "is", "state" if len(options) > 1 else "states"
    return (
        f"activations are not stated in the file of weights: {' and '.join(taken)} {are} used; {shown} {state} others",
    )
