"""Long short-term memory (LSTM)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnninspect.core.cell import CellDescription, CellSpec
from rnninspect.core.weights import LayerWeights
from rnninspect.engine.step import Make, Parts, act, clip01, hard_slope

if TYPE_CHECKING:
    from torch import Tensor


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
        import torch

        from rnninspect.engine.matmul import Product, worth_apart

        self.mul, self.mm = torch.mul, torch.mm
        self.spec, self.units = spec, weights.cell_units
        order = [0, 1, 3, 2]  # i, f, o, g: the gates that share sigma are neighbours
        bias = make(weights.bias) + (0 if weights.recurrent_bias is None else make(weights.recurrent_bias))
        bias[1] += spec.forget_bias
        kernel, recurrent, bias = make(weights.input_kernel)[order], make(weights.recurrent_kernel)[order], bias[order]
        peepholes = None if weights.peepholes is None else make(weights.peepholes)[:, None]
        self.projection = None if weights.projection is None else make(weights.projection)
        self.sigma = act(spec, "recurrent")
        if (hard := hard_slope(spec)) is not None:
            self.sigma, (alpha, beta) = clip01, hard
            for part in (kernel[:3], recurrent[:3], bias[:3]):
                part *= alpha
            bias[:3] += beta
            peepholes = None if peepholes is None else peepholes * alpha
        self.peepholes = None if peepholes is None else (peepholes[:2], peepholes[2])
        apart = worth_apart(recurrent)
        self.inputs, self.recurrent = Product(kernel, apart), Product(recurrent, apart)
        self.bias = self.inputs.row(bias)
        self.act = act(spec, "candidate")
        self.act_out = act(spec, "output")
        self.c: Tensor | None = None

    def begin(self, c: Tensor | None) -> None:
        """Take the initial c `[B, H]`, which `step` writes over, and make room for the sums of every gate."""
        assert c is not None
        self.c = c
        self.all_sums = c.new_empty(c.shape[0] * 4 * self.units)
        self.all_shown = c.new_empty(c.shape)

    def rows(self, n: int) -> None:
        """From here on steps are of the first `n` rows."""
        assert self.c is not None
        self.now = self.c[:n]
        self.shown = self.all_shown[:n]
        self.sums = self.recurrent.room(self.all_sums, n)
        gates = self.recurrent.gates(self.sums)
        self.i, self.f, self.o, self.g = gates.unbind(0)
        self.i_and_f, self.sigmas = gates[:2], gates[: 3 if self.peepholes is None else 2]

    def project(self, x: Tensor) -> Parts:
        """The inputs' part of every gate, for steps `[N, F]` at once: `[4, N, H]`."""
        return (self.inputs.add(self.bias, x),)

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        """One step of rows `[n, H]` from `h` into `out`, c in place; Hochreiter, Schmidhuber 1997, Gers et al. 2000."""
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
            self.mul(self.o, shown, out=out)
            return
        self.mm(shown.mul_(self.o), self.projection, out=out)
        if self.spec.proj_clip is not None:
            out.clamp_(-self.spec.proj_clip, self.spec.proj_clip)


def kernel(spec: CellSpec, parts: frozenset[str]) -> str | None:
    """`torch.lstm` knows a projection, but neither peepholes nor clips, and no activations but its own."""
    plain = (spec.recurrent_activation, spec.activation, spec.output_activation) == ("sigmoid", "tanh", "tanh")
    clipped = spec.gate_clip, spec.cell_clip, spec.proj_clip if "projection" in parts else None
    if not plain or any(clip is not None for clip in clipped) or spec.input_forget or "peepholes" in parts:
        return None
    return "lstm"


CELL = CellDescription(
    name="lstm",
    gates=("i", "f", "g", "o"),
    equations=(
        "i, f, o = sigma(x W + h U + b); g = act(x W + h U + b); c' = f * c + i * g; h' = o * act(c'). Peepholes add "
        "p * c to i and f and p * c' to o; a projection makes h' = (o * act(c')) R"
    ),
    varied_by=frozenset(
        {
            "activation",
            "activation_alpha",
            "activation_beta",
            "activations",
            "cell_clip",
            "clip",
            "forget_bias",
            "input_forget",
            "num_proj",
            "proj_clip",
            "recurrent_activation",
            "use_peepholes",
        }
    ),
    roles=("recurrent", "candidate", "output"),
    has_c=True,
    step=LSTMCell,
    kernel=kernel,
    kernel_on_cpu=True,
)
