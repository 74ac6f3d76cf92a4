"""Gated recurrent unit (GRU), in both variants of the reset gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnninspect.core.cell import CellDescription, CellSpec
from rnninspect.core.weights import LayerWeights
from rnninspect.engine.step import Make, Parts, StepCell, act, clip01, hard_slope

if TYPE_CHECKING:
    from torch import Tensor


class GRUCell:
    """Gated recurrent unit, the reset gate applied after the recurrent product (cuDNN, PyTorch, Keras `reset_after`).

        r = sigma(x Wr + h Ur + br)
        z = sigma(x Wz + h Uz + bz)
        n = act(x Wn + bn + r * (h Un + cn))
        h' = (1 - z) * n + z * h

    cn is the recurrent bias of n, which r scales; those of r and z just add. `gate_clip` bounds what goes into sigma
    and act, as ONNX's `clip` does (onnxruntime/core/providers/cpu/rnn/deep_cpu_gru.cc).
    """

    c: Tensor | None = None

    def __init__(self, spec: CellSpec, weights: LayerWeights, make: Make) -> None:
        import torch

        self.addcmul, self.addmm, self.lerp, self.mul = torch.addcmul, torch.addmm, torch.lerp, torch.mul
        self.spec, self.units = spec, weights.units
        bias = make(weights.bias).clone()
        second = weights.recurrent_bias
        recurrent_bias = bias.new_zeros(bias.shape) if second is None else make(second)
        bias[:2] += recurrent_bias[:2]
        if not spec.reset_after:
            bias[2] += recurrent_bias[2]
        kernel, recurrent = make(weights.input_kernel), make(weights.recurrent_kernel)
        self.sigma = act(spec, "recurrent")
        if (hard := hard_slope(spec)) is not None:
            self.sigma, (alpha, beta) = clip01, hard
            slope = bias.new_tensor([alpha, alpha, 1])[:, None]
            kernel, recurrent, bias = kernel * slope[..., None], recurrent * slope[..., None], bias * slope
            bias[:2] += beta
        self.act = act(spec, "candidate")
        self.lay_out(kernel, recurrent, bias, recurrent_bias[2])

    def lay_out(self, kernel: Tensor, recurrent: Tensor, bias: Tensor, inner_bias: Tensor) -> None:
        """The products of a step: here one for all gates, of which only n has a recurrent bias."""
        from rnninspect.engine.matmul import Product, worth_apart

        self.inputs, self.recurrent = (Product(k, worth_apart(recurrent)) for k in (kernel, recurrent))
        self.bias, inner = self.inputs.row(bias), bias.new_zeros(bias.shape)
        inner[2] = inner_bias
        self.inner_bias = self.recurrent.row(inner)

    def begin(self, c: Tensor | None) -> None:
        """See `Cell.begin`; a GRU has no c."""
        self.room: tuple[Tensor, Tensor, Tensor] | None = None

    def rows(self, n: int) -> None:
        """Make room for steps of `n` rows: sums `[3, n, H]`, inner product and reset gate `[n, H]`."""
        if self.room is None:
            sums = self.bias.new_empty(n * 3 * self.units)
            self.room = sums, self.bias.new_empty(n, self.units), self.bias.new_empty(n, self.units)
        self.inner, self.reset = self.room[1][:n], self.room[2][:n]
        self.sums = self.recurrent.room(self.room[0], n)
        gates = self.recurrent.gates(self.sums)
        self.r_and_z, self.r, self.z, self.n = gates[:2], gates[0], gates[1], gates[-1]

    def project(self, x: Tensor) -> Parts:
        """The inputs' part of every gate, for steps `[N, F]` at once: r and z `[2, N, H]`, the candidate `[N, H]`."""
        gates = self.inputs.gates(self.inputs.add(self.bias, x))
        return gates[:2], gates[2]

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        """One step of rows `[n, H]` from `h` into `out`; Cho et al. 2014, or cuDNN's variant of the candidate."""
        self.recurrent.add(self.inner_bias, h, self.sums)
        self.sigma(self._clip(self.r_and_z.add_(x[0])))
        self.addcmul(x[1], self.r, self.n, out=self.inner)
        self.act(self._clip(self.inner))
        self.lerp(self.inner, h, self.z, out=out)

    def _clip(self, gates: Tensor) -> Tensor:
        clip = self.spec.gate_clip
        return gates if clip is None else gates.clamp_(-clip, clip)


class ResetBeforeGRUCell(GRUCell):
    """Gated recurrent unit, the reset gate applied to h before the product (Cho et al. 2014; TensorFlow's GRUCell).

        n = act(x Wn + (r * h) Un + bn), the rest as above; every recurrent bias just adds.

    Keras `reset_after=False`; ONNX `linear_before_reset=0`.
    """

    def lay_out(self, kernel: Tensor, recurrent: Tensor, bias: Tensor, inner_bias: Tensor) -> None:
        """Two products, as n waits for r."""
        from rnninspect.engine.matmul import Product, worth_apart

        self.inputs, self.recurrent = (Product(k[:2], worth_apart(recurrent[:2])) for k in (kernel, recurrent))
        self.kernel_of_n, self.recurrent_of_n = kernel[2], recurrent[2]
        self.bias, self.bias_of_n = self.inputs.row(bias[:2]), bias[2]

    def project(self, x: Tensor) -> Parts:
        return self.inputs.add(self.bias, x), self.addmm(self.bias_of_n, x, self.kernel_of_n)

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        self.recurrent.add(x[0], h, self.sums)
        self.sigma(self._clip(self.r_and_z))
        self.mul(self.r, h, out=self.reset)
        self.addmm(x[1], self.reset, self.recurrent_of_n, out=self.inner)
        self.act(self._clip(self.inner))
        self.lerp(self.inner, h, self.z, out=out)


def step(spec: CellSpec, weights: LayerWeights, make: Make) -> StepCell:
    """The variant that `reset_after` states."""
    return (GRUCell if spec.reset_after else ResetBeforeGRUCell)(spec, weights, make)


def kernel(spec: CellSpec, parts: frozenset[str]) -> str | None:
    """`torch.gru` resets after the product, and knows no clip and no activations but its own."""
    plain = (spec.recurrent_activation, spec.activation) == ("sigmoid", "tanh") and spec.gate_clip is None
    return "gru" if plain and spec.reset_after else None


CELL = CellDescription(
    name="gru",
    gates=("r", "z", "n"),
    equations=(
        "r, z = sigma(x W + h U + b); n = act(x W + b + r * (h U + b')), or act(x W + (r * h) U + b) where it resets "
        "before the product; h' = (1 - z) * n + z * h"
    ),
    varied_by=frozenset(
        {
            "activation",
            "activation_alpha",
            "activation_beta",
            "activations",
            "clip",
            "linear_before_reset",
            "recurrent_activation",
            "reset_after",
        }
    ),
    roles=("recurrent", "candidate"),
    has_c=False,
    step=step,
    kernel=kernel,
)
