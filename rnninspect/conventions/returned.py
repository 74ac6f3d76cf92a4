"""What a layer's call returned, printed as one tuple or list -> slots, as if a program had handed it over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array

_PLACE = regex(r"returned((?:\.\w+)+)")
_KEPT = regex(r"(\w+)((?:\.\d+)+)")  # saved under a key of the program's


def take_returned(
    arrays: Mapping[str, Array], config: LayerConfig, cell_first: bool | None
) -> tuple[dict[str, Array], tuple[Slot, ...]]:
    """Split arrays into those with names of their own and the slots of `returned.0`, `returned.1.0`, ….

    Args: `arrays` by name; `config`; `cell_first`: whether c stands before h, None where no framework is stated: then
    it does where the state stands before the outputs (a carry).
    Returns: the other arrays, and a slot for each part of what was returned, under its own name.
    """
    listed = {name: array for name, array in arrays.items() if _PLACE.fullmatch(name)} or _call_under_a_key(arrays)
    if not listed:
        return dict(arrays), ()
    from rnninspect.conventions import live

    tree: dict[str, Any] = {}
    for name, array in listed.items():
        *groups, last = name.split(".")[1:]
        level = tree
        for group in groups:
            level = level.setdefault(group, {})
        level[last] = array
    parted = live.parted(_as_tuple(tree))
    if parted is None:
        return dict(arrays), ()
    outputs, state = parted
    carry = outputs is not _as_tuple(tree)[0] and not isinstance(outputs, tuple)
    read = live.read_outputs(outputs, config)
    slots = [
        *read.slots,
        *live.read_state(state, read.slots, config, carry or None if cell_first is None else cell_first),
    ]
    names = {id(array): name for name, array in listed.items()}
    rest = {name: array for name, array in arrays.items() if name not in listed}
    return rest, tuple(replace(slot, name=names.get(id(slot.array), slot.name)) for slot in slots)


def _call_under_a_key(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays `KEY.0`, `KEY.1.0`, `KEY.1.1` of a dump, which are (outputs, (h, c)) kept whole under one key; empty
    where there is no such key, or where there are two."""
    keys = {place[1] for name in arrays if (place := _KEPT.fullmatch(name))}
    calls = [key for key in keys if _is_call({name: a for name, a in arrays.items() if name.startswith(f"{key}.")})]
    return {name: a for name, a in arrays.items() if name.startswith(f"{calls[0]}.")} if len(calls) == 1 else {}


def _is_call(under_key: Mapping[str, Array]) -> bool:
    """Whether these are one array of outputs and a nested pair of states of one shape, and nothing else."""
    places = {tuple(name.split(".")[1:]): array for name, array in under_key.items()}
    if list(places) != [("0",), ("1", "0"), ("1", "1")]:
        return False
    outputs, *states = places.values()
    return outputs.ndim == 3 and states[0].shape == states[1].shape and states[0].ndim in (2, 3)


def _as_tuple(tree: Any) -> Any:
    """Nested mappings of places as tuples; those with fields stay as they are."""
    if not isinstance(tree, dict):
        return tree
    parts = {key: _as_tuple(value) for key, value in tree.items()}
    return tuple(parts.values()) if all(key.isdecimal() for key in parts) else parts
