"""The cells: one step each, in the field's own equations.

A cell reads a step in two halves. `project` is all that depends on the inputs alone, x W + b, and is done for many
steps at once. `step` adds what depends on the state before, and overwrites its buffers: a step allocates nothing and
makes no view unless the number of rows changed, because that is what a step on narrow rows costs.

Rows `n` of a step, features `F`, units of the cell `H`, units of h `P` (= H, or a projection's width). sigma is
`recurrent_activation`, act `activation`; * between vectors is elementwise. Gate blocks are `weights.GATES`'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import Array
from rnninspect.core.weights import LayerWeights
from rnninspect.engine.activations import ACTIVATIONS, activation
from rnninspect.engine.matmul import Product, columns, worth_apart

__all__ = ["ACTIVATIONS", "GRUCell", "LSTMCell", "RNNCell", "StepCell", "make_cell"]

Make = Callable[[Array], Tensor]  # an array as a tensor of the run's dtype, on its device
Parts = tuple[Tensor, ...]  # the input's share of the gates, `[n, width]` each


class StepCell(Protocol):
    """What the engine's loop needs of a cell."""

    c: Tensor | None

    def begin(self, c: Tensor | None) -> None:
        """Starts a pass: `c` `[B, H]` is the cell state of all its rows, and is overwritten step by step."""

    def rows(self, n: int) -> None:
        """From the next step on, only the first `n` rows go on; the cell states of the others stay as they are."""

    def project(self, x: Tensor) -> Parts:
        """The input's share of the gates: `x` `[N, F]` -> `[N, width]` each."""

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        """One step: the input's share, and h before `[n, P]` -> h after, written to `out` `[n, P]`."""


def make_cell(spec: CellSpec, weights: LayerWeights, make: Make) -> StepCell:
    """The cell of that spec with those weights, as `make` turns them into tensors."""
    if spec.cell == "lstm":
        return LSTMCell(spec, weights, make)
    if spec.cell == "rnn":
        return RNNCell(spec, weights, make)
    return (GRUCell if spec.reset_after else ResetBeforeGRUCell)(spec, weights, make)


def _hard(spec: CellSpec) -> tuple[float, float] | None:
    """(alpha, beta) where sigma is clip(alpha x + beta, 0, 1) of the bare sums: weights can take them up.

    That leaves one clip of three calls a step; rounding aside nothing changes.
    """
    if not spec.recurrent_activation.startswith("hard_sigmoid") or spec.gate_clip is not None:
        return None
    known = ACTIVATIONS[spec.recurrent_activation]
    alpha, beta = dict(spec.activation_alpha).get("recurrent"), dict(spec.activation_beta).get("recurrent")
    return known.alpha if alpha is None else alpha, known.beta if beta is None else beta


def _clip01(x: Tensor) -> Tensor:
    return x.clamp_(0, 1)


def _act(spec: CellSpec, role: str, name: str) -> Callable[[Tensor], Tensor]:
    return activation(name, dict(spec.activation_alpha).get(role), dict(spec.activation_beta).get(role))


