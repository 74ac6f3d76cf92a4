"""A pooled state beside outputs, under names that tell neither: read by its numbers, and judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.errors import ShapeError
from tests.support.made import LENGTHS, correct_case

NAMES = [("a", "b"), ("x", "y"), ("arr_0", "arr_1"), ("foo", "bar")]
TRACK = correct_case("gru", 1, 1).trace.tracks[0]
OUTPUTS = np.asarray(TRACK.outputs)
REAL = (np.arange(OUTPUTS.shape[1]) < np.asarray(LENGTHS)[:, None])[..., None]
COUNTS = np.asarray(LENGTHS)[:, None]
POOLS = {
    "maximum": OUTPUTS.max(1),
    "mean": OUTPUTS.mean(1),
    "real maximum": np.where(REAL, OUTPUTS, -np.inf).max(1).astype(OUTPUTS.dtype),
    "real mean": ((OUTPUTS * REAL).sum(1) / np.maximum(COUNTS, 1)).astype(OUTPUTS.dtype),
    "real sum": (OUTPUTS * REAL).sum(1),
    "real minimum": np.where(REAL, OUTPUTS, np.inf).min(1).astype(OUTPUTS.dtype),
    "sum by length": (OUTPUTS.sum(1) / np.maximum(COUNTS, 1)).astype(OUTPUTS.dtype),
}


def _judged(names: tuple[str, str], outputs: Any, state: Any) -> Any:
    return rnninspect.inspect({names[0]: outputs, names[1]: state, "lengths": np.asarray(LENGTHS)})


@pytest.mark.parametrize("names", NAMES, ids="-".join)
@pytest.mark.parametrize("pool", list(POOLS))
def test_a_pool_under_any_name_is_read_and_named(pool: str, names: tuple[str, str]) -> None:
    """Over padding it is an error, over the real steps a note, as under names that tell."""
    report = _judged(names, OUTPUTS, POOLS[pool])
    as_named = _judged(("outputs", "final_state"), OUTPUTS, POOLS[pool])
    assert [(f.rule, f.severity) for f in report.findings] == [(f.rule, f.severity) for f in as_named.findings]
    assert "pooled-state" in [f.rule for f in report.findings]
    assert any(note.startswith(f"{names[1]} [") and "the final state" in note for note in report.notes)


@pytest.mark.parametrize("names", NAMES, ids="-".join)
def test_what_is_no_pool_stays_refused_and_the_state_is_read_as_before(names: tuple[str, str]) -> None:
    """Random numbers, or the minimum, are no state by their numbers; the final state itself is."""
    for other in (np.random.default_rng(0).normal(size=(5, 4)).astype(OUTPUTS.dtype), OUTPUTS.min(1) - 1):
        with pytest.raises(ShapeError):
            _judged(names, OUTPUTS, other)
    assert _judged(names, OUTPUTS, TRACK.final).verdict == "clean"
