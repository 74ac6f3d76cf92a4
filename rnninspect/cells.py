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

from rnninspect.activations import ACTIVATIONS, activation
from rnninspect.trace import Array
from rnninspect.weights import CellSpec, LayerWeights

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


def _columns(kernel: Tensor) -> Tensor:
    """`[G, F, H]` -> `[F, G*H]`: gate blocks side by side, so that one product gives all of them."""
    return kernel.permute(1, 0, 2).reshape(kernel.shape[1], -1).contiguous()


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
        self.kernel = _columns(make(weights.input_kernel)[order])
        self.recurrent = _columns(make(weights.recurrent_kernel)[order])
        self.bias = bias[order].reshape(-1)
        self.peepholes = None if weights.peepholes is None else make(weights.peepholes).unbind(0)
        self.projection = None if weights.projection is None else make(weights.projection)
        self.sigma = _act(spec, "recurrent", spec.recurrent_activation)
        self.act = _act(spec, "candidate", spec.activation)
        self.act_out = _act(spec, "output", spec.output_activation)
        self.c: Tensor | None = None

    def begin(self, c: Tensor | None) -> None:
        assert c is not None
        self.c = c
        self.all_gates = c.new_empty(c.shape[0], 4 * self.units)
        self.all_shown = torch.empty_like(c)

    def rows(self, n: int) -> None:
        assert self.c is not None
        self.now = self.c[:n]
        self.shown = self.all_shown[:n]
        self.gates = self.all_gates[:n]
        self.i, self.f, self.o, self.g = self.gates.chunk(4, 1)
        self.sigmas = self.gates[:, : 3 * self.units] if self.peepholes is None else self.gates[:, : 2 * self.units]

    def project(self, x: Tensor) -> Parts:
        return (torch.addmm(self.bias, x, self.kernel),)

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        spec, c = self.spec, self.now
        torch.addmm(x[0], h, self.recurrent, out=self.gates)
        if self.peepholes is not None:
            self.i.addcmul_(self.peepholes[0], c)
            self.f.addcmul_(self.peepholes[1], c)
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
            self.o.addcmul_(self.peepholes[2], c)
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
        self.inner_bias = recurrent_bias[2]
        kernel, recurrent = make(weights.input_kernel), make(weights.recurrent_kernel)
        self.kernels = _columns(kernel[:2]), _columns(kernel[2:])
        self.recurrents = _columns(recurrent[:2]), _columns(recurrent[2:])
        self.biases = bias[:2].reshape(-1), bias[2]
        self.sigma = _act(spec, "recurrent", spec.recurrent_activation)
        self.act = _act(spec, "candidate", spec.activation)

    def begin(self, c: Tensor | None) -> None:
        self.all_gates: Tensor | None = None

    def rows(self, n: int) -> None:
        if self.all_gates is None:
            self.all_gates = self.biases[0].new_empty(n, 2 * self.units)
            self.all_inner = self.biases[0].new_empty(n, self.units)
            self.all_reset = self.biases[0].new_empty(n, self.units)
        self.gates, self.inner, self.reset = self.all_gates[:n], self.all_inner[:n], self.all_reset[:n]
        self.r, self.z = self.gates.chunk(2, 1)

    def project(self, x: Tensor) -> Parts:
        return tuple(torch.addmm(b, x, k) for b, k in zip(self.biases, self.kernels, strict=True))

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        torch.addmm(x[0], h, self.recurrents[0], out=self.gates)
        self.sigma(self._clip(self.gates))
        torch.addmm(self.inner_bias, h, self.recurrents[1], out=self.inner)
        torch.addcmul(x[1], self.r, self.inner, out=self.inner)
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

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        torch.addmm(x[0], h, self.recurrents[0], out=self.gates)
        self.sigma(self._clip(self.gates))
        torch.mul(self.r, h, out=self.reset)
        torch.addmm(x[1], self.reset, self.recurrents[1], out=self.inner)
        self.act(self._clip(self.inner))
        torch.lerp(self.inner, h, self.z, out=out)


class RNNCell:
    """The plain recurrence (Elman 1990): h' = act(x W + h U + b), bounded by `gate_clip` before act as in ONNX."""

    c: Tensor | None = None

    def __init__(self, spec: CellSpec, weights: LayerWeights, make: Make) -> None:
        self.clip = spec.gate_clip
        self.kernel = _columns(make(weights.input_kernel))
        self.recurrent = _columns(make(weights.recurrent_kernel))
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
