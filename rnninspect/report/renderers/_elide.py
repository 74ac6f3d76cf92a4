"""Which steps and units are shown where not all fit: both ends, and what matters with its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rnninspect.report.record import Row

MATCHES = 4  # equal steps that are always shown
EDGES = 8  # borders between data and padding that are always shown


def gaps(ranges: Sequence[Sequence[int]], total: int) -> list[tuple[int, int]]:
    """What half-open `ranges` leave of `range(total)`, as half-open ranges.

    >>> gaps([[1, 3]], 5)
    [(0, 1), (3, 5)]
    """
    left, at = [], 0
    for start, stop in [*sorted(map(tuple, ranges)), (total, total)]:
        if start > at:
            left.append((at, min(start, total)))
        at = max(at, stop)
    return [(a, b) for a, b in left if a < b]


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted numbers as half-open ranges.

    >>> runs([0, 1, 2, 5])
    [(0, 3), (5, 6)]
    """
    ranges: list[tuple[int, int]] = []
    for n in numbers:
        if ranges and ranges[-1][1] == n:
            ranges[-1] = (ranges[-1][0], n + 1)
        else:
            ranges.append((n, n + 1))
    return ranges


def list_slices(ranges: Sequence[Sequence[int]], most: int = 4) -> str:
    """Half-open ranges as Python writes them, cut after `most`.

    >>> list_slices([(1, 3), (5, 6)])
    '1:3, 5'
    """
    slices = [str(a) if b - a == 1 else f"{a}:{b}" for a, b in ranges[:most]]
    return ", ".join(slices) + (f" and {len(ranges) - most} more" if len(ranges) > most else "")


def name_steps(ranges: Sequence[Sequence[int]]) -> str:
    """The same behind the word that fits: `step 2`, `steps 1:3, 5`."""
    single = len(ranges) == 1 and ranges[0][1] - ranges[0][0] == 1
    return f"{'step' if single else 'steps'} {list_slices(ranges)}"


def name_rows(rows: Sequence[int], most: int = 4) -> str:
    """Sorted rows in words, ranges with both ends, cut after `most`.

    >>> name_rows([1]), name_rows([0, 1, 2, 5])
    ('row 1', 'rows 0-2, 5')
    """
    ranges = runs(rows)
    names = [str(a) if b - a == 1 else f"{a}-{b - 1}" for a, b in ranges[:most]]
    rest = f" and {len(ranges) - most} more" if len(ranges) > most else ""
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(names)}{rest}"


def quote_outputs(row: int, steps: Sequence[int], count: int | None = None, most: int = 8) -> str:
    """Steps of one row as Python indexes them; steps that are no range as a list, cut after `most`.

    `count`: how many steps there are where not all of them are listed.

    >>> quote_outputs(1, [2]), quote_outputs(1, [1, 2]), quote_outputs(1, [1, 3]), quote_outputs(0, [1, 3, 5], 7, 2)
    ('outputs[1, 2]', 'outputs[1, 1:3]', 'outputs[1, [1, 3]]', 'outputs[0, [1, 3]] and 5 more')
    """
    ranges = runs(steps)
    kept = list(steps) if len(ranges) == 1 else list(steps[:most])
    index = list_slices(ranges) if len(ranges) == 1 else str(kept)
    left = max(count or 0, len(steps)) - len(kept)
    return f"outputs[{row}, {index}]" + (f" and {left} more" if left else "")


def matters(row: Row, total: int, others: Iterable[int] = ()) -> list[int]:
    """The steps that a reader must see, the most wanted first.

    The expected step, equal steps, the nearest where none is equal, first and last, the borders of the padding, the
    first real step that is all zero, and `others` (steps that another row's final state equals).
    """
    equal = row.steps or []
    wanted: list[int | None] = [row.expected_step, *equal[:MATCHES], *equal[-1:]]
    wanted += [] if equal else [row.nearest_step]
    wanted += [0, total - 1]
    borders = [step for start, stop in row.real for step in (stop - 1, stop, start, start - 1)]
    wanted += [step for step in borders if 0 <= step < total][:EDGES]
    wanted += real_zeros(row, total)[:1]
    wanted += list(others)[:MATCHES]
    return list(dict.fromkeys(step for step in wanted if step is not None and 0 <= step < total))


def real_zeros(row: Row, total: int) -> list[int]:
    """The listed steps that are all zero and are not padding."""
    return [s for s in row.zero_steps or [] if any(a <= s < b for a, b in row.real) and s < total]


def pick(available: Sequence[int], wanted: Sequence[int], most: int, dull: Callable[[int], bool]) -> list[int]:
    """At most `most` of the sorted `available`: all that are wanted (even if those are more), then their neighbours.

    What is `dull` is only shown where it is wanted. A single one that would be left out between two that are kept is
    kept too: saying so would take as much room.

    >>> pick(range(20), [9, 0, 19], 5, lambda n: n > 9)
    [0, 1, 8, 9, 19]
    """
    if len(available) <= most:
        return list(available)
    has = set(available)
    kept = {n for n in wanted if n in has}
    around = (n + d for d in (-1, 1, -2, 2) for n in wanted)
    for n in around:
        if len(kept) >= most:
            break
        if n in has and not dull(n):
            kept.add(n)
    return sorted(kept | {n for n in available if {n - 1, n + 1} <= kept})


def pick_units(available: Sequence[int], wanted: Iterable[int], most: int) -> list[int]:
    """At most `most` units: the wanted ones first, then the first ones and, a quarter of them, the last.

    >>> pick_units(range(20), [], 4)
    [0, 1, 2, 19]
    """
    if len(available) <= most:
        return list(available)
    kept = set([n for n in dict.fromkeys(wanted) if n in available][: most // 2])
    tail = available[len(available) - most // 4 - (most in (2, 3)) :] if most > 1 else []
    for n in (*tail, *available):
        if len(kept) >= most:
            break
        kept.add(n)
    return sorted(kept)
