"""Reports of many calls -> text: the summary by layer first, then the first fault in full."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree

from rich.text import Text

from rnninspect.core.finding import SEVERITIES
from rnninspect.errors import UserError
from rnninspect.report.layers import LayerOfCalls, by_layer, first_faults, place, to_dict
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import _places, _text, _words, render
from rnninspect.report.renderers._templates import asset, source, templates
from rnninspect.report.renderers.html import fragment
from rnninspect.report.renderers.view import View

NAMED = 8  # layers that stand alike and are named; of more, how many
LISTED = 6  # kinds of fault that have a line of their own
LONGEST = 4  # lines that one may take
SHOWN = 12  # faults that a page shows
RANK = {"findings": 0, "unjudged": 1, "clean": 2}


def render_many(reports: Sequence[ReportRecord], format: str, **view: Any) -> str:
    """Several reports as one text in that format; UserError where the format has room for one alone."""
    if format in FORMATS:
        return FORMATS[format](reports, View(**view))
    raise UserError(
        f"{len(reports)} reports, and a document of format {format} holds one: take {', '.join(FORMATS)}, or pick one"
    )


def summary(reports: Sequence[ReportRecord], view: View) -> list[Text]:
    """How the calls stand: one line for all, one for each layer with a fault, one for the layers that are clean."""
    layers = sorted(by_layer(reports), key=lambda layer: RANK[layer.verdict])
    faulty = [layer for layer in layers if layer.verdict != "clean"]
    lines = _text.hanging(Text(""), Text(_whole(reports, layers), _text.TITLE), view.width)
    alike: dict[tuple[str, str], list[str]] = {}  # layers that stand alike have one line
    for layer in faulty:
        alike.setdefault((_standing(layer, view)[0], "; ".join(_clauses(layer))), []).append(layer.name)
    styles = {_standing(layer, view)[0]: _standing(layer, view)[1] for layer in faulty}
    for (sign, sentence), names in list(alike.items())[:LISTED]:
        body = Text.assemble((_names(names, view), styles[sign]), f"  {_text.clean(sentence, view.ascii)}")
        lines += _text.hanging(Text(f"{sign} ", styles[sign]), body, view.width)[:LONGEST]
    more = sum(len(names) for names in list(alike.values())[LISTED:])
    if more:
        lines.append(Text(f"{_text.marks(view.ascii).more} and {_words.counted(more, 'more layer')} not clean"))
    clean = [layer for layer in layers if layer.verdict == "clean"]
    if clean:
        count = _words.counted(sum(len(layer.calls) for layer in clean), "call")
        named = _names([layer.name for layer in clean], view)
        text = f"{_words.counted(len(clean), 'layer')} clean ({count}): {named}"
        lines += _text.hanging(Text(f"{_text.marks(view.ascii).ok} ", _text.OK), Text(text), view.width)
    return lines


def _names(names: Sequence[str], view: View) -> str:
    """Names in a row; of many the first ones, and how many more."""
    shown = ", ".join(_text.clean(name, view.ascii) for name in names[:NAMED])
    return shown + (f", {_text.marks(view.ascii).more} {len(names) - NAMED} more" if len(names) > NAMED else "")


def plain(lines: Sequence[Text]) -> str:
    """The lines without styles."""
    return "\n".join(line.plain.rstrip() for line in lines) + "\n"


def rest(reports: Sequence[ReportRecord], view: View) -> list[Text]:
    """How to see the others; nothing where there are none."""
    others = sum(report.verdict != "clean" for report in reports) - 1
    if others < 1:
        return []
    name, call = place(first_faults(reports)[0])
    sentence = (
        f"this was {_text.clean(name, view.ascii)} call {call}; {_words.counted(others, 'more report')} not clean: "
        f"inspect(name, call={_text.marks(view.ascii).more}) gives one, ndjson, json and html all"
    )
    return _text.hanging(Text(""), Text(sentence, _text.QUIET), view.width)


def fragment_of_many(reports: Sequence[ReportRecord]) -> str:
    """How a notebook shows them: the summary, then the first fault with its map of rows and steps."""
    view = View(width=100)
    made = templates().get_template("many_fragment.html")
    shown = [fragment(report) for report in first_faults(reports)[:1]]
    return made.render(lines=_rows_of(reports, view), whole=_whole(reports, by_layer(reports)), fragments=shown)


def _whole(reports: Sequence[ReportRecord], layers: Sequence[LayerOfCalls]) -> str:
    """`1,000 calls of 20 layers: 50 with findings, 950 clean`."""
    counts = {verdict: sum(report.verdict == verdict for report in reports) for verdict in RANK}
    in_words = {"findings": "with findings", "unjudged": "could not be judged", "clean": "clean"}
    parts = ", ".join(f"{count} {in_words[verdict]}" for verdict, count in counts.items() if count)
    return f"{_words.counted(len(reports), 'call')} of {_words.counted(len(layers), 'layer')}: {parts}"


def _clauses(layer: LayerOfCalls) -> list[str]:
    """`lengths-ignored in 50 of 50 calls`, and why calls could not be judged."""
    total = len(layer.calls)
    clauses = [f"{rule.rule} in {_of(rule.calls, total)}" for rule in layer.rules if rule.severity != "note"]
    for why, calls in layer.unjudged.items():
        clauses.append(f"could not judge {_of(calls, total)}: {why}")
    return clauses


def _of(calls: Sequence[int], total: int) -> str:
    if total == 1:
        return "its call"
    first = f" (the first: {calls[0]})" if len(calls) < total else ""
    return f"{len(calls)} of {total} calls{first}"


def _standing(layer: LayerOfCalls, view: View) -> tuple[str, str]:
    mark = _text.marks(view.ascii)
    if layer.verdict == "unjudged":
        return mark.nearest, _text.WARN
    worst = next(s for s in SEVERITIES if any(rule.severity == s for rule in layer.rules))
    return _text.severity(worst, mark)


def _rows_of(reports: Sequence[ReportRecord], view: View) -> list[dict[str, str]]:
    """The summary's lines for a page: a standing, a sign, a name and words."""
    layers = sorted(by_layer(reports), key=lambda layer: RANK[layer.verdict])
    rows = []
    for layer in layers:
        clean = layer.verdict == "clean"
        sign = _text.marks(view.ascii).ok if clean else _standing(layer, view)[0]
        sentence = f"clean in {_words.counted(len(layer.calls), 'call')}" if clean else "; ".join(_clauses(layer))
        worst = layer.rules[0].severity if layer.verdict == "findings" else layer.verdict
        rows.append({"standing": worst, "sign": sign, "name": layer.name, "layer": layer.layer, "words": sentence})
    return rows


