"""compare and load: reports of files, as the commands give them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rnninspect import conventions
from rnninspect.api import inspect
from rnninspect.api.config import layer_config, with_full
from rnninspect.api.live import beside, source_of
from rnninspect.api.weights_file import read_layer
from rnninspect.conventions.base import OPTION_ROLES
from rnninspect.core.arrays import to_array
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.weights import Weights
from rnninspect.diagnosis.build_case import read_case
from rnninspect.errors import UnknownNameError
from rnninspect.formats import member_of, read_arrays
from rnninspect.formats.base import NamedArrays
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.report.excerpts import EXCERPT
from rnninspect.report.report import Report

Path = str | os.PathLike[str]


def compare(
    dump: Path,
    *,
    against: Path | None = None,
    weights: Path | Weights | Mapping[str, Any] | None = None,
    select: inspect.Names = (),
    ignore: inspect.Names = (),
    excerpt: int | None = EXCERPT,
    convention: str = "auto",
    rtol: float = 0.0,
    atol: float = 0.0,
    **options: Any,
) -> Report:
    """What `rnninspect compare DUMP` reports of a file: `.npz`, `.json`, `FILE#member`, …

    `outputs`, `state`, `cell_state`, `inputs`, `lengths`, `mask`: the name of a member of the dump, or an array.
    `against`, `weights`: files too; `weights_prefix`: which layer of the weights' file. The
    other keywords are those of `inspect`.
    Raises UserError (UnreadableError, ShapeError, UnknownNameError) where the command would exit 2.

    >>> from rnninspect.diagnosis.examples import packaged
    >>> compare(packaged.path("published.npz"), convention="tf1")
    <Report: clean, 3 rows, convention tf1>
    """
    read = read_arrays(dump)
    named = {role: options.pop(name, None) for name, role in OPTION_ROLES.items()}
    prefix, whose = options.pop("weights_prefix", None), options.pop("weights_convention", None)
    config, named["lengths"] = with_full(layer_config(**options), named["lengths"])
    tolerance = Tolerance(rtol, atol)
    if isinstance(weights, (str, os.PathLike)):
        likely = [c.name for c in conventions.of_dump(read.arrays)] if convention == "auto" else [convention]
        layer = read_layer(read_arrays(weights), config, whose or _known(convention), prefix=prefix, likely=likely)
        weights, config = layer.weights, layer.config_for(config, conventions.get(likely[0]))
    stated = {role: _member(role, value, read) for role, value in named.items() if value is not None}
    case = read_case(
        read.arrays, config, convention, stated=stated, tolerance=tolerance, printed=read.precisions, elided=read.elided
    )
    case = case.with_weights(inspect.weights_of(weights, config, whose or case.convention.name))
    if against is not None:
        arrays = read_arrays(against).arrays
        again = {r: replace(s, array=arrays[s.name]) for r, s in stated.items() if s.name in arrays}
        case = beside(case, read_case(arrays, config, case.convention.name, stated=again, tolerance=tolerance))
    source = source_of(read)
    return inspect.inspect_case(case, "compare", source=source, select=select, ignore=ignore, excerpt=excerpt)


def _member(role: Role, value: Any, read: NamedArrays) -> Slot:
    """The array that stands for a role: a member of the dump by its name, or an array."""
    if not isinstance(value, str):
        return Slot(role, role, to_array(value, role))
    member = member_of(value, read.arrays)
    if member is None:
        raise UnknownNameError(f"member for {role}", value, list(read.arrays))
    return Slot(role, member, read.arrays[member])


def _known(convention: str) -> str | None:
    return None if convention == "auto" else convention
