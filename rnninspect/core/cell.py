"""What a cell computes besides its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cell = Literal["lstm", "gru", "rnn"]


@dataclass(frozen=True)
class CellSpec:
    """What a cell computes besides its weights.

    `forget_bias`: added to the forget gate at run time (TensorFlow's LSTMCell: 1.0).
    `reset_after`: GRU: the reset gate is applied after the recurrent product (cuDNN, PyTorch), not before.
    `activation`: of g (LSTM) or n (GRU, RNN); `output_activation`: of c on the way to h.
    `recurrent_activation`: of the gates. Names are those of `cells.ACTIVATIONS`.
    `activation_alpha`, `activation_beta`: ONNX's parameters, by role (`recurrent`, `candidate`, `output`).
    `cell_clip`: clip of c; `proj_clip`: clip of the projected h; `gate_clip`: ONNX `clip`, of the gates' inputs.
    `input_forget`: ONNX: the gates are coupled, f = 1 - i.
    """

    cell: Cell = "lstm"
    forget_bias: float = 0.0
    reset_after: bool = True
    activation: str = "tanh"
    output_activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    activation_alpha: tuple[tuple[str, float], ...] = ()
    activation_beta: tuple[tuple[str, float], ...] = ()
    cell_clip: float | None = None
    proj_clip: float | None = None
    gate_clip: float | None = None
    input_forget: bool = False
