"""Batch: the inputs of a run and which of their steps are real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.masks import of_one_head, plain_mask
from rnninspect.core.trace import Array, Bools, Ints, last_true, prefix_mask
from rnninspect.errors import ShapeError

if TYPE_CHECKING:
    import numpy.typing as npt


@frozen(eq=False)
class Batch:
    """`inputs`: `[B, T, F]`; `mask`: `[B, T]`, True = real; `lengths`: `[B]` as stated, or None.

    `mask_given` says that the mask itself was stated: it may then have holes or left padding.
    """

    inputs: Array
    mask: Bools
    lengths: Ints | None = None
    mask_given: bool = False

    @property
    def knows_padding(self) -> bool:
        return self.lengths is not None or self.mask_given


def check_lengths(lengths: npt.ArrayLike, rows: int, what: str = "lengths") -> Ints:
    """`[B]` as integers; raises ShapeError naming every bad row (count, sign, fractions, not a number)."""
    values = np.asarray(lengths)
    if values.dtype.kind not in "iufb" or values.dtype.kind == "b":
        raise ShapeError(f"{what} must be whole numbers, one a row; got dtype {values.dtype}")
    if values.ndim > 1 and max(values.shape) != values.size:  # more than a column or a line of them
        raise ShapeError(f"{what} has the shape {list(values.shape)}; give one length per row, [B]")
    values = values.reshape(-1)
    if values.size != rows:
        raise ShapeError(f"{what} has {values.size} values, but the batch has {rows} rows; give one length per row")
    with np.errstate(invalid="ignore"):
        whole = (values >= 0) & (values < 2.0**63) & (values == np.floor(values))
    bad = np.flatnonzero(~whole).tolist()
    if bad:
        shown = ", ".join(f"{what}[{b}] is {values[b]}" for b in bad[:20])
        more = f" (and {len(bad) - 20} more)" if len(bad) > 20 else ""
        raise ShapeError(f"{shown}{more}; lengths are whole numbers from 0 to T")
    return values.astype(np.int64)


def check_mask(mask: npt.ArrayLike, rows: int, steps: int) -> Bools:
    """`[B, T]` as booleans, of a mask in any form that `plain_mask` reads; raises ShapeError on another shape or on
    other values."""
    as_taken = np.asarray(mask)
    values = of_one_head(plain_mask(as_taken), rows, steps) if as_taken.ndim == 3 else plain_mask(as_taken)
    if values.shape != (rows, steps):
        raise ShapeError(
            f"mask is {as_taken.shape}, but the batch has {rows} rows and {steps} steps: it must be [B, T], one "
            "value per row and step"
        )
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise ShapeError(
            "mask must hold only true and false (or 1 and 0), true where a step is real, or 0 there and one far below "
            "-1000 elsewhere, as attention adds it"
        )
    return values.astype(np.bool_)


def is_of_lengths(mask: Bools) -> bool:
    """Whether the real steps of each row of `[B, T]` come first, so that the mask and its lengths say the same.

    >>> is_of_lengths(np.array([[True, True], [True, False]])), is_of_lengths(np.array([[False, True]]))
    (True, False)
    """
    return bool((mask[:, :-1] >= mask[:, 1:]).all())


def resolve_mask(
    rows: int,
    steps: int,
    lengths: npt.ArrayLike | None,
    mask: npt.ArrayLike | None,
) -> tuple[Bools, Ints | None]:
    """The mask `[B, T]` and the lengths `[B]` that lengths and mask together state.

    A mask decides; where it says no more than lengths can (`is_of_lengths`), its lengths are stated. The lengths beside
    it must agree with its count of real steps or with its last real step + 1 (the two differ where the mask has holes
    or left padding), else ShapeError names the rows that do not.
    """
    checked = check_lengths(lengths, rows) if lengths is not None else None
    if mask is None:
        if checked is None:
            return np.ones((rows, steps), dtype=np.bool_), None
        return prefix_mask(checked, steps), checked
    real = check_mask(mask, rows, steps)
    counts = real.sum(1)
    if checked is None:
        return real, counts.astype(np.int64) if is_of_lengths(real) else None
    ends = np.where(real.any(1), last_true(real) + 1, 0)
    bad = np.flatnonzero((checked != counts) & (checked != ends))
    if bad.size:
        shown = ", ".join(
            f"row {b}: length {checked[b]}, mask {counts[b]} real steps, the last at {ends[b] - 1}" for b in bad[:20]
        )
        raise ShapeError(f"lengths and mask disagree ({shown}); give one of them, or make them agree")
    return real, checked
