"""Weights that do not fit, by every door: one line that says which array, what was expected and what to do; exit 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect import conventions
from rnninspect.cli import call
from rnninspect.core.cell import CellSpec
from tests.support.logical import logical_weights

Arrays = dict[str, np.ndarray]


def torch_weights(cell: str = "lstm", **more: Any) -> Arrays:
    """A torch state dict of 2 features and 3 units."""
    return conventions.get("torch").write_weights(logical_weights(CellSpec(cell), **more))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A batch, and a dump of the same inputs."""
    inputs = np.random.default_rng(0).normal(size=(3, 4, 2))
    np.savez(tmp_path / "batch.npz", inputs=inputs, lengths=[4, 2, 1])
    output = np.zeros((3, 4, 3))
    np.savez(tmp_path / "dump.npz", output=output, h_n=np.zeros((1, 3, 3)), inputs=inputs, lengths=[4, 2, 1])
    return tmp_path


DOORS = {
    "run": ["run", "batch.npz", "--convention", "torch", "--weights", "weights.npz"],
    "compare": ["compare", "dump.npz", "--convention", "torch", "--weights", "weights.npz"],
    "convert": ["convert", "weights.npz", "--from", "torch", "--to", "keras", "-o", "out.npz"],
}


def fails(folder: Path, arrays: Arrays, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr; nothing on stdout, nothing written."""
    np.savez(folder / "weights.npz", **arrays)  # type: ignore[arg-type]
    before = set(folder.iterdir())
    placed = [str(folder / a) if a.endswith(".npz") else a for a in arguments]
    assert call([*placed, "-q"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert set(folder.iterdir()) == before
    line, *rest = shown.err.splitlines()
    assert all(other.startswith("  ") for other in rest)
    assert "weights.npz" in line
    return line


BAD: dict[str, tuple[Arrays, list[str], str]] = {
    "another cell": (
        torch_weights("gru"),
        ["--cell", "lstm"],
        "the cell of these weights is gru, not lstm (weight_ih_l0 (9, 2), weight_hh_l0 (9, 3)",
    ),
    "another framework": (
        {"lstm/kernel": np.ones((2, 12)), "lstm/recurrent_kernel": np.ones((3, 12)), "lstm/bias": np.ones(12)},
        [],
        "do not look like torch's but like keras's",
    ),
    "no framework": ({"a": np.ones(3), "b": np.ones(3)}, [], "found no torch weights"),
    "not a number": (
        {**torch_weights(), "bias_hh_l0": np.full(12, np.nan)},
        [],
        "NaN or infinity in the weights: bias_hh_l0",
    ),
    "missing and surplus": (
        {**{k: v for k, v in torch_weights().items() if k != "bias_ih_l0"}, "weight_xx_l0": np.ones(3)},
        [],
        "missing: bias_ih_l0; surplus: weight_xx_l0",
    ),
    "another size of one array": (
        {**torch_weights(), "weight_ih_l0": np.ones((9, 2))},
        ["--cell", "lstm"],
        "weight_ih_l0 is (9, 2), expected (12, any): 4 gate blocks (i, f, g, o) of 3 units, as weight_hh_l0 (12, 3)",
    ),
    "several layers": (
        {f"{name}.{k}": v for name in ("a", "b") for k, v in torch_weights().items()},
        [],
        "several layers that are no stack; pick one with --weights-prefix:",
    ),
}


@pytest.mark.parametrize("door", list(DOORS))
@pytest.mark.parametrize("bad", list(BAD))
def test_bad_weights_are_one_line(door: str, bad: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is named, the array, and what was needed; exit 2."""
    arrays, more, phrase = BAD[bad]
    assert phrase in fails(folder, arrays, DOORS[door] + more, capsys)


def test_weights_of_other_features_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights for another number of features than the batch has: both numbers."""
    np.savez(folder / "weights.npz", **torch_weights(features=5))  # type: ignore[arg-type]
    assert call(["run", str(folder / "batch.npz"), "--weights", str(folder / "weights.npz"), "-q"]) == 2
    assert "layer 0 forward has weights for 5 features per step, but the inputs have 2" in capsys.readouterr().err


def test_a_model_of_several_layers_lists_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a layer, by the name that --weights-prefix takes; with it that layer runs."""
    arrays = {f"encoder.{k}": v for k, v in torch_weights(layers=2).items()}
    arrays |= {f"decoder.{k}": v for k, v in torch_weights("gru", units=4).items()}
    np.savez(folder / "weights.npz", **arrays)  # type: ignore[arg-type]
    run = ["run", str(folder / "batch.npz"), "--weights", str(folder / "weights.npz"), "-q", "--exit-zero"]
    assert call(run) == 2
    first, *lines = capsys.readouterr().err.splitlines()
    assert first.endswith("these weights hold several kinds of cell; pick one with --weights-prefix:")
    assert lines == ["  encoder: lstm, 2 layers, 2 features, 3 units", "  decoder: gru, 2 features, 4 units"]
    for name, shape in (("encoder", (2, 3, 3)), ("decoder", (1, 3, 4))):
        assert call([*run, "--weights-prefix", name, "--save", str(folder / "saved.npz")]) == 0
        with np.load(folder / "saved.npz") as saved:
            assert saved["h_n"].shape == shape
    assert call([*run, "--weights-prefix", "encodr"]) == 2
    assert "did you mean 'encoder'? Known: encoder, decoder." in capsys.readouterr().err


CANNOT_GO = {
    "gru": (torch_weights("gru"), "tf1", "tf1 has no GRU that applies the reset gate after the recurrent product"),
    "projection": (torch_weights(projection=2), "keras", "keras has no projection"),
}


@pytest.mark.parametrize("name", list(CANNOT_GO))
def test_what_cannot_go_is_refused_with_the_reason(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A part that the other framework lacks: one line, exit 2, nothing written."""
    arrays, to, phrase = CANNOT_GO[name]
    line = fails(folder, arrays, ["convert", "weights.npz", "--to", to, "-o", "out.npz"], capsys)
    assert phrase in line
    assert "which no change of the weights can replace" in line


def test_unknown_names_and_formats_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A framework or a suffix that is not known: the nearest, and those that are."""
    np.savez(folder / "weights.npz", **torch_weights())
    assert call(["convert", "weights.npz", "--to", "kears", "-o", "out.npz"]) == 2
    assert "--to kears: unknown convention 'kears'; did you mean 'keras'?" in capsys.readouterr().err
    arguments = ["convert", str(folder / "weights.npz"), "--to", "keras", "-o", str(folder / "out.xyz"), "-q"]
    assert call(arguments) == 2
    assert "unknown format to write '.xyz'" in capsys.readouterr().err
    assert not (folder / "out.xyz").exists()
