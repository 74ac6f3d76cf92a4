"""A kind of cell, and what one cell of that kind computes besides its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from rnninspect.core.frozen import frozen

Cell = str  # a cell's name; the files of `engine/cells` are the ones there are


@frozen
class CellSpec:
    """What a cell computes besides its weights.

    `forget_bias`: added to the forget gate at run time (TensorFlow's LSTMCell: 1.0).
    `reset_after`: GRU: the reset gate is applied after the recurrent product (cuDNN, PyTorch), not before.
    `activation`: of g (LSTM) or n (GRU, RNN); `output_activation`: of c on the way to h.
    `recurrent_activation`: of the gates. Names are those of `activations.ACTIVATIONS`.
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


# The field of the CellSpec that holds the activation of each role, and the one that each attribute sets. Attributes
# that are not named here set several (`activations`), or say which arrays the weights hold (`num_proj`).
ROLE_FIELDS: Mapping[str, str] = {
    "recurrent": "recurrent_activation",
    "candidate": "activation",
    "output": "output_activation",
}
ATTRIBUTE_FIELDS: Mapping[str, str] = {
    "forget_bias": "forget_bias",
    "reset_after": "reset_after",
    "linear_before_reset": "reset_after",
    "recurrent_activation": "recurrent_activation",
    "activation_alpha": "activation_alpha",
    "activation_beta": "activation_beta",
    "cell_clip": "cell_clip",
    "proj_clip": "proj_clip",
    "clip": "gate_clip",
    "input_forget": "input_forget",
}


def no_kernel(spec: CellSpec, parts: frozenset[str]) -> str | None:
    """torch has no kernel for the cell, whatever its attributes are."""
    return None


@frozen(eq=False)
class CellDescription:
    """All that the rest of the program knows of a kind of cell. Each file of `engine/cells` holds one.

    `gates`: the blocks of its weights in canonical order; `equations`: one step in words. `varied_by`: the attributes
    that change what it computes, as options by their Python names. `roles`: whose activations can be chosen, in ONNX's
    order, of `ROLE_FIELDS`. `has_c`: whether it carries a cell state c besides h.
    `kernel(spec, parts)`: the torch function that computes it, or None where there is none, or attributes or parts of
    the weights (`peepholes`, `projection`) rule it out; `kernel_on_cpu`: it is faster than `step` on a CPU too.
    `step(spec, weights, make)`: the `engine.step.StepCell` that computes one step; it imports torch.
    """

    name: Cell
    gates: tuple[str, ...]
    equations: str
    varied_by: frozenset[str]
    roles: tuple[str, ...]
    has_c: bool
    step: Callable[..., Any]
    kernel: Callable[[CellSpec, frozenset[str]], str | None] = no_kernel
    kernel_on_cpu: bool = False

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields of a CellSpec that this cell reads."""
        varied = {ATTRIBUTE_FIELDS[name] for name in self.varied_by if name in ATTRIBUTE_FIELDS}
        return frozenset(varied | {ROLE_FIELDS[role] for role in self.roles})

    def spec(self, **fields: Any) -> CellSpec:
        """A CellSpec of this cell; fields that it does not read keep their defaults, so that equal cells are equal."""
        return CellSpec(self.name, **{name: value for name, value in fields.items() if name in self.fields})
