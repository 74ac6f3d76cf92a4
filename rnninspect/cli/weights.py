"""What the weights and the chunk before say: the files that --weights and --previous name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rnninspect.cli.inputs import initial_state, read
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.errors import UserError, about_argument

if TYPE_CHECKING:
    from rnninspect.api.weights_file import LayerFile


def layer_file(
    options: Mapping[str, Any], config: LayerConfig, batch: Mapping[str, Array], likely: Iterable[str] = ()
) -> LayerFile:
    """The layer that --weights names; `batch` may hold those that an ONNX model is fed as inputs.

    Whose weights they were taken for is noted, where nobody stated it.
    """
    from rnninspect.api.weights_file import read_layer

    path, convention = options["weights"], options["weights_convention"] or options["convention"]
    with about_argument("weights", path):
        layer = read_layer(
            read(path, options["quiet"], batch),
            config,
            None if convention == "auto" else convention,
            prefix=options["weights_prefix"],
            likely=likely,
        )
    note_layer(layer, config, path, convention, options["quiet"])
    return layer


def note_layer(layer: LayerFile, config: LayerConfig, path: str, convention: str | None, quiet: bool) -> None:
    """Say whose weights they were taken for where nobody stated it, what of the file is overruled or left open."""
    from rnninspect.cli.output import note

    if convention in (None, "auto"):
        note(f"{path}: read as {layer.convention.name} weights (choose with --weights-convention)", quiet)
    for name, in_file, used in layer.overruled(config):
        note(f"{path}: its own {name} is {in_file}; as stated, {used} is used", quiet)
    for remark in layer.remarks:
        note(f"{path}: {remark}", quiet)


def start(options: Mapping[str, Any], arrays: Mapping[str, Array], config: LayerConfig, convention: str) -> Any:
    """The state that --initial-state or --previous names, or None; UserError where both are given."""
    from rnninspect.api.chunks import final_states

    value = options["previous"]
    if value is None:
        return initial_state(options["initial_state"], arrays)
    if options["initial_state"] is not None:
        raise UserError("--initial-state and --previous both say where the run starts; state one")
    with about_argument("previous", value):
        return final_states(read(value, options["quiet"]), config, convention)
