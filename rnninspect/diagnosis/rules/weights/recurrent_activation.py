"""Hard sigmoid against sigmoid."""

from __future__ import annotations

from dataclasses import replace

from rnninspect.core.weights import Weights
from rnninspect.diagnosis.rule import CannotInject, Thread
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.engine import cells


class RecurrentActivation(WeightsRule):
    name = "recurrent-activation"
    summary = "with another recurrent activation, the weights give the dump's numbers"
    why = (
        "Keras 1 and 2 used hard_sigmoid in the gates (clip(0.2 x + 0.5)), Keras 3 defines hard_sigmoid as clip(x/6 "
        "+ 0.5), and everything else uses sigmoid. The weights do not say which one they were trained with."
    )
    fix = "gate = 1 / (1 + np.exp(-x))  # or np.clip(0.2 * x + 0.5, 0, 1): the one that the weights were trained with"
    group = "Weights and arithmetic"
    place = 7
    threads = (
        Thread(
            "https://github.com/tensorflow/tensorflow/issues/65381",
            "hard_sigmoid is documented with the old slope and computed with the new one.",
        ),
        Thread(
            "https://github.com/minimaxir/textgenrnn/issues/153",
            "Keras 2.3 changes the default from hard_sigmoid to sigmoid, and old models may break.",
        ),
    )

    def corrupt(self, weights: Weights) -> Weights:
        if "recurrent" not in cells.get(weights.spec.cell).roles:
            raise CannotInject("needs gates")
        return replace(weights, spec=replace(weights.spec, recurrent_activation="hard_sigmoid"))


RULE = RecurrentActivation()
