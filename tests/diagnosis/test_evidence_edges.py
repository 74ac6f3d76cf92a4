"""What findings rest on, at its edges: fitted clips, whose state a row began with, how far is far, what counts as
undone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Trace, Track, prefix_mask
from rnninspect.diagnosis import build_case, far_from_outputs, two_causes, unexplained
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.parameter_fit import fitted_clip
from rnninspect.diagnosis.evidence.starts import origins
from rnninspect.diagnosis.evidence.weight_changes import changes_of
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.supposed import what_if
from rnninspect.engine import cells
from rnninspect.measure.facts import TrackFacts, measure
from tests.support.made import correct_case, random_weights


@pytest.mark.parametrize("cell_clip", [None, 0.4])
def test_a_clip_of_the_gates_is_sought_beside_one_of_the_cell(cell_clip: float | None) -> None:
    """No clip of the cell state mends the run, or one is stated: the gates' inputs are tried as well."""
    weights = random_weights("lstm", 3, 3, cell_clip=cell_clip, gate_clip=0.5)
    case = correct_case("lstm", weights=weights, lengths=np.array([4, 3]), steps=4, units=3)
    unclipped = case.with_weights(replace(weights, spec=replace(weights.spec, gate_clip=None)))
    fitted = fitted_clip(unclipped)
    assert fitted is not None
    assert (fitted.size, fitted.description) == (0.5, "the gates' inputs clipped at 0.5")


def test_the_recurrent_bias_of_n_leaves_the_reset_gate() -> None:
    """n's recurrent bias is added to n's other bias and is zero then; the biases of r and z stay."""
    weights = random_weights("gru", 3, 4)
    change = next(c for c in changes_of(weights) if "outside the reset gate" in c.description)
    (before,), (after,) = weights.layers, change.apply(weights).layers
    assert before.recurrent_bias is not None
    assert after.recurrent_bias is not None
    for k, gate in enumerate(cells.get("gru").gates):
        moved = before.recurrent_bias[k] if gate == "n" else 0
        assert np.array_equal(after.bias[k], before.bias[k] + moved)
        assert np.array_equal(after.recurrent_bias[k], before.recurrent_bias[k] * (gate != "n"))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("apart", [1, 2, -1])
def test_every_row_began_with_the_state_as_many_rows_away(cell: str, apart: int) -> None:
    """Of ten rows, each begun in the state of the row so many before it (after it), the row is told, -1 where there is
    none: those that are tried on every state first, and the others."""
    count = 10
    case = correct_case(cell, lengths=np.full(count, 4), steps=4)
    assert case.batch is not None
    rng = np.random.default_rng(5)
    h, c = (rng.uniform(-0.9, 0.9, size=(count, 5)).astype(np.float32) for _ in range(2))
    key = case.trace.tracks[0].layer, case.trace.tracks[0].direction
    whose = np.arange(count) - apart
    in_dump = (whose >= 0) & (whose < count)
    start, start_cell = (np.where(in_dump[:, None], a[whose % count], 0.95).astype(np.float32) for a in (h, c))
    lstm = cell == "lstm"
    begun = case.with_tracks(lambda t: replace(t, initial=start, initial_cell=start_cell if lstm else None))
    ran = case.with_trace(replace(case.trace, tracks=begun.run(case.batch).tracks))
    told = origins(ran, ran.facts[0], np.arange(count), {key: (h, c if lstm else None)})
    assert told.tolist() == np.where(in_dump, whose, -1).tolist()


def test_a_row_whose_state_was_told_is_not_told_anew() -> None:
    """Row 1 began with row 0's state, which row 7 ended in too; that row 3 began six rows on does not change it."""
    case = correct_case("gru", lengths=np.full(10, 4), steps=4)
    assert case.batch is not None
    h = np.random.default_rng(5).uniform(-0.9, 0.9, size=(10, 5)).astype(np.float32)
    h[7] = h[0]
    start = np.full((10, 5), 0.95, dtype=np.float32)
    start[1], start[3] = h[0], h[9]
    begun = case.with_tracks(lambda t: replace(t, initial=start))
    ran = case.with_trace(replace(case.trace, tracks=begun.run(case.batch).tracks))
    key = case.trace.tracks[0].layer, case.trace.tracks[0].direction
    told = origins(ran, ran.facts[0], np.arange(10), {key: (h, None)})
    assert told.tolist() == [-1, 0, -1, 9, -1, -1, -1, -1, -1, -1]


