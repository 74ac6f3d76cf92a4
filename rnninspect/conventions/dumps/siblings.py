"""Arrays of one name in several layers and directions: `hidden_fw_0` and `hidden_bw_0`, `layer_0/h` and `layer_1/h`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import product

from rnninspect.conventions.dumps.shapes import match_name, suits
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.frozen import frozen
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Direction

_WAYS: dict[str, Direction] = {
    "fw": "forward",
    "fwd": "forward",
    "forward": "forward",
    "bw": "backward",
    "bwd": "backward",
    "backward": "backward",
    "f": "forward",
    "b": "backward",
}
_WAY = "|".join(sorted(_WAYS, key=len, reverse=True))
_ENDS = (regex(rf"(?P<stem>.+)[._/](?P<way>{_WAY})"), regex(r"(?P<stem>.+)[._/](?:l|layer_?)?(?P<layer>\d)"))
_BEGINS = (
    regex(rf"(?P<way>{_WAY})[._/](?P<stem>.+)"),
    regex(r"(?:l|layer_?)(?P<layer>\d)[._/](?P<stem>.+)"),
)
_LIST = r"(?:.*_)?(?:states?|hidden)"  # a list of these may hold h and c in turn
_CELL = r"(?:.*[._])?c(?:ells?|xs?|_?[nt])?(?:_state)?"


@frozen
class _Place:
    """What a name says: the name without its layer and direction, and these."""

    stem: str
    layer: int | None = None
    direction: Direction | None = None


def siblings(role: Role, arrays: Mapping[str, Array], patterns: Iterable[str]) -> list[Slot]:
    """The arrays of this role whose names differ by layer or direction alone; empty where no name has siblings.

    `patterns`: names of the role, without layer and direction. Every layer from 0 on, in every direction that is named,
    must be there. A list that may hold h and c in turn is left to be told by its values.
    """
    families: dict[str, list[tuple[_Place, str, Array]]] = defaultdict(list)
    for name, array in arrays.items():
        place = _place(name)
        if place.stem != name and suits(role, array):
            families[place.stem].append((place, name, array))
    for pattern in patterns:
        for stem, family in families.items():
            match = match_name(pattern, stem)
            if match is None or any(match.groupdict().values()) or not _is_whole([place for place, _, _ in family]):
                continue
            if len({array.ndim for _, _, array in family}) == 1:
                as_list = role in ("h", "initial_h") and _may_alternate(stem, arrays)
                return [_slot(role, place, name, array, as_list) for place, name, array in family]
    return []


def layers_of(slots: Iterable[Slot]) -> set[int]:
    """The layers that the names of these say, or their places in a list."""
    return {slot.position[0] if slot.position else slot.layer or 0 for slot in slots}


@lru_cache(maxsize=1024)  # of many dumps, most have the same names
def _place(name: str) -> _Place:
    """The stem, layer and direction of a name.

    >>> _place("h_t_bw_1"), _place("fw_hidden"), _place("y")
    (_Place(stem='h_t', layer=1, direction='backward'), _Place(stem='hidden', layer=None, direction='forward'), \
_Place(stem='y', layer=None, direction=None))
    """
    stem, layer, way = name, None, None
    for _ in range(2):
        for pattern in (*_ENDS, *_BEGINS):
            match = pattern.fullmatch(stem)
            parts = match.groupdict() if match else {}
            if parts.get("way") and way is None:
                stem, way = parts["stem"], _WAYS[parts["way"]]
            elif parts.get("layer") and layer is None:
                stem, layer = parts["stem"], int(parts["layer"])
    return _Place(stem, layer, way)


def _is_whole(places: list[_Place]) -> bool:
    """Whether every layer from 0 on is there, in the same directions, and each once."""
    layers, ways = {p.layer for p in places}, {p.direction for p in places}
    numbered = None not in layers and layers == set(range(len(layers)))
    pairs = {(p.layer, p.direction) for p in places}
    whole = pairs == set(product(layers, ways)) and len(pairs) == len(places) > 1
    return whole and (numbered or layers == {None}) and (None not in ways or ways == {None})


def _may_alternate(stem: str, arrays: Mapping[str, Array]) -> bool:
    """Whether a list of this name may hold h and c in turn: it says neither, and no list of c stands beside it."""
    beside = any(re.fullmatch(_CELL, _place(name).stem) for name in arrays)
    return re.fullmatch(_LIST, stem) is not None and not beside


def _slot(role: Role, place: _Place, name: str, array: Array, as_list: bool) -> Slot:
    if as_list and place.layer is not None and place.direction is None:
        return Slot(role, name, array, position=(place.layer,))
    return Slot(role, name, array, place.layer, place.direction)
