"""A flat index of one layout was used on the other: the state is another row's other step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Ints, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.cell_beside_state import go_together
from rnninspect.diagnosis.fix_code import gathered, within_lengths
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, listed, proposal
from rnninspect.diagnosis.state_in_hand import top_placed
from rnninspect.measure.choose_reading import padded_exactly
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import equal_at

BY_ROW = "the flat index row * T + length - 1, meant for [B, T], was used on [T, B]"
BY_STEP = "the flat index (length - 1) * B + row, meant for [T, B], was used on [B, T]"
PACKED = (
    "these are the last entries of the packed data, which holds the rows step by step, and not a row's last step each"
)
OF_STEPS = (
    "h = outputs[np.arange(B), lengths - 1]  # not packed.data[-B:]: it holds all rows' last steps, then those before"
)
# What gives the same states where every index lands on a row's own last step, and where it stays within the row.
MOVED = ("rows-permuted", "row-taken-for-step")
STAYED = ("off-by-one-length", "lengths-misaligned")


class FlatGatherWrongStride(Rule):
    name = "flat-gather-wrong-stride"
    summary = "the state was gathered with the flat index of the other layout: it holds steps of other rows"
    why = (
        "`gather(reshape(outputs, [-1, H]), range(B) * T + length - 1)` is right for [B, T, H] only. In time-major "
        "outputs consecutive steps of a row are B apart, so the index lands in other rows."
    )
    fix = (
        "B, T, H = outputs.shape\n"
        "h = outputs.reshape(B * T, H)[np.arange(B) * T + lengths - 1]  # of [T, B, H]: (lengths - 1) * B + row"
    )
    fixed_in = "arrays"
    group = "Rows, axes, layers"
    place = 5
    implies = ("rows-permuted", "lengths-misaligned")
    example = "rows"
    in_states = True
    threads = (
        Thread(
            "https://github.com/aymericdamien/TensorFlow-Examples/issues/153",
            "The flat index of a row's last step, for batch-major and for time-major outputs.",
        ),
        Thread(
            "https://github.com/MichelDeudon/neural-combinatorial-optimization-rl-tensorflow/issues/5",
            "Gathering from a time-major tensor with a batch-major index picks other rows' values.",
        ),
    )

    def code(self, case: Case) -> str:
        return gathered(case, self.fix)

    def held_as(self, case: Case) -> str:
        return within_lengths(case, self.name)

    def in_hand(self, case: Case) -> str:
        return top_placed(case, self.code(case))

    def check(self, case: Case) -> Iterable[Proposal]:
        for facts in (f for f in case.facts if f.mismatched.any()):
            best = max(_gathers(facts), key=lambda g: int((facts.mismatched & g[0].rows).sum()))
            seen, rows, steps, formula = best
            astray = facts.mismatched & seen.rows & (rows != np.arange(rows.size))
            whole = (seen.rows | facts.uninformative | ~facts.mismatched).all()
            told = facts.mismatched & seen.rows & ~facts.final_blank  # which equals padding, whichever step that is
            of_padding = not told.any() and seen.rows.all()  # as any padding is: of the causes of zeros it is another
            if not astray.any() or not (of_padding or (told.any() and (whole or (astray & told).sum() > 1))):
                continue
            picked = np.flatnonzero(facts.mismatched & seen.rows)
            moved = (steps[picked] == facts.ends[rows[picked]] - 1).all()  # which rows in another order give as well
            alike = MOVED if moved else () if (astray & told).any() else STAYED
            pairs = listed([f"({rows[b]}, {steps[b]})" for b in picked], 6)
            yield from proposal(
                self,
                [Seen(facts, facts.mismatched & seen.rows)],
                f"{{rows}}: final_state.h equals outputs at (row, step) {pairs}: {formula}",
                fix=gathered(case, OF_STEPS) if formula == PACKED else "",
                alternatives=("batch-time-swapped",) if _may_be_a_view(case, formula) else (),
                alternative_of=() if _came_with_cells(facts, picked) else alike,
                strength=-1 if of_padding else 3 if (astray & told).any() and not moved else 0,
                evidence={"gathered": [[int(rows[b]), int(steps[b])] for b in picked[:64]]},
            )

    def inject(self, case: Case) -> Case:
        if case.trace.steps == case.trace.batch_size or (case.trace.real_counts == 0).any():
            raise CannotInject("needs as many rows as not steps, and no empty row")
        rows, lengths = np.arange(case.trace.batch_size), case.trace.real_counts
        if ((rows * case.trace.steps + lengths - 1) % rows.size == rows).all():
            raise CannotInject("here every flat index stays within its row")

        def gathered(track: Track) -> Track:
            if track.outputs is None or track.direction == "backward":
                return track
            b, t = track.outputs.shape[:2]
            index = np.arange(b) * t + case.trace.real_counts - 1
            flat = track.outputs.swapaxes(0, 1).reshape(b * t, -1)
            return replace(track, final=flat[index], cell=None)

        return case.with_tracks(gathered)


def _may_be_a_view(case: Case, formula: str) -> bool:
    """Whether the outputs may be a view of those of the other axes as well: no padding shows that they are not, and no
    run."""
    if formula not in (BY_ROW, BY_STEP) or (case.has("inputs") and case.has("weights")):
        return False
    from rnninspect.diagnosis.evidence.outputs_viewed import outputs_viewed_back

    return not padded_exactly(case.facts) and outputs_viewed_back(case) is not None


def _came_with_cells(facts: TrackFacts, rows: Ints) -> bool:
    """Whether c, which no index of the outputs moves, moved to these rows with the states."""
    cell = facts.track.cell
    if cell is None or cell.shape != facts.final.shape:
        return False
    return bool(
        go_together(facts.final[rows], cell[rows]).all() and not go_together(facts.at_end[rows], cell[rows]).all()
    )


def _last_packed(facts: TrackFacts) -> tuple[Ints, Ints]:
    """`[B]` each: row and step of the last B entries of the packed data, which holds the rows step by step, those that
    go on, longest first; -1 where there are fewer."""
    count, order = facts.ends.size, np.argsort(-facts.ends, kind="stable")
    entries: list[tuple[int, int]] = []
    for step in range(int(facts.ends.max(initial=0)) - 1, -1, -1):
        entries = [(int(row), step) for row in order if facts.ends[row] > step] + entries
        if len(entries) >= count:
            break
    last = np.array(([(-1, -1)] * count + entries)[-count:], dtype=np.int64)
    return last[:, 0], last[:, 1]


def _gathers(facts: TrackFacts) -> Iterator[tuple[Seen, Ints, Ints, str]]:
    """Each wrong index: the rows that it reconstructs, the (row, step) that it lands on, and its formula."""
    count, steps = facts.mask.shape
    rows, last = np.arange(count), facts.ends - 1
    by_row = (rows * steps + last) % (count * steps)  # the index of [B, T], used on [T, B]
    by_step = (last * count + rows) % (count * steps)  # the index of [T, B], used on [B, T]
    longest = int(facts.ends.max(initial=1))
    by_longest = (rows * longest + last) % (count * steps)  # the stride of the longest row, not of the time axis
    exchanged = np.clip(last, 0, count - 1), np.minimum(rows, steps - 1)  # an index out of bounds is the last one
    for j, s, formula in (
        (by_row % count, by_row // count, BY_ROW),
        (
            by_step // steps,
            by_step % steps,
            BY_STEP,
        ),
        (by_longest // steps, by_longest % steps, "the flat index row * max(length) + length - 1 has the wrong stride"),
        (*_last_packed(facts), PACKED),
        (*exchanged, "row and step were exchanged in the index: step `row` of row `length - 1`"),
    ):
        yield Seen(facts, equal_at(facts.outputs, facts.final, j, s)), j, s, formula


RULE = FlatGatherWrongStride()
