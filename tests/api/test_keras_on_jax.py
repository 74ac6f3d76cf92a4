"""What Keras returns on its JAX backend is read as Keras's, though its arrays are JAX's: h comes before c there."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.core.cell import CellSpec
from tests.api.test_api import foreign
from tests.support.oracles import random_layer, run_masked

LENGTHS = [8, 3, 6, 1, 4]
MASK = np.arange(8)[None] < np.array(LENGTHS)[:, None]


@pytest.fixture
def keras_on_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras as a program has it that computes with JAX."""
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(backend=SimpleNamespace(backend=lambda: "jax")))


def call(masked: bool = True) -> tuple[list[Any], dict[str, Any]]:
    """[outputs, h, c] of an LSTM as Keras returns them, and its inputs and the layer beside them."""
    rng = np.random.default_rng(0)
    w, x = random_layer(rng, "lstm", 3, 6, two_biases=False), rng.normal(size=(5, 8, 3)).astype(np.float32)
    mask = MASK if masked else np.ones_like(MASK)
    returned = run_masked(CellSpec("lstm"), w, x, mask, padding="repeat")
    kernels = [np.concatenate(list(a), -1) for a in (w.input_kernel, w.recurrent_kernel, w.bias)]
    layer = SimpleNamespace(get_weights=lambda: kernels, weights=[])
    return [foreign("jax")(a.astype(np.float32)) for a in returned], {"inputs": x, "weights": layer}


@pytest.mark.usefixtures("keras_on_jax")
@pytest.mark.parametrize("weighed", [False, True])
def test_a_right_run_is_not_accused(weighed: bool) -> None:
    """A carry would be (c, h), a tuple; the list of Keras is [h, c]."""
    (outputs, *states), beside = call()
    for form in ([outputs, *states], (outputs, *states)):
        report = rnninspect.inspect(form, mask=MASK, **(beside if weighed else {}))
        assert (report.verdict, report.convention) == ("clean", "keras")
        assert not [finding for finding in report.findings if finding.severity != "note"]


@pytest.mark.usefixtures("keras_on_jax")
@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize(("masked", "rule"), [(True, "cell-hidden-swapped"), (False, "lengths-ignored")])
def test_a_wrong_run_is_named(masked: bool, rule: str, weighed: bool) -> None:
    """c before h, and a mask that was not handed over; neither is refused for weights that are not Flax's."""
    (outputs, *states), beside = call(masked)
    states = states[::-1] if masked else states
    report = rnninspect.inspect([outputs, *states], mask=MASK, **(beside if weighed else {}))
    assert [finding.rule for finding in report.findings if finding.severity != "note"] == [rule]


@pytest.mark.usefixtures("keras_on_jax")
def test_a_carry_of_flax_stays_one() -> None:
    """A program may hold both: a tuple before the outputs is (c, h)."""
    (outputs, h, c), _ = call()
    assert rnninspect.inspect(((c, h), outputs), mask=MASK).verdict == "clean"
    swapped = rnninspect.inspect(((h, c), outputs), mask=MASK, convention="flax")
    assert "cell-hidden-swapped" in [finding.rule for finding in swapped.findings]
