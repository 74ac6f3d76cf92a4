"""Files that hold what no single call returned are refused by a sentence that says what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
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


BATCHES = {
    "numbers behind": ("outputs_{}", "h_{}", "lengths_{}"),
    "numbers in a list": ("{}.output", "{}.h_n", "{}.seq_lens"),
    "groups": ("train/batch{}/outputs", "train/batch{}/state", "train/batch{}/lens"),
    "words in front": ("b{}_out", "b{}_final", "b{}_n"),
}


@pytest.mark.parametrize("names", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("sizes", [(5, 5), (4, 7, 2)], ids=["of one size", "of three"])
def test_numbered_batches_are_no_layers(sizes: tuple[int, ...], names: tuple[str, ...]) -> None:
    """Lengths, or a mask, of each number that differ say that each is a batch; each alone is judged. Two layers under
    such names share their lengths, and are read as layers."""
    batches, masked = {}, {}
    rng = np.random.default_rng(len(sizes))
    for i, rows in enumerate(sizes):
        lengths = rng.permutation(np.arange(rows) % 8 + 1)
        real = np.arange(lengths.max()) < lengths[:, None]
        outputs = rng.normal(size=(rows, lengths.max(), 3)) * real[..., None]
        state = outputs[np.arange(rows), lengths - 1]
        keys = [name.format(i) for name in names]
        batches |= dict(zip(keys, (outputs, state, lengths), strict=True))
        masked |= dict(zip(keys, (outputs, state, real), strict=True))
        alone = rnninspect.inspect(outputs, state, lengths=lengths)
        assert alone.verdict == "clean"
    for arrays in (batches, masked):
        with pytest.raises(UserError, match=f"of {len(sizes)} batches.*differ.*outputs='{names[0].format(0)}'"):
            rnninspect.inspect(arrays)


@pytest.mark.parametrize("lengths_of_each", [False, True])
def test_numbered_layers_share_their_lengths(lengths_of_each: bool) -> None:
    """Two layers of one run, with the lengths once or once a layer, and numbers of each layer that count no steps."""
    lengths = np.array([6, 2, 4])
    real = np.arange(6) < lengths[:, None]
    layers = [np.random.default_rng(i).normal(size=(3, 6, 4)) * real[..., None] for i in range(2)]
    dump = {f"outputs_{i}": layer for i, layer in enumerate(layers)}
    dump |= {f"h_{i}": layer[np.arange(3), lengths - 1] for i, layer in enumerate(layers)}
    dump |= {f"units_{i}": np.array([4, 4 + 9 * i]) for i in range(2)}
    dump |= {"lengths_0": lengths, "lengths_1": lengths} if lengths_of_each else {"lengths": lengths}
    report = rnninspect.inspect(dump, layers=2)
    assert (report.verdict, len(report.tracks)) == ("clean", 2)
