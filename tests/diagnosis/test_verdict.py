"""Clean means that something could have failed: verdicts, and lengths that nobody stated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.errors import UserError
from rnninspect.report.report import FindingsError
from rnninspect.testing import assert_final_state
from tests.support.commandline import rnninspect as command

LENGTHS = np.array([5, 2, 4])
STEPS = 5
PADDED = np.arange(STEPS) >= LENGTHS[:, None]
ROWS = np.arange(3)


def outputs(seed: int = 0, units: int = 4) -> np.ndarray:
    """`[3, 5, H]`, every step another."""
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (3, STEPS, units)).astype(np.float32)


def zeroed(array: np.ndarray) -> np.ndarray:
    return np.where(PADDED[..., None], 0, array)


def test_a_last_column_without_lengths_proves_nothing() -> None:
    """It is unjudged, not ok, and the assertion fails and says why and what would decide."""
    o = outputs()
    report = rnninspect.inspect(o, o[:, -1])
    assert (report.verdict, report.ok) == ("unjudged", False)
    assert "lengths are not known" in report.untested
    with pytest.raises(FindingsError, match=r"(?s)could not judge.*not\s+known.*what would decide: lengths"):
        assert_final_state(o, o[:, -1])


def test_full_states_that_no_row_is_shorter() -> None:
    """Then the last column is the right one, and any other step is an error."""
    o = outputs()
    assert rnninspect.inspect(o, o[:, -1], lengths="full").verdict == "clean"
    assert not rnninspect.inspect(o, o[:, -2], lengths="full").ok
    assert rnninspect.inspect(o, o[:, -1], lengths=[STEPS] * 3).verdict == "clean"


def test_a_single_step_is_the_last() -> None:
    """T = 1: a state that equals another row's is an error, so the right one is clean."""
    o = outputs()[:, :1]
    assert rnninspect.inspect(o, o[:, 0]).verdict == "clean"
    assert rnninspect.inspect(o, o[[1, 2, 0], 0]).verdict == "findings"


def test_a_forward_half_is_unjudged_without_lengths() -> None:
    """A backward half ends at step 0 whatever the lengths, and a wrong one is named; the forward half beside it stays
    untested, so the whole is unjudged, and says so."""
    fw, bw = outputs(1), outputs(2)
    both = np.concatenate([fw, bw], 2)
    right = rnninspect.inspect(both, np.concatenate([fw[:, -1], bw[:, 0]], 1), bidirectional=True)
    assert right.verdict == "unjudged"
    assert "forward half" in right.untested
    assert rnninspect.inspect(both, both[:, -1], bidirectional=True).verdict == "findings"
    assert rnninspect.inspect(bw, bw[:, 0], direction="reverse").verdict == "clean"
    full = rnninspect.inspect(both, np.concatenate([fw[:, -1], bw[:, 0]], 1), bidirectional=True, lengths="full")
    assert full.verdict == "clean"


def test_zeroed_padding_proves_lengths() -> None:
    """Rows that end in zeros from different steps on, each state the last step before: judged under those lengths."""
    o = zeroed(outputs())
    report = rnninspect.inspect(o, o[ROWS, LENGTHS - 1])
    assert (report.verdict, report.lengths) == ("clean", LENGTHS.tolist())
    assert any("none were stated" in note for note in report.notes)


@pytest.mark.parametrize("ends", [[3, 3, 3], [5, 5, 5]])
def test_zeros_that_all_begin_alike_prove_nothing(ends: list[int]) -> None:
    """A batch cut at one step for all rows has no evidence of its own."""
    o = np.where(np.arange(STEPS)[None, :, None] >= np.array(ends)[:, None, None], 0, outputs())
    assert rnninspect.inspect(o, o[ROWS, np.array(ends) - 1]).verdict == "unjudged"


