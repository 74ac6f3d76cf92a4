"""Arrays of one row each, as a loop over rows prints or saves them (`row 0 output`, `row 0 h`, …): put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from rnninspect.core.arrays import padded
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array

_LOOP = regex(
    r"(?P<word>row|sample|seq(?:uence)?|example|item|sentence|b|i|(?:time_?)?step|time|t)s?[ ._=]*(?P<number>\d+)[ ._]+"
    r"(?P<rest>[^\d ._][^\d]*)",
    0,
)
_OVER_STEPS = ("step", "time", "t")
_NUMBERED = regex(r"(?P<stem>.*?)[._/]?(?P<number>\d+)")
Family = dict[int, str]  # the names by their number


def with_numbers_last(arrays: Mapping[str, Array]) -> tuple[dict[str, Array], bool]:
    """The arrays that a loop named by its turn first, `row_0_output`, with the turn last: `output.0`; and whether one
    is named by its rows. The names as they are where a turn is missing.

    >>> import numpy as np
    >>> with_numbers_last({"row_0_h": np.ones(2), "row_1_h": np.ones(2), "row_7_x": np.ones(2)})[0].keys()
    dict_keys(['h.0', 'h.1', 'row_7_x'])
    """
    places = {name: place for name in arrays if (place := _LOOP.fullmatch(name))}
    families: dict[tuple[str, str], Family] = defaultdict(dict)
    for name, place in places.items():
        families[place["word"], place["rest"]][int(place["number"])] = name
    renamed = {
        name: f"{rest}.{number}"
        for (_, rest), by_number in families.items()
        if _is_whole(by_number) and rest not in arrays
        for number, name in by_number.items()
    }
    if len(set(renamed.values()) | (arrays.keys() - renamed.keys())) < len(arrays):
        return dict(arrays), False
    by_row = any(not places[name]["word"].startswith(_OVER_STEPS) for name in renamed)
    return {renamed.get(name, name): array for name, array in arrays.items()}, by_row


def with_rows_together(arrays: Mapping[str, Array], time_major: bool) -> dict[str, Array]:
    """The arrays with those of one row each, `[T, H]` and `[H]`, as one `[B, T, H]` (`[T, B, H]` of `time_major`) and
    `[B, H]`; rows of unequal lengths with zeros behind them, and their lengths beside them where none are.

    They are those of one name and all numbers, of which a state `[B, H]` has as many rows, or of which there are as
    many states `[H]`. What they are is told by their lengths being unequal, by as many lengths beside them, or by a
    name that says so: else they might be layers. The arrays as they are where outputs of three axes are there, which a
    stack of states that holds steps of these rows is not.

    >>> import numpy as np
    >>> rows = {"outs.0": np.ones((3, 2)), "outs.1": np.ones((1, 2)), "h": np.ones((2, 2))}
    >>> {name: a.shape for name, a in with_rows_together(rows, False).items()}
    {'outs': (2, 3, 2), 'h': (2, 2), 'lengths': (2,)}
    """
    named, by_row = with_numbers_last(arrays)
    families = _families(named)
    sequences = {stem: family for stem, family in families.items() if named[family[min(family)]].ndim == 2}
    counts = {len(family) for family in sequences.values()}
    parts = [[named[family[number]] for number in sorted(family)] for family in sequences.values()]
    others = [a for a in arrays.values() if a.ndim > 2 and 1 not in a.shape]
    stacked = any(_is_stack_of_states(a, rows) for a in others for rows in parts)
    if not sequences or len(counts) > 1 or (others and not stacked):
        return named
    count = counts.pop()
    steps = [len(named[name]) for family in sequences.values() for name in family.values()]
    together = {stem: family for stem, family in families.items() if len(family) == count}
    widths = {named[name].shape[-1] for family in sequences.values() for name in family.values()}
    states = [a for stem, f in together.items() if stem not in sequences for a in (named[f[min(f)]][None],)]
    apart = {name for family in together.values() for name in family.values()}
    whole = [a for name, a in named.items() if name not in apart and a.ndim in (2, 3) and a.shape[-2] == count]
    fits = any(
        a.dtype.kind == "f" and {a.shape[-1], 2 * a.shape[-1], a.shape[-1] // 2} & widths for a in states + whole
    )
    lengths = any(a.dtype.kind in "iu" and a.shape == (count,) for a in named.values())
    unequal = len(set(steps)) > 1
    told = unequal or ((lengths or by_row) and (states or steps[0] != count))
    if not fits or not (told or stacked):
        return named
    joined = {name: a for name, a in named.items() if name not in apart}
    for stem, family in together.items():
        rows, ends = padded([named[family[number]] for number in sorted(family)], stem)
        joined = {stem: rows.swapaxes(0, 1) if time_major and rows.ndim > 2 else rows, **joined}
        if ends is not None and not lengths and stem in sequences:
            joined["lengths"] = ends
    return joined


def _is_stack_of_states(array: Array, rows: list[Array]) -> bool:
    """Whether `[L*D, B, H]` is a state of these rows `[n, H]`, or `[n, 2H]`, and no outputs beside them: it is smaller
    than they are, or of half their units, and they are of unequal lengths, or hold most states of one layer and
    direction as steps, in whichever order."""
    width = rows[0].shape[1]
    if array.ndim != 3 or array.shape[1] != len(rows) or array.shape[2] not in (width, width / 2):
        return False
    if array.shape[2] == width and array.size >= sum(row.size for row in rows):
        return False
    if len({len(row) for row in rows}) > 1:
        return True
    steps = np.concatenate(rows)[:, : array.shape[2]]
    are_steps = [[bool(state.any() and (steps == state).all(1).any()) for state in plane] for plane in array]
    return any(2 * sum(plane) > len(rows) for plane in are_steps)


def _families(arrays: Mapping[str, Array]) -> dict[str, Family]:
    """The names of one stem and all numbers, by stem, of float arrays of one or two axes and one width each."""
    families: dict[str, Family] = defaultdict(dict)
    for name, array in arrays.items():
        place = _NUMBERED.fullmatch(name)
        if place and array.ndim in (1, 2) and array.dtype.kind == "f":
            families[place["stem"]][int(place["number"])] = name
    for stem, by_number in families.items():
        if stem in arrays and min(by_number) == 2:
            by_number[1] = stem  # a text names `h` in every turn; the reader numbers all but the first
    return {
        stem: by_number
        for stem, by_number in families.items()
        if _is_whole(by_number) and len({(arrays[n].ndim, arrays[n].shape[-1]) for n in by_number.values()}) == 1
    }


def _is_whole(by_number: Mapping[int, str]) -> bool:
    """Whether the numbers leave none out, from 0 or 1 on."""
    numbers = sorted(by_number)
    return len(numbers) > 1 and numbers in (list(range(len(numbers))), list(range(1, len(numbers) + 1)))
