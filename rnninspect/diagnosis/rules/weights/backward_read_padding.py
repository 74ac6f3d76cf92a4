"""The backward pass began in the padding; every match looks right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Bools, Trace
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees, compared, tolerance
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal
from rnninspect.measure.difference import TrackDifference
from rnninspect.measure.facts import TrackFacts


class BackwardReadPadding(Rule):
    name = "backward-read-padding"
    summary = "the backward pass read the padding first, so all backward outputs of short rows are wrong"
    why = (
        "Reversing the whole time axis (flip(1), or calling the layer without lengths) makes the backward pass of a "
        "short row begin in its padding. The state still equals the backward output at step 0, so the mistake cannot "
        "be seen without the weights."
    )
    fix = (
        "steps = (lengths[:, None] - 1 - np.arange(inputs.shape[1])) % inputs.shape[1]\n"
        "inputs_bw = np.take_along_axis(inputs, steps[..., None], 1)  # turned round within each length; run again"
    )
    group = "Directions"
    place = 3
    needs = ("outputs", "inputs", "weights")
    implies = ("padding-computed", "stale-initial-state")
    example = "directions"
    compares = True
    threads = (
        Thread(
            "https://github.com/pytorch/pytorch/issues/1811",
            "Does a reversed batch begin with its padding? Both cases are drawn; packing does it right.",
        ),
        Thread(
            "https://github.com/pytorch/pytorch/issues/1794",
            "A request for a reversal within each row's length, with code that people still copy.",
        ),
        Thread(
            "https://github.com/soumith/cudnn.torch/issues/187",
            "With cuDNN's bidirectional LSTM both passes read the padding like any other step.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        if case.batch is None or case.trace.mask.all() or not _reads_back(case) or agrees(case):
            return
        full = case.run(replace(case.batch, mask=np.ones_like(case.batch.mask), lengths=None, mask_given=False))
        seen = list(_through_padding(case, full))
        yield from proposal(
            self,
            seen,
            "{rows}: the backward outputs are those of a pass over the whole time axis, padding first; a pass within "
            "the length gives other outputs",
            kind="fact",
        )

    def undo(self, case: Case) -> Iterable[Undone]:
        if case.batch is not None and not case.batch.mask.all() and case.trace.directions == 2:
            whole = replace(case.batch, mask=np.ones_like(case.batch.mask), lengths=None, mask_given=False)
            yield Undone("a run that reads the padding too", replace(case, batch=whole))

    def inject(self, case: Case) -> Case:
        if case.trace.directions != 2 or case.batch is None or case.trace.mask.all() or case.trace.layers > 1:
            raise CannotInject("needs one layer of two directions and a short row")
        full = case.run(replace(case.batch, mask=np.ones_like(case.batch.mask), lengths=None)).track(0, "backward")
        assert full is not None
        assert full.outputs is not None
        outputs = np.where(case.trace.mask[..., None], full.outputs, 0)
        first = outputs[:, 0]
        return case.with_tracks(
            lambda t: replace(t, outputs=outputs, final=first, cell=None) if t.direction == "backward" else t
        )


def _reads_back(case: Case) -> bool:
    return any(track.direction == "backward" for track in case.trace.tracks)


def _through_padding(case: Case, full: Trace) -> Iterator[Seen]:
    """Short rows of backward tracks that differ from the correct run and equal a run over the whole time axis."""
    limit = tolerance(case)
    facts = {(f.track.layer, f.track.direction): f for f in case.facts}
    wrong = {(d.track.layer, d.track.direction): d for d in compared(case, full)}
    for right in compared(case, case.reference):
        key = (right.track.layer, right.track.direction)
        if right.track.direction == "backward" and key in facts and key in wrong:
            rows = _rows(facts[key], right, wrong[key], limit)
            yield Seen(facts[key], rows & ~_cut_to_the_axis(facts.get((key[0], "forward")), rows.size))


def _cut_to_the_axis(forward: TrackFacts | None, count: int) -> Bools:
    """`[B]`, of `count` rows: those whose forward half ends as many steps too late as that of shorter rows does, or
    would but for the end of the time axis: such a run had longer lengths, which in these rows are the whole axis."""
    if forward is None:
        return np.zeros(count, dtype=np.bool_)
    late = np.where(forward.equal, np.arange(forward.steps), -1).max(1) - (forward.ends - 1)
    inside = forward.mismatched & forward.equal.any(1) & ~forward.equal[:, -1]
    offsets = np.unique(late[inside])
    if offsets.size != 1 or offsets[0] < 1:
        return np.zeros(count, dtype=np.bool_)
    return np.asarray((forward.ends + offsets[0] >= forward.steps) & forward.equal[:, -1])


def _rows(facts: TrackFacts, right: TrackDifference, wrong: TrackDifference, limit: float) -> Bools:
    def apart(difference: TrackDifference) -> Bools:
        return np.asarray((difference.difference * difference.real).max(1) > limit)

    return np.asarray(apart(right) & ~apart(wrong) & facts.short)


RULE = BackwardReadPadding()
