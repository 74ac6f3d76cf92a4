"""The two states of a projected LSTM under each other's names: c is wider than h there, which tells which is which."""

from __future__ import annotations

from dataclasses import replace

from rnninspect.conventions.dumps.shapes import fits_as_state
from rnninspect.conventions.dumps.unpacking import holds_steps
from rnninspect.core.evidence import Reading, Slot

EXCHANGED = "h and c"  # what the note on the trace is about


def exchanged(slots: tuple[Slot, ...]) -> tuple[Slot, ...]:
    """The slots with h and c exchanged, where each h is wider than its c and alike in all other axes, and some c holds
    steps of the outputs; else empty.

    A projection makes h narrower than c, never wider.
    """
    states, cells = ([s for s in slots if s.role == role] for role in ("h", "c"))
    if not states or len(states) != len(cells):
        return ()
    turned: dict[int, Slot] = {}
    for h, c in zip(states, cells, strict=True):
        same_place = (h.layer, h.direction) == (c.layer, c.direction)
        if not same_place or h.array.shape[:-1] != c.array.shape[:-1] or h.array.shape[-1:] <= c.array.shape[-1:]:
            return ()
        turned |= {id(h): replace(c, role="h"), id(c): replace(h, role="c")}
    outputs = [s.array for s in slots if s.role == "outputs" and s.array.ndim == 3]
    if not any(holds_steps(c.array, array) for c in cells for array in outputs if fits_as_state(c.array, array)):
        return ()
    return tuple(turned.get(id(slot), slot) for slot in slots)


def as_exchanged(reading: Reading, slots: tuple[Slot, ...], read: tuple[Slot, ...]) -> Reading:
    """The reading, which says so where it took the h of `slots` for c and their c for h, as those `read` have it."""
    h, taken = (next(s for s in some if s.role == "h") for some in (slots, read))
    if taken.array is h.array or not any(taken.array is slot.array for slot in slots if slot.role == "c"):
        return reading
    wide, narrow = (f"{slot.name} {list(slot.array.shape)}" for slot in (h, taken))
    told = f"{wide} is wider than a step of the outputs, and {narrow} is not: they are read as c and h"
    trace = replace(reading.trace, source={**reading.trace.source, EXCHANGED: told})
    return replace(reading, trace=trace)
