"""A row's state was never written: it is zero though the row has real steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.zeros_beneath import all_zero, never_written
from rnninspect.diagnosis.fix_code import gathered, of_the_cell
from rnninspect.diagnosis.rule import (
    CannotInject,
    Proposal,
    Rule,
    Seen,
    Thread,
    describe_rows,
    describe_tracks,
    proposal,
)

OF_C = "; only a new run can give c"
RUN_AGAIN = "outputs, states = layer(inputs, lengths)  # no output holds a lower layer's state: run again"

_H_ALONE = "h is all zero and c is not"


class StateNeverWritten(Rule):
    name = "state-never-written"
    summary = "h (and c) of a row are zero although the row has real steps: its state was never written"
    why = (
        "A loop allocates the state as zeros and writes a row's state where the row ends. If the loop stops early, "
        "writes only at the end of the longest row, or masks the write out, the other rows keep their zeros."
    )
    fix = f"h = outputs[np.arange(B), lengths - 1]  # each row's own last step{OF_C}"
    fixed_in = "arrays"
    group = "What the state holds"
    place = 9
    needs = ("outputs", "lengths")
    in_states = True
    threads = (
        Thread(
            "https://github.com/pytorch/rl/issues/3711",
            "The state is stored at the batch's last step but read at the row's own: short rows get zeros.",
        ),
    )

    def code(self, case: Case) -> str:
        return gathered(case, of_the_cell(case, self.fix, OF_C))

    def check(self, case: Case) -> Iterable[Proposal]:
        for with_c in (True, False):
            yield from self._unwritten(case, with_c)
        blank = [(track, int(row)) for track in case.trace.tracks for row in np.flatnonzero(never_written(case, track))]
        if blank:
            where = describe_tracks(dict.fromkeys((track.layer, track.direction) for track, _ in blank))
            which = describe_rows(sorted({row for _, row in blank}), case.trace.batch_size)
            lost = all(bool(all_zero(track.cell, row + 1)[row]) for track, row in blank)
            both = "h is all zero" if blank[0][0].cell is None else "h and c are all zero" if lost else _H_ALONE
            yield Proposal(
                self.name,
                f"{which}: {both} in {where}, though the layer above ends in another state: the state was never "
                "written",
                frozenset((track.layer, track.direction, row) for track, row in blank),
                kind="fact",
                fix="" if any(f.mismatched.any() for f in case.facts) else RUN_AGAIN,
            )

    def _unwritten(self, case: Case, with_c: bool) -> Iterable[Proposal]:
        """The zeros of h that outputs contradict, where c is zero too or is not there, or where c alone was written."""
        seen = [
            Seen(f, f.mismatched & f.final_zero & (all_zero(f.track.cell, len(f.final)) == with_c)) for f in case.facts
        ]
        both = "h and c are" if any(s.facts.track.cell is not None for s in seen) else "h is"
        which = f"{both} all zero" if with_c else _H_ALONE
        yield from proposal(
            self,
            seen,
            f"{{rows}}: final_state's {which}, but the output of the last real step is not: the state was never "
            "written",
            strength=5 if any(_not_read_from_padding(s) or _ends_went_elsewhere(case, s) for s in seen) else 1,
        )

    def mends(self, case: Case) -> bool:
        """Where the outputs hold what was never written; those of a lower layer do not."""
        return any(facts.mismatched.any() for facts in case.facts)

    def inject(self, case: Case) -> Case:
        lengths = case.trace.real_counts
        rows = (lengths > 0) & (lengths < lengths.max(initial=0))
        if not rows.any() or not case.trace.knows_padding:
            raise CannotInject("needs lengths, and a row shorter than another")

        def blanked(array: Array | None) -> Array | None:
            return None if array is None else np.where(rows[:, None], 0, array).astype(array.dtype)

        def unwritten(track: Track) -> Track:
            return replace(track, final=blanked(track.final), cell=blanked(track.cell))

        return case.with_tracks(unwritten)


def _not_read_from_padding(seen: Seen) -> bool:
    """Whether a zeroed padded step, the last column say, cannot have given these zeros: c, which no output holds, is
    zero too; a row has no such step; another short row that has one is right all the same; or a full row's backward
    half is right, which the last column's would not be."""
    facts, rows = seen.facts, seen.rows
    if not rows.any():
        return False
    backward = facts.track.direction == "backward" and facts.track.order == "time"
    full = facts.mask.all(1) & facts.at_expected & ~facts.uninformative
    blank = (facts.zero & ~facts.mask).any(1)
    shorter = facts.ends < facts.ends.max(initial=0)  # the longest row ends at the last column, but for more padding
    spared = blank & shorter & facts.at_expected & ~facts.uninformative & ~backward
    cell = facts.track.cell
    its_own = cell is not None and not cell[rows].any() and not np.array_equal(cell, facts.final)  # c may copy h
    return its_own or bool((rows & ~blank).any() or spared.any()) or (backward and bool(full.any()))


def _ends_went_elsewhere(case: Case, seen: Seen) -> bool:
    """Whether other rows hold the right ends of short rows whose last column is zeroed: in which order they lie is
    another matter, but no state was read from that column."""
    facts = seen.facts
    moved = facts.mismatched & ~facts.final_zero
    if not (seen.rows.any() and moved.any()):
        return False
    zeroed = (facts.zero[:, -1] & ~facts.mask[:, -1]).tolist()
    ends = {(b, step) for b, step in enumerate(facts.expected.tolist()) if zeroed[b]}
    return any(hit in ends for hits in case.elsewhere(facts, moved).values() for hit in hits)


RULE = StateNeverWritten()
