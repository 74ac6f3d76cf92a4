"""Code that puts right the very states that are in hand, along their own axes or in their own list.

A framework's code against such a mistake takes the state anew from what its layer returned. Where the array in hand
holds the states of all layers as the layer returned them, it is that array, and taking it so changes nothing.
"""

from __future__ import annotations

from typing import Literal

from rnninspect.core.frozen import frozen
from rnninspect.core.regex import regex
from rnninspect.core.trace import Direction
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import gathered, within_lengths

_GROUPS = regex(r"\(.*?\)|\S+")
_LETTERS = regex(r"[LDBH() ]+")
_LISTED = regex(r"(.+?)\.(\d+)(?:\.([01]))?")  # `final_state.1`: the second of a list; `.1.0`: of a list of pairs
_TOP_ALONE = ("B H", "B (D H)")  # one vector a row, of the top layer: what is right stands in the layer's own state

# From all layers forward, then all backward, two neighbours of which were joined, to each layer's own halves.
_JOINED_ANEW = (
    "joined.reshape(L, B, D, -1).swapaxes(1, 2).reshape(D, L, B, -1).swapaxes(0, 1).swapaxes(1, 2).reshape(L, B, -1)"
)

# What a list of states holds, by place: the state's layer, its direction and whether it is h, c or a pair of both.
Entry = tuple[int, Direction, str]
PAIR = "pair"


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
    if entries := _listed(case):
        each = (
            "tuple(part[np.argsort(order)] for part in state)" if entries[0][2] == PAIR else "state[np.argsort(order)]"
        )
        return f"states = [{each} for state in states]"
    held = array_in_hand(case)
    if held is None:
        return ""
    axis, count = held.groups.index(("B",)), len(held.groups)
    as_theirs = axis == 1 and count == 3 if case.convention.stacks_states else held.letters == ["B", "H"]
    if as_theirs if case.reading.evidence.decided else count == 2:
        return ""
    return f"{held.name} = {held.name}[{':, ' * axis}np.argsort(order)]"


def halves_apart(case: Case) -> dict[Direction, str]:
    """What fixes call each direction's states, where they are an array `[1, B, H]` of their own each; else empty."""
    slots = [slot for slot in case.dump.slots if slot.role == "h"]
    apart = sorted(str(slot.direction) for slot in slots) == ["backward", "forward"]
    alone = all(slot.array.ndim == 3 and slot.array.shape[:2] == (1, case.trace.batch_size) for slot in slots)
    return {"forward": "h_fw", "backward": "h_bw"} if apart and alone else {}


def halves_put_back(*names: str) -> str:
    """The code that puts the rows of these arrays `[1, B, H]` back from `order`."""
    return f"{', '.join(names)} = {', '.join(f'{name}[:, np.argsort(order)]' for name in names)}"


def top_placed(case: Case, code: str) -> str:
    """The code that takes the top layer's `h` `[B, D*H]` from the outputs, as `code` does, and puts it in its place in
    the states in hand; empty where these are one state, or one is off that is in no output."""
    top = case.trace.layers - 1
    if within_lengths(case, "") or any(f.mismatched.any() and f.track.layer != top for f in case.facts):
        return ""  # a pass that read the padding first ends in no output of a right run
    if len(case.trace.tracks) == 1:
        return ""
    held, entries = _whole(case), _listed(case)
    placed = f"states = {_list_with_top(entries, top)}" if entries and entries[0][2] != PAIR else ""
    if held is not None and (array := _array_with_top(held, case.trace.directions)):
        placed = f"{held.name} = {array}"
    if not placed:
        return ""
    also = "; its c only a new run gives" * any(t.cell is not None for t in case.trace.tracks)
    return f"{code}\n{placed}  # of the top layer{also}"


def taken_at(case: Case, index: str) -> str:
    """The code `index`, which says what `last_index` is, and that which takes the top layer's states there, each in its
    place; empty where other states are off too, or the outputs end in none of a right run."""
    code = gathered(case, "h = outputs[np.arange(B), lengths - 1]")
    others = any(f.mismatched.any() and f.track.layer < case.trace.layers - 1 for f in case.facts)
    if others or within_lengths(case, "") or "lengths - 1" not in code:
        return ""
    return f"{index}\n{(top_placed(case, code) or code).replace('lengths - 1', 'last_index')}"


def _array_with_top(held: InHand, directions: int) -> str:
    """The expression of the array with `h` in the place of the top layer's states; empty of other axes than these."""
    kept, by_row = f":-{directions}", f"h.reshape(B, {directions}, -1)"
    stack = "h[None]" if directions == 1 else f"{by_row}.swapaxes(0, 1)"
    axes = " ".join("".join(group) for group in held.groups)
    parts = {
        **dict.fromkeys(("LD B H", "L B H", "D B H"), (kept, stack, 0)),
        "L D B H": (":-1", f"{stack}[None]", 0),
        "L B DH": (":-1", "h[None]", 0),
        **dict.fromkeys(("B LD H", "B L H", "B D H"), (f":, {kept}", by_row, 1)),
        "B L DH": (":, :-1", "h[:, None]", 1),
        **dict.fromkeys(("B LDH", "B LH"), (":, :-h.shape[1]", "h", 1)),
    }
    if axes not in parts:
        return ""
    below, top, axis = parts[axes]
    return f"np.concatenate([{held.name}[{below}], {top}], axis={axis})"


def _list_with_top(entries: list[Entry], top: int) -> str:
    """The expression of the list with `h` in the place of the top layer's states."""
    directions = list(dict.fromkeys(d for _, d, _ in entries))
    halves = {d: f"np.split(h, 2, axis=-1)[{i}]" if len(directions) == 2 else "h" for i, d in enumerate(directions)}
    parts, start = [], 0
    for place, (layer, direction, what) in enumerate(entries):
        if layer == top and what == "h":
            parts += [f"*states[{start}:{place}]"] * (place > start) + [halves[direction]]
            start = place + 1
    rest = [f"*states[{start}:]"] * (start < len(entries))
    return f"[{', '.join([*parts, *rest])}]"


def _whole(case: Case) -> InHand | None:
    """The array, where it holds more than the top layer's states as one vector a row, or nobody says whose it is."""
    alone = case.reading.state_axes in _TOP_ALONE and case.reading.evidence.decided
    return None if alone else array_in_hand(case)


def _listed(case: Case) -> list[Entry]:
    """What stands in the list of states in hand, by place; empty where no one list holds the states of every layer and
    direction: h alone, h and c in turn, or pairs of both."""
    slots = [slot for slot in case.dump.slots if slot.role == "h" or (slot.role == "c" and "." in slot.name)]
    names = [_LISTED.fullmatch(slot.name) for slot in slots]
    if len(slots) < 2 or not all(names) or len({name[1] for name in names if name}) > 1:
        return []
    in_pairs, only, placed = all(name[3] for name in names if name), case.trace.tracks[0].direction, {}
    for name, slot in zip(names, slots, strict=True):
        assert name is not None
        placed[int(name[2])] = (slot.layer or 0, slot.direction or only, PAIR if in_pairs else slot.role)
    entries: list[Entry] = [entry for _, entry in sorted(placed.items())]
    every = {(t.layer, t.direction, what) for t in case.trace.tracks for what in {what for _, _, what in entries}}
    whole = sorted(placed) == list(range(len(every))) and set(entries) == every
    return entries if whole and len(every) == len(slots) // (1 + in_pairs) else []


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
