"""Numbers as they were printed: rows of them, and how many decimals they kept."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from rnninspect.core.precision import EXACT, Precision
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array

ELLIPSIS = "..."
MOST = 40  # decimals that are counted
TORCHS, SCALED = 4, 1e-6  # decimals of torch's print-outs, and what float64 may be off by when scaled by them
FEW = 6  # numbers that may all be those of a type by chance
FULL = 15  # significant digits from which on a number is not rounded: its type holds no more

_NUMBER = r"(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?|nan|inf(?:inity)?"
_WORD = regex(rf"[-+]?(?:{_NUMBER})", re.I)
_GLUED = regex(rf"(?<=[\d.])(?=[-+](?:{_NUMBER}))", re.I)  # `0.5-0.25`, where the white space is lost
_COMMENT = regex(r"#[^\n]*")
_TRUTH = {"True": 1, "False": 0, "true": 1, "false": 0}
_EXPONENT = regex(r"[\d.][eE][-+]?\d")
_UNSCALED = regex(r"(?<![\w.+-])[-+]?\d+\.\d*(?![\d.eE])")


@dataclass(frozen=True, eq=False)
class Row:
    """Numbers side by side. `gap`: how many stand before the `...` of an elided row, else None."""

    values: list[float] | list[int] | list[bool]
    gap: int | None = None


def read_row(text: str) -> Row | str:
    """The numbers between two brackets, or the first word there that is none.

    >>> read_row(" 0.5 -1.  ... 2e-05"), read_row("1, 2"), read_row("0.25-0.5")
    (Row(values=[0.5, -1.0, 2e-05], gap=2), Row(values=[1, 2], gap=None), Row(values=[0.25, -0.5], gap=None))
    >>> read_row("1, see 2"), read_row("0.20.3")
    ('see', '0.20.3')
    """
    tokens = text.replace(",", " ").split()
    gap = None
    if ELLIPSIS in text:
        tokens = text.replace(ELLIPSIS, f" {ELLIPSIS} ").replace(",", " ").split()
        gap = tokens.index(ELLIPSIS) if tokens.count(ELLIPSIS) == 1 else None
        tokens = [word for word in tokens if word != ELLIPSIS]
    values = _values(tokens)
    if values is None and "#" in text:
        values = _values(_COMMENT.sub("", text).replace(",", " ").split())
    if values is None:
        tokens = [part for word in tokens for part in _GLUED.split(word)]
        values = _values(tokens)
    if values is None:
        return next((w for w in tokens if not _WORD.fullmatch(w) and w not in _TRUTH), "numbers and truth values mixed")
    return Row(values, gap)


def _values(tokens: list[str]) -> list[float] | list[int] | list[bool] | None:
    """The words as numbers, whole ones as such, or as truth values; None where one is neither."""
    try:
        numbers = [float(word) for word in tokens]
    except ValueError:
        return [bool(_TRUTH[word]) for word in tokens] if tokens and all(word in _TRUTH for word in tokens) else None
    if any("_" in word for word in tokens):
        return None
    if all(word.lstrip("+-").isdecimal() for word in tokens):
        whole = [int(word) for word in tokens if len(word) < 19]
        return whole if len(whole) == len(tokens) else numbers
    return numbers


def as_array(values: list[float] | list[int] | list[bool]) -> Array:
    """`[n]`: whole numbers as int64, truth values as bool, others as float64."""
    return np.asarray(values, dtype=None if values else np.float64)


def spelled_numbers(text: Array) -> Array | None:
    """An array `[…]` of text as the numbers that all of it spells; None where some is none.

    >>> spelled_numbers(np.array(["9", " 3"])), spelled_numbers(np.array(["9", "x"]))
    (array([9, 3]), None)
    """
    entries = [entry.decode("latin-1") if isinstance(entry, bytes) else entry for entry in text.reshape(-1).tolist()]
    if not all(_WORD.fullmatch(entry.strip()) for entry in entries):
        return None
    values = _values([entry.strip() for entry in entries])
    return None if values is None else as_array(values).reshape(text.shape)


def precision_of(text: str, shift: int = 0) -> Precision:
    """How the numbers of a print-out were rounded; `shift`: decimals that a factor above them adds.

    Fixed notation keeps decimals, scientific notation digits of the mantissa. Whole numbers were not rounded, nor were
    numbers of FULL digits of which some have fewer: each is the shortest text that gives it again.

    >>> [str(precision_of(text)) for text in ("[0.25 -0.5 ]", "[4.1374e-06, 0.0000e+00]", "[0. 1.]")]
    ['2 decimals', '5 significant digits', 'all digits']
    """
    if _EXPONENT.search(text):
        digits = _mantissa_digits(text)
        return EXACT if not digits or _are_shortest(text, digits) else Precision(digits=digits)
    places = next((n for n in range(MOST, 0, -1) if re.search(rf"\.\d{{{n}}}", text)), 0)
    return EXACT if not places or _are_shortest(text, places) else Precision(decimals=places + shift)


def _are_shortest(text: str, places: int) -> bool:
    return places >= FULL and re.search(rf"\.\d{{1,{places - 1}}}(?!\d)", text) is not None


def _mantissa_digits(text: str) -> int:
    """The most digits behind the first one that counts; of numbers in mixed notation (`%g`) as of scientific ones."""
    most = 0
    mixed = _UNSCALED.search(text) is not None
    for match in re.finditer(r"\d+\.\d*(?:[eE][-+]?\d+)?" if mixed else r"\d\.(\d*)[eE]", text):
        count = len(re.sub(r"[eE].*|\.", "", match[0]).lstrip("0")) - 1 if mixed else len(match[1])
        most = max(most, count)
    return most


def is_of_half(values: Array) -> bool | None:
    """Whether the numbers `[…]` of a print-out are float16 ones as numpy prints these, each by the fewest digits that
    give it again: -0.51416 as -0.514, and 0.12036 as that. None where they may be, but are FEW or have no more than
    TORCHS decimals, to which others were rounded.

    >>> numbers = np.array([0.514, 0.12036, 0.03146, 0.2659, 0.0768, 0.01122])
    >>> is_of_half(numbers), is_of_half(numbers + 0.0002), is_of_half(numbers[:2]), is_of_half(np.zeros(9))
    (True, False, None, False)
    """
    fractions = values[values != np.rint(values)] if values.dtype.kind == "f" else values[:0]
    if not fractions.size or any(float(str(np.float16(number))) != number for number in fractions.tolist()):
        return False
    scaled = fractions * 10.0**TORCHS
    return True if fractions.size >= FEW and (np.abs(scaled - np.rint(scaled)) > SCALED).any() else None
