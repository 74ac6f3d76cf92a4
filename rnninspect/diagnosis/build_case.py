"""How a Case is made: from a recorded dump, or by running a layer; and the dump that a case writes.

Importing this does not import torch; `run_case` and a reference run do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rnninspect import conventions
from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.affixes import pair_as_state, plain_names
from rnninspect.conventions.dumps.elided import Gaps
from rnninspect.conventions.dumps.misfits import by_row
from rnninspect.conventions.dumps.rows_apart import with_rows_together
from rnninspect.conventions.dumps.steps_apart import with_steps_together
from rnninspect.conventions.returned import take_returned
from rnninspect.core.arrays import to_array
from rnninspect.core.batch import Batch
from rnninspect.core.evidence import Origin, Reading, Role, Slot
from rnninspect.core.feed import NO_FEEDS, Feed
from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.precision import Precision
from rnninspect.core.trace import Array, TimeOrder, Trace
from rnninspect.core.weights import Weights
from rnninspect.core.wording import argument, worded
from rnninspect.diagnosis.case import Case, Dump, Layer
from rnninspect.engine import cells
from rnninspect.errors import ShapeError, UserError
from rnninspect.measure.choose_reading import Choice, Measurer, Tolerance, measure_all
from rnninspect.measure.dump_arrays import DumpArrays
from rnninspect.measure.weigh import weigh

if TYPE_CHECKING:
    from rnninspect.conventions.dumps.batch import Initial

MOST_WEIGHTS = 2**31  # numbers that are drawn at most: 8 GiB in float32


@frozen
class RunOptions:
    """How to run, besides what is stated about the layer. `hidden_size`, `seed`: of weights made here.

    `axes_by_weights`: that time comes first is known of the file of weights alone, and may not be so of the batch.
    `row_steps`: as `read_batch` takes it.
    """

    hidden_size: int | None = None
    seed: int = 0
    dtype: str | None = None
    device: str = "cpu"
    truncate: bool = False
    axes_by_weights: bool = False
    row_steps: Array | None = None


def run_case(
    arrays: Mapping[str, Array],
    config: LayerConfig,
    convention: str = "tf1",
    *,
    weights: Weights | None = None,
    named_roles: Mapping[Role, Slot] | None = None,
    initial_state: Any = None,
    options: RunOptions | None = None,
) -> Case:
    """Run the layer on the inputs among `arrays` and give the case of that run.

    `named_roles`: arrays that the user named for a role; they win over the file's own."""
    from rnninspect.conventions.dumps.batch import read_batch, read_initial_states
    from rnninspect.diagnosis.batch_axes import with_axes_of_batch

    options = options or RunOptions()
    framework = conventions.get(convention)
    axes = ""
    if options.axes_by_weights:
        config, axes = with_axes_of_batch(arrays, framework, config, named_roles or {})
    batch = read_batch(arrays, framework, config, named_roles or {}, options.row_steps)
    every_step = not batch.knows_padding
    if every_step:
        batch = replace(batch, lengths=batch.mask.sum(1))
    made = weights or initial_weights(batch, config, options)
    _check_units(made, options.hidden_size)
    rows = batch.mask.shape[0]
    initial = read_initial_states(arrays, initial_state, framework, config, made, rows)
    if options.truncate:
        batch = _truncated(batch)
    trace = simulate(batch, made, framework, config, initial=initial, dtype=options.dtype, device=options.device)
    shown = replace(config, layers=made.depth, cell=made.spec.cell)
    if len(made.directions) == 2:
        shown = replace(shown, direction="bidirectional")
    remarks = {"the batch": worded(axes)} if axes else {}
    if every_step:
        remarks["lengths"] = "none were stated, so every row ran all its steps"
    trace = replace(trace, source=remarks) if remarks else trace
    reading = Reading(trace, "B T H", "B H")
    return Case(Choice(reading), Layer(framework, shown, made, rerun), batch)


