"""`rnninspect fix`: a dump as it ought to be, where its own arrays suffice."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from rnninspect.api.role_arrays import is_there
from rnninspect.cli import inputs, options, output, weights
from rnninspect.errors import UnreadableError, UserError
from rnninspect.formats.storage import is_remote
from rnninspect.measure.choose_reading import Tolerance

if TYPE_CHECKING:
    from rnninspect.api.compare import Request
    from rnninspect.api.mend import Fixed
    from rnninspect.diagnosis.case import Case

READ = ("outputs", "state", "cell_state", "inputs", "lengths", "mask", "weights")  # options that may name a file


@click.command("fix")
@click.argument("dumps", metavar="[DUMP]", nargs=-1, type=options.TEXT)
@click.option(
    "-o", "--output", required=True, type=options.TEXT, metavar="FIXED", help="The file to write: .npz, .pt, …"
)
@click.option("--outputs", type=options.MEMBER, metavar="NAME|FILE", help="The outputs: a member or a file.")
@click.option("--state", type=options.MEMBER, metavar="NAME|FILE", help="The final state h.")
@click.option("--cell-state", type=options.MEMBER, metavar="NAME|FILE", help="The cell state c.")
@click.option("--inputs", type=options.MEMBER, metavar="NAME|FILE", help="The inputs of the layer.")
@options.lengths_option
@click.option("--mask", type=options.MEMBER, metavar="NAME|FILE", help="[B, T], true where a step is real.")
@options.weights_options
@options.layer_options
@options.cell_options
@click.option("--rtol", type=options.Number(0), default=0.0, metavar="X", help="Relative tolerance (0: bit for bit).")
@click.option("--atol", type=options.Number(0), default=0.0, metavar="X", help="Absolute tolerance.")
@click.option("--select", multiple=True, type=options.RULE, metavar="RULE", help="Check only these rules.")
@click.option("--ignore", multiple=True, type=options.RULE, metavar="RULE", help="Do not check these rules.")
@click.option(
    "--cause", multiple=True, type=options.RULE, metavar="RULE", help="The cause to fix, if two remain possible."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    envvar="RNNINSPECT_FIX_FORMAT",
    help="Format of the printed changes and report.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print no notes on stderr.")
def command(dumps: tuple[str, ...], **params: Any) -> int:
    """Write a corrected copy of DUMP: states gathered at the right steps, rows put back in order, views transposed, c
    and h exchanged, backward outputs flipped back, padding zeroed, lengths corrected.

    The changes, the reason for each, and a report on the corrected dump go to stdout. If only a new run can give the
    right numbers, nothing is written, one line says what to run again, and the exit code is 2. The same happens if
    two causes with different fixes are possible: choose one with --cause. A correct dump is copied unchanged.

    \b
    rnninspect fix dump.npz -o fixed.npz
    rnninspect fix dump.pt --convention torch --bidirectional -o fixed.pt
    rnninspect fix outputs.npy h.npy --lengths 3,1,2 -o fixed.npz
    rnninspect fix dump.npz --cause backward-not-flipped -o fixed.npz
    """
    from rnninspect.api.fix import fix_request
    from rnninspect.formats import write_arrays_like

    params = {**params, "recursive": False, "resume": False, "against": None, "color": "auto", "excerpt": None}
    pair = inputs.as_pair(dumps, params)
    _check_apart(params["output"], [*dumps, *_files(params)])
    if pair is not None:
        dumps, params = (), {**params, **pair}
    missing = [dump for dump in dumps if dump != "-" and not is_there(dump)]
    if len(dumps) > 1 and missing:
        raise UnreadableError(f"{', '.join(missing)}: no such file")
    if len(dumps) > 1:
        raise UserError(f"{', '.join(dumps)}: one dump is fixed at a time; give one")
    request, judged = _request(dumps[0] if dumps else None, params)
    fixed = fix_request(request, inputs.judging(params), judged, ",".join(params["cause"]))
    write_arrays_like(params["output"], fixed.arrays, request.read)
    _show(fixed, params)
    return 0


def _request(dump: str | None, params: dict[str, Any]) -> tuple[Request, Callable[[Case], None]]:
    """What is to be mended, and what says on stderr how it was read."""
    from rnninspect.api.compare import Request
    from rnninspect.api.role_arrays import slots

    quiet, config = params["quiet"], inputs.stated_config(params)
    named = params["outputs"] is not None and dump is None
    source = params["outputs"] if named else inputs.source(dump)
    if source is None:
        raise UserError("no dump to fix: name a file, or pipe one in")
    read = inputs.read(source, quiet)
    roles = slots({**params, "outputs": None if named else params["outputs"]}, read.arrays)
    request = Request(
        read,
        config,
        params["convention"] or "auto",
        roles,
        Tolerance(params["rtol"], params["atol"]),
        weights_convention=params["weights_convention"],
        reader=partial(inputs.read, quiet=quiet),
    )
    if params["weights"]:
        request = replace(request, weights=weights.layer_file(params, config, read.arrays, request.likely))
    return request, lambda case: inputs.note_reading(case, request.convention, quiet)


def _show(fixed: Fixed, params: Mapping[str, Any]) -> None:
    """The changes, then the report; on stderr where the arrays themselves went to stdout."""
    err = params["output"] == "-"
    if params["format_"] == "json":
        image = {"changes": [asdict(change) for change in fixed.changes], "report": fixed.report.to_dict()}
        click.echo(json.dumps(image, indent=2), err=err)
        return
    for line in _lines(fixed):
        click.echo(output.printable(line), err=err)
    click.echo(err=err)
    output.show(fixed.report, {**params, "output": None}, err=err)


def _lines(fixed: Fixed) -> Iterator[str]:
    if not fixed.changes:
        yield "nothing to change"
    for change in fixed.changes:
        yield str(change)
        yield from (f"    {line}" for line in change.code.splitlines())


def _files(params: Mapping[str, Any]) -> list[str]:
    """The files that options name."""
    return [params[name] for name in READ if isinstance(params[name], str)]


def _check_apart(target: str, sources: list[str]) -> None:
    """Raise UserError where the file to be written is one that is read."""
    for source in sources:
        for path in {source, source.rpartition("#")[0]} - {"", "-"}:
            same = path == target if is_remote(path) or is_remote(target) else _is_same(path, target)
            if same:
                raise UserError(f"-o {target} is also an input: name another file")


def _is_same(path: str, target: str) -> bool:
    if os.path.exists(path) and os.path.exists(target):
        return os.path.samefile(path, target)
    return False
