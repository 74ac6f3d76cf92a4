"""`final_state` and `reverse_within_lengths` against plain loops, in numpy and in torch, and against runs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.errors import ShapeError, UserError

torch = pytest.importorskip("torch")

KINDS = ("numpy", "torch")
ROWS, STEPS, UNITS = 6, 7, 3
HOLES = np.array([[1, 1, 0, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 0, 1, 0],
                  [1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1]], dtype=bool)  # fmt: skip


def as_kind(kind: str, array: np.ndarray) -> Any:
    return torch.from_numpy(array.copy()) if kind == "torch" else array


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def mask_of(lengths: Any) -> np.ndarray:
    return np.arange(STEPS)[None] < np.asarray(lengths)[:, None]


def last_real(outputs: np.ndarray, mask: np.ndarray, backward: bool = False) -> list[list[float]]:
    """Row by row, step by step: the last real step met, or the first; zeros where none is."""
    finals = []
    for row, real in zip(outputs.tolist(), mask.tolist(), strict=True):
        final = [0.0] * len(row[0])
        for step in range(len(row)) if not backward else reversed(range(len(row))):
            if real[step]:
                final = row[step]
        finals.append(final)
    return finals


def turned(x: list[Any], real: list[bool]) -> list[Any]:
    """One row with its real steps in reverse, taken from a stack."""
    stack = [step for step, is_real in zip(x, real, strict=True) if is_real]
    return [stack.pop() if is_real else step for step, is_real in zip(x, real, strict=True)]


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("known_by", ["lengths", "mask", "holes"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_real_step_of_every_row(kind: str, bidirectional: bool, known_by: str, time_major: bool) -> None:
    """As a loop over rows and steps finds it: lengths with zeros, masks, masks with holes; both directions and axes."""
    lengths = np.array([3, 7, 1, 0, 5, 2])
    mask = HOLES if known_by == "holes" else mask_of(lengths)
    outputs = numbers(1, ROWS, STEPS, UNITS * (1 + bidirectional))
    wanted = np.array(last_real(outputs[..., :UNITS], mask))
    if bidirectional:
        wanted = np.concatenate([wanted, last_real(outputs[..., UNITS:], mask, backward=True)], -1)
    stored = outputs.swapaxes(0, 1) if time_major else outputs
    real_steps = {"lengths": as_kind(kind, lengths)} if known_by == "lengths" else {"mask": as_kind(kind, mask)}
    final = rnninspect.final_state(
        as_kind(kind, stored), bidirectional=bidirectional, time_major=time_major, **real_steps
    )
    assert isinstance(final, torch.Tensor) == (kind == "torch")
    assert tuple(final.shape) == wanted.shape
    assert str(final.dtype).endswith("float32")
    assert np.array_equal(np.asarray(final), wanted.astype(np.float32))


@pytest.mark.parametrize("shape", [(ROWS, STEPS), (ROWS, STEPS, UNITS), (ROWS, STEPS, 2, 2)])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_turned_round_within_their_lengths(kind: str, holes: bool, shape: tuple[int, ...]) -> None:
    """As a stack turns them, whatever axes follow; masked steps stay, and twice is as before; time-major likewise."""
    mask = HOLES if holes else mask_of([3, 7, 1, 0, 5, 2])
    real_steps: dict[str, Any] = {"mask": mask} if holes else {"lengths": mask.sum(1)}
    x = numbers(2, *shape)
    wanted = np.array([turned(list(row), real) for row, real in zip(x, mask.tolist(), strict=True)])
    reverse = rnninspect.reverse_within_lengths
    back = reverse(as_kind(kind, x), **real_steps)
    assert isinstance(back, torch.Tensor) == (kind == "torch")
    assert np.array_equal(np.asarray(back), wanted)
    assert np.array_equal(np.asarray(reverse(back, **real_steps)), x)
    in_time = reverse(as_kind(kind, x.swapaxes(0, 1)), time_major=True, **real_steps)
    assert np.array_equal(np.asarray(in_time).swapaxes(0, 1), wanted)


def test_whole_numbers_stay_whole() -> None:
    """Token ids are turned round as they are, of their own dtype."""
    ids = np.array([[7, 8, 9, 0]], dtype=np.int16)
    back = rnninspect.reverse_within_lengths(ids, [3])
    assert back.dtype == np.int16
    assert back.tolist() == [[9, 8, 7, 0]]


def test_gradients_reach_the_steps_taken_and_no_other() -> None:
    """The sum of the final states has gradient 1 at each row's last real step alone, NaN in the padding or not."""
    lengths = torch.tensor([3, 7, 1, 0, 5, 2])
    outputs = torch.randn(ROWS, STEPS, UNITS)
    outputs[~torch.from_numpy(mask_of(lengths))] = float("nan")
    outputs.requires_grad_()
    final = rnninspect.final_state(outputs, lengths)
    assert final[3].tolist() == [0.0] * UNITS
    final.sum().backward()
    wanted = np.zeros((ROWS, STEPS, UNITS))
    for row, length in enumerate(lengths.tolist()):
        if length:
            wanted[row, length - 1] = 1
    assert np.array_equal(outputs.grad.numpy(), wanted)


