"""Bounds in seconds hold the code to account, not the machine."""

from __future__ import annotations

import time

import pytest

from tests.support import pace


def _busy(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_a_slow_machine_is_no_slow_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work counts as much on a machine of half the speed, twice the work twice, and a fast machine shortens nothing."""
    monkeypatch.setattr(pace, "REFERENCE", 0.02)
    for work, taken, expected in ((0.02, 0.05, 0.05), (0.04, 0.1, 0.05), (0.04, 0.2, 0.1), (0.005, 0.05, 0.05)):
        monkeypatch.setattr(pace, "_work", lambda work=work: _busy(work))
        assert pace.seconds_of(lambda taken=taken: _busy(taken)) == pytest.approx(expected, rel=0.2)


def test_a_machine_that_slows_meanwhile_is_no_slow_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pace is taken before the work and after it: three readings each."""
    monkeypatch.setattr(pace, "REFERENCE", 0.01)
    works = iter([0.01] * 3 + [0.03] * 3)
    monkeypatch.setattr(pace, "_work", lambda: _busy(next(works)))
    assert pace.seconds_of(lambda: _busy(0.1), times=1) == pytest.approx(0.05, rel=0.2)
