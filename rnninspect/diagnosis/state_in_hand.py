"""Code that puts back the layers or directions of the very array of states that is in hand, along its own axes.

A framework's code against such a mistake takes the state anew from what its layer returned. Where the array in hand
holds the states of all layers as the layer returned them, it is that array, and taking it so changes nothing.
"""

from __future__ import annotations

from typing import Literal

from rnninspect.core.regex import regex
from rnninspect.diagnosis.case import Case

_GROUPS = regex(r"\(.*?\)|\S+")
_LETTERS = regex(r"[LDBH() ]+")
_NOT_WHOLE = ("B H", "B (D H)")  # one vector a row, of the top layer: what is right stands in the layer's own state


def turned(case: Case, axis: Literal["L", "D"], remark: str) -> str:
    """The code that turns the array along its layers or its directions; empty where no one array holds the states of
    several layers or directions along axes of their own."""
    groups = _groups(case)
    letters = [letter for group in groups for letter in group]
    if axis not in letters:
        return ""
    place = letters.index(axis)
    step = f".flip({place})" if _of_torch(case) else "[" + ":, " * place + "::-1]"
    return _written(case, groups, letters, step, remark)


def layer_by_layer(case: Case, remark: str) -> str:
    """The code that brings an array whose states are listed by direction first into the order of layers; empty as in
    `turned`."""
    groups = _groups(case)
    letters = [letter for group in groups for letter in group]
    place = "".join(letters).find("LD")
    if place < 0:
        return ""
    listed = [*letters[:place], "D", "L", *letters[place + 2 :]]
    return _written(case, groups, listed, f".swapaxes({place}, {place + 1})", remark)


def _groups(case: Case) -> list[list[str]]:
    """The axes of the one array of states, each with the letters that lie along it; none where it is not whole, nor
    where it has as many rows as layers and directions, so that either may lie along its first axis."""
    axes, states = case.reading.state_axes, case.raw("h")
    if states is None or axes in _NOT_WHOLE or not _LETTERS.fullmatch(axes) or states.shape[0] == states.shape[1]:
        return []
    return [[letter for letter in group if letter in "LDBH"] for group in _GROUPS.findall(axes)]


def _written(case: Case, groups: list[list[str]], letters: list[str], step: str, remark: str) -> str:
    name = _name(case, groups)
    apart = all(len(group) == 1 for group in groups) and letters == [group[0] for group in groups]
    viewed = "" if apart else f".reshape({', '.join('-1' if x == 'H' else x for x in letters)})"
    back = ", ".join("-1" if "H" in group else " * ".join(group) for group in groups)
    also = f"; {'c_n' if name == 'h_n' else 'c'} likewise" * any(t.cell is not None for t in case.trace.tracks)
    return f"{name} = {name}{viewed}{step}{f'.reshape({back})' if viewed else ''}  # {remark}{also}"


def _name(case: Case, groups: list[list[str]]) -> str:
    """What fixes call an array with these axes (`Rule.fix`); torch's stack has a name of its own."""
    if len(groups) == 2:
        return "final"
    if ["D", "H"] in groups:
        return "joined"
    return "h_n" if _of_torch(case) and groups[0] != ["B"] else "states"


def _of_torch(case: Case) -> bool:
    """Whether these are torch's tensors, which cannot be sliced backwards."""
    return case.convention.name == "torch" and case.reading.evidence.decided
