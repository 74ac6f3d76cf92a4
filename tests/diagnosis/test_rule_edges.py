"""Rules at their edges: the row of one step, the empty row, the factor that is no dropout's, ties and near misses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import rnninspect
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Track, prefix_mask
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rule import Proposal
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.rules.output_dropout import _scales_of
from rnninspect.diagnosis.rules.state_reshaped_not_transposed import TOP_ALONE
from tests.support.made import correct_case


def proposals(name: str, case: Case) -> list[Proposal]:
    return list(rules()[name].check(case))


def rows(proposal: Proposal) -> list[int]:
    return sorted({row for *_, row in proposal.places})


def with_final(case: Case, change: Callable[[Track, Array], Array]) -> Case:
    """The case alone, without inputs or weights, its final states changed on a copy."""

    def changed(track: Track) -> Track:
        assert track.final is not None
        return replace(track, final=change(track, track.final.copy()))

    return replace(case.with_weights(None).with_tracks(changed), batch=None)


def test_a_cell_state_that_is_h_in_a_row_of_one_step() -> None:
    """Rows of any length count, those of a single step too; those without a step do not."""
    case = correct_case("lstm", lengths=np.array([1, 4, 0, 7]))
    case = replace(case.with_weights(None).with_tracks(lambda t: replace(t, cell=t.final)), batch=None)
    (proposal,) = proposals("cell-overwritten-by-hidden", case)
    assert rows(proposal) == [0, 1, 3]


@pytest.mark.parametrize(("factor", "seen"), [(0.8, True), (0.5, True), (1.25, False), (2.0, False)])
def test_dropout_makes_outputs_larger_than_the_state(factor: float, seen: bool) -> None:
    """Kept units are the state's times a factor above 1, some are zero; a smaller one is no dropout's."""

    def dropped(track: Track, final: Array) -> Array:
        return np.asarray(final * np.float32(factor))

    case = correct_case("gru", lengths=np.array([4, 6, 7]))
    outputs = case.trace.tracks[0].outputs
    assert outputs is not None
    kept = outputs.copy()
    for row, step in enumerate((3, 5, 6)):
        kept[row, step, row % 5] = 0
    full = case.trace.tracks[0].final
    assert full is not None
    changed = with_final(case, dropped)
    changed = changed.with_tracks(lambda t: replace(t, outputs=kept))
    assert bool(proposals("output-dropout", changed)) is seen


@pytest.mark.parametrize("convention", ["tf1", "flax"])
def test_whole_orders_know_what_an_empty_row_ends_in(convention: str) -> None:
    """Rows in another order, an empty one among them: put back, whatever the framework returns of it."""
    lengths = np.array([4, 0, 7, 3])
    case = correct_case("gru", lengths=lengths, convention=convention)
    wrong = with_final(case, lambda t, final: final[[2, 0, 3, 1]])
    undone = list(rules()["rows-permuted"].undo(wrong))
    right = case.trace.tracks[0].final
    assert undone
    assert any(np.array_equal(u.case.trace.tracks[0].final, right) for u in undone)


@pytest.mark.parametrize(
    ("steps", "lengths", "untested"),
    [(1, None, ""), (4, None, "the lengths are not known"), (4, [4, 2, 3], ""), (4, "full", "")],
)
def test_what_unknown_lengths_leave_untested(steps: int, lengths: list[int] | str | None, untested: str) -> None:
    """Of one step it is known which is the last; of more it is not, unless somebody says."""
    outputs = np.random.default_rng(0).normal(size=(3, steps, 5))
    ends = [n - 1 for n in lengths] if isinstance(lengths, list) else [steps - 1] * 3
    report = rnninspect.inspect(outputs, outputs[np.arange(3), ends], lengths=lengths)
    assert report.untested.startswith(untested)
    assert bool(report.untested) is bool(untested)
    assert report.verdict == ("unjudged" if untested else "clean")


@pytest.mark.parametrize("layers", [1, 2])
def test_a_view_of_the_top_layer_alone_has_code_of_its_own(layers: int) -> None:
    """The code says whose states the array holds: every layer's, or the top's two halves."""
    case = correct_case("gru", layers, 2, lengths=np.array([4, 6, 7]))
    top = case.trace.tracks[-2:]
    outputs = np.concatenate([t.outputs for t in top if t.outputs is not None], axis=-1)
    halves = np.stack([t.final for t in top if t.final is not None])  # [D, B, H]
    dump = {"outputs": outputs, "h": halves.reshape(3, -1), "lengths": np.array([4, 6, 7])}
    config = LayerConfig(cell="gru", layers=layers, direction="bidirectional")
    viewed = build_case.read_case(dump, config, "mxnet", named_roles={})
    rule = rules()["state-reshaped-not-transposed"]
    assert list(rule.check(viewed))
    assert rule.code(viewed) == (rule.fix if layers == 1 else TOP_ALONE)


@pytest.mark.parametrize("convention", ["tf1", "flax"])
@pytest.mark.parametrize("order", [[2, 0, 3, 1], [1, 2, 0, 3]])
def test_the_code_puts_an_empty_rows_state_back(convention: str, order: list[int]) -> None:
    """Run on the states, the code that is given puts every row's in its place, an empty row's too."""
    case = correct_case("gru", lengths=np.array([4, 0, 7, 3]), convention=convention)
    wrong = with_final(case, lambda t, final: final[order])
    rule = rules()["rows-permuted"]
    assert rule.mends(wrong)
    names = {"np": np, "lengths": case.trace.lengths, "h": wrong.trace.tracks[0].final}
    exec("\n".join(line for line in rule.code(wrong).splitlines() if not line.startswith("c ")), names)
    assert np.array_equal(names["h"], case.trace.tracks[0].final)  # type: ignore[arg-type]


def test_a_pool_that_padding_leaves_alone_is_over_real_steps() -> None:
    """The maximum of positive outputs is the same with zeroed padding and without: it is taken for the milder one."""
    case = correct_case("gru")
    outputs = np.abs(case.trace.tracks[0].outputs)  # type: ignore[arg-type]
    pooled = with_final(case, lambda t, final: outputs.max(1)).with_tracks(lambda t: replace(t, outputs=outputs))
    (proposal,) = proposals("pooled-state", pooled)
    assert (proposal.severity, proposal.evidence) == ("note", {"pool": "maximum", "padding": False})


@pytest.mark.parametrize(("single_zeros", "seen"), [(False, True), (True, False)])
def test_zeros_of_single_units_are_no_masks(single_zeros: bool, seen: bool) -> None:
    """A step of zeros inside a row is a hole, but not where other steps have zeros of their own, as relu makes."""
    outputs = np.random.default_rng(0).uniform(0.1, 1, size=(3, 7, 5)).astype(np.float32)
    outputs[0, 3] = 0
    if single_zeros:
        outputs[1, 2, 1] = 0
    report = correct_case("rnn", lengths=np.array([7, 7, 7]))
    case = with_final(report, lambda t, final: outputs[:, -1]).with_tracks(lambda t: replace(t, outputs=outputs))
    assert [(rows(p), p.steps) for p in proposals("mask-hole", case)] == ([([0], (3,))] if seen else [])


def test_a_factor_without_zeros_is_no_dropout() -> None:
    """Outputs that are twice the state in every unit were scaled: dropout makes zeros too."""
    case = correct_case("gru", lengths=np.array([4, 6, 7]))
    scaled = with_final(case, lambda t, final: final / 2)
    assert proposals("output-dropout", scaled) == []


@pytest.mark.parametrize(("inputs_known", "certainty"), [(True, "proven"), (False, "suspected")])
def test_one_buffer_is_proven_by_inputs_that_vary(inputs_known: bool, certainty: str) -> None:
    """All steps equal: one buffer where the inputs are seen to vary, else perhaps a layer whose inputs do not."""
    case = rules()["outputs-aliased"].inject(correct_case("gru"))
    case = case if inputs_known else replace(case.with_weights(None), batch=None)
    (proposal,) = proposals("outputs-aliased", case)
    assert proposal.certainty == certainty


def test_rows_of_a_turned_time_axis_hold_its_last_step() -> None:
    """Backward outputs turned on the whole axis: of the rows that are off those whose state is the last step, no
    other; a row whose state is right is none of them, though its last step is the same."""
    case = correct_case("gru", directions=2, lengths=np.array([4, 1, 7, 3, 7]))

    def turned(track: Track) -> Track:
        assert track.outputs is not None
        assert track.final is not None
        if track.direction == "forward":
            return track
        outputs, final = np.array(track.outputs[:, ::-1]), track.final.copy()
        final[3] = 0.5
        outputs[4, 0] = outputs[4, -1]
        return replace(track, outputs=outputs, final=final)

    wrong = replace(case.with_weights(None).with_tracks(turned), batch=None)
    (proposal,) = proposals("backward-not-flipped", wrong)
    assert rows(proposal) == [0, 1, 2]


def test_a_row_that_starts_anew_from_an_initial_state_with_zeros() -> None:
    """The initial state is tried though one unit of it is zero."""
    case = correct_case("gru")
    assert case.batch is not None
    initial = np.random.default_rng(3).uniform(0.2, 0.9, size=(5, 5)).astype(np.float32)
    initial[:, 2] = 0
    begun = case.with_tracks(lambda t: replace(t, initial=initial))
    (track,) = begun.run(case.batch).tracks
    inputs = np.roll(case.batch.inputs, -3, axis=1)
    (anew,) = begun.run(replace(case.batch, inputs=inputs, mask=prefix_mask([0, 0, 4, 0, 0], 7))).tracks
    assert track.outputs is not None
    assert track.final is not None
    assert anew.outputs is not None
    outputs, final = track.outputs.copy(), track.final.copy()
    outputs[2, 3:] = anew.outputs[2, :4]
    final[2] = outputs[2, 6]
    wrong = begun.with_tracks(lambda t: replace(t, outputs=outputs, final=final))
    (proposal,) = proposals("restarted-within-row", wrong)
    assert (rows(proposal), proposal.evidence) == ([2], {"restarts": [[2, 3]], "start": "the initial state"})


def test_outputs_that_hold_c_but_for_the_last_bits_of_some_rows() -> None:
    """Rows of one loop may differ in their last bits from another: where one row's c is the output exactly, the
    others' are that cause too, and no second one."""
    case = rules()["outputs-are-cell-state"].inject(correct_case("lstm")).with_weights(None)

    def nudged(track: Track) -> Track:
        assert track.cell is not None
        cell = track.cell.copy()
        cell[1:3] = np.nextafter(cell[1:3], np.float32(2))
        return replace(track, cell=cell)

    errors = [f for f in judge(case.with_tracks(nudged), rules()).findings if f.severity != "note"]
    assert [f.rule for f in errors] == ["outputs-are-cell-state"]
    assert errors[0].rows == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("weighed", [True, False])
