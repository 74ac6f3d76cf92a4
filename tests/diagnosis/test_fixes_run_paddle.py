"""Paddle's own code against a mistake, run where it is installed: it gives what each row gives alone."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tests.diagnosis.test_fixes_run import INPUTS, LENGTHS, ORDER, H, close, ran

Names = dict[str, Any]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_paddle_states(cell: str) -> None:
    """Both halves of the state are the rows' own, from whatever mistake."""
    if "tensorflow" in sys.modules:
        pytest.skip("paddle and tensorflow cannot be loaded into one process")
    paddle = pytest.importorskip("paddle", reason="paddle is not installed")
    paddle.seed(0)
    kind = {"lstm": paddle.nn.LSTM, "gru": paddle.nn.GRU, "rnn": paddle.nn.SimpleRNN}[cell]
    layer = kind(INPUTS.shape[2], H, direction="bidirect")
    h_of = (lambda state: state[0]) if cell == "lstm" else (lambda state: state)
    alone = [h_of(layer(paddle.to_tensor(INPUTS[b : b + 1, :n]))[1]).numpy() for b, n in enumerate(LENGTHS)]
    stacked = np.concatenate(alone, 1)
    right = np.concatenate(list(stacked), -1)
    names: Names = {"paddle": paddle, "x": paddle.to_tensor(INPUTS), "lengths": paddle.to_tensor(LENGTHS), cell: layer}
    made = ran("paddle", cell, "lengths-ignored", **names)
    close(made["h"].numpy(), stacked)
    h = made["h"]
    for rule in ("backward-final-at-last-step", "directions-exchanged", "direction-missing", "direction-duplicated"):
        close(ran("paddle", cell, rule, **names, h=h)["final"].numpy(), right)
    order = paddle.to_tensor(ORDER)
    sorted_h = paddle.to_tensor(stacked[:, ORDER])
    close(ran("paddle", cell, "rows-permuted", **names, h=sorted_h, c=sorted_h, order=order)["h"].numpy(), stacked)
