"""Reports become text: the tables say what the report says at any width, and nothing from a file can break them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from rnninspect.core.finding import NotChecked
from rnninspect.errors import UnknownNameError, UnreadableError, UserError
from rnninspect.report.load import from_dict
from rnninspect.report.record import Excerpt, ReportRecord, TrackReport
from rnninspect.report.renderers import _elide, _numbers, _text, render, renderers
from rnninspect.report.renderers.table import table_lines
from rnninspect.report.renderers.view import View, chosen
from tests.support.reports import (
    LENGTHS,
    a_finding,
    a_report,
    a_row,
    against_a_reference,
    both_directions,
    lengths_ignored,
    many_rows,
    measured,
    wave,
    worked_example,
)

HOSTILE = "[red]a[/red] \x1b[31mb\x07 <script>c</script> \u202etxt\r\n:smile: é \udc80"
SHOWN = "[red]a[/red] \\x1b[31mb\\x07 <script>c</script> \\u202etxt\\r\\n:smile: "
ESCAPE = re.compile("\x1b\\[[0-9;]*m")


def hostile() -> ReportRecord:
    """Every text of a report that can come from a file holds codes that must not get through."""
    return replace(
        lengths_ignored(),
        source={"path": HOSTILE, "member": HOSTILE, HOSTILE: [HOSTILE]},
        convention=HOSTILE,
        reading={"used": HOSTILE, "stated": False, "also_fit": [HOSTILE]},
        notes=[HOSTILE],
        findings=[
            a_finding(message=HOSTILE, rule=HOSTILE, fix=HOSTILE, alternatives=[HOSTILE], evidence={HOSTILE: HOSTILE})
        ],
        not_checked=[NotChecked(HOSTILE, HOSTILE)],
    )


def long_and_wide() -> ReportRecord:
    """Two rows of 1000 steps and 64 units; row 0 equals step 611 and should equal step 700, [0, 3] is zero and real."""
    lengths = [701, 1000]
    outputs = wave(2, 1000, 64, lengths)
    outputs[0][3] = [0.0] * 64
    return a_report([measured(outputs, [outputs[0][611], outputs[1][999]], lengths)], lengths=lengths)


def not_finite() -> ReportRecord:
    """NaN and both infinities in outputs, state and cell state, beside numbers too small and too large to print."""
    outputs = [[[1e-9, 12345678.9, -1e-9], [math.nan, math.inf, -math.inf]]]
    return a_report([measured(outputs, [[math.nan, 0.0, 2.0]], [2], [[math.inf, 1.0, 1.0]])], lengths=[2])


def nothing_known() -> ReportRecord:
    """A track without outputs, one with only a state, and no statement about anything."""
    empty: dict[str, Any] = dict.fromkeys(
        ("expected_step", "status", "steps", "step_count", "nearest_step", "distance", "zero_steps", "zero_count")
    )
    rows = [a_row(0, length=None, padding="absent", **empty)]
    excerpt = [Excerpt(0, [], [0, 1], None, [0.1, 0.2], [0.3])]
    tracks = [
        TrackReport(0, "forward", None, None, "time", rows, []),
        TrackReport(1, "backward", 2, 1, "reversed", rows, excerpt),
    ]
    return a_report(tracks, verdict="unjudged", reading={}, source={}, shape={"batch": 1, "steps": 3})


def every_status() -> ReportRecord:
    """One row for each status that a final state can have."""
    lengths = [4, 3, 2, 4, 0, 4]
    outputs = wave(6, 4, 5, lengths)
    track = measured(outputs, [outputs[b][max(n - 1, 0)] for b, n in enumerate(lengths)], lengths, [[1.0, 2.0]] * 6)
    mismatched: dict[str, Any] = {"steps": [], "step_count": 0}
    changes: list[dict[str, Any]] = [
        {"status": "near", "nearest_step": 3, "distance": 3e-8, "margin": 0.4, **mismatched},
        {"status": "none", "nearest_step": 1, "distance": 0.2, "margin": 0.1, **mismatched},
        {"status": "elsewhere", "elsewhere": [[3, 2]], **mismatched},
        {"status": "ambiguous", "steps": [1, 3], "step_count": 2},
        {},
        {"status": None},
    ]
    rows = [replace(row, **change) for row, change in zip(track.rows, changes, strict=True)]
    return a_report([replace(track, rows=rows)], lengths=lengths)


REPORTS: list[Callable[[], ReportRecord]] = [
    worked_example,
    lengths_ignored,
    both_directions,
    many_rows,
    hostile,
    long_and_wide,
    not_finite,
    nothing_known,
    every_status,
    against_a_reference,
]
every_report = pytest.mark.parametrize("make", REPORTS)


def lines(report: ReportRecord, **view: Any) -> list[str]:
    """The whole table's."""
    return render(report, "table", **{"table": "full"} | view).splitlines()


