"""Padded outputs are computed, though the final state is right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.padding_habit import is_usual, of_padding, put_at_zero
from rnninspect.diagnosis.fix_code import padded
from rnninspect.diagnosis.rule import (
    CannotInject,
    Proposal,
    Rule,
    Seen,
    Thread,
    Undone,
    past_the_end,
)
from rnninspect.measure.run_ends import ends_elsewhere

RUN_AGAIN = "outputs, state = layer(inputs, lengths)  # the backward pass has begun in the padding: run again"


class PaddingComputed(Rule):
    name = "padding-computed"
    summary = "padded outputs hold computed values, although the final state is right"
    why = (
        "The layer kept running over the padding and the state was taken at the right step afterwards (as Flax "
        "does). The state is right, but anything pooled over the outputs includes steps that do not exist."
    )
    fix = "outputs = np.where((np.arange(outputs.shape[1]) < lengths[:, None])[..., None], outputs, 0)"
    fixed_in = "arrays"
    group = "Padding"
    place = 2
    needs = ("outputs", "lengths")
    threads = (
        Thread(
            "https://github.com/google/flax/pull/2604",
            "The review that decided that Flax's RNN does not zero the outputs of padded steps.",
        ),
        Thread(
            "https://github.com/jax-ml/jax/pull/15169",
            "JAX's reference LSTM is corrected: the carry at each row's length, and zeros at padded steps.",
        ),
        Thread(
            "https://github.com/pytorch/pytorch/issues/2311",
            "How does one average a row's outputs without counting its padded steps?",
        ),
    )

    def code(self, case: Case) -> str:
        return padded(case, self.fix) if self.mends(case) or is_usual(case, "computed") else RUN_AGAIN

    def mends(self, case: Case) -> bool:
        """Where no pass began in the padding: a backward one carries it into the real steps, which a run would tell."""
        return all(t.direction == "forward" for t in case.trace.tracks) or (case.has("inputs") and case.has("weights"))

    def check(self, case: Case) -> Iterable[Proposal]:
        if "direction" in case.trace.source:
            return  # which end of the rows is read last is assumed
        if ends_elsewhere(case.facts) is not None:
            return  # a packed run did not read its padding, and the lengths are not its own
        seen = [
            Seen(f, np.array([p == "computed" for p in f.padding]) & ~f.mismatched & (f.ends > 0) & past_the_end(f))
            for f in case.facts
        ]
        message = "the padded outputs are neither zero nor repeated: the layer also ran over the padding"
        yield from of_padding(self, case, seen, "computed", message)

    def undo(self, case: Case) -> Iterable[Undone]:
        return put_at_zero(case, "computed")

    def inject(self, case: Case) -> Case:
        if case.batch is None or case.weights is None or case.trace.mask.all() or case.trace.padding != "zero":
            raise CannotInject("needs inputs, weights and a row with zeroed padding")
        full = case.run(replace(case.batch, mask=np.ones_like(case.batch.mask))).tracks
        tracks = tuple(
            replace(t, outputs=np.where(case.trace.mask[..., None], t.outputs, f.outputs))
            if t.outputs is not None and f.outputs is not None
            else t
            for t, f in zip(case.trace.tracks, full, strict=True)
        )
        return case.with_trace(replace(case.trace, tracks=tracks))


RULE = PaddingComputed()
