"""Small decisions in judging, each at the place where the other answer would be wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.core.weights import LayerWeights
from rnninspect.diagnosis.evidence.weight_search import lower_precision, tolerance
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from rnninspect.errors import UserError
from rnninspect.measure.casts import narrowed
from rnninspect.measure.merged import are_merged
from tests.support.made import correct_case, random_weights


@pytest.mark.parametrize(
    ("fault", "raised"),
    [("DefaultCPUAllocator: can't allocate memory", UserError), ("out of memory", UserError), ("bad", RuntimeError)],
)
def test_only_lack_of_memory_is_called_so(fault: str, raised: type[Exception], monkeypatch: Any) -> None:
    """torch raises RuntimeError for anything: what is no lack of memory stays what it is."""

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(fault)

    monkeypatch.setattr("rnninspect.engine.kept_runs.run_once", fail)
    with pytest.raises(raised, match="not enough memory on cpu" if raised is UserError else "bad"):
        correct_case()


def test_without_outputs_or_weights_nothing_is_tolerated() -> None:
    """A tolerance is of a run of weights against outputs; where one lacks there is none to speak of."""
    case = correct_case()
    assert tolerance(case) > 0
    assert tolerance(case.with_weights(None)) == 0
    assert tolerance(case.with_tracks(lambda track: replace(track, outputs=None))) == 0


def test_drift_from_the_first_step_is_of_every_row() -> None:
    """Rows that differ from their step 0 on are among those that drifted."""
    case = correct_case()
    other = case.with_tracks(lambda t: replace(t, outputs=t.outputs * np.float32(1 + 2e-7))).trace  # type: ignore[operator]
    (proposal,) = rules()["precision-drift"].check(replace(case, other=other))
    assert {row for *_, row in proposal.places} == {b for b in range(case.trace.batch_size) if case.trace.lengths[b]}  # type: ignore[index]


@pytest.mark.parametrize("scale", [1.0, 100.0, 0.01])
def test_merged_outputs_are_told_at_any_scale(scale: float) -> None:
    """How near a state is to where its direction ends is measured against its distance elsewhere."""
    case = correct_case(directions=2, lengths=np.array([7, 5, 6, 4]))
    forward, backward = (case.trace.track(0, d) for d in ("forward", "backward"))
    assert forward is not None
    assert backward is not None
    outputs = scale * (forward.outputs + backward.outputs)  # type: ignore[operator]
    assert are_merged(outputs, scale * forward.final, scale * backward.final, case.trace)  # type: ignore[operator]
    assert not are_merged(outputs, scale * backward.final, scale * forward.final, case.trace)  # type: ignore[operator]


def test_backward_outputs_unlike_the_weights_are_not_vouched_for() -> None:
    """Only where a run gives the backward outputs as they lie is it certain that none of them was left unflipped."""
    case = correct_case(directions=2, lengths=np.array([7, 5, 6, 4]))
    wrong = rules()["backward-final-at-last-step"].inject(case)
    (sure,) = rules()["backward-final-at-last-step"].check(wrong)
    assert sure.alternatives == ()
    unlike = wrong.with_tracks(
        lambda t: replace(t, outputs=t.outputs + np.float32(0.01), final=t.final + np.float32(0.01))  # type: ignore[operator]
    )
    (unsure,) = rules()["backward-final-at-last-step"].check(unlike)
    assert unsure.alternatives == ("backward-not-flipped",)


def test_two_lengths_are_enough_to_be_misaligned() -> None:
    """Rows of two different lengths can be given each other's."""
    injected = rules()["lengths-misaligned"].inject(correct_case(lengths=np.array([3, 7, 3, 7])))
    assert injected.trace.lengths is not None
    assert any(facts.mismatched.any() for facts in injected.facts)


def test_two_rows_beyond_the_steps_by_a_stride_of_two() -> None:
    """Lengths counted before a stride of 2: two rows are longer than the time axis, and that is enough."""
    case = correct_case(lengths=np.array([7, 6, 3]))
    track = case.trace.tracks[0]
    report = rnninspect.inspect(track.outputs, track.final, lengths=[14, 12, 6])
    assert "lengths-rescaled" in [finding.rule for finding in report.findings]


@pytest.mark.parametrize("layers", [None, 2])
def test_outputs_are_taken_for_a_merge_only_where_nobody_states_layers(layers: int | None) -> None:
    """The sum of two directions beside a state of both: taken so unless layers or directions are stated otherwise."""
    case = correct_case(directions=2, lengths=np.array([7, 5, 6, 4]), convention="torch")
    forward, backward = (case.trace.track(0, d) for d in ("forward", "backward"))
    assert forward is not None
    assert backward is not None
    state = np.stack([forward.final, backward.final])  # type: ignore[list-item]
    options = {} if layers is None else {"layers": layers}
    report = rnninspect.inspect(
        forward.outputs + backward.outputs,
        state,
        lengths=[7, 5, 6, 4],
        convention="torch",
        **options,  # type: ignore[operator]
    )
    assert (report.verdict == "unjudged") is (layers is None)


@pytest.mark.parametrize(
    ("layers", "directions", "tracks"),
    [
        (1, 1, ""),
        (1, 2, " of layer 0, both directions"),
        (2, 1, " of layers 0 and 1 forward"),
        (3, 2, " of layers 0, 1 and 2, both directions"),
    ],
)
def test_a_message_names_every_layer_once(layers: int, directions: int, tracks: str) -> None:
    """Rows that are wrong in several tracks alike are of these layers, in both directions or one."""
    case = correct_case("gru", layers, directions, convention="torch")
    exchanged = case.with_tracks(lambda t: replace(t, final=None if t.final is None else t.final[[1, 0, 2, 3, 4]]))
    (finding,) = judge(exchanged, rules()).findings
    assert finding.message.startswith(f"rows 0, 1 (of 5){tracks}: ")


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_a_lower_precision_is_told_by_the_direction_that_it_moves_most(name: str) -> None:
    """A backward direction of nearly no weights hardly moves in a lower precision; the forward one does, and as far as
    the dump is off. A dump whose forward direction had other weights is off by more than either."""
    weights = random_weights("lstm", 5, 5, 1, 2)
    faint = [replace(w, **_times(w, 0.001 if w.direction == "backward" else 1)) for w in weights.layers]
    case = correct_case("lstm", 1, 2, weights=replace(weights, layers=tuple(faint)), lengths=np.full(5, 7))
    assert case.weights is not None
    assert case.batch is not None
    cast = [replace(w, **{part: narrowed(getattr(w, part), name) for part in _PARTS}) for w in faint]
    low = case.with_weights(replace(case.weights, layers=tuple(cast)))
    ran = low.run(replace(case.batch, inputs=narrowed(case.batch.inputs, name)))
    assert lower_precision(case.with_trace(replace(case.trace, tracks=ran.tracks))) == name
    other = case.with_weights(replace(case.weights, layers=tuple(replace(w, **_times(w, 1.2)) for w in faint)))
    assert lower_precision(case.with_trace(replace(case.trace, tracks=other.run(case.batch).tracks))) is None


_PARTS = ("input_kernel", "recurrent_kernel", "bias")


def _times(layer: LayerWeights, factor: float) -> dict[str, Any]:
    return {part: getattr(layer, part) * np.float32(factor) for part in _PARTS}
