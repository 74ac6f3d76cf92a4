"""Two dumps side by side, a piece at a time, are what plain loops over all their numbers find."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

import rnninspect
from rnninspect.core.trace import Array, Direction, Trace, Track, prefix_mask
from rnninspect.measure import difference
from rnninspect.measure.difference import differences, precision

ROWS, STEPS, UNITS = 5, 7, 3
LENGTHS = np.array([7, 1, 4, 0, 6])


def pair(seed: int, direction: Direction = "forward") -> tuple[Trace, Trace]:
    """Two runs that differ in a few numbers, padded ones too, with NaN and infinity in the one, the other or both."""
    rng = np.random.default_rng(seed)
    one = rng.normal(size=(ROWS, STEPS, UNITS)) * 10.0 ** rng.integers(-3, 3)
    other = one.copy()
    for value in (0.5, -1e-9, 3.0, np.nan, np.inf, -np.inf):
        place = rng.integers(ROWS), rng.integers(STEPS), rng.integers(UNITS)
        other[place] = other[place] + value if math.isfinite(value) else value
    one[other == np.inf] = rng.choice([np.inf, 1.0])
    mask = prefix_mask(LENGTHS, STEPS)

    def trace(outputs: Array) -> Trace:
        return Trace(mask, (Track(0, direction, outputs, outputs[:, -1]),), LENGTHS)

    return trace(one), trace(other)


@pytest.mark.parametrize("piece", [1, 10, 1 << 19])
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("seed", range(6))
def test_differences_are_the_loop(seed: int, direction: Direction, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step's largest difference, what is not finite, the first step that differs in the order read, and the
    largest magnitude, however the arrays are cut."""
    monkeypatch.setattr(difference, "PIECE", piece)
    one, other = pair(seed, direction)
    (compared,) = differences(one, other)
    a, b = one.tracks[0].outputs, other.tracks[0].outputs
    assert a is not None
    assert b is not None
    scale = 0.0
    for row in range(ROWS):
        first = -1
        for step in range(STEPS):
            pairs = list(zip(a[row, step].tolist(), b[row, step].tolist(), strict=True))
            gaps = [abs(x - y) if math.isfinite(x) and math.isfinite(y) else 0.0 for x, y in pairs]
            finite = all(math.isfinite(v) for xy in pairs for v in xy)
            assert compared.difference[row, step] == max(gaps)
            assert compared.nonfinite[row, step] == (not finite)
            if step < LENGTHS[row]:
                scale = max([scale, *(abs(v) for xy in pairs for v in xy if finite)])
                if max(gaps) > 0 and (first < 0 or direction == "backward"):
                    first = step
        assert compared.first[row] == first
    assert compared.scale == scale


@pytest.mark.parametrize("piece", [1, 1 << 19])
@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ([0.5, 0.25, 3.0], "bfloat16"),
        ([0.5, 1 + 2.0**-10, np.nan], "float16"),
        ([0.5, 1 + 2.0**-10, 2.0**40], "float32"),
        ([2.0**-20, 2.0**40, 1e-30], "float32"),
        ([0.5, 0.1], "float64"),
        ([np.nan, np.inf], "float64"),
    ],
)
def test_the_lowest_precision_that_holds_all(
    numbers: list[float], name: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single number decides, in whichever piece it lies; NaN and infinity say nothing."""
    monkeypatch.setattr(difference, "PIECE", piece)
    values = np.array(numbers)
    if name == "float32":
        values = values.astype(np.float32).astype(np.float64)
    assert precision(values[:, None]) == name
    assert precision(values[::-1, None]) == name
    if name not in ("float64",):
        assert precision(values.astype(np.float32)[:, None]) == name


@pytest.mark.skipif(sys.platform != "linux", reason="counts a process's pages as Linux does")
def test_large_dumps_are_compared_in_place(tmp_path: Path) -> None:
    """Two mapped files of 128 MiB each take a fraction of that in memory, and nothing twice over."""
    import resource

    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for path in paths:
        np.save(path, np.ones((128, 256, 1024), dtype=np.float32))
    a, b = (np.load(path, mmap_mode="r") for path in paths)
    mask = np.ones((128, 256), dtype=np.bool_)
    traces = [Trace(mask, (Track(0, "forward", o, None),)) for o in (a, b)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (compared,) = differences(*traces)
    assert compared.largest == 0
    assert compared.precisions == ("bfloat16", "bfloat16")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60 << 10


def test_final_states_that_differ_are_told_row_by_row(tmp_path: Path) -> None:
    """Outputs that agree hide no other state: the rows that differ are listed."""
    rng = np.random.default_rng(0)
    outputs = rng.standard_normal((3, 4, 5)).astype(np.float32)
    final = outputs[:, -1].copy()
    other = final.copy()
    other[1, 0] += 0.5
    other[2, 1] -= 0.25
    paths = [tmp_path / "here.npz", tmp_path / "there.npz"]
    for path, h in zip(paths, (final, other), strict=True):
        np.savez(path, outputs=outputs, h=h, lengths=np.array([4, 4, 4]))
    report = rnninspect.compare(paths[0], against=paths[1])
    assert report.comparison is not None
    assert report.comparison["states"] == [
        {"layer": 0, "direction": "forward", "state": "h", "rows": [1, 2], "largest": pytest.approx(0.5)}
    ]
    assert report.comparison["cause"].startswith("the outputs agree and the final states do not")
    assert "final_state.h differs in rows 1-2" in report.render("table", width=200)
