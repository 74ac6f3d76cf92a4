"""A Dask cluster that loses all its workers: others are begun where that can be, and nobody waits without end."""

from __future__ import annotations

import time
from logging import CRITICAL

import pytest

from rnninspect.api.parallel.cluster import Cluster
from rnninspect.errors import UserError


def echo(item: str) -> str:
    """Takes a moment."""
    time.sleep(0.1)
    return item


@pytest.mark.long
def test_a_cluster_that_dropped_all_its_workers_gets_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask drops a local worker that takes too long to start again, as on a busy machine: new ones come."""
    pytest.importorskip("distributed")
    psutil = pytest.importorskip("psutil")
    for name, seconds in {"LOOK": 0.5, "AGAIN": 6, "BACK": 0.01}.items():
        monkeypatch.setattr(f"rnninspect.api.parallel.cluster.{name}", seconds)
    outcomes = []
    with Cluster("local", 1) as cluster:
        for outcome in cluster.outcomes(echo, [str(i) for i in range(6)]):
            outcomes.append(outcome)
            if len(outcomes) == 2:
                begun = psutil.Process().children(recursive=True)
                (worker,) = (process for process in begun if "spawn_main" in " ".join(process.cmdline()))
                worker.kill()
    assert outcomes == [str(i) for i in range(6)]


def test_a_cluster_without_workers_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the last worker has left, one line says so."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("rnninspect.api.parallel.cluster.LOOK", 0.2)
    with (
        distributed.LocalCluster(
            n_workers=1, processes=False, dashboard_address="127.0.0.1:0", silence_logs=CRITICAL
        ) as theirs,
        Cluster(theirs.scheduler_address, 1) as cluster,
    ):
        assert list(cluster.outcomes(echo, ["a"])) == ["a"]
        theirs.sync(theirs.scale_down, list(theirs.worker_spec))
        monkeypatch.setattr("rnninspect.api.parallel.cluster.LEFT", 1)
        with pytest.raises(UserError, match="no worker has been left in it for 1 s"):
            list(cluster.outcomes(echo, ["a"]))
