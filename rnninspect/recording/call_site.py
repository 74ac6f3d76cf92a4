"""Whether the code that called a layer uses the state that it returned: read off the program, nothing is run.

`output, _ = self.rnn(x)` drops it, where no later line reads `_`; `self.rnn(x)[0]` drops it too. What cannot be read
(no source, a call within another function's machinery) is not known.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from types import CodeType
from typing import Literal

from rnninspect.core.wording import argument, worded
from rnninspect.recording.value_use import goes_with, reads_values

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Module)
# `perhaps`: it is read under a condition alone; `unknown`: the program cannot be read.
Use = Literal["dropped", "perhaps", "used", "unknown"]
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


@dataclass(frozen=True)
class Site:
    """One call in a program: the code that it stands in, and at which of its instructions."""

    code: CodeType
    instruction: int

    @property
    def state_is(self) -> Use:
        """What becomes there of the second of the values that the call returned."""
        return _use(self.code, self.instruction)


def caller(*packages: str) -> Site | None:
    """Where the code that is running was called from: the innermost frame outside these packages, if there is one.

    A frame of theirs that calls on behalf of a program (a container of layers) is not looked behind.
    """
    frame = sys._getframe(1)
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in ("rnninspect", *packages) and not frame.f_code.co_filename.startswith("<frozen"):
            return Site(frame.f_code, frame.f_lasti)
        if frame.f_code.co_name == "forward" and package in packages:
            return None
        frame = frame.f_back  # type: ignore[assignment]
    return None


def why_unseen(use: Use, packed: bool, name: str) -> str:
    """Why a call of the layer of that name is open whose state the program does not use, or not always."""
    layer, what = "the layer read the padding", "which of its outputs your code takes"
    if packed:
        layer, what = "the layer itself is right", "what your code takes from its outputs"
    used = "not used" if use == "dropped" else "used in some case"
    return f"{layer}, and its h_n is {used}: {what} cannot be seen; {worded(argument('final_state_of', name))}"


@cache
def _use(code: CodeType, instruction: int) -> Use:
    variable = _found(code, instruction)
    if variable is None:
        return "unknown"
    call, parents = variable
    parent = parents[call]
    if isinstance(parent, ast.Subscript) and parent.value is call:
        return "dropped" if _first_alone(parent) else "used"
    if not (isinstance(parent, ast.Assign) and len(parent.targets) == 1):
        return "used"  # what a bare call returns is nobody's, the outputs too: then all of it is looked at
    target = parent.targets[0]
    scope = _scope(parent, parents)
    if isinstance(target, (ast.Tuple, ast.List)) and len(target.elts) == 2:
        names = _names(target.elts[1])
        if names is None:
            return "used"
        outputs = set(_names(target.elts[0]) or ())
        uses = [_reading(name, outputs, parent, scope, parents) for name in names]
        return max(uses, key=("dropped", "perhaps", "used").index, default="dropped")
    if isinstance(target, ast.Name):
        whole = [n for n in ast.walk(scope) if isinstance(n, ast.Name) and n.id == target.id and _loads(n)]
        return "dropped" if all(_is_first_alone(n, parents[n]) for n in whole) else "used"
    return "used"


def _found(code: CodeType, instruction: int) -> tuple[ast.Call, dict[ast.AST, ast.AST]] | None:
    """The call of that instruction in its file's syntax tree, and every node's parent."""
    place = list(code.co_positions())[instruction // 2]
    tree = _tree(code.co_filename)
    if tree is None or None in place:
        return None
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset) == place:
            return node, parents
    return None


@cache
def _tree(path: str) -> ast.Module | None:
    source = "".join(linecache.getlines(path))
    try:
        return ast.parse(source) if source else None
    except (SyntaxError, ValueError):
        return None


def _is_first_alone(value: ast.AST, parent: ast.AST) -> bool:
    return isinstance(parent, ast.Subscript) and parent.value is value and _first_alone(parent)


def _first_alone(subscript: ast.Subscript) -> bool:
    return isinstance(subscript.slice, ast.Constant) and subscript.slice.value == 0


def _names(target: ast.AST) -> list[str] | None:
    """The names of an assignment's target; None where it is more than names (an attribute, an item)."""
    if isinstance(target, ast.Starred):
        return _names(target.value)
    if isinstance(target, ast.Name):
        return [target.id]
    if isinstance(target, (ast.Tuple, ast.List)):
        parts = [_names(part) for part in target.elts]
        return None if None in parts else [name for part in parts for name in part or ()]
    return None


