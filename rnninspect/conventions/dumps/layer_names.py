"""Names of layers: which order numbers give them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rnninspect.core.regex import regex

_NUMBER = regex(r"_?(\d+)$")
_DIRECTION = regex(r"forward|backward|fw|bw")


def natural_order(names: Iterable[str]) -> list[str]:
    """Each name once: by number where the names differ in nothing else, else in the order given.

    >>> natural_order(["lstm", "lstm_10", "lstm_2"]), natural_order(["encoder", "decoder"])
    (['lstm', 'lstm_2', 'lstm_10'], ['encoder', 'decoder'])
    """
    listed = list(dict.fromkeys(names))
    numbered = len({tuple(_NUMBER.sub("", part) for part in _parts(_DIRECTION.sub("", n))) for n in listed}) == 1
    return sorted(listed, key=_numbers) if numbered else listed


def _parts(name: str) -> list[str]:
    return re.split(r"[/.]", name)


def _numbers(name: str) -> tuple[int, ...]:
    """The number that each part of the name ends in; a part without one comes first (`lstm`, then `lstm_1`)."""
    matches = (_NUMBER.search(part) for part in _parts(name))
    return tuple(int(match.group(1)) if match else -1 for match in matches)
