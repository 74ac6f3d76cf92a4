"""What a run of a Keras model may change, kept: carried states, plain attributes."""

from __future__ import annotations

from typing import Any


def plain_attributes(layer: Any) -> dict[str, Any]:
    """The attributes of a layer that are no objects: flags, counters, names."""
    kinds = (bool, int, float, str, type(None))
    return {name: held for name, held in layer.__dict__.items() if isinstance(held, kinds)}


def flat_states(states: Any) -> list[Any]:
    """The variables of a stateful layer, however nested."""
    if isinstance(states, (list, tuple)):
        return [one for inner in states for one in flat_states(inner)]
    return [states] if hasattr(states, "assign") else []