def _scope(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.AST:
    while not isinstance(node, _FUNCTIONS):
        node = parents[node]
    return node


def _loads(name: ast.Name) -> bool:
    return not isinstance(name.ctx, ast.Store)


def _reading(name: str, outputs: set[str], assigned: ast.AST, scope: ast.AST, parents: dict[ast.AST, ast.AST]) -> Use:
    """Whether that name's numbers are read, in its function, before it is assigned again; perhaps, where they are only
    handed on together with the `outputs`.

    Followed line by line where the statements after it stand in one block outside any loop; else any reading counts.
    """
    if isinstance(scope, ast.Module):
        return "used"  # whoever imports it, or a later cell of a notebook, may read it
    nodes = list(ast.walk(scope))
    if any(isinstance(n, (ast.Global, ast.Nonlocal)) and name in n.names for n in nodes):
        return "used"
    readings = [n for n in nodes if isinstance(n, ast.Name) and n.id == name and _loads(n)]
    around = set(_above(assigned, scope, parents))
    if readings and not any(isinstance(node, _LOOPS) for node in around):
        readings = _until_assigned(name, assigned, scope, parents, readings)
    readings = [n for n in readings if reads_values(n, scope, parents)]
    if not readings:
        return "dropped"
    alone = [n for n in readings if not goes_with(n, outputs, scope, parents)]
    always = [n for n in alone if not _conditional(n, scope, parents, around)]
    return "used" if always else "perhaps"


def _conditional(node: ast.AST, scope: ast.AST, parents: dict[ast.AST, ast.AST], around: set[ast.AST]) -> bool:
    """Whether it stands under a condition that the assignment, which stands within `around`, does not; or behind one
    under which the function may have ended.
    """

    def under(one: ast.AST) -> bool:
        chain = [one, *_above(one, scope, parents)]
        return any(above not in around and _may_skip(above, below) for below, above in pairwise(chain))

    ends = [n for n in ast.walk(scope) if isinstance(n, (ast.Return, ast.Raise, ast.Break, ast.Continue))]
    line = getattr(node, "lineno", 0)
    return under(node) or any(end.lineno < line and under(end) for end in ends)


def _may_skip(above: ast.AST, below: ast.AST) -> bool:
    """Whether the one may run without that part of it."""
    if isinstance(above, (ast.If, ast.IfExp)):
        return below is not above.test
    if isinstance(above, ast.BoolOp):
        return below is not above.values[0]
    if isinstance(above, ast.Try):
        return below not in above.body
    return isinstance(above, ast.match_case)


def _above(node: ast.AST, scope: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    while node is not scope:
        node = parents[node]
        yield node


def _until_assigned(
    name: str, assigned: ast.AST, scope: ast.AST, parents: dict[ast.AST, ast.AST], readings: list[ast.Name]
) -> list[ast.Name]:
    """Those of the readings that come before the name is assigned anew; all, where that is not in the same block."""
    block = getattr(parents[assigned], "body", [])
    if not isinstance(block, list) or assigned not in block:
        return readings
    seen: list[ast.Name] = []
    for statement in block[block.index(assigned) + 1 :]:
        uses = [n for n in ast.walk(statement) if isinstance(n, ast.Name) and n.id == name]
        seen += [n for n in uses if _loads(n)]
        if any(not _loads(n) for n in uses) and isinstance(statement, ast.Assign):
            return seen
    return seen if parents[assigned] is scope else readings
