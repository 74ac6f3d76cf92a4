"""Padding in front of the data that packed inputs show: read for `length` steps from the first on, rows lose the last.

A padded batch that is reversed as a whole (`x.flip(1)`) and then packed gives such rows, for a backward pass by hand.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from rnninspect.core.trace import Array, Ints
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import Seen

ENOUGH = 4  # steps that are blank in front before they prove anything: one or two may be how rows begin
FEW = 8  # short rows that are looked at before all are
Cut = Literal["", "perhaps", "proven"]

CUT = (
    "{rows}: the packed inputs begin in the more blanks the shorter the row, and hold none behind them: the padding "
    "lies before the data (x.flip(1) of a padded batch, say), and the run of `length` steps lost the last data"
)


def cut_behind_blanks(case: Case) -> Cut:
    """Whether rows of the inputs, which end where their lengths say, begin in as many blanks as they are short of one
    number of steps. `proven` where rows of two lengths do so before their data, by several steps."""
    trace, batch = case.trace, case.batch
    if batch is None or trace.mask_given or trace.lengths is None or batch.inputs.shape[:2] != trace.mask.shape:
        return ""
    return blanks_in_front(batch.inputs, trace.real_counts)


def blanks_in_front(inputs: Array, counts: Ints) -> Cut:
    """Of `[B, T, F]`, of which `counts` `[B]` steps were read and the others are zero: see `cut_behind_blanks`.

    >>> rows = np.array([[1, 2, 3, 4, 5, 6, 7], [0, 0, 4, 5, 6, 0, 0], [0, 0, 0, 6, 0, 0, 0]])[..., None]
    >>> blanks_in_front(rows, np.array([7, 5, 4])), blanks_in_front(rows[:2], np.array([7, 5]))
    ('proven', '')
    """
    short = np.flatnonzero((counts > 0) & (counts < counts.max(initial=0)))
    if short.size > FEW:
        few = np.append(short[:FEW], counts.argmax())
        if not _in_front(inputs[few], counts[few]):
            return ""
    return _in_front(inputs, counts) if short.size else ""


def _in_front(inputs: Array, counts: Ints) -> Cut:
    rows, steps = np.flatnonzero(counts > 0), inputs.shape[1]
    short = rows[counts[rows] < counts.max()]
    real = np.arange(steps) < counts[:, None]
    if inputs[~real].any():
        return ""
    blank = inputs[short[0], 0]
    blanks = (inputs == blank).all(-1) & real
    leads = np.where((blanks | ~real).all(1), counts, (~blanks).argmax(1))
    if (blanks.sum(1) != leads)[rows].any():
        return ""
    partly = short[(leads[short] > 0) & (leads[short] < counts[short])]
    widths = {int(width) for width in (leads + counts)[partly]} or {steps}
    width = widths.pop()
    if widths or width < steps or (leads != np.minimum(width - counts, counts))[rows].any():
        return ""
    if leads[short].sum() < ENOUGH or (blank.any() and not partly.size):
        return ""
    return "proven" if len(set(counts[partly].tolist())) > 1 else "perhaps"


def led_rows(case: Case) -> list[Seen]:
    """The rows led by blanks whose states are right for what was read, where that is proven."""
    if case.batch is None or cut_behind_blanks(case) != "proven":
        return []
    first, counts = case.batch.inputs[:, 0], case.trace.real_counts
    shortest = np.where(counts > 0, counts, counts.max() + 1).argmin()
    led = (counts > 0) & (first == first[shortest]).all(-1)
    return [Seen(facts, np.asarray(led & facts.at_expected & ~facts.uninformative)) for facts in case.facts]
