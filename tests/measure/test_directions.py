"""Directions that nobody stated: two that are taken at one step, one of two for every layer, a call without a batch."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError
from rnninspect.report.report import Report

ROWS, STEPS, FEATURES, UNITS = 6, 9, 4, 8
LENGTHS = [9, 8, 6, 5, 4, 3]


def ran(kind: str, layers: int = 1, directions: int = 2, units: int = UNITS) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs `[B, T, D*H]` and h `[L*D, B, H]` of packed random inputs."""
    torch.manual_seed(2)
    layer = getattr(torch.nn, kind)(FEATURES, units, layers, batch_first=True, bidirectional=directions == 2)
    with torch.no_grad():
        inputs = torch.randn(ROWS, STEPS, FEATURES)
        packed, state = layer(pack_padded_sequence(inputs, LENGTHS, batch_first=True))
    return pad_packed_sequence(packed, batch_first=True)[0], state[0] if kind == "LSTM" else state


def says_two(report: Report) -> bool:
    """Whether it is said that two directions fit as well, and not only that one is taken."""
    return any(note.startswith("direction: none was stated") and "side by side" in note for note in report.notes)


def accused(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings if finding.severity != "note"]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_the_last_step_of_two_directions_is_not_called_clean(kind: str) -> None:
    """`cat[:, -1]`: the last step of both directions fits as one direction's state; that it may be two is said, and the
    report is clean of neither. Of one direction it is the right state, and two are not said to fit."""
    outputs, _ = ran(kind)
    last = outputs[np.arange(ROWS), np.array(LENGTHS) - 1]
    both = rnninspect.inspect(outputs, last, lengths=LENGTHS)
    assert (both.verdict, says_two(both), accused(both)) == ("unjudged", True, [])
    two = rnninspect.inspect(outputs, last, lengths=LENGTHS, bidirectional=True)
    assert accused(two) == ["backward-final-at-last-step"]
    outputs, state = ran(kind, directions=1, units=2 * UNITS)
    one = rnninspect.inspect(outputs, state[0], lengths=LENGTHS)
    assert (one.verdict, says_two(one)) == ("clean", False)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_most_layers_of_two_directions_are_told_from_those_of_one(kind: str) -> None:
    """Of many random layers taken at their last step: most of two directions are undecided, and none of one is."""
    lengths = [13, 4, 9, 1, 11, 6]
    undecided = {1: 0, 2: 0}
    for seed, directions in product(range(16), (1, 2)):
        torch.manual_seed(seed)
        layer = getattr(torch.nn, kind)(FEATURES, 16 // directions, batch_first=True, bidirectional=directions == 2)
        with torch.no_grad():
            packed, _ = layer(
                pack_padded_sequence(
                    torch.randn(ROWS, 13, FEATURES), torch.tensor(lengths), batch_first=True, enforce_sorted=False
                )
            )
        outputs = pad_packed_sequence(packed, batch_first=True)[0]
        report = rnninspect.inspect(outputs, outputs[np.arange(ROWS), np.array(lengths) - 1], lengths=lengths)
        undecided[directions] += report.verdict == "unjudged"
    assert undecided[1] == 0
    assert undecided[2] >= 11


@pytest.mark.parametrize("numpy", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_every_layers_forward_state_is_no_mistake(layers: int, numpy: bool) -> None:
    """`[L, B, H]` of the forward direction beside outputs of two is read as that; a wrong step in it is found."""
    outputs, state = ran("GRU", layers)
    forward = state.view(layers, 2, ROWS, UNITS)[:, 0].clone()
    states: Any = (outputs.numpy(), forward.numpy()) if numpy else (outputs, forward)
    report = rnninspect.inspect(*states, lengths=LENGTHS)
    assert (report.verdict, accused(report)) == ("clean", [])
    assert "forward alone" in report.to_dict()["reading"]["used"]
    forward[-1, 3:] = outputs[3:, 1, :UNITS]
    assert accused(rnninspect.inspect(outputs, forward, lengths=LENGTHS))


@pytest.mark.parametrize("layers", [1, 2])
def test_exchanged_directions_are_not_taken_for_one(layers: int) -> None:
    """Where the state holds the backward half too, in the forward one's place, nothing is clean."""
    outputs, state = ran("GRU", layers)
    exchanged = state.view(layers, 2, ROWS, UNITS).flip(1).reshape(2 * layers, ROWS, UNITS)
    report = rnninspect.inspect(outputs, exchanged, lengths=LENGTHS)
    assert report.verdict == "findings"
    assert "alone" not in report.to_dict()["reading"]["used"]


@pytest.mark.parametrize("layers", [1, 2])
def test_a_call_without_a_batch_axis(layers: int) -> None:
    """torch's unbatched `[T, D*H]` and `[L*D, H]` are one row's."""
    torch.manual_seed(3)
    layer = torch.nn.GRU(FEATURES, UNITS, layers, bidirectional=True)
    inputs = torch.randn(STEPS, FEATURES)
    with torch.no_grad():
        outputs, state = layer(inputs)
    assert rnninspect.inspect(layer(inputs), inputs=inputs, weights=layer, lengths="full").verdict == "clean"
    right = rnninspect.inspect(outputs, state, inputs=inputs, weights=layer, lengths="full")
    assert (right.verdict, right.to_dict()["shape"]["batch"]) == ("clean", 1)
    swapped = rnninspect.inspect(outputs, state.flip(0), lengths="full")
    assert accused(swapped)


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("layers", [2, 3])
def test_a_call_without_a_batch_axis_of_several_layers(kind: str, layers: int) -> None:
    """torch's unbatched `[T, H]` and `[L, H]`, whose layers nobody stated: right, and in reverse order; of as many
    states as steps nothing tells whether they are layers."""
    torch.manual_seed(4)
    layer = getattr(torch.nn, kind)(FEATURES, UNITS, layers)
    inputs = torch.randn(STEPS, FEATURES)
    with torch.no_grad():
        outputs, state = layer(inputs)
    h = state[0] if isinstance(state, tuple) else state
    for more in ({}, {"inputs": inputs, "weights": layer}):
        right = rnninspect.inspect(outputs, state, lengths="full", **more)
        assert (right.verdict, right.shape["layers"], right.shape["batch"]) == ("clean", layers, 1)
    assert accused(rnninspect.inspect(outputs, h.flip(0), lengths="full"))
    with pytest.raises(ShapeError):
        rnninspect.inspect(outputs, outputs, lengths="full")


@pytest.mark.parametrize("kind", ["GRU", "RNN"])
def test_layers_that_read_backwards_are_told_together(kind: str) -> None:
    """Every layer's state is its step 0, in one long row a layer: together they say that the stack reads backwards; one
    layer that ends at its last step speaks against it."""
    rng = np.random.default_rng(0)
    outputs = [rng.uniform(-1, 1, (2, 5, 3)) for _ in range(3)]
    arrays = {f"out_{k}": o for k, o in enumerate(outputs)} | {f"hidden_{k}": o[:, 0] for k, o in enumerate(outputs)}
    report = rnninspect.inspect(arrays, lengths=[1, 5], cell=kind.lower())
    assert (report.verdict, accused(report)) == ("unjudged", [])
    arrays["hidden_2"] = outputs[2][np.arange(2), [0, 4]]
    assert accused(rnninspect.inspect(arrays, lengths=[1, 5], cell=kind.lower()))


def _backward(order: str) -> tuple[dict[str, Array], Array]:
    """A backward track alone `[4, 6, 3]` with lengths, its outputs in that order, and its right state `[4, 3]`."""
    lengths = np.array([6, 3, 4, 2])
    mask = np.arange(6) < lengths[:, None]
    outputs = np.random.default_rng(8).uniform(-1, 1, (4, 6, 3)) * mask[..., None]
    state = outputs[:, 0]
    if order == "within":
        outputs = np.stack([np.concatenate([row[:n][::-1], row[n:]]) for row, n in zip(outputs, lengths, strict=True)])
    return {"outputs_bw": outputs[:, ::-1] if order == "reversed" else outputs, "lengths": lengths}, state


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize(("order", "verdict"), [("time", "clean"), ("within", "unjudged"), ("reversed", "unjudged")])
def test_a_backward_track_alone_in_any_order(order: str, verdict: str, stacked: bool) -> None:
    """A right state of a backward track is not accused, in whichever order its outputs are stored."""
    arrays, state = _backward(order)
    report = rnninspect.inspect(arrays | {"state_bw": state[None] if stacked else state})
    assert ([f.rule for f in report.findings], report.verdict) == ([], verdict)


@pytest.mark.parametrize("order", ["time", "within", "reversed"])
def test_a_wrong_state_of_a_backward_track_alone(order: str) -> None:
    """The state of other rows is accused in every order, and so is the padded column; one that is the first step of
    outputs in the order of time is at least not clean."""
    arrays, state = _backward(order)
    assert rnninspect.inspect(arrays | {"state_bw": state[[1, 2, 3, 0]]}).verdict == "findings"
    column = arrays["outputs_bw"][:, 0 if order == "reversed" else -1]
    wrong = rnninspect.inspect(arrays | {"state_bw": column})
    assert wrong.verdict == ("unjudged" if order == "reversed" else "findings")


TURNED: list[tuple[str, dict[str, Any]]] = [
    ("onnx", {"direction": "reverse"}),
    ("torch", {"direction": "reverse"}),
    ("flax", {"direction": "reverse", "keep_order": True}),
    ("keras", {"go_backwards": True}),
    ("flax", {"direction": "reverse"}),
]


@pytest.mark.parametrize(("convention", "options"), TURNED)
@pytest.mark.parametrize("shortest", [1, 2])
def test_one_direction_that_reads_backwards_taken_at_its_first_output(
    convention: str, options: dict[str, Any], shortest: int
) -> None:
    """Of a layer stated to read backwards, the state after one input is named as such, however its outputs are stored
    and whether or not a row has one step alone; the state after all of them is clean."""
    arrays, state = _backward("time")
    lengths = np.array([6, 3, 4, shortest])
    outputs = arrays["outputs_bw"] * (np.arange(6) < lengths[:, None])[..., None]
    after_one = outputs[np.arange(4), lengths - 1]
    if convention == "keras":
        outputs = outputs[:, ::-1]
    elif convention == "flax" and "keep_order" not in options:
        turned = [np.concatenate([row[:n][::-1], row[n:]]) for row, n in zip(outputs, lengths, strict=True)]
        outputs = np.stack(turned)
    more: dict[str, Any] = {"lengths": lengths, "convention": convention, **options}
    assert accused(rnninspect.inspect(outputs, state, **more)) == []
    report = rnninspect.inspect(outputs, after_one, **more)
    if (convention, options) == TURNED[-1]:  # nobody said that the order was not kept: what it lies like is said
        assert report.verdict in ("unjudged", "findings")
        return
    assert accused(report) == ["backward-final-at-last-step"]
    assert report.findings[0].fix.startswith(("h = outputs[:, ", "h = output[:, "))


@pytest.mark.parametrize("direction", [{"direction": "reverse"}, {}])
def test_a_run_of_the_weights_tells_the_order_of_a_backward_track(direction: dict[str, str]) -> None:
    """With inputs and weights, a state after one input is found, outputs that were never flipped are named, and what
    is right is clean: no order is taken that the run contradicts."""
    torch.manual_seed(4)
    layer, inputs = torch.nn.GRU(FEATURES, UNITS, batch_first=True), torch.randn(ROWS, STEPS, FEATURES)
    with torch.no_grad():
        turned = torch.zeros_like(inputs)
        for row, n in enumerate(LENGTHS):
            turned[row, :n] = inputs[row, :n].flip(0)
        packed, state = layer(pack_padded_sequence(turned, LENGTHS, batch_first=True))
    as_read = pad_packed_sequence(packed, batch_first=True)[0].numpy()
    in_time = np.stack([np.concatenate([row[:n][::-1], row[n:]]) for row, n in zip(as_read, LENGTHS, strict=True)])
    more: dict[str, Any] = {"lengths": LENGTHS, "inputs": inputs.numpy(), "weights": layer, **direction}
    right = rnninspect.inspect({"outputs_bw": in_time, "state_bw": state[0].numpy()}, **more)
    assert (right.verdict, accused(right)) == ("clean", [])
    wrong = rnninspect.inspect({"outputs_bw": in_time, "state_bw": as_read[:, 0]}, **more)
    assert accused(wrong) == ["backward-final-at-last-step"]
    unflipped = rnninspect.inspect({"outputs_bw": as_read, "state_bw": state[0].numpy()}, **more)
    assert accused(unflipped) == (["backward-not-flipped"] if direction else [])


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}])
@pytest.mark.parametrize("seed", range(6))
def test_summed_directions_are_not_accused(options: dict[str, bool], seed: int) -> None:
    """`output[..., :H] + output[..., H:]` beside torch's own h_n equals no step: it is unjudged, whether two directions
    were stated or nothing was, and a run of the layer tells a right state from that of other rows."""
    torch.manual_seed(seed)
    units, lengths = 3 + seed, [5, 2, 4] if seed % 2 else [6, 1]
    layer = torch.nn.GRU(FEATURES, units, 1 + seed % 2, batch_first=True, bidirectional=True)
    inputs = torch.randn(len(lengths), max(lengths), FEATURES)
    with torch.no_grad():
        packed, state = layer(pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False))
    output, _ = pad_packed_sequence(packed, batch_first=True)
    summed = output[..., :units] + output[..., units:]
    report = rnninspect.inspect(summed, state, lengths=lengths, **options)
    assert (report.verdict, accused(report)) == ("unjudged", [])
    run = {"inputs": inputs, "weights": layer}
    assert rnninspect.inspect(summed, state, lengths=lengths, **run, **options).verdict == "clean"
    assert accused(rnninspect.inspect(summed, state.flip(1), lengths=lengths, **run, **options))


@pytest.mark.parametrize(("sign", "named"), [(1.0, []), (-1.0, ["backward-not-flipped"])])
def test_units_that_are_shut_are_no_second_direction(sign: float, named: list[str]) -> None:
    """A relu layer that read on over its padding: zeros before half of its units are its own, where as one direction
    every state is right. Of a layer with negative outputs they show two, the second in the order in which it reads."""
    rng = np.random.default_rng(2)
    outputs = rng.uniform(0.2, 0.9, (2, 4, 4)).astype(np.float32)
    outputs[..., 0] *= sign
    outputs[1, :2, 2:] = 0  # a row of two real steps: half of the units opens late,
    outputs[1, 2:, :2] = 0  # the other half shuts
    outputs[1, 2:, 2:] = 0.5
    state = outputs[[0, 1], [3, 1]]
    report = rnninspect.inspect(outputs, state, lengths=[4, 2])
    assert [f.rule for f in report.findings if f.severity == "error"] == named
