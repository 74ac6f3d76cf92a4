"""The padding was read in place of the data: a mask, or lengths counted on one, the wrong way round."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import prefix_mask
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.padding_taken import COUNTED, padding_taken, told_by_one_step
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, places, proposal

SKIPPED = (
    "{{rows}}: {how}: the run skipped the data and read the padding; its mask, or {what} given here, is "
    "inverted (true at padding)"
)
COUNTED_PADDING = (
    "{{rows}}: {how}: the run read as many steps as each row has padding, T - length, and not as many as are real; its "
    "lengths, or {what} given here, count the padding"
)


class MaskInverted(Rule):
    name = "mask-inverted"
    summary = "the padding was read and the real steps left out: a mask, or lengths counted from it, is inverted"
    why = (
        "In Keras, and where a loop holds the state at masked steps, true is a real step; torch's key_padding_mask is "
        "true at padding. Given the wrong one, a layer runs over only the padding, and nothing fails: states and "
        "outputs have the usual shapes and sizes."
    )
    fix = "mask = np.arange(inputs.shape[1]) < lengths[:, None]  # true at real steps, as the layer takes it; run again"
    group = "Padding"
    place = 4
    needs = ("outputs", "lengths")
    implies = (
        "lengths-ignored",
        "left-padded",
        "mask-hole",
        "padding-computed",
        "padding-repeats-last-output",
        "stale-initial-state",
        "backward-read-padding",
        "backward-final-at-last-step",
        "last-column-as-final-state",
        "lengths-misaligned",
        "lengths-rescaled",
        "off-by-one-length",
        "outputs-aliased",
        "bias-dropped",
        "zero-length-row",
    )
    example = "rows"
    threads = (
        Thread(
            "https://github.com/speechbrain/speechbrain/issues/2276",
            "A mask that is true at padding was used where true means a real step, and every position became zero.",
        ),
        Thread(
            "https://github.com/lucidrains/halonet-pytorch/pull/6",
            "A mask that was true at valid places was applied as if true were padding: only the padding was read.",
        ),
        Thread(
            "https://github.com/rasbt/LLMs-from-scratch/issues/1061",
            "In two functions of PyTorch, true means opposite things: read this, or skip this.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        taken = padding_taken(case)
        if taken is None:
            return
        ended = taken.case.facts
        off = [
            Seen(f, np.asarray(f.mismatched & (e.at_expected | ((e.expected < 0) & f.final_zero))))
            for f, e in zip(case.facts, ended, strict=True)
        ]
        read = [Seen(f, np.asarray(f.mask.any(1))) for f in case.facts]
        seen, kind = (off, "state") if any(s.rows.any() for s in off) else (read, "fact")
        wrong = frozenset().union(*(places(s.facts, s.rows & ~s.facts.mismatched) for s in read))
        message = COUNTED_PADDING if taken.kind == COUNTED else SKIPPED
        yield from proposal(
            self,
            seen,
            message.format(how=taken.how, what="the mask" if case.trace.by_mask else "the lengths"),
            kind=kind,
            strength=2 if told_by_one_step(case) else 4,  # no more than that of a run that read on
            spoils=wrong if kind == "state" else frozenset(),
            evidence={"steps_read": taken.steps.sum(1).tolist()[:64]},
        )

    def fitted(self, case: Case, theirs: str) -> str:
        """A framework's own turns a mask, or counts lengths on one: the rule's, where that is not what was read."""
        taken = padding_taken(case)
        return theirs if taken is None or (taken.kind == COUNTED) == theirs.startswith("lengths") else self.fix

    def undo(self, case: Case) -> Iterable[Undone]:
        """Where outputs or a run show which steps were read: of such a run states and weights may be wrong besides."""
        taken = padding_taken(case)
        if taken is not None:
            yield Undone("the steps that were read taken for the real ones", taken.case)

    def inject(self, case: Case) -> Case:
        mask = case.trace.mask
        processing = any(t.order != "time" for t in case.trace.tracks)
        if case.batch is None or case.weights is None or case.trace.mask_given or processing:
            raise CannotInject("needs inputs, weights and lengths")
        if case.trace.padding == "computed":
            return _counted(case)
        if not (2 * mask.sum(1) != mask.shape[1])[~mask.all(1)].any():
            raise CannotInject("needs a row that is not half padding")
        ran = case.run(replace(case.batch, mask=~case.batch.mask, lengths=None, mask_given=True))
        return case.with_trace(replace(case.trace, tracks=ran.tracks))


def _counted(case: Case) -> Case:
    """The case of a run that was given as many steps as each row has padding, of a layer that computes padded steps."""
    assert case.batch is not None
    used = np.asarray(case.trace.steps - case.trace.real_counts)
    mask = prefix_mask(used, case.batch.mask.shape[1])
    made = case.with_trace(replace(case.trace, tracks=case.run(replace(case.batch, mask=mask, lengths=used)).tracks))
    if padding_taken(made) is None:
        raise CannotInject("needs rows of several lengths, which are not those of their padding in another order")
    return made


RULE = MaskInverted()
