"""Many items, one task: on this machine's processes, or on a Dask cluster (`cluster`). Outcomes come in their order.

Nothing here knows what the task does, or what the items are. Both engines keep a few items ahead of the one that is
waited for, so that outcomes that come early never pile up, and both go on when a worker dies: its items are done again
by others, and an item that ends every worker it meets is given back as `WorkerCrashed`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process, resource_tracker
from typing import Any, Protocol, TypeVar

from rnninspect.formats.limits import Limits, limited, limits

AHEAD = 2  # items a worker: one that it works on, one that waits for it
LOST = "the process that read it ended without a word (out of memory, or the file became shorter meanwhile)"

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class WorkerCrashed:
    """Stands for the outcome of an item that ended its worker."""

    item: Any
    reason: str


class Engine(Protocol):
    """Does a task on many items, any number of times, until it is left."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *_: object) -> None: ...

    def outcomes(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result | WorkerCrashed]:
        """What `task` gives for each of the items, in their order, each as soon as it is its turn.

        `task`, the items and what it gives must be picklable; what it raises is raised here.
        """


class Processes:
    """This machine's own processes. With one job a fork of this one, so that an item which ends it ends no other; this
    very process where a fork might hang (see `_can_fork`), or where there is one item alone."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to end: each call of `outcomes` ends its own processes."""

    def outcomes(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result | WorkerCrashed]:
        """See `Engine.outcomes`; a process that dies costs the item that it had, and no other."""
        if self.jobs == 1 and (len(items) < 2 or not _can_fork()):
            yield from map(task, items)
            return
        confined = Confined(task, limits())
        waiting = deque(items)
        while waiting:
            begun: deque[tuple[Item, Any]] = deque()
            with _pool(self.jobs) as pool, suppress(BrokenProcessPool):
                yield from in_order(partial(_submitted, pool, self.jobs), confined, waiting, begun, AHEAD * self.jobs)
            for item, future in begun:
                yield _alone(confined, item, future)


@dataclass(frozen=True)
class Confined:
    """A task in another process, under the limits of this one; no library warns there, since stderr is the user's."""

    task: Callable[[Any], Any]
    limits: Limits

    def __call__(self, item: Any) -> Any:
        with warnings.catch_warnings(), limited(**vars(self.limits)):
            warnings.simplefilter("ignore")
            return self.task(item)


def _can_fork() -> bool:
    """Whether a fork of this process may go on with any work: on Linux, unless torch's threads may be at work in it."""
    return sys.platform == "linux" and "torch" not in sys.modules


def in_order(
    submit: Callable[..., Any],
    task: Callable[[Item], Result],
    waiting: deque[Item],
    begun: deque[tuple[Item, Any]],
    ahead: int,
) -> Iterator[Result]:
    """Results in order. Items move from `waiting` to `begun`, and out of there when their result was given."""
    while waiting or begun:
        while waiting and len(begun) < ahead:
            future = submit(task, waiting[0])
            begun.append((waiting.popleft(), future))
        result = begun[0][1].result()
        begun.popleft()
        yield result


def _alone(task: Callable[[Item], Result], item: Item, future: Future[Result]) -> Result | WorkerCrashed:
    """The result of an item that was begun when a worker died: one of these was the reason, and it will die again."""
    if future.done() and future.exception() is None:
        return future.result()
    with _pool(1) as pool:
        try:
            return _submitted(pool, 1, task, item).result()
        except BrokenProcessPool:
            return WorkerCrashed(item, LOST)


def _submitted(pool: ProcessPoolExecutor, jobs: int, task: Callable[[Item], Result], item: Item) -> Future[Result]:
    """The task, under way. The process that this may start keeps Ctrl-C away until its own `_follow` ran."""
    all_begun = len(pool._processes or ()) == jobs  # then none is begun any more, and to hold Ctrl-C costs a wake-up
    with nullcontext() if all_begun else interrupts_held():
        return pool.submit(task, item)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C away from this thread until the block's end, and for ever from the threads and processes that are
    begun within it: a worker that is interrupted, even while it imports, would say so on stderr."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # else it is begun within the block, and lets Ctrl-C in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _pool:
    """A pool of processes that is left at once, whatever is still under way in it."""

    def __init__(self, jobs: int) -> None:
        # Several are spawned, not forked: a fork of a process whose libraries have threads may hang.
        begun = "fork" if jobs == 1 and _can_fork() else "spawn"
        self.pool = ProcessPoolExecutor(jobs, mp_context=get_context(begun), initializer=_follow)

    def __enter__(self) -> ProcessPoolExecutor:
        return self.pool

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        workers = list((self.pool._processes or {}).values()) if kind else []
        for worker in workers:  # after an interruption nobody waits for what is under way
            worker.terminate()
        # Waited for, which takes no time then: a pool that still closes when the process ends may say so on stderr.
        self.pool.shutdown(cancel_futures=True)


def _follow() -> None:
    """Ctrl-C is for the process that waits, which ends the others; and where it was killed itself, they end too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGBUS"):
        signal.signal(signal.SIGBUS, signal.SIG_DFL)  # a fork would say so on stderr, which is the user's
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # nobody is left to hear of what is under way
