"""`final_state` and `reverse_within_lengths` where torch traces them, of packed rows, and by square masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.api import traced_steps
from rnninspect.errors import ShapeError, UserError

torch = pytest.importorskip("torch")

LENGTHS = ([5, 0, 3, 1], [1, 4, 0, 5], [2, 3, 4, 5])
HOLES = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 1, 1, 1], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]], dtype=bool)
WAYS: list[dict[str, Any]] = [
    {},
    {"bidirectional": True},
    {"bidirectional": True, "convention": "keras"},
    {"direction": "reverse", "keep_order": False},
    {"direction": "reverse", "go_backwards": True},
    {"bidirectional": True, "zero_length": "wrap"},
    {"bidirectional": True, "initial_state": np.arange(6.0)},
    {"time_major": True},
]


def _outputs(*shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(1).normal(size=shape))


@pytest.mark.filterwarnings("ignore:`torch.jit.trace` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("told", [WAYS[1], WAYS[-1]], ids=str)
def test_the_lengths_stay_an_input_of_what_is_traced(told: dict[str, Any]) -> None:
    """What was traced with some lengths gives the states, and the turned rows, of others, and of other sizes: no length
    became a constant."""
    turns = {"time_major": True} if "time_major" in told else {}

    def both(outputs: Any, lengths: Any) -> Any:
        turned = rnninspect.reverse_within_lengths(outputs, lengths, **turns)
        return rnninspect.final_state(outputs, lengths, **told), turned

    outputs, wider = _outputs(4, 5, 6), _outputs(4, 7, 6)
    outputs, wider = (x.transpose(0, 1) if turns else x for x in (outputs, wider))
    traced = torch.jit.trace(both, (outputs, torch.tensor(LENGTHS[0])))
    for x, lengths in ((outputs, LENGTHS[1]), (wider, LENGTHS[2])):
        for ours, theirs in zip(traced(x, torch.tensor(lengths)), both(x, torch.tensor(lengths)), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("told", WAYS, ids=str)
def test_traced_operations_give_what_the_others_give(told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """In every way of reading, by lengths, by all of them, by a mask with holes, and of a pair of directions."""
    outputs = _outputs(5, 5, 6)
    means: list[dict[str, Any]] = [{"lengths": [5, 0, 3, 1, 2]}, {"lengths": "full"}, {"mask": torch.from_numpy(HOLES)}]
    means += [{"mask": HOLES[..., None]}]
    turns = {"time_major": True} if "time_major" in told else {}
    pair = {k: v for k, v in told.items() if k not in ("direction", "bidirectional", "initial_state", "go_backwards")}

    def all_ways() -> list[Any]:
        states = [rnninspect.final_state(outputs, **told, **one) for one in means]
        turned = [rnninspect.reverse_within_lengths(outputs, **turns, **one) for one in (means[0], *means[2:])]
        return [*states, *turned, *rnninspect.final_state((outputs, outputs * 2), **pair, **means[0])]

    plain = all_ways()
    monkeypatch.setattr(traced_steps, "is_traced", lambda *_: True)
    for ours, theirs in zip(all_ways(), plain, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_a_packed_sequence_is_turned_as_it_is_packed(enforce_sorted: bool) -> None:
    """Unpacked, it is the padded rows turned round; gradients flow, and turned twice it is as it was."""
    lengths = torch.tensor([5, 3, 3, 1] if enforce_sorted else [1, 5, 3, 3])
    x = _outputs(4, 5, 2).requires_grad_()
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=enforce_sorted)
    turned = rnninspect.reverse_within_lengths(packed)
    padded, ends = torch.nn.utils.rnn.pad_packed_sequence(turned, batch_first=True)
    real = (torch.arange(5) < lengths[:, None])[..., None]
    assert torch.equal(padded, torch.where(real, rnninspect.reverse_within_lengths(x, lengths), 0.0))
    assert torch.equal(ends, lengths)
    assert padded.requires_grad
    assert torch.equal(rnninspect.reverse_within_lengths(turned, lengths).data, packed.data)
    with pytest.raises(UserError, match="brings its own lengths"):
        rnninspect.reverse_within_lengths(packed, lengths + 1)
    with pytest.raises(UserError, match="leave mask="):
        rnninspect.reverse_within_lengths(packed, mask=real)


def test_a_square_mask_beside_time_major_outputs() -> None:
    """`[B, T]`, as it is documented, whatever holes it has; `[T, B]` where only so each row's steps stand together. Of
    one that would be lengths either way nothing is assumed."""
    outputs = _outputs(5, 5, 4).numpy()
    by_row = outputs.swapaxes(0, 1)
    ends = np.arange(5) < np.array([5, 2, 4, 1, 3])[:, None]
    for mask, meant in ((HOLES, HOLES), (ends, ends), (ends.T, ends), (ends[:, ::-1], ends[:, ::-1])):
        wanted = rnninspect.final_state(by_row, mask=meant)
        assert np.array_equal(rnninspect.final_state(outputs, mask=mask, time_major=True), wanted)
        turned = rnninspect.reverse_within_lengths(outputs, mask=mask, time_major=True)
        assert np.array_equal(turned.swapaxes(0, 1), rnninspect.reverse_within_lengths(by_row, mask=meant))
    either = np.arange(5) < np.array([5, 4, 4, 2, 1])[:, None]
    with pytest.raises(ShapeError, match="which differ; give lengths="):
        rnninspect.final_state(outputs, mask=either, time_major=True)
