"""Options that commands share. Each is declared once and reads as its own help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from rnninspect.cli.grouped import ATTRIBUTE
from rnninspect.cli.param_types import (
    CELL,
    CONVENTION,
    FORMAT,
    MEMBER,
    MISTAKE,
    POSITIVE,
    PROBE,
    RULE,
    TEXT,
    Count,
    Number,
    Numbers,
    one_of,
)
from rnninspect.cli.report_format import chosen_format
from rnninspect.cli.signals import without_warnings
from rnninspect.core.full_lengths import FULL
from rnninspect.formats.limits import limited, parsed

__all__ = ["CELL", "CONVENTION", "FORMAT", "MEMBER", "MISTAKE", "PROBE", "RULE", "TEXT", "Count", "Number"]

Command = TypeVar("Command", bound=Callable[..., Any])


def _stack(group: str, *options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """The options one below the other, as a decorator; in a grouped help they stand under `group`."""

    def apply(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
            setattr(command.__click_params__[-1], ATTRIBUTE, group)  # type: ignore[attr-defined]
        return command

    return apply


# What the user states about the layer. Names are those of `api.statement`.
layer_options = _stack(
    "Layer",
    click.option(
        "--convention",
        type=CONVENTION,
        metavar="NAME",
        help="The framework: tf1, keras, torch, … (see `list conventions`).",
    ),
    click.option("--cell", type=CELL, help="The kind of cell."),
    click.option("--layers", type=Count(1), metavar="N", help="Number of stacked layers."),
    click.option("--bidirectional", is_flag=True, help="The layer is bidirectional."),
    click.option("--direction", type=one_of("forward", "reverse", "bidirectional"), help="Direction of the layer."),
    click.option("--time-major", is_flag=True, help="Axes are [T, B, …]; the default is [B, T, …]."),
    click.option(
        "--batch-first/--no-batch-first", default=None, help="PyTorch's name: --no-batch-first is --time-major."
    ),
    click.option("--state-batch-first/--no-state-batch-first", default=None, help="States are [B, L*D, H]."),
    click.option(
        "--go-backwards", is_flag=True, help="Keras: the layer reads backwards and leaves its outputs in reversed time."
    ),
    click.option(
        "--keep-order/--no-keep-order", default=None, help="Flax: reversed outputs are put back in input order."
    ),
    click.option(
        "--padding",
        type=one_of("zero", "repeat", "computed"),
        help="What padded outputs hold, if the framework alone does not determine it.",
    ),
    click.option(
        "--merge-mode",
        type=one_of("concat", "sum", "mul", "ave", "none"),
        help="Keras Bidirectional: how the directions were merged.",
    ),
)

cell_options = _stack(
    "Cell",
    click.option("--forget-bias", type=Number(), metavar="X", help="Added to the forget gate at run time (tf1: 1)."),
    click.option(
        "--reset-after/--no-reset-after", default=None, help="GRU: apply the reset gate after the recurrent product."
    ),
    click.option("--linear-before-reset", type=Count(0, 1), metavar="0|1", help="ONNX's name for --reset-after."),
    click.option("--use-peepholes/--no-use-peepholes", default=None, help="The cell has peepholes."),
    click.option(
        "--num-proj", "--proj-size", type=Count(1), metavar="N", help="Units of the LSTM's output projection."
    ),
    click.option("--cell-clip", type=POSITIVE, metavar="X", help="Clip of the cell state c."),
    click.option("--proj-clip", type=POSITIVE, metavar="X", help="Clip of the projection."),
    click.option("--clip", type=POSITIVE, metavar="X", help="ONNX: clip of the gates' inputs."),
    click.option("--input-forget", type=Count(0, 1), metavar="0|1", help="ONNX: f = 1 - i."),
    click.option(
        "--activation", type=TEXT, metavar="NAME", help="Activation of the candidate and of c in h = o * f(c)."
    ),
    click.option(
        "--recurrent-activation", type=TEXT, metavar="NAME", help="Activation of the gates: sigmoid, hard_sigmoid, …"
    ),
    click.option("--activations", type=TEXT, metavar="F,G,H", help="ONNX's list: Sigmoid,Tanh,Tanh."),
    click.option(
        "--activation-alpha", type=Numbers(), metavar="X,…", help="The alphas of --activations, in its order."
    ),
    click.option("--activation-beta", type=Numbers(), metavar="X,…", help="The betas of --activations, in its order."),
    click.option(
        "--state-is-tuple/--no-state-is-tuple",
        default=None,
        help="TensorFlow 1: the state is a tuple (c, h); with --no-, one array [c, h].",
    ),
)

weights_options = _stack(
    "Input",
    click.option("--weights", type=TEXT, metavar="FILE", help="The layer's weights; FILE#member picks one part."),
    click.option(
        "--weights-prefix", type=TEXT, metavar="NAME", help="Which layer of a model: the start of its weights' names."
    ),
    click.option(
        "--weights-convention",
        type=CONVENTION,
        metavar="NAME",
        help="The weights' framework, if it differs from --convention.",
    ),
)

feed_option = click.option(
    "--feed", type=TEXT, metavar="FILE", help="Values for an ONNX model's inputs, if it takes weights as inputs."
)

previous_option = click.option(
    "--previous", type=TEXT, metavar="DUMP", help="Dump of the previous chunk, in whose final state this run starts."
)


def _lengths(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """`full` is no file and no member: it goes into the parameter `full_lengths`, with whether it was stated for this
    run or is the project's (the settings' or the environment's), which a dump's own lengths win over."""
    ctx.params["full_lengths"] = None
    if value != FULL:
        return value
    for_this_run = ctx.get_parameter_source("lengths") is ParameterSource.COMMANDLINE
    ctx.params["full_lengths"] = "stated" if for_this_run else "assumed"
    return None


lengths_option = click.option(
    "--lengths",
    type=MEMBER,
    metavar="3,1,2|FILE|NAME|full",
    callback=_lengths,
    help="Number of real steps of each row; full: every step is real.",
)

fail_options = _stack(
    "Judging",
    click.option(
        "--fail-on",
        type=one_of("error", "warning", "note"),
        default="error",
        show_default=True,
        help="Exit with 1 for findings of at least this severity.",
    ),
    click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever was found."),
)

report_options = _stack(
    "Judging",
    click.option("--rtol", type=Number(0), default=0.0, metavar="X", help="Relative tolerance (0: bit for bit)."),
    click.option("--atol", type=Number(0), default=0.0, metavar="X", help="Absolute tolerance."),
    click.option(
        "--select",
        multiple=True,
        type=RULE,
        metavar="RULE",
        help="Check only these rules (repeat the option, or separate by commas).",
    ),
    click.option("--ignore", multiple=True, type=RULE, metavar="RULE", help="Do not check these rules."),
    fail_options,
    click.option(
        "--excerpt", metavar="N|all", default=None, help="Quote at most N numbers in the report (default: 4096)."
    ),
)

output_options = _stack(
    "Output",
    click.option(
        "--format",
        "format_",
        type=FORMAT,
        callback=chosen_format,
        envvar="RNNINSPECT_FORMAT",
        metavar="NAME",
        default="table",
        help="Output format: table, json, … (see `list renderers`).",
    ),
    click.option(
        "-o",
        "--output",
        type=TEXT,
        metavar="FILE",
        is_eager=True,  # its suffix decides the format
        help="Write the report to FILE instead of stdout; its suffix (.html, .json, .md, …) sets the format.",
    ),
    click.option(
        "--table",
        type=one_of("brief", "full"),
        default="brief",
        help="brief: the answer and the rows that matter; full: all rows and details.",
    ),
    click.option("--why", is_flag=True, help="List the rules that were not checked, each with its reason."),
    click.option("--rows", metavar="1,3-5", help="Show these rows."),
    click.option("--steps", metavar="0-9", help="Show these steps."),
    click.option("--precision", type=Count(0, 17), default=4, metavar="N", help="Digits after the decimal point."),
    click.option("--color", type=one_of("auto", "always", "never"), default="auto", help="When to use colours."),
    click.option("-q", "--quiet", is_flag=True, help="Print no notes on stderr."),
)


def _allow(ctx: click.Context, _: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Raise the limits that the files of this command are read by, and keep what numpy says of their numbers off
    stderr: what a user should know is in the report."""
    ctx.with_resource(limited(**parsed(value)))
    ctx.with_resource(without_warnings())
    return value


