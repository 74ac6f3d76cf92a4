"""What do the padded steps hold? One class a row, over the masked steps along the stored time axis."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from rnninspect.core.finding import PaddingClass
from rnninspect.core.trace import Array, Bools
from rnninspect.measure.matching import parts, same
from rnninspect.measure.scan import Scan


def padding_classes(outputs: Array, real: Bools, seen: Scan) -> tuple[PaddingClass, ...]:
    """The class of every row: `outputs` `[B, T, H]`, `real` `[B, T]`, and what a scan of the outputs saw.

    none (no padded step), zero, nonfinite, repeat (each padded step equals the step before it; leading ones are zero,
    as Keras does), constant (equal to each other), computed.

    >>> from rnninspect.measure.scan import scan
    >>> o = np.array([[[1.0], [2.0], [2.0], [2.0]]]); real = np.array([[True, True, False, False]])
    >>> padding_classes(o, real, scan(o, o[:, 1]))
    ('repeat',)
    """
    classes: list[PaddingClass] = []
    for rows in parts(*real.shape):
        seen_here = Scan(*(getattr(seen, f.name)[rows] for f in fields(Scan)))
        classes += _classes(outputs[rows], real[rows], seen_here)
    return tuple(classes)


def _classes(outputs: Array, real: Bools, seen: Scan) -> list[PaddingClass]:
    padded = ~real
    leading = ~np.logical_or.accumulate(real, axis=1)
    repeats = seen.repeats.copy()
    repeats[:, 0] = True  # a padded step that has none before it, and so repeats nothing by itself
    rules: dict[PaddingClass, Bools] = {
        "none": np.all(real, axis=1),
        "zero": np.all(seen.zero | real, axis=1),
        "nonfinite": np.any(seen.nonfinite & padded, axis=1),
        "repeat": np.all(repeats | (leading & seen.zero) | real, axis=1)
        & np.any(real, axis=1)
        & np.any(seen.repeats & padded, axis=1),
        "constant": _constant(outputs, padded, seen.repeats),
    }
    classes = np.select(list(rules.values()), range(len(rules)), len(rules))
    names: list[PaddingClass] = [*rules, "computed"]
    return [names[i] for i in classes.tolist()]


def _constant(outputs: Array, padded: Bools, repeats: Bools) -> Bools:
    """`[B]`: two or more padded steps, all equal; where they lie apart, the firsts of their runs are compared."""
    starts = padded.copy()
    starts[:, 1:] &= ~padded[:, :-1]
    constant: Bools = (padded.sum(1) > 1) & (~padded | starts | repeats).all(1)
    for b in np.flatnonzero(constant & (starts.sum(1) > 1)):
        firsts = outputs[b, np.flatnonzero(starts[b])]
        constant[b] = same(firsts, firsts[:1]).all()
    return constant
