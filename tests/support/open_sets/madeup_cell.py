"""A cell of its own: h' = (h + tanh(x W + h U + b)) / 2, with a state c that counts the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnninspect.core.cell import CellDescription, CellSpec
from rnninspect.core.weights import LayerWeights
from rnninspect.engine.step import Make, Parts, act

if TYPE_CHECKING:
    from torch import Tensor


class MadeUpCell:
    """One step, by plain operations."""

    c: Tensor | None = None

    def __init__(self, spec: CellSpec, weights: LayerWeights, make: Make) -> None:
        self.kernel, self.recurrent = make(weights.input_kernel)[0], make(weights.recurrent_kernel)[0]
        self.bias, self.act = make(weights.bias)[0], act(spec, "candidate")

    def begin(self, c: Tensor | None) -> None:
        self.c = c

    def rows(self, n: int) -> None:
        self.count = n

    def project(self, x: Tensor) -> Parts:
        return (x @ self.kernel + self.bias,)

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        assert self.c is not None
        self.c[: self.count] += 1
        out.copy_((h + self.act(x[0] + h @ self.recurrent)) / 2)


CELL = CellDescription(
    name="madeup",
    gates=("n",),
    equations="h' = (h + act(x W + h U + b)) / 2; c' = c + 1",
    varied_by=frozenset({"activation", "activation_alpha", "activation_beta", "activations"}),
    roles=("candidate",),
    has_c=True,
    step=MadeUpCell,
)
