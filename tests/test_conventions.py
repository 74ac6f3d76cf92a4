"""Dumps: every framework's names, axes and orders of states, read and written."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logical import LENGTHS, assert_same_tracks, directions_of, logical_trace, read_back, stated

from rnninspect import conventions
from rnninspect.conventions.base import Slot, Statement
from rnninspect.conventions.readings import readings
from rnninspect.conventions.roles import assign_roles
from rnninspect.errors import ShapeError, UserError
from rnninspect.trace import Trace
from rnninspect.weights import Cell

NAMES = ["tf1", "flax", "haiku", "keras", "mxnet", "onnx", "paddle", "torch"]
CONCEPTS = [
    "pass_lengths",
    "use_final_state",
    "gather_last_step",
    "count_steps",
    "clip_lengths",
    "pad_right",
    "align_lengths",
    "restore_order",
    "drop_empty_rows",
    "mask_outputs",
    "find_nonfinite",
    "name_the_states",
    "read_backward_at_first_step",
    "transpose_state",
    "swap_batch_time",
    "flat_gather_stride",
    "top_layer",
    "layer_order",
    "flip_backward",
    "reverse_within_length",
    "both_directions",
    "split_directions",
    "dropout_after",
    "residual_apart",
    "copy_outputs",
    "one_run",
    "reset_state",
    "reorder_gates",
    "set_forget_bias",
    "keep_both_biases",
    "reset_variant",
    "flip_update_gate",
    "transpose_kernel",
    "set_recurrent_activation",
    "set_clip",
    "same_precision",
    "rescale_lengths",
    "keep_time_axis",
    "mask_holes",
    "lengths_from_data",
]

cells = st.sampled_from(["lstm", "gru", "rnn"])


def test_the_eight_frameworks_are_there() -> None:
    """The registry finds one convention a file, tf1 first."""
    assert list(conventions.conventions()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_fix_has_its_code(name: str) -> None:
    """Each convention holds one or two lines of code for every concept of a fix, and no other concept."""
    fixes = conventions.get(name).fixes
    assert sorted(fixes) == sorted(CONCEPTS)
    assert all(text and text.count("\n") < 2 for text in fixes.values())


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_filled_in(name: str) -> None:
    """Each row of the table of conventions is complete, and its padding names the policy that is used."""
    convention = conventions.get(name)
    facts = vars(convention.facts)
    assert all(facts.values())
    assert convention.padding in facts["padding"]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(
    cell=cells,
    layers=st.integers(1, 3),
    count=st.integers(1, 2),
    time_major=st.booleans(),
    initial=st.booleans(),
    seed=st.integers(0, 5),
)
def test_reading_gives_what_was_written(
    name: str, cell: Cell, layers: int, count: int, time_major: bool, initial: bool, seed: int
) -> None:
    """A trace written in a framework's own names and axes is read as the same trace, initial states included."""
    convention = conventions.get(name)
    directions = directions_of(count)
    said = stated(cell, layers, directions, time_major=time_major)
    trace = logical_trace(cell, layers, directions, convention=convention, statement=said, initial=initial, seed=seed)
    dump = {**convention.dump(trace, said), "lengths": np.asarray(LENGTHS)}
    reading = read_back(convention, dump, said)
    assert reading.stated
    assert_same_tracks(trace, reading.trace)
    assert (reading.trace.padding, reading.trace.zero_length) == (trace.padding, trace.zero_length)


@settings(max_examples=30, deadline=None)
@given(cell=cells, layers=st.integers(1, 3), count=st.integers(1, 2), time_major=st.booleans())
def test_one_logical_run_is_one_trace(cell: Cell, layers: int, count: int, time_major: bool) -> None:
    """Written by eight frameworks and read again, one logical run is one trace."""
    directions = directions_of(count)
    said = stated(cell, layers, directions, time_major=time_major)
    own = conventions.get("tf1")
    trace = logical_trace(cell, layers, directions, convention=own, statement=said, initial=True)
    for name in NAMES:
        convention = conventions.get(name)
        dump = {**convention.dump(trace, said), "lengths": np.asarray(LENGTHS)}
        assert_same_tracks(trace, read_back(convention, dump, said).trace)