def _traceback(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    """Let what the library logs of its own faults be seen, until the command ends."""
    if value:
        import logging

        handler, log = logging.StreamHandler(), logging.getLogger("rnninspect")
        log.addHandler(handler)
        ctx.call_on_close(lambda: log.removeHandler(handler))
        log.setLevel(logging.DEBUG)
    return value


# Files that are not to be trusted, and faults of our own.
file_options = _stack(
    "Input",
    click.option(
        "--allow",
        multiple=True,
        callback=_allow,
        type=TEXT,
        metavar="NAME=N",
        help="Raise a limit for files that you trust: bytes=8G (memory), ratio=1000 (unpacking), seconds=60 "
        "(without progress), checked=4G (CRC).",
    ),
    click.option(
        "--traceback", is_flag=True, callback=_traceback, help="Show the traceback of an internal error of rnninspect."
    ),
)

# Many dumps at once.
fleet_options = _stack(
    "Many dumps",
    click.option(
        "--jobs",
        type=Count(1),
        metavar="N",
        help="Use N processes, for several dumps or for the rows of one large dump.",
    ),
    click.option(
        "--scheduler", type=TEXT, metavar="ADDRESS|local", help="Use a Dask cluster (needs the extra `cluster`)."
    ),
    click.option("--recursive", is_flag=True, help="Read folders with all their subfolders."),
    click.option("--resume", is_flag=True, help="Continue the results file of -o: skip dumps that are already in it."),
)
