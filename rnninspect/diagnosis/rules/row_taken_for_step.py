"""Every state is a step of one single row: the batch axis was indexed where the time axis was meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import Slot
from rnninspect.core.trace import Bools, Ints, Trace, Track, prefix_mask
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.whole_gathers import also_gathered, one_row_gathered
from rnninspect.diagnosis.fix_code import gathered
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal
from rnninspect.measure.choose_reading import padded_exactly
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import all_equal_at, gather

PAIRED = "h = outputs[np.arange(B), lengths - 1]  # a row for each step; outputs[:, lengths - 1] is every row's"


class RowTakenForStep(Rule):
    name = "row-taken-for-step"
    summary = "every state is a step of one and the same row: outputs[-1] of a batch-major array is its last row"
    why = (
        "outputs[-1] is the last step of time-major outputs. In batch-major outputs it is the last row, with all its "
        "steps; used as the final state, it gives every row a step of that one row."
    )
    fix = "h = outputs[np.arange(B), lengths - 1]  # the step of every row; outputs[-1] is one row, all its steps"
    group = "Wrong step"
    place = 12
    implies = ("batch-time-swapped", "lengths-ignored", "padding-computed", "lengths-misaligned")
    example = "rows"
    in_states = True
    threads = (
        Thread(
            "https://github.com/tensorflow/tensorflow/issues/3426",
            "Is outputs[-1] the last output? Of batch-major outputs it is the last row.",
        ),
        Thread(
            "https://github.com/HHTseng/video-classification/issues/3",
            "Should the last step not be outputs[-1]? Not if the batch is the first axis, says the author.",
        ),
    )

    def code(self, case: Case) -> str:
        return gathered(self.remade(case) or self.seen_as(case), self.fix)

    def mends(self, case: Case) -> bool:
        """Where there are as many rows as steps each row has a state to correct, else where all states are made anew;
        c is in no outputs."""
        gathered_so = any(one_row_gathered(facts) is not None for facts in case.facts)
        if case.trace.batch_size == case.trace.steps or gathered_so:
            return True
        return self.remade(case) is not None and all(t.cell is None for t in case.trace.tracks)

    def remade(self, case: Case) -> Case | None:
        if case.trace.batch_size == case.trace.steps:
            return None
        undone = next(iter(self.undo(case)), None)
        return None if undone is None else undone.case

    def seen_as(self, case: Case) -> Case:
        """With the first axis as the batch, as stated, or as the padding says."""
        square = case.trace.batch_size == case.trace.steps
        if not case.reading.time_swapped or not square or padded_exactly(case.facts):
            return case
        tracks = tuple(
            t if t.outputs is None else replace(t, outputs=t.outputs.swapaxes(0, 1)) for t in case.trace.tracks
        )
        reading = replace(case.reading, time_swapped=False, time_major=not case.reading.time_major)
        return case.with_reading(replace(reading, trace=replace(case.trace, tracks=tracks)))

    def check(self, case: Case) -> Iterable[Proposal]:
        square = case.trace.batch_size == case.trace.steps > 1
        if square and (padded_exactly(case.facts) or not case.reading.time_swapped):
            for facts in case.facts:
                row = _row(facts, case.trace.steps)
                if row is not None:
                    yield from self._say(case, [Seen(facts, facts.mismatched)], row)
        elif case.reading.time_swapped and _lie_as_stated(case):
            for row, tracks in _by_row(case.facts).items():
                yield from self._say(case, [Seen(f, np.ones(f.ends.shape, dtype=np.bool_)) for f in tracks], row)
        yield from self._gathered(case)

    def _gathered(self, case: Case) -> Iterable[Proposal]:
        """States at their rows' lengths, and all in one row: `outputs[:, lengths - 1]` is `[B, B, H]`, of which one was
        taken."""
        of_row: dict[int, list[Seen]] = {}
        for facts in case.facts if case.trace.lengths is not None else ():
            row = one_row_gathered(facts)
            if row is not None:
                rows = np.full(facts.ends.size, row)
                of_row[row] = [*of_row.get(row, []), *also_gathered(case, facts, rows, facts.ends - 1)]
        for row, seen in of_row.items():
            place = f"lengths - 1, {row}" if case.reading.time_major else f"{row}, lengths - 1"
            yield from proposal(
                self,
                seen,
                f"{{rows}}: final_state.h equals outputs[{place}], steps of one row: the index of the steps was not "
                "paired with one of the rows",
                strength=6,
                fix=gathered(case, PAIRED),
                evidence={"row": row},
            )

    def _say(self, case: Case, seen: list[Seen], row: int) -> Iterable[Proposal]:
        axis = "second" if case.config.time_major else "first"
        yield from proposal(
            self,
            seen,
            f"final_state.h equals outputs[{row}, 0:{len(seen[0].rows)}], one row with all its steps: the {axis} "
            f"axis of these outputs is the batch, {_whose_word(case)}, and its last entry is a row",
            kind="state" if any(s.facts.mismatched.any() for s in seen) else "fact",
            strength=6,
            evidence={"row": row},
        )

    def undo(self, case: Case) -> Iterable[Undone]:
        """With the first axis as the batch, and each row's own last step in place of the one row's steps."""
        lengths = next((s.array.reshape(-1) for s in case.dump.slots if s.role == "lengths"), None)
        steps = case.trace.batch_size  # as stated
        if not case.reading.time_swapped or lengths is None or lengths.size != case.trace.steps:
            return
        if any(_column(facts) is None for facts in case.facts) or not ((lengths >= 0) & (lengths <= steps)).all():
            return
        if any(t.initial is not None for t in case.trace.tracks):
            return  # a state a row, and these would be others
        trace = replace(case.trace, mask=prefix_mask(lengths, steps), lengths=lengths)
        tracks = tuple(_with_own_states(trace, track) for track in case.trace.tracks)
        reading = replace(case.reading, time_swapped=False, time_major=not case.reading.time_major)
        put_back = case.with_reading(replace(reading, trace=replace(trace, tracks=tracks)))
        batch = case.batch
        if batch is not None and batch.inputs.shape[:2] != case.trace.mask.shape:
            return
        if batch is not None:
            inputs = np.ascontiguousarray(batch.inputs.swapaxes(0, 1))
            batch = replace(batch, inputs=inputs, mask=trace.mask, lengths=lengths, mask_given=False)
        yield Undone("the first axis as the batch and each row's own state", replace(put_back, batch=batch))

    def inject(self, case: Case) -> Case:
        lengths = case.trace.lengths
        if lengths is None or case.trace.mask_given or case.trace.mask.all() or case.trace.padding != "zero":
            raise CannotInject("needs stated lengths and zeroed padding")
        if case.trace.batch_size == case.trace.steps or any(t.outputs is None for t in case.trace.tracks):
            raise CannotInject("needs more or fewer rows than steps, and all outputs")

        def taken(track: Track) -> Track:
            assert track.outputs is not None
            swapped = track.outputs.swapaxes(0, 1)
            return replace(track, outputs=swapped, final=np.ascontiguousarray(swapped[:, -1]), cell=None, order="time")

        mask = np.ones(case.trace.mask.shape[::-1], dtype=np.bool_)
        trace = replace(case.trace, mask=mask, lengths=None, tracks=tuple(taken(t) for t in case.trace.tracks))
        reading = replace(case.reading, trace=trace, time_swapped=True, as_stated=False)
        slots = (*case.dump.slots, Slot("lengths", "lengths", lengths))
        return replace(case.with_reading(reading), batch=None, dump=replace(case.dump, slots=slots))


def _whose_word(case: Case) -> str:
    """Who says which axis is the batch: the padding, where as many rows as steps leave both open; the lengths else."""
    if case.trace.batch_size != case.trace.steps and not case.config.axes_stated:
        return "as the lengths count it"
    if padded_exactly(case.facts):
        return "as the padding says"
    if "the axes" in case.trace.source:
        return "as a run of the weights shows"
    return "as stated" if case.config.axes_stated else f"as is usual for {case.convention.name}"


def _with_own_states(trace: Trace, track: Track) -> Track:
    """The track with its axes put back, and the states that its outputs tell."""
    if track.outputs is None:
        return track
    turned = replace(track, outputs=track.outputs.swapaxes(0, 1))
    expected = trace.expected_steps(turned)
    assert turned.outputs is not None
    return replace(turned, final=gather(turned.outputs, np.arange(expected.size), np.maximum(expected, 0)), cell=None)


def _column(facts: TrackFacts) -> int | None:
    """The one step that every row's state equals, the last of several; None where there is none, or all are alike."""
    if facts.uniform.all() or facts.final_zero.all():
        return None
    steps = np.flatnonzero(facts.equal.all(0))
    return int(steps[-1]) if steps.size else None


