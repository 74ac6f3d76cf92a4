"""What do the padded steps hold? One class a row, over the masked steps along the stored time axis."""

from __future__ import annotations

import numpy as np

from rnninspect.core.finding import PaddingClass
from rnninspect.core.trace import Array, Bools, Ints
from rnninspect.measure.matching import parts, same
from rnninspect.measure.scan import Scan


def padding_classes(outputs: Array, real: Bools, seen: Scan) -> tuple[PaddingClass, ...]:
    """The class of every row: `outputs` `[B, T, H]`, `real` `[B, T]`, and what a scan of the outputs saw.

    none (no padded step), zero, nonfinite, repeat (each padded step equals the step before it; leading ones are zero,
    as Keras does), constant (equal to each other, or one alone whose units are), computed.

    >>> from rnninspect.measure.scan import scan
    >>> o = np.array([[[1.0], [2.0], [2.0], [2.0]]]); real = np.array([[True, True, False, False]])
    >>> padding_classes(o, real, scan(o, o[:, 1]))
    ('repeat',)
    """
    classes: list[PaddingClass] = []
    for rows in parts(*real.shape):
        classes += _classes(outputs[rows], real[rows], seen.of(rows))
    return tuple(classes)


def _classes(outputs: Array, real: Bools, seen: Scan) -> list[PaddingClass]:
    names = np.where(real.all(1), "none", np.where((seen.zero | real).all(1), "zero", ""))
    others = np.flatnonzero(names == "")  # mostly few: only these are looked at again
    if others.size:
        names = names.astype("U9")
        names[others] = _not_zero(outputs, others, real[others], seen.of(others))
    classes: list[PaddingClass] = names.tolist()
    return classes


def _not_zero(outputs: Array, rows: Ints, real: Bools, seen: Scan) -> Array:
    """`[N]`: the class of each of these rows `[N]`, whose padding is not all zero; `real` and `seen` are of them."""
    padded = ~real
    leading = ~np.logical_or.accumulate(real, axis=1)
    repeats = seen.repeats.copy()
    repeats[:, 0] = True  # a padded step that has none before it, and so repeats nothing by itself
    rules: dict[PaddingClass, Bools] = {
        "nonfinite": np.any(seen.nonfinite & padded, axis=1),
        "repeat": np.all(repeats | (leading & seen.zero) | real, axis=1)
        & np.any(real, axis=1)
        & np.any(seen.repeats & padded, axis=1),
        "constant": _constant(outputs, rows, padded, seen.repeats),
    }
    return np.select(list(rules.values()), list(rules), "computed")


def _constant(outputs: Array, rows: Ints, padded: Bools, repeats: Bools) -> Bools:
    """`[N]`: two or more padded steps, all equal; where they lie apart, the firsts of their runs are compared. Of one
    alone, all of its units, where those of the real steps differ."""
    starts = padded.copy()
    starts[:, 1:] &= ~padded[:, :-1]
    constant: Bools = (padded.sum(1) > 1) & (~padded | starts | repeats).all(1)
    for b in np.flatnonzero(padded.sum(1) == 1):
        steps = outputs[rows[b]]
        level = (steps == steps[:, :1]).all(1)
        constant[b] = level[padded[b]].all() and not level[~padded[b]].any()
    for b in np.flatnonzero(constant & (starts.sum(1) > 1)):
        firsts = outputs[rows[b], np.flatnonzero(starts[b])]
        constant[b] = same(firsts, firsts[:1]).all()
    return constant
