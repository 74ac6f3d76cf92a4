"""Reports of many calls: a summary by layer first, then the first fault; one document for all in every format."""

from __future__ import annotations

import cProfile
import json
import pstats
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import rnninspect
from rnninspect.cli import call
from rnninspect.errors import UserError
from tests.support.pace import seconds_of

LENGTHS = torch.tensor([3, 5, 2, 4, 6, 7, 1, 8])


class Layers(nn.Module):
    """Layers side by side, of which those in `wrong` read the padding."""

    def __init__(self, count: int, wrong: tuple[int, ...]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.LSTM(8, 8, batch_first=True) for _ in range(count))
        self.wrong = wrong

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states = [layer(x if k in self.wrong else packed)[1][0][-1] for k, layer in enumerate(self.layers)]
        return torch.stack(states)


def reports(count: int = 4, wrong: tuple[int, ...] = (2,), calls: int = 3) -> Any:
    model = Layers(count, wrong)
    with rnninspect.record(model, lengths="lengths", limit=None) as recording:
        for seed in range(calls):
            model(torch.randn(8, 8, 8, generator=torch.Generator().manual_seed(seed)), LENGTHS)
    return recording.inspect()


@pytest.fixture(scope="module")
def twelve() -> Any:
    return reports()


def test_the_summary_comes_first(twelve: Any) -> None:
    """One line for all, one a layer with a fault, one for those that are clean; then the first fault in full."""
    lines = str(twelve).splitlines()
    assert lines[0] == "12 calls of 4 layers: 3 with findings, 9 clean"
    assert lines[1] == "✗ layers.2  lengths-ignored in 3 of 3 calls"
    assert lines[2] == "✓ 3 layers clean (9 calls): layers.0, layers.1, layers.3"
    assert lines[:3] == twelve.summary().splitlines()
    assert str(twelve[6]) in str(twelve)
    assert "2 more reports not clean" in " ".join(lines[-2:])
    assert len(lines) < 60


def test_reports_answer_together(twelve: Any) -> None:
    """verdict, ok, and findings that say which call of which layer they are of."""
    assert (twelve.verdict, twelve.ok) == ("findings", False)
    errors = [f for f in twelve.findings if f.severity == "error"]
    assert [(f.name, f.call, f.rule) for f in errors] == [("layers.2", k, "lengths-ignored") for k in range(3)]
    assert reports(wrong=()).verdict == "clean"
    assert rnninspect.Reports().verdict == "unjudged"
    with pytest.raises(rnninspect.FindingsError) as caught:
        twelve.raise_for_findings()
    assert "layers.2  lengths-ignored in 3 of 3 calls" in str(caught.value)
    assert caught.value.report is twelve[6]


def test_one_json_of_many(twelve: Any) -> None:
    """One strict object: counts, layers, and every report as it is alone, which fits the schema."""
    whole = json.loads(twelve.render("json"), parse_constant=pytest.fail)
    assert whole == json.loads(json.dumps(twelve.to_dict())) == json.loads(twelve.to_json())
    assert (whole["kind"], whole["verdict"]) == ("reports", "findings")
    assert whole["counts"] == {"findings": 3, "clean": 9, "unjudged": 0}
    layer = whole["layers"][2]
    assert (layer["name"], layer["verdict"], layer["calls"]) == ("layers.2", "findings", [0, 1, 2])
    assert layer["rules"][0] == {"rule": "lengths-ignored", "severity": "error", "calls": [0, 1, 2]}
    assert whole["reports"] == [r.to_dict() for r in twelve]
    from rnninspect.report.schema import schema

    for one in whole["reports"]:
        jsonschema.validate(one, schema())


def test_one_page_of_many(twelve: Any) -> None:
    """One page without scripts, and a notebook's cell: the layers, and the first fault with its map."""
    page = twelve.render("html")
    assert page.count("<html") == 1
    assert "<script" not in page
    assert "lengths-ignored in 3 of 3 calls" in page
    assert "layers.2 call 0" in page
    cell = twelve._repr_html_()
    assert "12 calls of 4 layers" in cell
    assert cell.count('<table class="layers">') == 1
    assert "row 0" in cell or "<td" in cell


