"""`rnninspect check`: does a live model read its padding, and do its rows meet?"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from rnninspect.cli import options, output
from rnninspect.cli.overwrites import refuse_overwriting
from rnninspect.core.full_lengths import FULL
from rnninspect.errors import ModelFailedError
from rnninspect.formats.base import ANONYMOUS

if TYPE_CHECKING:
    from rnninspect.invariance.calls import Call
    from rnninspect.report.report import Report

_NUMBER = r"\s*[+-]?\d+(?:\.\d*)?\s*"  # of which the check says itself what is no length


@click.command("check")
@click.option(
    "--lengths",
    type=options.TEXT,
    metavar="NAME|FILE|3,1,2|full",
    help="Number of real steps of each row: an argument's name, numbers, or full (no row has padding).",
)
@click.option(
    "--mask", type=options.TEXT, metavar="NAME|FILE", help="[B, T], true where a step is real; instead of --lengths."
)
@click.option(
    "--probe",
    "probes",
    multiple=True,
    type=options.PROBE,
    metavar="NAME",
    help="Run only this probe (see `list probes`; repeat, or separate by commas).",
)
@click.option(
    "--skip",
    multiple=True,
    type=options.PROBE,
    metavar="NAME",
    help="Do not run this probe (repeat, or separate by commas).",
)
@click.option("--weights", type=options.TEXT, metavar="FILE", help="A state dict to load into a torch model first.")
@click.option("--side", type=click.Choice(["right", "left"]), help="The side of the padding; detected by default.")
@click.option(
    "--max-rows", type=options.Count(2), default=8, metavar="N", help="Use at most N rows of the batch (default: 8)."
)
@click.option(
    "--seconds", type=options.Number(0), default=60, metavar="N", help="Start no new run after N seconds (default: 60)."
)
@click.option(
    "--rtol",
    type=options.Number(0),
    metavar="X",
    help="Tolerated difference, relative to a result's largest value (default: by its dtype).",
)
@click.option("--atol", type=options.Number(0), metavar="X", help="Tolerated absolute difference.")
@options.fail_options
@options.output_options
@click.argument("model")
@click.argument("batch")
def command(model: str, batch: str, **params: Any) -> int:
    """Run MODEL on variants of BATCH that must not change any real result: other values in the padding, more padding,
    the rows in another order, and each row alone. Report which result differs, by how much, and in which layer the
    difference arises.

    MODEL is an .onnx or .keras file (no code in it is run), or package.module:name, a model or a function that returns
    one; importing it runs your own code. BATCH is a file with the model's inputs under their names, in any format of
    `list formats`.

    \b
    rnninspect check model.onnx batch.npz --lengths lengths
    rnninspect check package.module:model batch.npz --lengths 5,3,2
    """
    from rnninspect.invariance.calls import calls_of
    from rnninspect.invariance.loading import load_model

    refuse_overwriting([model, batch, *_sources(model)], params)
    live = load_model(model, params["weights"])
    report = _first_that_runs(live, calls_of(live, _arrays(batch, params["quiet"])), model, batch, params)
    output.show(report, params)
    return output.exit_code(report, params)


def _first_that_runs(live: Any, calls: Iterator[Call], model: str, batch: str, params: dict[str, Any]) -> Report:
    """The report of the first call that the model runs with; where there is none, the error of the first is raised."""
    failed: ModelFailedError | None = None
    for call in calls:
        try:
            return _report(live, call, model, batch, params)
        except ModelFailedError as error:
            failed = failed or error
    assert failed is not None
    raise failed


def _report(live: Any, call: Call, model: str, batch: str, params: dict[str, Any]) -> Report:
    """The report of a model that is called so. Raises ModelFailedError where it does not run."""
    from rnninspect.cli.progress import over_runs
    from rnninspect.invariance import check_padding
    from rnninspect.invariance.calls import arguments_taken

    apart = {**call.aside, **call.unnamed}
    lengths, mask = (_of_batch(_named(params[name]), apart) for name in ("lengths", "mask"))
    notes = [f"{model} {call.note}"] if call.note else []
    for name in apart:
        if name in (params["lengths"], params["mask"]):
            continue
        if lengths is None and mask is None and re.search("len", name):
            lengths = apart[name]
            notes.append(f"the lengths are those of the batch's member {name}")
        elif name in call.aside:
            takes = ", ".join(arguments_taken(live))
            notes.append(f"{name} of {batch} was left out: no argument of the model is called so ({takes})")
    with over_runs(params["quiet"]) as progress:
        report = check_padding(
            live,
            *call.inputs,
            kwargs=call.kwargs,
            lengths=lengths,
            mask=mask,
            probes=_split(params["probes"]) or None,
            skip=_split(params["skip"]),
            source={"path" if os.path.isfile(model) else "name": model, "inputs": batch},
            progress=progress,
            **{name: params[name] for name in ("rtol", "atol", "max_rows", "seconds", "side")},
        )
    for text in notes:
        output.note(text, params["quiet"])
    return report


def _of_batch(value: Any, apart: Mapping[str, Any]) -> Any:
    """The array of that name, where the model is not given it by name."""
    return apart.get(value, value) if isinstance(value, str) else value


def _sources(model: str) -> list[str]:
    """The files in which a model of one's own code may stand, by the name of its module."""
    module = model.partition(":")[0].replace(".", os.sep)
    return [f"{module}.py", os.path.join(module, "__init__.py")]


def _arrays(batch: str, quiet: bool) -> dict[str, Any]:
    from rnninspect.cli import inputs

    return dict(inputs.read(batch, quiet).arrays)


def _split(names: tuple[str, ...]) -> list[str]:
    """Names that may be given one by one, or with commas."""
    return [name for part in names for name in part.split(",") if name]


def _named(value: str | None) -> Any:
    """Numbers, the array of a file, `full`, or else a name."""
    if value is None or value == FULL:
        return value
    if re.fullmatch(rf"{_NUMBER}(,{_NUMBER})*", value):
        return [float(number) if "." in number else int(number) for number in value.split(",")]
    if os.path.isfile(value.rpartition("#")[0] or value) or os.path.isfile(value):
        from rnninspect.formats import read_arrays

        arrays = read_arrays(value).arrays
        return arrays[ANONYMOUS] if ANONYMOUS in arrays else next(iter(arrays.values()))
    return value
