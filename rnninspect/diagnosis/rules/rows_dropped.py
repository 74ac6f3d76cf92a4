"""The state has rows for a part of the batch only: a loop whose batch shrinks ends with the rows still running."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.evidence import StateRows
from rnninspect.core.finding import Severity
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.one_row_taken import is_last_row_alone, is_none_of_the_longest
from rnninspect.diagnosis.fix_code import gathered, of_the_cell
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Thread, listed, places

OF_C = "; keep c in the loop, row by row"


class RowsDropped(Rule):
    name = "rows-dropped"
    severity: Severity = "warning"
    summary = "the state has fewer rows than the batch: the rows that had ended earlier are lost"
    why = (
        "A loop over rows sorted by length that drops the rows that have ended (h = h[:n]) finishes with the state "
        "of those still running. Code that uses it for the whole batch misses the other rows, or assigns the states "
        "to the wrong rows."
    )
    fix = f"h = outputs[np.arange(B), lengths - 1]  # every row's own{OF_C}"
    group = "Rows, axes, layers"
    place = 11
    needs = ("outputs",)
    in_states = True
    threads = (
        Thread(
            "https://github.com/sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning/issues/132",
            "A decoder's loop keeps only the first rows at each step; what happens to the others?",
        ),
    )

    def code(self, case: Case) -> str:
        code = of_the_cell(case, self.fix, OF_C)
        return gathered(case, code) if case.trace.knows_padding else code

    def check(self, case: Case) -> Iterable[Proposal]:
        kept = case.reading.state_rows
        last_alone = is_last_row_alone(case)
        if kept is None or kept.slots or (last_alone and is_none_of_the_longest(case)):
            return
        lost = sorted(set(range(kept.batch_size)) - set(kept.rows))
        right = frozenset(p for f in case.facts for p in places(f, f.somewhere & ~f.final_zero & ~f.all_near))
        if not right:
            return  # no row is told by its own outputs
        parts, moved = _equal_parts(kept), list(kept.rows) != sorted(kept.rows)
        picked = 2 * len(kept.rows) <= kept.batch_size  # a few rows may have been chosen in any order
        which = f"row{'s' if len(kept.rows) > 1 else ''} {listed(kept.rows)}{', in this order' if moved else ''}"
        yield Proposal(
            self.name,
            f"the final state has {len(kept.rows)} of the batch's {kept.batch_size} rows: it is that of {which}"
            f"{_running(kept)}; row{'s' if len(lost) > 1 else ''} {listed(lost)} "
            f"{'have' if len(lost) > 1 else 'has'} none"
            + (f" (one of {parts} equal parts, as of inputs that were joined to one batch)" if parts else ""),
            right,
            severity="error" if moved and not picked else "note" if parts else "warning",
            kind="fact",
            alternatives=("rows-permuted",) if moved else ("state-read-batch-first",) if last_alone else (),
            evidence={"rows": list(kept.rows)[:64], "batch_size": kept.batch_size},
        )

    def inject(self, case: Case) -> Case:
        from rnninspect.diagnosis.evidence.agreement import only_rows

        lengths = case.trace.real_counts
        rows = np.flatnonzero(lengths == lengths.max(initial=0))
        if case.reading.state_rows is not None or rows.size in (0, lengths.size) or case.batch is None:
            raise CannotInject("needs inputs, and rows that end before others")
        kept = only_rows(case, rows)
        state_rows = StateRows(tuple(rows.tolist()), lengths.size, case.trace.lengths)
        return kept.with_reading(replace(kept.reading, state_rows=state_rows))


def _equal_parts(kept: StateRows) -> int:
    """Into how many equal parts the batch falls of which these rows are one, as `h.chunk(2)` gives it; 0 where they are
    none, or those that a shrinking batch leaves."""
    count, first = len(kept.rows), min(kept.rows)
    block = sorted(kept.rows) == list(range(first, first + count)) and first % count == 0
    whole = count > 1 and kept.batch_size % count == 0
    return kept.batch_size // count if block and whole and not _running(kept) else 0


def _running(kept: StateRows) -> str:
    """That these rows are the longest, where lengths show it: the loop left out each row that had ended."""
    if kept.lengths is None:
        return ""
    ended = np.delete(kept.lengths, list(kept.rows))
    still = kept.lengths[list(kept.rows)]
    return ", still running at the end of a loop that drops ended rows" if still.min() > ended.max() else ""


RULE = RowsDropped()
