"""What a user can mend. Everything else is a bug and keeps its traceback.

A message says what was seen, what was needed and what to do, in one line, and names every bad row or array, not the
first. The command line prints it and exits 2; the library raises it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from rnninspect.core.wording import argument, worded


class UserError(Exception):
    """Something the user can mend: the message is one line, written for them; its notes are a list below it.

    `message` names arguments by placeholders (`wording`); as text they are in the words of whoever shows it.
    """

    def __str__(self) -> str:
        return worded(self.message)

    @property
    def message(self) -> str:
        """The message with its placeholders: what another error that goes on with it takes over."""
        return super().__str__()


class UnreadableError(UserError):
    """A file or stream that is missing, damaged, unsafe or of an unknown format."""


class ShapeError(UserError):
    """Arrays whose shapes or dtypes do not fit each other, or the option that describes them."""


class MissingExtraError(UserError):
    """A reader needs a package that is not installed; the message holds the `pip install` line."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}': pip install 'rnninspect[{extra}]'")


class UnknownNameError(UserError):
    """An unknown option value, rule or member; lists the known ones and the nearest."""

    def __init__(self, kind: str, name: str, names: "list[str] | tuple[str, ...]") -> None:
        import difflib

        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        super().__init__(f"unknown {kind} {name!r}{hint} Known: {', '.join(names) or '(none)'}.")


@contextmanager
def about(what: str, value: str) -> Iterator[None]:
    """Put what names a file, and the file, before the message of a UserError that is raised within."""
    with _after(f"{what} {value}", value):
        yield


@contextmanager
def about_argument(name: str, value: str) -> Iterator[None]:
    """`about` an argument by its Python name, which whoever shows the error puts into words."""
    with _after(argument(name, value), value):
        yield


@contextmanager
def _after(head: str, value: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        text = error.message
        named = UserError(head + text[len(value) :] if text.startswith(value) else f"{head}: {text}")
        for line in getattr(error, "__notes__", ()):
            named.add_note(line)
        raise named from None
