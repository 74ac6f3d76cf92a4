"""Processor time as on the machine on which the goals were set: a bound in seconds means little without one."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

# Seconds of `_work` there. From 0.027 on a machine on which the whole suite takes 1.6 times as long as it took there.
REFERENCE = 0.017


def _work() -> int:
    """A little of what a judgement is made of: Python's own objects, small arrays, products."""
    rng, steps = np.random.default_rng(0), 0
    small, square = rng.normal(size=(8, 8, 8)), rng.normal(size=(256, 256))
    for _ in range(1500):
        listed = {number: str(number) for number in range(20)}
        steps += len([name for name in listed.values() if name.endswith("1")])
        steps += int((np.abs(small - small[::-1]).max(axis=-1) > 1).any())
    for _ in range(10):
        square = square @ square
        square /= np.abs(square).max()
    return steps


def _seconds(action: Callable[[], object]) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


def pace() -> float:
    """How many times as long as there work takes here and now: at least 1, so that no bound is tighter elsewhere."""
    return max(1.0, min(_seconds(_work) for _ in range(3)) / REFERENCE)


def seconds_of(action: Callable[[], object], times: int = 2) -> float:
    """Processor seconds of `action`, the least of so many times, as it would take on that machine."""
    return min(_paced(action) for _ in range(times))


def _paced(action: Callable[[], object]) -> float:
    """One time of `action`, by the machine's pace before and after it: what works beside it comes and goes."""
    before = pace()
    seconds = _seconds(action)
    return seconds / ((before + pace()) / 2)
