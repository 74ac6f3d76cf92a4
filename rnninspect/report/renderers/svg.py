"""SVG: the terminal's table as a picture, by rich; one file that asks no network for its font."""

from __future__ import annotations

import re
from io import StringIO

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme

from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import _header, _text
from rnninspect.report.renderers.table import table_lines
from rnninspect.report.renderers.view import View

NAME = "svg"
SUMMARY = "the table as a picture, for a README or a ticket"

# rich's own frame, less the @font-face rules that would fetch a font
_FRAME = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
_THEME = TerminalTheme((12, 12, 12), SVG_EXPORT_THEME.foreground_color, [(0, 0, 0)] * 8)  # no colour of a theme is used


def render(report: ReportRecord, view: View) -> str:
    """A terminal window of `view.width` columns; its colours are there whatever `view.color` says."""
    console = Console(
        file=StringIO(),
        width=view.width,
        record=True,
        force_terminal=True,
        color_system="256",
        legacy_windows=False,
        _environ={},
    )
    for line in table_lines(report, view):
        console.print(line)
    title = f"rnninspect {_text.clean(report.command, view.ascii)}"
    name = _header.source_name(report, view)
    return console.export_svg(title=f"{title} {name}".strip(), code_format=_FRAME, theme=_THEME).rstrip() + "\n"
