"""Small decisions within single rules, each at a case in which the other answer would be wrong."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.core.trace import Track, prefix_mask
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case


def test_h_alone_unused_where_few_rows_begin_with_a_c() -> None:
    """h was dropped and c used, but the rows that are tried first begin with c at zero: the c of the others is read."""
    case = correct_case(lengths=np.full(6, 7))
    assert case.batch is not None
    rng = np.random.default_rng(1)
    h, c = rng.uniform(0.2, 0.8, (2, 6, 5)).astype(np.float32)
    c[:4] = 0

    def begun(track: Track) -> Track:
        return replace(track, initial=h, initial_cell=c)

    lost = case.with_tracks(begun).with_tracks(lambda t: replace(t, initial=np.zeros_like(h))).run(case.batch)
    dump = case.with_trace(replace(case.trace, tracks=lost.tracks)).with_tracks(begun)
    (proposal,) = rules()["initial-state-unused"].check(dump)
    assert proposal.message.startswith("rows 0, 1, 2, 3, 4, 5 (of 6): h of the initial state was given")


def test_layers_of_two_widths_are_not_exchanged() -> None:
    """States of another width cannot have been listed in one array with these, directions first or not."""
    case = correct_case(layers=2, directions=2)

    def narrower(track: Track) -> Track:
        return replace(track, final=None if track.final is None else track.final[:, : 5 - track.layer], cell=None)

    rule = rules()["layer-order-reversed"]
    assert list(rule.undo(case))
    assert not list(rule.undo(case.with_tracks(narrower)))


def test_a_row_of_another_mistake_gives_no_length() -> None:
    """Lengths are undone by those that the states show; where a row's state equals no step, none is made up for it."""
    rule, case = rules()["lengths-misaligned"], correct_case()
    wrong = rule.inject(case)
    final = wrong.trace.tracks[0].final
    assert final is not None
    final = final.copy()
    final[wrong.facts[0].mismatched.argmax()] += 1
    for undone in rule.undo(wrong.with_tracks(lambda track: replace(track, final=final))):
        lengths = undone.case.trace.lengths
        assert lengths is not None
        assert sorted(lengths.tolist()) == sorted(case.trace.lengths.tolist())  # type: ignore[union-attr]


def test_doubled_lengths_mask_twice_the_steps() -> None:
    """The mistake that is planted is of the lengths, and of the mask that is made of them."""
    case = correct_case()
    trace = rules()["lengths-rescaled"].inject(case).trace
    lengths = case.trace.lengths
    assert lengths is not None
    assert trace.lengths is not None
    assert trace.lengths.tolist() == [2 * n for n in lengths.tolist()]
    assert np.array_equal(trace.mask, prefix_mask(np.minimum(2 * lengths, case.trace.steps), case.trace.steps))


def test_a_hole_in_a_backward_row_is_where_it_is() -> None:
    """A layer that reads backwards carries its state over a masked step from the later one: that step is named."""
    case = correct_case(directions=2, lengths=np.full(4, 7))
    assert case.batch is not None
    mask = np.ones((4, 7), dtype=np.bool_)
    mask[[0, 1, 2], [2, 3, 4]] = False
    ran = case.run(replace(case.batch, mask=mask, lengths=None, mask_given=True))
    track = ran.track(0, "backward")
    assert track is not None
    assert track.outputs is not None
    for row, step in ((0, 2), (1, 3), (2, 4)):
        track.outputs[row, step] = track.outputs[row, step + 1]
    dump = case.with_trace(replace(case.trace, tracks=(track,)))
    (proposal,) = rules()["mask-hole"].check(dump)
    assert proposal.steps == (2, 3, 4)


@pytest.mark.parametrize(("moved", "accused"), [(0.004, False), (0.3, True)])
def test_a_print_out_that_has_settled_repeats_by_rounding(moved: float, accused: bool) -> None:
    """A row that moved less in its last real step than the print-out kept may be computed on and look repeated."""
    rng = np.random.default_rng(2)
    outputs = rng.uniform(-0.9, 0.9, (4, 8, 6))
    outputs[:, 4] = outputs[:, 3] + moved
    outputs[:, 5:] = outputs[:, 4:5]
    outputs = np.round(outputs, 4)
    report = rnninspect.inspect(outputs, outputs[:, 4].copy(), lengths=[5] * 4, padding="zero")
    assert ("padding-repeats-last-output" in [finding.rule for finding in report.findings]) is accused


