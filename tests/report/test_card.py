"""The brief table gives the answer first: verdict, cause, fix and next step within ten lines, the rest in forty."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import rnninspect
from rnninspect.api.inspect import inspect_case
from rnninspect.core.finding import NotChecked
from rnninspect.diagnosis.examples import runs
from rnninspect.diagnosis.rules import rules
from rnninspect.errors import UserError
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import render
from rnninspect.report.renderers._unlocks import best_unlock, not_checked_line
from tests.support.commandline import rnninspect as command
from tests.support.places import ROOT
from tests.support.reports import a_finding, lengths_ignored, many_rows, worked_example

BIDIRECTIONAL = ROOT / "sample_data" / "bidirectional.npz"


def card(report: ReportRecord, **view: object) -> list[str]:
    """The lines before the first empty one."""
    return render(report, "table", **view).split("\n\n")[0].splitlines()


def planted(name: str) -> ReportRecord:
    """What is said of the worked example with that mistake."""
    rule = rules()[name]
    return inspect_case(rule.inject(runs.case(rule.example)), "compare", source={"path": "dump.npz"})


@pytest.mark.parametrize("name", sorted(rules()))
def test_each_mistake_is_answered_within_ten_lines(name: str) -> None:
    """Verdict, rule, message, the first line of the fix and a next step are there before anything else is; the brief
    table is of about forty lines, whatever layers and directions the mistake is planted in."""
    report = planted(name)
    finding, lines = report.findings[0], card(report)
    text = " ".join(" ".join(lines).split())
    assert len(lines) <= 10
    assert lines[1][:2] in ("✗ ", "! ", "✓ ")
    assert any(f"{finding.severity}  {finding.rule}" in line for line in lines[2:4])
    assert " ".join(finding.message.split()) in text
    assert any(line.startswith("  fix: ") for line in lines)
    assert any(line.startswith("  next: ") for line in lines)
    assert all(other.rule in text for other in report.findings)
    assert all(other in text for other in finding.alternatives)
    more = sum(len(finding.message) // 70 + finding.fix.count("\n") + 6 for finding in report.findings[1:])
    assert len(render(report, "table").splitlines()) <= 44 + more


def test_a_dump_of_two_layers_and_two_directions_fits_forty_lines() -> None:
    """The verdict is in line 2; the layer without outputs has one line, those with them their rows."""
    done = command("compare", BIDIRECTIONAL, "--convention", "torch")
    lines = done.out.splitlines()
    assert len(lines) <= 40
    assert lines[1].startswith("✓ clean   20 rows in 4 tracks")
    assert lines.count("- layer 0: outputs not recorded") == 1
    assert sum(line.startswith("✓ row ") for line in lines) == 10
    assert any("= final_state.h[0]" in line for line in lines)


def test_the_full_table_holds_all_rows_of_all_tracks() -> None:
    """`--table full` shows every track with its numbers and the verdict at the end, as it always did."""
    lines = command("compare", BIDIRECTIONAL, "--convention", "torch", "--table", "full").out.splitlines()
    assert len(lines) > 100
    assert sum(line.startswith("- row ") for line in lines) == 10
    assert any(line.startswith("not checked: 17 rules") for line in lines)
    assert any(line.startswith("  arrays ") for line in lines)


def test_why_lists_what_was_not_checked() -> None:
    """Without `--why` it is one line that counts; with it each rule stands under its reason."""
    brief = command("compare", BIDIRECTIONAL, "--convention", "torch").out
    listed = command("compare", BIDIRECTIONAL, "--convention", "torch", "--why").out
    assert "17 rules not checked for lack of data: --weights allows 15; --why lists them" in brief
    assert "gate-order" not in brief
    assert "not checked: 17 rules" in listed
    assert "gate-order" in listed


def test_json_is_the_same_whichever_table_is_asked_for() -> None:
    """How a table is shown changes nothing of the report."""
    texts = {command("compare", BIDIRECTIONAL, "--format", "json", *more).out for more in ((), ("--table", "full"))}
    (text,) = texts
    assert json.loads(text)["verdict"] == "clean"


def test_the_best_unlock_is_what_lets_most_be_checked() -> None:
    """Counts are those of the rules whose missing evidence is all given; what cannot be given is no unlock."""
    reasons = ["needs weights"] * 4 + ["needs inputs and weights"] * 2 + ["needs two directions"] * 9
    report = replace(worked_example(), not_checked=[NotChecked(f"r{i}", reason) for i, reason in enumerate(reasons)])
    unlock = best_unlock(report)
    assert unlock is not None
    assert (unlock.arguments, unlock.rules) == (("weights",), 4)
    assert not_checked_line(report) == "15 rules not checked for lack of data: weights= allows 4; see render(why=True)"
    assert best_unlock(replace(report, not_checked=report.not_checked[6:])) is None
    assert not_checked_line(replace(report, not_checked=[])) == ""


def test_a_run_is_not_told_to_give_what_it_cannot_take() -> None:
    """A run has no second dump and makes its own outputs: only lengths and weights are proposed."""
    missing = [NotChecked("a", "needs second dump"), NotChecked("b", "needs lengths")]
    unlock = best_unlock(replace(worked_example(), command="run", not_checked=missing))
    assert unlock is not None
    assert unlock.arguments == ("lengths",)


def test_what_cannot_be_judged_says_what_would_decide(tmp_path: Path) -> None:
    """Without lengths the card says that they are missing, what they would show, and how to give them."""
    arrays = {"outputs": [[[0.1], [0.2], [0.0]], [[0.3], [0.4], [0.5]]], "state": [[0.0], [0.5]]}
    (tmp_path / "dump.json").write_text(json.dumps(arrays))
    done = command("compare", tmp_path / "dump.json")
    head = done.out.split("\n\n")[0]
    assert done.code == 2
    assert "? could not judge" in head
    assert re.search(r"next: run this again with --lengths", head)


def test_a_clean_report_says_in_a_sentence_what_is_right() -> None:
    """The sentence names the step, and says bit for bit only where it is."""
    assert "  every row's final state equals, bit for bit, its last real output" in card(worked_example())
    loose = replace(worked_example(), tolerance={"rtol": 1e-6, "atol": 0.0})
    assert "  every row's final state equals its last real output" in card(loose)


def test_rows_that_are_wrong_come_first_and_the_others_are_counted() -> None:
    """Of many rows a dozen have a line, all that are wrong among them where they are few; the rest is a number."""
    lines = render(many_rows(), "table").splitlines()
    wrong = [line for line in lines if line.startswith("✗ row ")]
    assert wrong
    assert len([line for line in lines if re.match(r"[✓✗?-] row ", line)]) <= 12
    assert any(re.match(r"  … and \d+ more rows: ", line) for line in lines)


def test_all_that_is_asked_for_is_shown() -> None:
    """`rows` brings those rows with their numbers, whatever room there is, and leaves the others to a count."""
    text = render(lengths_ignored(), "table", rows=[0])
    assert "\nrow 0 " in text
    assert "\nrow 1 " not in text
    assert "and 2 more rows" in text


def test_what_is_cut_of_a_fix_is_said() -> None:
    """A fix of many lines gives way; how many lines are left out, and what shows them, stands there."""
    fix = "\n".join(f"step_{i}()" for i in range(20))
    lines = card(replace(lengths_ignored(), findings=[a_finding(fix=fix)]))
    shown = sum("step_" in line for line in lines)
    assert len(lines) <= 10
    assert shown >= 1
    assert f"       {20 - shown} more lines: render(table='full')" in lines


def test_one_line_of_a_fix_is_never_cut() -> None:
    """Whatever room there is, what is cut is two lines or more: one line takes no more room than the remark on it."""
    for count in range(1, 20):
        fix = "\n".join(f"step_{i}()" for i in range(count))
        lines = card(replace(lengths_ignored(), findings=[a_finding(fix=fix)]))
        assert not any("1 more line:" in line for line in lines)
        assert len(lines) <= 10


def test_code_that_is_shown_stays_code() -> None:
    """A comment that does not fit beside its code stands below it as a comment of its own."""
    fix = f"final = outputs[rows, lengths - 1]  # {'not the last column ' * 8}".rstrip()
    for table in ("brief", "full"):
        text = render(replace(lengths_ignored(), findings=[a_finding(fix=fix)]), "table", table=table)
        remarks = [line for line in text.splitlines() if "the last column" in line and not line.startswith("  rows")]
        assert remarks
        assert all(line.strip().startswith("#") for line in remarks)


def test_an_unknown_table_is_refused() -> None:
    """The view takes brief and full, and says so."""
    with pytest.raises(UserError, match="unknown table 'ful'; did you mean 'full'"):
        rnninspect.inspect([[[0.1]]], [[0.1]], lengths=[1]).render("table", table="ful")
