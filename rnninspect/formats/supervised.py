"""Work that may never end, or end this process: done in a process of its own, which is watched and can be ended.

HDF5's library loops for ever on some damaged files, and takes others to its grave; no thread or signal of Python's runs
meanwhile. A fork costs a few milliseconds. Where there is none (Windows), the work is done here, without a limit.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rnninspect.core.wording import argument
from rnninspect.errors import UnreadableError
from rnninspect.formats.base import guarded
from rnninspect.formats.limits import limits

BLOCK = 1 << 20
RATE = 20 << 20  # bytes a second that a reader manages at least
LENGTH = 8  # bytes that say how long a message is
CPU_SECONDS = 300  # after which a worker ends whose parent was killed and cannot end it


@dataclass(frozen=True)
class Ahead:
    """So many bytes are read next: no sign of life for as long as that takes."""

    size: int


@dataclass(frozen=True)
class _Failure:
    message: str


def supervised(work: Callable[[], Iterator[Any]], name: str) -> Iterator[Any]:
    """What `work` yields, but for each `Ahead`; it must be picklable.

    Raises UnreadableError, which names the file `name`, for whatever goes wrong in the worker, where that ends without
    a word, and where it gives no sign of life for `limits().seconds`.
    """
    if not hasattr(os, "fork"):
        with guarded(name):
            yield from (item for item in work() if not isinstance(item, Ahead))
        return
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python 3.12 where this process has threads, which the worker leaves alone
        worker = os.fork()
    if not worker:
        _work(work, name, reading, writing)
    os.close(writing)
    try:
        for item in _received(reading, name):
            if isinstance(item, _Failure):
                raise UnreadableError(item.message)
            yield item
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(worker, 0)


def _received(pipe: int, name: str) -> Iterator[Any]:
    """The worker's messages until it says that it is done: None."""
    extra = 0.0
    while True:
        size = int.from_bytes(_taken(pipe, LENGTH, name, extra), "little")
        item = pickle.loads(_taken(pipe, size, name, 0))
        extra = item.size / RATE if isinstance(item, Ahead) else 0
        if item is None:
            return
        if not isinstance(item, Ahead):
            yield item


def _taken(pipe: int, count: int, name: str, extra: float) -> bytes:
    taken = bytearray()
    while len(taken) < count:
        seconds = limits().seconds + extra
        if not _is_readable(pipe, seconds):
            longer = argument("allow", f"seconds={10 * limits().seconds}")
            raise UnreadableError(
                f"{name}: it kept its reader busy for {seconds:.0f} s without an answer: it is damaged, or the disk is "
                f"slow; save it again, or wait longer with {longer}"
            )
        block = os.read(pipe, min(BLOCK, count - len(taken)))
        if not block:
            raise UnreadableError(f"{name}: it ended the process that read it: it is damaged; save it again")
        taken += block
    return bytes(taken)


def _is_readable(pipe: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if poll.poll(1000 * left):
            return True
    return False


def _work(work: Callable[[], Iterator[Any]], name: str, reading: int, writing: int) -> None:
    """The worker's whole life."""
    code = 1
    try:
        os.close(reading)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits
        _confine()
        try:
            with guarded(name):
                for item in work():
                    _send(writing, item)
            _send(writing, None)
        except UnreadableError as error:
            _send(writing, _Failure(error.message))
        code = 0
    finally:
        os._exit(code)


def _confine() -> None:
    """What a library says as it dies is nobody's to read, and a worker that nobody waits for comes to an end."""
    import resource

    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def _send(pipe: int, item: Any) -> None:
    raw = pickle.dumps(item, protocol=pickle.HIGHEST_PROTOCOL)
    left = memoryview(len(raw).to_bytes(LENGTH, "little") + raw)
    while left:
        left = left[os.write(pipe, left) :]
