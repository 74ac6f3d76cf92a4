"""`.keras`: a Keras 3 model in a zip; its arrays and its config are read, and nothing of it is built or run."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats import hdf5
from rnninspect.formats.base import NamedArrays, guarded
from rnninspect.formats.hdf5 import described_by, read_as
from rnninspect.formats.keras_model import CONFIG, METADATA, WEIGHTS, weights_file, write_model
from rnninspect.formats.npz import check_members, first_member
from rnninspect.formats.tree import shorten

NAME = "keras"
SUFFIXES = (".keras",)
EXTRA: str | None = "hdf5"
SUMMARY = "a Keras 3 model: its weights, and what its config says of every layer"

LAYERS_OF = "keras"  # the framework whose layers `write_layer` takes


def sniff(head: bytes) -> bool:
    """A zip that begins with a member that Keras writes."""
    return first_member(head) in (CONFIG, WEIGHTS, METADATA)


def read(source: Path | BinaryIO, name: str) -> NamedArrays:
    """The weights by their paths, with the config of every layer as attributes (`layers/lstm.activation`).

    Raises UnreadableError where it is no such archive.
    """
    with guarded(name), zipfile.ZipFile(source) as archive:
        lacking = {CONFIG, WEIGHTS} - set(archive.namelist())
        if lacking:
            raise UnreadableError(
                f"{name}: no {' and no '.join(sorted(lacking))} in it, only {shorten(archive.namelist()) or 'nothing'}"
                "; save it with model.save('NAME.keras')"
            )
        check_members(archive, archive.infolist(), name)
        described = described_by(archive.read(CONFIG), version=_version(archive), by_name=False)
        weights = io.BytesIO(archive.read(WEIGHTS))
    return read_as(weights, name, NAME, described)


def write_layer(arrays: Mapping[str, Array], options: Mapping[str, Any], target: BinaryIO) -> None:
    """Write the layers, by their paths in `.weights.h5`, as a Sequential model that Keras 3 loads."""
    write_model(arrays, weights_file(arrays, hdf5.write), options, target)


def _version(archive: zipfile.ZipFile) -> str:
    metadata: Any = json.loads(archive.read(METADATA)) if METADATA in archive.namelist() else {}
    return str(metadata.get("keras_version", "")) if isinstance(metadata, dict) else ""
