"""The cause and not its neighbour: runs that look like one mistake and are another, made with the engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import rnninspect
from rnninspect.core.finding import Finding
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import prefix_mask
from rnninspect.core.weights import LayerWeights
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case, random_weights


def findings(case: Case) -> list[Finding]:
    return judge(case, rules()).findings


def names(case: Case) -> list[str]:
    return [f.rule for f in findings(case)]


def told(case: Case, lengths: np.ndarray) -> Case:
    """The case as one whose lengths are said to be these."""
    mask = prefix_mask(lengths, case.trace.steps)
    batch = None if case.batch is None else replace(case.batch, lengths=lengths, mask=mask)
    return replace(case.with_trace(replace(case.trace, lengths=lengths, mask=mask)), batch=batch)


def alone(case: Case) -> Case:
    """The case without inputs and weights."""
    return replace(case.with_weights(None), batch=None)


@pytest.mark.parametrize("lengths", [[7, 5, 3, 6], [5, 3, 7, 1], [7, 2, 5, 4]])
def test_a_stride_rounded_up_is_a_ratio(lengths: list[int]) -> None:
    """Frames halved upwards end every row at ceil(length / 2), whatever the ratio of one odd row looks like."""
    counted = np.array(lengths)
    halved = (counted + 1) // 2
    for steps in (int(halved.max()), 8):
        case = told(alone(correct_case("gru", lengths=halved, steps=steps)), counted)
        assert names(case) == ["lengths-rescaled"]
        assert findings(case)[0].evidence["ratio"] == "1/2"


def test_one_offset_comes_before_a_ratio() -> None:
    """Lengths [6, 5, 4, 4] of a run one short, cut to its longest row, are an offset, though 5/6 would fit too."""
    counted = np.array([6, 5, 4, 4])
    assert names(told(alone(correct_case("gru", lengths=counted - 1, steps=5)), counted)) == ["off-by-one-length"]


def test_a_stride_is_looked_for_before_lengths_are_cut() -> None:
    """Lengths that never reached the layer, eight times its steps, were counted before a stride of eight."""
    case = alone(correct_case("gru", lengths=np.array([5, 5, 5]), steps=5))
    assert names(told(case, np.array([40, 24, 16]))) == ["lengths-rescaled"]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("beyond", [False, True])
def test_wrong_lengths_are_no_carried_state(cell: str, beyond: bool) -> None:
    """Lengths that count one more, and outputs cut of a run over one more: the backward pass began where none says."""
    real = np.array([4, 1, 7, 3])
    if not beyond:
        case = told(correct_case(cell, 1, 2, lengths=real), real + 1)
    else:
        ran = correct_case(cell, 1, 2, lengths=real + 1, steps=8)
        ran = ran.with_tracks(lambda t: replace(t, outputs=None if t.outputs is None else t.outputs[:, :7]))
        assert ran.batch is not None
        batch = replace(ran.batch, inputs=ran.batch.inputs[:, :7])
        mask = prefix_mask(real, 7)
        case = told(replace(ran.with_trace(replace(ran.trace, mask=mask)), batch=batch), real)
    assert "stale-initial-state" not in names(case)
    assert "off-by-one-length" in names(case)


@pytest.mark.parametrize("with_weights", [False, True])
def test_zero_frames_in_front_are_padding(with_weights: bool) -> None:
    """Rows padded with zeros on the left, read by a layer with biases: the lengths count frames, and all of them."""
    rng = np.random.default_rng(0)
    lengths = np.array([4, 2, 7, 3, 6])
    inputs = np.zeros((5, 7, 5), dtype=np.float32)
    for row, n in enumerate(lengths):
        inputs[row, 7 - n :] = rng.normal(size=(n, 5))
    ran = build_case.run_case({"inputs": inputs}, LayerConfig(cell="lstm"), "tf1", weights=random_weights("lstm", 5, 5))
    case = told(ran, lengths)
    assert names(case if with_weights else case.with_weights(None)) == ["left-padded"]


def test_states_listed_by_direction_are_layers_in_another_order() -> None:
    """[D, L, B, H] read as [L, D, B, H]: the top layer's forward state stands where the bottom one's backward does."""
    case = correct_case("gru", 2, 2, lengths=np.array([4, 1, 7, 3]))
    order = [(0, "forward"), (1, "forward"), (0, "backward"), (1, "backward")]
    listed = [case.trace.track(layer, direction) for layer, direction in order]  # type: ignore[arg-type]
    tracks = tuple(
        replace(t, final=other.final, outputs=t.outputs if t.layer == 1 else None)
        for t, other in zip(case.trace.tracks, listed, strict=True)
        if other is not None
    )
    assert names(case.with_trace(replace(case.trace, tracks=tracks))) == ["layer-order-reversed"]


def scaled(layer: LayerWeights, by: float) -> LayerWeights:
    recurrent = None if layer.recurrent_bias is None else layer.recurrent_bias * np.float32(by)
    return replace(layer, bias=layer.bias * np.float32(by), recurrent_bias=recurrent)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_biases_have_their_own_mistakes(cell: str) -> None:
    """Biases alone in another order, counted twice, or lost in one direction, are named as that."""
    case = correct_case(cell, 1, 2)
    assert case.weights is not None
    whole = case.weights

    def turned(layer: LayerWeights) -> LayerWeights:
        order = [0, 2, 1, 3][: len(layer.bias)]
        recurrent = None if layer.recurrent_bias is None else layer.recurrent_bias[order]
        return replace(layer, bias=layer.bias[order], recurrent_bias=recurrent)

    permuted = findings(case.with_weights(replace(whole, layers=tuple(turned(g) for g in whole.layers))))
    assert [f.rule for f in permuted] == ["gate-order"]
    assert "only the bias's gate blocks" in permuted[0].message
    halved = findings(case.with_weights(replace(whole, layers=tuple(scaled(g, 0.5) for g in whole.layers))))
    assert [f.rule for f in halved] == ["bias-dropped"]
    assert "counted twice" in halved[0].message
    lost = replace(whole, layers=tuple(scaled(g, g.direction == "forward") for g in whole.layers))
    ran = case.with_weights(lost).reference
    one = findings(case.with_trace(replace(case.trace, tracks=ran.tracks)))
    assert [(f.rule, f.direction) for f in one] == [("bias-dropped", "backward")]


def test_a_right_state_of_padded_steps_is_no_pool() -> None:
    """A maximum over real steps is a note and says so; over padded ones it is an error."""
    case = alone(correct_case("gru"))
    outputs, mask = case.trace.tracks[0].outputs, case.trace.mask
    assert outputs is not None
    real = np.where(mask[..., None], outputs, -np.inf).max(1).astype(np.float32)
    for final, severity in ((real, "note"), (outputs.max(1), "error")):
        pooled = findings(case.with_tracks(lambda t, final=final: replace(t, final=final)))  # type: ignore[misc]
        assert [(f.rule, f.severity) for f in pooled] == [("pooled-state", severity)]


def test_a_reset_inside_a_row_is_told_with_its_step() -> None:
    """One step of one row starts from zeros and the others carry on: a note that names the place."""
    case = correct_case("gru")
    assert case.batch is not None
    track = case.trace.tracks[0]
    assert track.outputs is not None
    tail = case.run(
        replace(case.batch, inputs=np.roll(case.batch.inputs, -3, axis=1), mask=prefix_mask([0, 0, 4, 0, 0], 7))
    )
    anew = tail.tracks[0].outputs
    assert anew is not None
    outputs = track.outputs.copy()
    outputs[2, 3:] = anew[2, :4]
    final = np.array(track.final)
    final[2] = outputs[2, 6]
    reports = findings(case.with_tracks(lambda t: replace(t, outputs=outputs, final=final)))
    assert [(f.rule, f.severity, f.rows) for f in reports] == [("restarted-within-row", "note", [2])]
    assert reports[0].evidence["restarts"] == [[2, 3]]
    assert "outputs[2, 3]" in reports[0].message


def test_the_first_steps_of_rows_are_of_no_other_scale() -> None:
    """Two steps of rows of 6, 6, 4 and 2: the longest is three times as long, but the row of two ends where it says."""
    case = told(alone(correct_case("gru", lengths=np.array([2, 2, 2, 2]), steps=2)), np.array([6, 6, 4, 2]))
    assert names(case) == ["length-exceeds-time"]


@pytest.mark.parametrize("convention", ["torch", "auto"])
@pytest.mark.parametrize(("layers", "directions", "rows"), [(2, 1, 2), (3, 1, 3), (4, 1, 4), (1, 2, 2), (2, 2, 4)])
def test_as_many_rows_as_tracks_and_a_wrong_statement(layers: int, directions: int, rows: int, convention: str) -> None:
    """States [L*D, B, H] stated as batch-first, where no shape tells: the statement is named, and right it is clean."""
    lengths = np.array([7, 3, 5, 6])[:rows]
    tracks = correct_case("gru", layers, directions, lengths=lengths).trace.tracks
    states = np.stack([np.asarray(t.final) for t in tracks])
    outputs = np.concatenate([np.asarray(t.outputs) for t in tracks if t.layer == layers - 1], -1)
    for stored, wrong in ((states, True), (states.swapaxes(0, 1), False)):
        report = rnninspect.inspect(
            {"output": outputs, "h_n": stored, "lengths": lengths},
            convention=convention,
            batch_first=True,
            layers=layers,
            bidirectional=directions == 2,
            state_batch_first=True,
        )
        assert [f.rule for f in report.findings] == ["state-read-batch-first"] * wrong
        assert report.ok != wrong


def test_backward_outputs_that_begin_with_the_padding_are_in_reversed_time() -> None:
    """A masked go_backwards layer beside a forward one: without weights its blank steps in front tell that it was not
    flipped; where no padding lies in front, the state may as well be read at the wrong end, and that is named."""
    case = alone(correct_case("gru", 1, 2))
    forward, backward = case.trace.tracks
    assert backward.outputs is not None
    whole = replace(case.trace, tracks=(forward, replace(backward, outputs=backward.outputs[:, ::-1])))
    (finding,) = findings(case.with_trace(whole))
    assert (finding.rule, finding.certainty) == ("backward-not-flipped", "proven")
    assert "begin with the padding" in finding.message
    assert finding.rows == [0, 1, 2, 3, 4]
    within = rules()["backward-not-flipped"].inject(correct_case("gru", 1, 2))
    (other,) = findings(alone(within))
    assert (other.rule, other.alternatives) == ("backward-final-at-last-step", ["backward-not-flipped"])


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_rows_and_states_copied_in_another_way(count: int, times: int) -> None:
    """Rows copied one by one beside states copied as a whole, and the other way round: said, and mended by the fix."""
    case = alone(correct_case("gru", lengths=np.array([4, 7, 3, 6])[:count]))
    (track,) = case.trace.tracks
    each, whole = np.repeat(np.arange(count), times), np.tile(np.arange(count), times)
    assert track.outputs is not None
    assert track.final is not None
    for rows, states in ((each, whole), (whole, each)):
        copied = replace(track, outputs=track.outputs[rows], final=track.final[states])
        mask, lengths = case.trace.mask[rows], np.asarray(case.trace.lengths)[rows]
        wrong = case.with_trace(replace(case.trace, mask=mask, lengths=lengths, tracks=(copied,)))
        (finding,) = findings(wrong)
        assert finding.rule == "rows-permuted"
        assert "np.tile" in finding.message
        names_there = {"np": np, "h": track.final[states]}
        exec(finding.fix, names_there)
        mended = wrong.with_tracks(lambda t, h=names_there["h"]: replace(t, final=h))  # type: ignore[misc]
        assert findings(mended) == []


@pytest.mark.parametrize("kind", ["maximum", "mean", "sum"])
def test_a_pool_over_another_rows_length(kind: str) -> None:
    """Pooled over lengths in sorted order, the states say so, an error; over each row's own length, a note."""
    case = alone(correct_case("gru", steps=8))
    (track,) = case.trace.tracks
    lengths = np.asarray(case.trace.lengths)
    assert track.outputs is not None
    full = np.random.default_rng(3).normal(size=track.outputs.shape).astype(np.float32)  # padding that is not zero
    outputs = np.where(case.trace.mask[..., None], track.outputs, full)
    pool = {"maximum": np.max, "mean": np.mean, "sum": np.sum}[kind]
    for used, severity in ((-np.sort(-lengths), "error"), (lengths, "note")):
        final = np.stack([pool(row[:n], 0) for row, n in zip(outputs, used, strict=True)])
        pooled = case.with_trace(replace(case.trace, tracks=(replace(track, outputs=outputs, final=final),)))
        pools = [f for f in findings(pooled) if f.rule == "pooled-state"]
        assert [f.severity for f in pools] == [severity]
        assert f"the {kind} over" in pools[0].message
        assert ("another row's length" in pools[0].message) == (severity == "error")
        if severity == "error":
            rows = pools[0].rows
            assert [pools[0].evidence["lengths_used"][b] for b in rows] == used[rows].tolist()


@pytest.mark.parametrize("other_lengths", [[1, 7, 3, 6, 4], [7, 6, 4, 3, 1]], ids=str)
def test_lengths_of_other_rows_are_not_lengths_ignored(other_lengths: list[int]) -> None:
    """Outputs that stop at other rows' lengths and repeat show a run that had lengths, in another order; those that go
    on to the last column show one that had none."""
    computed = np.random.default_rng(8).normal(size=(5, 7, 6))
    ends = np.minimum(np.arange(7), np.array([4, 1, 7, 3, 6])[:, None] - 1)
    repeated = np.take_along_axis(computed, ends[..., None], 1)
    for outputs, rule in ((repeated, "lengths-misaligned"), (computed, "lengths-ignored")):
        report = rnninspect.inspect(outputs, outputs[:, -1], lengths=other_lengths, convention="keras", cell="gru")
        assert [f.rule for f in report.findings if f.severity == "error"] == [rule]
