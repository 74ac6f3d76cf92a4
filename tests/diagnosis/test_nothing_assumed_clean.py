"""What nobody stated and nothing tests is not called clean: padding that inputs show, c, a second direction, layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.diagnosis.evidence.padded_inputs import begins_in_zeros, ends_of_inputs
from rnninspect.errors import ShapeError

LENGTHS = torch.tensor([6, 3, 4, 2])
ROWS, STEPS, FEATURES, UNITS = 4, 6, 3, 5
ORDER = [1, 0, 3, 2]


def batch(pad: float | None = 0.0) -> torch.Tensor:
    """`[4, 6, 3]`, the steps past the lengths at `pad`; None leaves all of them as they are."""
    torch.manual_seed(0)
    x = torch.randn(ROWS, STEPS, FEATURES)
    if pad is not None:
        x[torch.arange(STEPS) >= LENGTHS[:, None]] = pad
    return x


def lstm(**options: Any) -> torch.nn.LSTM:
    torch.manual_seed(1)
    return torch.nn.LSTM(FEATURES, UNITS, batch_first=True, **options)


def packed(layer: torch.nn.LSTM) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """The layer's outputs and states over rows of `LENGTHS`."""
    pack = torch.nn.utils.rnn.pack_padded_sequence(batch(), LENGTHS, batch_first=True, enforce_sorted=False)
    outputs, states = layer(pack)
    return torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0], states


@pytest.mark.parametrize("pad", [0.0, 0.25], ids=["zeros", "one vector"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_weights_do_not_tell_padding_from_data(pad: float, bidirectional: bool) -> None:
    """A run over padding and one over full rows follow from the weights alike: inputs that end in one vector leave it
    unjudged, and what the lengths that they suggest would show is said."""
    layer = lstm(bidirectional=bidirectional)
    x = batch(pad)
    report = rnninspect.inspect(layer(x), inputs=x, weights=layer)
    assert (report.verdict, report.ok) == ("unjudged", False)
    assert "inputs" in report.untested
    assert report.what_if[0].lengths == LENGTHS.tolist()
    assert "lengths-ignored" in report.what_if[0].rules
    assert rnninspect.inspect(layer(x), inputs=x, weights=layer, lengths="full").verdict == "clean"
    assert not rnninspect.inspect(layer(x), inputs=x, weights=layer, lengths=LENGTHS).ok


def test_weights_decide_where_the_inputs_show_no_padding() -> None:
    """Rows whose last steps all differ are taken for whole: a run of the weights could have contradicted everything."""
    layer, x = lstm(), batch(None)
    assert rnninspect.inspect(layer(x), inputs=x, weights=layer).verdict == "clean"
    x[:, :2][LENGTHS < STEPS] = 0
    assert rnninspect.inspect(layer(x), inputs=x, weights=layer).verdict == "unjudged"


def test_ends_of_inputs() -> None:
    """Zeros win; else the vector that most rows repeat at their end, whole rows of it apart; one step alone is data."""
    x = batch(None).numpy()
    assert ends_of_inputs(x) is None
    assert not begins_in_zeros(x)
    assert begins_in_zeros(np.where(np.arange(STEPS)[:, None] < 2, 0, x))
    x[:, -1] = 0.5  # a last token that all rows have
    assert ends_of_inputs(x) is None
    x[1, -3:] = 0.5
    ends = ends_of_inputs(x)
    assert ends is not None
    assert ends.tolist() == [5, 3, 5, 5]
    x[2, -1] = 0
    zeros = ends_of_inputs(x)
    assert zeros is not None
    assert zeros.tolist() == [6, 6, 5, 6]
    assert ends_of_inputs(np.ones_like(x)) is None


def test_a_cell_state_of_other_rows_is_seen_by_its_signs() -> None:
    """h = o * tanh(c): c in another row order is named, c of another size leaves it unjudged, its own is clean."""
    outputs, (h, c) = packed(lstm())
    right = rnninspect.inspect(outputs, (h, c), lengths=LENGTHS, convention="torch")
    assert (right.verdict, right.untested) == ("clean", "")
    report = rnninspect.inspect(outputs, (h, c[:, ORDER]), lengths=LENGTHS, convention="torch")
    assert [f.rule for f in report.findings] == ["rows-permuted"]
    assert report.findings[0].evidence["rows_of_cells"] == ORDER
    assert f"order = [{', '.join(map(str, ORDER))}]" in report.findings[0].fix
    shrunk = rnninspect.inspect(outputs, (h, c / 4), lengths=LENGTHS, convention="torch")
    assert (shrunk.verdict, shrunk.findings) == ("unjudged", [])
    assert "c cannot be" in shrunk.untested


def test_a_cell_state_of_another_activation_is_not_held_against_tanh() -> None:
    """Keras' activation="relu": h = o * relu(c) may exceed tanh(c)."""
    outputs, (h, c) = packed(lstm())
    stated = {"lengths": LENGTHS, "convention": "keras", "activation": "relu"}
    assert rnninspect.inspect(outputs, h[0], cell_state=c[0] / 4, **stated).verdict == "clean"


def test_two_directions_in_a_stack_of_states_may_be_taken_at_one_step() -> None:
    """`[L, B, 2H]` with both halves of `outputs` at the last step fits as one direction too: said, and unjudged."""
    outputs, (h, _) = packed(lstm(num_layers=2, bidirectional=True))
    sides = torch.cat([h[0::2], h[1::2]], -1)  # as fairseq keeps them
    assert rnninspect.inspect(outputs, sides, lengths=LENGTHS).verdict == "clean"
    sides[-1] = outputs[torch.arange(ROWS), LENGTHS - 1]
    report = rnninspect.inspect(outputs, sides, lengths=LENGTHS)
    assert report.verdict == "unjudged"
    assert "two of 5 side by side" in report.untested
    stated = rnninspect.inspect(outputs, sides, lengths=LENGTHS, bidirectional=True)
    assert [f.rule for f in stated.findings] == ["backward-final-at-last-step"]


@pytest.mark.parametrize("convention", ["torch", "auto"])
def test_fewer_layers_states_than_stated_are_refused(convention: str) -> None:
    """`[1, B, H]` is no stack of three layers; `[B, H]` is the top one of them."""
    outputs, (h, _) = packed(lstm())
    with pytest.raises(ShapeError, match=r"\(1, 4, 5\).*3 layer"):
        rnninspect.inspect(outputs, h, lengths=LENGTHS, layers=3, convention=convention)
    assert rnninspect.inspect(outputs, h[0], lengths=LENGTHS, layers=3, convention=convention).verdict == "clean"
