"""Whether code that names a tensor depends on its numbers: its shape, a fresh tensor like it or a print does not."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

Parents = Mapping[ast.AST, ast.AST]

# Of a tensor, what is the same whatever it holds; and functions of it that are, or whose result no model returns.
_ABOUT = {"shape", "device", "dtype", "ndim", "requires_grad", "is_cuda", "layout", "names", "size", "dim", "numel"}
_ABOUT |= {"new", "new_zeros", "new_ones", "new_empty", "new_full", "new_tensor", "get_device", "nelement"}
_APART = {"zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randint_like"}
_APART |= {"len", "id", "print", "str", "repr", "float", "int", "bool"}
_APART |= {"debug", "info", "warning", "log", "add_scalar", "add_histogram"}
_OUT = {"item", "tolist"}  # methods that hand numbers to Python, as for a log


def reads_values(name: ast.AST, scope: ast.AST, parents: Parents) -> bool:
    """Whether what the name stands for matters there, within that function.

    >>> tree = ast.parse("y = h.new_zeros(h.shape[1]); z = h + 1")
    >>> above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    >>> [reads_values(n, tree, above) for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "h"]
    [True, False, False]
    """
    if isinstance(getattr(name, "ctx", None), ast.Del):
        return False
    return not any(_is_apart(below, above) for below, above in _upwards(name, scope, parents))


def goes_with(name: ast.AST, others: set[str], scope: ast.AST, parents: Parents) -> bool:
    """Whether it is only handed on there together with one of these others, to a function or in a container: which of
    them is used is not seen."""
    parent = parents[name]
    if isinstance(parent, ast.keyword):
        name, parent = parent, parents[parent]
    if not isinstance(parent, (ast.Call, ast.Dict, ast.Tuple, ast.List)) or (
        isinstance(parent, ast.Call) and parent.func is name
    ):
        return False
    if any(isinstance(above, ast.Return) and isinstance(parent, (ast.Tuple, ast.List)) for above in [parents[parent]]):
        return False
    beside = {node.id for part in ast.iter_child_nodes(parent) for node in ast.walk(part) if isinstance(node, ast.Name)}
    return bool(beside & others)


def _upwards(node: ast.AST, scope: ast.AST, parents: Parents) -> Iterator[tuple[ast.AST, ast.AST]]:
    while node is not scope and node in parents:
        yield node, parents[node]
        node = parents[node]


def _is_apart(below: ast.AST, above: ast.AST) -> bool:
    """Whether what stands below cannot matter to what the node above gives on."""
    if isinstance(above, ast.Attribute):
        return above.attr in _ABOUT | _OUT
    return isinstance(above, ast.Call) and below is not above.func and _called(above) in _APART


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
