"""Rules at their edges: the row of one step, the empty row, the factor that is no dropout's, ties and near misses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import rnninspect
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Track
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import Proposal
from rnninspect.diagnosis.rules import rules
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