def steps_shown(report: ReportRecord, row: int, **view: Any) -> list[int]:
    """The step numbers in the table of one row."""
    text = render(report, "table", **{"width": 140, "table": "full"} | view)
    table = text.split(f"\nrow {row} ")[1].split("\n\n")[0]
    return [int(step) for step in re.findall(r"^  step +(\d+)", table, re.MULTILINE)]


def test_formats_are_discovered() -> None:
    """The registry lists every format with its line, and an unknown one names the known."""
    assert [name for name, _ in renderers()] == sorted(name for name, _ in renderers())
    assert {"table", "json", "ndjson"} <= {name for name, summary in renderers() if summary}
    with pytest.raises(UnknownNameError, match=r"unknown format 'jsn'; did you mean 'json'\?.*ndjson, .*table"):
        render(worked_example(), "jsn")


@every_report
def test_saved_report_is_the_same_report(make: Callable[[], ReportRecord]) -> None:
    """JSON -> Report -> JSON changes nothing, so that every other rendering can be made from a saved report."""
    report = make()
    saved = render(report, "json")
    assert from_dict(json.loads(saved)) == report
    assert render(from_dict(json.loads(saved)), "json") == saved
    assert saved.endswith("}\n")
    assert saved.isascii()
    assert render(from_dict(json.loads(saved)), "table") == render(report, "table")


@every_report
@pytest.mark.parametrize("name", [name for name, _ in renderers()])
def test_every_format_shows_every_report(name: str, make: Callable[[], ReportRecord]) -> None:
    """Each format ends in one newline, and says the same of a report and of its saved self."""
    text = render(make(), name, width=60)
    assert text.endswith("\n")
    assert render(from_dict(json.loads(render(make(), "json"))), name, width=60) == text


def test_a_newer_report_of_the_same_schema_is_read() -> None:
    """Fields are only ever added within a schema: unknown ones are passed over, those with a default may be missing."""
    data = worked_example().to_dict()
    data["new"] = 1
    data["tracks"][0]["rows"][0]["new"] = 1
    del data["notes"], data["comparison"], data["tracks"][0]["rows"][1]["elsewhere"]
    assert from_dict(data) == worked_example()


