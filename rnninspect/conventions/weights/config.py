"""What a weight file says about its own layers: an ONNX node's attributes, a Keras config, as options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from rnninspect.conventions.base import Convention
from rnninspect.core.wording import argument
from rnninspect.errors import UserError


def of_file(convention: Convention, attributes: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Options by their Python names that the file states about the layers called `names` (`Weights.names`).

    `attributes` are called `LAYER.attribute`, or `attribute` alone where the file holds one layer; LAYER is a whole
    name or a part of one (`lstm` of `layers/lstm/cell`). Raises UserError where layers differ in what one statement has
    to say of all of them.
    """
    paths = [_path(name) for name in names]
    layers: dict[str, dict[str, Any]] = {}
    for key, value in attributes.items():
        layer, _, attribute = key.replace("/", ".").rpartition(".")
        if not layer or any(_path(layer) in path for path in paths):
            layers.setdefault(layer, {})[attribute] = value
    options: dict[str, Any] = {}
    source: dict[str, str] = {}
    for layer, layer_attributes in layers.items():
        for option, value in convention.options_from_config(layer_attributes).items():
            if option in options and options[option] != value:
                raise UserError(
                    f"the layers differ in {option}: {source[option] or 'one'} {options[option]}, {layer} {value}; "
                    f"pick one layer with {argument('weights_prefix')}"
                )
            options[option], source[option] = value, layer
    return options


def _path(name: str) -> str:
    """The name's parts with a separator on both sides of each, so that whole parts are found in it."""
    return "/" + "/".join(part for part in re.split(r"[/.]", name) if part) + "/"
