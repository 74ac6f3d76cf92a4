"""`rnninspect run`: a masked RNN, then its inspection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from rnninspect.cli import inputs, options, output, signals, weights
from rnninspect.cli.grouped import Grouped
from rnninspect.cli.overwrites import refuse_overwriting
from rnninspect.cli.param_types import one_of
from rnninspect.errors import naming
from rnninspect.formats.base import NamedArrays
from rnninspect.formats.witness import unchanged


@click.command("run", cls=Grouped)
@click.argument("batch", required=False, type=options.TEXT)
@options.lengths_option
@options.weights_options
@click.option(
    "--mask", type=options.MEMBER, metavar="FILE|NAME", help="[B, T], true where a step is real; may have holes."
)
@click.option(
    "--inputs", type=options.MEMBER, metavar="FILE|NAME", help="Which array is the inputs, if BATCH holds several."
)
@click.option(
    "--hidden-size", type=options.Count(1), metavar="N", help="Number of units, if no --weights are given (default: 4)."
)
@click.option(
    "--seed",
    type=options.Count(0),
    default=0,
    metavar="N",
    help="Seed of the random weights, if no --weights are given (default: 0).",
)
@click.option(
    "--initial-state",
    type=options.MEMBER,
    metavar="FILE|NAME",
    help="Initial state h [B, H]; for an LSTM, FILE may hold h and c.",
)
@click.option("--dtype", type=one_of("float64", "float32", "float16", "bfloat16"), help="Dtype of the computation.")
@click.option("--device", type=options.TEXT, default="cpu", metavar="NAME", help="cpu, cuda, cuda:1, …")
@click.option("--truncate", is_flag=True, help="Cut the time axis to the longest row, as pad_packed_sequence does.")
@click.option(
    "--save",
    type=options.TEXT,
    metavar="FILE|-",
    help="Write a dump for `compare`; - writes it to stdout and prints no report.",
)
@options.previous_option
@options.layer_options
@options.cell_options
@options.report_options
@options.output_options
@options.file_options
def command(batch: str | None, **params: Any) -> int:
    """Run a masked LSTM (GRU, RNN) over BATCH and show where every row of its final state comes from.

    BATCH is .npy, .npz, .json, NDJSON, …, `-` or a pipe; without one the packaged worked example runs.

    \b
    rnninspect run batch.npy --lengths 3,1,2
    rnninspect run batch.json --hidden-size 8 --bidirectional --format json
    rnninspect run batch.npy --lengths 3,1,2 --weights layer.npz --save dump.npz
    """
    refuse_overwriting([batch], params)
    signals.survive_shortened_files()
    source = inputs.source(batch)
    if source is None:
        source, params = inputs.example_run(params)
    with unchanged():
        read = inputs.read(source, params["quiet"])
        with naming(read.source):
            return _run(read, params)


def _run(read: NamedArrays, params: dict[str, Any]) -> int:
    """Run the layer over what was read, write what is asked for, and give the exit code."""
    from rnninspect import conventions
    from rnninspect.api import inspect
    from rnninspect.api.role_arrays import slots, source_of
    from rnninspect.conventions.dumps.batch import nonfinite_inputs
    from rnninspect.diagnosis import build_case
    from rnninspect.formats import write_arrays
    from rnninspect.measure.choose_reading import Tolerance

    quiet = params["quiet"]
    config = inputs.stated_config(params)
    layer = weights.layer_file(params, config, read.arrays) if params["weights"] else None
    convention = params["convention"] or (layer.convention.name if layer else "tf1")
    by_user = config
    if layer is not None:
        config = layer.config_for(config, conventions.get(convention))
    named_roles = slots(params, read.arrays)
    case = build_case.run_case(
        read.arrays,
        config,
        convention,
        weights=layer.weights if layer else None,
        named_roles=named_roles,
        initial_state=weights.start(params, read.arrays, config, convention),
        options=build_case.RunOptions(
            params["hidden_size"],
            params["seed"],
            params["dtype"],
            params["device"],
            params["truncate"],
            axes_by_weights=config.time_major and not by_user.time_major,
            row_steps=read.row_steps,
        ),
    )
    inputs.note_flat_batch(read.arrays, named_roles, quiet)
    inputs.note_idle(case, params, quiet)
    case = case.with_tolerance(Tolerance(params["rtol"], params["atol"]))
    origin = {} if layer else {"weights": inputs.drawn_weights(case, params["seed"])}
    report = inspect.inspect_case(case, "run", source={**source_of(read), **origin}, **inputs.judging(params))
    report = replace(report, notes=[*report.notes, *(nonfinite_inputs(case.batch) if case.batch else [])])
    if params["save"]:
        output.check_selection(report, params)
        write_arrays(params["save"], build_case.dump(case))
    if params["save"] != "-" or params["output"]:
        output.show(report, params)
    return output.exit_code(report, params)
