"""A row of length 0 has no last step; what its state holds differs from framework to framework."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.finding import Severity
from rnninspect.core.trace import Array, ZeroLength
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import equal_at, same

HOLDS = {
    "initial": "it holds the initial state",
    "zeros": "it is zeros, which this framework writes whatever the initial state was",
    "wrapped": "it equals the row's own last column: index -1 wrapped around",
    "previous": "it equals the last column of the row before: a flat index of -1",
    "other": "it is neither the initial state nor any output (uninitialised memory, perhaps)",
}


class ZeroLengthRow(Rule):
    name = "zero-length-row"
    severity: Severity = "warning"
    summary = "a row has length 0, so its final state can only be the initial state"
    why = (
        "A row without real steps has no output to take a state from. TensorFlow returns the initial state; indexing "
        "at length - 1 = -1 wraps to the last column, which is padding, or to the row before; packing refuses such a "
        "row."
    )
    fix = (
        "keep = lengths > 0  # an empty row has no last step\n"
        "outputs, h, lengths = outputs[keep], h[keep], lengths[keep]"
    )
    fixed_in = "arrays"
    moves = "rows"
    group = "Wrong step"
    place = 8
    needs = ("outputs", "lengths")
    threads = (
        Thread(
            "https://github.com/pytorch/pytorch/issues/4582",
            "Packing refuses an empty row; people clamp its length to 1 and mask its result.",
        ),
        Thread(
            "https://github.com/tensorflow/tensorflow/issues/15091",
            "Gathering each row's last step fails at the row for which the index has become -1.",
        ),
        Thread(
            "https://github.com/tensorflow/tensorflow/issues/36139",
            "A row masked from end to end gives a zero vector in one batch and a cuDNN error in another.",
        ),
    )

    def code(self, case: Case) -> str:
        if not self.mends(case):
            return self.fix
        start = any(t.initial is not None for t in case.trace.tracks)
        empty = "~mask.any(1)" if case.trace.mask_given else "lengths == 0"
        return f"h[{empty}] = {f'h_0[{empty}]' if start else '0'}  # no last step: it ends in its initial state"

    def mends(self, case: Case) -> bool:
        """Where it holds something else."""
        empty = [(f, int(row)) for f in case.facts for row in np.flatnonzero(f.ends == 0)]
        return any(_holds(f, row, case.trace.zero_length) not in ("initial", "zeros") for f, row in empty)

    def check(self, case: Case) -> Iterable[Proposal]:
        if "lengths" in case.trace.source and case.weights is None:
            return  # zeros tell them, and a row may be zero with every step real: units that are shut
        kinds: dict[str, list[Seen]] = {}
        for facts in case.facts:
            for row in np.flatnonzero(facts.ends == 0):
                rows = np.arange(facts.ends.size) == row
                kinds.setdefault(_holds(facts, int(row), case.trace.zero_length), []).append(Seen(facts, rows))
        if "wrapped" in kinds or "previous" in kinds or "other" in kinds:
            for right in ("initial", "zeros"):
                kinds.pop(right, None)  # one track at fault makes the row's state wrong
        for kind, seen in kinds.items():
            yield from proposal(
                self,
                seen,
                f"{{rows}}: length 0, so there is no final step; of final_state.h: {HOLDS[kind]}",
                severity="warning" if kind in ("initial", "zeros") else "error",
                kind="fact",
                evidence={"holds": kind},
            )

    def inject(self, case: Case) -> Case:
        if case.batch is None or case.weights is None or case.trace.mask_given or case.trace.mask.shape[0] < 2:
            raise CannotInject("needs inputs, weights and two rows")
        mask = case.trace.mask.copy()
        row = int(np.argmin(mask.sum(1)))
        mask[row] = False
        lengths = mask.sum(1)
        ran = case.run(replace(case.batch, mask=mask, lengths=lengths))
        return case.with_trace(replace(case.trace, mask=mask, lengths=lengths, tracks=ran.tracks))


def _holds(facts: TrackFacts, row: int, usual: ZeroLength) -> str:
    """Which of HOLDS the state of this row is."""
    track = facts.track
    if _is_initial(facts.final[row], track.initial, row) and (
        track.cell is None or _is_initial(track.cell[row], track.initial_cell, row)
    ):
        return "initial"
    if usual == "zero" and not facts.final[row].any():
        return "zeros"
    if facts.equal[row, -1]:
        return "wrapped"
    before = np.full(facts.ends.size, row - 1)
    if row and equal_at(facts.outputs, facts.final, before, np.full_like(before, facts.steps - 1))[row]:
        return "previous"
    return "other"


def _is_initial(state: Array, initial: Array | None, row: int) -> bool:
    return bool(same(state, np.zeros_like(state) if initial is None else initial[row]).all())


RULE = ZeroLengthRow()
