"""Rows and steps that a loop printed or saved one by one, and the lines of a diff: read as the arrays of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.conventions.dumps.rows_apart import with_rows_together

LENGTHS = [5, 2, 3]
Printed = Callable[[Any, Any], str]


def _arrays() -> tuple[np.ndarray, np.ndarray]:
    outputs = np.random.default_rng(0).uniform(-1, 1, (3, 5, 4)).round(4)
    for row, end in enumerate(LENGTHS):
        outputs[row, end:] = 0
    return outputs, outputs[np.arange(3), np.array(LENGTHS) - 1]


def _changed(text: str) -> str:
    """The text as the new lines of a diff, beside an old one."""
    marked = "\n".join("+" + line for line in text.split("\n"))
    return f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,9 @@\n old\n-h_n = [[0.1, 0.2, 0.3, 0.4]]\n{marked}\n"


def _whole(o: Any, h: Any) -> str:
    return f"lengths [5, 2, 3]\noutput = {o!r}\nh_n = {h!r}"


STATED = "lengths [5, 2, 3]\n"
TEXTS: dict[str, Printed] = {
    "by row": lambda o, h: STATED + "\n".join(f"row {b} output:\n{o[b]}\nrow {b} h: {h[b]}" for b in range(3)),
    "by row, h of all": lambda o, h: STATED + "\n".join(f"sample {b} output: {o[b]}" for b in range(3)) + f"\nh: {h}",
    "by row, cut": lambda o, h: "\n".join(f"row {b}\nout: {o[b, :n]}\nh: {h[b]}" for b, n in enumerate(LENGTHS)),
    "by step": lambda o, h: STATED + "\n".join(f"step {t} output: {o[:, t]}" for t in range(5)) + f"\nfinal h: {h}",
    "list of rows": lambda o, h: f"outs = {[o[b, :n] for b, n in enumerate(LENGTHS)]!r}\nh = {h!r}",
    "new lines": lambda o, h: "+" + _whole(o, h).replace("\n", "\n+"),
    "diff": lambda o, h: _changed(_whole(o, h)),
}


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("how", TEXTS)
def test_what_a_loop_printed_is_judged_as_a_whole(how: str, kind: str) -> None:
    """Right states are clean; of the last column, and of other rows, the mistake is named, as of one print-out."""
    outputs, h = _arrays()
    for state, wanted in ((h, None), (outputs[:, -1], "last-column-as-final-state"), (h[[1, 2, 0]], "rows-permuted")):
        if wanted == "last-column-as-final-state" and "cut" in how + how.replace("list of rows", "cut"):
            continue  # rows that end with their last step have no such column
        pair = (torch.from_numpy(outputs), torch.from_numpy(state)) if kind == "torch" else (outputs, state)
        report = rnninspect.inspect(text=TEXTS[how](*pair))
        assert [f.rule for f in report.findings] == ([wanted] if wanted else []), report.findings
        assert report.verdict == ("findings" if wanted else "clean")


def test_rows_saved_one_by_one() -> None:
    """Named arrays of one row each, cut to its length, beside the states one by one: the lengths are what is there."""
    outputs, h = _arrays()
    saved = {f"row_{b}_output": outputs[b, :n] for b, n in enumerate(LENGTHS)}
    saved |= {f"row_{b}_h": h[b] for b in range(3)}
    report = rnninspect.inspect(saved)
    assert (report.verdict, report.lengths) == ("clean", LENGTHS)
    early = {**saved, **{f"row_{b}_h": outputs[b, n - 2] for b, n in enumerate(LENGTHS)}}
    assert [f.rule for f in rnninspect.inspect(early).findings] == ["off-by-one-length"]


@pytest.mark.parametrize("lengths", [None, [7, 7, 7]], ids=["none", "of another count"])
def test_layers_of_one_row_are_not_its_rows(lengths: list[int] | None) -> None:
    """The twin: two layers' outputs of one sequence, of equal lengths, beside their states, are no rows of a batch."""
    outputs = np.random.default_rng(1).uniform(-1, 1, (2, 7, 4))
    dump = {**{f"outputs.{k}": outputs[k] for k in range(2)}, **{f"h.{k}": outputs[k, -1] for k in range(2)}}
    dump |= {} if lengths is None else {"lengths": np.array(lengths)}
    assert with_rows_together(dump, False).keys() == dump.keys()
    assert with_rows_together({**dump, "lengths": np.array([7, 7])}, False).keys() == {"outputs", "h", "lengths"}


@pytest.mark.parametrize("form", ["[1, B, H]", "[B, H]", "[H] a row"])
@pytest.mark.parametrize(("units", "together"), [(4, True), (8, True), (2, True), (5, False)])
def test_rows_are_told_by_states_as_wide_or_twice_or_half_as_wide(form: str, units: int, together: bool) -> None:
    """Rows of 4 units go with states of 4, of both directions' 8, or of 2 of each, in every form, and are put together
    as `[T, B, H]` where that is asked."""
    outputs, _ = _arrays()
    states = np.random.default_rng(2).uniform(-1, 1, (3, units))
    forms = {"[1, B, H]": {"h": states[None]}, "[B, H]": {"h": states}}
    dump = {f"outs.{b}": outputs[b, :n] for b, n in enumerate(LENGTHS)}
    dump |= forms.get(form, {f"h.{b}": state for b, state in enumerate(states)})
    joined = with_rows_together(dump, time_major=True)
    assert joined.keys() == ({"outs", "h", "lengths"} if together else dump.keys())
    if together:
        assert np.array_equal(joined["outs"], outputs.swapaxes(0, 1))
        assert np.array_equal(joined["h"], states[None] if form == "[1, B, H]" else states)


def test_numbers_with_a_plus_are_no_diff() -> None:
    """The twin: a print-out with signs keeps its numbers, its first one of each line too."""
    outputs, h = _arrays()
    with np.printoptions(sign="+"):
        assert rnninspect.inspect(text=f"lengths [5, 2, 3]\noutput:\n{outputs}\nh:\n{h}").verdict == "clean"
