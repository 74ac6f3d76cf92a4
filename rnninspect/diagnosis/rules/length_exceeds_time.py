"""A length is larger than the time axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import time_axis
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Thread, describe_rows, listed


class LengthExceedsTime(Rule):
    name = "length-exceeds-time"
    summary = "a length is larger than the number of steps"
    why = (
        "The batch was cut, strided or padded to another length after its lengths were counted, or the lengths count "
        "something else (characters, say). Some frameworks accept such lengths without an error."
    )
    fix = "lengths = np.minimum(lengths, inputs.shape[1])"
    fixed_in = "arrays"
    group = "Wrong step"
    place = 7
    needs = ("lengths",)
    threads = (
        Thread(
            "https://github.com/pytorch/pytorch/issues/146744",
            "Packing with a length larger than the time axis fails, with an error that does not say so.",
        ),
    )

    def code(self, case: Case) -> str:
        return (
            self.fix
            if case.batch is not None and time_axis(case)
            else f"lengths = np.minimum(lengths, {case.trace.steps})"
        )

    def check(self, case: Case) -> Iterable[Proposal]:
        lengths = case.trace.lengths
        if lengths is None:
            return
        if case.batch is not None and case.batch.inputs.shape[1] >= lengths.max(initial=0) > case.trace.steps:
            return  # the inputs have these steps: only the outputs were cut, which is a finding of its own
        rows = np.flatnonzero(lengths > case.trace.steps)
        if rows.size:
            yield Proposal(
                self.name,
                f"{describe_rows(rows.tolist(), lengths.size)}: length {listed(lengths[rows].tolist())} exceeds the "
                f"{case.trace.steps} steps of the time axis",
                frozenset((0, "forward", int(b)) for b in rows),
                kind="fact",
                evidence={"lengths": lengths[rows].tolist()[:64]},
            )

    def inject(self, case: Case) -> Case:
        lengths = case.trace.lengths
        if lengths is None or not (lengths == case.trace.steps).any():
            raise CannotInject("needs stated lengths and a full row")
        longer = np.where(lengths == case.trace.steps, lengths + 3, lengths)
        return case.with_trace(replace(case.trace, lengths=longer))


RULE = LengthExceedsTime()
