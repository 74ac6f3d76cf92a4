"""Padding that a loop of one's own leaves is no mistake: torch's cells and Keras's layers, the states carried."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect import conventions
from rnninspect.core.layer_config import LayerConfig
from rnninspect.diagnosis.build_case import read_weights
from rnninspect.errors import ShapeError

LENGTHS = [7, 3, 5, 1]
REAL = torch.arange(7) < torch.tensor(LENGTHS)[:, None]


def looped(kind: str) -> tuple[torch.Tensor, torch.Tensor, Any, Any]:
    """The inputs, outputs and state of a masked loop around a cell, which keeps its state at padded steps."""
    torch.manual_seed(2)
    cell = getattr(torch.nn, kind)(4, 5)
    inputs, h, c, steps = torch.randn(4, 7, 4), torch.zeros(4, 5), torch.zeros(4, 5), []
    with torch.no_grad():
        for t in range(7):
            here = REAL[:, t, None]
            if kind == "LSTMCell":
                new, carried = cell(inputs[:, t], (h, c))
                c = torch.where(here, carried, c)
            else:
                new = cell(inputs[:, t], h)
            h = torch.where(here, new, h)
            steps.append(h)
    return inputs, torch.stack(steps, 1), ((h, c) if kind == "LSTMCell" else h), cell


@pytest.mark.parametrize("kind", ["GRUCell", "LSTMCell", "RNNCell"])
def test_a_masked_loop_around_a_cell(kind: str) -> None:
    """With the cell's own weights, given as the module or its state dict, the repeats are a note, torch stated or not;
    a state of another step is an error as before."""
    inputs, outputs, state, cell = looped(kind)
    for weights in (cell, cell.state_dict()):
        for more in ({}, {"convention": "torch"}):
            report = rnninspect.inspect(outputs, state, lengths=LENGTHS, inputs=inputs, weights=weights, **more)
            assert report.verdict == "clean"
            assert {f.rule for f in report.findings} <= {"padding-repeats-last-output"}
    first = outputs[:, 0]
    wrong = (first, state[1]) if isinstance(state, tuple) else first
    report = rnninspect.inspect(outputs, wrong, lengths=LENGTHS, inputs=inputs, weights=cell)
    assert report.verdict == "findings"


def test_a_layers_own_weights_ask_for_its_padding() -> None:
    """A GRU that was packed pads with zeros: repeats beside the layer's weights (`…_l0`) stay an error."""
    torch.manual_seed(2)
    layer, inputs = torch.nn.GRU(4, 5, batch_first=True), torch.randn(4, 7, 4)
    rows = torch.nn.utils.rnn.pack_padded_sequence(inputs, torch.tensor(LENGTHS), True, enforce_sorted=False)
    with torch.no_grad():
        packed, h = layer(rows)
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].numpy()
    last = np.minimum(np.arange(7), np.array(LENGTHS)[:, None] - 1)
    report = rnninspect.inspect(
        outputs[np.arange(4)[:, None], last], h, lengths=LENGTHS, inputs=inputs, weights=layer, convention="torch"
    )
    assert [(f.rule, f.severity) for f in report.findings] == [("padding-repeats-last-output", "error")]


def test_keras_layers_joined_by_hand() -> None:
    """A masked forward layer repeats and one of `go_backwards`, flipped, pads with zeros: side by side, two directions
    stated, a note; torch's numbers stand for theirs."""
    torch.manual_seed(2)
    layer, inputs = torch.nn.GRU(4, 5, batch_first=True, bidirectional=True), torch.randn(4, 7, 4)
    rows = torch.nn.utils.rnn.pack_padded_sequence(inputs, torch.tensor(LENGTHS), True, enforce_sorted=False)
    with torch.no_grad():
        packed, h = layer(rows)
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].numpy()
    last = np.minimum(np.arange(7), np.array(LENGTHS)[:, None] - 1)
    joined = np.concatenate([outputs[np.arange(4)[:, None], last, :5], outputs[..., 5:]], -1)
    state = np.concatenate([h[0], h[1]], -1)
    report = rnninspect.inspect(joined, state, lengths=LENGTHS, convention="keras", bidirectional=True)
    assert (report.verdict, [f.severity for f in report.findings]) == ("clean", ["note"])


