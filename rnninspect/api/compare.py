"""compare: the one way from a recorded dump, and what is given beside it, to a report; of commands and of programs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rnninspect import conventions
from rnninspect.api import inspect
from rnninspect.api.config import layer_config, with_full
from rnninspect.api.role_arrays import slots, source_of
from rnninspect.conventions.base import OPTION_ROLES
from rnninspect.core.evidence import Origin, Role, Slot
from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.weights import Weights
from rnninspect.core.wording import argument
from rnninspect.diagnosis.build_case import read_case
from rnninspect.diagnosis.case import Case
from rnninspect.errors import UserError, about_argument, naming
from rnninspect.formats import read_arrays
from rnninspect.formats.base import NamedArrays
from rnninspect.formats.witness import unchanged
from rnninspect.measure.choose_reading import Measurer, Tolerance, measure_all
from rnninspect.report.excerpts import EXCERPT
from rnninspect.report.report import Report

if TYPE_CHECKING:  # weights' files are read where one is given: start-up is for all
    from rnninspect.api.weights_file import LayerFile

Path = str | os.PathLike[str]
Reader = Callable[..., NamedArrays]


@frozen(eq=False)
class Request:
    """What to compare, and how: all that the command's options or the keywords of `compare` come to.

    `read`: the dump; `named`: arrays that were named for a role. `weights`: a file's layer, Weights, or arrays under
    the names of `weights_convention` (None: the dump's own). `previous`, `against`: files; `reader` opens the weights'
    and the chunk before. `measurer`: what measures the tracks; this process, by default.
    """

    read: NamedArrays
    config: LayerConfig
    convention: str = "auto"
    named: Mapping[Role, Slot] = field(default_factory=dict)
    tolerance: Tolerance = field(default_factory=Tolerance)
    weights: LayerFile | Weights | Mapping[str, Any] | None = None
    weights_convention: str | None = None
    previous: str | None = None
    against: str | None = None
    reader: Reader = read_arrays
    measurer: Measurer = measure_all

    @property
    def likely(self) -> list[str]:
        """The conventions whose the dump may be, the likeliest first."""
        if self.convention != "auto":
            return [self.convention]
        return [convention.name for convention in conventions.of_dump(self.read.arrays, origin_of(self.read))]

    @property
    def origin(self) -> Origin:
        """Where the dump comes from, and whose names the weights beside it have, where nobody says whose they are."""
        origin = origin_of(self.read)
        if self.weights is None or self.weights_convention is not None:
            return origin
        if isinstance(self.weights, (Weights, Mapping)):
            return replace(origin, weights=inspect.origin_of_weights(self.weights, None).weights)
        return replace(origin, weights=self.weights.alike)


@np.errstate(all="ignore")  # what a user should know of NaN and infinity is in the report
def compare(
    dump: Path | None = None,
    *,
    against: Path | None = None,
    previous: Path | None = None,
    weights: Any = None,
    weights_convention: str | None = None,
    weights_prefix: str | None = None,
    select: inspect.Names = (),
    ignore: inspect.Names = (),
    excerpt: int | None = EXCERPT,
    convention: str = "auto",
    rtol: float = 0.0,
    atol: float = 0.0,
    **options: Any,
) -> Report:
    """Compare saved outputs with their final state, as `rnninspect compare DUMP` does.

    `dump`: a file (`.npz`, `.json`, …) or `FILE#member`.

    `outputs`, `state`, `cell_state`, `inputs`, `lengths`, `mask`: a member of the dump by its name, a file,
    `FILE#member`, or an array. Without `dump`, `outputs` is the file that is read.
    `against`: a dump of a second run of the same inputs, to compare with step by step. `previous`: the dump of the
    previous chunk, in whose final state this one should start. `weights`: as for `inspect`; `weights_prefix`: which
    layer of the file. The other keywords are those of `inspect`.
    Raises UserError (UnreadableError, ShapeError, UnknownNameError) where the command would exit 2.

    >>> from rnninspect.diagnosis.examples import packaged
    >>> compare(packaged.path("published.npz"), convention="tf1")
    <Report: clean, 3 rows, convention tf1>
    """
    named = {name: options.pop(name, None) for name in OPTION_ROLES}
    if dump is None:
        dump, named["outputs"] = named["outputs"], None
        if not isinstance(dump, (str, os.PathLike)):
            raise UserError(f"no dump to compare: give its path, or {argument('outputs')} a file")
    config, named["lengths"] = with_full(layer_config(**options), named["lengths"])
    with ExitStack() as watched:
        watched.enter_context(unchanged())
        read = read_arrays(dump)
        watched.enter_context(naming(read.source))
        request = Request(
            read,
            config,
            convention,
            slots(named, read.arrays),
            Tolerance(rtol, atol),
            weights_convention=weights_convention,
            previous=None if previous is None else os.fspath(previous),
            against=None if against is None else os.fspath(against),
        )
        if isinstance(weights, (str, os.PathLike)):
            layer = layer_of(request, os.fspath(weights), weights_prefix)
            request = replace(request, weights=replace(layer, weights=layer.annotated))
        else:
            from rnninspect.api.weights_given import weights_given

            arrays, config = weights_given(weights, config, weights_convention, prefix=weights_prefix)
            request = replace(request, weights=arrays, config=config)
        case = case_of(request)
        if weights is not None:
            from rnninspect.api.weights_given import with_dropout

            case = with_dropout(case, weights)
        whose = {"weights_convention": weights_convention, "weights_prefix": weights_prefix}
        options = {**config.attributes, **whose, "merge_mode": options.get("merge_mode")}
        return inspect.inspect_case(
            case,
            "compare",
            source=source_of(read),
            select=select,
            ignore=ignore,
            excerpt=excerpt,
            options=options,
        )


def origin_of(read: NamedArrays) -> Origin:
    """Where the arrays of a file come from, as far as it speaks for a framework."""
    name = read.source.rpartition("#")[0] or read.source
    return Origin(os.path.splitext(name)[1].lower(), marks=read.marks)


def layer_of(request: Request, path: str, prefix: str | None = None) -> LayerFile:
    """The layer of a file of weights that goes with the dump; UserError, after the argument, where there is none."""
    from rnninspect.api.weights_file import read_layer

    whose = request.weights_convention or request.convention
    with about_argument("weights", path):
        named = None if whose == "auto" else whose
        return read_layer(
            request.reader(path, feed=request.read.arrays), request.config, named, prefix=prefix, likely=request.likely
        )


@np.errstate(all="ignore")  # what a user should know of NaN and infinity is in the report
def case_of(request: Request) -> Case:
    """The case that is asked about: the dump, with its weights, the chunk before and the other run where given.

    Raises ShapeError where no reading fits, and UserError, after the argument, on what another file lacks.
    """
    config, weights = request.config, request.weights
    if weights is not None and not isinstance(weights, (Weights, Mapping)):
        config, weights = weights.config_for(config, conventions.get(request.likely[0])), weights.weights
    inspect.refuse_quantised(weights)
    case = _of_state_alone(request, config, weights)
    if case is None:
        early = None if weights is None else inspect.weights_by_name(weights, config, _whose_weights(request))
        config_read = inspect.with_cell_of(early, config)
        case = _read(request, request.read, config_read, request.convention, request.named)
        case = case.with_weights(inspect.weights_of(weights, config, _whose_weights(request), case.convention.name))
    if request.previous is not None:
        from rnninspect.api.chunks import chain_to, final_states

        with about_argument("previous", request.previous):
            before = request.reader(request.previous)
            case = chain_to(case, final_states(before, config, case.convention.name))
    return case if request.against is None else _with_other(case, request, config, request.against)


def _whose_weights(request: Request) -> str:
    """Whose names the weights have: as stated, or as the dump's."""
    return request.weights_convention or request.convention


def _of_state_alone(request: Request, config: LayerConfig, weights: Weights | Mapping[str, Any] | None) -> Case | None:
    """The case of a dump that has no outputs, which a run of the weights fills in; None where it has some."""
    if weights is None:
        return None
    from rnninspect.api.state_alone import case_of_state, state_alone

    alone = state_alone(
        request.read.arrays,
        config,
        request.convention,
        inspect.weights_by_name(weights, config, _whose_weights(request)),
        named_roles=request.named,
        origin=request.origin,
        tolerance=request.tolerance,
    )
    return None if alone is None else case_of_state(alone)


def _with_other(case: Case, request: Request, config: LayerConfig, path: str) -> Case:
    """The case with a second dump, read as the first was; members that were named are looked up there too."""
    from rnninspect.api.live import beside

    with about_argument("against", path):
        read = read_arrays(path)
        named = {r: replace(s, array=read.arrays[s.name]) for r, s in request.named.items() if s.name in read.arrays}
        other = _read(request, read, config, case.convention.name, named)
    return beside(case, other, argument("against", path))


def _read(
    request: Request, read: NamedArrays, config: LayerConfig, convention: str, named: Mapping[Role, Slot]
) -> Case:
    return read_case(
        read.arrays,
        config,
        convention,
        named_roles=named,
        origin=request.origin if read is request.read else origin_of(read),
        tolerance=request.tolerance,
        printed=read.precisions,
        elided=read.elided,
        measurer=request.measurer,
    )
