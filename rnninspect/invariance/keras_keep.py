"""What a run of a Keras model may change, kept: carried states, plain attributes, random numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np


def plain_attributes(layer: Any) -> dict[str, Any]:
    """The attributes of a layer that are no objects: flags, counters, names."""
    kinds = (bool, int, float, str, type(None))
    return {name: held for name, held in layer.__dict__.items() if isinstance(held, kinds)}


def flat_states(states: Any) -> list[Any]:
    """The variables of a stateful layer, however nested."""
    if isinstance(states, (list, tuple)):
        return [one for inner in states for one in flat_states(inner)]
    return [states] if hasattr(states, "assign") else []


@contextmanager
def random_numbers_kept() -> Iterator[None]:
    """Give back Python's, numpy's and torch's random numbers."""
    import keras  # type: ignore[import-not-found, import-untyped, unused-ignore]

    python, numpy = random.getstate(), np.random.get_state()
    with ExitStack() as stack:
        if keras.backend.backend() == "torch":
            import torch

            stack.enter_context(torch.random.fork_rng())
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
