"""A real step in the middle of a row was masked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.tiles import tiles
from rnninspect.core.trace import Bools
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import disagreement
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal
from rnninspect.measure.decimals import alike_below
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import gather, parts


class MaskHole(Rule):
    name = "mask-hole"
    summary = "a real step inside a row was masked: its output repeats the step before it, or is zero"
    why = (
        "Keras' Masking masks every step whose features all equal mask_value. A real frame that happens to hold only "
        "that value (usually zero) is skipped in the middle of the row."
    )
    fix = "mask = np.arange(inputs.shape[1]) < lengths[:, None]  # no holes inside a row; then run again"
    group = "Wrong step"
    place = 10
    needs = ("outputs", "lengths")
    example = "rows"
    threads = (
        Thread(
            "https://github.com/Element-Research/rnn/issues/433",
            "How can MaskZero tell a zero in the middle of a sequence from padding?",
        ),
        Thread(
            "https://github.com/keras-team/keras/issues/176",
            "When masking by value was designed: real data that happen to be all zero would be skipped as well.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        if case.trace.mask_given:
            yield from self._stated(case)
            return
        if case.has("inputs") and case.has("weights") and disagreement(case) == 0:
            return  # a run that reads every step gives these very outputs: a gate held the state, not a mask
        for facts in case.facts:
            holes = _holes(facts)
            if not holes.any() or facts.uniform.all() or _may_be_rounding(facts):
                continue
            steps = sorted({int(t) for t in np.flatnonzero(holes.any(0))})
            yield from proposal(
                self,
                [Seen(facts, np.asarray(holes.any(1)))],
                f"{{rows}}: at step {', '.join(map(str, steps[:8]))}, inside the row, the output repeats the step "
                "before it or is zero, and the row goes on after it: a real step was masked",
                kind="fact",
                steps=tuple(steps[:64]),
            )

    def _stated(self, case: Case) -> Iterable[Proposal]:
        mask = case.trace.mask
        inner = ~mask & (np.cumsum(mask, 1) > 0) & (np.cumsum(mask[:, ::-1], 1)[:, ::-1] > 0)
        yield from proposal(
            self,
            [Seen(facts, np.asarray(inner.any(1))) for facts in case.facts[:1]],
            "{rows}: the mask has holes; the steps in them are carried over",
            severity="note",
            kind="fact",
        )

    def undo(self, case: Case) -> Iterable[Undone]:
        if case.batch is None or case.trace.mask_given or not case.facts:
            return
        holes: Bools = np.logical_and.reduce([_holes(facts) for facts in case.facts])
        if not holes.any():
            return
        mask = case.trace.mask & ~holes
        whole = case.batch.mask.copy()
        whole[:, : mask.shape[1]] = mask
        trace = replace(case.trace, mask=mask, mask_given=True)
        batch = replace(case.batch, mask=whole, mask_given=True)
        yield Undone("those steps masked", replace(case.with_trace(trace), batch=batch))

    def inject(self, case: Case) -> Case:
        processing = any(t.order != "time" for t in case.trace.tracks)
        if case.batch is None or case.weights is None or case.trace.mask_given or processing:
            raise CannotInject("needs inputs, weights and lengths")
        mask = case.trace.mask.copy()
        row = int(np.argmax(mask.sum(1)))
        if mask[row].sum() < 3 or case.trace.padding == "computed":
            raise CannotInject("needs a row of three or more steps, and masked outputs that are not computed")
        mask[row, 1] = False
        ran = case.run(replace(case.batch, mask=mask, mask_given=True))
        return case.with_trace(replace(case.trace, tracks=ran.tracks))


def _may_be_rounding(facts: TrackFacts) -> bool:
    """Whether steps differ by so little of what a print-out kept that two of them may be equal by rounding alone."""
    room = alike_below(facts.outputs)
    if not room or facts.steps < 2:
        return False
    values = np.asarray(facts.outputs, dtype=np.float64)
    apart = np.abs(np.diff(values, axis=1)).max(-1)[facts.mask[:, 1:] & facts.mask[:, :-1]]
    apart = apart[apart > 0]
    return bool(apart.size) and float(apart.min()) < room


def _has_single_zeros(facts: TrackFacts) -> bool:
    """Whether units are zero in steps that are not: relu, dropout and clips make zeros that no mask made."""
    for here in tiles(facts.outputs):
        alive = facts.mask[here] & ~facts.zero[here]
        if (alive & (facts.outputs[here] == 0).any(-1)).any():
            return True
    return False


def _holes(facts: TrackFacts) -> Bools:
    """`[B, T]`: interior real steps that repeat the one before (in reading order), or are zero, where the row goes on.

    A saturated step (one magnitude in all units) may repeat of itself and is not counted, nor is a row whose outputs
    have settled for good.
    """
    mask, zero = facts.mask, facts.zero
    backward = facts.track.direction == "backward" and facts.track.order == "time"
    shift = -1 if backward else 1
    rows = ((facts.ends >= 3) & ~facts.uniform)[:, None]
    repeats = np.roll(facts.repeats, -1, 1) if backward else facts.repeats
    if not any(np.any(mask[p] & (repeats[p] | zero[p])) for p in parts(*mask.shape)):
        return np.broadcast_to(np.False_, mask.shape)  # as in most dumps, which may be large
    held = _varied(facts, repeats & mask & ~zero & rows)
    zeroed = zero & mask & rows
    if zeroed.any() and not _has_single_zeros(facts):
        held |= zeroed
    inner = mask & np.roll(mask, 1, 1) & np.roll(mask, -1, 1)
    inner[:, [0, -1]] = False
    moves_on = ~np.roll(held, -shift, 1)
    alive = ~np.roll(zero, shift, 1)
    return np.asarray(held & inner & moves_on & alive)


def _varied(facts: TrackFacts, steps: Bools) -> Bools:
    """`[B, T]`: those of `steps` whose units are not all of one magnitude, or where there is one unit only, not of the
    largest that it takes."""
    varied = steps.copy()
    if steps.any():
        limit = np.abs(facts.outputs).max() if facts.outputs.shape[2] == 1 else 0
        places = np.nonzero(steps)
        for part in parts(places[0].size, facts.outputs.shape[2]):
            b, t = places[0][part], places[1][part]
            size = np.abs(gather(facts.outputs, b, t))
            varied[b, t] = size.max(-1) != (size.min(-1) if size.shape[-1] > 1 else limit)
    return varied


RULE = MaskHole()
