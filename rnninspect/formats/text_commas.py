"""Decimal commas: numbers that a locale or a spreadsheet wrote as `0,1234`, told from commas between numbers."""

from __future__ import annotations

from rnninspect.core.regex import regex

NOTE = "numbers with a decimal comma (0,5) are read as 0.5"

_EXPONENT = r"(?:[eE][-+]?\d++)?+"
_OTHER = r"nan|inf|\.\.\."
_NUMBER = rf"[-+]?(?:\d++,\d*+{_EXPONENT}|{_OTHER})"  # numpy's `0,` has no digits behind it
_ROW = regex(r"\[([^\[\]]*+)\]")
_BY_BLANKS = regex(rf"\s*+{_NUMBER}(?:\s++{_NUMBER})*+\s*+")
_BY_COMMAS = regex(rf"\s*+{_NUMBER}(?:\s*+,\s++{_NUMBER})*+\s*+")
_GLUED = regex(r"\d,\d")
_SIDE_BY_SIDE = regex(r"\d,\d{2,}+(?:\s*+,)?+\s++[-+]?\d++,\d")  # two of them, with decimals, and blanks between
_POINT = regex(r"\d\.(?!\.)|(?<!\.)\.\d")
_COMMA = regex(r"(?<=\d),(?=\d|\s+[-+\dni.]|\s*+$)")
_INNER = regex(r"(?<=\d),(?=\d|\s*+,|\s*+$)")  # numpy's `0,    ,`


def with_decimal_points(text: str) -> str:
    """The text with points for its decimal commas, place for place; as it is where its commas stand between numbers.

    Every row of numbers in brackets must then read so: one comma within each number, and blanks between them.

    >>> with_decimal_points("[[0,1234 -0,5  ]]"), with_decimal_points("[[0,25, 1,75], [0,5, 0,125]]")
    ('[[0.1234 -0.5  ]]', '[[0.25, 1.75], [0.5, 0.125]]')
    >>> with_decimal_points("[[0,1234], [6,2]]"), with_decimal_points("[6,2,4] [0.5, 0,25 1,75]")
    ('[[0,1234], [6,2]]', '[6,2,4] [0.5, 0,25 1,75]')
    """
    if not _SIDE_BY_SIDE.search(text):
        return text
    rows = [row for row in _ROW.finditer(text) if any(map(str.isdigit, row[1]))]
    several = [row for row in rows if _SIDE_BY_SIDE.search(row[1])]
    if not several or any(_POINT.search(row[1]) for row in rows):
        return text
    parts, at = [], 0
    for row in rows:
        if not _GLUED.search(row[1]) or _is_compact(row[1]):
            continue
        if _BY_BLANKS.fullmatch(row[1]):
            turned = _COMMA.sub(".", row[1])
        elif _BY_COMMAS.fullmatch(row[1]):
            turned = _INNER.sub(".", row[1])
        else:
            return text
        parts += [text[at : row.start(1)], turned]
        at = row.end(1)
    return "".join([*parts, text[at:]])


def _is_compact(row: str) -> bool:
    """Whether whole numbers stand side by side without blanks, `6,2,4`, or as a pair, `6,2`, as lengths do."""
    numbers = row.split(",")
    return all(number.isdecimal() for number in numbers) and (len(numbers) > 2 or len(numbers[1]) < 2)
