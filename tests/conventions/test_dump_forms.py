"""Dumps as people save them: lists of states, merged directions, packed sequences, nested tuples, ONNX's layouts."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from rnninspect import conventions, inspect
from rnninspect.core.cell import Cell
from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import ShapeError
from tests.support.logical import LENGTHS, directions_of, layer_config, logical_trace, read_back


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Distinct arrays, so that one taken for another shows."""
    draw = np.random.default_rng(7)
    return [draw.normal(size=shape) for shape in shapes]


LISTS = {
    ("keras", "lstm", 1): ["forward h", "forward c"],
    ("keras", "lstm", 2): ["forward h", "forward c", "backward h", "backward c"],
    ("keras", "gru", 2): ["forward h", "backward h"],
    ("mxnet", "lstm", 2): ["forward h", "forward c", "backward h", "backward c"],
    ("mxnet", "rnn", 1): ["forward h"],
    ("paddle", "lstm", 1): ["forward h", "forward c"],
    ("flax", "lstm", 1): ["forward c", "forward h"],
    ("haiku", "lstm", 1): ["forward h", "forward c"],
    ("tf1", "lstm", 1): ["forward c", "forward h"],
}


@pytest.mark.parametrize(("name", "cell", "count"), list(LISTS))
def test_lists_of_states_by_position(name: str, cell: Cell, count: int) -> None:
    """A list of states without names is taken in each framework's own order, for final and initial states alike."""
    convention = conventions.get(name)
    stems = {"flax": ("carry", "initial_carry"), "tf1": ("final_state", "initial_state")}
    final, initial = stems.get(name, ("state" if name == "haiku" else "states", "initial_state"))
    order = LISTS[name, cell, count]
    made = arrays(*[(5, 3)] * (2 * len(order)))
    outputs = np.zeros((5, 7, 3 * count))
    dump = {"outputs": outputs} | {f"{final}.{i}": made[i] for i in range(len(order))}
    dump |= {f"{initial}.{i}": made[len(order) + i] for i in range(len(order))}
    config = LayerConfig(cell=cell, direction="bidirectional" if count == 2 else None)
    trace = read_back(convention, dump, config).trace
    for i, what in enumerate(order):
        direction, kind = what.split()
        track = trace.track(0, direction)  # type: ignore[arg-type]
        assert track is not None
        got = (track.final, track.initial) if kind == "h" else (track.cell, track.initial_cell)
        assert got[0] is made[i] or np.array_equal(got[0], made[i])
        assert np.array_equal(got[1], made[len(order) + i])


def test_layers_go_by_number_not_by_place() -> None:
    """`lstm_10` comes after `lstm_2` although an HDF5 file lists it before, and outputs of the top alone stay there."""
    keras = conventions.get("keras")
    states = arrays(*[(5, 3)] * 3)
    dump = {
        "lstm_10.outputs": np.zeros((5, 7, 3)),
        "lstm.state_h": states[0],
        "lstm_10.state_h": states[2],
        "lstm_2.state_h": states[1],
    }
    trace = read_back(keras, dump, LayerConfig(cell="gru")).trace
    assert [np.array_equal(t.final, states[k]) for k, t in enumerate(trace.tracks)] == [True] * 3
    assert [t.outputs is not None for t in trace.tracks] == [False, False, True]


@pytest.mark.parametrize("mode", ["sum", "mul", "ave"])
def test_merged_directions_are_not_split(mode: str) -> None:
    """Keras' `merge_mode` other than concat leaves no outputs to match, and the states all the same."""
    keras = conventions.get("keras")
    config = layer_config("lstm", 1, directions_of(2), merge_mode=mode)
    trace = logical_trace("lstm", 1, directions_of(2), convention=keras, config=config)
    dump = keras.dump(trace, config)
    forward, backward = (t.outputs for t in trace.tracks)
    assert forward is not None
    assert backward is not None
    right = {"sum": forward + backward, "mul": forward * backward, "ave": (forward + backward) / 2}[mode]
    assert np.array_equal(dump["outputs"], right)
    got = read_back(keras, {**dump, "lengths": np.asarray(LENGTHS)}, config).trace
    assert [t.outputs for t in got.tracks] == [None, None]
    assert "directions merged" in read_back(keras, dump, config).text
    assert all(np.array_equal(a.final, b.final) for a, b in zip(got.tracks, trace.tracks, strict=True))
    assert got.lengths is not None