@pytest.mark.parametrize(("pooled", "accused"), [(1, False), (2, True)])
def test_most_of_the_rows_that_are_off_hold_the_pool(pooled: int, accused: bool) -> None:
    """Of three rows that equal no step one may be a mean by another mistake; two of them make it the cause."""
    case = correct_case()
    track = case.trace.tracks[0]
    assert track.outputs is not None
    assert track.final is not None
    final = track.final.copy()
    final[[0, 3, 4]] += 0.25
    final[[0, 3, 4][:pooled]] = track.outputs[[0, 3, 4][:pooled]].mean(1)
    wrong = case.with_tracks(lambda t: replace(t, final=final, cell=None))
    assert bool(list(rules()["pooled-state"].check(wrong))) is accused


@pytest.mark.parametrize(("options", "verdict"), [({}, "unjudged"), ({"direction": "forward"}, "findings")])
def test_a_product_of_directions_is_supposed_only_where_none_was_stated(options: dict[str, Any], verdict: str) -> None:
    """Outputs near no state may be a merge of two directions, unless somebody said that there is one."""
    lengths = [7, 5, 6, 4]
    case = correct_case(directions=2, lengths=np.array(lengths), convention="torch")
    forward, backward = case.trace.tracks
    state = np.stack([forward.final, backward.final])  # type: ignore[list-item]
    outputs = forward.outputs * backward.outputs  # type: ignore[operator]
    assert rnninspect.inspect(outputs, state, lengths=lengths, convention="torch", **options).verdict == verdict


def test_one_blank_frame_before_the_data_is_padding() -> None:
    """A single row that begins one frame late: no second blank frame is there to be compared with it."""
    case = correct_case(lengths=np.array([7, 7, 7]))
    assert case.batch is not None
    late = case.batch.inputs.copy()
    late[1, 0] = 0
    ran = case.run(replace(case.batch, inputs=late))
    lengths = np.array([7, 6, 7])
    labelled = replace(case.trace, mask=prefix_mask(lengths, 7), lengths=lengths, tracks=ran.tracks)
    batch = replace(case.batch, inputs=late, lengths=lengths, mask=labelled.mask)
    dump = replace(case.with_trace(labelled), batch=batch)
    (proposal,) = rules()["left-padded"].check(dump)
    assert [row for *_, row in proposal.places] == [1]


@pytest.mark.parametrize(("lengths", "beyond"), [([14, 13, 5, 3], {0, 1}), ([21, 20, 19, 3], {0, 1, 2})])
def test_lengths_before_a_stride_where_no_state_follows_them(lengths: list[int], beyond: set[int]) -> None:
    """Two lengths beyond the time axis, the longest twice as long, are enough where states are all of the last step."""
    track = correct_case(lengths=np.full(4, 7)).trace.tracks[0]
    report = rnninspect.inspect(track.outputs, track.final, lengths=lengths)
    (rescaled,) = (finding for finding in report.findings if finding.rule == "lengths-rescaled")
    assert set(rescaled.rows) == beyond
    assert f"before a stride of {lengths[0] // 7}" in rescaled.message


def _lacking(case: Case) -> dict[str, Case]:
    zeros = np.zeros((case.trace.batch_size, 5), dtype=np.float32)
    return {
        "weights": case.with_weights(None),
        "inputs": replace(case, batch=None),
        "an initial state": case.with_tracks(lambda t: replace(t, initial=zeros, initial_cell=zeros)),
    }


@pytest.mark.parametrize("lack", ["weights", "inputs", "an initial state"])
@pytest.mark.parametrize("name", list(rules()))
def test_what_cannot_be_planted_is_refused(name: str, lack: str) -> None:
    """A mistake is planted, or it is said that it cannot be: whatever the case lacks, or has already."""
    with suppress(CannotInject):
        assert rules()[name].inject(_lacking(correct_case())[lack])
