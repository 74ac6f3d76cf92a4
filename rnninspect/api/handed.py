"""What a program hands over beside outputs, and all of it as slots, whole, before any of it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rnninspect import conventions
from rnninspect.conventions import live
from rnninspect.conventions.dumps.elided import Gaps
from rnninspect.core.arrays import is_array, rank, to_array
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.precision import Precision
from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError, UnknownNameError, UserError


@dataclass(frozen=True, eq=False)
class Handed:
    """What was handed over beside the outputs, each as it came; None where it was not.

    `layer`: what was given as weights: it may be the layer itself. `printed`, `elided`: what a print-out tells of its
    arrays, by their names.
    """

    final_state: Any = None
    cell_state: Any = None
    initial_state: Any = None
    lengths: Any = None
    mask: Any = None
    inputs: Any = None
    layer: Any = None
    printed: Mapping[str, Precision] = field(default_factory=dict)
    elided: Mapping[str, Gaps] = field(default_factory=dict)


def slots_of(outputs: Any, handed: Handed, config: LayerConfig, convention: str) -> tuple[list[Slot], dict[Role, Slot]]:
    """What was handed over, whole and as it came: the slots of what a call returned, and those named for a role."""
    outputs, handed = parted(outputs, handed)
    handed = replace(handed, lengths=named_array("lengths", handed.lengths, {}))
    packages = live.packages([outputs, handed.final_state], handed.layer)
    return slots_beside(
        live.read_outputs(outputs, config, rows_of(handed.final_state)), handed, config, convention, packages
    )


def parted(outputs: Any, handed: Handed) -> tuple[Any, Handed]:
    """Outputs and state, where the outputs may be all that the call returned; UserError where there is no state."""
    if handed.final_state is not None:
        return outputs, handed
    apart = live.parted(outputs)
    if apart is None:
        raise UserError("no final state: give final_state, or all that the layer's call returned")
    return apart[0], replace(handed, final_state=apart[1])


def named_array(option: str, name_or_array: Any, arrays: Mapping[str, Array]) -> Any:
    """The array that a text names among those handed over; what is no text stays as it is.

    Raises UnknownNameError where there is no array of that name, UserError where none has a name.
    """
    if not isinstance(name_or_array, str):
        return name_or_array
    if name_or_array in arrays:
        return arrays[name_or_array]
    if any(arrays):
        raise UnknownNameError(f"array for {option}", name_or_array, [name for name in arrays if name])
    raise UserError(
        f"{option}={name_or_array!r}: nothing that was handed over has a name; give the numbers, [B], or 'full'"
    )


def role_slots(**arrays: Any) -> dict[Role, Slot]:
    """A slot for every array that is given, by its role."""
    return {role: Slot(role, role, to_array(v, role)) for role, v in arrays.items() if v is not None}  # type: ignore[misc, arg-type]


def rows_of(state: Any) -> int | None:
    """How many rows a state has, as its first array of two axes or more says."""
    if is_array(state):
        return int(state.shape[-2]) if rank(state) >= 2 else None
    parts = state.values() if isinstance(state, Mapping) else state if isinstance(state, (tuple, list)) else ()
    return next((rows for part in parts if (rows := rows_of(part)) is not None), None)


def slots_beside(
    outputs: live.Outputs, handed: Handed, config: LayerConfig, convention: str, packages: Sequence[str]
) -> tuple[list[Slot], dict[Role, Slot]]:
    """The slots of outputs and states, and those named for a role. Raises UserError where two speak of one thing."""
    whose = convention if convention != "auto" else next(iter(packages), None)
    cell_first = conventions.get(whose).cell_first if whose else None
    by_direction = conventions.get(whose).lists_by_direction if whose else None
    slots = list(outputs.slots)
    named = role_slots(c=handed.cell_state, lengths=handed.lengths, mask=handed.mask, inputs=inputs_of(handed, config))
    if handed.final_state is not None:
        of_state = replace(config, cell="gru") if _is_h_alone(handed.final_state, named.get("c")) else config
        slots += live.read_state(handed.final_state, outputs.slots, of_state, cell_first, by_direction)
    if handed.initial_state is not None:
        initial = live.read_state(handed.initial_state, outputs.slots, config, cell_first, by_direction)
        slots += live.as_initial(initial)
    if "c" in named and any(slot.role == "c" for slot in slots):
        raise UserError("final_state holds a cell state already: leave cell_state out, or give final_state as h alone")
    if outputs.lengths is not None:
        named["lengths"] = _lengths(outputs.lengths, named.get("lengths"))
    elif handed.inputs is not None and not named.keys() & {"lengths", "mask"}:
        brought = live.read_outputs(handed.inputs, config).lengths
        named |= {} if brought is None else {"lengths": Slot("lengths", "lengths of the inputs", brought)}
    return slots, named


def _is_h_alone(state: Any, cell: Slot | None) -> bool:
    """Whether a list of states `[B, H]` stands beside the c of each: it holds no c then, as that of a GRU."""
    listed = isinstance(state, (tuple, list)) and len(state) > 1 and all(is_array(h) and rank(h) == 2 for h in state)
    return listed and cell is not None and cell.array.ndim == 3 and len(cell.array) == len(state)


def inputs_of(handed: Handed, config: LayerConfig) -> Any:
    """The inputs; a PackedSequence as `[B, T, F]` (`[T, B, F]` where time-major), ragged rows padded."""
    if handed.inputs is None:
        return None
    return next(iter(live.read_outputs(handed.inputs, config).slots)).array


def _lengths(packed: Array, stated_slot: Slot | None) -> Slot:
    """The lengths that the outputs bring along; those stated beside them must be the same."""
    if stated_slot is None or np.array_equal(packed, stated_slot.array):
        return Slot("lengths", "lengths", packed)
    if stated_slot.array.shape != packed.shape:
        raise ShapeError(
            f"lengths has {stated_slot.array.size} values, but the outputs bring {packed.size} of their own"
        )
    bad = np.flatnonzero(packed != stated_slot.array)[:20]
    shown = ", ".join(f"row {b}: {stated_slot.array[b]} stated, {packed[b]} in the outputs" for b in bad)
    raise ShapeError(f"the outputs bring their own lengths, and others are stated ({shown}); leave lengths out")
