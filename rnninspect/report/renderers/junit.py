"""JUnit XML: a test case a track and a finding, so that a build server shows them among its tests."""

from __future__ import annotations

from xml.etree import ElementTree

from rnninspect.core.finding import Finding
from rnninspect.report.record import ReportRecord, TrackReport
from rnninspect.report.renderers import _findings, _header, _places, _text, _verdicts, _words
from rnninspect.report.renderers.view import View

NAME = "junit"
SUMMARY = "JUnit XML, for the test pages of build servers: errors are failures"


def render(report: ReportRecord, view: View) -> str:
    """One suite; the view changes nothing.

    A finding is a failure where it is an error, as the exit code has it; warnings and notes pass and keep their text.
    A probe that held passes.
    A track passes unless none of its rows could be compared; that, and a rule that lacked its evidence, is skipped.
    """
    suite = ElementTree.Element("testsuite", name=f"rnninspect {_header.source_name(report, View())}".rstrip())
    for track in report.tracks:
        _add_track(suite, track)
    for probe in report.probes:
        if probe.standing == "held":
            _case(suite, f"{_text.clean(probe.probe)}: {_text.clean(probe.holds)}")
    if report.verdict == "unjudged":
        _case(suite, "verdict", "skipped", f"could not judge: {_text.clean(_verdicts.because(report))}")
    for finding in report.findings:
        _finding(suite, finding)
    for reason, rules in _findings.skipped(report).items():
        for rule in rules:
            _case(suite, _text.clean(rule), "skipped", f"not checked: {_text.clean(reason)}")
    counts = {"tests": "testcase", "failures": "testcase/failure", "skipped": "testcase/skipped"}
    for name, path in counts.items():
        suite.set(name, str(len(suite.findall(path))))
    suite.set("errors", "0")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, name: str, outcome: str = "", message: str = "") -> ElementTree.Element:
    case = ElementTree.SubElement(suite, "testcase", classname="rnninspect", name=name, time="0")
    if outcome:
        ElementTree.SubElement(case, outcome, message=message)
    return case


def _add_track(suite: ElementTree.Element, track: TrackReport) -> None:
    summary = f"{_words.counted(len(track.rows), 'row')}: {_words.tally(track.rows)}" if track.rows else "no rows"
    name = f"final state of {_words.track_name(track.layer, track.direction)}"
    if all(_words.standing(row) in ("silent", "unknown") for row in track.rows):
        _case(suite, name, "skipped", summary)
    else:
        ElementTree.SubElement(_case(suite, name), "system-out").text = summary


def _finding(suite: ElementTree.Element, finding: Finding) -> None:
    place = _words.track_name(finding.layer, finding.direction)
    case = _case(suite, " ".join(filter(None, [_text.clean(finding.rule), place])))
    text = _places.describe(finding)
    if finding.severity == "error":
        failure = ElementTree.SubElement(case, "failure", type=finding.certainty, message=_text.clean(finding.message))
        failure.text = text
    else:
        ElementTree.SubElement(case, "system-out").text = f"{finding.severity}: {text}"
