"""One of two biases is missing, or counted twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.weights import Weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Proposal, Thread
from rnninspect.diagnosis.weights_rule import WeightsRule, everywhere


class BiasDropped(WeightsRule):
    name = "bias-dropped"
    summary = "a bias is missing from the weights, or counted twice"
    why = (
        "PyTorch, cuDNN, ONNX and MXNet keep two biases per gate, TensorFlow and Keras one. Copying only b_ih loses "
        "b_hh: a single bias must hold the sum of both (except in a GRU's candidate gate, whose two biases stay "
        "separate)."
    )
    fix = "bias = bias_ih + bias_hh  # each once; of a GRU's candidate gate they stay apart"
    group = "Weights and arithmetic"
    place = 3
    example = "rows"
    threads = (
        Thread(
            "https://github.com/keras-team/keras/pull/8307",
            "cuDNN has two biases per gate, Keras' LSTM one: their sum is right for an LSTM, but not for a GRU.",
        ),
        Thread(
            "https://github.com/google/flax/issues/3746",
            "Flax's LSTM has one of PyTorch's two biases; where do both go?",
        ),
        Thread(
            "https://github.com/tensorflow/tensorflow/issues/20435",
            "A model moves from two biases in PyTorch to one in TensorFlow; which formula holds?",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        from rnninspect.diagnosis.evidence.parameter_fit import fitted_bias
        from rnninspect.diagnosis.evidence.part_search import forget_bias_in_a_part

        yield from super().check(case)
        fit = fitted_bias(case) if forget_bias_in_a_part(case) is None else None
        if fit is not None:
            yield Proposal(
                self.name,
                f"a run with these weights differs from the dump by up to {fit.before:.2g}; with one constant added "
                "to each "
                f"gate's bias, the same for all rows and steps, by {fit.after:.2g}: a bias was lost or misplaced",
                everywhere(case),
                kind="fact",
                evidence={"before": fit.before, "after": fit.after, "largest_missing": fit.size},
            )

    def corrupt(self, weights: Weights) -> Weights:
        if not any(np.any(w.bias) for w in weights.layers):
            raise CannotInject("needs a bias that is not zero")
        return replace(weights, layers=tuple(replace(w, bias=2 * w.bias) for w in weights.layers))


RULE = BiasDropped()
