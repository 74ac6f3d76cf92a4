"""`rnninspect compare`: recorded outputs against their final state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from rnninspect.cli import inputs, options, output, progress, signals
from rnninspect.cli.grouped import Grouped
from rnninspect.cli.overwrites import refuse_overwriting
from rnninspect.errors import naming
from rnninspect.formats.storage import is_remote, names_several
from rnninspect.formats.witness import unchanged
from rnninspect.measure.choose_reading import Measurer, Tolerance, measure_all

if TYPE_CHECKING:
    from rnninspect.core.layer_config import LayerConfig
    from rnninspect.formats.base import NamedArrays
    from rnninspect.report.report import Report


@click.command("compare", cls=Grouped)
@click.argument("dumps", metavar="[DUMP]...", nargs=-1, type=options.TEXT)
@options.lengths_option
@click.option("--mask", type=options.MEMBER, metavar="NAME|FILE", help="[B, T], true where a step is real.")
@click.option("--inputs", type=options.MEMBER, metavar="NAME|FILE", help="The inputs of the layer.")
@options.weights_options
@click.option(
    "--against",
    type=options.TEXT,
    metavar="REFERENCE",
    help="A second dump of the same inputs, to compare with step by step.",
)
@click.option(
    "--outputs", type=options.MEMBER, metavar="NAME|FILE", help="The outputs: a member, a file, or FILE#member."
)
@click.option("--state", type=options.MEMBER, metavar="NAME|FILE", help="The final state h.")
@click.option("--cell-state", type=options.MEMBER, metavar="NAME|FILE", help="The cell state c.")
@options.previous_option
@options.layer_options
@options.cell_options
@options.report_options
@options.output_options
@options.file_options
@options.fleet_options
def command(dumps: tuple[str, ...], **params: Any) -> int:
    """Compare saved outputs with their final state: which step does the state of each row equal, and if that is the
    wrong one, why?

    DUMP is a file (.npz, .npy, .json, …), `-` or a pipe; without one a packaged example is inspected. Several dumps,
    folders, patterns and @list.txt (one path per line) are judged one after the other, or in parallel with --jobs. Any
    of these may be remote: s3://…, gs://….

    \b
    rnninspect compare dump.npz
    rnninspect compare dump.npz --convention torch --bidirectional --format json
    rnninspect compare mine.npz --against reference.npz
    rnninspect compare --outputs outputs.npy --state h.npy --lengths 3,1,2
    rnninspect compare outputs.npy h.npy --lengths 3,1,2
    rnninspect compare runs/ --recursive --jobs 8 --format ndjson -o results.ndjson --resume
    """
    refuse_overwriting(dumps, params)
    signals.survive_shortened_files()
    pair = inputs.as_pair(dumps, params)
    if pair is not None:
        dumps, params = (), {**params, **pair}
    if _are_many(dumps, params):
        from rnninspect.cli import fleet

        return fleet.run(judged, dumps, params)
    with _measurer(params) as measurer, unchanged():
        report = judged(dumps[0] if dumps else None, params, measurer)
    output.show(report, params)
    return output.exit_code(report, params)


def _are_many(dumps: tuple[str, ...], params: dict[str, Any]) -> bool:
    """Whether this is about several dumps: their number, a folder, a pattern, a list, or an option for many says so."""
    if len(dumps) > 1 or params["recursive"] or params["resume"]:
        return True
    return any(_names_several(dump) for dump in dumps)


def _names_several(dump: str) -> bool:
    if is_remote(dump):
        return names_several(dump)
    if os.path.exists(dump):
        return os.path.isdir(dump)
    import glob

    return dump.startswith("@") or bool(glob.glob(dump, recursive=True))


@contextmanager
def _measurer(params: dict[str, Any]) -> Iterator[Measurer]:
    """What measures a single dump: this process, or several workers where they are asked for."""
    if not params["scheduler"] and (params["jobs"] or 1) == 1:
        yield measure_all
        return
    from functools import partial

    from rnninspect.api.parallel.split_rows import measure_over
    from rnninspect.cli.fleet import engine_of

    with engine_of(params) as engine:
        yield partial(measure_over, engine, partial(output.note, quiet=params["quiet"]))


def judged(dump: str | None, params: dict[str, Any], measurer: Measurer = measure_all) -> Report:
    """The report of one dump, read and judged as the options say, and measured by `measurer`."""
    quiet = params["quiet"]
    config = inputs.stated_config(params)  # what contradicts itself is said before a file is read
    named = params["outputs"] is not None and dump is None
    source = params["outputs"] if named else inputs.source(dump)
    read = inputs.read(source or inputs.example("published.npz", quiet), quiet)
    with naming(read.source):
        return _judged(read, config, params, named, measurer)


def _judged(read: NamedArrays, config: LayerConfig, params: dict[str, Any], named: bool, measurer: Measurer) -> Report:
    """`judged`, of arrays that were read; `named`: --outputs names their file, and no member of it."""
    from functools import partial

    from rnninspect.api import inspect
    from rnninspect.api.compare import Request, case_of
    from rnninspect.api.role_arrays import slots, source_of

    quiet = params["quiet"]
    request = Request(
        read,
        config,
        params["convention"] or "auto",
        slots({**params, "outputs": None if named else params["outputs"]}, read.arrays),
        Tolerance(params["rtol"], params["atol"]),
        weights_convention=params["weights_convention"],
        previous=params["previous"],
        against=params["against"],
        reader=partial(inputs.read, quiet=quiet),
        measurer=measurer,
    )
    if params["weights"]:
        from rnninspect.cli import weights

        request = replace(request, weights=weights.layer_file(params, config, read.arrays, request.likely))
    arrays = [*read.arrays.values(), *(slot.array for slot in request.named.values())]
    with progress.over_bytes(arrays, quiet):
        case = case_of(request)
        inputs.note_reading(case, request.convention, quiet)
        kept = ("weights_convention", "weights_prefix", "merge_mode")
        options = {**config.attributes, **{name: params[name] for name in kept}}
        return inspect.inspect_case(case, "compare", source=source_of(read), options=options, **inputs.judging(params))
