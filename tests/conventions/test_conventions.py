"""Dumps: every framework's names, axes and orders of states, read and written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnninspect import conventions
from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.readings import readings
from rnninspect.conventions.dumps.roles import assign_roles
from rnninspect.core.cell import Cell
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Trace
from rnninspect.errors import UserError
from tests.support.logical import LENGTHS, assert_same_tracks, directions_of, layer_config, logical_trace, read_back

NAMES = list(conventions.conventions())

cells = st.sampled_from(Convention.cells)


def test_the_eight_frameworks_are_there() -> None:
    """The registry finds one convention a file, tf1 first, then by name."""
    assert {"tf1", "flax", "haiku", "keras", "mxnet", "onnx", "paddle", "torch"} <= set(NAMES)
    assert ["tf1", *sorted(set(NAMES) - {"tf1"})] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_filled_in(name: str) -> None:
    """Each row of the table of conventions is complete, and its padding names the policy that is used."""
    convention = conventions.get(name)
    facts = vars(convention.facts)
    assert all(facts.values())
    assert convention.padding in facts["padding"]
    assert convention.cell_first == (facts["order"].strip("([")[0] == "c")


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
    config = layer_config(cell, layers, directions, time_major=time_major)
    trace = logical_trace(cell, layers, directions, convention=convention, config=config, initial=initial, seed=seed)
    dump = {**convention.dump(trace, config), "lengths": np.asarray(LENGTHS)}
    reading = read_back(convention, dump, config)
    assert reading.as_stated
    assert_same_tracks(trace, reading.trace)
    assert (reading.trace.padding, reading.trace.zero_length) == (trace.padding, trace.zero_length)


@settings(max_examples=30, deadline=None)
@given(cell=cells, layers=st.integers(1, 3), count=st.integers(1, 2), time_major=st.booleans())
def test_one_logical_run_is_one_trace(cell: Cell, layers: int, count: int, time_major: bool) -> None:
    """Written by eight frameworks and read again, one logical run is one trace."""
    directions = directions_of(count)
    config = layer_config(cell, layers, directions, time_major=time_major)
    tf1 = conventions.get("tf1")
    trace = logical_trace(cell, layers, directions, convention=tf1, config=config, initial=True)
    for name in NAMES:
        convention = conventions.get(name)
        dump = {**convention.dump(trace, config), "lengths": np.asarray(LENGTHS)}
        assert_same_tracks(trace, read_back(convention, dump, config).trace)


@pytest.mark.parametrize("name", ["keras", "flax", "onnx"])
def test_layers_keep_their_own_outputs(name: str) -> None:
    """Where each layer is an object of its own, the outputs of lower layers are written and read as well."""
    convention = conventions.get(name)
    config = layer_config("lstm", 2, directions_of(2))
    trace = logical_trace("lstm", 2, directions_of(2), convention=convention, config=config, lower_outputs=True)
    dump = {**convention.dump(trace, config), "lengths": np.asarray(LENGTHS)}
    assert_same_tracks(trace, read_back(convention, dump, config).trace)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_dump_speaks_for_itself(name: str, cell: Cell) -> None:
    """One layer read in both directions is recognised without a word about the layer, by some reading."""
    convention = conventions.get(name)
    config = layer_config(cell, 1, directions_of(2), time_major=name == "onnx")
    trace = logical_trace(cell, 1, directions_of(2), convention=convention, config=config, initial=True)
    read = readings(
        convention,
        assign_roles(convention, convention.dump(trace, config), LayerConfig()),
        LayerConfig(time_major=config.time_major),
    )
    assert any(_fits(reading.trace) and reading.trace.directions == 2 for reading in read)


def _fits(trace: Trace) -> bool:
    full = replace(trace, mask=np.arange(trace.steps)[None] < np.asarray(LENGTHS)[:, None])
    picked = [
        (t.outputs[np.arange(trace.batch_size), full.expected_steps(t)], t.final)
        for t in trace.tracks
        if t.outputs is not None
    ]
    return trace.batch_size == len(LENGTHS) and all(np.array_equal(a, b) for a, b in picked)


@pytest.mark.parametrize(
    ("name", "config", "order"),
    [
        ("keras", LayerConfig(direction="reverse", go_backwards=True), "reversed"),
        ("keras", LayerConfig(go_backwards=True), "reversed"),
        ("keras", LayerConfig(direction="bidirectional"), "time"),
        ("flax", LayerConfig(direction="reverse"), "within"),
        ("flax", LayerConfig(direction="reverse", keep_order=True), "time"),
        ("flax", LayerConfig(direction="bidirectional"), "time"),
        ("onnx", LayerConfig(direction="reverse"), "time"),
        ("torch", LayerConfig(direction="bidirectional"), "time"),
    ],
)
def test_how_a_backward_track_lies_in_time(name: str, config: LayerConfig, order: str) -> None:
    """Only Keras' `go_backwards` and Flax's `reverse` without `keep_order` leave the outputs in reversed time."""
    assert conventions.get(name).order(config) == order


@pytest.mark.parametrize(
    ("name", "config", "padding"),
    [
        ("tf1", LayerConfig(), "zero"),
        ("keras", LayerConfig(), "repeat"),
        ("keras", LayerConfig(direction="bidirectional"), "zero"),
        ("keras", LayerConfig(padding="zero"), "zero"),
        ("flax", LayerConfig(), "computed"),
        ("haiku", LayerConfig(), "computed"),
        ("paddle", LayerConfig(), "zero"),
        ("paddle", LayerConfig(padding="computed"), "computed"),
        ("onnx", LayerConfig(), "zero"),
        ("mxnet", LayerConfig(), "zero"),
        ("torch", LayerConfig(), "zero"),
    ],
)
def test_what_padding_holds(name: str, config: LayerConfig, padding: str) -> None:
    """The padding of masked steps is the framework's, unless the call decides it."""
    assert conventions.get(name).padding_for(config) == padding


def test_states_of_different_widths_cannot_be_stacked() -> None:
    """PyTorch keeps all layers' states in one array: layers of different widths are refused with the widths."""
    torch_like = conventions.get("torch")
    config = layer_config("gru", 2, ("forward",))
    trace = logical_trace("gru", 2, convention=torch_like, config=config)
    bottom = replace(trace.tracks[0], final=np.zeros((5, 4)))
    with pytest.raises(UserError, match=r"widths differ: \[4, 3\]"):
        torch_like.dump(replace(trace, tracks=(bottom, trace.tracks[1])), config)