def test_gradients_go_through_the_reversal() -> None:
    """What weighs the turned rows weighs the steps that they came from."""
    x, weights = torch.randn(2, 4, 1, requires_grad=True), torch.arange(8.0).reshape(2, 4, 1)
    (rnninspect.reverse_within_lengths(x, [3, 4]) * weights).sum().backward()
    assert x.grad[..., 0].tolist() == [[2, 1, 0, 3], [7, 6, 5, 4]]


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_it_is_torchs_own_state(cell: str, batch_first: bool, bidirectional: bool) -> None:
    """Of a packed run it is h_n, padded or packed, bit for bit and with the same gradient in the weights."""
    torch.manual_seed(0)
    layer = getattr(torch.nn, cell)(4, UNITS, batch_first=batch_first, bidirectional=bidirectional)
    lengths = torch.tensor([3, 5, 1])
    x = torch.randn(3, 5, 4) if batch_first else torch.randn(5, 3, 4)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
    output, state = layer(packed)
    h_n = state[0] if cell == "LSTM" else state
    wanted = torch.cat(list(h_n), -1)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first)
    for outputs, more in ((padded, {"lengths": lengths}), (output, {})):
        final = rnninspect.final_state(outputs, bidirectional=bidirectional, time_major=not batch_first, **more)
        assert torch.equal(final, wanted)
        ours = torch.autograd.grad(final.square().sum(), layer.weight_ih_l0, retain_graph=True)
        theirs = torch.autograd.grad(wanted.square().sum(), layer.weight_ih_l0, retain_graph=True)
        assert torch.allclose(ours[0], theirs[0], atol=1e-6)


