"""Options that commands share. Each is declared once and reads as its own help."""

from __future__ import annotations

import os
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
from rnninspect.cli.signals import without_warnings
from rnninspect.core.full_lengths import FULL
from rnninspect.errors import UnknownNameError
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
        help="The framework: tf1, keras, torch, … (`list conventions`).",
    ),
    click.option("--cell", type=CELL, help="The cell."),
    click.option("--layers", type=Count(1), metavar="N", help="Layers in the stack."),
    click.option("--bidirectional", is_flag=True, help="Both directions."),
    click.option("--direction", type=one_of("forward", "reverse", "bidirectional"), help="Directions."),
    click.option("--time-major", is_flag=True, help="Axes are [T, B, …]; the default is [B, T, …]."),
    click.option(
        "--batch-first/--no-batch-first", default=None, help="PyTorch's word: --no-batch-first is time-major."
    ),
    click.option("--state-batch-first/--no-state-batch-first", default=None, help="States are [B, L*D, H]."),
    click.option("--go-backwards", is_flag=True, help="Keras: reads backwards, outputs stay in reversed time."),
    click.option("--keep-order/--no-keep-order", default=None, help="Flax: reversed outputs put back in input order."),
    click.option(
        "--padding",
        type=one_of("zero", "repeat", "computed"),
        help="What masked outputs hold, where the call and not the framework decides it.",
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
    click.option("--reset-after/--no-reset-after", default=None, help="GRU: reset after the recurrent product."),
    click.option("--linear-before-reset", type=Count(0, 1), metavar="0|1", help="ONNX's word for it."),
    click.option("--use-peepholes/--no-use-peepholes", default=None, help="The cell has peepholes."),
    click.option("--num-proj", "--proj-size", type=Count(1), metavar="N", help="Units of the projection."),
    click.option("--cell-clip", type=POSITIVE, metavar="X", help="Clip of the cell state c."),
    click.option("--proj-clip", type=POSITIVE, metavar="X", help="Clip of the projection."),
    click.option("--clip", type=POSITIVE, metavar="X", help="ONNX: clip of the gates' inputs."),
    click.option("--input-forget", type=Count(0, 1), metavar="0|1", help="ONNX: f = 1 - i."),
    click.option("--activation", type=TEXT, metavar="NAME", help="Of the candidate (and of c on the way to h)."),
    click.option("--recurrent-activation", type=TEXT, metavar="NAME", help="Of the gates: sigmoid, hard_sigmoid, …"),
    click.option("--activations", type=TEXT, metavar="F,G,H", help="ONNX's list: Sigmoid,Tanh,Tanh."),
    click.option("--activation-alpha", type=Numbers(), metavar="X,…", help="ONNX's alphas."),
    click.option("--activation-beta", type=Numbers(), metavar="X,…", help="ONNX's betas."),
    click.option(
        "--state-is-tuple/--no-state-is-tuple", default=None, help="TensorFlow 1: a state is [c, h] in one array."
    ),
)

weights_options = _stack(
    "Input",
    click.option("--weights", type=TEXT, metavar="FILE", help="The layer's weights; FILE#member picks one part."),
    click.option("--weights-prefix", type=TEXT, metavar="NAME", help="Which layer of a model: names that start so."),
    click.option(
        "--weights-convention", type=CONVENTION, metavar="NAME", help="The weights' framework, where it is another."
    ),
)

feed_option = click.option(
    "--feed", type=TEXT, metavar="FILE", help="What an ONNX model's inputs are given, where weights are among them."
)

previous_option = click.option(
    "--previous", type=TEXT, metavar="DUMP", help="The chunk before: this run goes on from the state it ended in."
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
    help="Real steps of each row; full: all of them.",
)

# Suffixes that are not a format's name.
_SUFFIXES = {"md": "markdown", "jsonl": "ndjson", "htm": "html", "xml": "junit", "txt": "table"}

_PLAIN = ("log", "out", "err", "ans")  # what may hold a table


