"""Files of torch that hold by place what no single call returned are refused by a sentence that says what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import rnninspect
from rnninspect.errors import UserError

LENGTHS = [8, 3, 5, 2, 6]


def _call(kind: str, seed: int) -> tuple[Any, Any]:
    """What a right packed call returned."""
    torch.manual_seed(seed)
    pack = torch.nn.utils.rnn.pack_padded_sequence(
        torch.randn(5, 8, 4), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        packed, state = getattr(torch.nn, kind)(4, 6, batch_first=True)(pack)
    return torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0], state


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_results_of_several_calls(kind: str, tmp_path: Path) -> None:
    """They are no stack of layers; each alone, in a file or picked by name, is right."""
    path = tmp_path / "calls.pt"
    torch.save([_call(kind, 1), _call(kind, 2)], path)
    with pytest.raises(UserError, match="results of 2 calls"):
        rnninspect.compare(path, lengths=LENGTHS)
    state = "1.1.0" if kind == "LSTM" else "1.1"
    assert rnninspect.compare(path, outputs="1.0", state=state, lengths=LENGTHS).verdict == "clean"
    torch.save(_call(kind, 1), path)
    assert rnninspect.compare(path, lengths=LENGTHS).verdict == "clean"


def test_a_pair_of_states_without_outputs(tmp_path: Path) -> None:
    """`torch.save((h_n, c_n))` holds no outputs, in either order. Outputs and
    state of one step, which have one shape too, are still read."""
    _, (h, c) = _call("LSTM", 1)
    for pair in ((h, c), (c, h)):
        torch.save(pair, tmp_path / "state.pt")
        with pytest.raises(UserError, match="are the h and c of one state"):
            rnninspect.compare(tmp_path / "state.pt", lengths=LENGTHS)
    torch.manual_seed(1)
    with torch.no_grad():
        one_step = torch.nn.GRU(4, 6)(torch.randn(1, 5, 4))
    torch.save(one_step, tmp_path / "one.pt")
    assert rnninspect.compare(tmp_path / "one.pt").verdict != "findings"
