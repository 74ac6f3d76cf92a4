"""`convert --to keras -o m.keras` and `--to flax -o m.msgpack`: files that the frameworks themselves load and run."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect.api.convert import move, write
from rnninspect.api.weights_file import read_layer
from rnninspect.cli import call
from rnninspect.core.batch import Batch
from rnninspect.core.cell import CellSpec
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Direction
from rnninspect.core.weights import Weights
from rnninspect.engine.run import run
from rnninspect.errors import UserError
from rnninspect.formats import read_arrays
from tests.support.oracles import random_stack

pytest.importorskip("h5py")

ROWS, STEPS, FEATURES, UNITS = 3, 5, 2, 4
BOTH: tuple[Direction, ...] = ("forward", "backward")
INPUTS = np.random.default_rng(1).normal(size=(ROWS, STEPS, FEATURES)).astype(np.float32)


def stack(spec: CellSpec, *, backward: CellSpec | None = None, **how: Any) -> Weights:
    """A random stack that no framework's habits stand behind."""
    made = random_stack(np.random.default_rng(0), spec, FEATURES, UNITS, dtype="float32", **how)
    return Weights(spec, made.layers, convention="keras", between=made.between, backward=backward)


LAYERS: dict[str, Weights] = {
    "lstm": stack(CellSpec("lstm")),
    "lstm with a forget bias": stack(CellSpec("lstm", forget_bias=1.0)),
    "gru reset after": stack(CellSpec("gru")),
    "gru reset before, three layers": stack(CellSpec("gru", reset_after=False), layers=3),
    "rnn softmax": stack(CellSpec("rnn", activation="softmax")),
    "rnn of two directions, two layers": stack(CellSpec("rnn"), layers=2, directions=BOTH),
    "lstm backwards": stack(CellSpec("lstm"), directions=("backward",)),
    "lstm, summed": stack(CellSpec("lstm"), layers=2, directions=BOTH, between="sum"),
    "cells": stack(CellSpec("lstm"), layers=2, between="apart"),
    "cells in both directions": stack(CellSpec("gru"), layers=2, directions=BOTH, between="apart"),
    "hard sigmoid of Keras 3": stack(CellSpec("lstm", recurrent_activation="hard_sigmoid_keras3")),
    "an activation each": stack(
        CellSpec("lstm", activation="relu", output_activation="relu"), directions=BOTH, backward=CellSpec("lstm")
    ),
}


def outputs(weights: Weights) -> Array:
    """What the topmost layer returns, both directions side by side, or summed."""
    batch = Batch(INPUTS, np.ones((ROWS, STEPS), bool))
    tracks = [t for t in run(batch, weights) if t.layer == weights.depth - 1]
    arrays = [np.asarray(t.outputs) for t in tracks]
    if weights.directions == ("backward",):
        return arrays[0][:, ::-1]  # Keras leaves them in the order that they were read
    return arrays[0] + arrays[1] if weights.between == "sum" else np.concatenate(arrays, axis=2)


@pytest.mark.parametrize("which", list(LAYERS))
def test_a_keras_file_is_read_for_what_was_written(which: str, tmp_path: Path) -> None:
    """With nothing stated: cell, layers, directions, activations and numbers come back from the file's own words."""
    weights = LAYERS[which]
    written = write(move(weights, "keras"), str(tmp_path / "m.keras"))
    assert written.agrees
    back = read_layer(read_arrays(tmp_path / "m.keras"), LayerConfig()).weights
    assert (back.depth, set(back.directions)) == (weights.depth, set(weights.directions))
    batch = Batch(INPUTS, np.ones((ROWS, STEPS), bool))
    for track, again in zip(run(batch, weights), run(batch, back), strict=True):
        np.testing.assert_allclose(np.asarray(track.outputs), np.asarray(again.outputs), rtol=0, atol=1e-6)


@pytest.mark.parametrize("which", list(LAYERS))
def test_keras_runs_what_was_written(which: str, tmp_path: Path) -> None:
    """`keras.models.load_model` builds it, and it returns the same numbers."""
    keras = pytest.importorskip("keras")
    weights = LAYERS[which]
    write(move(weights, "keras"), str(tmp_path / "m.keras"))
    model = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(INPUTS)), outputs(weights), rtol=0, atol=3e-6)


def test_what_keras_3_lacks_is_refused(tmp_path: Path) -> None:
    """Keras 2's hard_sigmoid and backward stacks: one line, and no file."""
    hard = stack(CellSpec("lstm", recurrent_activation="hard_sigmoid"))
    with pytest.raises(UserError, match=r"Keras 3 has no hard_sigmoid, whose own hard_sigmoid is x / 6"):
        write(move(hard, "keras"), str(tmp_path / "m.keras"))
    with pytest.raises(UserError, match="hand their outputs up in reversed time"):
        write(move(stack(CellSpec("gru"), layers=2, directions=("backward",)), "keras"), str(tmp_path / "m.keras"))
    assert not list(tmp_path.iterdir())


def test_the_command_writes_keras_and_flax(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From torch's names to either; another framework's layers in a `.keras` are refused."""
    arrays = {f"weight_{k}_l{n}": np.ones((16, 4), np.float32) / 9 for k in ("ih", "hh") for n in (0, 1)}
    np.savez(tmp_path / "t.npz", **arrays)  # type: ignore[arg-type]
    for to, name in (("keras", "m.keras"), ("keras", "m.weights.h5"), ("flax", "m.msgpack")):
        if to != "flax" or pytest.importorskip("msgpack"):
            assert call(["convert", str(tmp_path / "t.npz"), "--to", to, "-o", str(tmp_path / name), "-q"]) == 0
    config = json.loads(zipfile.ZipFile(tmp_path / "m.keras").read("config.json"))
    assert [layer["class_name"] for layer in config["config"]["layers"]] == ["InputLayer", "LSTM", "LSTM"]
    assert all(name.startswith("params/layers_") for name in read_arrays(tmp_path / "m.msgpack").arrays)
    capsys.readouterr()
    assert call(["convert", str(tmp_path / "t.npz"), "--to", "paddle", "-o", str(tmp_path / "p.keras"), "-q"]) == 2
    assert "such a file holds keras's layers, not paddle's" in capsys.readouterr().err


@pytest.mark.parametrize("which", ["lstm", "gru", "rnn", "both"])
def test_flax_takes_what_was_written(which: str, tmp_path: Path) -> None:
    """`flax.serialization.from_bytes` into an `nn.RNN`'s own variables, and it returns the same numbers."""
    linen, serialization = pytest.importorskip("flax.linen"), pytest.importorskip("flax.serialization")
    jax = pytest.importorskip("jax")
    cell = "lstm" if which == "both" else which
    weights = stack(CellSpec(cell), directions=BOTH if which == "both" else ("forward",))
    weights = replace(weights, convention="flax")
    write(move(weights, "flax"), str(tmp_path / "m.msgpack"))
    kind = {"lstm": linen.LSTMCell, "gru": linen.GRUCell, "rnn": linen.SimpleCell}[cell]
    layer = linen.RNN(kind(UNITS))
    if which == "both":
        layer = linen.Bidirectional(linen.RNN(kind(UNITS)), linen.RNN(kind(UNITS)))
    variables = serialization.from_bytes(
        layer.init(jax.random.PRNGKey(0), INPUTS), (tmp_path / "m.msgpack").read_bytes()
    )
    np.testing.assert_allclose(np.asarray(layer.apply(variables, INPUTS)), outputs(weights), rtol=0, atol=3e-6)