@pytest.mark.parametrize(("layers", "directions", "lacking"), [(1, 2, 0), (1, 2, 1), (2, 1, 0), (2, 2, 2), (2, 2, 3)])
def test_no_rule_falls_over_a_state_that_lacks_a_layer_or_direction(
    layers: int, directions: int, lacking: int, weighed: bool
) -> None:
    """The states of all tracks but one, of other rows: every rule that can be checked is, whatever is not there."""
    case = correct_case("lstm", layers, directions)
    tracks = [replace(t, final=t.final[::-1], cell=None) for t in case.trace.tracks if t.final is not None]
    tracks[lacking] = replace(tracks[lacking], final=None)
    case = (case if weighed else case.with_weights(None)).with_trace(replace(case.trace, tracks=tuple(tracks)))
    judged = judge(case, rules())
    assert [entry for entry in judged.not_checked if entry.failed] == []
    assert judged.findings


def test_halves_of_lengths_are_tried_where_no_state_tells_a_ratio() -> None:
    """Frames counted before a stride of 2: a convolution rounds an odd number of them up with padding and down
    without, so both are undone where states of zeros and computed padding show neither."""
    frames = np.array([7, 3, 6, 5, 4])
    case = correct_case("gru", lengths=np.array([4, 2, 3, 3, 2]), convention="flax")
    silent = case.with_tracks(lambda t: replace(t, final=0 * t.final)).with_lengths(frames)  # type: ignore[operator]
    tried = [undone.case.trace.lengths for undone in rules()["lengths-rescaled"].undo(silent)]
    assert [lengths.tolist() for lengths in tried if lengths is not None] == [
        np.ceil(frames / 2).tolist(), np.floor(frames / 2).tolist(),
    ]  # fmt: skip


