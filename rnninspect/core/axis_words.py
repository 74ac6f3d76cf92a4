"""Axes in words where a person reads: `[layers x directions, batch, units]` for `(L D) B H`."""

from __future__ import annotations

import re

from rnninspect.core.regex import regex

_NAMES = {
    "B": "batch",
    "T": "steps",
    "H": "units",
    "F": "features",
    "L": "layers",
    "D": "directions",
}
_AXIS = r"(?:\([LDBTHF](?: [LDBTHF])+\)|[LDBTHF])"
_SIZED = rf"(?:{_AXIS}|\d+)"
_CODE = regex(rf"(?<![^\s(])(?:\[{_SIZED}(?:, {_SIZED})*\]|{_AXIS}(?: {_AXIS})+)(?![^\s,;.:)])")


def in_words(text: str) -> str:
    """The text with the letters of axes put into words; letters alone, and within a name, stay, and so do sizes.

    >>> in_words("outputs T B (D H), final state (L D) B H")
    'outputs [steps, batch, directions x units], final state [layers x directions, batch, units]'
    >>> in_words("A.B H, B alone, state.B H"), in_words("[T, B, H], torch's default")
    ('A.B H, B alone, state.B H', "[steps, batch, units], torch's default")
    >>> in_words("lengths [B], weight [5, 3], scores [B, 5, T]")
    'lengths [batch], weight [5, 3], scores [batch, 5, steps]'
    """
    return _CODE.sub(lambda code: f"[{', '.join(map(_name, re.findall(_SIZED, code[0])))}]", text)


def _name(axis: str) -> str:
    return axis if axis.isdecimal() else " x ".join(_NAMES[letter] for letter in axis if letter in _NAMES)
