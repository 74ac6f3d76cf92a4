"""A framework's own default is no mistake: right calls have no finding above a note."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.report.report import Report

LENGTHS = [6, 2, 5, 3]
ROWS = np.arange(4)


def batch(seed: int = 0, features: int = 3) -> torch.Tensor:
    return torch.randn(4, 6, features, generator=torch.Generator().manual_seed(seed))


def loud(report: Report) -> list[str]:
    """The findings above a note."""
    return [f.rule for f in report.findings if f.severity != "note"]


@torch.no_grad()
def test_an_unpacked_run_with_a_rightly_gathered_state() -> None:
    """torch computes the padding of a sequence that was not packed: a note, and clean."""
    output, _ = nn.GRU(3, 4, batch_first=True)(batch())
    state = output[torch.arange(4), torch.tensor(LENGTHS) - 1]
    report = rnninspect.inspect(output, state, lengths=LENGTHS, convention="torch")
    assert [(f.rule, f.severity) for f in report.findings] == [("padding-computed", "note")]
    assert report.verdict == "clean"
    report = rnninspect.inspect(output, state, lengths=LENGTHS, convention="torch", padding="zero")
    assert loud(report) == ["padding-computed"]


@torch.no_grad()
@pytest.mark.parametrize("bidirectional", [False, True])
def test_relu_is_tried(bidirectional: bool) -> None:
    """A state dict does not say that an RNN is one of relu; its outputs do, and a run with it decides."""
    torch.manual_seed(1)
    layer = nn.RNN(3, 4, nonlinearity="relu", batch_first=True, bidirectional=bidirectional)
    arguments: dict[str, Any] = {"inputs": batch(), "bidirectional": bidirectional, "convention": "torch"}
    report = rnninspect.inspect(*layer(batch()), weights=layer.state_dict(), **arguments)
    assert (report.findings, report.verdict) == ([], "clean")
    assert any("relu" in note for note in report.notes)
    other = nn.RNN(3, 4, nonlinearity="relu", batch_first=True, bidirectional=bidirectional)
    assert loud(rnninspect.inspect(*layer(batch()), weights=other.state_dict(), **arguments))


@torch.no_grad()
def test_a_layer_read_backwards_alone() -> None:
    """Every row equals step 0: it reads backwards, or the wrong step was taken. That is said, and nobody is accused.

    With the direction stated it is clean where the padding is zeros; where it was computed, nothing says whether the
    pass read it before the real steps, as this one did.
    """
    output, _ = nn.LSTM(3, 4, batch_first=True)(batch().flip(1))
    backward = output.flip(1)
    report = rnninspect.inspect(backward, backward[:, 0], lengths=LENGTHS)
    assert (loud(report), report.verdict) == ([], "unjudged")
    assert "reads backwards" in report.render("findings", width=300)
    report = rnninspect.inspect(backward, backward[:, 0], lengths=LENGTHS, direction="reverse")
    assert (loud(report), report.verdict) == ([], "unjudged")
    masked = backward * (torch.arange(6) < torch.tensor(LENGTHS)[:, None])[..., None]
    report = rnninspect.inspect(masked, masked[:, 0], lengths=LENGTHS, direction="reverse")
    assert (loud(report), report.verdict) == ([], "clean")
    assert loud(rnninspect.inspect(backward, backward[:, 1], lengths=LENGTHS, direction="reverse"))


def test_masked_steps_first() -> None:
    """Keras' go_backwards leaves its outputs in the order read, masked steps first, as zeros."""
    mask = np.arange(6) < np.array(LENGTHS)[:, None]
    outputs = np.random.default_rng(0).normal(size=(4, 6, 3)) * mask[:, ::-1, None]
    report = rnninspect.inspect(outputs, outputs[:, -1], mask=mask)
    assert (loud(report), report.verdict) == ([], "unjudged")
    report = rnninspect.inspect(outputs, outputs[:, -1], mask=mask, convention="keras", go_backwards=True)
    assert (loud(report), report.verdict) == ([], "clean")


@pytest.mark.parametrize("convention", ["auto", "torch", "tf1", "keras"])
def test_a_mask_that_is_false_at_step_0_alone(convention: str) -> None:
    """Where an episode begins is no padding: nothing lies before it that step 0 could repeat."""
    outputs = np.random.default_rng(0).normal(size=(4, 6, 3))
    mask = np.ones((4, 6), dtype=bool)
    mask[[0, 2], 0] = False
    assert loud(rnninspect.inspect(outputs, outputs[:, -1], mask=mask, convention=convention)) == []


@torch.no_grad()
@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("seed", range(3))
def test_a_run_in_a_lower_precision_is_not_held_to_float32(seed: int, precision: torch.dtype) -> None:
    """As under autocast, only the products are rounded; the same numbers of slightly other weights are an error."""
    torch.manual_seed(seed)
    cell, x, h, steps = nn.GRUCell(5, 8), batch(seed, 5), torch.zeros(4, 8), []
    for t in range(6):
        read = (x[:, t].to(precision) @ cell.weight_ih.to(precision).T).float() + cell.bias_ih
        kept = (h.to(precision) @ cell.weight_hh.to(precision).T).float() + cell.bias_hh
        (r, z, n), (hr, hz, hn) = read.chunk(3, 1), kept.chunk(3, 1)
        z = torch.sigmoid(z + hz)
        h = (1 - z) * torch.tanh(n + torch.sigmoid(r + hr) * hn) + z * h
        steps.append(h)
    weights = {f"{name}_l0": tensor for name, tensor in cell.state_dict().items()}
    arguments: dict[str, Any] = {"inputs": x, "lengths": "full", "convention": "torch"}
    report = rnninspect.inspect(torch.stack(steps, 1), h, weights=weights, **arguments)
    assert [(f.rule, f.severity) for f in report.findings] == [("precision-drift", "note")]
    other = {name: tensor + 1e-3 * torch.randn_like(tensor) for name, tensor in weights.items()}
    assert loud(rnninspect.inspect(torch.stack(steps, 1), h, weights=other, **arguments)) == ["unexplained-difference"]


@torch.no_grad()
def test_a_packed_run_without_lengths_is_right() -> None:
    """Beside its weights too: the zeros that end its rows say where they end."""
    layer = nn.LSTM(3, 4, batch_first=True)
    packed, state = layer(pack_padded_sequence(batch(), LENGTHS, batch_first=True, enforce_sorted=False))
    output, _ = pad_packed_sequence(packed, batch_first=True)
    report = rnninspect.inspect(output, state, inputs=batch(), weights=layer.state_dict(), convention="torch")
    assert (report.findings, report.verdict) == ([], "clean")


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2])
def test_summed_directions_are_not_compared(layers: int) -> None:
    """Outputs that are a sum hold no state: unjudged, with the reason; a stack that is stated is judged as one."""
    torch.manual_seed(2)
    output, state = nn.GRU(3, 4, layers, bidirectional=True)(batch().transpose(0, 1))
    summed = output[..., :4] + output[..., 4:]
    report = rnninspect.inspect(summed, state, time_major=True, convention="torch")
    assert (loud(report), report.verdict) == ([], "unjudged")
    assert "sum" in report.untested
    stack = rnninspect.inspect(summed, state, time_major=True, convention="torch", layers=2 * layers)
    assert loud(stack) == ["unexplained-state"]