class LSTMCell:
    """Long short-term memory (Hochreiter & Schmidhuber 1997, forget gate of Gers et al. 2000).

        i = sigma(x Wi + h Ui + pi * c + bi)
        f = sigma(x Wf + h Uf + pf * c + bf + forget_bias)          f = 1 - i where `input_forget`
        g = act(x Wg + h Ug + bg)
        c' = clip(f * c + i * g, cell_clip)
        o = sigma(x Wo + h Uo + po * c' + bo)
        h' = clip((o * output_activation(c')) R, proj_clip)

    Peepholes pi, pf, po: Gers & Schmidhuber 2000. Projection R: Sak et al. 2014. The clip of c comes before the output
    gate sees it, as in `LSTMCell.call` of TensorFlow's rnn_cell_impl.py, where `forget_bias` is added at run time too.
    `gate_clip` bounds what goes into sigma and act of the gates, peepholes included, and `input_forget` couples the
    gates, as in the LSTM operator of ONNX (onnxruntime/core/providers/cpu/rnn/uni_directional_lstm.cc).
    """

    def __init__(self, spec: CellSpec, weights: LayerWeights, make: Make) -> None:
        self.spec, self.units = spec, weights.cell_units
        order = [0, 1, 3, 2]  # i, f, o, g: the gates that share sigma are neighbours
        bias = make(weights.bias) + (0 if weights.recurrent_bias is None else make(weights.recurrent_bias))
        bias[1] += spec.forget_bias
        kernel, recurrent, bias = make(weights.input_kernel)[order], make(weights.recurrent_kernel)[order], bias[order]
        peepholes = None if weights.peepholes is None else make(weights.peepholes)[:, None]
        self.projection = None if weights.projection is None else make(weights.projection)
        self.sigma = _act(spec, "recurrent", spec.recurrent_activation)
        if (hard := _hard(spec)) is not None:
            self.sigma, (alpha, beta) = _clip01, hard
            for part in (kernel[:3], recurrent[:3], bias[:3]):
                part *= alpha
            bias[:3] += beta
            peepholes = None if peepholes is None else peepholes * alpha
        self.peepholes = None if peepholes is None else (peepholes[:2], peepholes[2])
        apart = worth_apart(recurrent)
        self.inputs, self.recurrent = Product(kernel, apart), Product(recurrent, apart)
        self.bias = self.inputs.row(bias)
        self.act = _act(spec, "candidate", spec.activation)
        self.act_out = _act(spec, "output", spec.output_activation)
        self.c: Tensor | None = None

    def begin(self, c: Tensor | None) -> None:
        assert c is not None
        self.c = c
        self.all_sums = c.new_empty(c.shape[0] * 4 * self.units)
        self.all_shown = torch.empty_like(c)

    def rows(self, n: int) -> None:
        assert self.c is not None
        self.now = self.c[:n]
        self.shown = self.all_shown[:n]
        self.sums = self.recurrent.room(self.all_sums, n)
        gates = self.recurrent.gates(self.sums)
        self.i, self.f, self.o, self.g = gates.unbind(0)
        self.i_and_f, self.sigmas = gates[:2], gates[: 3 if self.peepholes is None else 2]

    def project(self, x: Tensor) -> Parts:
        return (self.inputs.add(self.bias, x),)

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        spec, c = self.spec, self.now
        self.recurrent.add(x[0], h, self.sums)
        if self.peepholes is not None:
            self.i_and_f.addcmul_(self.peepholes[0], c)
        if spec.gate_clip is not None:
            self.sigmas.clamp_(-spec.gate_clip, spec.gate_clip)
            self.g.clamp_(-spec.gate_clip, spec.gate_clip)
        self.sigma(self.sigmas)
        self.act(self.g)
        if spec.input_forget:
            c.lerp_(self.g, self.i)  # (1 - i) c + i g
        else:
            c.mul_(self.f).addcmul_(self.i, self.g)
        if spec.cell_clip is not None:
            c.clamp_(-spec.cell_clip, spec.cell_clip)
        if self.peepholes is not None:
            self.o.addcmul_(self.peepholes[1], c)
            if spec.gate_clip is not None:
                self.o.clamp_(-spec.gate_clip, spec.gate_clip)
            self.sigma(self.o)
        self._show(out)

    def _show(self, out: Tensor) -> None:
        """h' from o and c'."""
        shown = self.act_out(self.shown.copy_(self.now))
        if self.projection is None:
            torch.mul(self.o, shown, out=out)
            return
        torch.mm(shown.mul_(self.o), self.projection, out=out)
        if self.spec.proj_clip is not None:
            out.clamp_(-self.spec.proj_clip, self.spec.proj_clip)


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
        self.spec, self.units = spec, weights.units
        bias = make(weights.bias).clone()
        given = weights.recurrent_bias
        recurrent_bias = torch.zeros_like(bias) if given is None else make(given)
        bias[:2] += recurrent_bias[:2]
        if not spec.reset_after:
            bias[2] += recurrent_bias[2]
        kernel, recurrent = make(weights.input_kernel), make(weights.recurrent_kernel)
        self.sigma = _act(spec, "recurrent", spec.recurrent_activation)
        if (hard := _hard(spec)) is not None:
            self.sigma, (alpha, beta) = _clip01, hard
            slope = bias.new_tensor([alpha, alpha, 1])[:, None]
            kernel, recurrent, bias = kernel * slope[..., None], recurrent * slope[..., None], bias * slope
            bias[:2] += beta
        self.act = _act(spec, "candidate", spec.activation)
        self.lay_out(kernel, recurrent, bias, recurrent_bias[2])

    def lay_out(self, kernel: Tensor, recurrent: Tensor, bias: Tensor, inner_bias: Tensor) -> None:
        """The products of a step: here one for all gates, of which only n has a recurrent bias."""
        self.inputs, self.recurrent = (Product(k, worth_apart(recurrent)) for k in (kernel, recurrent))
        self.bias, inner = self.inputs.row(bias), torch.zeros_like(bias)
        inner[2] = inner_bias
        self.inner_bias = self.recurrent.row(inner)

    def begin(self, c: Tensor | None) -> None:
        self.room: tuple[Tensor, Tensor, Tensor] | None = None

    def rows(self, n: int) -> None:
        if self.room is None:
            sums = self.bias.new_empty(n * 3 * self.units)
            self.room = sums, self.bias.new_empty(n, self.units), self.bias.new_empty(n, self.units)
        self.inner, self.reset = self.room[1][:n], self.room[2][:n]
        self.sums = self.recurrent.room(self.room[0], n)
        gates = self.recurrent.gates(self.sums)
        self.r_and_z, self.r, self.z, self.n = gates[:2], gates[0], gates[1], gates[-1]

    def project(self, x: Tensor) -> Parts:
        gates = self.inputs.gates(self.inputs.add(self.bias, x))
        return gates[:2], gates[2]

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        self.recurrent.add(self.inner_bias, h, self.sums)
        self.sigma(self._clip(self.r_and_z.add_(x[0])))
        torch.addcmul(x[1], self.r, self.n, out=self.inner)
        self.act(self._clip(self.inner))
        torch.lerp(self.inner, h, self.z, out=out)

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
        self.inputs, self.recurrent = (Product(k[:2], worth_apart(recurrent[:2])) for k in (kernel, recurrent))
        self.kernel_of_n, self.recurrent_of_n = kernel[2], recurrent[2]
        self.bias, self.bias_of_n = self.inputs.row(bias[:2]), bias[2]

    def project(self, x: Tensor) -> Parts:
        return self.inputs.add(self.bias, x), torch.addmm(self.bias_of_n, x, self.kernel_of_n)

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        self.recurrent.add(x[0], h, self.sums)
        self.sigma(self._clip(self.r_and_z))
        torch.mul(self.r, h, out=self.reset)
        torch.addmm(x[1], self.reset, self.recurrent_of_n, out=self.inner)
        self.act(self._clip(self.inner))
        torch.lerp(self.inner, h, self.z, out=out)


class RNNCell:
    """The plain recurrence (Elman 1990): h' = act(x W + h U + b), bounded by `gate_clip` before act as in ONNX."""

    c: Tensor | None = None

    def __init__(self, spec: CellSpec, weights: LayerWeights, make: Make) -> None:
        self.clip = spec.gate_clip
        self.kernel = columns(make(weights.input_kernel))
        self.recurrent = columns(make(weights.recurrent_kernel))
        self.bias = make(weights.bias)[0]
        if weights.recurrent_bias is not None:
            self.bias = self.bias + make(weights.recurrent_bias)[0]
        self.act = _act(spec, "candidate", spec.activation)

    def begin(self, c: Tensor | None) -> None:
        """Nothing to keep: h is all the state there is."""

    def rows(self, n: int) -> None:
        """Nothing to cut."""

    def project(self, x: Tensor) -> Parts:
        return (torch.addmm(self.bias, x, self.kernel),)

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        torch.addmm(x[0], h, self.recurrent, out=out)
        if self.clip is not None:
            out.clamp_(-self.clip, self.clip)
        self.act(out)
