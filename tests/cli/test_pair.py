"""Two files on the command line: outputs and state where they are one array each and fit, else two dumps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rnninspect.cli import call

ROWS, STEPS, UNITS = 4, 6, 3
LENGTHS = np.array([6, 2, 5, 3])


def outputs() -> np.ndarray:
    """`[B, T, H]` of distinct numbers, zeros past the lengths."""
    made = np.random.default_rng(0).uniform(-1, 1, (ROWS, STEPS, UNITS))
    made[np.arange(STEPS) >= LENGTHS[:, None]] = 0
    return made


def saved(folder: Path, **arrays: np.ndarray) -> list[str]:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return [str(folder / f"{name}.npy") for name in arrays]


@pytest.mark.parametrize("state_first", [False, True])
@pytest.mark.parametrize("stacked", [False, True])
def test_outputs_and_state_are_told_by_their_shapes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], state_first: bool, stacked: bool
) -> None:
    """Whatever their order and the state's axes, every row is found at its last real step, and a note says how."""
    state = outputs()[np.arange(ROWS), LENGTHS - 1]
    paths = saved(tmp_path, a=outputs(), b=state[None] if stacked else state)
    lengths = ",".join(map(str, LENGTHS))
    code = call(["compare", *paths[:: -1 if state_first else 1], "--lengths", lengths, "--format", "json"])
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (code, report["verdict"]) == (0, "clean")
    assert [row["steps"] for row in report["tracks"][0]["rows"]] == [[n - 1] for n in LENGTHS]
    assert f"a.npy [{ROWS}, {STEPS}, {UNITS}] is taken as the outputs" in err
    assert "as the final state" in err


def test_names_tell_where_each_fits_as_the_others_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`[2, 2, H]` twice: shapes cannot tell outputs from the state of two layers; `o` and `h` can, `a` and `b` not."""
    both = np.random.default_rng(1).uniform(-1, 1, (2, 2, 2, UNITS))
    call(["compare", *saved(tmp_path, h=both[0], o=both[1])])
    assert "o.npy [2, 2, 3] is taken as the outputs" in capsys.readouterr().err
    assert call(["compare", *saved(tmp_path, a=both[0], b=both[1])]) == 2
    assert "is taken as" not in capsys.readouterr().err


def test_two_files_that_do_not_fit_are_two_dumps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two dumps of several arrays are judged one after the other, and so is a lone state of other rows, as an error."""
    state = outputs()[np.arange(ROWS), LENGTHS - 1]
    for name in "ab":
        np.savez(tmp_path / f"{name}.npz", outputs=outputs(), final_state=state, lengths=LENGTHS)
    code = call(["compare", str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), "--format", "ndjson"])
    out, err = capsys.readouterr()
    assert (code, ["a.npz" in out, "b.npz" in out]) == (0, [True, True])
    assert "is taken as" not in err
    assert call(["compare", *saved(tmp_path, o=outputs(), h=state[:, :2])]) == 2
    assert "is taken as" not in capsys.readouterr().err
