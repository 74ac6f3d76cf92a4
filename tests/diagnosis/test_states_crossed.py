"""h of one direction and c of the other in each other's place: h of both was unpacked before c, not in turn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect

LENGTHS = [8, 3, 5, 1, 6]


def ran(seed: int, units: int = 6) -> tuple[np.ndarray, list[np.ndarray]]:
    """Outputs `[B, T, 2H]` of a packed run, and forward h, forward c, backward h, backward c."""
    torch.manual_seed(seed)
    layer = torch.nn.LSTM(5, units, batch_first=True, bidirectional=True)
    packed = pack_padded_sequence(
        torch.randn(len(LENGTHS), 8, 5), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    outputs, (h, c) = layer(packed)
    states = [h[0], c[0], h[1], c[1]]
    return pad_packed_sequence(outputs, batch_first=True)[0].detach().numpy(), [s.detach().numpy() for s in states]


def arrays(outputs: np.ndarray, h: list[np.ndarray], c: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays under the names to which they were unpacked."""
    return {"outputs": outputs, "forward_h": h[0], "backward_h": h[1], "forward_c": c[0], "backward_c": c[1]}


def named(outputs: np.ndarray, h: list[np.ndarray], c: list[np.ndarray]) -> rnninspect.Report:
    return rnninspect.inspect(arrays(outputs, h, c), lengths=LENGTHS)


@pytest.mark.parametrize("seed", range(5))
def test_states_that_were_unpacked_h_before_c_are_named_and_put_back(seed: int) -> None:
    """One finding, and a fix that gives back what the layer returned; the states in their places are clean."""
    outputs, (h_fw, c_fw, h_bw, c_bw) = ran(seed)
    assert named(outputs, [h_fw, h_bw], [c_fw, c_bw]).verdict == "clean"
    report = named(outputs, [h_fw, c_fw], [h_bw, c_bw])
    assert [(f.rule, f.certainty) for f in report.findings] == [("cell-hidden-swapped", "proven")]
    fixed = rnninspect.fix(arrays(outputs, [h_fw, c_fw], [h_bw, c_bw]), lengths=LENGTHS)
    assert fixed.report.verdict == "clean"
    right = arrays(outputs, [h_fw, h_bw], [c_fw, c_bw])
    assert all(np.array_equal(fixed.arrays[name], array) for name, array in right.items())


def test_the_halves_side_by_side_are_named_too() -> None:
    """One array of h and one of c, in which each holds one direction's h and c."""
    outputs, (h_fw, c_fw, h_bw, c_bw) = ran(3)
    wrong = (np.concatenate([h_fw, c_fw], -1), np.concatenate([h_bw, c_bw], -1))
    assert [f.rule for f in rnninspect.inspect(outputs, wrong, lengths=LENGTHS).findings] == ["cell-hidden-swapped"]


def test_other_places_are_other_mistakes() -> None:
    """h and c exchanged as a whole keep their own words; a state that goes with none is not called c."""
    outputs, (h_fw, c_fw, h_bw, c_bw) = ran(1)
    (whole,) = named(outputs, [c_fw, c_bw], [h_fw, h_bw]).findings
    assert whole.rule == "cell-hidden-swapped"
    assert "in turn" not in whole.message
    noise = np.random.default_rng(0).normal(size=h_fw.shape).astype(np.float32)
    assert "cell-hidden-swapped" not in [f.rule for f in named(outputs, [h_fw, noise], [h_bw, c_bw]).findings]


@pytest.mark.parametrize("seed", range(3))
def test_h_and_c_exchanged_at_every_step_of_a_loop(seed: int) -> None:
    """`c, h = cell(x, (h, c))`: the outputs and h are c; the right loop is clean."""
    torch.manual_seed(seed)
    cell, inputs, mask = torch.nn.LSTMCell(5, 6), torch.randn(5, 8, 5), np.arange(8) < np.array(LENGTHS)[:, None]
    for wrong in (True, False):
        h = c = torch.zeros(5, 6)
        steps = []
        for t in range(8):
            first, second = cell(inputs[:, t], (h, c))
            real = torch.tensor(mask[:, t, None])
            stepped = (second, first) if wrong else (first, second)
            h, c = torch.where(real, stepped[0], h), torch.where(real, stepped[1], c)
            steps.append(h * real)
        dump = {"output": torch.stack(steps, 1), "h_n": h[None], "c_n": c[None], "lengths": np.array(LENGTHS)}
        rules = [f.rule for f in rnninspect.inspect(dump).findings if f.severity == "error"]
        assert ("cell-hidden-swapped" in rules) == wrong
        assert bool(rules) == wrong


@pytest.mark.parametrize("taken", ["fw h, fw c", "fw h, bw h", "fw h, other rows"])
def test_c_of_the_one_half_in_the_place_of_h_of_the_other(taken: str) -> None:
    """With h alone in hand, signs and sizes show it in every row; right halves, and halves of other rows, are none."""
    outputs, (h_fw, c_fw, h_bw, _) = ran(1)
    second = {"fw h, fw c": c_fw, "fw h, bw h": h_bw, "fw h, other rows": h_bw[[2, 0, 1, 4, 3]]}[taken]
    rules = {"fw h, fw c": ["cell-hidden-swapped"], "fw h, bw h": [], "fw h, other rows": ["rows-permuted"]}[taken]
    joined = np.concatenate([h_fw, second], axis=1)
    assert [f.rule for f in rnninspect.inspect(outputs, joined, lengths=LENGTHS, bidirectional=True).findings] == rules
