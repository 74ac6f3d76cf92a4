"""Reports that render, print and raise themselves: what the library gives back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rnninspect.core.finding import SEVERITIES, Finding, Verdict
from rnninspect.errors import UnknownNameError
from rnninspect.report.record import ReportRecord

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


JOINED = ("table", "ndjson", "findings", "markdown", "github")  # formats whose texts can follow one another


class FindingsError(AssertionError):
    """What `raise_for_findings` raises: its text is the findings, each with its fix; `report` holds the rest."""

    __module__ = "rnninspect"  # a traceback names the public door

    def __init__(self, report: Report, summary: str = "") -> None:
        open_question = (
            f"could not judge: {report.untested}" if report.verdict == "unjudged" and report.untested else ""
        )
        verdict = open_question or report.verdict_in_words  # pytest's short summary shows the first line
        above = f"{summary}\n\n" if summary else ""  # of many reports, of which this is one
        super().__init__(f"{verdict}\n{above}{report.render('findings', width=100).rstrip()}")
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
        """Raise FindingsError where a finding is at least as severe as `fail_on` (error, warning or note).

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
        from rnninspect.report.renderers.table import table_lines
        from rnninspect.report.renderers.view import View

        plain = not (options.encoding or "").lower().startswith("utf")
        yield from table_lines(self, View(width=options.max_width, color=console.color_system is not None, ascii=plain))


class Reports(tuple[Report, ...]):
    """Several reports, one per recorded call, that are printed, rendered and raised as one."""

    @property
    def ok(self) -> bool:
        """True where there is a report, and every one is ok."""
        return bool(self) and all(r.ok for r in self)

    @property
    def verdict(self) -> Verdict:
        """`findings` where one report has any; else `clean` where every one is, and `unjudged` where one is not."""
        from rnninspect.report.layers import verdict_of

        return verdict_of(dict(Counter(str(r.verdict) for r in self)))

    @property
    def findings(self) -> list[Finding]:
        """The findings of all reports, in their order; each has its layer's `name` and the number of its `call`."""
        from rnninspect.report.layers import placed

        return [finding for r in self for finding in placed(r)]

    def summary(self, width: int = 80) -> str:
        """How the calls stand, by layer, in a few lines: `layers.13  lengths-ignored in 50 of 50 calls`."""
        from rnninspect.report.many import plain, summary
        from rnninspect.report.renderers.view import View

        return plain(summary(self, View(width=width))).rstrip("\n")

    def to_dict(self) -> dict[str, Any]:
        """All reports as one object, as JSON has it: `verdict`, `counts`, `layers`, and `reports`, every one whole."""
        from rnninspect.report.layers import to_dict

        return to_dict(self)

    def to_json(self) -> str:
        """`to_dict` as strict JSON."""
        return self.render("json").rstrip("\n")

    def render(self, format: str = "table", **view: Any) -> str:
        """One text for all: the summary by layer, then the first fault in full; `ndjson` and `json` hold every report.

        One report alone is rendered as itself. Raises UserError where there are several, and the format is a document
        that holds one.
        """
        if len(self) == 1:
            return self[0].render(format, **view)
        from rnninspect.report.many import render_many

        return render_many(self, format, **view)

    def raise_for_findings(self, fail_on: str = "error") -> None:
        """Raise FindingsError where a report has a finding at least as severe as `fail_on`, or could not be judged.

        Its text is the summary of all and the first such report; its `report` is that one.
        """
        __tracebackhide__ = True
        for r in self:
            try:
                r.raise_for_findings(fail_on)
            except FindingsError as error:
                if len(self) == 1:
                    raise
                raise FindingsError(error.report, self.summary(100)) from None

    def __str__(self) -> str:
        return self.render("table")

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:4])) + (f", … {len(self) - 4} more" if len(self) > 4 else "")
        return f"<{len(self)} report{'' if len(self) == 1 else 's'}: {shown}>"

    def _repr_html_(self) -> str:
        if len(self) == 1:
            return self[0]._repr_html_()
        from rnninspect.report.many import fragment_of_many

        return fragment_of_many(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rnninspect.report.layers import first_faults
        from rnninspect.report.many import rest, summary
        from rnninspect.report.renderers.view import View

        if len(self) == 1:
            yield self[0]
            return
        view = View(width=options.max_width, ascii=not (options.encoding or "").lower().startswith("utf"))
        yield from summary(self, view)
        for r in first_faults(self)[:1]:
            yield ""
            yield from [one for one in self if one is r]
        yield ""
        yield from rest(self, view)
