"""What may come up at any time: Ctrl-C, a mapped file that has become shorter, a library's warnings."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rnninspect.cli.exit_codes import UNJUDGED

SHORTENED = b"rnninspect: %b became shorter while it was read: compare it when it is written whole\n"


@contextmanager
def without_warnings() -> Iterator[None]:
    """Let no library warn on stderr within the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


_interrupts: list[int] = []
_kept: list[Any] = []  # what C calls must not be collected


def note_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, as ever, and be remembered: a library that is being imported may turn it into
    an error of another kind."""

    def interrupted(number: int, frame: Any) -> None:
        _interrupts.append(number)
        raise KeyboardInterrupt

    with suppress(ValueError):  # not in the main thread
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupted)


def was_interrupted() -> bool:
    """Whether Ctrl-C came since this process began."""
    return bool(_interrupts)


def ignore_interrupts() -> None:
    """After the result: nothing is left to interrupt."""
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def survive_shortened_files() -> None:
    """Let SIGBUS, by which the system says that a mapped byte is no longer there, end this process in one line.

    A handler of Python's own never runs: the fault comes again before it could. One that C calls runs at once.
    """
    if _kept or not hasattr(signal, "SIGBUS") or signal.getsignal(signal.SIGBUS) is not signal.SIG_DFL:
        return
    import ctypes

    from rnninspect.formats.witness import shortened as file_shortened

    def shortened(number: int) -> None:
        with suppress(Exception):
            os.write(2, SHORTENED % os.fsencode(file_shortened() or "a file"))
        os._exit(UNJUDGED)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(shortened)
    _kept.append(handler)
    ctypes.CDLL(None).signal(int(signal.SIGBUS), handler)