@pytest.mark.parametrize("kind", ["GRUCell", "LSTMCell"])
@pytest.mark.parametrize("stacked", ["B T H", "T B H"])
def test_a_scan_around_a_cell_of_flax(kind: str, stacked: str) -> None:
    """Proves that a cell's variables in Flax are known as a cell's: a loop that scans it, its steps stacked along
    either axis beside batch-major inputs, is clean; a state of another step is not.
    """
    inputs, outputs, state, cell = looped(kind)
    flax = conventions.get("flax").write_weights(read_weights(cell.state_dict(), LayerConfig(), "torch"))
    state = tuple(reversed(state)) if isinstance(state, tuple) else state  # a carry is (c, h)
    outputs = outputs.swapaxes(0, 1) if stacked == "T B H" else outputs
    handed = {"lengths": LENGTHS, "inputs": inputs.numpy(), "weights": flax, "convention": "flax"}
    report = rnninspect.inspect(outputs.numpy(), state, **handed)
    assert report.verdict == "clean"
    assert {f.severity for f in report.findings} == {"note"}
    first = outputs[0] if stacked == "T B H" else outputs[:, 0]
    wrong = (state[0], first) if isinstance(state, tuple) else first
    assert rnninspect.inspect(outputs.numpy(), wrong, **handed).verdict == "findings"


def test_steps_stacked_along_the_first_axis() -> None:
    """Proves that outputs which lie time-major beside batch-major inputs are a note where they are a loop's around a
    cell, a warning where other axes were stated, and that inputs along other axes than were stated are refused."""
    inputs, outputs, state, cell = looped("GRUCell")
    steps, handed = outputs.swapaxes(0, 1), {"lengths": LENGTHS, "inputs": inputs}
    report = rnninspect.inspect(steps, state, weights=cell, **handed)
    assert (report.verdict, {f.severity for f in report.findings}) == ("clean", {"note"})
    as_stated = rnninspect.inspect(steps, state, batch_first=True, **handed)
    assert ("batch-time-swapped", "warning") in [(f.rule, f.severity) for f in as_stated.findings]
    with pytest.raises(ShapeError, match=r"they fit batch-major, so give inputs.swapaxes\(0, 1\)"):
        rnninspect.inspect(steps, state, time_major=True, **handed)


def test_weights_of_another_framework_than_was_guessed() -> None:
    """Proves that repeats, which look like Keras's, do not make torch's weights be read as Keras's; stated, they are
    refused."""
    inputs, outputs, state, cell = looped("GRUCell")
    handed = {"lengths": LENGTHS, "inputs": inputs.numpy(), "weights": cell}
    report = rnninspect.inspect(outputs.numpy(), state.numpy(), **handed)
    assert report.verdict == "clean"
    assert not [n for n in report.not_checked if "weights" in n.reason]
    with pytest.raises(ShapeError, match="do not look like keras's"):
        rnninspect.inspect(outputs.numpy(), state.numpy(), convention="keras", **handed)


@pytest.mark.parametrize("kind", ["GRUCell", "LSTMCell"])
def test_a_loops_repeats_without_weights(kind: str) -> None:
    """Proves that repeats are a note where torch is stated and every state is one `[B, H]`, as a loop's is; a stack, as
    torch's layers return it, asks for their zeros, and a state of another step is an error as before."""
    _, outputs, state, _ = looped(kind)
    handed = {"lengths": LENGTHS, "convention": "torch", "batch_first": True}
    h = state[0] if isinstance(state, tuple) else state
    assert rnninspect.inspect(outputs, state, **handed).verdict == "clean"
    stacked = rnninspect.inspect(outputs, h[None], **handed)
    assert [(f.rule, f.severity) for f in stacked.findings] == [("padding-repeats-last-output", "error")]
    assert rnninspect.inspect(outputs, outputs[:, 1], **handed).verdict == "findings"
