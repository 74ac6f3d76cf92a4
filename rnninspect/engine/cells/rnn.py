"""The plain recurrence (Elman 1990)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnninspect.core.cell import CellDescription, CellSpec
from rnninspect.core.weights import LayerWeights
from rnninspect.engine.step import Make, Parts, act

if TYPE_CHECKING:
    from torch import Tensor


class RNNCell:
    """The plain recurrence (Elman 1990): h' = act(x W + h U + b), bounded by `gate_clip` before act as in ONNX."""

    c: Tensor | None = None

    def __init__(self, spec: CellSpec, weights: LayerWeights, make: Make) -> None:
        import torch

        from rnninspect.engine.matmul import columns

        self.addmm = torch.addmm
        self.clip = spec.gate_clip
        self.kernel = columns(make(weights.input_kernel))
        self.recurrent = columns(make(weights.recurrent_kernel))
        self.bias = make(weights.bias)[0]
        if weights.recurrent_bias is not None:
            self.bias = self.bias + make(weights.recurrent_bias)[0]
        self.act = act(spec, "candidate")

    def begin(self, c: Tensor | None) -> None:
        """Nothing to keep: h is all the state there is."""

    def rows(self, n: int) -> None:
        """Nothing to cut."""

    def project(self, x: Tensor) -> Parts:
        """The inputs' part, for steps `[N, F]` at once: `[N, H]`."""
        return (self.addmm(self.bias, x, self.kernel),)

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        """One step of rows `[n, H]` from `h` into `out`; Elman 1990."""
        self.addmm(x[0], h, self.recurrent, out=out)
        if self.clip is not None:
            out.clamp_(-self.clip, self.clip)
        self.act(out)


def kernel(spec: CellSpec, parts: frozenset[str]) -> str | None:
    """`torch.rnn_tanh` and `torch.rnn_relu` know no clip."""
    return f"rnn_{spec.activation}" if spec.activation in ("tanh", "relu") and spec.gate_clip is None else None


CELL = CellDescription(
    name="rnn",
    gates=("n",),
    equations="h' = act(x W + h U + b)",
    varied_by=frozenset({"activation", "activation_alpha", "activation_beta", "activations", "clip"}),
    roles=("candidate",),
    has_c=False,
    step=RNNCell,
    kernel=kernel,
)
