"""`rnninspect list layers FILE`: what a file of weights holds, without a batch and without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnninspect.cli import call
from tests.support.places import GOLDEN

ROWS = np.random.default_rng(0)


def lstm(prefix: str, features: int, units: int, *suffixes: str) -> dict[str, np.ndarray]:
    shapes = {"weight_ih": (4 * units, features), "weight_hh": (4 * units, units)}
    return {f"{prefix}{part}{suffix}": ROWS.normal(size=shape) for suffix in suffixes for part, shape in shapes.items()}


def test_every_layer_has_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, cell, sizes, and what reads what; a stack under one name is one row, which --weights-prefix takes."""
    arrays = lstm("encoder.", 5, 5, "_l0", "_l1") | lstm("decoder.", 3, 4, "_l0", "_l0_reverse")
    np.savez(tmp_path / "w.npz", **arrays, embedding=np.ones((9, 3)))  # type: ignore[arg-type]
    assert call(["list", "layers", str(tmp_path / "w.npz"), "--format", "json", "-q"]) == 0
    encoder, decoder = json.loads(capsys.readouterr().out)
    assert encoder == {
        "layer": "encoder",
        "cell": "lstm",
        "layers": "2",
        "directions": "1",
        "features": "5",
        "units": "5",
        "reads": "",
    }
    assert (decoder["layer"], decoder["directions"], decoder["units"]) == ("decoder", "2", "4")


def test_what_cannot_be_read_is_said_in_its_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A layer whose shapes do not fit stands in the list with the reason."""
    arrays = lstm("good.", 3, 4, "_l0") | lstm("bad.", 3, 4, "_l0") | {"bad.weight_ih_l0": np.ones((7, 3))}
    np.savez(tmp_path / "w.npz", **arrays)  # type: ignore[arg-type]
    assert call(["list", "layers", str(tmp_path / "w.npz"), "--format", "json", "-q"]) == 0
    good, bad = json.loads(capsys.readouterr().out)
    assert good["units"] == "4"
    assert "bad.weight_ih_l0 is (7, 3)" in bad["reads"]


def test_a_file_without_layers_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit 2; so is a file behind another list, or none for the packaged example, which is said."""
    np.savez(tmp_path / "w.npz", dense=np.ones((2, 3)))
    assert call(["list", "layers", str(tmp_path / "w.npz")]) == 2
    assert "no known framework names recurrent weights so" in capsys.readouterr().err
    assert call(["list", "rules", str(tmp_path / "w.npz")]) == 2
    assert "list rules takes no file" in capsys.readouterr().err
    assert call(["list", "layers"]) == 0
    assert "packaged worked example, weights.npz" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["onnx-file-bigru.onnx", "keras-lstm-file-keras.keras", "keras-lstm-file-h5.weights.h5"]
)
def test_torch_is_not_imported(name: str) -> None:
    """Not for ONNX, not for Keras; the row says what the layer reads where the file does."""
    code = (
        "import sys; from rnninspect.cli import call; "
        f"code = call(['list', 'layers', {str(GOLDEN / name)!r}]); sys.exit(code or 3 * ('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ("input" in done.stdout) == (not name.endswith(".weights.h5"))