def simulate(
    batch: Batch,
    weights: Weights,
    convention: Convention,
    config: LayerConfig,
    *,
    initial: Initial | None = None,
    dtype: str | None = None,
    device: str = "cpu",
    order: TimeOrder | None = None,
) -> Trace:
    """One run of the engine as this convention's layer would have run; a Trace that also says its policies.

    `order`: how the outputs of backward tracks are to lie; None: as the convention leaves them.

    Raises UserError where there is not enough memory.
    """
    from rnninspect.engine.kept_runs import run_once

    both = replace(config, direction="bidirectional") if len(weights.directions) == 2 else config
    padding = convention.padding_for(both)
    try:
        tracks = run_once(
            batch,
            weights,
            initial=initial,
            padding=padding,
            zero_length=convention.zero_length,
            order=order or convention.order(both),
            dtype=dtype,
            device=device,
        )
    except RuntimeError as error:  # torch has no type of its own for the CPU's
        if not re.search("out of memory|can't allocate memory", str(error)):
            raise
        raise UserError(f"not enough memory on {device} for inputs of {batch.inputs.shape}; run fewer rows") from None
    return Trace(batch.mask, tracks, batch.lengths, batch.mask_given, padding, convention.zero_length, convention.name)


def initial_weights(batch: Batch, config: LayerConfig, options: RunOptions) -> Weights:
    """TensorFlow's initialisers for the layer that was stated: 4 units unless `hidden_size` says otherwise.

    Raises UserError on a seed, units or a cell that they cannot be made with.
    """
    from rnninspect.engine.initialise import glorot

    for name in ("num_proj", "use_peepholes"):
        if config.attributes.get(name):
            raise UserError(
                f"{argument(name)} needs {argument('weights')}: no initial weights are drawn for such a cell"
            )
    if options.seed < 0:
        raise UserError(f"the seed is {options.seed}; a whole number from 0 on is needed")
    cell, units, layers = config.cell or "lstm", options.hidden_size or 4, config.layers or 1
    features, directions = int(batch.inputs.shape[2]), config.directions or ("forward",)
    numbers = (
        layers * len(directions) * len(cells.get(cell).gates) * units * (max(features, units * len(directions)) + units)
    )
    if numbers > MOST_WEIGHTS:
        raise UserError(
            f"a {cell} of {units} units in {layers} layer(s) may hold {numbers:.1e} weights, and at most "
            f"{MOST_WEIGHTS:.1e} are drawn; "
            f"state a smaller {argument('hidden_size')} or fewer {argument('layers')}, or give {argument('weights')}"
        )
    made = glorot(cell, features, units, layers=layers, directions=directions, seed=options.seed)
    return replace(made, spec=conventions.get("tf1").spec(cell, config.attributes))


def _check_units(weights: Weights, hidden_size: int | None) -> None:
    """Raise ShapeError where the units stated are not those that the weights have."""
    units = weights.layers[-1].cell_units
    if hidden_size not in (None, units):
        raise ShapeError(
            f"{argument('hidden_size', hidden_size)} is stated, but the weights have {units} units; leave it out"
        )


def read_weights(
    arrays: Mapping[str, Any], config: LayerConfig, convention: str, feeds: Mapping[str, Feed] = NO_FEEDS
) -> Weights:
    """Canonical Weights from arrays under a framework's names; ShapeError where they look like another's.

    `feeds`: what the layers read, where the file says it.
    """
    from rnninspect.conventions.weights.prefix import likely_weights

    named = likely_weights({name: to_array(array, name) for name, array in arrays.items()})
    framework = conventions.get(convention)
    alike = conventions.of_weights(named)
    if alike and framework not in alike:
        names = ", ".join(c.name for c in alike)
        raise ShapeError(
            f"the weights do not look like {framework.name}'s but like {names}'s ({', '.join(list(named)[:4])}, …); "
            f"state {argument('weights_convention', alike[0].name)}"
        )
    return framework.read_weights(named, config, feeds)


