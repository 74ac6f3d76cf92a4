"""Outputs of one direction beside weights of two, and the final states of both: a run tells which half they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.api.rounding import allowed_rounding
from rnninspect.conventions.dumps.batch import with_what_weights_say
from rnninspect.conventions.dumps.readings import readings
from rnninspect.core.evidence import Slot
from rnninspect.core.trace import DIRECTIONS, Array, Direction
from rnninspect.diagnosis.case import Case
from rnninspect.errors import ShapeError
from rnninspect.measure.choose_reading import choose_reading


def with_half_of_two(case: Case) -> Case:
    """The case with its outputs as those of one direction, and its states as those of both, where the weights have two
    and a run of them, over the real steps or over all, gives that half; the case itself else."""
    outputs, weights, batch = case.raw("outputs"), case.weights, case.batch
    if outputs is None or outputs.ndim != 3 or batch is None or weights is None or case.raw("h") is None:
        return case
    told = case.config.directions is not None or case.reading.time_swapped or case.reading.state_rows is not None
    if told or len(weights.directions) != 2 or outputs.shape[2] != weights.layers[-1].units:
        return case
    by_row = outputs.swapaxes(0, 1) if case.reading.time_major else outputs
    everywhere = replace(batch, mask=np.ones_like(batch.mask), lengths=None, mask_given=True)
    for read in (batch,) if batch.mask.all() else (batch, everywhere):
        ran = case.run(read)
        for direction in DIRECTIONS:
            track = ran.track(weights.depth - 1, direction)
            if track is not None and _is_given(case, by_row, track.outputs):
                return _read_as(case, direction) or case
    return case


def _is_given(case: Case, outputs: Array, made: Array | None) -> bool:
    """Whether a run made these outputs `[B, T, H]`, at every real step."""
    real = case.trace.mask
    if made is None or case.weights is None or outputs.shape[:2] != real.shape or made.shape[1] < real.shape[1]:
        return False
    gap = np.abs(made[:, : real.shape[1]].astype(np.float64) - outputs)[real]
    return bool(gap.size and gap.max() <= 2 * allowed_rounding(case, case.weights))


def _read_as(case: Case, direction: Direction) -> Case | None:
    """The case read so that its outputs are that direction's; None where its states cannot be of two directions."""
    assert case.weights is not None
    width = case.weights.layers[-1].units
    config = with_what_weights_say(replace(case.config, time_major=case.reading.time_major), case.weights)
    slots = tuple(_labelled(slot, direction, width) for slot in case.dump.slots)
    evidence = case.reading.evidence
    evidence = replace(evidence, notes=tuple(n for n in evidence.notes if not n.endswith("layers side by side")))
    try:
        fitting = readings(case.convention, slots, config, evidence.framework_stated, evidence.decided)
    except ShapeError:
        return None
    choice = choose_reading(fitting, case.tolerance)
    source = {about: text for about, text in case.trace.source.items() if about not in ("direction", "one direction")}
    source["the outputs"] = f"a run of the weights gives them as those of the {direction} direction alone"
    reading = replace(choice.reading, trace=replace(choice.reading.trace, source=source), evidence=evidence)
    half = replace(case.with_reading(reading), dump=replace(case.dump, slots=slots))
    return half.with_weights(case.weights, config)


def _labelled(slot: Slot, direction: Direction, width: int) -> Slot:
    """The outputs, and a state `[B, H]` as wide as they are, as that direction's."""
    alone = slot.role in ("h", "c") and slot.array.ndim == 2 and slot.array.shape[1] == width
    return replace(slot, direction=direction) if slot.role == "outputs" or alone else slot
