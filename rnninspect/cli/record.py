"""`rnninspect record`: runs a script, or an ONNX model, records its layers, and reports when it has ended."""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rnninspect.cli import inputs, options, output
from rnninspect.cli.exit_codes import INTERRUPTED, UNJUDGED
from rnninspect.cli.overwrites import refuse_overwriting
from rnninspect.cli.signals import without_warnings
from rnninspect.errors import UnreadableError, UserError

if TYPE_CHECKING:
    from rnninspect.report.report import Reports


@click.command(
    "record",
    context_settings={"allow_interspersed_args": False},
)
@click.option("-m", "module", is_flag=True, help="SCRIPT is a module's name, as in `python -m`.")
@click.option(
    "--lengths",
    type=options.TEXT,
    metavar="NAME|full",
    help="The argument of the model's forward (or the array of --feed) that holds the lengths; full: no row is "
    "shorter than the time axis.",
)
@click.option(
    "--limit", type=options.Count(1), default=16, metavar="N", help="Number of calls to keep per layer (default: 16)."
)
@click.option("--every", type=options.Count(1), default=1, metavar="K", help="Keep only every K-th call (default: 1).")
@click.option(
    "--feed", type=options.TEXT, metavar="FILE", help="SCRIPT is an ONNX model: run it on these arrays, by their names."
)
@options.report_options
@options.output_options
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(script: str, arguments: tuple[str, ...], module: bool, feed: str | None, **params: Any) -> int:
    """Run SCRIPT with its ARGUMENTS, as `python SCRIPT ARGUMENTS` does, record every nn.LSTM, nn.GRU, nn.RNN and cell
    that it calls, and inspect the recordings when the script ends. An ONNX model is run once, on the arrays of --feed.
    Keras and Flax models are recorded within Python: with rnninspect.record(model).

    stdout belongs to the script: the report goes to stderr, or to the file given by -o. If the script fails, its exit
    code is kept; otherwise it is 0, 1 or 2 as for `compare`. Processes that the script starts are not recorded.

    \b
    rnninspect record train.py --epochs 1
    rnninspect record --lengths lengths --format ndjson -o report.ndjson train.py
    rnninspect record -m package.train
    rnninspect record model.onnx --feed feed.npz --lengths lengths
    """
    if script.endswith(".onnx"):
        behind = _options_behind(script, arguments)
        return model(script, _feed_of(script, behind.pop("feed", feed), module), {**params, **behind})
    if feed is not None:
        raise UserError(f"--feed is for an ONNX model (.onnx), which {script} is not")
    if not module and not os.path.isfile(script):
        raise UnreadableError(f"{script}: no such file; name a Python script, or a module with -m")
    if not module:
        _refuse_what_is_no_text(script)
    refuse_overwriting([script], params)
    judging = inputs.judging(params)
    from rnninspect.recording import record

    with record(lengths=params["lengths"], limit=params["limit"], every=params["every"]) as recording:
        failed = run(script, arguments, module)
    sys.stdout.flush()
    if not recording.calls and not recording.unseen:
        output.note(f"{script} called no nn.LSTM, nn.GRU, nn.RNN or cell of torch{_elsewhere()}", params["quiet"])
        return failed or (0 if params["exit_zero"] else UNJUDGED)
    try:
        with without_warnings():  # the script's own were shown as it ran
            reports = recording.inspect(rtol=params["rtol"], atol=params["atol"], **judging)
        output.show_all(reports, params)
        more = sum(recording.skipped.values())
        if more:
            kept = len(recording.calls)
            output.note(f"{kept} of {kept + more} calls were judged: a larger --limit keeps more", params["quiet"])
    except UserError as error:
        if not failed:
            raise
        output.note(str(error))
        return failed
    return failed or _worst(reports, params)


def _elsewhere() -> str:
    """What to do about a script that runs another framework's models."""
    names = [name for name in ("keras", "flax") if name in sys.modules]
    if not names:
        return ": there is nothing to inspect"
    return f", which alone are recorded of a script: record its {names[0]} model in it, with rnninspect.record(model)"


def _worst(reports: Reports, params: dict[str, Any]) -> int:
    codes = [output.exit_code(report, params) for report in reports]
    return 1 if 1 in codes else max(codes)


def _refuse_what_is_no_text(script: str) -> None:
    """Raise UnreadableError for a file of data, which Python would call a syntax error."""
    with open(script, "rb") as file:
        if b"\0" in file.read(4096):
            raise UnreadableError(
                f"{script} is a file of arrays, not a Python script; `rnninspect compare` reads dumps"
            )


def _options_behind(script: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The options that stand behind an ONNX model, which has no arguments of its own; UserError for anything else."""
    here = click.get_current_context()
    behind = command.make_context(here.info_name, [*arguments, script], parent=here.parent)
    if behind.params["script"] != script or behind.params["arguments"]:
        raise UserError(f"{script} is an ONNX model: it takes no arguments, and {' '.join(arguments)} is not an option")
    named = [name for name in behind.params if behind.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    return {name: behind.params[name] for name in named if name not in ("script", "arguments")}


def _feed_of(script: str, feed: str | None, module: bool) -> str:
    """The feed that is named; UserError where there is none, or where the model is called a module."""
    if module:
        raise UserError(f"{script} is an ONNX model, not a module (-m)")
    if feed is None:
        raise UserError(f"{script} is an ONNX model: give the arrays that it reads, --feed feed.npz")
    return feed


def model(path: str, feed: str, params: dict[str, Any]) -> int:
    """Run an ONNX model once on the arrays of a file; the exit code as for `compare`. The report goes to stdout."""
    judging = inputs.judging(params)
    refuse_overwriting([path, feed], params)
    from rnninspect.formats import read_arrays
    from rnninspect.recording import record
    from rnninspect.recording.onnx import open_model, run_once

    arrays, session = read_arrays(feed).arrays, open_model(path)
    lengths = params["lengths"]
    names = [value.name for value in session.get_inputs()]
    if lengths in arrays and lengths not in names:
        lengths = arrays[lengths]
    with record(session, lengths=lengths, limit=params["limit"]) as recording:
        run_once(session, arrays, feed)
    reports = recording.inspect(rtol=params["rtol"], atol=params["atol"], **judging)
    output.show_all(reports, params, err=False)
    return _worst(reports, params)


def run(script: str, arguments: Sequence[str], module: bool) -> int:
    """Run it as the main program; the exit code that Python would give. Its exceptions are printed as Python does."""
    kept = sys.argv, sys.path[0]
    sys.argv = [script, *arguments]
    sys.path[0] = os.getcwd() if module else os.path.dirname(os.path.abspath(script))
    try:
        if module:
            runpy.run_module(script, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        return _code(end)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException as error:
        sys.stdout.flush()
        traceback.print_exception(type(error), error, _without_ours(error.__traceback__))
        return 1
    finally:
        sys.argv, sys.path[0] = kept
    return 0


def _code(end: SystemExit) -> int:
    """The exit code of `sys.exit(…)`: a text is printed, and is 1."""
    if end.code is None or isinstance(end.code, int):
        return (end.code or 0) & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the script on: without what runs it."""
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
        trace = trace.tb_next
    return trace
