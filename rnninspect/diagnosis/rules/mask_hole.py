"""A real step in the middle of a row was masked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.tiles import tiles
from rnninspect.core.trace import Bools, Ints
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal
from rnninspect.measure.decimals import alike_below
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import gather, parts
from rnninspect.measure.saturated import saturated_units

ENOUGH = 32  # units: where each of so many recurs, others do
FEW = 4  # units whose update gates may be shut together
CREPT = 1e-2  # of the range of such outputs: a step that moves less beside the hole is of gates that are nearly shut
CHANCE = 1e-4  # of a step whose units are all zero by themselves, from which on nothing is proven


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
        if case.has("inputs") and case.has("weights") and agrees(case):
            return  # a run that reads every step gives these very outputs: a gate held the state, not a mask
        for facts in (f for f in case.facts if f.outputs.shape[2] > 1):  # a gate that is shut holds or zeroes one unit
            holes = _holes(facts)
            if holes.any():
                holes = holes & _held_by_the_other(case, facts)
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
    """Whether units are zero in steps that are not, or may be so in one by chance: relu, dropout and clips make zeros
    that no mask made."""
    units, numbers, negative = facts.outputs.shape[2], 0, False
    for here in tiles(facts.outputs):
        alive = facts.mask[here] & ~facts.zero[here]
        if (alive & (facts.outputs[here] == 0).any(-1)).any():
            return True
        numbers += int(np.count_nonzero(alive)) * units
        negative |= bool((facts.outputs[here] < 0).any())
    return not negative and float(1 / (numbers + 2)) ** units > CHANCE  # of relu, by the rule of succession


def _holes(facts: TrackFacts) -> Bools:
    """`[B, T]`: interior real steps that repeat the one before (in reading order), or are zero, where the row goes on.

    A saturated step (one magnitude in all units) may repeat of itself and is not counted, nor is a row whose outputs
    have settled for good.
    """
    mask, zero = facts.mask, facts.zero
    shift = -1 if _reads_leftward(facts) else 1
    rows = ((facts.ends >= 3) & ~facts.uniform)[:, None]
    repeats = _repeated(facts)
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
    return _stands_out(facts, np.asarray(held & inner & moves_on & alive), held, shift)


def _reads_leftward(facts: TrackFacts) -> bool:
    """Whether the step read before one lies after it."""
    return facts.track.direction == "backward" and facts.track.order == "time"


def _repeated(facts: TrackFacts) -> Bools:
    """`[B, T]`: the steps that repeat the one read before them."""
    return np.roll(facts.repeats, -1, 1) if _reads_leftward(facts) else facts.repeats


def _held_by_the_other(case: Case, facts: TrackFacts) -> Bools:
    """`[B, T]`: the steps that every other track of the layer holds too: a mask is the same for both directions."""
    shared = np.ones(facts.mask.shape, dtype=np.bool_)
    for other in case.facts:
        apart = other.track.layer != facts.track.layer or other.track.direction == facts.track.direction
        if apart or {other.track.order, facts.track.order} != {"time"}:
            continue
        shared &= _repeated(other) | other.zero
    return shared


def _stands_out(facts: TrackFacts, holes: Bools, held: Bools, shift: int) -> Bools:
    """`[B, T]`: those of `holes`, the last steps of runs of `held` ones, that did not come of themselves.

    An RNN over frames that stay the same converges until a step repeats the one before bit for bit; a saturated unit
    takes the same value again and again, and one whose gate is shut keeps its value. So the state must move
    before the run and after it by more than the root of what its numbers can tell apart, and two units or more, of none
    that are saturated there, must hold there alone. A step of zeros came of neither.
    """
    backward = shift < 0
    steps = np.arange(facts.steps)
    if backward:
        moving = np.minimum.accumulate(np.where(held, facts.steps - 1, steps)[:, ::-1], axis=1)[:, ::-1]
    else:
        moving = np.maximum.accumulate(np.where(held, 0, steps), axis=1)
    kept = holes & facts.zero
    places = np.nonzero(holes & ~facts.zero)
    for part in parts(places[0].size, facts.outputs.shape[2]):
        b, t = places[0][part], places[1][part]
        kept[b, t] = _moves(facts, b, t, moving[b, t], shift)
    moving_holes = list(zip(*np.nonzero(kept & ~facts.zero), strict=True))
    if moving_holes:
        keep = _keep_themselves(facts, held)
        for b, t in moving_holes:
            recurs = _recurs(facts, b, t, 1 + abs(int(t) - int(moving[b, t])))
            alone = ~(keep | recurs | saturated_units(facts.outputs[b, t, :ENOUGH]))
            kept[b, t] = alone.sum() >= 2
    return kept


def _moves(facts: TrackFacts, b: Ints, t: Ints, before: Ints, shift: int) -> Bools:
    """`[N]`: whether the state of rows `b` moves to the steps `before`, and on from the steps `t`."""
    there = np.asarray(gather(facts.outputs, b, before), np.float64)
    after = np.asarray(gather(facts.outputs, b, t + shift), np.float64)
    earlier = before - shift
    read = (earlier >= 0) & (earlier < facts.steps)
    read &= facts.mask[b, np.where(read, earlier, 0)]
    first = np.where(read[:, None], gather(facts.outputs, b, np.where(read, earlier, 0)), 0).astype(np.float64)
    room = np.maximum(_room(facts) * np.abs(there).max(-1), _creeps(facts))
    moves: Bools = (np.abs(there - first).max(-1) > room) & (np.abs(after - there).max(-1) > room)
    return moves


def _creeps(facts: TrackFacts) -> float:
    """By how much a state moves at most where the gates of a few units are nearly shut; 0 of more units."""
    if facts.outputs.shape[2] > FEW:
        return 0.0
    values = np.asarray(facts.outputs, np.float64)
    return CREPT * float(np.ptp(np.where(np.isfinite(values), values, 0)))


def _recurs(facts: TrackFacts, b: int, t: int, run: int) -> Bools:
    """`[H]`: the units that hold the same at a step, the last of a `run`, and at more steps of the row."""
    row = facts.outputs[b][facts.mask[b], :ENOUGH]
    recurs: Bools = (row == facts.outputs[b, t, :ENOUGH]).sum(0) > run + len(row) // 100
    return recurs


def _keep_themselves(facts: TrackFacts, held: Bools) -> Bools:
    """`[H]`: the units that repeat their number in one of a hundred steps where others of the row move, or more."""
    steps, alone = 0, np.zeros(min(ENOUGH, facts.outputs.shape[2]), np.int64)
    for b, mask in enumerate(facts.mask):
        row = np.asarray(facts.outputs[b][:, :ENOUGH], np.float64)
        with np.errstate(invalid="ignore"):  # of infinities; NaN moves nowhere
            apart = np.abs(row[1:] - row[:-1])
        moves = apart.max(-1) > _room(facts) * np.abs(row[1:]).max(-1)
        moves &= mask[1:] & mask[:-1] & ~held[b, 1:] & ~held[b, :-1]
        steps += int(moves.sum())
        alone += ((apart == 0) & moves[:, None]).sum(0)
    keep: Bools = (alone > 0) & (100 * alone >= steps)
    return keep


def _room(facts: TrackFacts) -> float:
    """By which share a state moves more than rounding makes it: the root of what its numbers tell apart."""
    return float(np.sqrt(np.finfo(facts.outputs.dtype).eps))


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
