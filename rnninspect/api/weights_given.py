"""What is given as `weights` in Python -> Weights or arrays by name, and what a file of them states beside them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rnninspect import conventions
from rnninspect.api.weights_file import read_layer
from rnninspect.conventions.live.weights import (
    as_named,
    cell_configs,
    cell_options,
    dropout_on,
    layers_of,
    reads_time_first,
)
from rnninspect.conventions.weights.prefix import likely_weights, pick
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.core.weights import Weights
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.engine.activations import ACTIVATIONS, SPELLINGS
from rnninspect.errors import UserError, about_argument
from rnninspect.formats import read_arrays


def weights_given(
    weights: Any,
    config: LayerConfig,
    convention: str | None,
    dump: str | None = None,
    batch: Any = None,
    prefix: str | None = None,
) -> tuple[Weights | Mapping[str, Array] | None, LayerConfig]:
    """The weights, read as far as they can be, and what is stated once a file of them has spoken.

    `weights`: a path, Weights, or whatever `as_named` takes. `convention`: whose names the weights have, `dump`: whose
    the arrays beside them are; None where that is not stated. `batch`: named arrays, among which may be weights that an
    ONNX model is fed. `prefix`: which layer of several, the start of its weights' names. Raises UserError where it is
    nothing that can be read.
    """
    if weights is None or isinstance(weights, Weights):
        return weights, config
    if not isinstance(weights, (str, os.PathLike)):
        arrays = as_named(weights, config)
        config = config.over(_options_of(weights, config))
        config = config if config.layers is not None else replace(config, layers=layers_of(weights))
        return (pick(likely_weights(arrays), prefix) if prefix else arrays), config
    path = os.fspath(weights)
    with about_argument("weights", path):
        feed = batch if isinstance(batch, Mapping) else None
        file = read_layer(
            read_arrays(path, feed=feed), config, convention, prefix=prefix, likely=[dump] if dump else []
        )
    return file.annotated, file.config_for(config, conventions.get(dump) if dump else file.convention)


def _options_of(weights: Any, config: LayerConfig) -> dict[str, Any]:
    """What the layer that was given as weights computes, options by their Python names; none where its cells differ.

    Raises UserError where it computes a function that is not known here and none was stated in its place.
    """
    of_cells = [cell_options(config_of_cell) for config_of_cell in cell_configs(weights)]
    if not of_cells or any(options != of_cells[0] for options in of_cells):
        return {}
    for name in ("activation", "recurrent_activation"):
        function = of_cells[0].get(name, "linear")
        if name not in config.attributes and function not in ACTIVATIONS and function not in SPELLINGS:
            raise UserError(
                f"the layer given as weights has {name} {function}, whose formula is not known here: leave weights "
                f"out, or state {argument(name)}, the one that computes the same"
            )
    return of_cells[0]


def convention_of(weights: Weights | Mapping[str, Array] | None) -> str | None:
    """The framework that weights say they are of, or that the names of their arrays show; None where nothing does."""
    if weights is None or isinstance(weights, Weights):
        return (weights.convention or None) if weights is not None else None
    alike = conventions.of_weights(likely_weights(weights))
    return alike[0].name if alike else None


def with_dropout(case: Case, weights: Any) -> Case:
    """The case of a layer that drops units, where the object that was given for its weights is one in train mode."""
    share = dropout_on(weights)
    return replace(case, layer=replace(case.layer, dropout=share)) if share else case


def with_axes_of_layer(case: Case, weights: Any) -> Case:
    """The case with the axes that the object which was given for its weights says it reads, if it does."""
    time_first = reads_time_first(weights)
    return case if time_first is None else replace(case, layer=replace(case.layer, time_first=time_first))


def without_dropped_units(case: Case) -> Case:
    """The case without its weights, where units were dropped between its layers and a run of the weights, which drops
    others or none, gives other numbers: it decides nothing then. Raises UserError where there is nothing else."""
    if not case.layer.dropout or not case.has("inputs") or not case.has("weights"):
        return case
    if "outputs" in case.trace.source and any(facts.mismatched.any() for facts in case.facts):
        raise UserError(
            f"the layer is in train mode and drops {case.layer.dropout:g} of the units between its layers at random: "
            "no run of it tells whether a state alone is right; call .eval() before the run, or give the outputs"
        )
    if agrees(case):
        return case
    sentence = (
        f"not used: the layer is in train mode and drops {case.layer.dropout:g} of the units between its layers at "
        "random, so that no run of them gives these numbers again; call .eval() before the run that is recorded"
    )
    trace = replace(case.trace, source={**case.trace.source, "weights": sentence})
    return case.with_trace(trace).with_weights(None)