def _table(reports: Sequence[ReportRecord], view: View) -> str:
    parts = [
        _text.drawn(summary(reports, view), view),
        *(render(report, "table", **vars(view)) for report in first_faults(reports)[:1]),
    ]
    parts += [plain(rest(reports, view))] if rest(reports, view) else []
    return "\n".join(parts)


def _findings(reports: Sequence[ReportRecord], view: View) -> str:
    faults = [render(report, "findings", **vars(view)) for report in first_faults(reports)[:1]]
    return "\n".join([plain(summary(reports, view)), *faults])


def _markdown(reports: Sequence[ReportRecord], view: View) -> str:
    lines = [f"**{_whole(reports, by_layer(reports))}**", ""]
    lines += [
        f"- {row['sign']} `{_text.clean(row['name']).replace('`', '')}` {_text.clean(row['words'])}"
        for row in _rows_of(reports, view)
    ]
    faults = [render(report, "markdown", **vars(view)) for report in first_faults(reports)[:1]]
    return "\n".join(["\n".join(lines) + "\n", *faults])


def _github(reports: Sequence[ReportRecord], view: View) -> str:
    return "".join(render(report, "github", **vars(view)) for report in first_faults(reports))


def _ndjson(reports: Sequence[ReportRecord], view: View) -> str:
    return "".join(render(report, "ndjson", **vars(view)) for report in reports)


def _json(reports: Sequence[ReportRecord], view: View) -> str:
    return json.dumps(to_dict(reports), ensure_ascii=True, allow_nan=False) + "\n"


def _sarif(reports: Sequence[ReportRecord], view: View) -> str:
    """One run a report that is shown: SARIF's own way to hold several."""
    shown = first_faults(reports) or list(reports[:1])
    logs = [json.loads(render(report, "sarif", **vars(view))) for report in shown]
    runs = [run for log in logs for run in log["runs"]]
    return json.dumps({**logs[0], "runs": runs}, indent=2, ensure_ascii=True) + "\n"


def _junit(reports: Sequence[ReportRecord], view: View) -> str:
    """A suite a layer, a case a call: errors fail it, what could not be judged is skipped."""
    root = ElementTree.Element("testsuites")
    grouped: dict[str, list[ReportRecord]] = {}
    for report in reports:
        grouped.setdefault(place(report)[0], []).append(report)
    for name, calls in grouped.items():
        suite = ElementTree.SubElement(root, "testsuite", name=f"rnninspect {_text.clean(name)}", errors="0")
        for report in calls:
            case = ElementTree.SubElement(suite, "testcase", classname=f"rnninspect.{_text.clean(name)}", time="0")
            case.set("name", f"call {place(report)[1]}")
            errors = [finding for finding in report.findings if finding.severity == "error"]
            if errors:
                named = ", ".join(dict.fromkeys(finding.rule for finding in errors))
                failure = ElementTree.SubElement(case, "failure", type=errors[0].certainty, message=_text.clean(named))
                failure.text = "\n\n".join(map(_places.describe, errors))
            elif report.verdict == "unjudged":
                ElementTree.SubElement(case, "skipped", message=f"could not judge: {_text.clean(report.untested)}")
        for count, path in {"tests": "testcase", "failures": "testcase/failure", "skipped": "testcase/skipped"}.items():
            suite.set(count, str(len(suite.findall(path))))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _html(reports: Sequence[ReportRecord], view: View) -> str:
    """One page: the layers, then the first report of each fault."""
    style, of_fragments = asset("many.css"), asset("fragment.css")
    policy = (
        f"default-src 'none'; style-src {source(style)} {source(of_fragments)}; base-uri 'none'; form-action 'none'"
    )
    shown = first_faults(reports)[:SHOWN]
    made = templates().get_template("many.html")
    page = made.render(
        lines=_rows_of(reports, view),
        whole=_whole(reports, by_layer(reports)),
        fragments=[{"title": "{} call {}".format(*place(report)), "body": fragment(report)} for report in shown],
        hidden=len(first_faults(reports)) - len(shown),
        policy=policy,
        style=style,
    )
    return page.rstrip() + "\n"


FORMATS: dict[str, Callable[[Sequence[ReportRecord], View], str]] = {
    "table": _table,
    "findings": _findings,
    "markdown": _markdown,
    "github": _github,
    "json": _json,
    "ndjson": _ndjson,
    "junit": _junit,
    "sarif": _sarif,
    "html": _html,
}
