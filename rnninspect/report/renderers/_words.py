"""One row's verdict in words: what its final state equals, whether that is right, what its padding holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from rnninspect.core.finding import WhatIf
from rnninspect.report.record import Row
from rnninspect.report.renderers import _elide, _text
from rnninspect.report.renderers._steps import distance_text

LISTED = 12  # lengths of a supposition that are listed
Standing = Literal["good", "bad", "silent", "unknown"]

_PADDING = {
    "zero": "zero",
    "repeat": "repeats the last output",
    "constant": "constant",
    "computed": "computed",
    "nonfinite": "not finite",
}


def standing(row: Row) -> Standing:
    """Whether the row's final state is where it should be; `silent` rows cannot tell, `unknown` were not compared.

    A state that equals some step tells nothing where it is not known which step it should equal; nor does one that is
    no step's by what a note says.
    """
    if row.spoiled_by:
        return "bad"
    if row.noted_by:
        return "silent"
    match row.status:
        case None:
            return "unknown"
        case "no-evidence":
            return "silent"
        case "match" | "ambiguous" | "near" if row.expected_step is None:
            return "silent"
        case "match" | "ambiguous":
            return "good"
        case "near":
            return "good" if row.expected_step == row.nearest_step else "bad"
    return "bad"


def equals(row: Row) -> str:
    """`h = outputs[1, 0]`, with all the steps it equals, or that it equals none."""
    b = row.row
    if row.status is None:
        return ""
    if row.steps:
        return f"h = {_elide.quote_outputs(b, row.steps, row.step_count)}"
    if row.elsewhere:
        places = ", ".join(f"outputs[{j}, {s}]" for j, s in row.elsewhere[:2])
        return f"h = {places}" + (f" and {len(row.elsewhere) - 2} more" if len(row.elsewhere) > 2 else "")
    if row.status == "near":
        return f"h ~ outputs[{b}, {row.nearest_step}]"
    return "h equals no step"


def judged(row: Row) -> str:
    """Whether that is right, and what would have been."""
    wanted = row.expected_step
    if row.spoiled_by:
        return f"at the expected step, but wrong: {_text.clean(row.spoiled_by)}"
    if row.noted_by:
        return f"no mistake, see the note {_text.clean(row.noted_by)}"
    match row.status:
        case None:
            return "outputs not recorded" if row.padding == "absent" else "not compared"
        case "no-evidence":
            return f"no evidence: {_silence(row)}"
        case "near" if wanted in (None, row.nearest_step):
            return f"as expected, {distance_text(row.distance)}" if wanted is not None else distance_text(row.distance)
        case "match" | "ambiguous" if wanted is None:
            return "lengths not known" if row.length is None else ""
        case "ambiguous":
            return "as expected, but also at other steps"
        case "match":
            return "as expected"
    return "" if wanted is None else f"expected step {wanted}"


def _silence(row: Row) -> str:
    if not row.real:
        return "no real step"
    if row.step_count and row.zero_count and row.zero_count >= row.step_count:
        return "the state is all zero"
    return "every step is within the tolerance" if row.distance else "all steps are equal"


def remarks(row: Row, total: int, verbose: bool = False, brief: bool = False) -> list[str]:
    """The nearest step where none is equal, what the padding holds, which real steps are all zero."""
    notes = []
    unmatched = row.status in ("near", "none") and not row.steps and not row.elsewhere and standing(row) == "bad"
    if unmatched and row.nearest_step is not None:
        notes.append(f"nearest step {row.nearest_step} {distance_text(row.distance)}")
    if row.margin is not None and not row.noted_by and (verbose or row.status in ("near", "none")):
        notes.append(f"next nearest +{row.margin:.3g}" if row.margin else "another equally near")
    padded = _elide.gaps(row.real, total)
    if padded and row.padding in _PADDING:
        where = _elide.list_slices(padded) if brief else _elide.name_steps(padded)
        notes.append(f"padding {_PADDING[row.padding]}: {where}")
    zeros = _elide.runs(_elide.real_zeros(row, total))
    if zeros and row.padding != "absent":
        single = len(zeros) == 1 and zeros[0][1] - zeros[0][0] == 1
        which = "but real" if row.length is not None else "(padding or real)"
        notes.append(f"{_elide.name_steps(zeros)} {'is' if single else 'are'} zero {which}")
    return notes


def counted(number: int, what: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def tally(rows: Iterable[Row]) -> str:
    """How many rows stand how, the worst first: `4 not as expected, 40 as expected`, or `all as expected`."""
    rows = list(rows)
    counts = Counter(_kind(row) for row in rows)
    expects = any(row.expected_step is not None for row in rows)
    standings: dict[str, str] = {
        "bad": "not as expected" if expects else "not equal to any step",
        "good": "as expected",
        "untested": "equal to a step, but perhaps not the last",
        "noted": "explained by a note",
        "silent": "without evidence",
        "unknown": "not compared",
    }
    parts = [f"{counts[kind]} {word}" for kind, word in standings.items() if counts[kind]]
    if len(parts) != 1:
        return ", ".join(parts)
    word = parts[0].partition(" ")[2]
    return "none as expected" if word == standings["bad"] and expects else f"all {word}"


def _kind(row: Row) -> str:
    if row.noted_by:
        return "noted"
    return "untested" if _is_untested(row) else standing(row)


def _is_untested(row: Row) -> bool:
    """Whether the state equals a step, and nothing says which it should equal."""
    return row.status in ("match", "ambiguous", "near") and row.expected_step is None and not row.spoiled_by


def what_if(supposed: WhatIf) -> str:
    """What would follow from lengths that nobody stated.

    >>> what_if(WhatIf([3, 1], "the inputs are zero after them", ["lengths-ignored"]))
    'if the lengths are 3, 1 (the inputs are zero after them), this is lengths-ignored'
    """
    lengths = ", ".join(map(str, supposed.lengths[:LISTED]))
    more = f" and {len(supposed.lengths) - LISTED} more" if len(supposed.lengths) > LISTED else ""
    follows = f"this is {' and '.join(supposed.rules)}" if supposed.rules else "every state is where it should be"
    return f"if the lengths are {lengths}{more} ({supposed.because}), {follows}"


def track_name(layer: int | None, direction: str | None, ascii: bool = False) -> str:
    """`layer 0 forward`, or less where less is known.

    >>> track_name(0, "forward"), track_name(1, None), track_name(None, None)
    ('layer 0 forward', 'layer 1', '')
    """
    parts = ["" if layer is None else f"layer {layer}", "" if direction is None else _text.clean(direction, ascii)]
    return " ".join(part for part in parts if part)
