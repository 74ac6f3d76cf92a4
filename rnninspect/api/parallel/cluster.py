"""A Dask cluster as an engine of `workers`: one of this machine, or whichever answers at an address."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from logging import CRITICAL
from tempfile import TemporaryDirectory
from typing import Any

from rnninspect._version import __version__
from rnninspect.api.parallel.workers import (
    AHEAD,
    LOST,
    Confined,
    Item,
    Result,
    WorkerCrashed,
    in_order,
    interrupts_held,
)
from rnninspect.core.wording import argument
from rnninspect.errors import UserError
from rnninspect.formats.base import need
from rnninspect.formats.limits import limits

SECONDS = 10  # to wait for a scheduler to answer
PATIENCE = 60  # seconds to wait for a first worker
LEFT = 120  # seconds to wait for another one, where none is left
LOOK = 5  # seconds to wait for a result before the workers are counted
BACK = 60  # seconds that a dead worker of this machine may take to start again (Dask's own 15 are few on a busy one)
AGAIN = 25  # seconds without any worker, after which a cluster of this machine gets new ones


class Cluster:
    """A Dask cluster (extra `cluster`): the scheduler at `address`, or one of this machine for `local`.

    It is met when there is something to do, and left with the `with` block. A worker that dies has its tasks run again
    elsewhere by Dask; after several deaths the item is given up. A cluster of this machine starts a dead worker again,
    unless that takes too long: without any worker, Dask itself would wait without end.
    """

    def __init__(self, address: str, jobs: int) -> None:
        self.address, self.jobs = address, jobs
        self.stack = ExitStack()
        self.local: Any = None
        self.bare = 0.0  # seconds for which no worker has been seen

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    @cached_property
    def client(self) -> Any:
        """The connection to the scheduler; UserError where none answers, or where its workers cannot do this work."""
        dask = need("distributed", argument("scheduler"), "cluster")
        where: Any = self.address
        if where == "local":
            scratch = self.stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
            workers = {"n_workers": self.jobs, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
            config = need("dask.config", argument("scheduler"), "cluster")
            lost = {"distributed.deploy.lost-worker-timeout": f"{BACK} s"}
            self.stack.enter_context(config.set({"temporary-directory": scratch, **lost}))
            with interrupts_held():
                self.local = dask.LocalCluster(**workers, silence_logs=CRITICAL)
            where = self.stack.enter_context(self.local)
        try:
            with interrupts_held():
                client = self.stack.enter_context(dask.Client(where, timeout=SECONDS))
        except (OSError, ValueError) as error:
            raise UserError(f"{argument('scheduler', self.address)}: no scheduler answers there ({error})") from None
        self._meet(dask, client)
        return client

    def _meet(self, dask: Any, client: Any) -> None:
        """A first task, for which a cluster that grows by need gets its first worker: is there one, of this version?"""
        first = client.submit(_version, pure=False)
        try:
            dask.wait([first], timeout=PATIENCE)
        except TimeoutError:
            if not client.nthreads():  # else they are busy with other work
                raise UserError(
                    f"{argument('scheduler', self.address)}: no worker has joined it in {PATIENCE} s"
                ) from None
        try:
            version = first.result()
        except Exception:  # whatever a scheduler or a worker without this package makes of it
            version = "none"
        if version != __version__:
            raise UserError(
                f"{argument('scheduler', self.address)}: its machines need rnninspect {__version__}, and have {version}"
                "; install it for the scheduler and for every worker"
            )

    def outcomes(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result | WorkerCrashed]:
        """See `Engine.outcomes`; what a lost worker had is tried on others, as Dask allows."""
        client = self.client
        threads = max(1, sum(client.nthreads().values()))

        def submit(task: Callable[[Item], Result], item: Item) -> _OnCluster:
            return _OnCluster(self, item, client.submit(task, item, pure=False))

        confined = Confined(task, limits())
        yield from in_order(submit, confined, deque(items), deque(), AHEAD * threads)

    def expect_workers(self) -> None:
        """Begin workers anew where a local cluster has lost all; UserError where a cluster is without any for long.

        It is called each `LOOK` seconds in which no result came.
        """
        self.bare = 0.0 if self.client.nthreads() else self.bare + LOOK
        if self.bare > LEFT:
            raise UserError(f"{argument('scheduler', self.address)}: no worker has been left in it for {LEFT} s")
        if self.local is not None and self.bare and self.bare % AGAIN < LOOK:
            with interrupts_held():
                self.local.sync(self.local.scale_down, list(self.local.worker_spec))
                self.local.scale(self.jobs)


def _version() -> str:
    return __version__


@dataclass(frozen=True)
class _OnCluster:
    """A future of Dask whose result is `WorkerCrashed` where the item ended every worker that it met."""

    cluster: Cluster
    item: Any
    future: Any

    def result(self) -> Any:
        from distributed import KilledWorker

        try:
            return self._awaited()
        except KilledWorker:
            return WorkerCrashed(self.item, LOST)
        finally:
            self.future.release()

    def _awaited(self) -> Any:
        """The result, however long it takes as long as there are workers."""
        while True:
            try:
                return self.future.result(timeout=LOOK)
            except TimeoutError:
                if self.future.done():  # the task's own, or a result that came in this moment
                    return self.future.result()
                self.cluster.expect_workers()
