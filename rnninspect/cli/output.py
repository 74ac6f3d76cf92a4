"""The two streams: the result alone on stdout (or in a file), notes and errors on stderr; and the exit code."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from rnninspect import report as report_types
from rnninspect.errors import UnreadableError


def note(text: str, quiet: bool = False) -> None:
    """One line for the person at the terminal, never part of the result."""
    if not quiet:
        click.echo(f"rnninspect: {printable(text)}", err=True)


def printable(text: str) -> str:
    """Text from a file without control characters: they are shown, not obeyed.

    >>> printable("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def show(report: report_types.Report, options: dict[str, Any]) -> None:
    """Renders the report where and how the options say."""
    target = options.get("output")
    if options["format_"] == "table" and target is None:
        _print_table(report, options)
        return
    from rnninspect.renderers import render

    text = render(report, options["format_"], **_view(options, width=100, color=False, ascii=False))
    if target is None or target == "-":
        click.echo(text, nl=not text.endswith("\n"))
    else:
        write_text(target, text)


def write_text(target: str, text: str) -> None:
    """Writes a file whole or not at all; UnreadableError where that cannot be."""
    part = f"{target}.part"
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(part, target)
    except OSError as error:
        if os.path.exists(part):
            os.unlink(part)
        raise UnreadableError(f"cannot write {target}: {error.strerror}") from None


def _print_table(report: report_types.Report, options: dict[str, Any]) -> None:
    from rich.console import Console

    from rnninspect.renderers.table import renderable
    from rnninspect.renderers.view import View

    console = Console(highlight=False, **_colour(options["color"]))
    plain = not (console.encoding or "").lower().startswith("utf")
    view = View(**_view(options, width=console.width, color=console.color_system is not None, ascii=plain))
    with console.capture() as capture:
        console.print(renderable(report, view))
    click.echo(capture.get(), nl=False, color=True)


def _colour(choice: str) -> dict[str, Any]:
    """rich honours NO_COLOR, FORCE_COLOR and TERM=dumb by itself."""
    choices: dict[str, dict[str, Any]] = {
        "auto": {},
        "always": {"force_terminal": True},
        "never": {"no_color": True, "color_system": None},
    }
    return choices[choice]


def _view(options: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "rows": options.get("rows"),
        "steps": options.get("steps"),
        "precision": options.get("precision", 4),
        **more,
    }


def exit_code(report: report_types.Report, options: dict[str, Any]) -> int:
    """0 clean, 1 findings at or above --fail-on, 2 nothing could be judged."""
    if options["exit_zero"]:
        return 0
    if report.reaches(options["fail_on"]):
        return 1
    return 2 if report.verdict == "unjudged" else 0


def close_quietly() -> None:
    """After a closed pipe: nothing more may be written to stdout, not even at exit."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it must stay open until the end
