"""Inputs padded in front and lengths counted from the first step: the run read the padding in place of the data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.report.report import Report

LENGTHS = [13, 4, 9, 2, 11, 6]


def padded_inputs(lengths: list[int], steps: int, symbol: float = 0.0, behind: bool = False) -> torch.Tensor:
    """`[B, T, 5]`: every row's frames, and `symbol` in all units of the padding before them, or behind."""
    frames = torch.randn(len(lengths), steps, 5, generator=torch.Generator().manual_seed(3))
    for row, length in enumerate(lengths):
        padding = slice(length, None) if behind else slice(0, steps - length)
        frames[row, padding] = symbol
    return frames


def packed_run(layer: torch.nn.RNNBase, inputs: torch.Tensor, lengths: list[int], total: int | None) -> tuple:
    """Outputs and state of a packed run, which reads `lengths` steps from the first on."""
    packed = pack_padded_sequence(inputs, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    outputs, state = layer(packed)
    return pad_packed_sequence(outputs, batch_first=True, total_length=total)[0], state


def named(report: Report) -> list[tuple[str, str]]:
    return [(finding.rule, finding.severity) for finding in report.findings]


@pytest.mark.parametrize(("kind", "two"), list(itertools.product(["LSTM", "GRU", "RNN"], [False, True])))
def test_padding_in_front_of_a_packed_run(kind: str, two: bool) -> None:
    """With lengths, with weights too, and with lengths that the zeroed outputs tell; the fix runs the layer again."""
    layer = getattr(torch.nn, kind)(5, 7, batch_first=True, bidirectional=two)
    inputs = padded_inputs(LENGTHS, 13)
    outputs, state = packed_run(layer, inputs, LENGTHS, 13)
    for more in ({"lengths": LENGTHS}, {"lengths": LENGTHS, "weights": layer.state_dict()}, {}):
        report = rnninspect.inspect(outputs, state, inputs=inputs, **more)
        assert named(report) == [("left-padded", "error")], list(more)
        assert report.findings[0].rows == [1, 2, 3, 4, 5]
        assert "outputs = " not in report.findings[0].fix


def test_the_fix_and_a_new_run_are_clean() -> None:
    """The plain code moves the inputs' rows to the front; the layer run again is right, and nothing else is."""
    layer = torch.nn.GRU(5, 7, batch_first=True)
    inputs = padded_inputs(LENGTHS, 13)
    outputs, state = packed_run(layer, inputs, LENGTHS, 13)
    arrays = {"outputs": outputs.detach().numpy(), "h": state[0].detach().numpy(), "inputs": inputs.numpy()}
    (finding,) = rnninspect.inspect(arrays, lengths=LENGTHS).findings
    names = {"np": np, "inputs": inputs.numpy(), "lengths": np.array(LENGTHS)}
    exec(finding.fix, names)
    moved = torch.tensor(names["inputs"])
    assert all(moved[row, :n].all() and not moved[row, n:].any() for row, n in enumerate(LENGTHS))
    outputs, state = packed_run(layer, moved, LENGTHS, 13)
    assert named(rnninspect.inspect(outputs, state, inputs=moved, lengths=LENGTHS, weights=layer.state_dict())) == []


def test_an_embedded_symbol_in_front_is_padding_too() -> None:
    """One vector before the rows, as many times as each is short, is a padding symbol that was looked up."""
    layer, inputs = torch.nn.GRU(5, 7, batch_first=True), padded_inputs(LENGTHS, 13, symbol=0.5)
    outputs, state = packed_run(layer, inputs, LENGTHS, 13)
    assert named(rnninspect.inspect(outputs, state, inputs=inputs, lengths=LENGTHS)) == [("left-padded", "error")]


def test_outputs_shorter_than_inputs_padded_in_front() -> None:
    """No row fills the inputs, and the outputs end with the longest row: all of them are padded in front."""
    lengths = [9, 4, 2, 6]
    layer, inputs = torch.nn.LSTM(5, 7, batch_first=True), padded_inputs(lengths, 12)
    outputs, state = packed_run(layer, inputs, lengths, None)
    report = rnninspect.inspect(outputs, state, inputs=inputs, lengths=lengths)
    assert ("left-padded", "error") in named(report)
    assert report.findings[0].rows == [0, 1, 2, 3]


def test_a_state_gathered_at_the_lengths_of_an_unmasked_run() -> None:
    """Outputs of every step, and a state taken at `length - 1`, which is in the middle of the padding or the data."""
    layer, inputs = torch.nn.GRU(5, 7, batch_first=True), padded_inputs(LENGTHS, 13)
    outputs, _ = layer(inputs)
    state = outputs[torch.arange(6), torch.tensor(LENGTHS) - 1]
    assert ("left-padded", "error") in named(rnninspect.inspect(outputs, state, inputs=inputs, lengths=LENGTHS))


@pytest.mark.parametrize("two", [False, True])
def test_padding_behind_is_right(two: bool) -> None:
    """The right twin: the same lengths, the padding behind, be it zeros or a symbol."""
    layer = torch.nn.LSTM(5, 7, batch_first=True, bidirectional=two)
    for symbol in (0.0, 0.5):
        inputs = padded_inputs(LENGTHS, 13, symbol, behind=True)
        outputs, state = packed_run(layer, inputs, LENGTHS, 13)
        assert rnninspect.inspect(outputs, state, inputs=inputs, lengths=LENGTHS).verdict == "clean"


@pytest.mark.parametrize(
    ("lengths", "steps", "symbol", "verdict"),
    [
        (LENGTHS, 13, 0.0, "findings"),
        (LENGTHS, 13, 0.5, "findings"),  # an embedded symbol
        (LENGTHS, 15, 0.0, "findings"),  # no row fills the batch
        ([13, 4, 2], 13, 0.0, "unjudged"),  # short rows read nothing but padding, or are zero by themselves
        ([13, 8], 13, 0.0, "unjudged"),  # as many zeros as a single row is short of
        ([13, 12, 11], 13, 0.0, "clean"),  # three zeros in all may be how rows begin
    ],
)
def test_a_batch_flipped_as_a_whole_and_packed(lengths: list[int], steps: int, symbol: float, verdict: str) -> None:
    """The recorder has the packed steps alone: they begin in the padding, and the last data is in none of them."""
    layer, inputs = torch.nn.GRU(5, 7, batch_first=True), padded_inputs(lengths, steps, symbol, behind=True)
    for turned, expected in (
        (inputs.flip(1), verdict),
        (rnninspect.reverse_within_lengths(inputs, torch.tensor(lengths)), "clean"),
    ):
        with rnninspect.record(layer, lengths=lengths) as recording:
            packed_run(layer, turned, lengths, None)
        (report,) = recording.inspect()
        assert report.verdict == expected
        assert named(report) == ([("left-padded", "error")] if expected == "findings" else [])
        assert (len(report.findings[0].rows) == len(lengths) - (steps == 13)) if report.findings else True


@pytest.mark.parametrize("start", [0.0, 0.5])
def test_a_first_frame_of_every_row_is_no_padding(start: float) -> None:
    """Rows that all begin in one start frame and are read up to their last but one: nothing is padded in front."""
    layer, inputs = torch.nn.GRU(5, 7, batch_first=True), padded_inputs([8] * 4, 8)
    inputs[:, 0] = start
    outputs, state = packed_run(layer, inputs, [7] * 4, 8)
    assert "left-padded" not in dict(named(rnninspect.inspect(outputs, state, inputs=inputs, lengths=[7] * 4)))


def test_a_real_frame_of_zeros_in_one_row_is_not_padding_of_all() -> None:
    """One row led by zeros, and another with a zero frame inside: the data has zeros, which were not counted."""
    layer, inputs = torch.nn.GRU(5, 7, batch_first=True), padded_inputs([8] * 4, 8)
    inputs[1, :2] = 0
    inputs[2, 4] = 0
    lengths = [8, 6, 7, 8]
    outputs, state = packed_run(layer, inputs, lengths, 8)
    assert "lengths-from-zeros" in dict(named(rnninspect.inspect(outputs, state, inputs=inputs, lengths=lengths)))


def masked_run(kind: str, lengths: list[int], steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs padded in front and the outputs of a run that was told so: zeros before each row's own steps."""
    layer, inputs = getattr(torch.nn, kind)(5, 7, batch_first=True), padded_inputs(lengths, steps)
    outputs = torch.zeros(len(lengths), steps, 7)
    for row, length in enumerate(lengths):
        outputs[row, steps - length :] = layer(inputs[row : row + 1, steps - length :])[0][0].detach()
    return inputs, outputs


@pytest.mark.parametrize(("kind", "lengths"), [("GRU", LENGTHS), ("LSTM", [8, 3, 5, 1, 6]), ("RNN", [6, 5, 5, 4])])
def test_a_state_counted_from_the_front_of_a_masked_run(kind: str, lengths: list[int]) -> None:
    """Where the outputs are zero in front, step length - 1 is not the end: with lengths, with inputs, with the mask."""
    inputs, outputs = masked_run(kind, lengths, max(lengths))
    state = outputs[torch.arange(len(lengths)), torch.tensor(lengths) - 1]
    mask = np.arange(max(lengths)) >= max(lengths) - np.array(lengths)[:, None]
    for more in ({"lengths": lengths}, {"lengths": lengths, "inputs": inputs}, {"mask": mask}):
        report = rnninspect.inspect(outputs, state, direction="forward", **more)
        assert named(report) == [("left-padded", "error")], list(more)


def test_the_mask_puts_a_state_counted_from_the_front_right() -> None:
    """The fix gathers at the mask's last step, which is the end of every row."""
    _, outputs = masked_run("GRU", [10, 4, 6, 9, 3], 10)
    lengths = np.array([10, 4, 6, 9, 3])
    mask = np.arange(10) >= 10 - lengths[:, None]
    fixed = rnninspect.fix(outputs, outputs[np.arange(5), lengths - 1], mask=mask, direction="forward")
    assert np.array_equal(fixed.arrays["final_state"], outputs[:, -1])


def test_the_right_end_of_a_masked_run_is_right() -> None:
    """The twin: the state is the last column, and the mask or nothing says where the padding is."""
    _, outputs = masked_run("GRU", LENGTHS, 13)
    mask = np.arange(13) >= 13 - np.array(LENGTHS)[:, None]
    assert rnninspect.inspect(outputs, outputs[:, -1], mask=mask, direction="forward").verdict == "clean"


@pytest.mark.parametrize("lengths", [[7, 3, 3], [9, 4, 4, 4]])
def test_rows_of_one_length_padded_in_front_are_no_other_step(lengths: list[int]) -> None:
    """Beside weights too, whose run ends elsewhere, no second cause says that another step was taken."""
    layer, inputs = torch.nn.LSTM(5, 7, batch_first=True), padded_inputs(lengths, max(lengths))
    outputs, state = layer(inputs)
    report = rnninspect.inspect(outputs, state, lengths=lengths, inputs=inputs, weights=layer)
    assert named(report) == [("left-padded", "error")]


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("evidence", ["weights", "inputs", "nothing"])
def test_padding_in_front_that_a_layer_reads_without_a_mask(kind: str, evidence: str) -> None:
    """Proves that a mask which puts padding before the data is held against what the layer did: padding that it read is
    an error with inputs and weights, or with blank inputs on which the outputs move; with neither it is open."""
    torch.manual_seed(1)
    layer, mask = getattr(torch.nn, kind)(5, 7, batch_first=True), np.arange(13) >= 13 - np.array(LENGTHS)[:, None]
    inputs = padded_inputs(LENGTHS, 13)
    more = {"weights": {"inputs": inputs, "weights": layer}, "inputs": {"inputs": inputs}, "nothing": {}}[evidence]
    report = rnninspect.inspect(*layer(inputs), mask=mask, **more)
    assert report.verdict == ("unjudged" if evidence == "nothing" else "findings")
    assert [name for name in named(report) if name[1] != "note"] == (
        [] if evidence == "nothing" else [("left-padded", "error")]
    )
    if evidence != "nothing":
        assert report.findings[0].certainty == ("proven" if evidence == "weights" else "suspected")
        names = {"np": np, "torch": torch, "x": inputs, "mask": torch.tensor(mask)}
        exec(report.findings[0].fix, names)
        right = packed_run(layer, torch.as_tensor(names["x"]), LENGTHS, 13)
        assert rnninspect.inspect(*right, lengths=LENGTHS, inputs=names["x"], weights=layer).verdict == "clean"


@pytest.mark.parametrize("keeps", ["the carried state", "what the cell gave"])
@pytest.mark.parametrize("with_weights", [True, False])
def test_padding_in_front_that_a_loop_passes_over(keeps: str, with_weights: bool) -> None:
    """Proves that a loop which holds its state over the padding before the data is right, whatever it keeps of it."""
    torch.manual_seed(1)
    cell, mask = torch.nn.GRUCell(5, 7), np.arange(13) >= 13 - np.array(LENGTHS)[:, None]
    inputs, h, steps = padded_inputs(LENGTHS, 13), torch.zeros(6, 7), []
    with torch.no_grad():
        for t in range(13):
            new = cell(inputs[:, t], h)
            h = torch.where(torch.tensor(mask[:, t, None]), new, h)
            steps.append(h if keeps == "the carried state" else new)
    more = {"inputs": inputs, **({"weights": cell} if with_weights else {})}
    report = rnninspect.inspect(torch.stack(steps, 1), h, mask=mask, **more)
    assert report.verdict == "clean"
    assert {severity for _, severity in named(report)} <= {"note"}


@pytest.mark.parametrize(("kind", "layers"), [("LSTM", 1), ("GRU", 2)])
def test_computed_padding_moved_to_the_front_with_its_row(kind: str, layers: int) -> None:
    """Proves that weights tell outputs whose padding was computed, and that were then moved, from lengths that were
    ignored: the run gives the one's outputs as they lie, and the other's only once they are moved to the front."""
    torch.manual_seed(2)
    layer, inputs = getattr(torch.nn, kind)(5, 7, layers, batch_first=True), padded_inputs(LENGTHS, 13, behind=True)
    outputs = layer(inputs)[0].detach()
    _, state = packed_run(layer, inputs, LENGTHS, 13)
    moved = torch.stack([row.roll(13 - n, 0) for row, n in zip(outputs, LENGTHS, strict=True)])
    more = {"lengths": LENGTHS, "inputs": inputs, "weights": layer}
    assert "left-padded" in dict(named(report := rnninspect.inspect(moved, state, **more)))
    assert not {"lengths-ignored", "unexplained-difference"} & {f.rule for f in report.findings}
    assert "left-padded" not in dict(named(rnninspect.inspect(outputs, state, **more)))
    assert "lengths-ignored" in dict(named(rnninspect.inspect(*layer(inputs), **more)))


@pytest.mark.parametrize(("lengths", "moved"), [([1, 1, 5], False), ([1, 2, 5], False), ([1, 2, 5], True)])
def test_the_last_column_of_rows_of_one_step_is_no_padding_in_front(lengths: list[int], moved: bool) -> None:
    """`outputs[:, -1]` of two directions is where rows of one step would begin that are padded in front: that alone is
    the last column, and beside a longer row whose backward half begins further to the front it is such padding."""
    outputs = np.random.default_rng(0).normal(size=(3, 5, 8))
    state, begins = outputs[:, -1].copy(), 5 - np.array(lengths)
    if moved:
        state[:, 4:] = outputs[np.arange(3), begins, 4:]
    rules = {rule for rule, _ in named(rnninspect.inspect(outputs, state, lengths=lengths, bidirectional=True))}
    assert rules == ({"left-padded"} if moved else {"lengths-ignored", "backward-final-at-last-step"})
