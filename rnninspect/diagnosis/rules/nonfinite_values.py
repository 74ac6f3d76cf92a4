"""NaN or infinity: where first, in how many rows, and whether it reached the state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Bools
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, listed, proposal
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import any_of


class NonfiniteValues(Rule):
    name = "nonfinite-values"
    summary = "outputs or states hold NaN or infinity"
    why = (
        "One NaN in an input spreads through the recurrence to every later step and to the final state; in a layer "
        "that reads its padding, a NaN in the padding does so too. Exploding activations end in infinity."
    )
    fix = "bad = np.argwhere(~np.isfinite(inputs))  # (row, step, unit), padding too: replace these and run again"
    group = "Padding"
    place = 3
    needs = ("outputs",)
    example = "rows"
    threads = (
        Thread(
            "https://github.com/junhyukoh/caffe-lstm/issues/3",
            "A network gives NaN on the GPU alone; one NaN spreads through all that follows it.",
        ),
        Thread(
            "https://github.com/ragulpr/wtte-rnn/issues/50",
            "NaN comes out of a masked batch: a mask of zeros does not remove a NaN from a sum.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        for facts in case.facts:
            state = _nonfinite_state(facts)
            rows = any_of(facts.nonfinite) | state
            if not rows.any():
                continue
            yield from proposal(
                self,
                [Seen(facts, rows)],
                f"{{rows}}: {_where(facts)}; {_reach(state)}",
                kind="fact",
                evidence={"rows_with_nonfinite_state": np.flatnonzero(state).tolist()[:64]},
            )

    def inject(self, case: Case) -> Case:
        if case.batch is None or case.weights is None or not case.batch.mask.any():
            raise CannotInject("needs weights, inputs and a real step")
        if case.batch.inputs.dtype.kind != "f":
            raise CannotInject("needs inputs of a floating type")
        inputs = case.batch.inputs.copy()
        row = int(np.argmax(case.batch.mask.sum(1)))
        inputs[row, int(np.flatnonzero(case.batch.mask[row])[-1])] = np.nan
        return case.with_trace(replace(case.trace, tracks=case.run(replace(case.batch, inputs=inputs)).tracks))


def _nonfinite_state(facts: TrackFacts) -> Bools:
    bad = ~np.isfinite(facts.final).all(-1) if facts.final.dtype.kind == "f" else np.zeros(len(facts.final), bool)
    if facts.track.cell is not None and facts.track.cell.dtype.kind == "f":
        bad = bad | ~np.isfinite(facts.track.cell).all(-1)
    return np.asarray(bad)


def _where(facts: TrackFacts) -> str:
    if not facts.nonfinite.any():
        return "every output is finite, but the final state is not"
    row = int(np.flatnonzero(any_of(facts.nonfinite))[0])
    step = int(np.flatnonzero(facts.nonfinite[row])[0])
    unit = int(np.flatnonzero(~np.isfinite(facts.outputs[row, step]))[0])
    value = facts.outputs[row, step, unit]
    place = "a padded step" if not facts.mask[row, step] else "a real step"
    padded_only = not (facts.nonfinite & facts.mask).any()
    origin = "; no real step holds any, so it comes from the padding" if padded_only else ""
    return f"the first of them is {value} at row {row}, step {step}, unit {unit}, {place}{origin}"


def _reach(state: Bools) -> str:
    rows = np.flatnonzero(state).tolist()
    return (
        f"it reached the final state of row{'s' * (len(rows) > 1)} {listed(rows)}"
        if rows
        else "no final state holds any"
    )


RULE = NonfiniteValues()