def test_what_would_follow_is_tried() -> None:
    """Zero inputs, zero outputs and a lone array each suggest lengths, and the mistake that they would show."""
    o = outputs()
    x = zeroed(outputs(3))
    (supposed,) = rnninspect.inspect(o, o[:, -1], inputs=x).what_if
    assert (supposed.lengths, supposed.rules) == (LENGTHS.tolist(), ["lengths-ignored"])
    z = zeroed(o)
    (supposed,) = rnninspect.inspect(z, z[:, -1]).what_if
    assert supposed.rules == ["last-column-as-final-state"]
    report = rnninspect.inspect(o, o[:, -1], inputs=x)
    assert "if the lengths are 5, 2, 4" in report.render("findings", width=200)


@pytest.mark.parametrize("format", ["table", "markdown", "html", "github", "junit", "sarif", "json", "ndjson"])
def test_every_format_says_why(format: str) -> None:
    """What would decide is in each of them."""
    o = outputs()
    report = rnninspect.inspect(o, o[:, -1], inputs=zeroed(outputs(3)))
    text = " ".join(report.render(format, width=400).split())
    assert "what would decide" in text or "would_decide" in text
    assert "lengths-ignored" in text


def test_notes_change_no_verdict() -> None:
    """Keras repeats its last output over the padding: a note, and clean; the exit code is 0."""
    o = outputs()
    repeated = np.take_along_axis(o, np.minimum(np.arange(STEPS), LENGTHS[:, None] - 1)[..., None], 1)
    report = rnninspect.inspect(repeated, repeated[:, -1], lengths=LENGTHS, convention="keras")
    assert [f.severity for f in report.findings] == ["note"]
    assert (report.verdict, report.ok) == ("clean", True)
    assert "clean, 1 note" in report.render("table")
    with pytest.raises(FindingsError):
        report.raise_for_findings("note")


def test_rows_that_a_note_explains_are_not_called_wrong() -> None:
    """The mean over the real steps is a summary that somebody wanted: no row of a clean report is called
    wrong; with the padding in it, it is a mistake, and rows are."""
    o = zeroed(outputs())
    for counts, noted, phrase in (
        (LENGTHS, "pooled-state", "explained by a note"),
        (np.full(3, STEPS), None, "none as expected"),
    ):
        report = rnninspect.inspect(o, (o.sum(1) / counts[:, None]).astype(o.dtype), lengths=LENGTHS)
        assert [(f.rule, f.severity) for f in report.findings] == [("pooled-state", "note" if noted else "error")]
        assert report.tracks[0].rows[1].noted_by == noted
        text = " ".join(report.render("table", width=200).split())
        assert phrase in text
        assert "not as expected" not in text


def test_the_backward_half_of_an_unpacked_run_is_not_right() -> None:
    """Where the forward half has read the padding, the backward half began in it: its rows are marked, and why."""
    fw, bw = outputs(1), outputs(2)
    state = np.concatenate([fw[:, -1], bw[:, 0]], 1)
    report = rnninspect.inspect(np.concatenate([fw, bw], 2), state, lengths=LENGTHS, bidirectional=True)
    assert [f.rule for f in report.findings] == ["lengths-ignored"]
    backward = next(t for t in report.tracks if t.direction == "backward")
    assert [row.spoiled_by for row in backward.rows] == [None, "lengths-ignored", "lengths-ignored"]
    assert [row.status for row in backward.rows] == ["match"] * 3
    assert "4 not as expected, 2 as expected" in report.render("findings", width=200)


def test_run_without_lengths_runs_every_step(tmp_path: Any) -> None:
    """It is judged, says so, and saves those lengths."""
    batch, dump = tmp_path / "batch.npy", tmp_path / "dump.npz"
    np.save(batch, outputs())
    done = command("run", str(batch), "--save", str(dump), "--format", "json")
    assert (done.code, done.json["verdict"], done.json["lengths"]) == (0, "clean", [STEPS] * 3)
    assert any("ran all its steps" in note for note in done.json["notes"])
    assert np.load(dump)["lengths"].tolist() == [STEPS] * 3


