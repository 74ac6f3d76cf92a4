"""One half of a bidirectional layer's outputs beside both states: layers in reverse order are no cause of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.report.report import Report
from tests.support.made import LENGTHS, correct_case

Arrays = dict[str, Any]


def arrays(cell: str = "lstm", layers: int = 1, directions: int = 2) -> Arrays:
    """Outputs of the top layer's forward direction, and its states `[D, B, H]` or those of all layers, `[L, B, H]`."""
    case = correct_case(cell, layers, directions, convention="torch")
    top = case.trace.tracks[-directions:] if directions == 2 else case.trace.tracks
    outputs = case.trace.track(layers - 1, "forward").outputs  # type: ignore[union-attr]
    made = {"outputs": outputs, "h": np.stack([t.final for t in top])}  # type: ignore[arg-type]
    return made | ({"c": np.stack([t.cell for t in top])} if cell == "lstm" else {})  # type: ignore[arg-type]


def judged(outputs: np.ndarray, state: Any, **options: Any) -> Report:
    return rnninspect.inspect(outputs, state, **({"lengths": LENGTHS, "time_major": False} | options))


def named(report: Report) -> list[str]:
    return [f.rule for f in report.findings if f.severity != "note"]


def forms(a: Arrays) -> dict[str, Any]:
    """The states as people hand them over: one array, a list of both, a list with c."""
    h, c = a["h"], a["c"]
    return {
        "array": h,
        "pair of arrays": (h, c),
        "list": [h[0], h[1]],
        "flat": [h[0], c[0], h[1], c[1]],
    }


@pytest.mark.parametrize("form", list(forms(arrays())))
@pytest.mark.parametrize("layers", [1, 2])
def test_the_forward_half_is_not_accused(form: str, layers: int) -> None:
    """Nobody said that the two states are layers: the report could not judge, and says both that they may be."""
    a = arrays(layers=layers)
    report = judged(a["outputs"], forms(a)[form])
    assert report.verdict == "unjudged", named(report)
    if form != "list":
        assert "layer-order-reversed" in report.untested
        assert "forward half" in report.untested


@pytest.mark.parametrize("form", ["array", "flat"])
def test_layers_that_were_called_so_are_accused(form: str) -> None:
    """Two layers in reverse order that somebody stated to be two layers are named as before."""
    a = arrays(layers=2, directions=1)
    reverse = {name: array[::-1] if name != "outputs" else array for name, array in a.items()}
    assert named(judged(a["outputs"], forms(reverse)[form], layers=2, convention="torch")) == ["layer-order-reversed"]
    right = judged(a["outputs"], forms(a)[form], convention="torch")
    assert right.verdict == "clean", named(right)


def test_what_both_readings_share_is_named() -> None:
    """Lengths that were ignored are a mistake of the forward half and of reversed layers alike: they are named."""
    case = correct_case("gru", 1, 2, convention="torch", lengths=np.full(5, 7))
    h = np.stack([t.final for t in case.trace.tracks])  # type: ignore[arg-type]
    report = judged(case.trace.tracks[0].outputs, h)  # type: ignore[arg-type]
    assert named(report) == ["lengths-ignored"]


def test_pairs_are_layers() -> None:
    """A list of pairs of h and c is how stacked cells return their layers: in reverse order they are accused."""
    a = arrays(layers=2, directions=1)
    pairs = list(zip(a["h"], a["c"], strict=True))
    assert named(judged(a["outputs"], pairs[::-1])) == ["layer-order-reversed"]
    assert judged(a["outputs"], pairs).verdict == "clean"