@pytest.mark.parametrize("name", ["keras", "flax", "onnx"])
def test_layers_keep_their_own_outputs(name: str) -> None:
    """Where each layer is an object of its own, the outputs of lower layers are written and read as well."""
    convention = conventions.get(name)
    said = stated("lstm", 2, directions_of(2))
    trace = logical_trace("lstm", 2, directions_of(2), convention=convention, statement=said, lower_outputs=True)
    dump = {**convention.dump(trace, said), "lengths": np.asarray(LENGTHS)}
    assert_same_tracks(trace, read_back(convention, dump, said).trace)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_dump_speaks_for_itself(name: str, cell: Cell) -> None:
    """One layer read in both directions is recognised without a word about the layer, by some reading."""
    convention = conventions.get(name)
    said = stated(cell, 1, directions_of(2), time_major=name == "onnx")
    trace = logical_trace(cell, 1, directions_of(2), convention=convention, statement=said, initial=True)
    found = readings(
        convention,
        assign_roles(convention, convention.dump(trace, said), Statement()),
        Statement(time_major=said.time_major),
    )
    assert any(_fits(reading.trace) and reading.trace.directions == 2 for reading in found)


def _fits(trace: Trace) -> bool:
    full = replace(trace, mask=np.arange(trace.steps)[None] < np.asarray(LENGTHS)[:, None])
    picked = [
        (t.outputs[np.arange(trace.batch_size), full.expected_steps(t)], t.final)
        for t in trace.tracks
        if t.outputs is not None
    ]
    return trace.batch_size == len(LENGTHS) and all(np.array_equal(a, b) for a, b in picked)


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
    said = Statement(cell=cell, direction="bidirectional" if count == 2 else None)
    trace = read_back(convention, dump, said).trace
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
    trace = read_back(keras, dump, Statement(cell="gru")).trace
    assert [np.array_equal(t.final, states[k]) for k, t in enumerate(trace.tracks)] == [True] * 3
    assert [t.outputs is not None for t in trace.tracks] == [False, False, True]


@pytest.mark.parametrize("mode", ["sum", "mul", "ave"])
def test_merged_directions_are_not_split(mode: str) -> None:
    """Keras' `merge_mode` other than concat leaves no outputs to match, and the states all the same."""
    keras = conventions.get("keras")
    said = stated("lstm", 1, directions_of(2), merge_mode=mode)
    trace = logical_trace("lstm", 1, directions_of(2), convention=keras, statement=said)
    dump = keras.dump(trace, said)
    forward, backward = (t.outputs for t in trace.tracks)
    assert forward is not None
    assert backward is not None
    right = {"sum": forward + backward, "mul": forward * backward, "ave": (forward + backward) / 2}[mode]
    assert np.array_equal(dump["outputs"], right)
    got = read_back(keras, {**dump, "lengths": np.asarray(LENGTHS)}, said).trace
    assert [t.outputs for t in got.tracks] == [None, None]
    assert all(np.array_equal(a.final, b.final) for a, b in zip(got.tracks, trace.tracks, strict=True))
    assert got.lengths is not None


def test_directions_saved_apart() -> None:
    """Keras' `merge_mode=None` gives two outputs, each of its own direction."""
    keras = conventions.get("keras")
    fw, bw, h, g = arrays((5, 7, 3), (5, 7, 3), (5, 3), (5, 3))
    dump = {"forward_outputs": fw, "backward_outputs": bw, "forward_h": h, "backward_h": g}
    trace = read_back(keras, dump, Statement(cell="gru")).trace
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
    reading = read_back(conventions.get("torch"), dump, Statement(cell="lstm", time_major=time_major))
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
            torch_like.prepare({"batch_sizes": np.array(sizes), "data": np.zeros((data, 2))}, Statement())
    with pytest.raises(ShapeError, match=re.escape("x.batch_sizes has no x.data")):
        torch_like.prepare({"x.batch_sizes": np.array([1])}, Statement())


