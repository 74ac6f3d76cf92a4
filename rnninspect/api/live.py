"""What a program hands over -> a Case: a Trace, named arrays, or what a layer's call returned."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from io import BytesIO
from typing import Any

from rnninspect import conventions
from rnninspect.api.handed import Handed, inputs_of, named_array, parted, rows_of, slots_beside
from rnninspect.api.state_alone import case_of_state, state_alone
from rnninspect.conventions import live
from rnninspect.conventions.base import DIRECTION_WORDS
from rnninspect.conventions.dumps.batch import with_what_weights_say
from rnninspect.conventions.dumps.roles import assign_roles
from rnninspect.core.arrays import holds_arrays, padded, refuse_deep, to_array
from rnninspect.core.batch import Batch
from rnninspect.core.evidence import UNKNOWN, Origin, Reading
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Trace
from rnninspect.core.weights import Weights
from rnninspect.diagnosis.build_case import read_case, rerun
from rnninspect.diagnosis.case import Case, Layer
from rnninspect.errors import ShapeError, UnknownNameError, UnreadableError, UserError
from rnninspect.formats.base import ANONYMOUS, NamedArrays
from rnninspect.measure.choose_reading import Choice, Tolerance


def case_of(
    outputs: Any,
    handed: Handed,
    config: LayerConfig,
    convention: str,
    tolerance: Tolerance,
    origin: Origin = UNKNOWN,
    weights: Weights | None = None,
) -> Case:
    """The case that these make; `convention` may be `auto`. `origin`: whose names the weights beside them have.

    `weights`: what runs the inputs where there are a final state and no outputs.
    Raises UserError where there is no final state, ShapeError where the arrays fit no reading.
    """
    if isinstance(outputs, Trace):
        return _of_trace(outputs, handed, config, convention, tolerance)
    refuse_deep(outputs, "outputs")
    refuse_deep(handed.final_state, "final_state")
    if isinstance(outputs, str) and ("\n" in outputs or "[" in outputs):
        raise UserError("outputs are a text: give a print-out as inspect(text=…), or the arrays themselves")
    if isinstance(outputs, (str, os.PathLike)):
        raise UserError(
            f"outputs are the path {os.fspath(outputs)!r}: rnninspect.compare(path) reads files, "
            "inspect(text=…) print-outs"
        )
    if isinstance(outputs, Mapping) and not set(outputs) <= set(DIRECTION_WORDS):
        origin_here = replace(origin, packages=live.packages(outputs.values(), handed.layer))
        arrays = as_arrays(outputs, "outputs")
        handed = replace(handed, lengths=named_array("lengths", handed.lengths, arrays))
        return _read(arrays, live.Outputs(()), handed, config, convention, origin_here, tolerance, weights)
    handed = replace(handed, lengths=named_array("lengths", handed.lengths, {}))
    if outputs is None and handed.final_state is not None:
        if weights is None or handed.inputs is None:
            raise UserError("no outputs: give outputs; or inputs and weights, from which they are filled in")
        origin_here = replace(origin, packages=live.packages([handed.final_state], handed.layer))
        config = with_what_weights_say(config, weights)
        return _read({}, live.Outputs(()), handed, config, convention, origin_here, tolerance, weights)
    whole = handed.final_state is None and handed.cell_state is None
    outputs, handed = parted(outputs, handed)
    origin_here = replace(origin, packages=live.packages([outputs, handed.final_state], handed.layer))
    own_numbers = live.live(outputs) or live.live(handed.final_state)
    read = live.read_outputs(outputs, config, rows_of(handed.final_state))
    case = _read({}, read, handed, config, convention, origin_here, tolerance, as_printed=not own_numbers)
    return replace(case, dump=replace(case.dump, returned_whole=whole))


def case_beside(against: Any, handed: Handed, config: LayerConfig, convention: str, tolerance: Tolerance) -> Case:
    """The case of a second run; what was handed over for the first one holds for it where it has no such array."""
    if isinstance(against, Trace):
        handed = Handed()
    elif isinstance(against, Mapping) and not set(against) <= set(DIRECTION_WORDS):
        own_slots = assign_roles(conventions.get(convention), as_arrays(against, "against"), config)
        own_roles = {slot.role for slot in own_slots}
        steps_told = bool(own_roles & {"lengths", "mask"})
        handed = Handed(
            lengths=None if steps_told else handed.lengths,
            mask=None if steps_told else handed.mask,
            inputs=None if "inputs" in own_roles else handed.inputs,
        )
    return case_of(against, handed, config, convention, tolerance)


def beside(case: Case, other: Case, what: str = "against") -> Case:
    """The case with a second run of the same inputs; ShapeError where the two cannot be compared."""
    both = replace(case, other=other.trace, other_batch=other.batch)
    try:
        compared = both.differences
    except ValueError as error:
        raise ShapeError(f"{what}: {error}; the two runs must be of the same inputs") from None
    if not compared:
        raise ShapeError(f"{what}: no layer and direction has outputs in both runs; nothing to compare")
    return both


def _read(
    arrays: Mapping[str, Array],
    outputs: live.Outputs,
    handed: Handed,
    config: LayerConfig,
    convention: str,
    origin: Origin,
    tolerance: Tolerance,
    weights: Weights | None = None,
    as_printed: bool = True,
) -> Case:
    slots, named = slots_beside(outputs, handed, config, convention, origin.packages)
    alone = state_alone(
        arrays,
        config,
        convention,
        weights,
        named_roles=named,
        returned=tuple(slots),
        origin=origin,
        tolerance=tolerance,
    )
    if alone is not None:
        return case_of_state(alone)
    return read_case(
        arrays,
        config,
        convention,
        named_roles=named,
        returned=tuple(slots),
        origin=origin,
        tolerance=tolerance,
        as_printed=as_printed,
        printed=handed.printed,
        elided=handed.elided,
    )


def _of_trace(trace: Trace, handed: Handed, config: LayerConfig, convention: str, tolerance: Tolerance) -> Case:
    trace_holds = ("final_state", "cell_state", "initial_state", "lengths", "mask")
    surplus = [name for name in trace_holds if getattr(handed, name) is not None]
    if surplus:
        raise UserError(f"a Trace holds its own {', '.join(surplus)}: leave them out, or give its arrays as outputs")
    if convention not in ("auto", trace.convention):
        raise UserError(f"the Trace is of a {trace.convention} layer, and convention={convention!r} is stated")
    return Case(
        Choice(Reading(trace, "B T H", "B H")),
        Layer(conventions.get(trace.convention), config, runner=rerun),
        batch=None if handed.inputs is None else _batch(trace, to_array(inputs_of(handed, config), "inputs"), config),
        tolerance=tolerance,
    )


def _batch(trace: Trace, inputs: Array, config: LayerConfig) -> Batch:
    by_row = inputs[..., None] if inputs.ndim == 2 else inputs
    by_row = by_row.swapaxes(0, 1) if config.time_major else by_row
    if by_row.ndim != 3 or by_row.shape[:2] != trace.mask.shape:
        raise ShapeError(
            f"inputs are {inputs.shape}, but the Trace has {trace.batch_size} rows and {trace.steps} steps"
        )
    return Batch(by_row, trace.mask, trace.lengths, trace.mask_given)


def of_text(text: str, handed: Handed) -> tuple[NamedArrays, Handed]:
    """The arrays of a print-out by their names, and what was handed over, names of arrays in it being those arrays.

    Raises UnreadableError where the text holds no arrays, UnknownNameError where it has none of a name.
    """
    from rnninspect.formats import member_of
    from rnninspect.formats.text import from_text

    if not isinstance(text, str):
        raise UnreadableError(f"text is what was printed, as a str; it is {type(text).__name__}")
    read = _records(text) or from_text(text, "text")
    printed = dict(read.precisions)
    named: dict[str, Any] = {
        f.name: getattr(handed, f.name) for f in fields(handed) if isinstance(getattr(handed, f.name), str)
    }
    for name, called in named.items():
        member = member_of(called, read.arrays)
        if member is None:
            raise UnknownNameError(f"array of the text for {name}", called, list(read.arrays))
        named[name] = read.arrays[member]
        if member in read.precisions:
            printed[name] = read.precisions[member]
    return read, replace(handed, **named, printed=printed, elided=read.elided)


def _records(text: str) -> NamedArrays | None:
    """The arrays of JSON that has one object a row, in a list or in lines, as of a file of it; None of another text."""
    from rnninspect.formats import json_, ndjson

    begins_so, head = re.match(r"\s*\[?\s*\{", text), text.encode("utf-8", "replace")
    try:
        if begins_so and ndjson.sniff(head):
            return ndjson.read(BytesIO(head), "text")
        return json_.from_text(text, "text") if begins_so and text.lstrip().startswith("[") else None
    except UnreadableError:
        return None


def as_arrays(arrays: Any, what: str) -> dict[str, Array]:
    """Named arrays from a mapping, or one nameless array (ragged rows are padded, their lengths derived)."""
    if isinstance(arrays, Mapping):
        from rnninspect.conventions.live import flattened

        _refuse_steps_apart(arrays)
        return flattened(arrays)
    if holds_arrays(arrays):
        array, lengths = padded(arrays, what)
        return {ANONYMOUS: array} if lengths is None else {ANONYMOUS: array, "lengths": lengths}
    if isinstance(arrays, (list, tuple)):
        from rnninspect.formats.nested import from_nested

        return dict(from_nested(list(arrays), what))
    return {ANONYMOUS: to_array(arrays, what)}


def _refuse_steps_apart(arrays: Mapping[Any, Any]) -> None:
    """Raise ShapeError where outputs are a list of their steps: the user says which axis comes first."""
    from rnninspect.conventions.dumps.names import is_usual
    from rnninspect.conventions.live import are_steps

    for name, value in arrays.items():
        if are_steps(value) and len(value) > 2 and is_usual("outputs", str(name)):
            raise ShapeError(
                f"{name} is a list of {len(value)} arrays {tuple(value[0].shape)}, one a step: stack them, "
                f"np.stack({name}, axis=1) is [B, T, H]"
            )
