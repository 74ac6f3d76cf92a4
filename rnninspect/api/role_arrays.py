"""What stands for a role: a member of the dump, a file, numbers in place, or an array."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnninspect.conventions.base import OPTION_ROLES
from rnninspect.core.arrays import to_array
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument
from rnninspect.errors import UnknownNameError, UnreadableError, UserError, about_argument
from rnninspect.formats import member_of, read_arrays
from rnninspect.formats.base import ANONYMOUS, NamedArrays
from rnninspect.formats.storage import is_remote


def role_slot(role: Role, value: str, arrays: Mapping[str, Array], option: str) -> Slot:
    """The array that a text names: a member of the dump, numbers in place (lengths), a file, or FILE#member.

    `option` is the argument's Python name, for messages. Raises UnreadableError or UnknownNameError where there is no
    such member or file, UserError where a file holds several arrays, or the numbers are none.
    """
    member = member_of(value, arrays)
    if member is not None:
        return Slot(role, member, arrays[member])
    if not is_there(value):
        numbers = _without_brackets(value)
        if role == "lengths" and re.fullmatch(r"[\s\d.+\-eE]+|.*,.*|[+-]?(?i:nan|inf)", numbers):
            return Slot(role, "lengths", _numbers(numbers, option))
        raise nowhere(value, arrays, option)
    with about_argument(option, value):
        read = read_arrays(value)
        members = read.arrays
        if len(members) == 1:
            name, array = next(iter(members.items()))
            return Slot(role, value, array, printed=read.precisions.get(name))
        matching = [name for name in dict.fromkeys((ANONYMOUS, role, option)) if name in members]
        if len(matching) != 1:
            raise UserError(f"it holds {', '.join(members) or 'no arrays'}; pick one with FILE#NAME")
        return Slot(role, matching[0], members[matching[0]], printed=read.precisions.get(matching[0]))


def is_there(value: str) -> bool:
    """Whether it names a file, or a member of one; what stands behind a URL is seen when it is read."""
    return is_remote(value) or os.path.exists(value) or ("#" in value and os.path.exists(value.rpartition("#")[0]))


def nowhere(value: str, arrays: Mapping[str, Array], option: str) -> UserError:
    """The error that says that a text names neither a member of the dump nor a file."""
    members = [name for name in arrays if name]
    if not members:
        return UnreadableError(f"{argument(option, value)}: no such file")
    beside_it = any(value.rpartition(".")[0] == name.rpartition(".")[0] for name in members)  # `final_state.hh`
    if os.sep in value or ("." in os.path.basename(value) and not beside_it):
        return UnreadableError(
            f"{argument(option, value)}: no such file, and no member of the input ({', '.join(members)})"
        )
    return UnknownNameError(f"member for {argument(option)}", value, members)


def _without_brackets(text: str) -> str:
    """Numbers as a list or a tuple is printed, without its brackets.

    >>> _without_brackets("[3, 1]"), _without_brackets("(3,)"), _without_brackets("[3")
    ('3, 1', '3,', '[3')
    """
    bare = text.strip()
    return bare[1:-1] if bare[:1] + bare[-1:] in ("[]", "()") else text


def _numbers(text: str, option: str) -> Array:
    """`3,1,2` or `3 1 2` as an array; what is no number is named."""
    parts = re.split(r"\s*,\s*|\s+", text.strip().strip(",").strip())
    bad = [p for p in parts if not re.fullmatch(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?|[+-]?(?i:nan|inf)", p)]
    if bad:
        shown = f"{', '.join(map(repr, bad))} {'is not a number' if len(bad) == 1 else 'are not numbers'}"
        shown = shown if any(parts) else "it is empty"
        raise UserError(f"{argument(option, text)}: {shown}; give one length per row, as in 3,1,2")
    values = [float(p) for p in parts]
    whole = all(abs(v) < 2**63 and v == int(v) for v in values)
    return np.asarray([int(v) for v in values] if whole else values)


def slots(arguments: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[Role, Slot]:
    """Every role that an argument is given for, by its Python name (`state`, …): a text, a path, or an array.

    Raises what `role_slot` raises, UserError on what is no array.
    """
    named: dict[Role, Slot] = {}
    for option, role in OPTION_ROLES.items():
        value = arguments.get(option)
        if isinstance(value, (str, os.PathLike)):
            named[role] = role_slot(role, os.fspath(value), arrays, option)
        elif value is not None:
            named[role] = Slot(role, role, to_array(value, role))
    return named


def source_of(read: NamedArrays) -> dict[str, Any]:
    """What a report says about where its arrays come from."""
    shapes = {name or "(unnamed)": list(array.shape) for name, array in read.arrays.items()}
    unused = [f"{left} was not read; it is no array of numbers" for left in read.left_out]
    return {"path": read.source, "format": read.format, "arrays": shapes, "unused": unused}
