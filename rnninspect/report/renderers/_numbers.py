"""Numbers in columns: fixed precision, and nothing that is not zero looks like zero."""

from __future__ import annotations

from collections.abc import Sequence

from rnninspect.report.record import Excerpt

LARGE = 1e6  # from here on a number is written with its power of ten


def number(value: float, precision: int) -> str:
    """Fixed precision; with its power of ten where it is very large or would be rounded to zero.

    >>> number(-0.0301, 2), number(0.0, 2), number(-0.0000021, 2), number(12345678.0, 2)
    ('-0.03', '0.00', '-2e-06', '1.23e+07')
    """
    fixed = f"{value:.{precision}f}"
    if value != 0 and float(fixed) == 0:
        return f"{value:.0e}"
    return f"{value:.{precision}e}" if abs(value) >= LARGE else fixed


def nonfinite(excerpt: Excerpt) -> dict[tuple[str, int, int], str]:
    """What stands at the places that are None, by (`outputs`, step, unit), (`final`, 0, unit), (`cell`, 0, unit)."""
    places = {}
    for entry in excerpt.nonfinite:
        match entry.split():
            case ["outputs", step, unit, word] if step.isdecimal() and unit.isdecimal():
                places["outputs", int(step), int(unit)] = word
            case [("final" | "cell") as what, unit, word] if unit.isdecimal():
                places[what, 0, int(unit)] = word
    return places


def cells(
    values: Sequence[float | None],
    units: Sequence[int],
    names: dict[tuple[str, int, int], str],
    what: str,
    step: int,
    precision: int,
) -> dict[int, str]:
    """One line of numbers by unit; `nan`, `inf` or `-inf` where the report says so, `?` where it does not."""
    return {
        unit: names.get((what, step, unit), "?") if value is None else number(value, precision)
        for unit, value in zip(units, values, strict=False)
    }


def cell_units(excerpt: Excerpt, whole: int | None) -> list[int]:
    """Which units of c an excerpt holds: all, those of h, or three quarters from the front, the rest from the end."""
    kept = len(excerpt.cell or [])
    if whole is None or kept >= whole:
        return list(range(kept))
    if kept == len(excerpt.units) and max(excerpt.units, default=0) == whole - 1:
        return excerpt.units
    tail = kept // 4
    return [*range(kept - tail), *range(whole - tail, whole)]