def test_documents_of_build_servers(twelve: Any) -> None:
    """JUnit: a suite a layer, a case a call; SARIF: a run a fault; the other formats name the fault."""
    root = ElementTree.fromstring(twelve.render("junit").encode())
    suites = [(s.get("name"), s.get("tests"), s.get("failures")) for s in root]
    assert suites == [(f"rnninspect layers.{k}", "3", "3" if k == 2 else "0") for k in range(4)]
    assert len(json.loads(twelve.render("sarif"))["runs"]) == 1
    for format in ("findings", "markdown", "github"):
        assert "lengths-ignored" in twelve.render(format)
    assert twelve.render("ndjson").count('"kind":"summary"') == 12
    with pytest.raises(UserError, match="12 reports, and a document of format svg holds one"):
        twelve.render("svg")


def test_calls_that_could_not_be_judged_are_counted() -> None:
    """What could not be judged, and why, stands in the summary; nothing that is hidden in a name is obeyed."""
    model = nn.ModuleDict({"a\x1b[31m<b>": nn.GRU(2, 2, batch_first=True)})
    layer = next(iter(model.values()))
    with rnninspect.record(model, lengths=[2, 3]) as recording:
        for rows in (2, 0, 3):
            layer(torch.randn(rows, 3, 2))
    reported = recording.inspect()
    assert reported.verdict == "findings"
    summary = reported.summary(200)
    assert "could not judge 1 of 3 calls (the first: 1)" in summary
    assert "\x1b" not in str(reported)
    assert "<b>" not in reported.render("html").replace("&lt;b&gt;", "")
    assert ElementTree.fromstring(reported.render("junit").encode())[0].get("skipped") == "2"


def recorded(calls: int) -> Any:
    """So many calls of twenty layers, of which one read its padding."""
    model = Layers(20, (13,))
    with rnninspect.record(model, lengths="lengths", limit=calls) as recording:
        for _ in range(calls):
            model(torch.randn(8, 8, 8), LENGTHS)
    return recording


def test_a_call_is_judged_and_printed_with_little_work() -> None:
    """Of twenty layers: under 8,000 calls of functions each, which no other process changes; the time that a thousand
    may take is a long test's."""
    str(recorded(1).inspect())  # imports
    recording, profile = recorded(10), cProfile.Profile()
    lines = profile.runcall(lambda: str(recording.inspect())).splitlines()
    assert pstats.Stats(profile).total_calls < 200 * 8000  # type: ignore[attr-defined]
    assert lines[1] == "✗ layers.13  lengths-ignored in 10 of 10 calls"
    assert "19 layers clean (190 calls)" in lines[2]


@pytest.mark.long
def test_twenty_layers_of_fifty_calls() -> None:
    """A thousand calls are judged and printed in under 5 s of processor time, and under 60 lines."""
    recording, lines = recorded(50), list[str]()
    assert seconds_of(lambda: lines.extend(str(recording.inspect()).splitlines()), times=1) < 5
    assert len(lines) < 60
    assert lines[1] == "✗ layers.13  lengths-ignored in 50 of 50 calls"
    assert "19 layers clean (950 calls)" in lines[2]


def test_layers_that_stand_alike_share_a_line() -> None:
    """Thirty layers with one mistake are one line, and the whole stays under 60 lines of 80 columns."""
    reported = reports(30, tuple(range(30)), 2)
    lines = str(reported).splitlines()
    assert len(lines) < 60
    assert lines[1].startswith("✗ layers.0, layers.1, ")
    assert "… 22 more  lengths-ignored in 2 of 2 calls" in " ".join(line.strip() for line in lines[1:4])


def test_saved_reports_of_many_are_shown_again(twelve: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`show` renders the one JSON of many as it renders one report's."""
    path = tmp_path / "many.json"
    path.write_text(twelve.render("json"))
    assert call(["show", str(path), "--color", "never"]) == 1
    assert capfd.readouterr().out.splitlines()[0] == "12 calls of 4 layers: 3 with findings, 9 clean"
    path.write_text('{"schema": 1, "kind": "reports", "reports": []}')
    assert call(["show", str(path)]) == 2
    assert "no list 'reports' with a report in it" in capfd.readouterr().err
