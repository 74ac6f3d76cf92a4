"""The outputs have fewer steps than the inputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.finding import Severity
from rnninspect.core.trace import Ints, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import time_axis
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, describe_rows, proposal

REMARK = "save the outputs of all steps; what was cut is not padding"
KEEP_ALL = f"assert outputs.shape[:2] == inputs.shape[:2]  # {REMARK}"


class TruncatedTimeAxis(Rule):
    name = "truncated-time-axis"
    severity: Severity = "warning"
    summary = "the outputs have fewer steps than the inputs: the time axis was cut to the longest row"
    why = (
        "pad_packed_sequence returns as many steps as the longest row has, not as many as the batch was padded to. "
        "The shapes then differ between DataParallel replicas, and from a mask that covers the whole padded width."
    )
    fix = "missing = inputs.shape[1] - outputs.shape[1]\noutputs = np.pad(outputs, [(0, 0), (0, missing), (0, 0)])"
    fixed_in = "arrays"
    group = "Wrong step"
    place = 9
    needs = ("outputs",)
    implies = ("length-exceeds-time",)
    threads = (
        Thread(
            "https://github.com/pytorch/pytorch/issues/1591",
            "On several GPUs, part of the batch comes back with fewer steps, and later layers fail.",
        ),
        Thread(
            "https://github.com/pytorch/pytorch/issues/6299",
            "Replicas pad to their own longest row and cannot be gathered; total_length was added for this.",
        ),
        Thread(
            "https://github.com/pytorch/pytorch/issues/144207",
            "Packing and padding back silently drops the steps beyond the largest length.",
        ),
    )

    def code(self, case: Case) -> str:
        axis = time_axis(case)
        if not self.mends(case):
            return KEEP_ALL if _is_cut(case) else f"assert lengths.max() <= outputs.shape[{axis}]  # {REMARK}"
        room = "[(0, 0), (0, missing), (0, 0)]" if axis else "[(0, missing), (0, 0), (0, 0)]"
        lines = [f"missing = inputs.shape[{axis}] - outputs.shape[{axis}]", f"outputs = np.pad(outputs, {room})"]
        return "\n".join([*lines, *["mask = np.pad(mask, [(0, 0), (0, missing)])"] * case.trace.mask_given])

    def fitted(self, case: Case, theirs: str) -> str:
        """A framework's code restores padding alone."""
        return theirs if self.mends(case) else self.code(case)

    def mends(self, case: Case) -> bool:
        """Where it is known that what was cut off is padding."""
        lengths = case.trace.lengths
        return case.trace.knows_padding and (lengths is None or int(lengths.max(initial=0)) <= case.trace.steps)

    def check(self, case: Case) -> Iterable[Proposal]:
        lengths = case.trace.lengths
        if case.batch is None or not _is_cut(case):
            if lengths is not None and (lengths > case.trace.steps).any():
                yield from self._of_states_beyond(case, lengths)
            return
        input_steps, kept = case.batch.inputs.shape[1], case.trace.steps
        if lengths is not None and kept < lengths.max(initial=0) <= input_steps:
            yield from self._of_rows_that_go_on(case, lengths)
            return
        longest = int(case.trace.real_counts.max(initial=0))
        how = ", the longest row" if longest == kept else ""
        yield Proposal(
            self.name,
            f"the inputs have {input_steps} steps and the outputs {kept}{how}: the time axis was cut",
            frozenset(),
            severity="warning",
            kind="fact",
            evidence={"inputs_steps": input_steps, "outputs_steps": kept},
        )

    def _of_rows_that_go_on(self, case: Case, lengths: Ints) -> Iterable[Proposal]:
        """Rows that are longer than the outputs: the steps where their states are taken are not there."""
        assert case.batch is not None
        kept, longer = case.trace.steps, lengths > case.trace.steps
        lost = [Seen(f, f.mismatched & longer & ~f.equal.any(1)) for f in case.facts if f.track.direction == "forward"]
        which = describe_rows(np.flatnonzero(longer).tolist(), lengths.size)
        message = (
            f"the inputs have {case.batch.inputs.shape[1]} steps and the outputs {kept}: the time axis was cut, and "
            f"the steps at which {which} end are not in the outputs"
        )
        evidence = {"inputs_steps": case.batch.inputs.shape[1], "outputs_steps": kept}
        states = list(proposal(self, lost, message, certainty="suspected", evidence=evidence, severity="error"))
        yield from states or [
            Proposal(self.name, message, frozenset(), severity="error", kind="fact", evidence=evidence)
        ]

    def _of_states_beyond(self, case: Case, lengths: Ints) -> Iterable[Proposal]:
        """Lengths beyond the steps that there are, which every shorter row bears out, and states that are no step."""
        longer = lengths > case.trace.steps
        tracks = [f for f in case.facts if f.track.direction == "forward" and f.track.order == "time"]
        lost = [Seen(f, f.mismatched & longer & ~f.somewhere) for f in tracks]
        borne_out = [~longer & ~f.uninformative & f.at_expected for f in tracks]
        if (
            not all(np.array_equal(s.rows, longer) and b.any() for s, b in zip(lost, borne_out, strict=True))
            or any((f.mismatched & ~longer).any() for f in case.facts)
            or any((f.mismatched & longer).any() for f in case.facts if f not in tracks)
        ):
            return
        yield from proposal(
            self,
            lost,
            f"{{rows}}: the length is beyond the {case.trace.steps} steps of the outputs and final_state.h is none of "
            "them, while the other rows end where their lengths say: the outputs were cut after the run, or these "
            "lengths are of other rows",
            certainty="suspected",
            severity="error",
            evidence={"outputs_steps": case.trace.steps, "longest": int(lengths.max())},
        )

    def inject(self, case: Case) -> Case:
        if case.batch is None or case.trace.steps < 2 or any(t.order != "time" for t in case.trace.tracks):
            raise CannotInject("needs inputs of two or more steps")
        keep = max(1, min(int(case.trace.real_counts.max()), case.trace.steps))
        padded = case.trace.steps + 2 if keep == case.trace.steps else case.trace.steps
        inputs = np.concatenate([case.batch.inputs, case.batch.inputs[:, :2]], 1)[:, :padded]
        mask = np.zeros(inputs.shape[:2], dtype=np.bool_)
        mask[:, :keep] = case.trace.mask[:, :keep]

        def cut(track: Track) -> Track:
            return replace(track, outputs=None if track.outputs is None else track.outputs[:, :keep])

        trace = replace(case.trace, mask=case.trace.mask[:, :keep])
        return replace(case.with_trace(trace).with_tracks(cut), batch=replace(case.batch, inputs=inputs, mask=mask))


def _is_cut(case: Case) -> bool:
    """Whether the inputs have more steps than the outputs."""
    return case.batch is not None and case.batch.inputs.shape[1] > case.trace.steps


RULE = TruncatedTimeAxis()
