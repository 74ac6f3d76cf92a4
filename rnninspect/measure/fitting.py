"""The readings that fit the arrays of a guess, or a part of them where the whole fits none."""

from __future__ import annotations

from dataclasses import replace

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.readings import readings
from rnninspect.conventions.dumps.roles import Guess
from rnninspect.core.evidence import Reading, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import ShapeError
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
    from rnninspect.measure.fewer_rows import refuse_parts, with_fewer_rows, with_layers_of_one_row

    refuse_parts(slots, usual)
    fewer = with_layers_of_one_row(slots, usual)
    if fewer is None and misfit_error is None:
        return slots, fitting
    fewer = fewer or with_fewer_rows(slots, usual)
    if fewer is None and config.merge_mode != "none" and may_be_merged(slots, replace(config, merge_mode="concat")):
        return slots, readings_merged(convention, slots, config, whose_known)
    if fewer is None:
        assert misfit_error is not None
        raise misfit_error
    try:
        fitting = readings(convention, fewer.slots, config, whose_known, guess.order_known)
    except ShapeError as error:
        raise misfit_error or error from None  # which speaks of the arrays as they came
    return fewer.slots, [
        replace(r, state_rows=fewer.state_rows, evidence=replace(r.evidence, notes=(fewer.note, *r.evidence.notes)))
        for r in fitting
    ]
