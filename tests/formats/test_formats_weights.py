"""Weight files of every format: a run from one is, bit for bit, the run from the same arrays in `.npz`."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from rnninspect import conventions
from rnninspect.conventions.weights.config import of_file
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.diagnosis import build_case
from rnninspect.errors import UnreadableError
from rnninspect.formats import read_arrays, write_arrays
from tests.support.places import DATA
from tests.support.recordings import GOLDEN, Recording, each

GIVEN = ("inputs", "lengths", "mask", "initial", "h_0", "c_0")


def outcome(case: Recording, weights: dict[str, Array], config: LayerConfig | None = None) -> dict[str, bytes]:
    """What a run of the recorded inputs gives, as bytes by name."""
    config = config or case.config
    fed = {name: array for name, array in case.dump().items() if name.startswith(GIVEN)}
    read = build_case.read_weights(weights, config, case["weights_layout"])
    made = build_case.dump(build_case.run_case(fed, config, case["layout"], weights=read))
    return {name: array.tobytes() for name, array in made.items()}


@each([case for case in GOLDEN if case.fields.get("model")])
def test_a_models_own_file_runs_as_its_arrays_do(case: Recording) -> None:
    """`.pt`, `.safetensors`, `.onnx`, `.weights.h5` and `.keras` as the frameworks wrote them."""
    read = read_arrays(case.folder / case["model"])
    assert outcome(case, dict(read.arrays)) == outcome(case, case.weights())


@pytest.mark.parametrize("suffix", [".safetensors", ".h5", ".pt", ".msgpack"])
@pytest.mark.parametrize(
    "name", ["tf1-lstm-peephole", "keras-bilstm-mask", "torch-bilstm-packed", "flax-bidirectional-gru", "paddle-bilstm"]
)
def test_what_was_written_runs_as_the_original(name: str, suffix: str, tmp_path: Path) -> None:
    """Weights of every framework's naming survive every format that holds arrays."""
    case = next(c for c in GOLDEN if c.name.startswith(name) and c.correct and c.weighed)
    path = tmp_path / f"weights{suffix}"
    write_arrays(str(path), case.weights())
    assert outcome(case, dict(read_arrays(path).arrays)) == outcome(case, case.weights())


@pytest.mark.parametrize("suffix", [".safetensors", ".h5", ".pt", ".msgpack"])
@each([c for c in GOLDEN if c.correct and c.name.startswith(("tf1-", "flax-", "keras-", "onnx-"))][::4])
def test_a_dump_of_any_format_gives_the_same_trace(case: Recording, suffix: str, tmp_path: Path) -> None:
    """Every track of a recorded dump is the same whichever file it went through, dotted names as groups too."""
    arrays = case.dump()
    renamed = {name.replace(".", "/"): array for name, array in arrays.items()} if suffix == ".h5" else arrays
    path = tmp_path / f"dump{suffix}"
    write_arrays(str(path), renamed)
    traces = [
        build_case.read_case(held_arrays, case.config, case["layout"]).trace
        for held_arrays in (arrays, read_arrays(path).arrays)
    ]
    for ours, theirs in zip(traces[1].tracks, traces[0].tracks, strict=True):
        for field in ("outputs", "final", "cell", "initial", "initial_cell"):
            a, b = getattr(ours, field), getattr(theirs, field)
            assert (a is None) == (b is None)
            assert a is None or np.array_equal(a, b, equal_nan=True)


def from_file(file: str, prefix: str = "", **more: object) -> tuple[dict[str, Array], LayerConfig]:
    """The arrays below a prefix, and a Statement made of nothing but the file's own words about them."""
    keras = conventions.get("keras")
    read = read_arrays(DATA / "recorded" / file)
    arrays = {name: array for name, array in read.arrays.items() if name.startswith(prefix)}
    first = keras.read_weights(arrays, LayerConfig(**more), read.feeds)  # type: ignore[arg-type]
    options = of_file(keras, read.attributes, first.names)
    run_options = {name: options.pop(name) for name in ("go_backwards", "padding", "merge_mode") if name in options}
    return arrays, LayerConfig(**run_options, **more, layers=first.depth, attributes=options)  # type: ignore[arg-type]


FILES = [
    ("gru", "keras-file-gru.keras", "", 1),
    ("gru", "keras-file-gru.h5", "", 1),
    ("bilstm", "keras-file-bilstm.keras", "", 2),
    ("bilstm", "keras-file-bilstm.h5", "", 2),
    ("bilstm", "keras-file-bilstm.keras", "layers/bidirectional_1/", 2),
    ("bilstm", "keras-file-bilstm.h5", "model_weights/above/", 2),
    ("stacked", "keras-file-stacked.keras", "", 1),
]


@pytest.mark.parametrize(("name", "file", "prefix", "directions"), FILES, ids=lambda v: str(v))
def test_keras_models_state_their_own_layers(name: str, file: str, prefix: str, directions: int) -> None:
    """With what the file says and nothing else, the layer gives what Keras itself gave: other activations, backwards,
    reset before, hard_sigmoid as Keras 3 means it; the dense layer's and the optimizer's words and arrays stay out."""
    arrays, config = from_file(file, prefix, **({"direction": "bidirectional"} if directions == 2 else {}))
    with np.load(DATA / "recorded" / f"keras-file-{name}.npz") as held:
        dump = {key: held[key] for key in held.files}
    inputs = dump["below.outputs"] if prefix else dump["inputs"]
    weights = build_case.read_weights(arrays, config, "keras")
    case = build_case.run_case({"inputs": inputs, "mask": dump["mask"]}, config, "keras", weights=weights)
    top = [track for track in case.trace.tracks if track.layer == case.trace.layers - 1]
    outputs = np.concatenate([track.outputs for track in top], -1)  # type: ignore[misc]
    recorded = dump.get("outputs", dump.get("above.outputs"))
    assert recorded is not None
    assert np.abs(outputs - recorded).max() < 1e-5
    for track in top:
        final = dump.get("state_h", dump.get(f"above.{track.direction}_h", dump.get("states.1")))
        assert final is not None
        assert np.abs(track.final - final).max() < 1e-5  # type: ignore[operator]


