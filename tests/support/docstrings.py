"""What the package's public functions and classes say of themselves, and what they leave out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

ARRAYS = ("Array", "Ints", "Bools", "Floats")  # annotations that are an array by themselves
SHAPE = re.compile(r"`\[[^`\]]*\]`|\[[A-Z][^\]]*\]|`\(?[A-Z0-9, +*]+\)?`")
# Errors that speak of a mistake in this package, or that end a command, and no caller waits for.
OWN = {"AssertionError", "NotImplementedError", "SystemExit", "StopIteration"}
# Verbs by which a summary would tell a story ("Writes the file.") where it is to be an order ("Write the file.").
VERBS = (
    "Adds Answers Builds Closes Compares Computes Counts Cuts Ends Fits Gives Hooks Judges Keeps Learns Lets "
    "Makes Mends Opens Pads Prints Puts Raises Reads Records Refuses Relates Removes Renders Returns Runs Says "
    "Sees Settles Shows Silences Starts Stops Takes Tells Tries Turns Waits Wraps Writes"
)
STORY = re.compile(rf"({'|'.join(VERBS.split())})\b(?! of)")


@dataclass(frozen=True)
class Public:
    """A function, method or class that others may call: where it is, and its docstring."""

    name: str
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    text: str

    def lacks(self) -> list[str]:
        """What the docstring leaves out."""
        if not self.text:
            return [] if _speaks_for_itself(self.node) else ["a docstring"]
        lacking = []
        if not re.match(r"[^\n]+(\n[^\n]+)*?[.:…)](\s|$)", self.text):
            lacking.append("a sentence to begin with")
        if not isinstance(self.node, ast.ClassDef):
            if STORY.match(self.text):
                lacking.append("an imperative")
            if _takes_arrays(self.node) and not SHAPE.search(self.text):
                lacking.append("shapes")
            if _raised(self.node) - OWN and not re.search(r"[Rr]aise|[Rr]efuse|Error\b|Cannot[A-Z]", self.text):
                lacking.append("what it raises")
        return lacking


def public_of(place: str, text: str) -> Iterator[Public]:
    """What a source text offers; methods of classes that fill in a base are described there."""
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not _is_hidden(node):
            yield Public(f"{place}.{node.name}", node, ast.get_docstring(node) or "")
            if isinstance(node, ast.ClassDef) and not node.bases:
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("_"):
                        yield Public(f"{place}.{node.name}.{inner.name}", inner, ast.get_docstring(inner) or "")


def _is_hidden(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Private, or a command of the command line, whose docstring is its help."""
    marks = " ".join(ast.unparse(mark) for mark in node.decorator_list)
    return node.name.startswith("_") or "click.command" in marks or "click.group" in marks


def _speaks_for_itself(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """A class that fills in its base (its module says what it is), an overload, or a property of one line."""
    if isinstance(node, ast.ClassDef):
        return bool(node.bases)
    marks = {ast.unparse(mark).split(".")[-1] for mark in node.decorator_list}
    short = len(node.body) == 1 or isinstance(node.body[0], ast.Assert)
    return "overload" in marks or (short and bool(marks & {"property", "cached_property"}))


def _takes_arrays(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether an argument, or what is returned, is annotated as an array of its own."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    annotations = [ast.unparse(a.annotation) for a in arguments if a.annotation is not None]
    annotations += [ast.unparse(node.returns)] if node.returns is not None else []
    return any(name.removesuffix(" | None") in ARRAYS for name in annotations)


def _raised(node: ast.AST) -> set[str]:
    """The errors that a body raises by name and does not catch itself, functions within it apart."""
    names: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(child, ast.Raise) and child.exc is not None:
            error = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
            names |= {ast.unparse(error).split(".")[-1]} if isinstance(error, ast.Name | ast.Attribute) else set()
        names |= _raised(child)
    return {name for name in names if name[:1].isupper()}
