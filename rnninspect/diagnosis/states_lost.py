"""Two mistakes of which one lost states: one was copied over the others, or a half was left out.

What is lost is taken for zeros, and each other mistake undone: named is the one that leaves every state that is not
zero where its row ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.cover import mismatched_places
from rnninspect.diagnosis.rule import Place, Proposal, Rule
from rnninspect.diagnosis.two_causes import TELLING, is_too_large


@frozen(eq=False)
class _Lost:
    """The mistake that lost states, what it explains of those that are off, and the case with zeros for them."""

    cause: Proposal
    case: Case


def cause_beside_lost(case: Case, causes: Sequence[Proposal], rules: Mapping[str, Rule]) -> list[Proposal]:
    """The mistake that lost states, of `causes` or of a half that is not there, and the one that explains all that is
    left; empty where there is none, or nothing was lost."""
    if is_too_large(case):
        return []
    for lost in (*_copied(case, causes), *_left_out(case)):
        spared = {lost.cause.rule, *lost.cause.alternatives}
        for rule in (r for r in rules.values() if not r.compares and "weights" not in r.needs and r.name not in spared):
            for undone in rule.undo(lost.case):
                if _is_right(undone.case) and _tells(lost.case, undone.case):
                    left = mismatched_places(case) - (lost.cause.places if lost.cause.kind == "state" else frozenset())
                    message = f"{{rows}}: with {undone.how}, the states that {lost.cause.rule} left are right"
                    return [lost.cause, Proposal(rule.name, message, left, rule.severity, strength=1)]
    return []


def _copied(case: Case, causes: Sequence[Proposal]) -> Iterator[_Lost]:
    """Each group of states that may be the one that was copied over the others, where all of them are off."""
    for p in causes:
        for original in p.copies if p.copies and all(p.copies) else ():
            copied = p.places - original
            yield _Lost(replace(p, places=copied, copies=()), _with_zeros(case, copied))


def _left_out(case: Case) -> Iterator[_Lost]:
    """The half of the top layer's states that is not there."""
    top = [t for t in case.trace.tracks if t.layer == case.trace.layers - 1]
    there = [t for t in top if t.final is not None]
    if len(top) != 2 or len(there) != 1:
        return
    final = there[0].final
    filled = case.with_tracks(lambda t: replace(t, final=np.zeros_like(final)) if t in top and t.final is None else t)
    missing = next(t.direction for t in top if t.final is None)
    message = f"the outputs hold two directions, final_state.h of the top layer one half: the {missing} one is missing"
    places = frozenset((there[0].layer, there[0].direction, b) for b in range(case.trace.batch_size))
    yield _Lost(Proposal("direction-missing", message, places, kind="fact", evidence={"missing": missing}), filled)


def _with_zeros(case: Case, where: frozenset[Place]) -> Case:
    def blanked(track: Track) -> Track:
        rows = [b for layer, direction, b in where if (layer, direction) == (track.layer, track.direction)]
        if not rows or track.final is None:
            return track
        final = track.final.copy()
        final[rows] = 0
        return replace(track, final=final)

    return case.with_tracks(blanked)


def _is_right(case: Case) -> bool:
    """Whether every state that is not zero is where its row ends."""
    return not any((facts.mismatched & ~facts.final_zero).any() for facts in case.facts)


def _tells(lost: Case, undone: Case) -> bool:
    """Whether undoing put right numbers enough, of rows whose steps differ."""
    off = int(sum(np.count_nonzero(f.final[f.mismatched]) for f in lost.facts))
    telling = int(sum(np.count_nonzero(f.final[~f.mismatched & ~f.uniform]) for f in undone.facts))
    right = int(sum(np.count_nonzero(f.final[~f.mismatched & ~f.uniform]) for f in lost.facts))
    return off >= TELLING and telling - right >= TELLING
