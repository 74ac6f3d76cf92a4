"""The readings that fit the arrays of a guess, or a part of them where the whole fits none."""

from __future__ import annotations

from dataclasses import replace

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.readings import readings
from rnninspect.conventions.dumps.roles import Guess
from rnninspect.core.evidence import Reading, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import ShapeError
from rnninspect.measure.fewer_rows import Fewer, refuse_parts, with_fewer_rows, with_layers_of_one_row
from rnninspect.measure.merged import may_be_merged, readings_merged


def readings_fitting(
    convention: Convention, slots: tuple[Slot, ...], config: LayerConfig, guess: Guess
) -> tuple[tuple[Slot, ...], list[Reading]]:
    """Every reading of the arrays, or of those rows of them that a state of fewer rows is of, or of the one row whose
    layers it holds; and the arrays read."""
    usual, whose_known = config.time_major or (convention.time_major and not config.axes_stated), guess.whose_known
    try:
        fitting = readings(convention, slots, config, whose_known, guess.order_known)
        if any(r.as_stated for r in fitting):
            return slots, fitting
        misfit_error = None
    except ShapeError as error:
        fitting, misfit_error = [], error
    refuse_parts(slots, usual)
    one_row = with_layers_of_one_row(slots, usual)
    if one_row is None and misfit_error is None:
        return slots, fitting
    parts = [one_row] if one_row is not None else list(with_fewer_rows(slots, usual))
    if not parts and config.merge_mode != "none" and may_be_merged(slots, replace(config, merge_mode="concat")):
        return slots, readings_merged(convention, slots, config, whose_known)
    for part in parts:
        try:
            fitting = readings(convention, part.slots, config, whose_known, guess.order_known)
        except ShapeError as error:
            misfit_error = misfit_error or error
        else:
            return part.slots, [_of_part(reading, part) for reading in fitting]
    assert misfit_error is not None
    raise misfit_error  # which speaks of the arrays as they came


def _of_part(reading: Reading, part: Fewer) -> Reading:
    """The reading of some rows, which says whose these are."""
    notes = (part.note, *reading.evidence.notes)
    return replace(reading, state_rows=part.state_rows, evidence=replace(reading.evidence, notes=notes))
