"""A square kernel was read the wrong way round, or the two kernels were exchanged."""

from __future__ import annotations

from rnninspect.core.weights import Weights
from rnninspect.diagnosis.rule import CannotInject, Thread
from rnninspect.diagnosis.weights_rule import WeightsRule


class KernelTransposed(WeightsRule):
    name = "kernel-transposed"
    summary = "transposing each gate's kernel, or exchanging the input and recurrent kernels, gives the dump's numbers"
    why = (
        "PyTorch stores [4H, F], Keras [F, 4H]. With as many features as units the shapes are the same, so only the "
        "numbers show that a transpose is missing or that the input and recurrent kernels were exchanged."
    )
    fix = (
        "blocks = np.split(recurrent_kernel, len(gates), axis=-1)  # the input kernel likewise, where it is square\n"
        "recurrent_kernel = np.concatenate([block.T for block in blocks], axis=-1)"
    )
    fixed_in = "arrays"
    group = "Weights and arithmetic"
    place = 6
    threads = (
        Thread(
            "https://github.com/huggingface/transformers/pull/10712",
            "A conversion transposes the kernels and forgets the recurrent kernels.",
        ),
        Thread(
            "https://github.com/keras-team/keras/issues/8720",
            "The kernels of CuDNNGRU have the right shape and are stored the other way round.",
        ),
    )

    def corrupt(self, weights: Weights) -> Weights:
        from rnninspect.diagnosis.evidence.weight_changes import each, turn_recurrent

        if any(w.recurrent_kernel.shape[1] != w.recurrent_kernel.shape[2] for w in weights.layers):
            raise CannotInject("needs a square recurrent kernel")
        return each(weights, turn_recurrent)


RULE = KernelTransposed()