def test_torch_save_of_nested_tuples() -> None:
    """`torch.save((output, (h_n, c_n)))` arrives as names by index."""
    output, h_n, c_n = arrays((5, 7, 3), (1, 5, 3), (1, 5, 3))
    trace = read_back(conventions.get("torch"), {"0": output, "1.0": h_n, "1.1": c_n}, Statement()).trace
    assert np.array_equal(trace.tracks[0].final, h_n[0])
    assert np.array_equal(trace.tracks[0].cell, c_n[0])


def test_onnx_layout_one_is_batch_major() -> None:
    """Without time-major axes ONNX's arrays are `[B, T, D, H]` and `[B, D, H]`."""
    onnx = conventions.get("onnx")
    said = stated("lstm", 1, directions_of(2))
    trace = logical_trace("lstm", 1, directions_of(2), convention=onnx, statement=said)
    dump = onnx.dump(trace, said)
    assert {k: v.shape for k, v in dump.items()} == {"Y": (5, 7, 2, 3), "Y_h": (5, 2, 3), "Y_c": (5, 2, 3)}
    assert read_back(onnx, dump, said).stated


@pytest.mark.parametrize(
    ("name", "statement", "order"),
    [
        ("keras", Statement(direction="reverse", go_backwards=True), "reversed"),
        ("keras", Statement(go_backwards=True), "reversed"),
        ("keras", Statement(direction="bidirectional"), "time"),
        ("flax", Statement(direction="reverse"), "within"),
        ("flax", Statement(direction="reverse", keep_order=True), "time"),
        ("flax", Statement(direction="bidirectional"), "time"),
        ("onnx", Statement(direction="reverse"), "time"),
        ("torch", Statement(direction="bidirectional"), "time"),
    ],
)
def test_how_a_backward_track_lies_in_time(name: str, statement: Statement, order: str) -> None:
    """Only Keras' `go_backwards` and Flax's `reverse` without `keep_order` leave the outputs in reversed time."""
    assert conventions.get(name).order(statement) == order


@pytest.mark.parametrize(
    ("name", "statement", "padding"),
    [
        ("tf1", Statement(), "zero"),
        ("keras", Statement(), "repeat"),
        ("keras", Statement(direction="bidirectional"), "zero"),
        ("keras", Statement(padding="zero"), "zero"),
        ("flax", Statement(), "computed"),
        ("haiku", Statement(), "computed"),
        ("paddle", Statement(), "zero"),
        ("paddle", Statement(padding="computed"), "computed"),
        ("onnx", Statement(), "zero"),
        ("mxnet", Statement(), "zero"),
        ("torch", Statement(), "zero"),
    ],
)
def test_what_padding_holds(name: str, statement: Statement, padding: str) -> None:
    """The padding of masked steps is the framework's, unless the call decides it."""
    assert conventions.get(name).padding_for(statement) == padding


def test_states_of_different_widths_cannot_be_stacked() -> None:
    """PyTorch keeps all layers' states in one array: layers of different widths are refused with the widths."""
    torch_like = conventions.get("torch")
    said = stated("gru", 2, ("forward",))
    trace = logical_trace("gru", 2, convention=torch_like, statement=said)
    bottom = replace(trace.tracks[0], final=np.zeros((5, 4)))
    with pytest.raises(UserError, match=r"widths differ: \[4, 3\]"):
        torch_like.dump(replace(trace, tracks=(bottom, trace.tracks[1])), said)


def test_a_stated_array_wins_over_names() -> None:
    """What the user names as the state is taken, whatever else the dump calls one."""
    final, other = arrays((5, 3), (5, 3))
    dump = {"outputs": np.zeros((5, 7, 3)), "final_state": other, "mine": final}
    slots = {"h": Slot("h", "mine", final)}
    assert np.array_equal(read_back(conventions.get("tf1"), dump, Statement(), slots).trace.tracks[0].final, final)