def facts_of(outputs: Array, final: Array) -> TrackFacts:
    """Facts of full rows `[B, T, H]`."""
    rows, steps = outputs.shape[:2]
    track = Track(0, "forward", outputs, final)
    facts = measure(Trace(prefix_mask([steps] * rows, steps), (track,), np.full(rows, steps)), track)
    assert facts is not None
    return facts


@pytest.mark.parametrize(
    ("nearest", "far"), [(0.0, False), (0.5, False), (1.0, False), (1.5, True), (60.0, True)]
)  # in parts of FAR times the largest state, which is 8
def test_how_far_from_every_output_is_far(nearest: float, far: bool) -> None:
    """More than a share of the largest state, in every row: no row equals an output, and none is that near."""
    share = far_from_outputs.FAR * 8
    final = np.array([[8.0, 0.0], [1.0, 0.0]])
    outputs = np.full((2, 3, 2), 100.0)
    outputs[:, 1] = [[8.0, nearest * share], [1.0, 90 * share]]
    assert far_from_outputs.is_far(facts_of(outputs, final)) is far


def test_the_origin_of_a_state_is_its_own_row_first() -> None:
    """Of several outputs that a state equals, that of its own row is quoted, and the first step of them."""
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(3, 6, 4)).astype(np.float32)
    outputs[0, 2] = outputs[1, 1] = outputs[1, 3] = outputs[2, 4]
    outputs[2, 0] = outputs[0, 1]
    final = outputs[:, -1].copy()
    final[1], final[2] = outputs[1, 1], outputs[1, 2]
    case = build_case.read_case({"outputs": outputs, "h": final, "lengths": np.full(3, 6)}, LayerConfig(), "torch")
    left = frozenset((0, "forward", row) for row in (1, 2))
    assert dict(unexplained._origins(case, left)) == {1: (1, 1), 2: (1, 2)}


def test_what_undoing_left_as_it_was() -> None:
    """Copies of the same numbers are unchanged, an absent c too; another output, state, c or length is a change."""
    case = correct_case("gru")

    def copied(track: Track, **changed: Array | None) -> Track:
        assert track.outputs is not None
        assert track.final is not None
        return replace(track, **{"outputs": track.outputs.copy(), "final": track.final.copy(), **changed})  # type: ignore[arg-type]

    def unchanged(other: Case) -> tuple[bool, bool]:
        return two_causes._is_unchanged(case, other), two_causes._is_unchanged(case, other, "cell")

    final = case.trace.tracks[0].final
    assert final is not None
    assert unchanged(case) == (True, True)
    assert unchanged(case.with_tracks(copied)) == (True, True)
    assert unchanged(case.with_tracks(lambda t: copied(t, final=final + 1))) == (False, True)
    assert unchanged(case.with_tracks(lambda t: copied(t, cell=final))) == (True, False)
    assert unchanged(case.with_tracks(lambda t: copied(t, outputs=None))) == (False, False)
    assert unchanged(case.with_lengths(np.array([4, 1, 7, 3, 5]))) == (False, False)


@pytest.mark.parametrize("extra", [{}, {"blob": np.zeros(9)}, {"other": np.array([1, 2, 3, 4])}])
def test_one_array_without_a_role_may_be_the_lengths(extra: dict[str, Array]) -> None:
    """Whole numbers from 1 to T in the one array of them that has no role suggest lengths; two such suggest none."""
    outputs = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    arrays = {"outputs": outputs, "h": outputs[:, -1].copy(), "sizes": np.array([5, 2, 4, 3]), **extra}
    case = build_case.read_case(arrays, LayerConfig(), "torch")
    tried = [(w.lengths, w.because) for w in what_if(case, rules())]
    assert tried == ([] if "other" in extra else [([5, 2, 4, 3], "they stand under 'sizes'")])


def test_lengths_that_two_things_suggest_are_tried_once() -> None:
    """A lone array and zeroed inputs that say the same lengths are one suggestion, by what says it first."""
    rng = np.random.default_rng(0)
    outputs, inputs = rng.normal(size=(4, 6, 3)), rng.normal(size=(4, 6, 2))
    sizes = np.array([5, 2, 4, 3])
    inputs[np.arange(6) >= sizes[:, None]] = 0
    arrays = {"outputs": outputs, "h": outputs[:, -1].copy(), "inputs": inputs, "sizes": sizes}
    case = build_case.read_case(arrays, LayerConfig(), "torch")
    assert [(w.lengths, w.because) for w in what_if(case, rules())] == [(sizes.tolist(), "they stand under 'sizes'")]
