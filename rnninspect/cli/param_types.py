"""The kinds of values that options take: what each refuses, and what a shell may complete it to."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from rnninspect.errors import did_you_mean

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    Choice = click.Choice[str]
else:
    Choice = click.Choice  # click 8.1 has no parameter there


class Text(click.types.StringParamType):
    """A name or a file: anything but nothing, for an empty shell variable is a mistake."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; name a file or a member", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class Member(Text):
    """A member of the dump that the line has named already, or a file."""

    name = "member"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from rnninspect.errors import UserError
        from rnninspect.formats import read_arrays

        members: list[str] = []
        for word in ctx.args:  # of a line without its end, click has sorted out the options alone
            with contextlib.suppress(UserError):
                members += read_arrays(word).arrays if os.path.isfile(word) else ()
        items = [CompletionItem(name) for name in members if name and name.startswith(incomplete)]
        return items or super().shell_complete(ctx, param, incomplete)


class Known(Text):
    """One of the names that `names` gives, or several with commas; what is unknown is refused where it is used."""

    name = "name"

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self.names = names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value, in the case of the known names."""
        text = super().convert(value, param, ctx)
        if not isinstance(text, str) or text == text.lower():
            return text
        by_lower = {name.lower(): name for name in self.names()}
        return ",".join(by_lower.get(part.strip().lower(), part) for part in text.split(","))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(f"{before}{comma}{name}") for name in self.names() if name.startswith(last)]


class Number(click.FloatRange):
    """A finite number; NaN lies in no range, but compares as if it lay in each."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number

    def _describe_range(self) -> str:
        """The range in the help; nothing where every number will do."""
        return "" if self.min is None and self.max is None else super()._describe_range()


class Numbers(click.types.StringParamType):
    """Finite numbers with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        return [Number().convert(part, param, ctx) for part in parts]


class Count(click.IntRange):
    """A whole number in a range."""

    name = "whole number"


class Words(Choice):
    """One of a few words, in any case; what is nearly one is proposed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word; what is none is refused with the words that there are, and those that may have been meant."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            names = [str(name) for name in self.choices]
            near = did_you_mean(str(value), names)
            self.fail(f"{str(value)!r} is not one of {', '.join(map(repr, names))}{near}", param, ctx)


def one_of(*names: str) -> Choice:
    """One of these names, in any case."""
    return Words(names, case_sensitive=False)


class OneOf(Words):
    """One of the names that `names` gives; it is asked when a value is checked or the help is shown, not before."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self.names = names
        self.case_sensitive = False

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.names())


def _cells() -> Iterable[str]:
    from rnninspect.engine.cells import cells

    return cells()


def _rules() -> Iterable[str]:
    from rnninspect.diagnosis.rules import rules

    return rules()


def _mistakes() -> Iterable[str]:
    from rnninspect.invariance.probes import findings

    return [*_rules(), *findings()]


def _probes() -> Iterable[str]:
    from rnninspect.invariance.probes import probes

    return probes()


def _explained() -> Iterable[str]:
    from rnninspect.report.glossary import FINDINGS, WORDS

    return [*_mistakes(), *(word.name for word in (*FINDINGS, *WORDS))]


def _conventions() -> Iterable[str]:
    from rnninspect.conventions import conventions

    return conventions()


def _renderers() -> Iterable[str]:
    from rnninspect.report.renderers import renderers

    return [name for name, _ in renderers()]


TEXT, MEMBER, POSITIVE = Text(), Member(), Number(0, min_open=True)
CELL = OneOf(_cells)
EXPLAINED = Known(_explained)
RULE, CONVENTION, FORMAT = Known(_rules), Known(_conventions), Known(_renderers)
MISTAKE, PROBE = Known(_mistakes), Known(_probes)