@pytest.mark.parametrize(("convention", "more"), [
    ("tf1", {}), ("flax", {}), ("onnx", {}), ("keras", {"direction": "reverse"}),
    ("flax", {"direction": "reverse"}), ("flax", {"direction": "reverse", "keep_order": True}),
    ("keras", {"go_backwards": True}), ("tf1", {"bidirectional": True}), ("flax", {"bidirectional": True}),
])  # fmt: skip
def test_an_empty_row_ends_as_the_framework_has_it(convention: str, more: dict[str, Any]) -> None:
    """Of a run with a row of length 0, in every order of time: the state that the run itself ended in."""
    inputs = numbers(3, 4, 5, 2)
    trace = rnninspect.run(inputs, lengths=[3, 0, 5, 1], cell="gru", convention=convention, seed=3, **more)
    outputs = np.concatenate([t.outputs for t in trace.tracks], -1)
    wanted = np.concatenate([t.final for t in trace.tracks], -1)
    final = rnninspect.final_state(outputs, [3, 0, 5, 1], convention=convention, **more)
    assert np.array_equal(final, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_empty_row_ends_in_can_be_stated(kind: str) -> None:
    """Its initial state, its last masked step, or zeros; a pair of directions comes back as a pair."""
    outputs, initial = numbers(4, 2, 3, 4), numbers(5, 2, 4)
    halves = tuple(as_kind(kind, outputs[..., part]) for part in (slice(0, 2), slice(2, 4)))
    whole = as_kind(kind, outputs)
    state = as_kind(kind, initial)
    both = {"lengths": [0, 2], "bidirectional": True}
    assert rnninspect.final_state(whole, initial_state=state, **both)[0].tolist() == initial[0].tolist()
    assert rnninspect.final_state(whole, zero_length="zero", initial_state=state, **both)[0].tolist() == [0] * 4
    wrapped = rnninspect.final_state(whole, zero_length="wrap", **both)[0].tolist()
    assert wrapped == [*outputs[0, 2, :2].tolist(), *outputs[0, 0, 2:].tolist()]
    forward, backward = rnninspect.final_state(halves, [0, 2], initial_state=(state[:, :2], state[:, 2:]))
    assert forward.tolist() == [initial[0, :2].tolist(), outputs[1, 1, :2].tolist()]
    assert backward.tolist() == [initial[0, 2:].tolist(), outputs[1, 0, 2:].tolist()]


def test_full_rows_are_stated() -> None:
    """`full` takes the last column; without a word the last column is not guessed."""
    outputs = numbers(6, 2, 3, 4)
    assert np.array_equal(rnninspect.final_state(outputs, "full"), outputs[:, -1])
    with pytest.raises(UserError, match="which steps are real"):
        rnninspect.final_state(outputs)


@pytest.mark.parametrize(("shape", "real_steps", "phrase"), [
    ((2, 3), {"lengths": [1, 2]}, "units are needed"),
    ((2, 0, 3), {"lengths": [0, 0]}, "units are needed"),
    ((2, 3, 4), {"lengths": [1, 4]}, "lengths[1] is 4"),
    ((2, 3, 4), {"lengths": [1, 2, 3]}, "2 rows"),
    ((2, 3, 4), {"lengths": [1, -2]}, "lengths[1] is -2"),
    ((2, 3, 4), {"lengths": "all"}, "all"),
    ((2, 3, 4), {"lengths": [1, 2], "direction": "backward"}, "one of forward, reverse, bidirectional"),
    ((2, 3, 4), {"lengths": [1, 2], "direction": "reverse", "bidirectional": True}, "contradicts"),
    ((2, 3, 3), {"lengths": [1, 2], "bidirectional": True}, "odd number"),
    ((2, 3, 4), {"mask": np.ones((3, 2))}, "mask is (3, 2)"),
    ((2, 3, 4), {"lengths": [1, 2], "mask": np.ones((2, 3))}, "disagree"),
    ((3, 3, 4), {"mask": np.tri(3), "time_major": True}, "differ"),
    ((2, 3, 4), {"lengths": [0, 2], "initial_state": np.ones((3, 4))}, "initial_state is (3, 4)"),
    (
        (2, 3, 4),
        {"lengths": [0, 2], "bidirectional": True, "initial_state": np.ones((2, 2, 2))},
        "initial_state is (2, 2, 2): it must be as wide as the result, (2, 4), or a tuple",
    ),
    ((2, 3, 4), {"lengths": [0, 2], "zero_length": "last"}, "last"),
])  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_fit_is_refused(
    kind: str, shape: tuple[int, ...], real_steps: dict[str, Any], phrase: str
) -> None:
    """In one line that names the shape or the row, in both kinds."""
    with pytest.raises(UserError) as caught:
        rnninspect.final_state(as_kind(kind, numbers(7, *shape)), **real_steps)
    assert phrase in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_alone_cannot_be_turned() -> None:
    """A vector has no steps, and nothing is turned without lengths."""
    with pytest.raises(ShapeError, match="rows and steps"):
        rnninspect.reverse_within_lengths(np.ones(3), [1, 2, 3])
    with pytest.raises(UserError, match="which steps are real"):
        rnninspect.reverse_within_lengths(np.ones((2, 3)))


@pytest.mark.parametrize("kind", KINDS)
def test_complex_numbers_are_refused_in_both_kinds(kind: str) -> None:
    """No layer gives them, and a tensor is no exception."""
    with pytest.raises(ShapeError, match="complex64; numbers are needed"):
        rnninspect.reverse_within_lengths(as_kind(kind, np.ones((2, 3), np.complex64)), [1, 2])


def test_another_frameworks_array_is_not_made_numpys() -> None:
    """Its gradient would be lost in silence."""

    class Foreign:
        shape, dtype = (2, 3, 4), "float32"

    with pytest.raises(UserError, match=r"np\.asarray\(outputs\)"):
        rnninspect.final_state(Foreign(), [1, 2])


def test_numpy_needs_no_torch() -> None:
    """Arrays of numpy are served without torch being imported."""
    code = (
        "import numpy as np, rnninspect, sys\n"
        "rnninspect.final_state(np.ones((2, 3, 4)), [1, 2])\n"
        "rnninspect.reverse_within_lengths(np.ones((2, 3)), [1, 2])\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_mask_for_each_head_is_read_as_one() -> None:
    """`[B*heads, T, T]`, of padding alone or causal as well; heads that differ are refused."""
    real = mask_of([3, 7, 1, 2])
    outputs = numbers(7, 4, *real.shape[1:], UNITS)
    for of_queries in (np.ones((7, 7), dtype=bool), np.tri(7, dtype=bool)):
        mask = np.repeat(real[:, None] & of_queries, 2, 0)
        assert rnninspect.final_state(outputs, mask=mask).tolist() == last_real(outputs, real)
    mask[0, :, 1] = False
    with pytest.raises(ShapeError):
        rnninspect.final_state(outputs, mask=mask)
