"""A rule's own code as the user's program can run it: under the framework's names, with what it takes for granted made.

Rules write their code on plain arrays (`Rule.fix`). Two halves that came in one array, or a mask where lengths were
given, are made before they are used.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from rnninspect.conventions.fixes.fitting import replaced
from rnninspect.core.evidence import Role
from rnninspect.core.regex import regex
from rnninspect.diagnosis.case import Case

_LIKEWISE = regex(r"(?:  # |; )c(?:_n)? likewise$")
_OF_C: Mapping[str, str] = {"h": "c", "h_n": "c_n", "states": "cells"}
_BESIDE = regex(rf"\b({'|'.join(_OF_C)})(_fw|_bw)?\b")
HALVES = ("outputs_fw", "outputs_bw")
APART = "outputs_apart"  # outputs with an axis for their directions
# Arrays of the states of all layers, by their role; a list of states that is in hand is called so too.
_STACKS: Mapping[str, Role] = {"states": "h", "cells": "c"}


def in_own_names(case: Case, code: str) -> str:
    """Plain code with its halves and its mask made first, and in the words of the framework believed, if one is."""
    if not code:
        return ""
    code = _with_c(case, code)
    made = [line for name, line in _makings(case) if name in _taken_for_granted(code)]
    whole = "\n".join([*dict.fromkeys(made), code])
    if not case.reading.evidence.decided:
        return whole
    called, bound = replaced(whole, case.convention.own_calls), _bound(code)
    for name, theirs in case.convention.own_names.items():
        if name not in bound or _is_returned(case, name, theirs):
            called = _renamed(called, name, theirs)
    return called


def _is_returned(case: Case, name: str, theirs: str) -> bool:
    """Whether an array that code changes is what the layer itself returns under the framework's name; the states of all
    layers in one array are so where it stacks them, and one that is in hand where it has that name."""
    if name not in _STACKS:
        return True
    named = any(slot.role == _STACKS[name] and slot.name == theirs for slot in case.dump.slots)
    stacked = case.convention.stacks_states and case.convention.keeps_states_apart
    by_layer = case.raw(_STACKS[name]) is not None and not case.reading.state_axes.startswith("B")
    return named or (stacked and by_layer)


def _with_c(case: Case, code: str) -> str:
    """Code for h that holds "c likewise", with a line for c below it, where the dump has one."""
    has_c, lines = any(track.cell is not None for track in case.trace.tracks), []
    for line in code.split("\n"):
        too = _LIKEWISE.search(line)
        of_h = line[: too.start()] if too else line
        of_c = _BESIDE.sub(lambda m: f"{_OF_C[m[1]]}{m[2] or ''}", of_h.partition("  # ")[0]) if too and has_c else ""
        if not of_c or (of_h.startswith("states =") and case.raw("h") is None):
            lines.append(of_h)  # there is no c, or it is in the same list
        else:
            lines += [of_h, of_c] if of_c != of_h.partition("  # ")[0] else [line]
    return "\n".join(lines)


def _makings(case: Case) -> list[tuple[str, str]]:
    """What code may take for granted and a program need not have, and the line that makes it."""
    lines, axes = [], case.reading.outputs_axes.split()
    if "D" in axes:
        name = case.convention.own_names.get(APART, "outputs") if case.reading.evidence.decided else "outputs"
        one, two = (f"{name}[{':, ' * axes.index('D')}{place}]" for place in (0, 1))
        lines = [("outputs", f"outputs = {one}")]
        lines += [(half, f"outputs_fw, outputs_bw = {one}, {two}") for half in HALVES]
    elif not any(slot.role == "outputs" and slot.direction is not None for slot in case.dump.slots):
        lines = [(half, "outputs_fw, outputs_bw = np.split(outputs, 2, axis=-1)") for half in HALVES]
    if not case.trace.mask_given and case.trace.knows_padding:
        lines.append(("mask", "mask = np.arange(T) < lengths[:, None]"))
    return lines


def _taken_for_granted(code: str) -> set[str]:
    """The names that code reads before it binds them."""
    bound: set[str] = set()
    needed: set[str] = set()
    for statement in ast.parse(code).body:
        names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
        needed |= {node.id for node in names if isinstance(node.ctx, ast.Load)} - bound
        bound |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return needed


def _bound(code: str) -> set[str]:
    names = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name))
    return {node.id for node in names if isinstance(node.ctx, ast.Store)}


def _renamed(code: str, name: str, theirs: str) -> str:
    """Code with an array under another name; in remarks where they index it, as prose has the word too."""
    lines = []
    for line in code.split("\n"):
        done, mark, remark = line.partition("  # ")
        lines.append(re.sub(rf"\b{name}\b", theirs, done) + mark + re.sub(rf"\b{name}\b(?=[\[.])", theirs, remark))
    return "\n".join(lines)
