"""What callers hand over -> arrays, a Batch, initial states: the checks that every door shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.readings import initial_states
from rnninspect.conventions.dumps.roles import assign_roles
from rnninspect.core.batch import Batch, is_of_lengths, resolve_mask
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.masks import plain_mask
from rnninspect.core.trace import Array, Bools, Direction, last_true
from rnninspect.core.weights import Weights
from rnninspect.core.wording import argument
from rnninspect.engine import cells
from rnninspect.errors import ShapeError

Initial = dict[tuple[int, Direction], tuple[Array, Array | None]]


def read_batch(
    arrays: Mapping[str, Array],
    convention: Convention,
    config: LayerConfig,
    named: Mapping[Role, Slot],
    row_steps: Array | None = None,
) -> Batch:
    """The Batch in named arrays; what was `named` for a role wins over the file's own.

    `[B, T]` inputs are one feature a step. Raises ShapeError for another rank, an empty batch, a dtype that is no
    number, lengths of the wrong count, negative, fractional or longer than T: every bad row is named.
    `row_steps`: `[B]`, how many steps each row was given with, zeros behind them: no later step can be real.
    """
    slots = assign_roles(convention, arrays, config, named, anonymous="inputs")
    by_role = {slot.role: slot.array for slot in slots}
    if "inputs" not in by_role:
        raise ShapeError(f"found no inputs among {', '.join(arrays) or 'nothing'}; name them with {argument('inputs')}")
    inputs = by_role["inputs"]
    if inputs.dtype.kind not in "fiub":
        raise ShapeError(f"inputs have dtype {inputs.dtype}; numbers are needed")
    if 0 in inputs.shape:
        raise ShapeError(f"inputs are {inputs.shape}: an empty batch has nothing to run")
    if inputs.ndim == 2:
        inputs = inputs[..., None]
    if inputs.ndim != 3:
        raise ShapeError(
            f"inputs are {inputs.shape}: a batch has 3 axes (rows, steps, features), or 2 for one feature per step"
        )
    by_row = inputs.swapaxes(0, 1) if config.time_major else inputs
    rows, steps, _ = by_row.shape
    lengths, mask = by_role.get("lengths"), by_role.get("mask")
    mask = None if mask is None else plain_mask(mask)
    if "lengths" in named and "mask" not in named:
        mask = None  # lengths stated apart speak about this run; the file's mask spoke about another
    if config.full_lengths == "stated" or (config.full_lengths and lengths is None and mask is None):
        lengths, mask = np.full(rows, steps), None
    if mask is not None and mask.shape == (steps, rows) != (rows, steps) and config.time_major:
        mask = mask.T
    if lengths is not None and np.shape(lengths) == (steps,) != (rows,):
        other = argument("batch_first" if config.time_major else "time_major", True)
        raise ShapeError(
            f"lengths has {steps} values, but the batch has {rows} rows (inputs is {inputs.shape}); give one "
            f"length per row, or {other} if the other axis is the rows'"
        )
    real, lengths_read = resolve_mask(rows, steps, lengths, mask)
    if lengths_read is not None and (lengths_read > steps).any():
        bad = np.flatnonzero(lengths_read > steps)
        shown = ", ".join(f"lengths[{b}] is {lengths_read[b]}" for b in bad[:20])
        hint = "" if config.time_major else f" If the file is time-major, pass {argument('time_major', True)}."
        raise ShapeError(f"{shown}, but inputs has T={steps} steps (inputs is {inputs.shape}).{hint}")
    if row_steps is not None and config.full_lengths != "stated":
        _refuse_steps_not_given(real, row_steps)
    return Batch(by_row, real, lengths_read, mask is not None and not is_of_lengths(real))


def _refuse_steps_not_given(real: Bools, row_steps: Array) -> None:
    """Raise ShapeError where a step is stated as real that its row was given without: a zero would stand for it."""
    ends = np.where(real.any(1), last_true(real) + 1, 0)
    bad: list[int] = np.flatnonzero(ends > row_steps).tolist() if row_steps.shape == ends.shape else []
    shown = ", ".join(f"row {b}: {ends[b]} stated, {row_steps[b]} given" for b in bad[:20])
    if shown:
        raise ShapeError(f"lengths or mask state more steps than the rows have ({shown}): leave them out, or mend them")


def nonfinite_inputs(batch: Batch, most: int = 8) -> list[str]:
    """A note on the steps whose inputs hold NaN or infinity, padded ones apart; none where every number is finite."""
    bad = ~np.isfinite(batch.inputs).all(-1)
    notes = []
    for kind, places in (("real", bad & batch.mask), ("padded", bad & ~batch.mask)):
        bad_steps = np.argwhere(places)
        shown = ", ".join(f"[{b}, {t}]" for b, t in bad_steps[:most].tolist())
        more = f" and {len(bad_steps) - most} more" if len(bad_steps) > most else ""
        if shown:
            notes.append(f"inputs hold NaN or infinity at {kind} steps [row, step] {shown}{more}")
    return notes


def read_initial_states(
    arrays: Mapping[str, Array],
    state: Any,
    convention: Convention,
    config: LayerConfig,
    weights: Weights,
    rows: int,
) -> Initial | None:
    """Initial states by layer and direction: `state` (h, (h, c), a mapping), or those in the arrays, or None."""
    if isinstance(state, Mapping):
        return dict(state)
    if state is not None:
        pair = state if isinstance(state, (tuple, list)) and np.ndim(state[0]) >= 2 else (state, None)
        slots = [Slot("initial_h", "initial state", np.asarray(pair[0]))]
        if len(pair) > 1 and pair[1] is not None:
            slots.append(Slot("initial_c", "initial cell state", np.asarray(pair[1])))
    elif isinstance(arrays, Mapping):
        full_config = with_what_weights_say(config, weights)
        every = assign_roles(convention, arrays, full_config, anonymous="inputs")
        slots = [slot for slot in every if slot.role.startswith("initial")]
    if not slots:
        return None
    units = {(w.layer, w.direction): (w.units, w.cell_units) for w in weights.layers}
    return initial_states(
        tuple(slots), weights.depth, weights.directions, rows, units, cells.get(weights.spec.cell).has_c
    )


def with_what_weights_say(config: LayerConfig, weights: Weights) -> LayerConfig:
    """The statement with the cell, layers and direction of the weights where it names none."""
    direction: Literal["forward", "reverse", "bidirectional"] = "forward"
    if len(weights.directions) == 2:
        direction = "bidirectional"
    elif weights.directions == ("backward",):
        direction = "reverse"
    return replace(
        config,
        cell=config.cell or weights.spec.cell,
        layers=config.layers or weights.depth,
        direction=config.direction or direction,
    )