@pytest.mark.parametrize(
    ("path", "value", "phrase"),
    [
        ((), [], "no JSON object with a field 'schema'"),
        (("schema",), 2, "has schema 2, this version reads schema 1"),
        (("schema",), True, "has schema True"),
        (("schema",), "1\x1b[31m\n", r"has schema '1\x1b[31m\n'"),
        (("tracks",), None, "tracks is None, but must be a list"),
        (("tracks", 0), 3, "tracks[0] is 3, but must be an object"),
        (("tracks", 0, "rows", 1), {"row": 0}, "tracks[0].rows[1] lacks length, real"),
        (("tracks", 0, "rows", 1, "status"), "good", "rows[1].status is 'good', but must be one of match, ambiguous"),
        (("tracks", 0, "rows", 1, "steps"), [0, 1.5], "rows[1].steps[1] is 1.5, but must be a whole number"),
        (("tracks", 0, "rows", 1, "steps"), [True], "steps[0] is True, but must be a whole number"),
        (("tracks", 0, "rows", 1, "real"), [[0, 1, 2]], "real is [[0, 1, 2]], but must be pairs of whole numbers"),
        (("tracks", 0, "rows", 1, "distance"), math.nan, "distance is nan, but must be finite numbers"),
        (("tracks", 0, "rows", 1, "distance"), 10**400, "but must be finite numbers"),
        (("tracks", 0, "excerpt", 2, "outputs"), [[0.0] * 4] * 2, "excerpt[2].outputs must hold 3 steps"),
        (("tracks", 0, "excerpt", 2, "outputs"), [[0.0]] * 3, "excerpt[2].outputs must hold 4 units a step"),
        (("tracks", 0, "excerpt", 2, "final"), [0.0], "excerpt[2].final must hold 4 units"),
        (("tracks", 0, "excerpt", 2, "cell"), [0.0] * 5, "excerpt[2].cell must hold at most 4 units"),
        (("tracks", 0, "excerpt", 2, "steps"), [2, 1, 0], "excerpt[2].steps must hold rising steps"),
        (("tracks", 0, "excerpt", 2, "row"), -1, "excerpt[2].row is -1; rows 0 to 2 are there"),
        (("tracks", 0, "excerpt", 2, "row"), 3, "excerpt[2].row is 3; rows 0 to 2 are there"),
        (("shape", "batch"), 10**12, "tracks[0].rows must be the batch's 1000000000000 rows"),
        (("tracks", 0, "rows", 1, "row"), 2, "tracks[0].rows must be the batch's 3 rows"),
        (("shape",), {"batch": 3}, "shape lacks 'steps'"),
        (("lengths",), {}, "lengths is {}, but must be a list"),
        (("reading",), {"used": math.inf}, "reading.used is inf, but must be finite numbers"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(path: tuple[Any, ...], value: Any, phrase: str) -> None:
    """A damaged report is named with its place, in one printable line, before any renderer meets it."""
    data: Any = {"": worked_example().to_dict()}
    place, key = data, ""
    for part in path:
        place, key = place[key], part
    place[key] = value
    with pytest.raises(UnreadableError) as caught:
        from_dict(data[""])
    assert phrase in str(caught.value)
    assert str(caught.value).isprintable()


@every_report
def test_ndjson_has_a_line_for_everything(make: Callable[[], ReportRecord]) -> None:
    """A line a row and track, one a finding, the summary last; each names its source and nothing is lost."""
    report = make()
    items = [json.loads(line) for line in render(report, "ndjson").splitlines()]
    kinds = [item["kind"] for item in items]
    rows = sum(len(track.rows) for track in report.tracks)
    assert kinds == ["row"] * rows + ["finding"] * len(report.findings) + ["summary"]
    assert all(item["source"] == report.source for item in items)
    whole = report.to_dict()
    summary = items[-1]
    assert {k: v for k, v in summary.items() if k not in ("kind", "counts")} == {
        k: v for k, v in whole.items() if k not in ("tracks", "findings")
    }
    assert sum(summary["counts"]["rows"].values()) == rows
    assert sum(summary["counts"]["findings"].values()) == len(report.findings)
    places = [(track["layer"], track["direction"], row) for track in whole["tracks"] for row in track["rows"]]
    for item, (layer, direction, row) in zip(items, places, strict=False):
        assert (item["layer"], item["direction"]) == (layer, direction)
        assert {k: item[k] for k in row} == row


@every_report
@pytest.mark.parametrize("width", [40, 57, 80, 140])
@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("table", ["brief", "full"])
def test_no_line_is_longer_than_the_width(
    make: Callable[[], ReportRecord], width: int, ascii: bool, table: str
) -> None:
    """At every width every line fits, whatever the digits; no line ends in blanks; ASCII means ASCII."""
    for precision in (0, 4, 17):
        text = render(make(), "table", width=width, ascii=ascii, precision=precision, verbose=True, table=table)
        assert [line for line in text.splitlines() if cell_len(line) > width or line != line.rstrip()] == []
        assert text.isascii() or not ascii
        assert text.endswith("\n")


@every_report
@pytest.mark.parametrize("table", ["brief", "full"])
def test_colour_adds_nothing_but_colour(
    make: Callable[[], ReportRecord], table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marks carry the meaning: without its codes the coloured text is the plain one, whatever the environment says.

    Which colours these are, and that they can be read, is tested in `test_colours`.
    """
    for name, value in (("NO_COLOR", "1"), ("FORCE_COLOR", "1"), ("COLUMNS", "20"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    plain, coloured = render(make(), "table", table=table), render(make(), "table", color=True, table=table)
    assert "\x1b" not in plain
    assert ESCAPE.sub("", coloured) == plain
    assert "\x1b[1;" in coloured


def test_text_from_files_is_shown_and_does_nothing() -> None:
    """Markup, escape codes, bells, line ends and direction overrides appear as what they are, in every place."""
    text = render(hostile(), "table", width=140, verbose=True, color=True, table="full")
    assert "\x1b" not in ESCAPE.sub("", text)
    assert not re.search("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\u202e\r]", text)
    assert ESCAPE.sub("", text).count(SHOWN) >= 8
    assert "\\udc80" in text
    text.encode("utf-8")
    assert ESCAPE.sub("", render(hostile(), "table", width=140, ascii=True)).count(SHOWN + "\\xe9 \\udc80") >= 6
    brief = render(hostile(), "table", width=140, color=True, why=True)
    assert not re.search("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\u202e\r]", ESCAPE.sub("", brief))
    assert ESCAPE.sub("", brief).count(SHOWN) >= 6


def test_worked_example_at_80_columns() -> None:
    """The published table: which step each row's state equals, and step [0, 0] told apart from the padding."""
    shown = lines(worked_example())
    for line in (
        "row 0        unit 0        1        2        3  length 3",
        "  step 0 ○   0.0000   0.0000   0.0000   0.0000  real step, all zero",
        "  step 1    -0.0301   0.1675   0.0231  -0.0457",
        "  step 2 =  -0.0608   0.3504   0.0601  -0.1604  = final_state.h[0]",
        "  step 0 =  -0.0022   0.0817   0.0126  -0.2834  = final_state.h[1]",
        "  step 2 ·   0.0000   0.0000   0.0000   0.0000  padding",
        "  h         -0.0003   0.0458   0.0046  -0.6504  final_state.h[2]",
        "  c         -0.0003   0.0461   0.0673  -0.8647  final_state.c[2]",
        "✓ row 0  length 3  h = outputs[0, 2]  as expected   step 0 is zero but real",
        "✓ row 1  length 1  h = outputs[1, 0]  as expected   padding zero: steps 1:3",
        "✓ row 2  length 2  h = outputs[2, 1]  as expected   padding zero: step 2",
        "✓ clean   3 rows: all as expected",
        "  needs two directions: backward-final-at-last-step",
    ):
        assert line in shown
    assert sum("padding" in line and "step" in line and "○" not in line for line in shown) == 5
    assert [line for line in shown if line.startswith("  lengths")] == ["  lengths     3, 1, 2"]


def test_zero_steps_of_unknown_lengths_are_not_called_real() -> None:
    """Without lengths nothing tells padding from data, and the table does not pretend to know."""
    report = worked_example()
    rows = [
        replace(row, length=None, real=[[0, 3]], expected_step=None, padding="none") for row in report.tracks[0].rows
    ]
    text = render(replace(report, lengths=None, tracks=[replace(report.tracks[0], rows=rows)]), "table")
    assert "steps 1:3 are zero (padding or real)" in text
    assert "but real" not in text
    assert "all zero: padding or real" in text
    assert "lengths not known" in text


def test_mistakes_show_the_expected_step() -> None:
    """A state at the wrong step is marked there and at the step that it should equal, in red, by marks and by words."""
    shown = lines(lengths_ignored())
    assert "  step 0 →  -0.0022   0.0817   0.0126  -0.2834  should equal final_state.h[1]" in shown
    assert "  step 1 •  -0.0024   0.0899   0.0139  -0.3118  padding, computed" in shown
    assert "  step 2 ✗  -0.0026   0.0981   0.0151  -0.3401  = final_state.h[1], not step 0" in shown
    assert "✗ row 1  length 1  h = outputs[1, 2]  expected step 0   padding computed: 1:3" in shown
    assert "✗ 1 error   3 rows: 2 not as expected, 1 as expected" in shown
    assert "✗ error  lengths-ignored  proven, explains 2 rows" in shown
    assert "  fix:" in shown
    assert "  needs two directions: backward-final-at-last-step, direction-duplicated" in shown
    wrong = next(
        line for line in render(lengths_ignored(), "table", table="full", color=True).splitlines() if "step 2 ✗" in line
    )
    assert wrong.startswith("\x1b[1;38;5;160m")


def test_ascii_marks_differ_from_each_other() -> None:
    """In ASCII each kind of step still has a mark of its own."""
    for marks in (_text.UNICODE, _text.ASCII):
        kinds = [marks.equal, marks.wrong, marks.expected, marks.near, marks.nearest, marks.zero, marks.padding]
        kinds += [marks.filled, marks.nonfinite]
        assert len(set(kinds)) == len(kinds)
        assert all(len(kind) == cell_len(kind) == 1 for kind in kinds)
    shown = lines(lengths_ignored(), ascii=True)
    assert [line[9] for line in shown if line.startswith("  step")] == ["o", " ", "=", ">", "*", "x", " ", ">", "x"]


def test_narrow_tables_explain_their_marks() -> None:
    """Where words have no room beside the numbers, the marks stay and a legend explains those that occur."""
    shown = lines(lengths_ignored(), width=40)
    assert "  2 ✗  -0.0026   0.0981     -0.3401" in shown
    assert "= equals h  ✗ equals h, wrong step" in shown
    assert not any("near h" in line for line in shown)


def test_every_status_has_its_words() -> None:
    """Near, nearest, another row's step, several steps, no evidence and not compared are told apart in the verdicts."""
    text = render(every_status(), "table", table="full", width=140)
    for phrase in (
        r"✓ row 0 .*h ~ outputs\[0, 3\] +as expected, differs by 3e-08 +next nearest \+0.4",
        r"✗ row 1 .*h equals no step +expected step 2 +nearest step 1 differs by 0.2, next nearest "
        r"\+0.1\n +padding",
        r"✗ row 2 .*h = outputs\[3, 2\] +expected step 1",
        r"✓ row 3 .*h = outputs\[3, \[1, 3\]\] +as expected, but also at other steps",
        r"\? row 4 .*no evidence: no real step",
        r"- row 5 .*not compared",
        r"step 3 ≈ .*~ final_state.h\[0\], differs by 3e-08",
        r"step 1 \? .*nearest, differs by 0.2",
        r"step 2 ✗ .*= final_state.h\[2\]",
        r"step 1 = .*= final_state.h\[3\] too",
        r"  h .*final_state.h\[2\] = outputs\[3, 2\]",
        r"6 rows: 2 not as expected, 2 as expected, 1 without evidence, 1 not compared",
    ):
        assert re.search(phrase, text), phrase


@given(st.sets(st.integers(0, 30), min_size=1, max_size=20), st.integers(0, 3))
def test_quoted_steps_mean_in_python_what_they_say(chosen_steps: set[int], row: int) -> None:
    """What a report quotes as `outputs[…]` is numpy: it picks those steps of that row, and the rest is counted."""
    steps = sorted(chosen_steps)
    quoted, _, left = _elide.quote_outputs(row, steps).partition(" and ")
    outputs = np.arange(4)[:, None] * 100 + np.arange(31)
    picked = np.atleast_1d(eval(quoted, {"outputs": outputs})).tolist()
    assert picked == [row * 100 + step for step in steps[: len(picked)]]
    assert len(picked) + int(left.partition(" ")[0] or 0) == len(steps)
    assert len(picked) >= min(len(steps), 8)
    slices = _elide.list_slices(_elide.runs(steps), most=99)
    assert eval(f"np.r_[{slices}]", {"np": np}).tolist() == steps


def test_long_rows_keep_what_matters() -> None:
    """Of 1000 steps the expected, equal and real zero ones, both ends and the first padded one stay, little else."""
    report = long_and_wide()
    shown = steps_shown(report, 0)
    assert {0, 3, 611, 700, 701, 999} <= set(shown)
    assert len(shown) <= 13
    assert all(any(abs(step - other) <= 2 for other in (0, 3, 611, 700, 701, 999)) for step in shown)
    assert {0, 999} <= set(steps_shown(report, 1))
    text = render(report, "table", table="full")
    left_out = re.findall(r"(\d+) steps(?: of padding)?: (\d+):(\d+)", text)
    assert len(left_out) >= 4
    assert all(int(count) == int(stop) - int(first) for count, first, stop in left_out)
    table = text.split("row 1 ")[0]
    counted = sum(int(count) for count, _, _ in re.findall(r"(\d+) steps(?: of padding)?: (\d+):(\d+)", table))
    assert counted + len(shown) == 1000


def test_wide_states_keep_both_ends() -> None:
    """Of 64 units the first and the last stay, dots between them say that some are left out, and more fit if wider."""
    heads = [next(line for line in lines(long_and_wide(), width=w) if "unit 0" in line) for w in (80, 140)]
    for head in heads:
        assert re.search(r"unit 0 .* … +6[23]", head)
        assert " 63" in head
    assert len(heads[1].split()) > len(heads[0].split())
    assert "..." in next(line for line in lines(long_and_wide(), ascii=True) if "unit 0" in line)


def test_a_unit_that_is_not_finite_is_not_left_out() -> None:
    """A NaN in the middle of a wide state has its column."""
    outputs = wave(1, 2, 64, [2])
    outputs[0][0][30] = math.nan
    text = render(a_report([measured(outputs, [outputs[0][1]], [2])], lengths=[2]), "table", table="full")
    assert re.search(r"unit 0 .* 30 .* 63", text)
    assert re.search(r"step 0 ! .* nan .*not finite", text)


def test_numbers_line_up_and_never_lie() -> None:
    """Numbers end in one column; not finite ones are named; what is not zero does not look like zero."""
    shown = lines(not_finite())
    first = next(line for line in shown if line.startswith("  step 0"))
    second = next(line for line in shown if line.startswith("  step 1"))
    assert first.split()[2:6] == ["?", "1e-09", "1.2346e+07", "-1e-09"]
    assert second.split()[2:6] == ["→", "nan", "inf", "-inf"]
    assert [m.end() for m in re.finditer(r"\S+", first)][3:6] == [m.end() for m in re.finditer(r"\S+", second)][3:6]
    assert "nearest, differs infinitely" in first
    assert next(line for line in shown if line.startswith("  h")).split()[1:4] == ["nan", "0.0000", "2.0000"]
    assert next(line for line in shown if line.startswith("  c  ")).split()[1:4] == ["inf", "1.0000", "1.0000"]
    ends = {tuple(m.end() for m in re.finditer(r"-?\d\.\d{4}", line)) for line in lines(worked_example())}
    assert len({e for e in ends if len(e) == 4}) == 1


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(0, 17))
def test_only_zero_prints_as_zero(value: float, precision: int) -> None:
    """A number and its text are zero together, and the text is as near as its digits allow."""
    text = _numbers.number(value, precision)
    assert (float(text) == 0) == (value == 0)
    if 10**-precision < abs(value) < _numbers.LARGE:
        assert abs(float(text) - value) <= 0.5000001 * 10**-precision + abs(value) * 1e-15


def test_precision_is_chosen() -> None:
    """`precision` sets the digits behind the point; beyond what a float holds it is refused."""
    assert "-0.03009628" in render(worked_example(), "table", table="full", precision=8)
    assert re.search(r"step 1 +-0.03 +0.17", render(worked_example(), "table", table="full", precision=2))
    with pytest.raises(UserError, match="precision is 0 to 17"):
        View(precision=18)


def test_rows_and_steps_are_chosen() -> None:
    """`rows` and `steps` show exactly those; what the report does not hold is said, what does not exist refused."""
    report = long_and_wide()
    text = render(report, "table", table="full", rows="1", steps="5,400-402")
    assert "row 0 " not in text
    assert steps_shown(report, 1, rows=[1], steps="5,400-402") == [5, 400, 401, 402]
    assert "394 steps: 6:400" in text
    assert "and 1 more row" in text
    excerpt = replace(report.tracks[0].excerpt[0], steps=[0, 1], outputs=report.tracks[0].excerpt[0].outputs[:2])  # type: ignore[index]
    cut = replace(report, tracks=[replace(report.tracks[0], excerpt=[excerpt])])
    assert "steps 5, 7:10 not in this report" in render(cut, "table", table="full", steps=[5, 7, 8, 9, 1])
    assert "(numbers of row 1 not in this report: excerpt=None keeps them)" in render(cut, "table", table="full")
    with pytest.raises(UserError, match="rows 2, 7 not in the report: it has rows 0 to 1"):
        render(report, "table", table="full", rows=[7, 0, 2])


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        ("0,2-3", [0, 2, 3]),
        ("0,2:4", [0, 2, 3]),
        ("3:", [3, 4]),
        ("3-", [3, 4]),
        (" 1 , 1-2", [1, 2]),
        (4, [4]),
        ([3, 1, 3], [1, 3]),
        (None, None),
    ],
)
def test_selections(selection: Any, numbers: list[int] | None) -> None:
    """Numbers, ranges with both ends, slices, open ranges and collections; sorted, each once."""
    assert chosen(selection, 5, "rows") == numbers


@pytest.mark.parametrize(
    "selection", ["", "a", "1-2-3", "1:2:3", "-1", "3-1", "3:3", "5", "0-5", "5-", "٣", "1;2", -1, [0, 9]]
)
def test_selections_that_cannot_be_meant(selection: Any) -> None:
    """What is no selection, or lies outside the report, is one clear line."""
    with pytest.raises(UserError) as caught:
        chosen(selection, 5, "rows")
    assert "\n" not in str(caught.value)


def test_many_rows_show_the_bad_ones_first() -> None:
    """Of 64 rows 20 have a verdict, those with findings first, and the others are counted."""
    verdicts = [line for line in lines(many_rows()) if re.match("[✓✗] row", line)]
    assert [int(re.findall(r"row (\d+)", line)[0]) for line in verdicts] == [40, 61, *range(18)]
    assert "  … and 44 more rows: all as expected" in lines(many_rows())
    wrong = tuple(range(10, 40))
    text = render(many_rows(wrong=wrong), "table", table="full")
    assert re.findall(r"^[✓✗] row (\d+)", text, re.MULTILINE) == [str(b) for b in wrong[:20]]
    assert "and 44 more rows: 10 not as expected, 34 as expected" in text
    assert re.search(r"^row 40 ", render(many_rows(), "table", table="full"), re.MULTILINE)
    assert "left out: rows= shows them" in render(many_rows(), "table", table="full")
    assert len(re.findall("^row ", render(many_rows(), "table", table="full", rows="0-30"), re.MULTILINE)) == 31
    assert "more row" not in render(many_rows(20, ()), "table", table="full")


def test_each_track_has_its_heading() -> None:
    """Layers and directions have their own tables and verdicts, in the report's order."""
    shown = lines(both_directions())
    heads = [line.rstrip(" ─") for line in shown if line.startswith("layer")]
    assert heads == ["layer 0 forward", "layer 0 backward", "layer 1 forward", "layer 1 backward"]
    assert sum(bool(re.match("[✓✗] row 1 ", line)) for line in shown) == 4
    assert "✗ 1 error   16 rows in 4 tracks: 1 not as expected, 15 as expected" in shown
    assert "  or: backward-not-flipped" in shown
    assert "  what would decide: inputs and weights" in shown
    assert not any(line.startswith("layer") for line in lines(worked_example()))


def test_what_was_not_recorded_is_said() -> None:
    """Fields without meaning are left out, and a report that could compare nothing does not look clean."""
    shown = lines(nothing_known())
    assert "- row 0  outputs not recorded" in shown
    assert "? could not judge   2 rows in 2 tracks: all not compared" in shown
    assert "  h    0.1000  0.2000  final_state.h[0]" in shown
    assert "  c    0.3000  final_state.c[0]" in shown
    assert any("steps in the order read, T-1 first" in line for line in shown)
    assert "None" not in "\n".join(shown)
    assert lines(a_report([], verdict="unjudged"))[-1] == "? could not judge   0 rows"


def test_report_without_numbers_keeps_its_verdicts() -> None:
    """Excerpts are optional: the verdict lines stand without them."""
    report = lengths_ignored()
    bare = replace(report, tracks=[replace(report.tracks[0], excerpt=[])])
    text = render(bare, "table")
    assert "unit 0" not in text
    assert re.findall("^([✓✗]) row", text, re.MULTILINE) == ["✓", "✗", "✗"]


def test_cell_state_of_another_width_has_its_own_heading() -> None:
    """With a projection c is wider than h: its units are not those of the outputs, and are not shown as if."""
    outputs = wave(1, 2, 3, [2])
    shown = lines(a_report([measured(outputs, [outputs[0][1]], [2], [[0.1, 0.2, 0.3, 0.4, 0.5]])], lengths=[2]))
    at = next(i for i, line in enumerate(shown) if line.startswith("  c  "))
    assert shown[at - 1].split() == ["unit", "0", "1", "2", "3", "4"]
    assert shown[at].split()[1:6] == ["0.1000", "0.2000", "0.3000", "0.4000", "0.5000"]


def test_padding_before_the_data_and_holes_are_named() -> None:
    """Real steps that do not begin at 0, or have a hole, are listed, and the padding is where it is."""
    report = worked_example()
    rows = [
        replace(report.tracks[0].rows[0], length=2, real=[[1, 3]], padding="zero"),
        replace(report.tracks[0].rows[1], length=2, real=[[0, 1], [2, 3]]),
        report.tracks[0].rows[2],
    ]
    text = render(replace(report, tracks=[replace(report.tracks[0], rows=rows)]), "table", width=140)
    assert "length 2, real steps 1:3" in text
    assert "length 2, real steps 0, 2" in text
    assert "padding zero: step 0" in text
    assert "padding zero: step 1, step 2 is zero but real" in text


def test_a_second_dump_is_compared() -> None:
    """The cause, the worst place with both values, which rows first differ where, and the tolerance that passes."""
    shown = lines(against_a_reference())
    for line in (
        "  arrays      outputs [3, 3, 4], lengths [3]",
        "    differs most at outputs[2, 1], unit 3: -0.65035087 against -0.6",
        "    rows 0, 2 first differ at step 1; row 1 agrees",
        "    by step  0: 0, 1: 0.05, 2: 0.011",
        "    padded steps differ by up to 0.25",
        "    2 steps are not finite in one or both",
        "  atol=0.0504 would pass",
    ):
        assert line in shown
    assert any(line.startswith("against the reference  step 0 agrees") for line in shown)


def leaves(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a report's JSON."""
    keys = list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else []
    return [path, *(leaf for key in keys for leaf in leaves(data[key], (*path, key)))] if path or keys else [path]


BASE = replace(against_a_reference(), findings=[a_finding(evidence={"offset": -1, "would_decide": "inputs"})])
PLACES = leaves(BASE.to_dict())[1:]
ODD = [None, -1, 0, 10**9, 1.5, "x", "zero", "none", [], {}, [[1]], [1, None], {"a": {"b": [1]}}, True]


@settings(deadline=None)  # every format, the first of which loads its templates
@given(st.sampled_from(PLACES), st.sampled_from(ODD))
def test_an_altered_report_is_refused_or_rendered(path: tuple[Any, ...], odd: Any) -> None:
    """Whatever one place of a saved report holds instead, it is named as wrong or every format still works."""
    data = json.loads(render(BASE, "json"))
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = odd
    try:
        report = from_dict(data)
    except UnreadableError:
        return
    for name, _ in renderers():
        assert render(report, name, width=60, verbose=True).endswith("\n")


def test_lines_print_as_they_render() -> None:
    """A console of the same width prints what `render` returns: no line is folded or marked up a second time."""
    for make in (lengths_ignored, hostile, long_and_wide):
        console = Console(width=80, no_color=True, _environ={}, file=open("/dev/null", "w"))  # noqa: SIM115
        with console.capture() as capture:
            for line in table_lines(make(), View(width=80)):
                console.print(line)
        assert ESCAPE.sub("", capture.get()) == render(make(), "table")
        console.file.close()


@given(st.text(), st.booleans())
def test_clean_text_is_printable(text: str, ascii: bool) -> None:
    """No control, format or surrogate character survives; what was printable ASCII stays as it was."""
    shown = _text.clean(text, ascii)
    assert all(c.isprintable() or c.isspace() for c in shown)
    assert not set(shown) & set("\x1b\n\r\t\u2028\u202e\u200b")
    assert shown.isascii() or not ascii
    shown.encode("utf-8")
    if text.isascii() and text.isprintable():
        assert shown == text


@given(st.text("ab c界", max_size=80), st.text("xy ", max_size=30), st.integers(8, 60))
def test_hanging_lines_fit_and_lose_nothing(body: str, lead: str, width: int) -> None:
    """Wrapped text keeps every character but blanks, and no line is wider than the width."""
    made = _text.hanging(Text(lead), Text(body), width)
    assert all(line.cell_len <= width for line in made)
    assert "".join("".join(line.plain.split()) for line in made) == "".join((lead + body).split())


@given(st.integers(0, 60), st.lists(st.integers(0, 59), max_size=6), st.integers(1, 20))
def test_picked_steps_keep_the_wanted(total: int, wanted: list[int], most: int) -> None:
    """Every wanted step that exists is kept, in order, and no gap hides a single step."""
    kept = _elide.pick(range(total), wanted, most, lambda step: step % 2 == 0)
    assert kept == sorted(set(kept))
    assert {step for step in wanted if step < total} <= set(kept) <= set(range(total))
    assert not any(b - a == 2 for a, b in pairwise(kept))
    units = _elide.pick_units(range(total), wanted, most)
    assert len(units) == min(most, total)
    assert not total or most < 4 or total - 1 in units


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), max_size=4), st.integers(0, 25))
def test_gaps_are_what_ranges_leave(spans: list[tuple[int, int]], total: int) -> None:
    """Against plain sets: the gaps and the ranges together are the whole, whatever their order and overlap."""
    ranges = [[start, start + size] for start, size in spans]
    inside = {n for start, stop in ranges for n in range(start, stop)}
    left = [n for start, stop in _elide.gaps(ranges, total) for n in range(start, stop)]
    assert left == [n for n in range(total) if n not in inside]


def test_fixtures_say_what_the_published_table_says() -> None:
    """The hand-made rows of the worked example agree with rows measured by plain loops on the same numbers."""
    report = worked_example()
    again = measured(
        [excerpt.outputs for excerpt in report.tracks[0].excerpt],  # type: ignore[misc]
        [excerpt.final for excerpt in report.tracks[0].excerpt],  # type: ignore[misc]
        LENGTHS,
        [excerpt.cell for excerpt in report.tracks[0].excerpt],  # type: ignore[misc]
    )
    assert again == report.tracks[0]
