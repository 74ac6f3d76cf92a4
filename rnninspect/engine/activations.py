"""The activations that recurrent cells may have, in place, by the names that conventions use. Imports no torch.

`hard_sigmoid` is clip(0.2 x + 0.5, 0, 1): Keras 1 and 2, tf_keras, Theano, ONNX. Keras 3 changed it to
clip(x / 6 + 0.5, 0, 1), PyTorch's, here `hard_sigmoid_keras3`. Formulas and defaults of those with alpha and beta:
the LSTM operator of the ONNX specification, opset 14, and the ONNX operators of the same names. ONNX Runtime differs
for thresholded_relu, scaled_tanh and affine: it takes an alpha or beta that a model does not state as 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from rnninspect.core.frozen import frozen
from rnninspect.errors import UnknownNameError

if TYPE_CHECKING:
    from torch import Tensor

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017, appendix


@frozen
class Activation:
    """`apply(x, alpha, beta)` overwrites x with the formula and returns it; alpha and beta are the defaults."""

    formula: str
    apply: Callable[[Tensor, float, float], Tensor]
    alpha: float = 0.0
    beta: float = 0.0


def _elu(x: Tensor, alpha: float, _: float) -> Tensor:
    below = x.clamp(max=0).expm1_().mul_(alpha)
    return x.clamp_(min=0).add_(below)


def _leaky_relu(x: Tensor, alpha: float, _: float) -> Tensor:
    below = x.clamp(max=0).mul_(alpha)
    return x.clamp_(min=0).add_(below)


def _softplus(x: Tensor, _: float, __: float) -> Tensor:
    # max(x, 0) + log(1 + exp(-|x|)): exp cannot overflow.
    tail = x.abs().neg_().exp_().log1p_()
    return x.clamp_(min=0).add_(tail)


def _mish(x: Tensor, alpha: float, beta: float) -> Tensor:
    return x.mul_(_softplus(x.clone(), alpha, beta).tanh_())


def _log_sigmoid(x: Tensor, alpha: float, beta: float) -> Tensor:
    return _softplus(x.neg_(), alpha, beta).neg_()


def _linear_clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    return x.mul_(alpha).add_(beta).clamp_(0, 1)


def _squareplus(x: Tensor, alpha: float, _: float) -> Tensor:
    # Below 0 the sum of x and the root would cancel: alpha / (root - x) is the same.
    root = x.mul(x).add_(alpha).sqrt_()
    below = alpha / root.sub(x)
    above = root.add_(x)
    return x.copy_(above.where(x >= 0, below)).div_(2)


def _soft_shrink(x: Tensor, alpha: float, _: float) -> Tensor:
    return x.sub_(x.clamp(-alpha, alpha))


def _tanh_shrink(x: Tensor, _: float, __: float) -> Tensor:
    return x.sub_(x.tanh())


def _sparse_plus(x: Tensor, _: float, __: float) -> Tensor:
    middle = x.clamp(-1, 1).add_(1).square_().div_(4)
    return x.sub_(1).clamp_(min=0).add_(middle)


def _sparsemax(x: Tensor, _: float, __: float) -> Tensor:
    # As Keras 3 computes it: its threshold takes the sum of the k partial sums where Martins and Astudillo (2016,
    # algorithm 1) take the last of them, so that the units need not add up to 1.
    largest = x.sort(dim=-1, descending=True).values
    sums = largest.cumsum(dim=-1)
    counts = x.new_ones(x.shape).cumsum(dim=-1)
    supports = largest - (sums - 1) / counts > 0
    threshold = (sums.where(supports, 0).sum(dim=-1, keepdim=True) - 1) / supports.sum(dim=-1, keepdim=True)
    return x.sub_(threshold).clamp_(min=0)


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation("1 / (1 + exp(-x))", lambda x, a, b: x.sigmoid_()),
    "hard_sigmoid": Activation("clip(alpha x + beta, 0, 1)", _linear_clip, 0.2, 0.5),
    "hard_sigmoid_keras3": Activation("clip(x / 6 + 0.5, 0, 1)", _linear_clip, 1 / 6, 0.5),
    "tanh": Activation("tanh(x)", lambda x, a, b: x.tanh_()),
    "scaled_tanh": Activation("alpha tanh(beta x)", lambda x, a, b: x.mul_(b).tanh_().mul_(a), 1.0, 1.0),
    "hard_tanh": Activation("clip(x, -1, 1)", lambda x, a, b: x.clamp_(-1, 1)),
    "relu": Activation("max(x, 0)", lambda x, a, b: x.relu_()),
    "relu6": Activation("clip(x, 0, 6)", lambda x, a, b: x.clamp_(0, 6)),
    "leaky_relu": Activation("x if x >= 0 else alpha x", _leaky_relu, 0.01),
    "thresholded_relu": Activation("x if x > alpha else 0", lambda x, a, b: x.masked_fill_(x <= a, 0), 1.0),
    "elu": Activation("x if x >= 0 else alpha (exp(x) - 1)", _elu, 1.0),
    "celu": Activation("x if x >= 0 else exp(x) - 1", lambda x, a, b: _elu(x, 1.0, b)),
    "selu": Activation("scale * elu(x, alpha)", lambda x, a, b: _elu(x, a, b).mul_(SELU_SCALE), SELU_ALPHA),
    "silu": Activation("x sigmoid(x)", lambda x, a, b: x.mul_(x.sigmoid())),
    "hard_silu": Activation("x clip(x + 3, 0, 6) / 6", lambda x, a, b: x.mul_(x.add(3).clamp_(0, 6).div_(6))),
    "mish": Activation("x tanh(log(1 + exp(x)))", _mish),
    "log_sigmoid": Activation("-log(1 + exp(-x))", _log_sigmoid),
    "gelu": Activation("x (1 + erf(x / sqrt 2)) / 2", lambda x, a, b: x.mul_(x.mul(math.sqrt(0.5)).erf_().add_(1) / 2)),
    "squareplus": Activation("(x + sqrt(x^2 + alpha)) / 2", _squareplus, 4.0),
    "soft_shrink": Activation("x - clip(x, -alpha, alpha)", _soft_shrink, 0.5),
    "hard_shrink": Activation("x if |x| > alpha else 0", lambda x, a, b: x.masked_fill_(x.abs() <= a, 0), 0.5),
    "tanh_shrink": Activation("x - tanh(x)", _tanh_shrink),
    "sparse_plus": Activation("max(x - 1, 0) + (clip(x, -1, 1) + 1)^2 / 4", _sparse_plus),
    "sparse_sigmoid": Activation("clip((x + 1) / 2, 0, 1)", lambda x, a, b: x.add_(1).div_(2).clamp_(0, 1)),
    "softmax": Activation("exp(x) / sum of exp over the units", lambda x, a, b: x.copy_(x.softmax(dim=-1))),
    "log_softmax": Activation("x - log(sum of exp over the units)", lambda x, a, b: x.copy_(x.log_softmax(dim=-1))),
    "sparsemax": Activation("max(x - t, 0), t of the units as Keras 3 computes it", _sparsemax),
    "softsign": Activation("x / (1 + |x|)", lambda x, a, b: x.div_(x.abs().add_(1))),
    "softplus": Activation("log(1 + exp(x))", _softplus),
    "exponential": Activation("exp(x)", lambda x, a, b: x.exp_()),
    "affine": Activation("alpha x + beta", lambda x, a, b: x.mul_(a).add_(b), 1.0, 0.0),
    "linear": Activation("x", lambda x, a, b: x),
}


# Other names of the same.
SPELLINGS = {
    "swish": "silu",
    "hard_swish": "hard_silu",
    "hardtanh": "hard_tanh",
    "identity": "linear",
    "exp": "exponential",
}


def activation(name: str, alpha: float | None = None, beta: float | None = None) -> Callable[[Tensor], Tensor]:
    """The activation of that name as a function that overwrites its argument and returns it.

    `alpha`, `beta`: None for the defaults. Raises UnknownNameError with the names there are.
    """
    name = SPELLINGS.get(name, name)
    if name not in ACTIVATIONS:
        raise UnknownNameError("activation", name, list(ACTIVATIONS), "`rnninspect list activations`")
    kind = ACTIVATIONS[name]
    a = kind.alpha if alpha is None else alpha
    b = kind.beta if beta is None else beta
    return lambda x: kind.apply(x, a, b)
