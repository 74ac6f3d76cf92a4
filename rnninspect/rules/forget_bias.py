"""The forget bias is counted twice, or not at all."""

from __future__ import annotations

from dataclasses import replace

from rnninspect.rules._weights import WeightsRule
from rnninspect.rules.base import CannotPlant
from rnninspect.weights import Weights


class ForgetBias(WeightsRule):
    name = "forget-bias"
    summary = "step 0 agrees and later steps do not: 1 at the forget gate's bias mends it"
    why = (
        "TensorFlow 1's LSTMCell adds forget_bias = 1 at run time, and it is not in the weights; Keras and hand- "
        "made ports have it in the bias. Moving weights between them must add it once."
    )
    fix = "set_forget_bias"

    def spoil(self, weights: Weights) -> Weights:
        if weights.spec.cell != "lstm":
            raise CannotPlant("needs an LSTM")
        return replace(weights, spec=replace(weights.spec, forget_bias=weights.spec.forget_bias - 1.0))


RULE = ForgetBias()
