"""`rnninspect fix`: what it writes and says, in every format; what it refuses, writing nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from rnninspect.formats import formats, read_arrays
from tests.cli.test_bad_input import check_refused
from tests.support.commandline import rnninspect, valid
from tests.support.places import SAMPLES

SUFFIXES = sorted({suffix for each in formats() if each.writes for suffix in each.suffixes} - {".npy"})


@pytest.fixture
def dump(tmp_path: Path) -> dict[str, np.ndarray]:
    """`wrong.npz` holds the last column for a state; what comes back is the right dump."""
    lengths = np.array([4, 1, 7, 3, 6])
    outputs = np.random.default_rng(3).normal(size=(5, 7, 4)).astype(np.float32)
    outputs[np.arange(7)[None] >= lengths[:, None]] = 0
    right = {"outputs": outputs, "h": outputs[np.arange(5), lengths - 1], "lengths": lengths}
    np.savez(tmp_path / "wrong.npz", **{**right, "h": outputs[:, -1]})
    np.savez(tmp_path / "right.npz", **right)
    return right


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_is_read_and_written(suffix: str, dump: dict[str, np.ndarray], tmp_path: Path) -> None:
    """The wrong dump in a format, mended into the same: the arrays are the right ones, and `compare` is content."""
    from rnninspect.formats import write_arrays

    wrong, fixed = tmp_path / f"wrong{suffix}", tmp_path / f"fixed{suffix}"
    write_arrays(str(wrong), read_arrays(tmp_path / "wrong.npz").arrays)
    done = rnninspect("fix", wrong, "-o", fixed, "-q")
    assert done.code == 0, done.err
    arrays = read_arrays(fixed).arrays
    assert set(arrays) == set(dump)
    for name, array in dump.items():
        np.testing.assert_array_equal(np.asarray(arrays[name], dtype=array.dtype), array)
    assert rnninspect("compare", fixed, "-q").code == 0


def test_it_says_what_was_changed_and_why(dump: dict[str, np.ndarray], tmp_path: Path) -> None:
    """The array, the mistake, its rows and the code first; then the report, clean."""
    done = rnninspect("fix", tmp_path / "wrong.npz", "-o", tmp_path / "fixed.npz", "-q")
    first, code, *report = done.out.splitlines()
    assert first.startswith("h: last-column-as-final-state: rows 0, 1, 3, 4 (of 5): ")
    assert code.strip().startswith("h = outputs[np.arange(len(outputs)), lengths - 1]")
    assert any("✓ clean" in line for line in report)


def test_json_holds_changes_and_report(dump: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Both as plain values; the report keeps to the schema."""
    done = rnninspect("fix", tmp_path / "wrong.npz", "-o", tmp_path / "fixed.npz", "-q", "--format", "json")
    image = json.loads(done.out)
    assert [(c["rule"], c["arrays"], c["rows"]) for c in image["changes"]] == [
        ("last-column-as-final-state", ["h"], [0, 1, 3, 4])
    ]
    assert valid(json.dumps(image["report"]))["verdict"] == "clean"


