"""The cause, and not the one beside it, in runs of torch's own layers; each mistake has a right twin that is let be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.core.trace import Trace, Track, prefix_mask
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from rnninspect.errors import UserError
from tests.support.made import correct_case
from tests.support.pairs import correct

LENGTHS = [5, 4, 4, 2, 1, 3]


def layer(cell: str, layers: int = 1, bidirectional: bool = False) -> Any:
    torch.manual_seed(layers)
    return getattr(torch.nn, cell)(3, 4, layers, batch_first=True, bidirectional=bidirectional)


def batch(lengths: list[int], steps: int | None = None) -> torch.Tensor:
    """Random inputs `[B, T, 3]`, the padding too."""
    return torch.randn(len(lengths), steps or max(lengths), 3, generator=torch.Generator().manual_seed(9))


def packed(rnn: Any, x: torch.Tensor, lengths: list[int]) -> Any:
    output, state = rnn(pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False))
    return pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])[0], state


def named(*arrays: Any, **about: Any) -> list[str]:
    """The rules of errors and warnings."""
    report = rnninspect.inspect(*arrays, **{"convention": "torch", "batch_first": True} | about)
    return [f.rule for f in report.findings if f.severity != "note"]


def test_one_zero_state_was_not_written() -> None:
    """Other short rows, whose last column is zero too, are right: nobody took the last column."""
    output, h = packed(layer("GRU"), batch(LENGTHS), LENGTHS)
    assert named(output, h, lengths=LENGTHS, cell="gru") == []
    h = h.clone()
    h[:, 2] = 0
    assert named(output, h, lengths=LENGTHS, cell="gru") == ["state-never-written"]
    assert named(output, output[:, -1], lengths=LENGTHS, cell="gru") == ["last-column-as-final-state"]


def test_layers_share_h_whatever_c_is() -> None:
    """One h in all layers is seen where every layer's c is its own."""
    output, (h, c) = packed(layer("LSTM", 3), batch(LENGTHS), LENGTHS)
    assert named(output, (h, c), lengths=LENGTHS) == []
    assert named(output, (h[-1:].repeat(3, 1, 1), c), lengths=LENGTHS) == ["layers-share-state"]


def test_states_of_steps_that_were_cut_off_are_not_unexplained() -> None:
    """The inputs have the steps that the lengths count: the outputs were cut, and no padding brings the steps back."""
    lengths, x = [8, 5, 3, 6], batch([8, 5, 3, 6])
    output, h = packed(layer("GRU"), x, lengths)
    (finding,) = rnninspect.inspect(
        output[:, :6], h, lengths=lengths, inputs=x, convention="torch", batch_first=True, cell="gru"
    ).findings
    assert (finding.rule, finding.severity, finding.rows) == ("truncated-time-axis", "error", [0])
    assert "the steps at which row 0 (of 4) end" in finding.message
    assert "pad" not in finding.fix.partition("#")[0]
    with pytest.raises(UserError, match=r"^truncated-time-axis .*run again"):
        rnninspect.fix(output[:, :6], h, lengths=lengths, inputs=x, convention="torch", cell="gru")


def test_a_longer_length_cut_at_the_axis_reads_no_padding_of_its_own() -> None:
    """A run of one step too many reads the last column of a row that ends before it; that is the same mistake."""
    lengths, x, rnn = [6, 3, 4, 5], batch([6, 3, 4, 5]), layer("GRU", bidirectional=True)
    about = {"inputs": x, "weights": rnn.state_dict(), "cell": "gru", "bidirectional": True, "lengths": lengths}
    assert named(packed(rnn, x, [min(6, n + 1) for n in lengths]), **about) == ["off-by-one-length"]
    assert named(packed(rnn, x, lengths), **about) == []


def test_a_pass_over_the_padding_is_named_beside_a_right_forward_half() -> None:
    """Where only the backward half read the padding, no length explains it."""
    lengths, x, rnn = [6, 3, 4, 5], batch([6, 3, 4, 5]), layer("GRU", bidirectional=True)
    (output, h), (through, wrong) = packed(rnn, x, lengths), rnn(x)
    mixed = torch.cat([output[..., :4], through[..., 4:] * (output[..., 4:] != 0)], -1)
    about = {"inputs": x, "weights": rnn.state_dict(), "cell": "gru", "bidirectional": True, "lengths": lengths}
    assert named(mixed, torch.stack([h[0], wrong[1]]), **about) == ["backward-read-padding"]


def test_a_square_batch_may_be_indexed_by_row() -> None:
    """With as many rows as steps, outputs[-1] is one row or one step: both are named."""
    output, _ = layer("GRU")(batch([4, 4, 4, 4]))
    (finding,) = rnninspect.inspect(
        output, output[-1], lengths="full", convention="torch", batch_first=True, cell="gru"
    ).findings
    assert {finding.rule, *finding.alternatives} == {"batch-time-swapped", "row-taken-for-step"}


def test_one_buffer_is_not_a_length_too_large() -> None:
    """Outputs that all equal the last one repeat from step 0 on, whatever the lengths are."""
    for shape in (("lstm", 1, 1), ("gru", 2, 1)):
        aliased = rules()["outputs-aliased"].inject(correct(shape)).with_weights(None)
        assert [f.rule for f in judge(aliased, rules()).findings if f.severity == "error"] == ["outputs-aliased"]


