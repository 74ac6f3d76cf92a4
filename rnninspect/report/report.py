"""Reports that render, print and raise themselves: what the library gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnninspect.core.finding import SEVERITIES, Finding
from rnninspect.errors import UnknownNameError, UserError
from rnninspect.report.record import ReportRecord

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


JOINED = ("table", "ndjson", "findings", "markdown", "github")  # formats whose texts can follow one another


class FindingsError(AssertionError):
    """What `raise_for_findings` raises: its text is the findings, each with its fix; `report` holds the rest."""

    __module__ = "rnninspect"  # a traceback names the public door

    def __init__(self, report: Report) -> None:
        open_question = (
            f"could not judge: {report.untested}" if report.verdict == "unjudged" and report.untested else ""
        )
        verdict = open_question or report.verdict_in_words  # pytest's short summary shows the first line
        super().__init__(f"{verdict}\n{report.render('findings', width=100).rstrip()}")
        self.report = report


class Report(ReportRecord):
    """A report that renders and prints itself.

    `print(report)` gives the table in 80 columns, rich's Console the table in its own width, a notebook's cell a piece
    of HTML, its repr one line.
    """

    def render(self, format: str = "table", **view: Any) -> str:
        """The report as text in that format (`table`, `json`, `ndjson`, …); UnknownNameError lists the known ones.

        `view`: how it is looked at: `width` (columns), `color`, `ascii`, `rows`, `steps`, `precision` (digits).
        """
        from rnninspect.report.renderers import render

        return render(self, format, **view)

    def raise_for_findings(self, fail_on: str = "error") -> None:
        """Raises FindingsError where a finding is at least as severe as `fail_on` (error, warning or note).

        It raises too where nothing could be judged: a test that compared nothing has not passed.
        """
        __tracebackhide__ = True  # pytest shows the line that asked
        if fail_on not in SEVERITIES:
            raise UnknownNameError("severity", fail_on, SEVERITIES)
        if self.verdict == "unjudged" or self.reaches(fail_on):
            raise FindingsError(self)

    def __str__(self) -> str:
        return self.render("table")

    @property
    def verdict_in_words(self) -> str:
        """The verdict in one line, with the findings by severity: `1 error (lengths-ignored)`, `clean`, `unjudged`."""
        counts = [(s, [f.rule for f in self.findings if f.severity == s]) for s in SEVERITIES]
        parts = [
            f"{len(names)} {s}{'s' if len(names) > 1 else ''} ({', '.join(names)})" for s, names in counts if names
        ]
        return "; ".join([*([] if self.verdict == "findings" else [self.verdict]), *parts])

    def __repr__(self) -> str:
        rows = self.shape.get("batch", 0)
        return f"<Report: {self.verdict_in_words}, {rows} row{'' if rows == 1 else 's'}, convention {self.convention}>"

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        from rnninspect.report.renderers.html import fragment

        return fragment(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rnninspect.report.renderers.table import renderable
        from rnninspect.report.renderers.view import View

        plain = not (options.encoding or "").lower().startswith("utf")
        yield renderable(self, View(width=options.max_width, color=console.color_system is not None, ascii=plain))


class Reports(tuple[Report, ...]):
    """Several reports, one a recorded call, which are asked, printed and raised as one."""

    @property
    def ok(self) -> bool:
        """True where there is a report, and every one is ok."""
        return bool(self) and all(r.ok for r in self)

    @property
    def findings(self) -> list[Finding]:
        """The findings of all reports, in their order."""
        return [finding for r in self for finding in r.findings]

    def render(self, format: str = "table", **view: Any) -> str:
        """Every report's text, one behind the other; lines of `ndjson` can be told apart by their source.

        Raises UserError where there are several, and the format is a document that holds one.
        """
        if len(self) > 1 and format not in JOINED:
            formats = ", ".join(JOINED)
            raise UserError(
                f"{len(self)} reports, and a document of format {format} holds one: take {formats}, or pick one"
            )
        return ("" if format == "ndjson" else "\n").join(r.render(format, **view) for r in self)

    def raise_for_findings(self, fail_on: str = "error") -> None:
        """Raises the FindingsError of the first report that has one."""
        __tracebackhide__ = True
        for r in self:
            r.raise_for_findings(fail_on)

    def __str__(self) -> str:
        return self.render("table")

    def __repr__(self) -> str:
        return f"<{len(self)} report{'' if len(self) == 1 else 's'}: {', '.join(map(repr, self))}>"

    def _repr_html_(self) -> str:
        return "".join(r._repr_html_() for r in self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for i, r in enumerate(self):
            if i:
                yield ""
            yield r
