"""The answer, within ten lines: the verdict, the cause in a sentence, its fix, and what to do next."""

from __future__ import annotations

from rich.text import Text

from rnninspect.core.finding import Finding
from rnninspect.core.wording import argument, worded
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import _header, _text, _verdicts, _words
from rnninspect.report.renderers._unlocks import best_unlock
from rnninspect.report.renderers.view import View

LINES = 10  # of the card at 80 columns; a long fix gives way
FIX = "  fix: "
LENGTHS = 12  # lengths of a supposition that a command lists


def card(report: ReportRecord, view: View) -> list[Text]:
    """What was inspected, the verdict on it, the worst finding (or what was not tested) and the next command."""
    above = _header.title(report, view)
    sign, style = _verdicts.standing(report, view)
    body = Text.assemble((_verdicts.verdict_line(report), style), f"{_verdicts.BETWEEN} {_tally(report)}")
    above += _text.hanging(Text(f"{sign} ", style), body, view.width)
    for sentence in _sentences(report):
        above += _text.hanging(Text("  "), Text(_text.clean(sentence, view.ascii)), view.width)
    above += _cause(report.findings[0], view) if report.findings else []
    below = _named("also", ", ".join(f"{f.rule} ({f.severity})" for f in report.findings[1:]), _text.QUIET, view)
    below += _named("next", next_step(report), _text.OK, view)
    room = LINES * 80 // min(view.width, 80) - len(above) - len(below)
    return [*above, *(_fix(report.findings[0], room, view) if report.findings else []), *below]


def _tally(report: ReportRecord) -> str:
    """How the rows stand; that none is at a wrong step, where the mistake is not in the states' places."""
    rows = [row for track in report.tracks for row in track.rows]
    standings = {_words.standing(row) for row in rows if row.status is not None}
    if report.verdict == "unjudged" or not rows or "bad" in standings:
        return _verdicts.tally(report)
    if report.verdict == "clean" and (standings == {"good"} or any(row.noted_by for row in rows)):
        return _verdicts.tally(report)
    count = _words.counted(len(rows), "row")
    return f"{count}, none at a wrong step" if "good" in standings else count


def _named(name: str, text: str, style: str, view: View) -> list[Text]:
    """Words behind their name; nothing where there are no words."""
    lead = Text(f"  {name}: ", style)
    return _text.hanging(lead, Text(_text.clean(text, view.ascii)), view.width) if text else []


def _sentences(report: ReportRecord) -> list[str]:
    """What a report without an error or a warning has to say: why it is clean, or what could not be tested."""
    if report.verdict == "unjudged":
        what_if = [_words.what_if(supposed) for supposed in report.what_if[:1]]
        decides = f"what would decide: {report.would_decide}" if report.would_decide else ""
        return [sentence for sentence in (report.untested, *what_if, decides) if sentence]
    if report.probes and report.verdict == "clean":
        held = [probe for probe in report.probes if probe.standing == "held"]
        largest = max((probe.largest or 0.0 for probe in held), default=0.0)
        return [f"{', '.join(probe.probe for probe in held)}: no real result changed, largest difference {largest:.2g}"]
    sentence = why_clean(report)
    return [sentence] if sentence else []


def why_clean(report: ReportRecord) -> str:
    """What is right, in a sentence, where a report is clean; '' where that is not said in one."""
    compared = [row for track in report.tracks for row in track.rows if row.status is not None]
    if report.verdict != "clean":
        return ""
    if compared and all(row.noted_by for row in compared):
        return "every state is explained by the note; none equals a single step"
    if not any(_words.standing(row) == "good" for row in compared):  # so what was compared is another run
        other = "the reference" if report.comparison else "a run of these inputs and weights"
        return f"{other} gives the same numbers"
    good = [row for row in compared if _words.standing(row) == "good"]
    exact = all(row.steps for row in good) and not any(report.tolerance.values())
    all_tested = len(good) == sum(len(track.rows) for track in report.tracks)
    states = "every row's final state" if all_tested else "every final state that could be tested"
    backward = any(track.direction == "backward" for track in report.tracks)
    last = "the output at the last step that its direction reads" if backward else "its last real output"
    return f"{states} equals{', bit for bit,' if exact else ''} {last}"


def _cause(finding: Finding, view: View) -> list[Text]:
    """The finding that comes first: its name, its message, and what it may be instead."""
    from rnninspect.report.renderers._findings import heading

    lines = heading(finding, view)
    lines += _text.hanging(Text("  "), Text(_text.clean(finding.message, view.ascii)), view.width)
    return lines + _named("or", ", ".join(finding.alternatives), _text.QUIET, view)


def _fix(finding: Finding, room: int, view: View) -> list[Text]:
    """The fix, its first line behind its name; of a long one as many whole lines of code as there is room for, and
    where the rest is."""
    from rnninspect.report.renderers._findings import code_lines

    code = [line for line in finding.fix.expandtabs(4).splitlines() if line.strip()]
    drawn = [code_lines(line, len(FIX), view) for line in code]
    if not drawn:
        return []
    kept = len(drawn)
    while kept > 1 and sum(map(len, drawn[:kept])) + (kept < len(drawn)) > room:
        kept -= 1
    if kept == len(drawn) - 1 and len(drawn[-1]) == 1:  # it takes no more room than the remark that it is missing
        kept = len(drawn)
    lines = [line for parts in drawn[:kept] for line in parts]
    if kept < len(drawn):
        rest = _words.counted(len(drawn) - kept, "more line")
        lines.append(Text(f"{' ' * len(FIX)}{rest}: {worded(argument('table', 'full'))}", _text.QUIET))
    return [Text.assemble((FIX, _text.OK), lines[0][len(FIX) :]), *lines[1:]]


def next_step(report: ReportRecord) -> str:
    """The one command that would say more; '' where there is none."""
    if report.verdict == "unjudged":
        return _to_judge(report)
    finding = report.findings[0] if report.findings else None
    if finding is not None:
        decides = str(finding.evidence.get("would_decide", ""))
        if decides and finding.alternatives and report.command != "demo":
            return f"give {decides}"
        return f"rnninspect explain {finding.rule}"
    if report.command == "demo":
        return "rnninspect demo RULE, which puts a mistake into it (rnninspect explain lists the rules)"
    unlock = best_unlock(report)
    return (
        f"run this again with {unlock}, which checks {_words.counted(unlock.rules, 'more mistake')}" if unlock else ""
    )


def _to_judge(report: ReportRecord) -> str:
    """What would let a report be judged."""
    if report.command != "record" and report.what_if and len(report.what_if[0].lengths) <= LENGTHS:
        lengths = ",".join(map(str, report.what_if[0].lengths))
        return f"run this again with {worded(argument('lengths', lengths))}, if those are the lengths"
    return f"run this again with {worded(argument('lengths'))}" if report.would_decide.startswith("lengths") else ""
