"""What one step of one row is, as a mark, a style and words: the mark alone must be enough."""

from __future__ import annotations

from rnninspect.core.frozen import frozen
from rnninspect.report.record import Excerpt, Row
from rnninspect.report.renderers import _text
from rnninspect.report.renderers._text import Marks

_PADDED = {
    "repeat": "repeats the last output",
    "constant": "constant",
    "computed": "computed",
    "nonfinite": "not finite",
}


@frozen
class Look:
    """`words` where there is room, `brief` where there is less, `mark` always."""

    mark: str = " "
    style: str = ""
    label: str = ""
    brief: str = ""


def distance_text(distance: float | None) -> str:
    """A distance in three digits.

    >>> distance_text(0.01234), distance_text(None)
    ('differs by 0.0123', 'differs infinitely')
    """
    return "differs infinitely" if distance is None else f"differs by {distance:.3g}"


def is_padding(row: Row, step: int) -> bool:
    """Whether a step lies in none of the row's real ranges."""
    return not any(start <= step < stop for start, stop in row.real)


def is_zero(row: Row, step: int, excerpt: Excerpt | None = None) -> bool:
    """Whether every output of the step is zero; beyond the listed steps, whether every kept one is."""
    listed = row.zero_steps or []
    if step in listed:
        return True
    cut = row.zero_count is not None and row.zero_count > len(listed) and step > max(listed, default=-1)
    if not cut or excerpt is None or excerpt.outputs is None or step not in excerpt.steps:
        return False
    return all(value == 0 for value in excerpt.outputs[excerpt.steps.index(step)])


def look(row: Row, step: int, marks: Marks, others: list[int], excerpt: Excerpt | None = None) -> Look:
    """How one step is shown. `others`: rows elsewhere in the batch whose final state equals this step."""
    blank = row.status == "no-evidence" and is_padding(row, step) and is_zero(row, step, excerpt)
    if blank and not others:  # it equals the state, and so does every other blank step
        return _plain(row, step, marks, excerpt)
    plain_look = _equal(row, step, marks) or _expected(row, step, marks) or _nearest(row, step, marks)
    if others:
        return _claimed(plain_look, others, marks)
    return plain_look or _plain(row, step, marks, excerpt)


def _equal(row: Row, step: int, marks: Marks) -> Look | None:
    if step not in (row.steps or []):
        return None
    name, brief = f"= final_state.h[{row.row}]", f"= h[{row.row}]"
    expected = row.expected_step
    if row.status == "no-evidence":
        return Look(marks.equal, _text.FACT, name, brief)
    if expected is None or step == expected:
        return Look(marks.equal, _text.OK, name, brief)
    if expected in (row.steps or []):
        return Look(marks.equal, _text.FACT, f"{name} too", f"{brief} too")
    return Look(marks.wrong, _text.BAD, f"{name}, not step {expected}", f"{brief}, not {expected}")


def _expected(row: Row, step: int, marks: Marks) -> Look | None:
    """The expected step, where the final state does not equal it."""
    if step != row.expected_step:
        return None
    if row.status == "near" and step == row.nearest_step:
        away = distance_text(row.distance)
        return Look(marks.near, _text.OK, f"~ final_state.h[{row.row}], {away}", f"~ h[{row.row}]")
    return Look(marks.expected, _text.HINT, f"should equal final_state.h[{row.row}]", "expected")


def _nearest(row: Row, step: int, marks: Marks) -> Look | None:
    if step != row.nearest_step or row.steps or row.status not in ("near", "none"):
        return None
    away = distance_text(row.distance)
    if row.status == "near":
        style = _text.OK if row.expected_step is None else _text.BAD
        return Look(marks.near, style, f"~ final_state.h[{row.row}], {away}", f"~ h[{row.row}]")
    return Look(marks.nearest, _text.HINT, f"nearest, {away}", "nearest")


def _claimed(unclaimed: Look | None, others: list[int], marks: Marks) -> Look:
    """A step that other rows' final states equal: theirs are in the wrong place."""
    states = ", ".join(f"h[{row}]" for row in others[:3]) + (
        ", …" if len(others) > 3 and marks is _text.UNICODE else ""
    )
    label = f"= {'final_state.' if len(others) == 1 else ''}{states}"
    if unclaimed is None:
        return Look(marks.wrong, _text.BAD, label, f"= {states}")
    return Look(unclaimed.mark, unclaimed.style, f"{unclaimed.label}; {label}", f"{unclaimed.brief}; = {states}")


def _plain(row: Row, step: int, marks: Marks, excerpt: Excerpt | None) -> Look:
    zero, padding = is_zero(row, step, excerpt), is_padding(row, step)
    if excerpt and any(place.split()[:2] == ["outputs", str(step)] for place in excerpt.nonfinite):
        return Look(marks.nonfinite, _text.BAD, f"{'padding, ' if padding else ''}not finite", "not finite")
    if padding and zero:
        return Look(marks.padding, _text.QUIET, "padding", "padding")
    if padding:
        held = _PADDED.get(row.padding or "", "")
        return Look(marks.filled, _text.QUIET, f"padding, {held}" if held else "padding", "padding, not 0")
    if zero and row.length is None:
        return Look(marks.zero, _text.FACT, "all zero: padding or real", "all zero")
    return Look(marks.zero, _text.FACT, "real step, all zero", "real, zero") if zero else Look()
