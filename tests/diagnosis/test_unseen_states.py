"""States that no output tells are held against a run of the weights; torch's own numbers are the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = [6, 2, 4, 3]
OTHER_ROWS = [1, 0, 3, 2]


def ran(kind: str, layers: int, packed: bool = True) -> tuple[dict[str, Any], np.ndarray, np.ndarray | None]:
    """The keywords of an inspection of a run in torch, and its h and c."""
    torch.manual_seed(0)
    layer = getattr(torch.nn, kind)(3, 5, layers, batch_first=True)
    inputs = torch.randn(4, 6, 3)
    rows = torch.nn.utils.rnn.pack_padded_sequence(inputs, torch.tensor(LENGTHS), True, enforce_sorted=False)
    with torch.no_grad():
        outputs, state = layer(rows if packed else inputs)
    if packed:
        outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
    h, c = state if isinstance(state, tuple) else (state, None)
    options = {"outputs": outputs, "lengths": LENGTHS, "inputs": inputs, "weights": layer.state_dict()}
    return options, h.numpy(), None if c is None else c.numpy()


def verdict(options: dict[str, Any], h: np.ndarray, c: np.ndarray | None) -> tuple[str, list[str]]:
    state = h if c is None else (h, c)
    report = rnninspect.inspect(final_state=state, convention="torch", rtol=1e-4, atol=1e-5, **options)
    return report.verdict, [finding.rule for finding in report.findings if finding.severity != "note"]


@pytest.mark.parametrize("wrong", [lambda c: c[:, OTHER_ROWS], lambda c: c * 0], ids=["other rows", "zeros"])
def test_a_cell_state_that_the_run_does_not_end_in(wrong: Any) -> None:
    """c of other rows or all zeros is an error though h and the outputs are right; the right c is clean."""
    options, h, c = ran("LSTM", 1)
    assert c is not None
    assert verdict(options, h, c) == ("clean", [])
    assert verdict(options, h, wrong(c)) == ("findings", ["unexplained-state"])


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_lower_layers_state_that_the_run_does_not_end_in(kind: str) -> None:
    """The bottom layer's h, which no output holds, is judged where inputs and weights are given."""
    options, h, c = ran(kind, 2)
    assert verdict(options, h, c) == ("clean", [])
    assert verdict(options, np.stack([h[0, OTHER_ROWS], h[1]]), c) == ("findings", ["unexplained-state"])


def test_rounded_and_unpacked_states_are_none() -> None:
    """A c printed to two decimals is no other c, nor one of an unpacked run whose h was rightly gathered."""
    options, h, c = ran("LSTM", 1)
    assert c is not None
    assert verdict(options, h, np.round(c, 2)) == ("clean", [])
    options, h, c = ran("LSTM", 1, packed=False)
    gathered = options["outputs"].numpy()[np.arange(4), np.array(LENGTHS) - 1][None]
    assert verdict(options, gathered, c)[1] == []
