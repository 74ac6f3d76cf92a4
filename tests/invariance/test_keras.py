"""Keras models, where Keras is installed: the probes, and the layer where a difference arises."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.errors import UserError
from rnninspect.invariance.calls import calls_of

keras = pytest.importorskip("keras")

check_padding = partial(rnninspect.check_padding, seconds=None)  # jax compiles for every shape

LENGTHS = np.array([9, 5, 7, 6])
MASK = np.arange(9) < LENGTHS[:, None]
RNG = np.random.default_rng(0)
X = (RNG.normal(size=(4, 9, 5)) * MASK[..., None]).astype("float32")
TOKENS = RNG.integers(1, 20, (4, 9)) * MASK


def sequential(shape: tuple[int | None, ...], *layers: Any) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


@pytest.mark.parametrize("masked", [True, False])
def test_masks_from_values(masked: bool) -> None:
    """Masking and mask_zero make right models, without them the layer that reads the padding is named."""
    layers = keras.layers
    hide = [layers.Masking()] if masked else []
    report = check_padding(sequential((None, 5), *hide, layers.LSTM(6, name="reader")), X, lengths=LENGTHS)
    assert report.verdict == ("clean" if masked else "findings")
    report = check_padding(
        sequential((None,), layers.Embedding(20, 6, mask_zero=masked), layers.GlobalAveragePooling1D(name="pool")),
        TOKENS,
        lengths=LENGTHS,
    )
    assert report.verdict == ("clean" if masked else "findings")
    if not masked:
        assert report.findings[0].evidence["where"] == "pool"


def test_a_bidirectional_tagger_that_masks_is_right() -> None:
    """Its backward direction starts from zeros in the padding, which a small noise cannot tell from masking."""
    layers = keras.layers
    tagger = sequential((None, 5), layers.Masking(), layers.Bidirectional(layers.LSTM(6, return_sequences=True)))
    assert check_padding(tagger, X, lengths=LENGTHS).verdict == "clean"


def test_inputs_by_name_and_a_file(tmp_path: Path) -> None:
    """A functional model's inputs are known by their names; a `.keras` file is loaded in safe mode."""
    x, mask = keras.Input((None, 5), name="x"), keras.Input((None,), dtype="bool", name="mask")
    layers = keras.layers
    y = layers.LSTM(6, return_sequences=True)(x, mask=mask)
    right = keras.Model([x, mask], layers.GlobalAveragePooling1D()(y, mask=mask))
    unmasked = layers.LSTM(6, return_sequences=True)(x)
    wrong = keras.Model([x, mask], layers.GlobalMaxPooling1D(name="highest")(unmasked))
    before = [np.array(weight) for weight in wrong.get_weights()]
    assert check_padding(right, X, MASK, mask="mask").verdict == "clean"
    assert check_padding(right, {"x": X, "mask": MASK}, mask="mask").verdict == "clean"
    wrong.save(tmp_path / "wrong.keras")
    for model in (wrong, tmp_path / "wrong.keras"):
        assert check_padding(model, X, MASK, mask="mask").findings[0].evidence["where"] == "highest"
    assert all((a == b).all() for a, b in zip(before, wrong.get_weights(), strict=True))


def test_a_model_that_is_not_built_is_refused() -> None:
    """It has no weights, and building it would make some."""
    with pytest.raises(UserError, match="is not built"):
        check_padding(keras.layers.LSTM(6), X, lengths=LENGTHS)


@pytest.mark.parametrize("right", [True, False])
def test_a_model_that_is_called_with_a_dict(right: bool) -> None:
    """Its inputs go by the dict's keys, whatever its tensors are called."""
    x, mask = keras.Input((None, 5), name="a_tensor"), keras.Input((None,), dtype="bool", name="another")
    state = keras.layers.SimpleRNN(6, name="reader")(x, mask=mask if right else None)
    model = keras.Model({"x": x, "real": mask}, {"state": state})
    report = check_padding(model, {"x": X, "real": MASK}, mask="real")
    assert report.verdict == ("clean" if right else "findings")
    assert right or report.findings[0].evidence["where"] == "reader"


@pytest.mark.parametrize("right", [True, False])
def test_what_a_stateful_layer_carries_is_neither_read_nor_lost(right: bool) -> None:
    """Its state belongs to the rows of an earlier batch: the check begins at zeros, and gives it back."""
    lstm = keras.layers.LSTM(6, stateful=True)
    hide = [keras.layers.Masking()] if right else []
    model = keras.Sequential([keras.Input((9, 5), batch_size=4), *hide, lstm])
    model(X)
    before, called = [np.array(state) for state in lstm.states], lstm._called
    assert check_padding(model, X, lengths=LENGTHS).verdict == ("clean" if right else "findings")
    assert all(np.array_equal(was, np.array(state)) for was, state in zip(before, lstm.states, strict=True))
    assert any(was.any() for was in before)
    assert lstm._called == called


def test_a_file_is_loaded_without_a_trace(tmp_path: Path) -> None:
    """Layers draw their seeds as they are made, and a layer that counts its calls counts none of the check's."""
    model = sequential((None,), keras.layers.Embedding(20, 6, mask_zero=True), keras.layers.LSTM(3))
    model.save(tmp_path / "model.keras")
    state = random.getstate()
    assert check_padding(tmp_path / "model.keras", TOKENS, lengths=LENGTHS).verdict == "clean"
    assert random.getstate() == state
    flags = [layer._called for layer in model.layers]
    check_padding(model, TOKENS, lengths=LENGTHS)
    assert [layer._called for layer in model.layers] == flags


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_policy_of_two_types_is_judged_by_the_narrower(policy: str) -> None:
    """Layers compute in half, weights and the result are float32: rounding is not accused, a leak is."""
    layers = keras.layers
    for masked in (True, False):
        hide = [layers.Masking(dtype=policy)] if masked else []
        reader, last = layers.GRU(16, dtype=policy, name="reader"), layers.Dense(3, dtype="float32")
        report = check_padding(sequential((None, 5), *hide, reader, last), X, lengths=LENGTHS)
        assert [finding.rule for finding in report.findings] == ([] if masked else ["reads-padding"])
        assert f"computed in {policy.removeprefix('mixed_')}" in report.render("table")


def test_a_layer_on_the_backend_of_torch_is_called_as_keras_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that arrays of a file go to the inputs of their names where Keras' layers are modules of torch too, as on
    that backend, and that a module which is none of Keras' still gets tensors."""
    model = keras.Model(one := keras.Input((None, 5), name="x"), keras.layers.LSTM(6)(one))
    arrays = {"x": X, "lengths": LENGTHS}
    monkeypatch.setattr("rnninspect.invariance.calls._is_module", lambda one: one is model)
    call = next(calls_of(model, arrays))
    assert [list(part) for part in (call.kwargs, call.inputs, call.aside)] == [["x"], [], ["lengths"]]
    monkeypatch.undo()
    call = next(calls_of(torch.nn.LSTM(5, 6), {"x": X}))
    assert [type(part) for part in (*call.kwargs.values(), *call.inputs)] == [torch.Tensor]
