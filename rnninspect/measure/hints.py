"""What arrays, and what was measured of them, say of the framework."""

from __future__ import annotations

from dataclasses import replace

from rnninspect.conventions.dumps.frameworks import Hints
from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import PaddingPolicy
from rnninspect.measure.choose_reading import Choice
from rnninspect.measure.choose_roles import CONVINCING

_POLICIES: dict[str, PaddingPolicy] = {"zero": "zero", "repeat": "repeat", "computed": "computed"}


def with_shapes(hints: Hints, slots: tuple[Slot, ...]) -> Hints:
    """The hints, and what the shapes of arrays with a role say."""
    outputs = [s for s in slots if s.role == "outputs"]
    states = [s for s in slots if s.role == "h"]
    alone = len(states) == 1 and states[0].layer is None and states[0].direction is None
    stacked = (alone and states[0].array.ndim == 3) if states else None
    return replace(
        hints,
        stacked=stacked,
        state=f"{states[0].short or 'state'} {'(L D) B H' if stacked else 'B H'}" if states else "",
        four_axes=any(s.array.ndim == 4 for s in outputs),
    )


def with_measured(hints: Hints, choice: Choice, config: LayerConfig) -> Hints:
    """The hints, and what was measured in the reading that was chosen; `config`: the layer as it was read."""
    reading = choice.reading
    axes_known = config.axes_stated or config.time_major
    usual = None if axes_known or reading.time_swapped else reading.time_major
    return replace(hints, time_major=usual, padding=_padding(choice), bidirectional=reading.trace.directions == 2)


def _padding(choice: Choice) -> PaddingPolicy | None:
    """What masked outputs hold, where most states are right: the padding of a mistaken run is no evidence."""
    if not choice.reading.trace.knows_padding or not choice.measured:
        return None
    classes: list[str] = []
    for facts in choice.measured:
        if facts.mismatched.mean() > 1 - CONVINCING:
            return None
        classes += [p for p, end in zip(facts.padding, facts.ends, strict=True) if end and p in _POLICIES]
    if not classes or len(set(classes)) > 1:
        return None
    return _POLICIES[classes[0]]
