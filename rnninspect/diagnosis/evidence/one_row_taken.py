"""A state of the last row alone, as h_n[:, -1] of one layer is, though the batch has others."""

from __future__ import annotations

from rnninspect.diagnosis.case import Case


def is_last_row_alone(case: Case) -> bool:
    """Whether the state `[1, H]` is that of the batch's last row, of a framework whose states are `[L*D, B, H]`."""
    kept, raw = case.reading.state_rows, case.raw("h")
    if kept is None or kept.slots or kept.batch_size < 2 or raw is None or raw.ndim != 2:
        return False
    one_track = len(case.trace.tracks) == 1
    return one_track and case.convention.stacks_states and kept.rows == (kept.batch_size - 1,)


def is_none_of_the_longest(case: Case) -> bool:
    """Whether that row had ended before others, so that no loop whose batch shrinks ends with it."""
    kept = case.reading.state_rows
    return kept is not None and kept.lengths is not None and bool((kept.lengths > kept.lengths[kept.rows[0]]).any())
