"""The two streams: the result alone on stdout (or in a file), notes and errors on stderr; and the exit code."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

import click

from rnninspect.core.wording import worded
from rnninspect.report import record as report_types

if TYPE_CHECKING:
    from rich.console import Console

    from rnninspect.report.renderers.view import View
    from rnninspect.report.report import Reports


DECLARED = ("html", "svg", "markdown", "junit", "json", "ndjson", "sarif")  # UTF-8 by what they say or are, everywhere


def note(text: str, quiet: bool = False) -> None:
    """One line for the person at the terminal, never part of the result; a stderr that fails stops nothing."""
    if not quiet:
        with contextlib.suppress(OSError):
            click.echo(f"rnninspect: {printable(worded(text))}", err=True)


def printable(text: str) -> str:
    """Text from a file without control characters: they are shown, not obeyed.

    >>> printable("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def show(report: report_types.ReportRecord, options: dict[str, Any], err: bool = False) -> None:
    """Render the report where and how the options say; `err`: to stderr, where stdout is another's."""
    check_selection(report, options)
    target = options.get("output")
    if options["format_"] == "table" and target is None:
        _print_table(report, options, err)
        return
    from rnninspect.report.renderers import render

    text = render(report, options["format_"], **_view(options, width=100, color=False, ascii=False))
    if target is None or target == "-":
        text += "" if text.endswith("\n") else "\n"
        click.echo(text.encode() if options["format_"] in DECLARED and not err else text, nl=False, err=err)
    else:
        write_text(target, text)


def show_all(reports: Reports, options: dict[str, Any], err: bool = True) -> None:
    """Render several reports as one, the summary first: to stderr, where stdout is another's (`err`), or into the one
    file that -o names.
    """
    for report in reports:
        if report.tracks:
            check_selection(report, options)
    target, format = options.get("output"), options["format_"]
    if len(reports) == 1 and target in (None, "-"):
        show(reports[0], {**options, "output": None}, err)
    elif format == "table" and target is None:
        _, view = _terminal(options, err)
        click.echo(reports.render("table", **vars(view)), nl=False, color=True, err=err)
    else:
        text = reports.render(format, **_view(options, width=100, color=False, ascii=False))
        if target is None or target == "-":
            click.echo(text.encode() if format in DECLARED and not err else text, nl=False, err=err)
        else:
            write_text(target, text)


def write_text(target: str, text: str) -> None:
    """Write a file whole or not at all; UnreadableError where that cannot be."""
    from rnninspect.formats.atomic_write import write_whole

    write_whole(target, lambda file: file.write(text.encode()))


def check_selection(report: report_types.ReportRecord, options: dict[str, Any]) -> None:
    """Raise UserError where --rows or --steps name what is not in the report, whether the format shows it or not."""
    from rnninspect.report.renderers.view import chosen

    chosen(options.get("rows"), report.shape["batch"], "rows")
    chosen(options.get("steps"), report.shape["steps"], "steps")


def _print_table(report: report_types.ReportRecord, options: dict[str, Any], err: bool) -> None:
    from rnninspect.report.renderers.table import render, table_lines

    console, view = _terminal(options, err)
    if console is None:
        text = render(report, view)
    else:
        with console.capture() as capture:
            for line in table_lines(report, view):
                console.print(line)
        text = capture.get()
    click.echo(text, nl=False, color=True, err=err)


def _terminal(options: dict[str, Any], err: bool) -> tuple[Console | None, View]:
    """The terminal, or what stands in its place, and how it is to be written to; no Console where nothing is styled."""
    from rnninspect.report.renderers.view import NARROWEST, View

    stream = sys.stderr if err else sys.stdout
    console, width, encoding = None, 0, getattr(stream, "encoding", None) or "utf-8"
    if _is_plain(stream, options["color"]):
        width = _columns()
    else:
        from rich.console import Console

        console = Console(highlight=False, stderr=err, **_colour(options["color"]))
        width, encoding = console.width, console.encoding
        console.width = max(width or 80, NARROWEST)
    view = View(
        **_view(
            options,
            width=max(width or 80, NARROWEST),  # COLUMNS=0 is said where nobody knows
            color=console is not None and console.color_system is not None,
            ascii=ascii_only(encoding, os.environ),
        )
    )
    return console, view


def _is_plain(stream: TextIO, color: str) -> bool:
    """Whether no style is written there for sure: to no terminal, and nothing asks for one."""
    asked = color == "always" or "FORCE_COLOR" in os.environ or "TTY_COMPATIBLE" in os.environ
    return not asked and not stream.isatty()


def _columns() -> int:
    """As rich tells it: COLUMNS, or else the width of the first stream that is a terminal; 0 where none is."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit():
        return int(columns)
    for stream in range(3):
        with contextlib.suppress(OSError):
            return os.get_terminal_size(stream).columns
    return 0


def _colour(choice: str) -> dict[str, Any]:
    """rich honours NO_COLOR, FORCE_COLOR and TERM=dumb by itself; what the command line says wins over them."""
    choices: dict[str, dict[str, Any]] = {
        "auto": {},
        "always": {"force_terminal": True, "no_color": False, "color_system": "256"},
        "never": {"no_color": True, "color_system": None},
    }
    return choices[choice]


def _view(options: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "rows": options.get("rows"),
        "steps": options.get("steps"),
        "precision": options.get("precision", 4),
        "table": options.get("table", "brief"),
        "why": options.get("why", False),
        **more,
    }


def exit_code(report: report_types.ReportRecord, options: dict[str, Any]) -> int:
    """0 clean, 1 findings at or above --fail-on, 2 nothing could be judged, or a rule failed."""
    if report.failed:
        return 2
    if options["exit_zero"]:
        return 0
    if report.reaches(options["fail_on"]):
        return 1
    return 2 if report.verdict == "unjudged" else 0


def ascii_only(encoding: str, environment: Mapping[str, str]) -> bool:
    """Whether the terminal is to be spared other characters: by its encoding, or because the locale is C.

    Python writes UTF-8 in the C locale (PEP 538, PEP 540), and then LC_CTYPE says so, whatever LANG says.

    >>> ascii_only("utf-8", {"LC_ALL": "C"}), ascii_only("utf-8", {"LANG": "en_GB.UTF-8"}), ascii_only("latin-1", {})
    (True, False, True)
    """
    named = [environment.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    coerced = named[1] == "C.UTF-8" and named[2] in ("C", "POSIX")
    locale = named[0] or (named[2] if coerced else named[1] or named[2])
    return locale in ("C", "POSIX") or not encoding.lower().startswith("utf")


def open_streams() -> None:
    """Make both streams fit to write to: one that is closed goes nowhere, and no character is beyond an encoding."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it must stay open until the end
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.encoding.lower().startswith("utf"):
        sys.stdout.reconfigure(errors="backslashreplace")


def give_up() -> None:
    """After stdout has failed: what is still buffered goes nowhere, so that leaving does not fail again."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # no file behind it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it must stay open until the end
