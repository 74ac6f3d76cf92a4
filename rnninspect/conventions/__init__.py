"""Named arrays <-> Readings, Batch, Trace, Weights. A new file with a CONVENTION is a new framework."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from functools import cache

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.frameworks import Hints, likeliest
from rnninspect.core.evidence import Origin
from rnninspect.core.modules_in import modules_in
from rnninspect.core.trace import Array
from rnninspect.errors import UnknownNameError


@cache
def conventions() -> dict[str, Convention]:
    """Every convention by its name, tf1 first (the project's own question), then by name."""
    by_name: dict[str, Convention] = {}
    for module in modules_in(__path__):
        convention = getattr(importlib.import_module(f"{__name__}.{module}"), "CONVENTION", None)
        if convention is not None:
            by_name[convention.name] = convention
    return dict(sorted(by_name.items(), key=lambda item: (item[0] != "tf1", item[0])))


def get(name: str) -> Convention:
    """The convention of that name; UnknownNameError lists the known ones."""
    by_name = conventions()
    if name not in by_name:
        raise UnknownNameError("convention", name, list(by_name))
    return by_name[name]


def of_dump(names: Iterable[str], origin: Origin | None = None) -> list[Convention]:
    """The frameworks whose arrays these likely are, by their names and where they come from, the best first."""
    beliefs = likeliest(conventions(), Hints(tuple(names), origin or Origin()))
    return [get(belief.name) for belief in beliefs]


def of_weights(weights: Iterable[str] | Mapping[str, Array]) -> list[Convention]:
    """The conventions whose variable names these look like, the likelier first; empty where there is none.

    Of arrays by name, those that make whole cells count: names of other things in a checkpoint may look like anyone's.
    """
    listed = tuple(weights)
    owners = sorted((c for c in conventions().values() if c.owns_weights(listed)), key=lambda c: c.borrows_names)
    if len(owners) < 2 or not isinstance(weights, Mapping):
        return owners
    whole = {c.name: c.whole_cells(weights) for c in owners}
    most = max(whole.values())
    return sorted((c for c in owners if whole[c.name] or not most), key=lambda c: -whole[c.name])
