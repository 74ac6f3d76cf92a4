"""How messages name an argument: in Python's words, `state=`, or in the command line's, `--state`.

The library writes `argument("state")` into a message and knows of no command line. Whoever shows the message puts it
into words: `worded`, in Python's words unless a wording is set with `worded_as`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from rnninspect.core.regex import regex

# From an argument's Python name and its value (None: the argument as such) to what its user types.
Wording = Callable[[str, Any], str]

# The brackets of a placeholder: noncharacters, which Unicode keeps out of text. In a hostile file name they stay as
# they are, unless what stands between them reads as a placeholder.
_BEGIN, _END = "\ufdd0", "\ufdd1"
_PLACEHOLDER = regex(f"{_BEGIN}([^{_BEGIN}{_END}]*){_END}")
_INNER = regex(r"(\w+)(?:([:=])(.*))?", re.DOTALL)  # a name, and a text or JSON behind it
_NUMBER = regex(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?")


def argument(name: str, value: Any = None) -> str:
    """A placeholder for an argument by its Python name, alone or with a value that JSON can hold."""
    if value is None:
        return f"{_BEGIN}{name}{_END}"
    if isinstance(value, str):
        return f"{_BEGIN}{name}:{value}{_END}"
    import json  # most messages need none

    return f"{_BEGIN}{name}={json.dumps(value)}{_END}"


def in_python(name: str, value: Any) -> str:
    """An argument as a Python caller types it; a text that is a number is one that was formatted.

    >>> in_python("state", None), in_python("layers", 2), in_python("cell", "gru"), in_python("atol", "1.5e-05")
    ('state=', 'layers=2', "cell='gru'", 'atol=1.5e-05')
    """
    if name == "reasons_of":
        return "see render(why=True)"
    if name == "table":  # an option of whatever shows a report
        return f"render(table={value!r})"
    if value is None:
        return f"{name}="
    if (name, value) == ("excerpt", "all"):
        return "excerpt=None"
    if name == "final_state_of":
        return f"give it, recording.inspect({value!r}, final_state=…)"
    if name == "feed_of":
        return f"give a batch or dump of all that the model is fed, arrays by their names, {value} among them"
    formatted = isinstance(value, str) and _NUMBER.fullmatch(value)
    return f"{name}={value}" if formatted else f"{name}={value!r}"


_wording: ContextVar[Wording] = ContextVar("wording", default=in_python)


@contextmanager
def worded_as(wording: Wording) -> Iterator[None]:
    """Let `worded` use this wording within."""
    token = _wording.set(wording)
    try:
        yield
    finally:
        _wording.reset(token)


def worded(text: str) -> str:
    """The text with every placeholder put into words.

    >>> worded(f"name it with {argument('state')}, or state {argument('layers', 2)}")
    'name it with state=, or state layers=2'
    """
    return _PLACEHOLDER.sub(_replaced, text)


def _replaced(placeholder: re.Match[str]) -> str:
    """The words of one placeholder; what only looks like one stays as it is."""
    parts = _INNER.fullmatch(placeholder[1])
    if parts is None:
        return placeholder[0]
    name, kind, text = parts.groups()
    if kind != "=":
        return _wording.get()(name, text if kind else None)
    import json  # most messages need none

    try:
        return _wording.get()(name, json.loads(text))
    except ValueError:
        return placeholder[0]