def read_case(
    arrays: Mapping[str, Array],
    config: LayerConfig,
    convention: str = "auto",
    *,
    named_roles: Mapping[Role, Slot] | None = None,
    returned: tuple[Slot, ...] = (),
    origin: Origin | None = None,
    weights: Weights | None = None,
    tolerance: Tolerance | None = None,
    as_printed: bool = True,
    printed: Mapping[str, Precision] | None = None,
    elided: Mapping[str, Gaps] | None = None,
    measurer: Measurer = measure_all,
) -> Case:
    """The case that a recorded dump makes: every reading is tried on the numbers, the stated one first.

    `named_roles`: arrays that the user named for a role. `returned`: what a framework's call returned, as slots.
    `origin`: where the arrays come from. Outputs and states that were printed with different numbers of decimals are
    rounded to the fewest, unless not `as_printed`; `printed` states them by the names of `arrays`, where the file
    tells. `elided`: axes that a print-out cut short. `measurer`: what measures the tracks; this process, by default.
    Raises ShapeError where no reading fits.
    """
    cell_first = None if convention == "auto" else conventions.get(convention).cell_first
    arrays, listed = take_returned(arrays, config, cell_first)
    every = conventions.conventions().values()
    plain = plain_names(arrays, every) or ({} if named_roles else pair_as_state(arrays, every))
    material = DumpArrays(
        _put_together({plain.get(name, name): a for name, a in arrays.items()}, config.time_major, bool(elided)),
        convention,
        named_roles or {},
        (*returned, *listed),
        origin or Origin(),
        as_printed,
        {plain.get(name, name): precision for name, precision in (printed or {}).items()},
        {plain.get(name, name): gaps for name, gaps in (elided or {}).items()},
        {short: name for name, short in plain.items()},
    )
    weighed = weigh(material, config, tolerance or Tolerance(), measurer)
    return Case(
        weighed.choice,
        Layer(weighed.convention, weighed.config, weights, rerun),
        batch_of(weighed.slots, weighed.choice.reading),
        Dump(arrays, weighed.slots, returned_whole=bool(listed)),
        tolerance=weighed.tolerance,
    )


def _put_together(arrays: dict[str, Array], time_major: bool, cut_short: bool) -> dict[str, Array]:
    """The arrays that a loop made of one row or one step each, as those of all; not rows that a print-out cut."""
    whole = with_steps_together(arrays if cut_short else with_rows_together(arrays, time_major), time_major)
    return whole if {*map(id, whole.values())} - {*map(id, arrays.values())} else arrays  # under their own names


def dump(case: Case) -> dict[str, Array]:
    """A case's arrays under its convention's own names and axes, the inputs and lengths beside them."""
    arrays = case.convention.dump(case.trace, case.config, case.weights)
    if case.batch is not None:
        inputs = case.batch.inputs
        arrays["inputs"] = inputs.swapaxes(0, 1) if case.config.time_major else inputs
    if case.trace.lengths is not None:
        arrays["lengths"] = case.trace.lengths
    if case.trace.mask_given:
        arrays["mask"] = case.trace.mask
    return arrays


def _truncated(batch: Batch) -> Batch:
    """The batch with its time axis cut to the longest row, as `pad_packed_sequence` does."""
    longest = max(1, int(np.flatnonzero(batch.mask.any(0))[-1]) + 1) if batch.mask.any() else 1
    return replace(batch, inputs=batch.inputs[:, :longest], mask=batch.mask[:, :longest])


def batch_of(slots: tuple[Slot, ...], used: Reading) -> Batch | None:
    """The inputs of a dump beside its trace, or None; their time axis may be longer than the outputs'."""
    inputs = next((s.array for s in slots if s.role == "inputs"), None)
    array = None if inputs is None else by_row(inputs, used)
    if array is None:
        return None
    if array.ndim == 2:
        array = array[..., None]
    trace = used.trace
    mask = np.zeros(array.shape[:2], dtype=np.bool_)
    mask[:, : trace.steps] = trace.mask
    return Batch(array, mask, trace.lengths, trace.mask_given)


def rerun(case: Case, batch: Batch) -> Trace:
    """Another batch through the same layer, from the same initial states, its outputs lying as the case's do; of tracks
    that the weights do not have nothing is run."""
    assert case.weights is not None
    ran = {(weights.layer, weights.direction) for weights in case.weights.layers}
    tracks = [t for t in case.trace.tracks if (t.layer, t.direction) in ran]
    initial: Initial = {(t.layer, t.direction): (t.initial, t.initial_cell) for t in tracks if t.initial is not None}
    order = next((t.order for t in case.trace.tracks if t.direction == "backward"), None)
    convention, config, dtype = case.convention, case.config, case.layer.dtype
    return simulate(batch, case.weights, convention, config, initial=initial or None, dtype=dtype, order=order)
