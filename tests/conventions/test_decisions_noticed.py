"""What is said of a framework and of weights, where a small mistake in the code would say the opposite unnoticed."""

from __future__ import annotations

import pytest

from rnninspect import conventions
from rnninspect.conventions.dumps.frameworks import Hints, likeliest
from rnninspect.conventions.weights.config import activations_not_stated
from rnninspect.core.cell import CellSpec
from rnninspect.core.wording import worded


@pytest.mark.parametrize(
    ("time_major", "axes", "framework"), [(True, "[T, B, H]", "torch"), (False, "[B, T, H]", "tf1")]
)
def test_the_axes_that_speak_for_a_framework_are_named(time_major: bool, axes: str, framework: str) -> None:
    """The reason for a belief names the axes that were read, not the others."""
    pair = {name: conventions.get(name) for name in ("torch", "tf1")}
    beliefs = likeliest(pair, Hints(("outputs", "state"), time_major=time_major))
    because = next(belief.because for belief in beliefs if belief.name == framework)
    assert f"{axes}, {framework}'s default" in because


@pytest.mark.parametrize(
    ("framework", "cell", "options"),
    [
        ("keras", "lstm", "activation= and recurrent_activation= state others"),
        ("keras", "rnn", "activation= states others"),
        ("onnx", "gru", "activations= states others"),
    ],
)
def test_the_options_that_state_activations_are_those_of_the_framework(framework: str, cell: str, options: str) -> None:
    """What may be stated is named, and only that; one that was stated needs no word."""
    convention, spec = conventions.get(framework), CellSpec(cell)
    (sentence,) = activations_not_stated(convention, spec, {})
    assert worded(sentence).endswith(f"taken; {options}")
    assert activations_not_stated(convention, spec, {"activation": "relu"}) == ()


def test_cells_without_a_choice_of_activations_need_no_word() -> None:
    """torch's LSTM has one set of activations."""
    assert activations_not_stated(conventions.get("torch"), CellSpec("lstm"), {}) == ()