def _format(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The format that was stated; else the one that the suffix of `-o` names; else the default.

    Raises UnknownNameError before anything is read where there is no such format.
    """
    from rnninspect.report.renderers import is_format, renderers

    typed = ctx.get_parameter_source("format_") is ParameterSource.COMMANDLINE
    target = ctx.params.get("output")
    suffix = os.path.splitext(target)[1].lstrip(".").lower() if target and not typed else ""
    name = _SUFFIXES.get(suffix, suffix)
    if name and is_format(name):
        return name
    if not is_format(value):
        raise UnknownNameError("format", value, [format_ for format_, _ in renderers()])
    if name and suffix not in _PLAIN:
        from rnninspect.cli.output import note

        note(f"{target}: no report's format is called {suffix}; this is the format {value} (--format states another)")
    return value


fail_options = _stack(
    "Judging",
    click.option(
        "--fail-on",
        type=one_of("error", "warning", "note"),
        default="error",
        show_default=True,
        help="Exit 1 from this severity on.",
    ),
    click.option("--exit-zero", is_flag=True, help="Exit 0 whatever was found."),
)

report_options = _stack(
    "Judging",
    click.option("--rtol", type=Number(0), default=0.0, metavar="X", help="Relative tolerance (0: bit for bit)."),
    click.option("--atol", type=Number(0), default=0.0, metavar="X", help="Absolute tolerance."),
    click.option("--select", multiple=True, type=RULE, metavar="RULE", help="Only these rules (repeat, or commas)."),
    click.option("--ignore", multiple=True, type=RULE, metavar="RULE", help="Not these rules."),
    fail_options,
    click.option("--excerpt", metavar="N|all", default=None, help="Numbers that the report may quote (4096)."),
)

output_options = _stack(
    "Output",
    click.option(
        "--format",
        "format_",
        type=FORMAT,
        callback=_format,
        envvar="RNNINSPECT_FORMAT",
        metavar="NAME",
        default="table",
        help="table, json, ndjson, … (`list formats`).",
    ),
    click.option(
        "-o",
        "--output",
        type=TEXT,
        metavar="FILE",
        is_eager=True,  # its suffix decides the format
        help="Write the result there instead of stdout; .html, .json, .md, … say in which format.",
    ),
    click.option(
        "--table",
        type=one_of("brief", "full"),
        default="brief",
        help="brief: the answer first, and the rows that matter; full: all that there is.",
    ),
    click.option("--why", is_flag=True, help="List the rules that were not checked, each with its reason."),
    click.option("--rows", metavar="1,3-5", help="Show these rows."),
    click.option("--steps", metavar="0-9", help="Show these steps."),
    click.option("--precision", type=Count(0, 17), default=4, metavar="N", help="Digits after the point."),
    click.option("--color", type=one_of("auto", "always", "never"), default="auto", help="Colours."),
    click.option("-q", "--quiet", is_flag=True, help="No notes on stderr."),
)


def _allow(ctx: click.Context, _: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Raises the limits that the files of this command are read by, and keeps what numpy says of their numbers off
    stderr: what a user should know is in the report."""
    ctx.with_resource(limited(**parsed(value)))
    ctx.with_resource(without_warnings())
    return value


def _traceback(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    """Lets what the library logs of its own faults be seen, until the command ends."""
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
        help="Raise a limit on files that you trust: bytes=8G, ratio=1000, seconds=60, checked=4G.",
    ),
    click.option("--traceback", is_flag=True, callback=_traceback, help="Show where a fault of rnninspect's own lies."),
)

# Many dumps at once.
fleet_options = _stack(
    "Many dumps",
    click.option("--jobs", type=Count(1), metavar="N", help="Work in N processes: a dump each, or rows of one."),
    click.option(
        "--scheduler", type=TEXT, metavar="ADDRESS|local", help="Send the work to a Dask cluster (extra `cluster`)."
    ),
    click.option("--recursive", is_flag=True, help="Of a folder, everything below it."),
    click.option("--resume", is_flag=True, help="Go on with the results file of -o: skip the dumps judged already."),
)