def test_full_on_the_command_line(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stated, it wins over the dump's own lengths and says so; as a project's setting it yields to them."""
    o = outputs()
    monkeypatch.chdir(tmp_path)
    np.savez("bare.npz", outputs=o, final_state=o[:, -1])
    np.savez("known.npz", outputs=o, final_state=o[:, -1], lengths=LENGTHS)
    assert command("compare", "bare.npz").code == 2
    assert command("compare", "bare.npz", "--lengths", "full").code == 0
    full = command("compare", "known.npz", "--lengths", "full", "--format", "json")
    assert full.code == 0
    assert any("5, 2, 4" in note for note in full.json["notes"])
    (tmp_path / "pyproject.toml").write_text('[tool.rnninspect]\nlengths = "full"\n')
    assert command("compare", "bare.npz").code == 0
    assert command("compare", "known.npz").code == 1
    (tmp_path / "pyproject.toml").write_text('[tool.rnninspect]\nlengths = "3,1"\n')
    assert "a project may state" in command("compare", "bare.npz").err


def test_a_member_named_full_is_named_with_its_file(tmp_path: Any) -> None:
    """`full` alone is the word; FILE#full is the member."""
    o = outputs()
    dump = tmp_path / "dump.npz"
    np.savez(dump, outputs=o, final_state=o[:, -1], full=LENGTHS)
    assert command("compare", str(dump), "--lengths", "full").code == 0
    assert command("compare", str(dump), "--lengths", f"{dump}#full").code == 1


def test_full_lengths_are_no_option() -> None:
    """The list of known options names what a user may state, and `lengths` is where `full` stands."""
    o = outputs()
    with pytest.raises(UserError, match=r"no_such_option.\. Those that state the layer: (?!.*full_lengths)"):
        rnninspect.inspect(o, o[:, -1], no_such_option=1)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_tolerance_that_takes_every_step_is_unjudged(wrong: bool) -> None:
    """A right state and a wrong one look alike under it; one that tells steps apart judges both."""
    rng = np.random.default_rng(3)
    outputs = rng.uniform(-0.5, 0.5, (3, 5, 4)).astype(np.float32)
    lengths = np.array([5, 2, 4])
    state = outputs[np.arange(3), lengths - 1 - wrong] + np.float32(1e-7)
    wide = rnninspect.inspect(outputs, state, lengths=lengths, atol=2.0)
    shown = " ".join(wide.render("table").split())
    assert wide.verdict == "unjudged"
    assert "tolerance is so wide" in shown
    assert "every step is within the tolerance" in shown
    narrow = rnninspect.inspect(outputs, state, lengths=lengths, atol=1e-6)
    assert narrow.verdict == ("findings" if wrong else "clean")


@pytest.mark.parametrize("counts", [[4, 1, 3], [4, 5, 2], [2, 5, 4], [5, 3, 4]])
def test_zeros_that_begin_elsewhere_than_the_lengths_say(counts: list[int]) -> None:
    """Outputs that end in zeros at other steps, with states that lengths point at, are not clean, nor is it said that a
    layer read their padding; where zeros begin in one column alone the array was made wider, and that is clean."""
    packed = zeroed(outputs())
    report = rnninspect.inspect(packed, packed[ROWS, np.array(counts) - 1], lengths=counts)
    assert (report.verdict, report.findings) == ("unjudged", [])
    assert "end in zeros after 5, 2, 4 steps" in report.untested
    assert ("the same in another order" in report.untested) is (sorted(counts) == [2, 4, 5])
    wider = np.pad(outputs(), [(0, 0), (0, 3), (0, 0)])
    assert rnninspect.inspect(wider, wider[ROWS, LENGTHS - 1], lengths=LENGTHS).verdict == "clean"
    assert rnninspect.inspect(packed, packed[ROWS, LENGTHS - 1], lengths=LENGTHS).verdict == "clean"
