"""The two worked examples as correct cases, run on the spot: where `demo` and the tests plant their mistakes."""

from __future__ import annotations

from typing import Literal

from rnninspect import cases, conventions, samples
from rnninspect.case import Case
from rnninspect.conventions.base import Statement
from rnninspect.formats import read_arrays

FILES = {
    "single": ("published.npz", "weights.npz"),
    "bidirectional": ("bidirectional.npz", "bidirectional_weights.npz"),
}


def case(example: Literal["single", "bidirectional"]) -> Case:
    """The example's inputs run with its weights (imports torch): everything that a rule may look at is there."""
    data, weights = FILES[example]
    arrays = read_arrays(samples.path(data)).arrays
    said = Statement(cell="lstm", direction="bidirectional" if example == "bidirectional" else None)
    made = conventions.get("tf1").read_weights(read_arrays(samples.path(weights)).arrays, said)
    given = {name: arrays[name] for name in ("inputs", "lengths")}
    return cases.run_case(given, said, "tf1", weights=made)