def test_the_files_words_matter() -> None:
    """Without them the same arrays give another run: the test above can fail."""
    arrays, config = from_file("keras-file-gru.keras")
    assert config.go_backwards
    assert config.attributes["activation"] == "softsign"
    assert config.attributes["recurrent_activation"] == "hard_sigmoid_keras3"
    assert config.attributes["reset_after"] is False
    with np.load(DATA / "recorded" / "keras-file-gru.npz") as held:
        fed, right = {"inputs": held["inputs"], "mask": held["mask"]}, held["state_h"]
    for one in ({"activation": "tanh"}, {"recurrent_activation": "sigmoid"}):
        other = LayerConfig(go_backwards=True, attributes={**config.attributes, **one})
        weights = build_case.read_weights(arrays, other, "keras")
        trace = build_case.run_case(fed, other, "keras", weights=weights).trace
        assert np.abs(trace.tracks[0].final - right).max() > 1e-3  # type: ignore[operator]


def test_older_keras_means_another_hard_sigmoid() -> None:
    """Keras 2 wrote 0.2x + 0.5, Keras 3 writes x/6 + 0.5 under the same name: the file's version tells."""
    keras = conventions.get("keras")
    for version, name in (("2.15.0", "hard_sigmoid"), ("3.15.1", "hard_sigmoid_keras3"), ("", "hard_sigmoid_keras3")):
        options = {"gru.recurrent_activation": "hard_sigmoid", "gru.keras_version": version}
        assert of_file(keras, options, ["layers/gru/cell"])["recurrent_activation"] == name


def test_keras_bfloat16_is_what_it_was() -> None:
    """A real bfloat16 `.weights.h5`: the values that the model held, named as bfloat16."""
    read = read_arrays(DATA / "recorded" / "keras-file-bfloat16.weights.h5")
    with np.load(DATA / "recorded" / "keras-file-bfloat16.npz") as held:
        assert set(read.arrays) == set(held.files) == set(read.dtypes)
        assert all(np.array_equal(read.arrays[name], held[name]) for name in held.files)


def test_legacy_layers_come_in_the_models_order() -> None:
    """HDF5 sorts groups by name; `below` comes before `above` all the same, as the model has it."""
    names = list(read_arrays(DATA / "recorded" / "keras-file-bilstm.h5").arrays)
    layers = list(dict.fromkeys(name.split("/")[1] for name in names))
    assert layers == ["dense", "below", "above"]
    assert not any("optimizer" in name for name in read_arrays(DATA / "recorded" / "keras-file-gru.h5").arrays)


def test_a_real_flax_file_runs_as_flax_ran() -> None:
    """A tree that Flax itself serialized: chunked and bfloat16 arrays exactly, and its layers give what Flax gave."""
    read = read_arrays(DATA / "recorded" / "flax-file-lstm.msgpack")
    with np.load(DATA / "recorded" / "flax-file-lstm.npz") as held:
        dump = {name: held[name] for name in held.files}
    assert np.array_equal(read.arrays["ema/chunked"], dump["ema/chunked"])
    assert np.array_equal(read.arrays["ema/narrow"], dump["ema/narrow"])
    assert read.dtypes == {"ema/narrow": "bfloat16"}
    assert (read.arrays["step"].item(), read.arrays["rate"].item()) == (7, 0.5)
    config = LayerConfig(cell="lstm", layers=2)
    weights = build_case.read_weights(read.arrays, config, "flax")
    fed = {"inputs": dump["inputs"], "lengths": dump["seq_lengths"]}
    track = build_case.run_case(fed, config, "flax", weights=weights).trace.tracks[-1]
    for ours, theirs in ((track.outputs, "outputs"), (track.final, "carry.h"), (track.cell, "carry.c")):
        assert ours is not None
        assert np.abs(ours - dump[theirs]).max() < 1e-5


def test_a_keras_file_without_its_parts(tmp_path: Path) -> None:
    """A zip that lacks the weights says what it holds and what to do."""
    path = tmp_path / "x.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(
        UnreadableError, match=r"no model\.weights\.h5 in it, only config\.json; save it with model\.save"
    ):
        read_arrays(path)


def test_layers_are_told_apart_by_their_whole_path() -> None:
    """What one node says is not another's because both end in the same word, or because one name begins the other."""
    onnx = conventions.get("onnx")
    attributes = {"/enc/LSTM.clip": 1.0, "/dec/LSTM.clip": 2.0, "/enc/LSTM_1.clip": 3.0}
    assert of_file(onnx, attributes, [".enc.LSTM"])["clip"] == 1.0
    assert of_file(onnx, attributes, [".dec.LSTM"])["clip"] == 2.0
    assert of_file(onnx, attributes, [".enc.LSTM_1"])["clip"] == 3.0