def test_a_right_dump_is_written_as_it_is(dump: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Nothing to change: exit 0, and the same arrays."""
    done = rnninspect("fix", tmp_path / "right.npz", "-o", tmp_path / "fixed.npz", "-q")
    assert done.code == 0
    assert done.out.startswith("nothing to change\n")
    assert all(np.array_equal(a, dump[name]) for name, a in np.load(tmp_path / "fixed.npz").items())
    published = rnninspect("fix", SAMPLES / "published.npz", "-o", tmp_path / "published.npz", "-q")
    assert published.out.startswith("nothing to change\n")


def test_arrays_in_files_of_their_own(dump: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Two files, or options that name them: one dump with plain names, which `compare` reads."""
    np.save(tmp_path / "o.npy", dump["outputs"])
    np.save(tmp_path / "h.npy", dump["outputs"][:, -1])
    ways = (("o.npy", "h.npy"), ("--outputs", "o.npy", "--state", "h.npy"), ("o.npy", "--state", "h.npy"))
    for way in ways:
        files = [tmp_path / part if part.endswith(".npy") else part for part in way]
        done = rnninspect("fix", *files, "--lengths", "4,1,7,3,6", "-o", tmp_path / "fixed.npz", "-q")
        assert done.code == 0, done.err
        arrays = dict(np.load(tmp_path / "fixed.npz"))
        assert np.array_equal(arrays["final_state.h"], dump["h"])
        assert np.array_equal(arrays["outputs"], dump["outputs"])
        assert rnninspect("compare", tmp_path / "fixed.npz", "-q").code == 0


def test_from_a_pipe_to_a_pipe(dump: dict[str, np.ndarray], tmp_path: Path) -> None:
    """With `-o -` stdout is the arrays alone, and what was changed goes to stderr."""
    done = rnninspect("fix", "-o", "-", "-q", stdin=(tmp_path / "wrong.npz").read_bytes())
    assert done.err.startswith("h: last-column-as-final-state")
    (tmp_path / "piped.npz").write_bytes(done.raw)
    assert np.array_equal(np.load(tmp_path / "piped.npz")["h"], dump["h"])


def test_what_is_read_is_not_written(dump: dict[str, np.ndarray], tmp_path: Path) -> None:
    """The dump, a link to it, and a file that an option names are no targets; they stay as they are."""
    wrong = tmp_path / "wrong.npz"
    before = wrong.read_bytes()
    (tmp_path / "link.npz").symlink_to(wrong)
    np.save(tmp_path / "h.npy", dump["h"])
    for target in (wrong, tmp_path / "link.npz", os.path.relpath(wrong)):
        check_refused(rnninspect("fix", wrong, "-o", target, "-q"), "is also an input")
    check_refused(rnninspect("fix", f"{wrong}#h", "--outputs", wrong, "-o", wrong, "-q"), "is also an input")
    state = ("--state", tmp_path / "h.npy")
    check_refused(rnninspect("fix", wrong, *state, "-o", tmp_path / "h.npy", "-q"), "is also an input")
    assert wrong.read_bytes() == before


def test_a_refusal_writes_nothing(dump: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Only a new run can mend it: one line that says so, exit 2, and no file."""
    outputs = np.random.default_rng(4).normal(size=(5, 7, 4))
    np.savez(tmp_path / "c.npz", outputs=outputs, h=outputs[:, -1], c=outputs[:, 0], lengths=dump["lengths"])
    done = rnninspect("fix", tmp_path / "c.npz", "-o", tmp_path / "fixed.npz", "-q")
    check_refused(done, "lengths-ignored", "run the layer again")
    assert not (tmp_path / "fixed.npz").exists()


def test_words_that_do_not_fit(dump: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Several dumps, an unknown format and a missing file: each one line."""
    wrong, right = tmp_path / "wrong.npz", tmp_path / "right.npz"
    check_refused(rnninspect("fix", wrong, right, "-o", tmp_path / "x.npz", "-q"), "one dump is fixed at a time")
    check_refused(rnninspect("fix", wrong, "-o", tmp_path / "x.xyz", "-q"), ".xyz")
    check_refused(rnninspect("fix", tmp_path / "none.npz", "-o", tmp_path / "x.npz", "-q"), "no such file")


def test_a_cause_is_chosen(tmp_path: Path) -> None:
    """Two causes that are mended in two ways: one line with both options, exit 2, no file; the chosen one is mended."""
    outputs = np.random.default_rng(4).normal(size=(3, 5, 4))
    np.savez(tmp_path / "d.npz", outputs=outputs, h=outputs[:, -1])
    command = ("fix", tmp_path / "d.npz", "--bidirectional", "--lengths", "full", "-o", tmp_path / "fixed.npz", "-q")
    done = rnninspect(*command)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "--cause backward-final-at-last-step or --cause backward-not-flipped" in done.err
    assert not (tmp_path / "fixed.npz").exists()
    assert rnninspect(*command, "--cause", "backward-final-at-last-step").code == 0
    with np.load(tmp_path / "fixed.npz") as fixed:
        assert np.array_equal(fixed["h"], np.concatenate([outputs[:, -1, :2], outputs[:, 0, 2:]], -1))
