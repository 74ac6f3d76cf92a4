"""Whether two cases are one and the same dump, and a mistake made in whatever case has room for it."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Rule
from rnninspect.errors import UserError


def injected(rule: Rule, case: Case) -> Case | None:
    """The case with the rule's mistake; None where it has no room for it."""
    try:
        return rule.inject(case)
    except (CannotInject, UserError, AssertionError, ValueError, IndexError):
        return None  # the last four: what another mistake left is no case that this one is made in


def run_rightly(case: Case) -> Case:
    """The case as a right run of its inputs, lengths and weights."""
    assert case.batch is not None
    try:
        return case.with_trace(replace(case.trace, tracks=case.run(case.batch).tracks))
    except (UserError, ValueError):
        return case


def alike(one: Case, other: Case, room: float = 0.0) -> bool:
    """Whether two cases hold the same numbers, read the same way, to within `room`."""
    if one.reading.time_swapped != other.reading.time_swapped or one.config != other.config:
        return False
    pieces = [(one.trace, other.trace), (one.batch, other.batch), (one.weights, other.weights)]
    return all(same(a, b, room) for a, b in [*pieces, (one.other, other.other), (one.chunk, other.chunk)])


def same(one: object, other: object, room: float = 0.0) -> bool:
    """Whether two objects hold the same numbers, to within `room`."""
    if one is other:
        return True
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        if one.shape == other.shape and room and one.dtype.kind == "f":
            return np.allclose(one, other, rtol=0.0, atol=room, equal_nan=True)
        return one.shape == other.shape and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(same(a, b, room) for a, b in zip(one, other, strict=True))
    if hasattr(one, "__dataclass_fields__") and type(one) is type(other):
        return all(same(getattr(one, f.name), getattr(other, f.name), room) for f in fields(one))  # type: ignore[arg-type]
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return False
    return bool(one == other)
