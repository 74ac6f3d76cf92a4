"""`rnninspect convert`: a layer's weights, moved to another framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rnninspect.cli import options
from rnninspect.cli.command_words import as_options
from rnninspect.cli.overwrites import refuse_overwriting
from rnninspect.cli.param_types import one_of

if TYPE_CHECKING:
    from rnninspect.formats.base import NamedArrays


@click.command("convert")
@click.argument("weights", type=options.TEXT)
@click.option("--to", type=options.CONVENTION, metavar="NAME", help="The framework to convert to.")
@click.option(
    "--from",
    "--weights-convention",
    "source",
    type=options.CONVENTION,
    metavar="NAME",
    help="The framework of the weights.",
)
@click.option(
    "-o", "--output", required=True, type=options.TEXT, metavar="FILE", help="The file to write: .npz, .pt, …"
)
@options.feed_option
@click.option(
    "--weights-prefix",
    type=options.TEXT,
    metavar="NAME",
    help="Which layer of a model: the start of its weights' names.",
)
@click.option("--cell", type=options.CELL, help="The kind of cell.")
@click.option("--layers", type=options.Count(1), metavar="N", help="Number of stacked layers.")
@click.option("--bidirectional", is_flag=True, help="The layer is bidirectional.")
@click.option("--direction", type=one_of("forward", "reverse", "bidirectional"), help="Direction of the layer.")
@click.option(
    "--merge-mode",
    type=one_of("concat", "sum", "mul", "ave", "none"),
    help="Keras Bidirectional: how the directions were merged.",
)
@options.cell_options
@options.file_options
@click.option("-q", "--quiet", is_flag=True, help="Print no notes on stderr.")
def command(weights: str, **params: Any) -> int:
    """Convert the layer in WEIGHTS to another framework's names, gate order, kernel layout and biases; or, without
    --to, save the arrays of a print-out.

    The written file is read back and both layers are run on the same random inputs; the exit code is 1 if they differ
    by more than rounding. What the other framework cannot express (in torch a GRU that resets before the recurrent
    product, in Keras peepholes, …) is refused, and nothing is written.

    \b
    rnninspect convert layer.pt --to keras -o layer.npz
    rnninspect convert model.onnx --weights-prefix encoder --to torch -o encoder.pt
    rnninspect convert model.weights.h5 --to onnx -o layer.npz --activation relu
    rnninspect convert question.txt -o dump.npz
    """
    from rnninspect import conventions
    from rnninspect.api import convert
    from rnninspect.api.weights_file import read_layer
    from rnninspect.cli import inputs
    from rnninspect.cli import weights as weights_file
    from rnninspect.errors import about, about_argument

    refuse_overwriting([weights], params)
    if params["to"] is not None:
        with about_argument("to", params["to"]):
            conventions.get(params["to"])
    with about("WEIGHTS", weights):
        read = inputs.read_fed(weights, params["feed"], params["quiet"])
        if params["to"] is None:
            return _save(read, params["output"])
        layer = read_layer(read, inputs.stated_config(params), params["source"], prefix=params["weights_prefix"])
        weights_file.note_layer(layer, inputs.stated_config(params), weights, params["source"], params["quiet"])
        moved = convert.move(layer.weights, params["to"])
    written = convert.write(moved, params["output"])
    click.echo(f"{layer.convention.name} -> {moved.convention.name}: {convert.summarise(moved)}")
    if moved.beside:
        click.echo(f"state beside it: {as_options(moved.beside)}")
    click.echo(f"largest difference on random inputs: {written.difference:.3g} ({params['output']} read back)")
    return 0 if written.agrees else 1


def _save(read: NamedArrays, target: str) -> int:
    """Write the arrays of a print-out as they were read; UserError where it is another file, which needs --to."""
    from rnninspect.errors import UserError
    from rnninspect.formats import write_arrays

    if read.format != "text":
        raise UserError(f"it is a {read.format} file, not a print-out: give the framework to convert to with --to")
    write_arrays(target, {name or "array": array for name, array in read.arrays.items()})
    saved = ", ".join(f"{name or 'array'} {list(array.shape)}" for name, array in read.arrays.items())
    click.echo(f"{target}: {saved}")
    return 0
