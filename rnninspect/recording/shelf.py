"""What a recording keeps: calls up to a limit and a number of bytes, a weight once per version."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Generic, TypeVar

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.recording.base import Wanted

Call = TypeVar("Call")


class Shelf(Generic[Call]):
    """Calls by the layer's name. Arrays are copies; `unseen`: layers that could not be recorded, and why."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.calls: list[Call] = []
        self.unseen: dict[str, str] = {}
        self.skipped: Counter[str] = Counter()
        self.lock = threading.RLock()
        self._bytes = 0
        self._seen: Counter[str] = Counter()
        self._count: Counter[str] = Counter()
        self._weights: dict[str, dict[str, Array]] = {}

    def number(self, name: str) -> int | None:
        """The number of a call of that layer, or None where it is not to be kept."""
        number = self._seen[name]
        self._seen[name] += 1
        limit = self.wanted.limit
        if number % self.wanted.every == 0 and (limit is None or self._count[name] < limit):
            return number
        self.skipped[name] += 1
        return None

    def put(self, name: str, call: Call, size: int) -> None:
        """Keep a call of that many bytes where there is room."""
        if self.wanted.max_bytes is not None and self._bytes + size > self.wanted.max_bytes:
            self.skipped[name] += 1
            return
        self._bytes += size
        self._count[name] += 1
        self.calls.append(call)

    def weights(self, name: str, now: Mapping[str, Array]) -> dict[str, Array]:
        """A copy of the weights as they are now; each the copy before where it has not changed."""
        kept = self._weights.get(name, {})
        new = {key: kept[key] if _same(array, kept.get(key)) else np.array(array) for key, array in now.items()}
        self._bytes += sum(array.nbytes for key, array in new.items() if array is not kept.get(key))
        self._weights[name] = new
        return new


class ShelfSession(Generic[Call]):
    """What every session that keeps its calls on a shelf has in common."""

    def __init__(self, wanted: Wanted) -> None:
        self._shelf: Shelf[Call] = Shelf(wanted)
        self._lengths = wanted.lengths
        self._open = False

    def close(self) -> None:
        """Keep no further calls."""
        self._open = False

    def calls(self) -> tuple[Call, ...]:
        """Every call that was kept, in order."""
        return tuple(self._shelf.calls)

    def skipped(self) -> dict[str, int]:
        """How many further calls were not kept, by the layer's name."""
        return dict(self._shelf.skipped)

    def unseen(self) -> dict[str, str]:
        """Layers that could not be recorded, by name, and why."""
        return dict(self._shelf.unseen)


def _same(array: Array, kept: Array | None) -> bool:
    return kept is not None and array.dtype == kept.dtype and np.array_equal(array, kept)