def test_outputs_that_stop_elsewhere_tell_the_lengths_used() -> None:
    """Outputs repeat from the step on at which a row really ended: another row's length, not one step more."""
    case = correct_case("lstm", 1, 1, convention="keras", lengths=np.array([3, 2, 1, 3, 2]))
    sorted_lengths = rules()["lengths-misaligned"].inject(case).with_weights(None)
    errors = [f for f in judge(sorted_lengths, rules()).findings if f.severity == "error"]
    assert [f.rule for f in errors] == ["lengths-misaligned"]
    assert errors[0].evidence["lengths_used"] == [3, 3, 2, 2, 1]
    assert case.batch is not None
    short = case.run(replace(case.batch, mask=prefix_mask([2, 1, 1, 2, 1], case.trace.steps), lengths=None))
    shorter = case.with_trace(replace(case.trace, tracks=short.tracks)).with_weights(None)
    assert "lengths-misaligned" not in {f.rule for f in judge(shorter, rules()).findings}


def test_layers_in_reverse_are_seen_in_rows_of_one_step() -> None:
    """Padding that repeats makes all steps of such a row equal; whose state it is can still be told."""
    case = correct_case("gru", 3, 1, convention="keras", lengths=np.array([1, 1]))
    assert judge(case, rules()).findings == [] or all(f.severity == "note" for f in judge(case, rules()).findings)
    reverse = rules()["layer-order-reversed"].inject(case)
    for wrong in (reverse, reverse.with_weights(None)):
        assert [f.rule for f in judge(wrong, rules()).findings if f.severity == "error"] == ["layer-order-reversed"]


def test_an_order_that_nobody_stated_is_asked_for() -> None:
    """The direction of Flax' `reverse` is stated; what is open is how its outputs stand."""
    rng, lengths = np.random.default_rng(0), np.array([6, 2, 4, 3])
    outputs = np.tanh(rng.normal(size=(4, 6, 5))).astype(np.float32)
    outputs[np.arange(6)[None] >= lengths[:, None]] = 0
    about = {"convention": "flax", "direction": "reverse", "lengths": lengths}
    report = rnninspect.inspect(outputs, outputs[:, 0], **about)
    assert report.verdict == "unjudged"
    assert "keep_order" in report.would_decide
    assert "direction" not in report.would_decide
    assert rnninspect.inspect(outputs, outputs[:, 0], **about, keep_order=True).verdict == "clean"


@pytest.mark.parametrize("other", ["rows-permuted", "off-by-one-length", "lengths-ignored", "layer-order-reversed"])
def test_a_second_run_does_not_hide_another_cause(other: str) -> None:
    """States that are near the outputs of another row, step or layer are of another run, and of that place."""
    case = rules()["state-from-another-run"].inject(rules()[other].inject(correct(("gru", 2, 1))))
    findings = judge(case.with_weights(None), rules()).findings
    assert [f.rule for f in findings if f.severity != "note"] == [other, "state-from-another-run"]


def test_states_between_two_outputs_are_of_neither() -> None:
    """A state that lies between the outputs of two rows is near one of them only if it is clearly nearer."""
    rng, mask = np.random.default_rng(3), prefix_mask([4, 4, 4], 4)
    outputs = rng.uniform(-1, 1, (1, 4, 6)) + rng.uniform(-0.004, 0.004, (3, 4, 6))
    middle = (outputs[[1, 2, 0], -1] + outputs[[2, 0, 1], -1]) / 2
    right = correct_case("gru", 1, 1, lengths=np.array([4, 4, 4])).with_weights(None)
    trace = Trace(mask, (Track(0, "forward", outputs, middle),), np.array([4, 4, 4]))
    case = replace(right, batch=None).with_trace(trace)
    assert "rows-permuted" not in {f.rule for f in judge(case, rules()).findings}


def test_c_of_a_run_over_the_padding_is_not_kept() -> None:
    """h is in the outputs, but the c that is given is of the last column, though each could be of either step."""
    lengths, x, rnn = [5, 4, 4, 3], batch([5, 4, 4, 3]), layer("LSTM")
    output, (h, c) = rnn(x)
    with pytest.raises(UserError, match=r"lengths-ignored: h of .* c is not in these arrays"):
        rnninspect.fix(output, (h, c), lengths=lengths, convention="torch")
    assert rnninspect.fix(output, h, lengths=lengths, convention="torch").report.ok


def test_rows_without_a_step_prove_no_fix() -> None:
    """A dump whose every row is empty, or of one value, is not called mended."""
    outputs, h = np.zeros((2, 3, 4), np.float32), np.full((2, 4), 0.5, np.float32)
    with pytest.raises(UserError, match="whether it is right cannot be judged"):
        rnninspect.fix(outputs, h, lengths=[0, 0], convention="tf1")


@pytest.mark.parametrize("row", [1, 2])
def test_a_zero_h_beside_its_c_was_not_written(row: int) -> None:
    """Proves that zeros in h alone are named in a full row and in a short one, and that h and c as they are are not."""
    output, (h, c) = packed(layer("LSTM"), batch(LENGTHS), LENGTHS)
    assert named(output, (h, c), lengths=LENGTHS) == []
    h = h.clone()
    h[:, row] = 0
    assert named(output, (h, c), lengths=LENGTHS) == ["state-never-written"]
