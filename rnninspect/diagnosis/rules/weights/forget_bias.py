"""The forget bias is counted twice, or not at all."""

from __future__ import annotations

from dataclasses import replace

from rnninspect.core.weights import Weights
from rnninspect.diagnosis.rule import CannotInject, Thread
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.engine import cells


class ForgetBias(WeightsRule):
    name = "forget-bias"
    summary = (
        "step 0 agrees and later steps do not: adding 1 to (or subtracting 1 from) the forget gate's bias explains it"
    )
    why = (
        "TensorFlow 1's LSTMCell adds forget_bias = 1 at run time, so it is not in the saved weights; Keras and "
        "hand-written ports store it in the bias. Code that moves weights between them must add it exactly once."
    )
    fix = 'bias = bias + np.repeat([gate == "f" for gate in gates], H)  # gates: "ifgo", say; - where it counts twice'
    fixed_in = "arrays"
    group = "Weights and arithmetic"
    place = 2
    threads = (
        Thread(
            "https://github.com/apple/coremltools/issues/309",
            "The converted model agrees only on the first step; adding forget_bias to the bias by hand fixes it.",
        ),
        Thread(
            "https://github.com/apache/tvm/pull/3410",
            "A converter added forget_bias after the sigmoid; tests with forget_bias 0 did not notice.",
        ),
        Thread(
            "https://github.com/tensorflow/tensorflow/issues/14223",
            "The bias variable stays zero whatever forget_bias is: it is not part of the weights.",
        ),
    )

    def corrupt(self, weights: Weights) -> Weights:
        if "forget_bias" not in cells.get(weights.spec.cell).fields:
            raise CannotInject("needs an LSTM")
        return replace(weights, spec=replace(weights.spec, forget_bias=weights.spec.forget_bias - 1.0))


RULE = ForgetBias()
