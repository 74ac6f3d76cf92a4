"""A layer given as `weights` says what its cells compute: run with another function, a right dump would be accused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.errors import UserError

LENGTHS = [8, 3, 6, 1, 4]
MASK = np.arange(8)[None] < np.array(LENGTHS)[:, None]
INPUTS = np.random.default_rng(0).normal(size=(5, 8, 4)).astype(np.float32)


def errors(report: rnninspect.Report) -> list[str]:
    return [finding.rule for finding in report.findings if finding.severity == "error"]


@pytest.mark.parametrize("dead", [False, True])
def test_a_torch_rnn_says_that_it_is_relu(dead: bool) -> None:
    """Whatever its outputs are, zeros of dead units too; the weights of a tanh layer are not taken for relu's."""
    torch.manual_seed(0)
    relu, tanh = (torch.nn.RNN(4, 3, nonlinearity=name, batch_first=True) for name in ("relu", "tanh"))
    if dead:
        torch.nn.init.constant_(relu.bias_ih_l0, -9.0)
    tanh.load_state_dict(relu.state_dict())
    inputs = torch.from_numpy(INPUTS)
    run, other = relu(inputs), tanh(inputs)
    assert not errors(rnninspect.inspect(run, lengths="full", inputs=inputs, weights=relu))
    assert errors(rnninspect.inspect(other, lengths="full", inputs=inputs, weights=relu)) == ["unexplained-difference"]
    both = torch.nn.ModuleList([relu])
    assert not errors(rnninspect.inspect(run, lengths="full", inputs=inputs, weights=both))


KERAS: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "lstm, relu": ("LSTM", False, {"activation": "relu"}),
    "lstm, hard sigmoid": ("LSTM", False, {"recurrent_activation": "hard_sigmoid"}),
    "two directions of gru, softsign": ("GRU", True, {"activation": "softsign"}),
    "gru, reset before": ("GRU", False, {"reset_after": False}),
    "rnn, linear": ("SimpleRNN", False, {"activation": None}),
}


@pytest.mark.parametrize("name", list(KERAS))
def test_a_keras_layer_says_what_its_cell_computes(name: str) -> None:
    """Its own run is right; that of a layer of the same weights and other functions is not."""
    keras = pytest.importorskip("keras")
    kind, two, options = KERAS[name]

    def made(**more: Any) -> Any:
        layer = getattr(keras.layers, kind)(3, return_sequences=True, return_state=True, **more)
        layer = keras.layers.Bidirectional(layer) if two else layer
        layer(INPUTS)
        return layer

    keras.utils.set_random_seed(0)
    layer, plain = made(**options), made()
    if "reset_after" not in options:  # whose bias has another shape
        plain.set_weights(layer.get_weights())
        wrong = rnninspect.inspect(plain(INPUTS, mask=MASK), mask=MASK, inputs=INPUTS, weights=layer)
        assert set(errors(wrong)) & {"unexplained-difference", "recurrent-activation"}
    assert not errors(rnninspect.inspect(layer(INPUTS, mask=MASK), mask=MASK, inputs=INPUTS, weights=layer))


def test_a_function_of_ones_own_is_refused() -> None:
    """No formula is known of it, so that the layer cannot be run: one line says so, and what to state."""
    keras = pytest.importorskip("keras")
    layer = keras.layers.LSTM(3, activation=lambda x: x / 2, return_sequences=True, return_state=True)
    returned = layer(INPUTS, mask=MASK)
    with pytest.raises(UserError, match=r"has activation .*, whose formula is not known here: leave weights out"):
        rnninspect.inspect(returned, mask=MASK, inputs=INPUTS, weights=layer)
