"""A pair of states is in the order of the framework that the report names, where nothing leaves open which it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = torch.tensor([8, 3, 5, 1, 6])


def _ran(layers: int = 1) -> tuple[torch.nn.LSTM, Any, Any, Any, Any]:
    """A layer, its inputs and outputs, h and c `[L, B, H]` of a right packed run."""
    torch.manual_seed(2)
    layer, x = torch.nn.LSTM(4, 6, layers, batch_first=True), torch.randn(5, 8, 4)
    with torch.no_grad():
        packed, (h, c) = layer(
            torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
        )
    return layer, x, torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0], h, c


@pytest.mark.parametrize("with_weights", [False, True])
@pytest.mark.parametrize("plane", [True, False], ids=["[1, B, H]", "[B, H]"])
def test_a_pair_of_tensors(plane: bool, with_weights: bool) -> None:
    """torch's own `(h, c)` is clean, `(c, h)` named, whichever axes they have."""
    layer, x, outputs, h, c = _ran()
    pair = (h, c) if plane else (h[-1], c[-1])
    more: dict[str, Any] = {"inputs": x, "weights": layer} if with_weights else {}
    assert rnninspect.inspect(outputs, pair, lengths=LENGTHS, **more).verdict == "clean"
    wrong = rnninspect.inspect(outputs, pair[::-1], lengths=LENGTHS, **more)
    assert [f.rule for f in wrong.findings] == ["cell-hidden-swapped"]


@pytest.mark.parametrize("name", ["hidden", "state"])
def test_a_pair_in_a_file_of_torch(name: str, tmp_path: Path) -> None:
    """`torch.save` of a tuple: exchanged it is named, and fix puts h and c in their places."""
    _, _, outputs, h, c = _ran()
    for pair, rules in (((h, c), []), ((c, h), ["cell-hidden-swapped"])):
        path = tmp_path / "dump.pt"
        torch.save({"output": outputs, name: pair, "lengths": LENGTHS}, path)
        assert [f.rule for f in rnninspect.compare(path).findings] == rules
        fixed = rnninspect.fix(path)
        assert np.array_equal(fixed.arrays[f"{name}.0"], h.numpy())
        assert np.array_equal(fixed.arrays[f"{name}.1"], c.numpy())


def test_numbers_of_no_framework_tell_the_order_themselves() -> None:
    """numpy's arrays under names of nobody: either order is right, and said to be taken by the numbers."""
    _, _, outputs, h, c = _ran()
    for pair in ((h, c), (c, h)):
        dump = {"outputs": outputs.numpy(), "lengths": LENGTHS.numpy()}
        dump |= {f"state.{k}": part[0].numpy() for k, part in enumerate(pair)}
        assert rnninspect.inspect(dump).verdict == "clean"


def _kernels(layer: torch.nn.LSTM) -> list[Any]:
    """The weights of one layer as Keras' `get_weights()` lists them: kernel, recurrent kernel, bias."""
    w_ih, w_hh, b_ih, b_hh = (p.detach().numpy() for p in layer.parameters())
    return [w_ih.T.copy(), w_hh.T.copy(), b_ih + b_hh]


@pytest.mark.parametrize("form", ["list", "names", "module"])
def test_a_pair_beside_the_frameworks_weights(form: str) -> None:
    """Weights of a framework that returns h first tell the order of numpy's pair, though no array does: h first is
    clean, c first named. Weights that are said to be another framework's leave the pair to its numbers."""
    layer, x, outputs, h, c = _ran()
    kernels = _kernels(layer)
    names = ("lstm/lstm_cell/kernel", "lstm/lstm_cell/recurrent_kernel", "lstm/lstm_cell/bias")
    weights = {"list": kernels, "names": dict(zip(names, kernels, strict=True)), "module": layer}[form]
    more: dict[str, Any] = {"inputs": x.numpy(), "lengths": LENGTHS.numpy()}
    pair, steps = (h[0].numpy(), c[0].numpy()), outputs.numpy()
    assert rnninspect.inspect(steps, [*pair], weights=weights, **more).verdict == "clean"
    wrong = rnninspect.inspect(steps, [*pair[::-1]], weights=weights, **more)
    assert [f.rule for f in wrong.findings] == ["cell-hidden-swapped"]
    whose = "torch" if form == "module" else "keras"
    assert rnninspect.inspect(steps, [*pair[::-1]], weights=weights, weights_convention=whose, **more).ok
    assert rnninspect.inspect(steps, [*pair[::-1]], **more).verdict == "clean"


def test_pairs_by_direction_are_no_layers_of_directions() -> None:
    """`[(c, h), (c, h)]` of two directions, c first in a framework that returns h first, is named, and not read as the
    h of two layers of which the lower one cannot be judged."""
    torch.manual_seed(2)
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.randn(5, 8, 4), LENGTHS, True, enforce_sorted=False)
    with torch.no_grad():
        steps, (h, c) = torch.nn.LSTM(4, 6, bidirectional=True)(packed)
    outputs = torch.nn.utils.rnn.pad_packed_sequence(steps, batch_first=True)[0].numpy()
    h, c = h.numpy(), c.numpy()
    more: dict[str, Any] = {"lengths": LENGTHS.numpy(), "bidirectional": True}
    for whose, verdict, rules in (("keras", "findings", ["cell-hidden-swapped"]), ("tf1", "clean", [])):
        report = rnninspect.inspect(outputs, [(c[0], h[0]), (c[1], h[1])], convention=whose, **more)
        assert (report.verdict, [f.rule for f in report.findings]) == (verdict, rules)
