"""A final state with inputs and weights and without outputs: a run fills them in, and the state is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

import rnninspect
from rnninspect.errors import ShapeError, UserError
from rnninspect.report.report import Report

ROWS, STEPS, FEATURES, UNITS = 4, 7, 3, 5
LENGTHS = [7, 5, 3, 2]
KINDS = ("LSTM", "GRU", "RNN")


def layer_of(kind: str, **options: Any) -> Any:
    torch.manual_seed(5)
    return getattr(torch.nn, kind)(FEATURES, UNITS, batch_first=True, **options)


def inputs_of() -> torch.Tensor:
    return torch.randn(ROWS, STEPS, FEATURES, generator=torch.Generator().manual_seed(1))


def ran(layer: Any, lengths: list[int] | None = LENGTHS) -> Any:
    """What the layer returns as its state: of packed inputs, or of all steps."""
    with torch.no_grad():
        batch = inputs_of()
        return layer(batch if lengths is None else pack_padded_sequence(batch, lengths, batch_first=True))[1]


def h_of(state: Any) -> torch.Tensor:
    return state[0] if isinstance(state, tuple) else state


def judged(state: Any, layer: Any, lengths: Any = LENGTHS, **options: Any) -> Report:
    return rnninspect.inspect(None, state, inputs=inputs_of(), weights=layer, lengths=lengths, **options)


def rules(report: Report) -> list[str]:
    return [f.rule for f in report.findings if f.severity != "note"]


@pytest.mark.parametrize(
    "options", [{}, {"bidirectional": True}, {"num_layers": 2}, {"num_layers": 2, "bidirectional": True}]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_right_state_is_clean_and_one_of_the_padding_is_not(kind: str, options: dict[str, Any]) -> None:
    """The state of packed inputs is where the run ends; the one of a run over the padding is named as such."""
    layer = layer_of(kind, **options)
    right = judged(ran(layer), layer)
    assert (right.verdict, right.convention) == ("clean", "torch")
    assert any(note.startswith("outputs: none were given") for note in right.notes)
    of_padding = rules(judged(ran(layer, None), layer))
    assert set(of_padding) - {"backward-read-padding"} == {"lengths-ignored"}  # a backward half has read it first


@pytest.mark.parametrize("kind", KINDS)
def test_other_rows_and_other_numbers_are_told_apart(kind: str) -> None:
    """A state with its rows in another order is named so; one that no run gives is unexplained."""
    layer = layer_of(kind)
    h = h_of(ran(layer))
    assert rules(judged(h[:, [3, 2, 1, 0]], layer)) == ["rows-permuted"]
    assert rules(judged(h + 0.3, layer)) == ["unexplained-state"]
    assert judged(h.half(), layer).verdict == "clean"


def test_an_off_step_is_found() -> None:
    """The state one step before a row's end is off by one."""
    layer = layer_of("GRU")
    with torch.no_grad():
        outputs = layer(inputs_of())[0]
    early = torch.stack([outputs[row, length - 2] for row, length in enumerate(LENGTHS)])
    assert rules(judged(early, layer)) == ["off-by-one-length"]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_wrongly_converted_weights_are_named(kind: str) -> None:
    """A state that another order of the weights' gates gives names that."""
    layer, turned = layer_of(kind), layer_of(kind)
    with torch.no_grad():
        for parameter in turned.parameters():
            first, second = parameter[:UNITS].clone(), parameter[UNITS : 2 * UNITS].clone()
            parameter[:UNITS], parameter[UNITS : 2 * UNITS] = second, first
    assert rules(judged(ran(layer), turned)) == ["gate-order"]


def test_lengths_that_nobody_stated() -> None:
    """A run over every step is clean; states in the middle are open, unless a backward direction or zeros decide."""
    layer, both = layer_of("GRU"), layer_of("GRU", bidirectional=True)
    assert judged(ran(layer, None), layer, None).verdict == "clean"
    assert judged(ran(layer), layer, None).verdict == "unjudged"
    report = judged(ran(both), both, None)
    assert (report.verdict, report.lengths) == ("clean", LENGTHS)
    padded = inputs_of() * torch.tensor(np.arange(STEPS) < np.array(LENGTHS)[:, None])[..., None]
    assert rnninspect.inspect(None, ran(layer), inputs=padded, weights=layer).lengths == LENGTHS


def test_packed_inputs_bring_their_lengths() -> None:
    """A PackedSequence as inputs says where its rows end."""
    layer = layer_of("LSTM")
    packed = pack_padded_sequence(inputs_of(), LENGTHS, batch_first=True)
    with torch.no_grad():
        state = layer(packed)[1]
    assert rnninspect.inspect(None, state, inputs=packed, weights=layer).verdict == "clean"


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_dump_of_files(batch_first: bool, tmp_path: Path) -> None:
    """The same of files: whichever axis of the inputs is time, which the state's rows tell."""
    layer = torch.nn.LSTM(FEATURES, UNITS, batch_first=batch_first)
    inputs = inputs_of() if batch_first else inputs_of().swapaxes(0, 1)
    with torch.no_grad():
        h, c = layer(pack_padded_sequence(inputs, LENGTHS, batch_first=batch_first))[1]
    torch.save(layer.state_dict(), tmp_path / "w.pt")
    arrays = {"x": inputs.numpy(), "h_n": h.numpy(), "c_n": c.numpy(), "lengths": np.array(LENGTHS)}
    np.savez(tmp_path / "right.npz", **arrays)
    np.savez(tmp_path / "wrong.npz", **{**arrays, "h_n": c.numpy(), "c_n": h.numpy()})
    assert rnninspect.compare(tmp_path / "right.npz", weights=tmp_path / "w.pt").verdict == "clean"
    assert rules(rnninspect.compare(tmp_path / "wrong.npz", weights=tmp_path / "w.pt")) == ["cell-hidden-swapped"]


def test_what_cannot_be_run_is_one_clear_line() -> None:
    """Rows that differ, a width that no layer has, and nothing to run are said with their shapes."""
    layer = layer_of("GRU")
    h = ran(layer)
    with pytest.raises(ShapeError, match=r"\(4, 7, 3\).*\(1, 3, 5\).*no rows in common"):
        judged(h[:, :3], layer)
    with pytest.raises(ShapeError, match=r"\(1, 4, 4\).*ends in layer 0 forward \[4, 5\]"):
        judged(h[:, :, :4], layer)
    with pytest.raises(UserError, match="inputs and weights"):
        rnninspect.inspect(None, h)
    with pytest.raises(ShapeError, match="inputs and weights"):
        rnninspect.inspect({"h_n": h}, weights=layer)
