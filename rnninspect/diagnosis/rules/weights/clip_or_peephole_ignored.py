"""A clip, a projection clip or peepholes were left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rnninspect.core.weights import Weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Proposal, Thread
from rnninspect.diagnosis.weights_rule import WeightsRule, everywhere


class ClipOrPeepholeIgnored(WeightsRule):
    name = "clip-or-peephole-ignored"
    summary = "peepholes, or a clip of the cell state, of the projection or of the gates, were left out"
    why = (
        "cell_clip, proj_clip, ONNX's clip and use_peepholes are attributes, not weights: a converter that copies "
        "only arrays loses the clips, and many frameworks cannot express clips or peepholes at all."
    )
    fix = "c = np.clip(c, -cell_clip, cell_clip)  # at every step; peepholes add p * c to the gates: run as trained"
    group = "Weights and arithmetic"
    place = 8
    example = "clipped"
    threads = (
        Thread(
            "https://github.com/microsoft/onnxruntime/issues/27224",
            "ONNX requires a clip before every activation; one of them had none.",
        ),
        Thread(
            "https://github.com/apache/tvm/pull/19633",
            "A review finds that peepholes and projections are silently dropped, which gives wrong numbers.",
        ),
        Thread(
            "https://github.com/PaddlePaddle/Paddle/pull/15605",
            "Paddle's projected LSTM lacked TensorFlow's clips of cell and projection until this change.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        from rnninspect.diagnosis.evidence.parameter_fit import fitted_clip, fitted_peepholes

        yield from super().check(case)
        clip = fitted_clip(case)
        if clip is not None:
            yield Proposal(
                self.name,
                f"a run with these weights differs from the dump by up to {clip.before:.2g}; with "
                f"{clip.description}, by {clip.after:.2g}",
                everywhere(case),
                kind="fact",
                evidence={"before": clip.before, "after": clip.after, "clip": clip.size},
            )
            return
        peepholes = fitted_peepholes(case)
        if peepholes is not None:
            yield Proposal(
                self.name,
                f"a run with these weights differs from the dump by up to {peepholes.before:.2g}; with fitted "
                f"peephole vectors, by {peepholes.after:.2g}: the weights lack the peepholes",
                everywhere(case),
                certainty="suspected",
                kind="fact",
                evidence={"before": peepholes.before, "after": peepholes.after},
            )

    def corrupt(self, weights: Weights) -> Weights:
        if weights.spec.cell_clip or any(w.peepholes is not None for w in weights.layers):
            layers = tuple(replace(w, peepholes=None) for w in weights.layers)
            return replace(weights, layers=layers, spec=replace(weights.spec, cell_clip=None))
        raise CannotInject("needs a cell with a clip or peepholes")


RULE = ClipOrPeepholeIgnored()
