"""Lists of final states that torch computed, nested as programs nest them: no two are wrongly taken for h and c."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

B, T, F, H = 4, 6, 3, 5
LENGTHS = [6, 2, 4, 3]


def ran(kind: str, layers: int, bidirectional: bool = False) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Outputs, and h and c of every layer and direction in torch's order."""
    torch.manual_seed(0)
    layer = getattr(torch.nn, kind)(F, H, layers, batch_first=True, bidirectional=bidirectional)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.randn(B, T, F), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        outputs, state = layer(packed)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
    h, c = state if isinstance(state, tuple) else (state, state[:0])
    return outputs.numpy(), list(h.numpy()), list(c.numpy())


def judged(outputs: Any, state: Any, **options: Any) -> tuple[str, set[str]]:
    report = rnninspect.inspect(outputs, state, lengths=LENGTHS, **options)
    return report.verdict, {finding.rule for finding in report.findings}


@pytest.mark.parametrize("convention", ["auto", "keras", "torch"])
@pytest.mark.parametrize("kind", ["GRU", "RNN"])
def test_two_layers_without_a_cell_state_are_no_pair_of_h_and_c(kind: str, convention: str) -> None:
    """The two layers' states of a GRU or RNN, in a list, are right, and a wrong top one is named for what it is."""
    outputs, h, _ = ran(kind, 2)
    assert judged(outputs, h, convention=convention) == ("clean", set())
    assert judged(outputs, [h[0], outputs[:, -1]], convention=convention) == (
        "findings",
        {"last-column-as-final-state"},
    )


@pytest.mark.parametrize("order", ["flat", "layers", "directions"])
def test_layers_and_directions_of_a_gru(order: str) -> None:
    """A bidirectional GRU's four states, flat or nested either way, are right; a wrong one in them is seen."""
    outputs, h, _ = ran("GRU", 2, bidirectional=True)

    def nested(h: list[np.ndarray]) -> Any:
        return {"flat": h, "layers": (h[:2], h[2:]), "directions": (h[::2], h[1::2])}[order]

    assert judged(outputs, nested(h)) == ("clean", set())
    assert judged(outputs, nested([*h[:3], h[3][[1, 0, 3, 2]]]))[0] == "findings"


@pytest.mark.parametrize("order", ["layers", "directions"])
def test_layers_and_directions_of_an_lstm(order: str) -> None:
    """((h, c), (h, c)) of two layers in two directions is read whichever of the two is outside."""
    outputs, h, c = ran("LSTM", 2, bidirectional=True)

    def nested(h: list[np.ndarray]) -> Any:
        pairs = list(zip(h, c, strict=True))
        return (pairs[:2], pairs[2:]) if order == "layers" else (pairs[::2], pairs[1::2])

    assert judged(outputs, nested(h)) == ("clean", set())
    assert judged(outputs, nested([*h[:3], h[3][[1, 0, 3, 2]]])) == ("findings", {"rows-permuted"})


@pytest.mark.parametrize("layers", [2, 3])
def test_a_list_of_h_beside_a_list_of_c(layers: int) -> None:
    """([h, h], [c, c]) is every layer's h and every layer's c; layers by name are read in their order."""
    outputs, h, c = ran("LSTM", layers)
    named = {f"layer_{k}": {"h": h[k], "c": c[k]} for k in reversed(range(layers))}
    assert judged(outputs, (h, c)) == ("clean", set())
    assert judged(outputs, named) == ("clean", set())
    assert judged(outputs, ([*h[:-1], outputs[:, -1]], c))[0] == "findings"


@pytest.mark.parametrize(("layers", "bidirectional"), [(2, False), (2, True)])
def test_a_list_of_h_beside_the_c_of_each(layers: int, bidirectional: bool) -> None:
    """`final_state=[h, h], cell_state=[c, c]`: the list holds no c. The right one is clean, other rows are named; pairs
    of h and c beside c are refused."""
    outputs, h, c = ran("LSTM", layers, bidirectional)
    assert judged(outputs, h, cell_state=c) == ("clean", set())
    moved = [[state[[1, 0, 3, 2]] for state in states] for states in (h, c)]
    assert judged(outputs, moved[0], cell_state=moved[1]) == ("findings", {"rows-permuted"})
    assert judged(outputs, c, cell_state=h) == ("findings", {"cell-hidden-swapped"})
    with pytest.raises(rnninspect.UserError, match="holds a cell state already"):
        judged(outputs, list(zip(h, c, strict=True)), cell_state=c)


def test_an_lstms_own_pair_stays_one() -> None:
    """h and c of one layer are told by their values, exchanged where a framework's order was stated, or not."""
    outputs, h, c = ran("LSTM", 1)
    assert judged(outputs, [h[0], c[0]]) == judged(outputs, [c[0], h[0]]) == ("clean", set())
    assert judged(outputs, [c[0], h[0]], convention="torch") == ("findings", {"cell-hidden-swapped"})
