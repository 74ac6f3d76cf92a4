"""Where nobody said which steps are real, a run of the weights may confirm the mask that the numbers suggest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.weights import Weights
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.lengths_by_run import lengths_by_run
from rnninspect.diagnosis.mask_by_run import with_mask_by_run
from tests.support.made import random_weights

MASK = np.arange(6) < np.array([[4], [6], [2], [3]])
HOLES = MASK & ~np.eye(4, 6, k=1, dtype=bool)
LEFT = MASK[:, ::-1]


def unsaid(convention: str, mask: np.ndarray, weights: Weights, **config: Any) -> Case:
    """A right run over these steps, read from a dump that holds neither lengths nor mask; inputs and weights known."""
    inputs = np.random.default_rng(3).normal(size=(*mask.shape, 3)).astype(np.float32)
    config = LayerConfig(cell=weights.spec.cell, layers=weights.depth, **config)
    made = build_case.run_case({"inputs": inputs, "mask": mask}, config, convention, weights=weights)
    arrays = {name: array for name, array in build_case.dump(made).items() if name not in ("mask", "lengths")}
    return build_case.read_case(arrays, config, convention).with_weights(weights)


def backward(weights: Weights) -> Weights:
    return replace(weights, layers=tuple(replace(w, direction="backward") for w in weights.layers))


RUNS = {
    "zeros": ("torch", MASK, random_weights("gru", 3, 4), {}),
    "zeros, two directions": ("tf1", MASK, random_weights("lstm", 3, 4, 2, 2), {"direction": "bidirectional"}),
    "repeats": ("keras", MASK, random_weights("lstm", 3, 4), {}),
    "repeats in holes": ("keras", HOLES, random_weights("lstm", 3, 4), {}),
    "padding on the left": ("keras", LEFT, random_weights("gru", 3, 4, reset_after=True), {}),
    "reversed time": ("keras", MASK, backward(random_weights("rnn", 3, 4)), {"go_backwards": True}),
    "computed, two directions": ("flax", MASK, random_weights("rnn", 3, 4, 1, 2), {"direction": "bidirectional"}),
    "computed, reversed within": (
        "flax", MASK, backward(random_weights("rnn", 3, 4)), {"direction": "reverse", "keep_order": False},
    ),
}  # fmt: skip


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_the_mask_that_a_run_confirms_is_taken(run: tuple[str, np.ndarray, Weights, dict[str, Any]]) -> None:
    """The very steps that the layer read are found, and the report can say where they come from."""
    convention, mask, weights, config = run
    case = with_mask_by_run(unsaid(convention, mask, weights, **config))
    assert np.array_equal(case.trace.mask, mask)
    assert "a run of the weights" in case.trace.source["lengths"]
    assert case.trace.mask_given == (not np.array_equal(mask, np.sort(mask)[:, ::-1]))


EMPTY = np.arange(6) < np.array([[4], [0], [2], [3]])
UNSEEN = {
    "read backwards, in the inputs' order": (
        "flax", MASK, backward(random_weights("gru", 3, 4, 2)), {"direction": "reverse", "keep_order": True},
    ),
    "a row of no steps": ("onnx", EMPTY, random_weights("rnn", 3, 4), {}),
    "holes, two directions": ("keras", HOLES, random_weights("rnn", 3, 4, 2, 2), {"direction": "bidirectional"}),
}  # fmt: skip


@pytest.mark.parametrize("run", UNSEEN.values(), ids=UNSEEN)
def test_lengths_that_nothing_suggests_are_sought(run: tuple[str, np.ndarray, Weights, dict[str, Any]]) -> None:
    """Where outputs hide which steps are real, every length is run: layers without outputs, c, and the padding of a
    layer that reads backwards tell it."""
    convention, mask, weights, config = run
    case = with_mask_by_run(unsaid(convention, mask, weights, **config))
    assert np.array_equal(case.trace.mask, mask)


def test_states_alone_tell_no_lengths() -> None:
    """Of a stack that went on over its padding only the states say where rows end, and states taken a step too early
    would say so as well: every step stays real, and the verdict is left to what was stated."""
    case = unsaid("torch", MASK, random_weights("lstm", 3, 4, 3), padding="computed")
    assert with_mask_by_run(case) is case


def test_a_state_of_another_row_is_of_no_length() -> None:
    """A c of another row, where the outputs tell nothing of it, is not explained by any length."""
    case = unsaid("torch", MASK, random_weights("lstm", 3, 4), padding="computed")
    (track,) = case.trace.tracks
    assert track.cell is not None
    wrong = case.with_trace(replace(case.trace, tracks=(replace(track, cell=track.cell[[1, 0, 2, 3]]),)))
    assert with_mask_by_run(wrong) is wrong


def test_a_large_batch_is_not_run_over_every_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """More numbers than a moment's runs can give are left as they are."""
    from rnninspect.diagnosis import lengths_by_run as module

    monkeypatch.setattr(module, "MOST_NUMBERS", 100)
    case = unsaid("flax", MASK, backward(random_weights("gru", 3, 4)), direction="reverse", keep_order=True)
    assert with_mask_by_run(case) is case


