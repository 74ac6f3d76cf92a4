"""Minimal gated unit (MGU): one gate for both forgetting and resetting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnninspect.core.cell import CellDescription, CellSpec
from rnninspect.core.weights import LayerWeights
from rnninspect.engine.step import Make, Parts, act

if TYPE_CHECKING:
    from torch import Tensor


class MGUCell:
    """Minimal gated unit (Zhou et al. 2016), as Flax has it (flax/linen/recurrent.py).

    f = sigma(x Wf + h Uf + bf)
    n = act(x Wn + bn + f * (h Un + cn)), or without f * where not `reset_after` (Flax `reset_gate=False`)
    h' = (1 - f) * n + f * h
    """

    c: Tensor | None = None

    def __init__(self, spec: CellSpec, weights: LayerWeights, make: Make) -> None:
        self.kernels, self.recurrent = make(weights.input_kernel), make(weights.recurrent_kernel)
        self.bias = make(weights.bias).clone()
        second = weights.recurrent_bias
        inner = self.bias.new_zeros(self.bias.shape) if second is None else make(second)
        self.bias[0] += inner[0]
        self.inner_bias, self.resets = inner[1], spec.reset_after
        self.sigma, self.act = act(spec, "recurrent"), act(spec, "candidate")

    def begin(self, c: Tensor | None) -> None:
        """Nothing to keep: h is all the state there is."""

    def rows(self, n: int) -> None:
        """Nothing to cut."""

    def project(self, x: Tensor) -> Parts:
        """The inputs' part of both gates, for steps `[N, F]` at once: `[N, H]` each."""
        return x @ self.kernels[0] + self.bias[0], x @ self.kernels[1] + self.bias[1]

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        """One step of rows `[n, H]` from `h` into `out`; Zhou et al. 2016."""
        forget = self.sigma(x[0] + h @ self.recurrent[0])
        inner = h @ self.recurrent[1] + self.inner_bias
        candidate = self.act(x[1] + (forget * inner if self.resets else inner))
        out.copy_(candidate.lerp(h, forget))


CELL = CellDescription(
    name="mgu",
    gates=("f", "n"),
    equations="f = sigma(x W + h U + b); n = act(x W + b + f * (h U + b')); h' = (1 - f) * n + f * h",
    varied_by=frozenset({"activation", "activation_alpha", "activation_beta", "activations", "recurrent_activation"})
    | {"reset_after", "linear_before_reset"},
    roles=("recurrent", "candidate"),
    has_c=False,
    step=MGUCell,
)
