"""Frozen dataclasses with shared methods behave as those that `dataclass` itself makes."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from typing import Any

import pytest

from rnninspect.core.frozen import MANY, frozen


@frozen
class Ours:
    """Some of every kind of field."""

    rows: int
    name: str = "h"
    steps: list[int] = field(default_factory=list, hash=False, compare=False)

    @cached_property
    def doubled(self) -> int:
        return 2 * self.rows


@dataclass(frozen=True)
class Pythons:
    """The same by Python's own means."""

    rows: int
    name: str = "h"
    steps: list[int] = field(default_factory=list, hash=False, compare=False)


@frozen(eq=False)
class ByIdentity:
    """Compared as the object that it is."""

    rows: int


@frozen
class Wider(Ours):
    """A field more, and a check."""

    units: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        if self.units < 1:
            raise ValueError(f"units {self.units}")


CALLS: list[Callable[[Any], Any]] = [
    lambda kind: kind(1),
    lambda kind: kind(1, "c", [2]),
    lambda kind: kind(name="c", rows=3),
    lambda kind: kind(1, steps=[4]),
]
WRONG: list[Callable[[Any], Any]] = [
    lambda kind: kind(),
    lambda kind: kind(1, rows=1),
    lambda kind: kind(1, "c", [], 4),
    lambda kind: kind(1, unit=2),
    lambda kind: kind(name="c"),
    lambda kind: kind(name="c", unit=2),
]


@pytest.mark.parametrize("call", CALLS)
def test_it_is_filled_shown_and_copied_as_pythons(call: Callable[[Any], Any]) -> None:
    """Fields, text, copies and dictionaries are those of a dataclass with the same fields."""
    ours, pythons = call(Ours), call(Pythons)
    assert asdict(ours) == asdict(pythons)
    assert repr(ours) == repr(pythons).replace("Pythons", "Ours")
    assert asdict(replace(ours, rows=9)) == asdict(replace(pythons, rows=9))
    assert hash(ours) == hash(pythons)
    assert pickle.loads(pickle.dumps(ours)) == ours == call(Ours)
    assert ours != pythons


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_call_is_refused(call: Callable[[Any], Any]) -> None:
    """What Python's own refuses is a TypeError here too."""
    for kind in (Ours, Pythons):
        with pytest.raises(TypeError):
            call(kind)


def test_the_many_th_is_as_the_first() -> None:
    """A class of which many objects are made gets an `__init__` of its own, which fills, checks and refuses as before,
    fields in their own order; one that writes its own keeps that."""

    @frozen
    class Step(Wider):
        """No field more."""

    shared_init = Step.__init__

    @frozen
    class Own:
        row: int

        def __init__(self, row: int) -> None:
            shared_init(self, row + 1)

    def step() -> Step:
        return Step(units=2, rows=1)

    first, numbers = step(), {Own(1).row}
    for _ in range(2 * MANY):
        step()
        numbers.add(Own(1).row)
    assert Step.__init__ is not shared_init
    assert step() == first
    assert list(vars(step())) == list(vars(first)) == [f.name for f in fields(Step)]
    assert step().steps is not step().steps
    assert list(inspect.signature(Step).parameters) == ["rows", "name", "steps", "units"]
    assert numbers == {2}
    for call in WRONG:
        with pytest.raises(TypeError):
            call(Step)
    with pytest.raises(ValueError, match="units 0"):
        Step(1, units=0)
    with pytest.raises(FrozenInstanceError, match="rows"):
        step().rows = 3  # type: ignore[misc]


def test_nothing_is_changed_after_it_was_made() -> None:
    """Fields can be neither set nor deleted; what is cached may be."""
    ours = Ours(2)
    with pytest.raises(FrozenInstanceError, match="rows"):
        ours.rows = 3  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="name"):
        del ours.name
    assert (ours.doubled, ours.rows, ours.name) == (4, 2, "h")
    assert Ours(1).steps is not Ours(1).steps


def test_equality_can_be_left_to_identity() -> None:
    """With `eq=False` two of equal fields differ, and each can be a key."""
    one, other = ByIdentity(1), ByIdentity(1)
    assert one != other
    assert len({one, other}) == 2


def test_a_subclass_has_its_own_fields_and_check() -> None:
    """Inherited fields come first, one for keywords alone stays so, and `__post_init__` is called."""
    assert Wider(1, units=2) == Wider(rows=1, units=2)
    assert [f.name for f in fields(Wider)] == ["rows", "name", "steps", "units"]
    with pytest.raises(TypeError):
        Wider(1, "h", [], 2)  # type: ignore[misc]
    with pytest.raises(ValueError, match="units 0"):
        Wider(1, units=0)


def test_its_signature_is_known() -> None:
    """Help and editors see the fields."""
    ours, pythons = inspect.signature(Ours), inspect.signature(Pythons)
    assert list(ours.parameters) == list(pythons.parameters)
    assert ours.parameters["name"].default == "h"
    assert ours.parameters["rows"].default is inspect.Parameter.empty


def test_fields_are_gathered_once_however_many_ask() -> None:
    """Threads that make the first objects of a class at once all see its fields, and a subclass those of both."""

    @frozen
    class Step:
        row: int
        units: list[int] = field(default_factory=list)

    class Later(Step):
        """No dataclass itself."""

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(Step, range(64)))
    assert [(step.row, step.units) for step in made] == [(row, []) for row in range(64)]
    assert [f.name for f in fields(Later)] == [f.name for f in fields(Step)] == ["row", "units"]
    assert is_dataclass(Later)
    assert Later(3) == Later(3)
