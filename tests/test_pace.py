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
