"""Two directions joined by hand and never flipped, of which nobody said that they are two; torch's halves stand in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = [9, 3, 5, 2, 7]
STEPS, UNITS = 9, 6
REAL = np.arange(STEPS) < np.array(LENGTHS)[:, None]


def halves(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forward outputs, backward outputs flipped back, and h `[B, 2H]`, all of a packed run."""
    torch.manual_seed(4)
    layer = getattr(torch.nn, kind)(4, UNITS, batch_first=True, bidirectional=True)
    rows = torch.nn.utils.rnn.pack_padded_sequence(torch.randn(5, 9, 4), torch.tensor(LENGTHS), True, False)
    with torch.no_grad():
        packed, state = layer(rows)
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].numpy()
    h = state[0] if isinstance(state, tuple) else state
    return outputs[..., :UNITS], outputs[..., UNITS:], np.concatenate([h[0], h[1]], -1)


def repeated(forward: np.ndarray) -> np.ndarray:
    """The last real output in every masked step, as Keras leaves it."""
    last = np.minimum(np.arange(STEPS), np.array(LENGTHS)[:, None] - 1)
    return np.asarray(forward[np.arange(5)[:, None], last])


def rules(outputs: np.ndarray, h: np.ndarray, **options: Any) -> list[str]:
    report = rnninspect.inspect(outputs, h, mask=REAL, **options)
    return [finding.rule for finding in report.findings if finding.severity != "note"]


@pytest.mark.parametrize("options", [{}, {"convention": "keras"}], ids=["nothing stated", "keras"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_half_that_was_never_flipped(kind: str, options: dict[str, Any]) -> None:
    """The backward half is named, the forward one's padding repeated or zeroed, and not lengths that were ignored;
    flipped back, or stated to be two and flipped, nothing is accused."""
    forward, backward, h = halves(kind)
    for padded in (repeated(forward), forward):
        assert rules(np.concatenate([padded, backward[:, ::-1]], -1), h, **options) == ["backward-not-flipped"]
    assert rules(np.concatenate([repeated(forward), backward], -1), h, **options) == []


def test_fix_flips_and_keeps_the_right_states() -> None:
    """No state is touched, for all are right: the outputs are those of the packed run."""
    forward, backward, h = halves("GRU")
    fixed = rnninspect.fix(np.concatenate([repeated(forward), backward[:, ::-1]], -1), h, mask=REAL)
    assert [change.rule for change in fixed.changes] == ["backward-not-flipped"]
    assert np.array_equal(fixed.arrays["final_state"], h)
    assert np.array_equal(fixed.arrays["outputs"][..., UNITS:], backward)


def test_one_direction_that_read_its_padding_is_no_such_pair() -> None:
    """A GRU of as many units as two halves, run over its padding, ignored its lengths."""
    torch.manual_seed(4)
    layer = torch.nn.GRU(4, 2 * UNITS, batch_first=True)
    with torch.no_grad():
        outputs, h = layer(torch.randn(5, 9, 4))
    assert rules(outputs.numpy(), h[0].numpy()) == ["lengths-ignored"]