def test_only_a_step_that_is_one_multiple_suggests_a_factor_of_dropout() -> None:
    """Of steps that are the state, twice it with units dropped, half of it, and something larger in every unit, the
    second alone says by what dropout scaled."""
    state = np.random.default_rng(0).uniform(0.1, 0.9, 12)
    dropped = np.where(np.arange(12) % 3 == 0, 0, 2 * state)
    larger = state * np.linspace(1.5, 4, 12)
    outputs = np.stack([state, dropped, state / 2, larger])[None]
    assert list(_scales_of(outputs, state)) == pytest.approx([2.0])


@pytest.mark.parametrize("factor", [2.0, 6**0.5, -1.0, 0.5])
@pytest.mark.parametrize("options", [{}, {"direction": "forward"}])
def test_outputs_that_are_a_multiple_of_the_states_are_said_to_be(options: dict[str, str], factor: float) -> None:
    """No unit is zero where its state is not, so nothing was dropped; nor is an even width two directions by that."""
    rng, lengths = np.random.default_rng(1), np.array([5, 3, 4, 2])
    outputs = rng.uniform(-0.9, 0.9, (4, 5, 6)) * (np.arange(5) < lengths[:, None])[..., None]
    state = outputs[np.arange(4), lengths - 1]
    report = rnninspect.inspect({"output": factor * outputs, "h_n": state, "lengths": lengths}, **options)
    assert [f.rule for f in report.findings] == ["unexplained-state"]
    assert f"the last real output is {factor:.4g} times the final state" in report.findings[0].message
