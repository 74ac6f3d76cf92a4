"""z was taken for 1 - z."""

from __future__ import annotations

from rnninspect.core.weights import Weights
from rnninspect.diagnosis.rule import CannotInject, Thread
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.engine import cells


class UpdateGateFlipped(WeightsRule):
    name = "update-gate-flipped"
    summary = "with z and 1 - z exchanged in the update gate, the weights give the dump's numbers"
    why = (
        "h' = (1 - z) n + z h in most frameworks, but h' = z n + (1 - z) h in the first GRU paper, Haiku and old "
        "Paddle. Code that moves weights between them must negate the z block."
    )
    fix = (
        "z = slice(H, 2 * H)  # the update gate's block, in the order r, z, n\n"
        "for array in (kernel, recurrent_kernel, bias):\n"
        "    array[..., z] *= -1"
    )
    fixed_in = "arrays"
    group = "Weights and arithmetic"
    place = 5
    example = "gru"
    threads = (
        Thread(
            "https://github.com/pytorch/pytorch/issues/20129",
            "z and 1 - z are exchanged between two papers by one author, who says that either works.",
        ),
        Thread(
            "https://github.com/keras-team/keras/issues/785",
            "Keras' formula is not that of the cited paper; both work, with different weights.",
        ),
        Thread(
            "https://github.com/mindspore-ai/mindspore/issues/149",
            "The documented update of the state has z on the wrong side.",
        ),
    )

    def corrupt(self, weights: Weights) -> Weights:
        from rnninspect.diagnosis.evidence.weight_changes import flip_update

        if "z" not in cells.get(weights.spec.cell).gates:
            raise CannotInject("needs a GRU")
        return flip_update(weights)


RULE = UpdateGateFlipped()
