"""A run that stopped before the stated lengths, by steps or by a ratio, and repeats its last step from there on."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect
from tests.support.made import correct_case

LENGTHS = [[9, 3, 6, 1, 7], [8, 3, 6, 4, 7, 5], [10, 2, 9, 5]]


def repeated(cell: str, lengths: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs `[B, T, H]` of a run over these lengths, each row's last step repeated, and the state."""
    track = correct_case(cell, lengths=lengths, steps=steps).trace.tracks[0]
    assert track.outputs is not None
    assert track.final is not None
    last = np.minimum(np.arange(steps)[None], lengths[:, None] - 1)
    return np.take_along_axis(track.outputs, last[..., None], 1), track.final


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(
    ("way", "rule"),
    [
        ("right", ""),
        ("half, rounded up", "lengths-rescaled"),
        ("half, rounded down", "lengths-rescaled"),
        ("one less", "off-by-one-length"),
        ("two less", "off-by-one-length"),
    ],
)
def test_where_the_outputs_stop_is_told(cell: str, lengths: list[int], way: str, rule: str) -> None:
    """The one cause that says how far the run went, rows of one step included; the right run is not accused."""
    counts = np.array(lengths)
    ran = {
        "right": counts,
        "half, rounded up": -(-counts // 2),
        "half, rounded down": np.maximum(counts // 2, 1),
        "one less": np.maximum(counts - 1, 1),
        "two less": np.maximum(counts - 2, 1),
    }[way]
    outputs, state = repeated(cell, ran, max(lengths))
    report = rnninspect.inspect(outputs, state, lengths=counts, convention="keras", direction="forward")
    assert [f.rule for f in report.findings if f.severity == "error"] == ([rule] if rule else [])
