"""States that no output tells, c and the h of lower layers, that stand in the place of other layers or directions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnninspect.core.trace import Array, Trace
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.states_of_run import FAR, StatePlace, far_from_run
from rnninspect.diagnosis.evidence.weight_search import agrees, tolerance
from rnninspect.diagnosis.once import once
from rnninspect.diagnosis.rule import Proposal, Rule, listed


@once
def places_in_run(case: Case) -> dict[StatePlace, StatePlace]:
    """The layer, direction and state of the run that each state is, where every one that is far from its own is
    another's, each once; empty where one is none, or the run gives other outputs."""
    if not (case.has("inputs") and case.has("weights")) or case.other is not None or not case.facts:
        return {}
    if any(f.mismatched.any() for f in case.facts) or not agrees(case):
        return {}
    off = list(far_from_run(case))
    sources: dict[StatePlace, StatePlace] = {}
    for place in off:
        alike = [source for source in off if source[2] == place[2] and _is_of_run(case, place, source)]
        if len(alike) != 1:
            return {}
        sources[place] = alike[0]
    return sources if len(set(sources.values())) == len(off) > 1 else {}


def told_by_places(rule: Rule, case: Case, moved: str) -> Iterator[Proposal]:
    """The rule's proposal for such states of which all are `moved`: to another `layer`, or another `direction`."""
    sources = places_in_run(case)
    for name in dict.fromkeys(state for *_, state in sources):
        ours = {place: source for place, source in sources.items() if place[2] == name}
        if not all(_how(place, source, case.trace.layers) == moved for place, source in ours.items()):
            continue
        whose = listed(
            f"{name} of layer {place[0]} {place[1]} is that of layer {source[0]} {source[1]}"
            for place, source in ours.items()
        )
        tracks = [(track.layer, track.direction) for track in case.trace.tracks]
        back = {(layer, way): (place[0], place[1]) for place, (layer, way, _) in ours.items()}
        order = [tracks.index(back.get(track, track)) for track in tracks]  # type: ignore[arg-type]
        array = "states" if name == "h" else "cells"
        rows = np.flatnonzero(case.trace.mask.any(1)).tolist()
        yield Proposal(
            rule.name,
            f"{{rows}}: {whose}, as a run of these weights shows",
            frozenset((layer, way, row) for layer, way, _ in ours for row in rows),
            kind="fact",
            fix=f"{array} = {array}[{order}]  # {name} alone, [L*D, B, H]: each layer's and direction's own",
            evidence={"state": name},
        )


def _how(place: StatePlace, source: StatePlace, layers: int) -> str:
    """What is moved from the one to the other: a `layer`, to where it stands in reverse order, or a `direction`."""
    if place[1] == source[1]:
        return "layer" if place[0] == layers - 1 - source[0] else ""
    return "direction" if place[0] == source[0] else ""


def _is_of_run(case: Case, place: StatePlace, source: StatePlace) -> bool:
    ours, theirs = _state(case.trace, place), _state(case.reference, source)
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return False
    ended = case.trace.mask.any(1)
    return bool((np.abs(ours.astype(np.float64) - theirs)[ended] <= FAR * tolerance(case)).all())


def _state(trace: Trace, place: StatePlace) -> Array | None:
    layer, direction, name = place
    track = next((t for t in trace.tracks if (t.layer, t.direction) == (layer, direction)), None)
    return None if track is None else track.cell if name == "c" else track.final