def test_directions_saved_apart() -> None:
    """Keras' `merge_mode=None` gives two outputs, each of its own direction."""
    keras = conventions.get("keras")
    fw, bw, h, g = arrays((5, 7, 3), (5, 7, 3), (5, 3), (5, 3))
    dump = {"forward_outputs": fw, "backward_outputs": bw, "forward_h": h, "backward_h": g}
    trace = read_back(keras, dump, LayerConfig(cell="gru")).trace
    assert [np.array_equal(t.outputs, a) for t, a in zip(trace.tracks, (fw, bw), strict=True)] == [True, True]
    assert [np.array_equal(t.final, a) for t, a in zip(trace.tracks, (h, g), strict=True)] == [True, True]


@pytest.mark.parametrize("time_major", [False, True])
def test_packed_sequences_are_unpacked_as_torch_does(time_major: bool) -> None:
    """A saved PackedSequence is read as what `pad_packed_sequence` makes of it, rows in their own order."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    lengths = torch.tensor(LENGTHS)
    inputs = torch.randn(len(LENGTHS), max(LENGTHS), 2)
    lstm = torch.nn.LSTM(2, 3, batch_first=True)
    with torch.no_grad():
        packed, (h_n, c_n) = lstm(pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False))
    padded, _ = pad_packed_sequence(packed, batch_first=True)
    assert packed.sorted_indices is not None
    dump = {
        "output.data": packed.data.numpy(),
        "output.batch_sizes": packed.batch_sizes.numpy(),
        "output.sorted_indices": packed.sorted_indices.numpy(),
        "h_n": h_n.numpy(),
        "c_n": c_n.numpy(),
    }
    reading = read_back(conventions.get("torch"), dump, LayerConfig(cell="lstm", time_major=time_major))
    track = reading.trace.tracks[0]
    assert np.array_equal(track.outputs, padded.numpy())
    assert reading.trace.lengths is not None
    assert reading.trace.lengths.tolist() == list(LENGTHS)
    assert np.array_equal(track.final, h_n[0].numpy())


def test_a_damaged_packed_sequence_is_refused() -> None:
    """Sizes that grow, or that do not add up to the data, are named, as is data that is missing."""
    torch_like = conventions.get("torch")
    for sizes, data in (([1, 2], 3), ([2, 2], 3)):
        with pytest.raises(ShapeError, match="batch_sizes"):
            torch_like.prepare({"batch_sizes": np.array(sizes), "data": np.zeros((data, 2))}, LayerConfig())
    with pytest.raises(ShapeError, match=re.escape("x.batch_sizes has no x.data")):
        torch_like.prepare({"x.batch_sizes": np.array([1])}, LayerConfig())


def test_torch_save_of_nested_tuples() -> None:
    """`torch.save((output, (h_n, c_n)))` arrives as names by index."""
    output, h_n, c_n = arrays((5, 7, 3), (1, 5, 3), (1, 5, 3))
    trace = read_back(conventions.get("torch"), {"0": output, "1.0": h_n, "1.1": c_n}, LayerConfig()).trace
    assert np.array_equal(trace.tracks[0].final, h_n[0])
    assert np.array_equal(trace.tracks[0].cell, c_n[0])


def test_onnx_layout_one_is_batch_major() -> None:
    """Without time-major axes ONNX's arrays are `[B, T, D, H]` and `[B, D, H]`."""
    onnx = conventions.get("onnx")
    config = layer_config("lstm", 1, directions_of(2))
    trace = logical_trace("lstm", 1, directions_of(2), convention=onnx, config=config)
    dump = onnx.dump(trace, config)
    assert {k: v.shape for k, v in dump.items()} == {"Y": (5, 7, 2, 3), "Y_h": (5, 2, 3), "Y_c": (5, 2, 3)}
    assert read_back(onnx, dump, config).as_stated


