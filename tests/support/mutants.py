"""Small mistakes in a source text, one a mutant: another operator, a number off by one, a condition turned round.

Only what runs is changed: annotations, docstrings, decorators, messages and what type checkers alone read stay.
"""

from __future__ import annotations

import ast
import copy
import functools
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr, ast.LShift: ast.Add,
}  # fmt: skip
CALLS = {"any": "all", "all": "any", "min": "max", "max": "min", "argmin": "argmax", "argmax": "argmin"}


@dataclass(frozen=True)
class Mutant:
    """One change: the file's path, where it is, and what was put in place of what.

    `number`: which change of the file it is, counted over all of them.
    """

    file: str
    number: int
    line: int
    before: str
    after: str

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}: `{self.before}` -> `{self.after}`"


def mutants_of(file: str, text: str) -> list[Mutant]:
    """Every mutant of a source text.

    >>> [(m.before, m.after) for m in mutants_of("a.py", "def f(x: int = 0) -> bool:\\n    return x < 2\\n")]
    [('0', '1'), ('x < 2', 'x <= 2'), ('2', '3')]
    """
    return [
        Mutant(file, number, site.line, site.before, site.after) for number, site in enumerate(_sites(ast.parse(text)))
    ]


def mutated(text: str, mutant: Mutant) -> ast.Module:
    """The source's tree with that one change; every node stands where it stood."""
    tree = ast.parse(text)
    list(_sites(tree))[mutant.number].apply()
    return ast.fix_missing_locations(tree)


def swap_in(path: str, tree: ast.Module) -> bool:
    """Gives this process's functions of a module that is imported the code of another tree of it.

    `path`: the module's file. False where the change is not within a function, so that only importing the module anew
    would show it. What functions have cached is forgotten.
    """
    bodies = {_place(code): code for code in _codes(compile(tree, path, "exec"))}
    old = [body for body in gc.get_objects() if isinstance(body, FunctionType) and body.__code__.co_filename == path]
    changed = [body for body in old if not _alike(body.__code__, bodies.get(_place(body.__code__)))]
    for body in changed:
        body.__code__ = bodies[_place(body.__code__)]
    for cached in gc.get_objects():
        if isinstance(cached, functools._lru_cache_wrapper):
            cached.cache_clear()
    return bool(changed)


def _place(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _alike(code: CodeType, other: CodeType | None) -> bool:
    """Whether two bodies do the same; one that is gone is left as it was."""
    if other is None:
        return True
    if (code.co_code, code.co_names, len(code.co_consts)) != (other.co_code, other.co_names, len(other.co_consts)):
        return False
    for one, two in zip(code.co_consts, other.co_consts, strict=True):
        if isinstance(one, CodeType) and isinstance(two, CodeType):
            if not _alike(one, two):
                return False
        elif (type(one), repr(one)) != (type(two), repr(two)):
            return False
    return True


@dataclass(frozen=True)
class _Site:
    line: int
    before: str
    after: str
    apply: Callable[[], None]


def _sites(node: ast.AST) -> Iterator[_Site]:
    """Every change that can be made within a node, in the order of the text."""
    for name, held in ast.iter_fields(node):
        if not _runs(node, name):
            continue
        for place, child in enumerate(held) if isinstance(held, list) else [(None, held)]:
            if isinstance(child, ast.AST) and not _is_told(child):
                yield from (_site(node, name, place, child, other) for other in _others(child))
                yield from _sites(child)


def _site(parent: ast.AST, field: str, place: int | None, child: ast.AST, other: ast.AST) -> _Site:
    def apply() -> None:
        if place is None:
            setattr(parent, field, other)
        else:
            getattr(parent, field)[place] = other

    before, after = (ast.unparse(node).strip().splitlines()[0] for node in (child, other))
    return _Site(getattr(child, "lineno", getattr(parent, "lineno", 0)), before, after, apply)


def _runs(node: ast.AST, field: str) -> bool:
    """Whether what a field holds is computed for the sake of its outcome."""
    if isinstance(node, ast.Raise | ast.Assert):
        return False
    if field == "keywords":
        return isinstance(node, ast.Call)
    return field not in ("annotation", "returns", "decorator_list", "bases", "type_params")


def _is_told(node: ast.AST) -> bool:
    """A docstring, a message put together from pieces, or what only a type checker reads."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name):
        return node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """A copy of a node with other fields."""
    other = copy.copy(node)
    for name, held in fields.items():
        setattr(other, name, held)
    return other


def _others(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in place of a node."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        yield _with(node, ops=[COMPARISONS[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in ARITHMETIC:
        yield _with(node, op=ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        yield ast.Constant(not node.value if isinstance(node.value, bool) else _next(node.value))
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield _with(node, ifs=[ast.UnaryOp(ast.Not(), node.ifs[0]), *node.ifs[1:]])
    elif isinstance(node, ast.Name) and node.id in CALLS:
        yield _with(node, id=CALLS[node.id])
    elif isinstance(node, ast.Attribute) and node.attr in CALLS:
        yield _with(node, attr=CALLS[node.attr])
    elif isinstance(node, ast.Continue | ast.Break):
        yield ast.Break() if isinstance(node, ast.Continue) else ast.Continue()


def _next(number: float) -> float:
    """Another number: the next whole one, or twice as much."""
    return number + 1 if isinstance(number, int) else number * 2 or 1.0
