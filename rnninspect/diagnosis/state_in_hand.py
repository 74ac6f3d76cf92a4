"""Code that puts right the very states that are in hand, along their own axes or in their own list.

A framework's code against such a mistake takes the state anew from what its layer returned. Where the array in hand
holds the states of all layers as the layer returned them, it is that array, and taking it so changes nothing.
"""

from __future__ import annotations

from typing import Literal

from rnninspect.conventions.fixes.fitting import replaced
from rnninspect.core.frozen import frozen
from rnninspect.core.regex import regex
from rnninspect.core.trace import Direction
from rnninspect.diagnosis.case import Case

_GROUPS = regex(r"\(.*?\)|\S+")
_LETTERS = regex(r"[LDBH() ]+")
_LISTED = regex(r".+?\.(\d+)")  # `final_state.1`: the second of a list
_TOP_ALONE = ("B H", "B (D H)")  # one vector a row, of the top layer: what is right stands in the layer's own state

_TORCH = {
    'np.argsort(-lengths, kind="stable")': "torch.argsort(-lengths, stable=True)",
    "order = [": "order = torch.tensor([",
    "]  # the rows that": "])  # the rows that",
    "np.argsort(": "torch.argsort(",
}
# From all layers forward, then all backward, two neighbours of which were joined, to each layer's own halves.
_JOINED_ANEW = (
    "joined.reshape(L, B, D, -1).swapaxes(1, 2).reshape(D, L, B, -1).swapaxes(0, 1).swapaxes(1, 2).reshape(L, B, -1)"
)

# What a list of states holds, by place: the state's layer, its direction and whether it is h or c.
Entry = tuple[int, Direction, str]


@frozen
class InHand:
    """The one array that holds the states: what fixes call it (`Rule.fix`), and the letters along each of its axes."""

    name: str
    groups: tuple[tuple[str, ...], ...]

    @property
    def letters(self) -> list[str]:
        return [letter for group in self.groups for letter in group]


def array_in_hand(case: Case) -> InHand | None:
    """The array, where one holds every state that was read; None where several do, or its axes are others."""
    axes = case.reading.state_axes
    if case.raw("h") is None or not _LETTERS.fullmatch(axes):
        return None
    groups = tuple(tuple(letter for letter in group if letter in "LDBH") for group in _GROUPS.findall(axes))
    return InHand(_name(case, groups), groups) if ("B",) in groups else None


def turned(case: Case, axis: Literal["L", "D"], remark: str) -> str:
    """The code that turns the states along their layers or their directions; empty where neither one array holds
    several along axes of their own nor a list does."""
    if entries := _listed(case):
        last = case.trace.layers - 1
        other: dict[Direction, Direction] = {"forward": "backward", "backward": "forward"}
        order = [entries.index((last - k, d, what) if axis == "L" else (k, other[d], what)) for k, d, what in entries]
        return _in_order(order, remark)
    held = _whole(case)
    if held is None or axis not in held.letters:
        return ""
    place = held.letters.index(axis)
    step = f".flip({place})" if _of_torch(case) else "[" + ":, " * place + "::-1]"
    return _written(case, held, held.letters, step, remark)


def layer_by_layer(case: Case, remark: str) -> str:
    """The code that brings states that are listed by direction first into the order of layers; empty as in `turned`."""
    if entries := _listed(case):
        directions = list(dict.fromkeys(d for _, d, _ in entries))
        places = {(k, d): divmod(directions.index(d) * case.trace.layers + k, len(directions)) for k, d, _ in entries}
        order = [entries.index((places[k, d][0], directions[places[k, d][1]], what)) for k, d, what in entries]
        return _in_order(order, remark)
    held = _whole(case)
    if held is None or not {"L", "D"} <= set(held.letters):
        return ""
    if ("D", "H") in held.groups:
        return f"joined = {_JOINED_ANEW}  # {remark}" if held.letters[0] == "L" else ""
    place = held.letters.index("L")
    by_direction = [*held.letters[:place], "D", "L", *held.letters[place + 2 :]]
    return _written(case, held, by_direction, f".swapaxes({place}, {place + 1})", remark)


def rows_put_back(case: Case) -> str:
    """The code that puts the rows of all states back from `order`, along the axis on which they stand; empty where a
    framework's code, or the rule's of undecided arrays, takes them to stand just there."""
    if _listed(case):
        return "states = [state[np.argsort(order)] for state in states]"
    held = array_in_hand(case)
    if held is None:
        return ""
    axis, count = held.groups.index(("B",)), len(held.groups)
    as_theirs = axis == 1 and count == 3 if case.convention.stacks_states else held.letters == ["B", "H"]
    if as_theirs if case.reading.evidence.decided else count == 2:
        return ""
    return f"{held.name} = {held.name}[{':, ' * axis}np.argsort(order)]"


def in_torch(case: Case, code: str) -> str:
    """Code for numpy arrays as that for torch's tensors, where these are such."""
    return replaced(code, _TORCH) if _of_torch(case) else code


def _whole(case: Case) -> InHand | None:
    """The array, where it holds more than the top layer's states as one vector a row."""
    return None if case.reading.state_axes in _TOP_ALONE else array_in_hand(case)


def _listed(case: Case) -> list[Entry]:
    """What stands in the list of states in hand, by place; empty where no one list holds the states of every layer and
    direction, h alone or h and c in turn."""
    slots = [slot for slot in case.dump.slots if slot.role in ("h", "c")]
    numbers = [_LISTED.fullmatch(slot.name) for slot in slots]
    if len(slots) < 2 or not all(numbers):
        return []
    placed = {int(number[1]): slot for number, slot in zip(numbers, slots, strict=True) if number is not None}
    if sorted(placed) != list(range(len(slots))):
        return []
    only = case.trace.tracks[0].direction
    entries: list[Entry] = [
        (slot.layer if slot.layer is not None else 0, slot.direction or only, slot.role)
        for _, slot in sorted(placed.items())
    ]
    roles = dict.fromkeys(role for _, _, role in entries)
    every: set[Entry] = {(t.layer, t.direction, role) for t in case.trace.tracks for role in roles}
    return entries if len(set(entries)) == len(entries) and set(entries) == every else []


def _in_order(order: list[int], remark: str) -> str:
    if order == list(range(len(order)))[::-1]:
        return f"states = states[::-1]  # {remark}"
    return f"states = [states[i] for i in {order}]  # {remark}"


def _written(case: Case, held: InHand, letters: list[str], step: str, remark: str) -> str:
    name = held.name
    apart = all(len(group) == 1 for group in held.groups) and letters == held.letters
    viewed = "" if apart else f".reshape({', '.join('-1' if x == 'H' else x for x in letters)})"
    back = ", ".join("-1" if "H" in group else " * ".join(group) for group in held.groups)
    also = f"; {'c_n' if name == 'h_n' else 'c'} likewise" * any(t.cell is not None for t in case.trace.tracks)
    return f"{name} = {name}{viewed}{step}{f'.reshape({back})' if viewed else ''}  # {remark}{also}"


def _name(case: Case, groups: tuple[tuple[str, ...], ...]) -> str:
    """What fixes call an array with these axes (`Rule.fix`); torch's stack has a name of its own."""
    if len(groups) == 2:
        return "h" if groups == (("B",), ("H",)) else "final"
    if ("D", "H") in groups:
        return "joined"
    return "h_n" if _of_torch(case) and groups[0] != ("B",) else "states"


def _of_torch(case: Case) -> bool:
    """Whether these are torch's tensors, which cannot be sliced backwards."""
    return case.convention.name == "torch" and case.reading.evidence.decided
