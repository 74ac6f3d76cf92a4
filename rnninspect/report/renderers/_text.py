"""Text that is safe to show, marks that carry the meaning without colour, and lines that fit a width."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING, cast

from rich.text import Text

from rnninspect.core.frozen import frozen
from rnninspect.report.renderers.view import View

if TYPE_CHECKING:
    from rich.console import Console

# Legible on white and on black, nearly 4 to 1 (W3C's contrast): numbers among the 256 colours, since a terminal's theme
# decides what "green" is (xterm's is 2.2 to 1 on white). A terminal with 16 colours gets green, red, cyan and magenta.
GREEN, RED, CYAN, MAGENTA = (f"color({number})" for number in (28, 160, 30, 163))
OK, BAD, HINT, FACT, WARN, QUIET, TITLE = f"bold {GREEN}", f"bold {RED}", RED, CYAN, f"bold {MAGENTA}", "dim", "bold"

# Control characters, format characters (a right-to-left override among them), lone surrogates, unassigned and private
# ones, line and paragraph separators: all that could move the cursor or hide what a name says.
_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}


@frozen
class Marks:
    """One character each, `more` aside; only such as the usual terminal fonts have."""

    equal: str = "="
    wrong: str = "✗"
    expected: str = "→"
    near: str = "≈"
    nearest: str = "?"
    zero: str = "○"
    padding: str = "·"
    filled: str = "•"
    nonfinite: str = "!"
    gap: str = "…"
    more: str = "…"
    ok: str = "✓"
    note: str = "i"
    rule: str = "─"


UNICODE = Marks()
ASCII = Marks(
    wrong="x",
    expected=">",
    near="~",
    zero="o",
    padding=".",
    filled="*",
    gap=":",
    more="...",
    ok="+",
    rule="-",
)


def marks(ascii: bool) -> Marks:
    """The signs of a table, in ASCII or not."""
    return ASCII if ascii else UNICODE


def clean(text: object, ascii: bool = False) -> str:
    r"""Text from outside as one harmless line: whatever is hidden, or not ASCII where asked, is shown as its escape.

    >>> clean("a\x1b[31mb\n"), clean("é\u202e", ascii=True)
    ('a\\x1b[31mb\\n', '\\xe9\\u202e')
    """
    return "".join(_escape(c, ascii) for c in str(text))


def _escape(c: str, ascii: bool) -> str:
    if " " <= c <= "~":
        return c
    if ascii or unicodedata.category(c) in _HIDDEN:
        return c.encode("unicode_escape").decode("ascii")
    return c


def severity(name: str, marks: Marks) -> tuple[str, str]:
    """The mark and the style of a severity."""
    return {"error": (marks.wrong, BAD), "warning": (marks.nonfinite, WARN)}.get(name, (marks.note, FACT))


def drawn(lines: Sequence[Text], view: View) -> str:
    """Lines of at most `view.width` cells as text, styled where `view.color` says so, whatever the environment says."""
    if not view.color:
        return "".join(f"{line.plain}\n" for line in lines)
    from rich.console import Console  # as much to import as all else that draws

    out = StringIO()
    console = Console(
        file=out, width=view.width, force_terminal=True, color_system="256", legacy_windows=False, _environ={}
    )
    for line in lines:
        console.print(line)
    return out.getvalue()


def hanging(lead: Text, body: Text, width: int) -> list[Text]:
    """Lines of at most `width` cells: `body` behind `lead`, its later lines indented as deep as the lead is long.

    A lead that takes more than half of the width gets a line of its own.
    """
    indent = lead.cell_len
    if indent * 2 > width:
        return [*wrapped(lead, width), *hanging(Text(" " * min(4, width // 4)), body, width)]
    lines = wrapped(body, width - indent) or [Text()]
    first, *rest = lines
    return [Text.assemble(lead, first), *(Text.assemble(" " * indent, line) for line in rest)]


def wrapped(text: Text, width: int) -> list[Text]:
    """Lines of at most `width` cells; words that are longer are broken."""
    no_console = cast("Console", None)  # it would only be asked for the style of spaces that justify
    lines = list(text.wrap(no_console, width, overflow="fold"))
    for line in lines:
        line.rstrip()
    return lines


def joined(parts: list[Text], between: str = "  ") -> Text:
    """Parts in one line, those that are empty left out."""
    return Text(between).join(part for part in parts if part.plain)
