"""Faults of a rule's own: they are put among what was not checked, and lose nothing that other rules tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rnninspect.core.finding import FAILED, NotChecked
from rnninspect.errors import UserError


@contextmanager
def skipping_faults(name: str, skipped: list[NotChecked]) -> Iterator[None]:
    """A fault of one rule loses nothing that the others found: it is put among the rules that were skipped."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as bug:
        skipped.append(_failed(name, bug))


def _failed(name: str, bug: Exception) -> NotChecked:
    """A rule's own fault; its traceback goes to the log."""
    import logging

    logging.getLogger("rnninspect").debug("rule %s failed", name, exc_info=bug)
    shown = (str(bug).splitlines() or [""])[0][:200]
    return NotChecked(name, f"{FAILED}{type(bug).__name__}{': ' if shown else ''}{shown} (please report this)")
