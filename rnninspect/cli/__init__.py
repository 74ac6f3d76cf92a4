"""The command line: options, wiring, exit codes; no logic. One file per command, imported when it is called."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from rnninspect.cli import signals
from rnninspect.cli.command_words import command_line
from rnninspect.cli.exit_codes import CLOSED_PIPE, COMPLETION_VARIABLE, INTERRUPTED, UNJUDGED
from rnninspect.core.wording import worded_as
from rnninspect.errors import UserError, did_you_mean

# What `--help` says of each; its file is imported when it is called.
COMMANDS = {
    "compare": "Inspect recorded outputs against their final state.",
    "run": "Run a masked RNN, then inspect it.",
    "check": "Does a live model read its padding?",
    "record": "Run a script, and inspect its torch layers.",
    "fix": "Write a corrected copy of a dump.",
    "explain": "What a finding means, and how to fix it.",
    "demo": "Put a known mistake into an example and inspect it.",
    "show": "Render a saved JSON report again.",
    "convert": "Move a layer's weights to another framework.",
    "list": "List rules, formats, conventions, cells, samples, settings.",
    "schema": "Print the JSON Schema of the report.",
    "completion": "Print a shell's completion script.",
}


class Commands(click.Group):
    """Loads a command's file when it is needed, so that `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"rnninspect.cli.{'list_' if name == 'list' else name}")
        command: click.Command = module.command
        command.context_settings.setdefault("auto_envvar_prefix", "RNNINSPECT")  # RNNINSPECT_RTOL for every --rtol
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], COMMANDS)
            raise click.UsageError(f"no such command {args[0]!r}{hint} Known: {', '.join(COMMANDS)}.")
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Name the versions that matter, from their metadata: nothing is imported for it."""
    if not wanted:
        return
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from rnninspect._version import __version__

    click.echo(f"rnninspect {__version__}")
    for package in ("numpy", "torch"):
        try:
            click.echo(f"{package} {version(package)}")
        except PackageNotFoundError:
            click.echo(f"{package} (not installed)")
    click.echo(f"Python {platform.python_version()}")
    ctx.exit()


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show versions.")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Where did every row of an RNN's final state come from, and if it is wrong, why?

    \b
    rnninspect compare dump.npz --lengths 3,1,2       you have a saved file
    pbpaste | rnninspect compare                      you have printed numbers
    rnninspect check package.module:model batch.npz   you have a live model
    rnninspect run batch.npy --lengths 3,1,2          you have inputs alone
    rnninspect explain lengths-ignored                what a finding means
    """
    from rnninspect.cli.settings import default_map

    ctx.default_map = default_map()


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: every way out has its exit code, and only bugs have a traceback."""
    gc.set_threshold(200_000)  # imports make many objects and drop few: collecting among them is a tenth of a short run
    codes: list[int] = []
    atexit.register(_leave, codes)  # the first to be registered is the last to be called
    signals.note_interrupts()
    codes.append(call(arguments))
    signals.ignore_interrupts()
    sys.exit(codes[0])


def _leave(codes: list[int]) -> None:
    """End the process as it is: taking every module apart first is a fifth of a short run's time, torch or not."""
    if codes:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(codes[0])


def call(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    with worded_as(command_line):
        return _called(arguments)


def _called(arguments: Sequence[str] | None) -> int:
    """`call`, its messages worded already."""
    from rnninspect.cli.output import give_up, note, open_streams, printable
    from rnninspect.core.axis_words import in_words

    open_streams()
    try:
        if COMPLETION_VARIABLE in os.environ:
            return _complete()
        code = _invoked(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except UserError as error:
        note(in_words(str(error)))
        for line in getattr(error, "__notes__", ()):
            click.echo(f"  {printable(in_words(line))}", err=True)
        return UNJUDGED
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as error:
        note(f"{_wrong_line(error)} ({_origin(error)}see rnninspect{_where(error)} --help)")
        return UNJUDGED
    except MemoryError as error:
        note(f"not enough memory: {error or 'the arrays are too large for this machine'}")
        return UNJUDGED
    except BrokenPipeError:
        give_up()
        return CLOSED_PIPE
    except OSError as error:
        give_up()
        note(f"cannot go on: {error.strerror or error}")
        return UNJUDGED
    except Exception as bug:
        if signals.was_interrupted():  # while a library was imported, which made another error of it
            return INTERRUPTED
        if _wants_traceback(arguments):
            raise
        note(_unexpected(bug))
        return UNJUDGED


def _wrong_line(error: click.ClickException) -> str:
    """What is wrong with the line, on one line; an unknown option in words that are the same in every click."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return " ".join(error.format_message().split())
    if error.option_name == "--initial-state" and error.ctx.command.name == "compare":
        instead = "it is one of the dump's arrays (initial_state, h_0); --previous takes the dump of the call before"
        return f"no such option {error.option_name!r}: {instead}"
    names = [name for option in error.ctx.command.params for name in (*option.opts, *option.secondary_opts)]
    near = did_you_mean(error.option_name, [name for name in names if name.startswith("--")])
    return f"no such option {error.option_name!r}{near}"


def _wants_traceback(arguments: Sequence[str] | None) -> bool:
    asked = "--traceback" in (sys.argv[1:] if arguments is None else arguments)
    return asked or os.environ.get("RNNINSPECT_TRACEBACK", "").lower() not in ("", "0", "false", "no")


def _unexpected(bug: Exception) -> str:
    """A fault that no user can mend, and how to see where it is."""
    first = (str(bug).strip() or type(bug).__name__).splitlines()[0][:300]
    about = "".join(f"{place}: " for place in getattr(bug, "__notes__", ())[:1])
    if isinstance(bug, ImportError):
        return f"{about}a package cannot be loaded ({first}); is it installed whole, and is there memory for it?"
    return f"{about}unexpected {type(bug).__name__}: {first} (a fault of rnninspect's own: --traceback shows where)"


def _complete() -> int:
    """Answer the shell that asks what a line may go on with; that line is in its environment."""
    from click.shell_completion import shell_complete

    return shell_complete(cli, {}, "rnninspect", COMPLETION_VARIABLE, os.environ[COMPLETION_VARIABLE])


def _invoked(arguments: list[str]) -> int:
    """The command's own exit code; without a command the help, as a result and not as an error.

    (`cli.main` would turn a closed pipe into 1, which here means findings.)
    """
    arguments = [*arguments[1:], "--help"] if arguments[:1] in ([], ["help"]) else arguments
    try:
        with cli.make_context("rnninspect", arguments) as ctx:
            return int(cli.invoke(ctx) or 0)
    except click.exceptions.Exit as stop:
        return stop.exit_code


def _where(error: click.ClickException) -> str:
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx else ""
    return path.removeprefix("rnninspect")


def _origin(error: click.ClickException) -> str:
    """Where a value comes from that the command line does not show."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None or not error.param.name:
        return ""
    source = error.ctx.get_parameter_source(error.param.name)
    places = {"ENVIRONMENT": "it comes from the environment; ", "DEFAULT_MAP": "it comes from pyproject.toml; "}
    return places.get(source.name, "") if source else ""