def test_a_stated_array_wins_over_names() -> None:
    """What the user names as the state is taken, whatever else the dump calls one."""
    final, other = arrays((5, 3), (5, 3))
    dump = {"outputs": np.zeros((5, 7, 3)), "final_state": other, "mine": final}
    slots = {"h": Slot("h", "mine", final)}
    assert np.array_equal(read_back(conventions.get("tf1"), dump, LayerConfig(), slots).trace.tracks[0].final, final)


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("options", [{"hidden_size": 1}, {"hidden_size": 4, "proj_size": 1}])
def test_two_directions_of_one_unit_are_read(layers: int, options: dict[str, int]) -> None:
    """States of one unit are as many layers as the outputs' two units have directions of: a right run is clean, and the
    forward halves alone miss the backward ones."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    x, lengths = torch.randn(6, 13, 5), torch.tensor([13, 4, 9, 2, 11, 6])
    pack, unpack = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    lstm = torch.nn.LSTM(5, num_layers=layers, bidirectional=True, batch_first=True, **options)
    packed, (h, c) = lstm(pack(x, lengths, batch_first=True, enforce_sorted=False))
    outputs, _ = unpack(packed, batch_first=True)
    assert inspect(outputs, (h, c), lengths=lengths).verdict == "clean"
    halves = inspect(outputs, (h[::2], c[::2]), lengths=lengths)
    assert [f.rule for f in halves.findings] == ["direction-missing"], halves


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("wrong", [False, True])
def test_a_mask_as_wide_as_the_inputs(wrong: bool, time_major: bool) -> None:
    """`pad_packed_sequence` cuts the outputs to the longest row: a mask of the inputs' width is cut with them where no
    step is real beyond, and refused where one is."""
    lengths = np.array([3, 6, 2, 5])
    outputs = np.random.default_rng(0).normal(size=(4, 6, 5)) * (np.arange(6) < lengths[:, None])[..., None]
    state = outputs[:, -1] if wrong else outputs[np.arange(4), lengths - 1]
    mask, read = np.arange(9) < lengths[:, None], outputs.swapaxes(0, 1) if time_major else outputs
    for held in (mask, mask.T) if time_major else (mask,):
        report = inspect(read, state, mask=held, time_major=time_major, direction="forward")
        assert [f.rule for f in report.findings] == ["last-column-as-final-state"] * wrong
        assert report.verdict == ("findings" if wrong else "clean")
    mask[1, 7] = True
    with pytest.raises(ShapeError, match="mask is"):
        inspect(read, state, mask=mask, time_major=time_major, direction="forward")


PLACES = {"from 0 on": [0, 5, 7, 10], "begin": [0, 5, 7], "end": [5, 7, 10]}


@pytest.mark.parametrize("form", PLACES)
def test_lengths_as_places_in_joined_rows(form: str) -> None:
    """`cu_seqlens`, offsets and ends are lengths where the outputs are joined, or end in zeros, as they say; states of
    other rows are named, and lengths that grow by themselves stay what they are."""
    outputs, places = arrays((3, 5, 4))[0], np.array(PLACES[form])
    outputs[np.arange(5) >= np.array([5, 2, 3])[:, None]] = 0
    right = outputs[np.arange(3), [4, 1, 2]]
    for state, rules in ((right, []), (right[[0, 2, 1]], ["rows-permuted"])):
        report = inspect(outputs, state, lengths=places)
        assert ([f.rule for f in report.findings], report.lengths) == (rules, [5, 2, 3])
    if form == "from 0 on":
        joined = np.concatenate([row[:n] for row, n in zip(outputs, [5, 2, 3], strict=True)])
        assert inspect({"outputs": joined, "h": right, "cu_seqlens": places}).verdict == "clean"
    growing = inspect(outputs[[1, 2, 0]], right[[1, 2, 0]], lengths=[2, 3, 5])
    assert (growing.verdict, growing.lengths) == ("clean", [2, 3, 5])


def test_nested_tensors_are_rows_and_truth_values_are_refused() -> None:
    """torch's nested tensor brings its lengths; outputs of true and false are refused in one line."""
    rows = [torch.tensor(row[:n]) for row, n in zip(arrays((3, 5, 4))[0], [5, 2, 3], strict=True)]
    report = inspect(torch.nested.nested_tensor(rows), torch.stack([row[-1] for row in rows]))
    assert (report.verdict, report.lengths) == ("clean", [5, 2, 3])
    with pytest.raises(ShapeError, match=r"outputs \[3, 5, 4\] holds only true and false"):
        inspect(np.ones((3, 5, 4), bool), np.ones((3, 4), bool), lengths=[5, 2, 3])
