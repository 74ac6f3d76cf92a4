"""The reset gate is applied before the recurrent product in one framework, after it in the other."""

from __future__ import annotations

from dataclasses import replace

from rnninspect.core.weights import Weights
from rnninspect.diagnosis.rule import CannotInject, Thread
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.engine import cells


class GruResetVariant(WeightsRule):
    name = "gru-reset-variant"
    summary = "a GRU that applies the reset gate on the other side of the recurrent product gives the dump's numbers"
    why = (
        "TensorFlow 1 and Keras with reset_after=False apply the reset gate to the state before the recurrent "
        "product (Cho et al. 2014, first version); cuDNN, PyTorch and Keras by default apply it after the product. "
        "ONNX calls the choice linear_before_reset. The same weights fit both variants and mean different things."
    )
    fix = "n = np.tanh(x @ w + b + r * (h @ u + b_h))  # after the product; before it: (r * h) @ u. Run as trained"
    group = "Weights and arithmetic"
    place = 4
    example = "gru"
    threads = (
        Thread(
            "https://github.com/pytorch/pytorch/issues/8153",
            "PyTorch and cuDNN reset after the product, the later versions of the paper before it.",
        ),
        Thread(
            "https://github.com/keras-team/keras/pull/9112",
            "Keras gains reset_after, so that a GRU trained with cuDNN runs on a CPU.",
        ),
        Thread(
            "https://github.com/onnx/onnx-tensorflow/issues/853",
            "A GRU with linear_before_reset cannot be converted to the other variant.",
        ),
    )

    def corrupt(self, weights: Weights) -> Weights:
        if "reset_after" not in cells.get(weights.spec.cell).fields:
            raise CannotInject("needs a GRU")
        return replace(weights, spec=replace(weights.spec, reset_after=not weights.spec.reset_after))


RULE = GruResetVariant()
