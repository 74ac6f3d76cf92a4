"""A weight file -> the Weights of one layer, and what the user and the file together state about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rnninspect import conventions
from rnninspect.conventions.base import Convention
from rnninspect.conventions.weights.config import activations_not_stated, of_file, paths_by_name, unmatched
from rnninspect.conventions.weights.prefix import LayerOverview, likely_weights, pick_called
from rnninspect.conventions.weights.stack import ScopedConvention, overview
from rnninspect.conventions.weights.variants import computed_weights, offer
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.core.weights import Weights
from rnninspect.core.wording import argument
from rnninspect.diagnosis.build_case import read_weights
from rnninspect.engine.activations import ACTIVATIONS, SPELLINGS
from rnninspect.errors import ShapeError, UserError
from rnninspect.formats.base import NamedArrays
from rnninspect.formats.onnx_quantised import STATED

# What a file says of its own framework's axes, padding and order of time: a dump of another framework has its own.
LAID_OUT = ("time_major", "padding", "go_backwards")


@dataclass(frozen=True, eq=False)
class LayerFile:
    """One layer (or a whole stack) of a file, `convention` being whose names it has.

    `remarks`: what the file leaves open. The command line says it, as it says what the file was read as.
    """

    weights: Weights
    convention: Convention
    arrays: Mapping[str, Array]
    attributes: Mapping[str, Any]
    remarks: tuple[str, ...] = ()

    @property
    def annotated(self) -> Weights:
        """The weights with the remarks among their notes, for a report that is all that a program shows."""
        return replace(self.weights, notes=(*self.weights.notes, *self.remarks))

    @property
    def alike(self) -> tuple[str, ...]:
        """The conventions that have such names, the one that they were read as first."""
        others = [c.name for c in conventions.of_weights(self.arrays) if c is not self.convention]
        return (self.convention.name, *others)

    def config_for(self, config: LayerConfig, dump: Convention | None) -> LayerConfig:
        """What is stated of a dump of the framework `dump`: the user's word, then the file's, then what it holds."""
        held: dict[str, Any] = {"cell": self.weights.spec.cell, "layers": self.weights.depth}
        if len(self.weights.directions) == 2:
            held["direction"] = "bidirectional"
        if self.weights.layers[-1].projection is not None:
            held["num_proj"] = self.weights.layers[-1].units
        options = held | self._options_of_file(config)
        if dump is not self.convention:
            options = {name: value for name, value in options.items() if name not in LAID_OUT}
        of_node = bool(options.get("time_major")) and not (config.time_major or config.axes_stated)
        return replace(config.over(options), axes_of_node=of_node)

    def overruled(self, config: LayerConfig) -> Iterator[tuple[str, Any, Any]]:
        """(option, the file's word, the user's) wherever the two differ about the cell: the user's is used."""
        options = self._options_of_file(config)
        for name, value in config.attributes.items():
            if options.get(name, value) != value:
                yield name, options[name], value

    def _options_of_file(self, config: LayerConfig) -> dict[str, Any]:
        return _options_of_file(self.convention, self.arrays, self.attributes, config)


def read_layer(
    read: NamedArrays,
    config: LayerConfig,
    convention: str | None = None,
    *,
    prefix: str | None = None,
    likely: Iterable[str] = (),
) -> LayerFile:
    """The layer that `prefix` names, or the only one, under `convention`'s names (None: the one that the names show).

    `likely`: conventions to prefer where the names are those of several. Raises UserError where the file holds no layer
    of that convention, or several that are no stack, and whatever reading the weights raises.
    """
    everything = _weights_held(read)
    arrays = pick_called(everything, prefix, paths_by_name(read.attributes)) if prefix else everything
    whose = conventions.get(convention or _convention_shown(arrays, likely))
    try:
        options = _options_of_file(whose, arrays, read.attributes, config)
    except UserError:
        read_weights(arrays, config, whose.name, read.feeds)  # where layers that differ are no stack, it lists them
        raise
    _refuse_unknown_activations(options, config)
    weights = read_weights(arrays, config.over(options), whose.name, read.feeds)
    notes = (*weights.notes, *_unused_config(whose, everything, read.attributes, config))
    remarks = () if read.attributes else activations_not_stated(whose, weights.spec, config.attributes)
    quantised = next(iter(_quantised(weights.names, read.attributes)), "")
    if quantised:
        notes = (
            *notes,
            f"{quantised} rounds what it reads to 8 bits where it runs: its own results only come close to these",
        )
    return LayerFile(replace(weights, notes=notes, quantised=quantised), whose, arrays, read.attributes, remarks)