def test_a_hole_is_a_mistake_where_layers_take_lengths() -> None:
    """PyTorch has no masks: zeros inside a row are not taken for one, though a masked run would give them."""
    case = unsaid("torch", HOLES, random_weights("gru", 3, 4))
    assert with_mask_by_run(case) is case


def test_no_mask_is_taken_where_the_weights_are_others() -> None:
    """Outputs that no run of these weights gives confirm nothing."""
    case = unsaid("torch", MASK, random_weights("gru", 3, 4))
    other = case.with_weights(random_weights("gru", 3, 4, seed=9))
    assert with_mask_by_run(other) is other


def test_a_wrong_state_confirms_nothing() -> None:
    """Of a row whose state is a step before its last real one, the run says no."""
    case = unsaid("tf1", MASK, random_weights("lstm", 3, 4, 1, 2), direction="bidirectional")
    track = case.trace.tracks[0]
    assert track.final is not None
    assert track.outputs is not None
    final = track.final.copy()
    final[0] = track.outputs[0, 2]
    wrong = case.with_trace(replace(case.trace, tracks=(replace(track, final=final), *case.trace.tracks[1:])))
    assert with_mask_by_run(wrong) is wrong


@pytest.mark.parametrize("settled", ["all real", "stated", "no weights"])
def test_what_is_known_or_cannot_be_run_stays_as_it_is(settled: str) -> None:
    """A run that fits with every step real, lengths that were stated, and a dump without weights are left alone."""
    case = unsaid("torch", MASK if settled != "all real" else np.ones_like(MASK), random_weights("gru", 3, 4))
    if settled == "stated":
        case = case.with_trace(replace(case.trace, mask=MASK, lengths=MASK.sum(1)))
    if settled == "no weights":
        case = case.with_weights(None)
    assert with_mask_by_run(case) is case


@pytest.mark.parametrize(("length", "sought"), [(0, False), (1, True)])
def test_only_a_row_of_no_steps_must_agree_in_its_padding(length: int, sought: bool) -> None:
    """A row of zeros for a state and of outputs that no run gives is not an empty one; a row of one real step is found
    by that step, whatever was written behind it."""
    case = unsaid("onnx", np.arange(6) < np.array([[4], [length], [2], [3]]), random_weights("rnn", 3, 4))
    (track,) = case.trace.tracks
    outputs = np.array(track.outputs)
    outputs[1, length:] = 0.5
    lengths = lengths_by_run(case.with_trace(replace(case.trace, tracks=(replace(track, outputs=outputs),))))
    assert (lengths is not None and lengths.tolist() == [4, 1, 2, 3]) is sought
