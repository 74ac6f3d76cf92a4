"""Lengths and masks that shape and value alone suggest, under a name that says nothing of either: labels, ratings and
places reach T as well, so that numbers must show them before a state is judged by them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from rnninspect.conventions.dumps.inverted import PADDING_NAME
from rnninspect.conventions.dumps.misfits import by_row
from rnninspect.conventions.dumps.names import is_usual
from rnninspect.conventions.dumps.roles import Guess, taken_by
from rnninspect.core.evidence import Role, Slot
from rnninspect.measure.choose_reading import Choice
from rnninspect.measure.choose_roles import R
from rnninspect.measure.facts import TrackFacts, of_other_rows
from rnninspect.measure.run_ends import stops_of_outputs


def read_as_shown(guess: Guess, named: Mapping[Role, Slot], read: Callable[[Guess], R]) -> R:
    """The guess, `read`; without lengths, or a mask, that neither the user nor a name tells and no number shows."""
    candidate = read(guess)
    slot = _untold(guess, named)
    if slot is None or _are_shown(candidate.choice, candidate.slots):
        return candidate
    notes = tuple(note for note in guess.notes if note != taken_by(slot, "shape"))
    return read(replace(guess, slots=tuple(s for s in guess.slots if s is not slot), notes=notes))


def _untold(guess: Guess, named: Mapping[Role, Slot]) -> Slot | None:
    """The lengths or the mask of the guess that its shape alone suggests."""
    for slot in guess.slots:
        if slot.role not in ("lengths", "mask") or slot.role in named or is_usual(slot.role, slot.name):
            continue
        if taken_by(slot, "shape") in guess.notes and not re.fullmatch(PADDING_NAME, slot.name):
            return slot
    return None


def _are_shown(choice: Choice, slots: tuple[Slot, ...]) -> bool:
    """Whether outputs, states or inputs show the lengths that were read: outputs stop there in every row, or inputs do,
    or the states are the steps that they expect, in this order of the rows or another."""
    facts, trace = choice.measured or (), choice.reading.trace
    if not trace.knows_padding:
        return False
    moved = [of_other_rows(trace, f.track) for f in facts]
    return _end_states(facts) or (any(moved) and all(moved)) or _end_outputs(facts) or _end_inputs(choice, slots)


def _end_states(facts: tuple[TrackFacts, ...]) -> bool:
    """Whether every state is the step that is expected, some telling, or was never written, whatever lengths are."""
    told = [f for f in facts if f.expected_known]
    wrong = [f.mismatched & ~(f.final_zero & ~f.equal.any(1)) for f in told]
    return not any(rows.any() for rows in wrong) and any((~f.uninformative).any() for f in told)


def _end_outputs(facts: tuple[TrackFacts, ...]) -> bool:
    stops = stops_of_outputs(facts) if facts else None
    return stops is not None and np.array_equal(stops, facts[0].ends)


def _end_inputs(choice: Choice, slots: tuple[Slot, ...]) -> bool:
    """Whether the inputs are zero where the mask `[B, T]` is false, and nowhere else."""
    inputs = next((slot.array for slot in slots if slot.role == "inputs" and slot.array.ndim == 3), None)
    array = None if inputs is None else by_row(inputs, choice.reading)
    if array is None:
        return False
    mask = choice.reading.trace.mask
    real = np.asarray((array[:, : mask.shape[1]] != 0).any(-1))
    return np.array_equal(real, mask) and not mask.all()
