"""What a user can mend. Everything else is a bug and keeps its traceback.

A message says what was seen, what was needed and what to do, in one line, and names every bad row or array, not the
first. The command line prints it and exits 2; the library raises it.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from rnninspect.core.wording import argument, worded


class UserError(Exception):
    """An error that the user can correct: its message is one line, and its notes are a list below it.

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


class ModelFailedError(UserError):
    """A live model that raises an error of its own on the batch as it was given."""


class MissingExtraError(UserError):
    """A reader needs a package that is not installed; the message holds the `pip install` line."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}': pip install 'rnninspect[{extra}]'")


# What people call frameworks and formats, and which of ours it may be.
_SYNONYMS = {
    "tensorflow": ("tf1", "keras"),
    "tf": ("tf1", "keras"),
    "tf2": ("keras",),
    "pytorch": ("torch",),
    "jax": ("flax", "haiku"),
    "gluon": ("mxnet",),
    "ort": ("onnx",),
    "onnxruntime": ("onnx",),
    "paddlepaddle": ("paddle",),
    "md": ("markdown",),
    "jsonl": ("ndjson",),
    "htm": ("html",),
    "xml": ("junit",),
    "text": ("table",),
    "txt": ("table",),
}
_MOST = 3  # names that are proposed
_LISTED = 20  # known names that are listed


def nearest(name: str, names: Collection[str]) -> list[str]:
    """The known names that a user may have meant, the likeliest first: in other case, by another word for it, by its
    beginning, misspelt, by a part of it, by a word in it; a few at most.

    >>> nearest("Torch", ["tf1", "torch"]), nearest("jax", ["flax", "haiku", "torch"]), nearest("comp", ["compare"])
    (['torch'], ['flax', 'haiku'], ['compare'])
    """
    import difflib

    word = name.casefold().replace("_", "-").strip()
    by_word = {candidate.casefold().replace("_", "-"): candidate for candidate in names}
    if word in by_word:
        return [by_word[word]]
    synonyms = [synonym for synonym in _SYNONYMS.get(word, ()) if synonym in names]
    begun = [candidate for spelt, candidate in by_word.items() if len(word) > 1 and spelt.startswith(word)]
    close = [by_word[spelt] for spelt in difflib.get_close_matches(word, by_word, n=1)]
    within = [candidate for spelt, candidate in by_word.items() if len(word) > 3 and word in spelt]
    sharing = [candidate for spelt, candidate in by_word.items() if _long_words(word) & _long_words(spelt)]
    return (synonyms or begun or close or within or sharing)[:_MOST]


def _long_words(name: str) -> set[str]:
    """The words of a name with hyphens that say something."""
    return {part for part in name.split("-") if len(part) > 3}


def did_you_mean(name: str, names: Collection[str]) -> str:
    """The question as the end of a sentence; a full stop where no name is near.

    >>> did_you_mean("jax", ["flax", "haiku"]), did_you_mean("x", ["flax"])
    ("; did you mean 'flax' or 'haiku'?", '.')
    """
    proposals = " or ".join(map(repr, nearest(name, names)))
    return f"; did you mean {proposals}?" if proposals else "."


class UnknownNameError(UserError):
    """An unknown option value, rule or member; names the nearest, and lists the known ones if they are few.

    `listed_by`: the commands that list them, which is said where they are many.
    """

    def __init__(self, kind: str, name: str, names: "list[str] | tuple[str, ...]", listed_by: str = "") -> None:
        hint = did_you_mean(name, names)
        listing = f" Known: {', '.join(names) or '(none)'}."
        if len(names) > _LISTED:
            first = f" Known: {', '.join(names[:_LISTED])} and {len(names) - _LISTED} more."
            listing = f" All are listed by {listed_by}." if listed_by else first if hint == "." else ""
        super().__init__(f"unknown {kind} {name!r}{hint}{listing}")


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Let what is raised within of its arrays name the file: a ShapeError or UnreadableError that does not, and running
    out of memory, as a UserError that does; a fault of our own gets a note."""
    try:
        yield
    except (ShapeError, UnreadableError) as error:
        if file in error.message:
            raise
        with about_file(file):
            raise
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{file}: not enough memory: {error or 'its arrays are too large for this machine'}") from None
    except Exception as bug:
        bug.add_note(file)
        raise


@contextmanager
def about_file(file: str) -> Iterator[None]:
    """Put the file before the message of a UserError that is raised within."""
    with _after(file, file):
        yield


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