def _row(facts: TrackFacts, count: int) -> int | None:
    """The one row b for which every state `h[t]` equals `outputs[b, t]`, where as many rows as steps hide it."""
    wrong = np.flatnonzero(facts.mismatched & ~facts.final_blank)
    if not wrong.size or facts.mismatched.sum() < 2 or facts.uniform.all():
        return None
    first = int(wrong[0])
    candidates = np.flatnonzero((facts.outputs[:, first] == facts.final[first]).all(-1))
    for row in candidates.tolist():
        steps = np.arange(count)
        if all_equal_at(facts.outputs, facts.final, np.full(count, row), steps) and _differ(facts, row):
            return int(row)
    return None


def _differ(facts: TrackFacts, row: int) -> bool:
    """Whether the steps of this row differ from one another."""
    return not bool(facts.uniform[row])


def _lie_as_stated(case: Case) -> bool:
    """Whether the lengths count rows along the axes as stated, and something besides says that the outputs lie so."""
    lengths = [s.array.reshape(-1) for s in case.dump.slots if s.role == "lengths"]
    if case.trace.mask_given or not lengths or lengths[0].size != case.trace.steps:
        return False
    return _padded_as_stated(case, lengths[0]) or _both_end_in_one_row(case)


def _padded_as_stated(case: Case, lengths: Ints) -> bool:
    """Whether the outputs are zero, or repeat, exactly where the lengths pad them with the axes as stated, not as
    exchanged: each row by its own length or all by the lengths in another order."""
    steps = np.arange(case.trace.batch_size)[:, None]  # as stated
    padded = [f.zero | _repeats(f) for f in case.facts]
    counts = (~padded[0]).sum(0)
    if counts.min() == steps.size or not np.array_equal(np.sort(counts), np.sort(lengths)):
        return False
    return all(np.array_equal(p, steps >= counts) for p in padded)


def _both_end_in_one_row(case: Case) -> bool:
    """Whether either direction's states are the last entry of the first axis as stated, of which a layer that ran along
    the axes as exchanged would have read one half first."""
    directions = {f.track.direction for f in case.facts if _column(f) == case.trace.steps - 1}
    return len(directions) == 2


def _by_row(tracks: Iterable[TrackFacts]) -> dict[int, list[TrackFacts]]:
    """The tracks whose every state is a step of one row, by that row."""
    rows: dict[int, list[TrackFacts]] = {}
    for facts in tracks:
        row = _column(facts)
        if row is not None:
            rows.setdefault(row, []).append(facts)
    return rows


def _repeats(facts: TrackFacts) -> Bools:
    """`[B, T]`: steps that equal the one before along the first axis, which is time as stated."""
    repeats: Bools = np.zeros(facts.zero.shape, dtype=np.bool_)
    repeats[1:] = (facts.outputs[1:] == facts.outputs[:-1]).all(-1)
    return repeats


RULE = RowTakenForStep()
