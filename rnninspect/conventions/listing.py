"""The recurrent layers that a file holds: their names, as a user picks one, and their sizes in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rnninspect.conventions.base import Statement
from rnninspect.conventions.scopes import Scope
from rnninspect.errors import UnknownNameError, UserError
from rnninspect.trace import Array

if TYPE_CHECKING:
    from rnninspect.conventions.stacks import ScopedConvention

# The part of a scope's name from which on it speaks of one direction or cell within a layer.
_INNER = re.compile(r"(forward|backward|fw|bw)(_\w+)?|(\w+_)?cells?(_\d+)?")


def layer_of(scope: str) -> str:
    """The name of the layer, or of the whole stack, that a cell's scope lies in.

    >>> layer_of("layers/bidirectional/forward_layer/cell"), layer_of("rnn/multi_rnn_cell/cell_0/lstm_cell")
    ('layers/bidirectional', 'rnn')
    >>> layer_of("encoder.lstm"), layer_of("cell")
    ('encoder.lstm', 'cell')
    """
    end = 0
    for part in re.finditer(r"[^/.]+", scope):
        if _INNER.fullmatch(part[0]) and end:
            break
        end = part.end()
    return scope[:end]


def listing(convention: ScopedConvention, scopes: Iterable[Scope]) -> list[str]:
    """One line a layer (a stack under one name is one): its name, cell and sizes."""
    by_name: dict[str, list[Scope]] = {}
    for scope in scopes:
        by_name.setdefault(layer_of(scope.name), []).append(scope)
    return [f"{name or 'unnamed'}: {_sizes(convention, found)}" for name, found in by_name.items()]


def _sizes(convention: ScopedConvention, scopes: list[Scope]) -> str:
    """`lstm, 2 layers, both directions, 3 features, 5 units`; what cannot be read of it is said instead."""
    cells = [convention.cell_of(scope) or "lstm" for scope in scopes]
    try:
        read = [
            convention.read_layer(scope, convention.spec_of([scope], cell, Statement()), 0, "forward")
            for scope, cell in zip(scopes, cells, strict=True)
        ]
    except UserError as error:
        return str(error)
    directions = len({scope.direction for scope in scopes})
    layers = len(scopes) // directions
    said = [" and ".join(dict.fromkeys(cells))]
    said += [f"{layers} layers"] if layers > 1 else []
    said += ["both directions"] if directions > 1 else []
    return ", ".join([*said, f"{read[0].features} features", f"{read[-1].units} units"])


def several(convention: ScopedConvention, scopes: Iterable[Scope], reason: str) -> UserError:
    """The error that says why one layer must be picked, with every layer as a note of its own."""
    error = UserError(f"{reason}; pick one with --weights-prefix:")
    for line in listing(convention, scopes):
        error.add_note(line)
    return error


def pick(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The arrays of the layer that `prefix` names: whole parts of their names, at the beginning or further in.

    `lstm_1` picks `layers/lstm_1/cell/kernel`, and not `lstm_10/…`; a beginning that ends within a part is taken where
    no whole parts fit. Raises UnknownNameError with the layers that there are.

    >>> list(pick({"a.lstm.weight_ih_l0": 0, "a.lstm_1.weight_ih_l0": 0, "b": 0}, "lstm"))
    ['a.lstm.weight_ih_l0']
    """
    wanted = "/".join(_parts(prefix))
    paths = {name: "/".join(_parts(name)) for name in arrays}
    for fits in (
        lambda path: f"{path}/".startswith(f"{wanted}/"),
        lambda path: f"/{wanted}/" in f"/{path}/",
        lambda path: path.startswith(wanted),
    ):
        picked = {name: array for name, array in arrays.items() if fits(paths[name])}
        if picked and wanted:
            return picked
    known = dict.fromkeys(
        layer_of(name.rpartition("/")[0] if "/" in name else name.rpartition(".")[0]) for name in arrays
    )
    raise UnknownNameError("layer for --weights-prefix", prefix, [name for name in known if name] or list(arrays))


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"[/.]", name) if part]
