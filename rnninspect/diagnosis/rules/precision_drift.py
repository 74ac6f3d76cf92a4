"""Two runs differ by rounding that grows with the steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.finding import Severity
from rnninspect.core.trace import Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Thread, Undone
from rnninspect.measure.difference import is_drift


class PrecisionDrift(Rule):
    name = "precision-drift"
    severity: Severity = "note"
    summary = "two runs differ only by rounding that grows with the steps and does not depend on the lengths"
    why = (
        "Another precision, device, kernel or order of summation rounds differently, and the recurrence carries the "
        "rounding from step to step. This is not a mistake; compare with a tolerance."
    )
    fix = "inputs = inputs.astype(np.float32)  # and the weights: one dtype in both runs"
    group = "Weights and arithmetic"
    place = 9
    needs = ("outputs", "second dump")
    compares = True
    threads = (
        Thread(
            "https://github.com/keras-team/keras/issues/19254",
            "One set of weights gives other outputs on CPU and GPU in float32, and equal ones in float64.",
        ),
        Thread(
            "https://github.com/keras-team/tf-keras/issues/772",
            "The same, only on one kind of GPU; it disappears in float64 and on another machine.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        differing = [d for d in case.differences if d.largest > 0]
        if not differing or not all(is_drift(d) for d in differing):
            return
        largest = max(d.largest for d in differing)
        pair = sorted({name for d in differing for name in d.precisions})
        rows = frozenset(
            (d.track.layer, d.track.direction, int(b)) for d in differing for b in np.flatnonzero(d.first >= 0)
        )
        yield Proposal(
            self.name,
            f"the two dumps differ by at most {largest:.2g} over real steps, rounding of {' and '.join(pair)}; "
            f"an atol of {largest:.1e} would pass",
            rows,
            severity="note",
            kind="fact",
            evidence={"largest": largest, "precisions": pair},
        )

    def undo(self, case: Case) -> Iterable[Undone]:
        differing = [d for d in case.differences if d.largest > 0]
        if case.other is None or not differing or not all(is_drift(d) for d in differing):
            return
        if np.array_equal(case.other.mask, case.trace.mask):
            yield Undone(
                "the numbers of the other dump", replace(case, other=None, other_batch=None).with_trace(case.other)
            )

    def inject(self, case: Case) -> Case:
        if not any(t.outputs is not None and t.outputs.dtype == np.float32 for t in case.trace.tracks):
            raise CannotInject("needs float32 outputs")

        def rounded(track: Track) -> Track:
            if track.outputs is None or track.final is None:
                return track
            coarse = (track.outputs.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
            state = (track.final.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
            return replace(track, outputs=coarse, final=state)

        return replace(case.with_tracks(rounded), other=case.trace)


RULE = PrecisionDrift()