def _weights_held(read: NamedArrays) -> dict[str, Array]:
    """The arrays of a file that may be weights; ShapeError where it holds what weights are computed from instead."""
    arrays = likely_weights(read.arrays)
    computed = computed_weights(arrays)
    if computed:
        raise ShapeError(computed)
    return arrays


def activations_taken(read: NamedArrays, convention: Convention, layers: Iterable[LayerOverview]) -> tuple[str, ...]:
    """What a list of a file's layers says of their activations, where the file says nothing itself."""
    kinds = [cell for cell in convention.cells if any(layer.cells == cell for layer in layers)]
    if read.attributes:
        return ()
    remarks = (activations_not_stated(convention, convention.spec(cell, {}), {}) for cell in kinds)
    return tuple(dict.fromkeys(remark for each in remarks for remark in each))


def layers_of(read: NamedArrays, convention: str | None = None) -> tuple[Convention, tuple[LayerOverview, ...]]:
    """Whose weights a file holds, and its recurrent layers; UserError where it holds none that are known."""
    arrays = _weights_held(read)
    whose = conventions.get(convention or _convention_shown(arrays, ()))
    scopes = whose.scopes(arrays, LayerConfig()) if isinstance(whose, ScopedConvention) else ()
    if not isinstance(whose, ScopedConvention) or not scopes:
        whose.read_weights(arrays, LayerConfig())  # it says what is missing
        return whose, ()
    return whose, overview(whose, scopes, read.feeds)


def _options_of_file(
    convention: Convention, arrays: Mapping[str, Array], attributes: Mapping[str, Any], config: LayerConfig
) -> dict[str, Any]:
    """What the file states about these layers, options by their Python names."""
    if not attributes or not isinstance(convention, ScopedConvention):
        return {}
    return of_file(convention, attributes, [scope.name for scope in convention.scopes(arrays, config)])


def _refuse_unknown_activations(options: Mapping[str, Any], config: LayerConfig) -> None:
    """Raise ShapeError where the file states an activation that no formula is known of, and the user no other."""
    for option in ("activation", "recurrent_activation"):
        named = str(options[option]).split(",") if option in options and option not in config.attributes else []
        unknown = [name for name in named if name not in ACTIVATIONS and name not in SPELLINGS]
        if unknown:
            raise ShapeError(
                f"the file states {option} {unknown[0]}, whose formula is not known here, so the layer cannot be run; "
                f"`rnninspect list activations` has those that are, and {argument(option)} states the one that "
                "computes the same"
            )


def _unused_config(
    convention: Convention, arrays: Mapping[str, Array], attributes: Mapping[str, Any], config: LayerConfig
) -> Iterator[str]:
    """Say which layers the file describes without holding weights for them."""
    if not attributes or not isinstance(convention, ScopedConvention):
        return
    names = [scope.name for scope in convention.scopes(arrays, config)]
    for layer in unmatched(convention, attributes, names):
        yield f"the file's config of {layer} is of no weights that it holds, and was not used"


def _quantised(names: Iterable[str], attributes: Mapping[str, Any]) -> Iterator[str]:
    """The operators of these layers that are quantised ones."""
    return (str(attributes[f"{name}.{STATED}"]) for name in names if f"{name}.{STATED}" in attributes)


def _convention_shown(arrays: Mapping[str, Array], likely: Iterable[str]) -> str:
    """The convention that the names of the arrays show."""
    alike = [convention.name for convention in conventions.of_weights(arrays)]
    if not alike:
        listed = ", ".join(list(arrays)[:8]) + (" …" if len(arrays) > 8 else "")
        listed_conventions = ", ".join(conventions.conventions())
        offered = offer(arrays)
        raise ShapeError(
            f"no known framework names recurrent weights so: {listed or 'no arrays'}; "
            f"{offered + '; or ' if offered else ''}state "
            f"{argument('weights_convention')} ({listed_conventions})"
        )
    return next((name for name in likely if name in alike), alike[0])
