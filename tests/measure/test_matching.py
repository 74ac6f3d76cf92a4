"""Matching against plain loops: equal steps, zero steps, nearest steps, and the search across rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnninspect.core import tiles
from rnninspect.core.trace import Array
from rnninspect.measure import bits, matching
from rnninspect.measure.nearest import Nearest, near_steps, nearest_steps
from rnninspect.measure.scan import scan

TILES = [1, 300, 1 << 22]  # bytes: a step at a time, a few steps, all at once
LAYOUTS = ["batch-major", "time-major", "half of the units", "time-major, half of the units"]


def equal_loop(a: Array, b: Array) -> bool:
    """Value for value, one number at a time: -0 equals 0, NaN equals NaN."""
    return all(x == y or (x != x and y != y) for x, y in zip(a.tolist(), b.tolist(), strict=True))


@st.composite
def runs(draw: st.DrawFn) -> tuple[Array, Array]:
    """Outputs `[B, T, H]` of few distinct values, so that steps do repeat, and states taken from them or not."""
    rows, steps = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    units = draw(st.sampled_from([1, 3, 8, 9, 17, 40]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = np.array([0.0, -0.0, 1.0, 2.0, np.nan, np.inf])
    common = rng.choice(values[:3], (rows, steps, 1)) + np.zeros(units)
    outputs = np.where(rng.random((rows, steps, units)) < 0.1, rng.choice(values, (rows, steps, units)), common)
    final = outputs[rng.integers(0, rows, rows), rng.integers(0, steps, rows)].copy()
    return outputs.astype(draw(st.sampled_from(["f4", "f8", "f2"]))), final


def laid_out(outputs: Array, layout: str) -> Array:
    """The same numbers, stored another way."""
    if layout == "time-major":
        return np.ascontiguousarray(outputs.swapaxes(0, 1)).swapaxes(0, 1)
    if layout == "time-major, half of the units":
        return laid_out(np.concatenate([outputs + 1, outputs], -1), "time-major")[:, :, outputs.shape[2] :]
    if layout == "half of the units":
        return np.concatenate([outputs, outputs], -1)[:, :, : outputs.shape[2]]
    return outputs


def all_rows(outputs: Array, final: Array) -> Nearest:
    return nearest_steps(outputs, final, np.arange(len(outputs)), scan(outputs, final).repeats)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TILES), st.sampled_from(LAYOUTS), runs())
def test_a_scan_is_the_loop(tile: int, layout: str, run: tuple[Array, Array]) -> None:
    """Whatever the tiles and the layout: every step is compared in all its units, with the state, with zero and with
    the step before it."""
    outputs, final = laid_out(run[0], layout), run[1].astype(run[0].dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE_BYTES", tile)
        patch.setattr(bits, "LEAST_BYTES", 1)  # as of steps that are wide
        seen = scan(outputs, final)
    for b in range(outputs.shape[0]):
        for t in range(outputs.shape[1]):
            step = outputs[b, t]
            assert seen.equal[b, t] == equal_loop(step, final[b])
            assert seen.zero[b, t] == all(v == 0 for v in step.tolist())
            assert seen.repeats[b, t] == (t > 0 and equal_loop(step, outputs[b, t - 1]))
            assert seen.nonfinite[b, t] == any(v != v or abs(v) == np.inf for v in step.tolist())


@pytest.mark.parametrize("seed", range(60))
def test_a_scan_of_wide_rows_is_plain_numpy(seed: int) -> None:
    """Rows that are read at once, in any type, size of numbers, padding and layout: no step is told wrong, wherever a
    single odd number lies."""
    rng = np.random.default_rng(seed)
    rows, steps, units = int(rng.integers(1, 9)), int(rng.integers(1, 40)), int(rng.choice([1, 5, 64, 300, 1100]))
    whole = rng.normal(size=(rows, steps, units)) * rng.choice([0.3, 5, 1e3])
    for b, length in enumerate(rng.integers(0, steps + 1, rows)):
        padding = slice(length, None) if seed % 4 != 2 else slice(0, length)
        whole[b, padding] = whole[b, max(length - 1, 0)] if seed % 4 == 1 else 0
    for value in rng.choice([np.nan, np.inf, -np.inf, 1e-30, -0.0], rng.integers(0, 4)):
        whole[rng.integers(rows), rng.integers(steps), rng.integers(units)] = value
    with np.errstate(over="ignore"):
        outputs = laid_out(whole.astype(rng.choice(["f2", "f4", "f8"])), LAYOUTS[seed % 3])
    final = outputs[np.arange(rows), rng.integers(0, steps, rows)].copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE_BYTES", int(rng.choice([2000, 50_000, 1 << 24])))
        seen = scan(outputs, final)
    exact, target = outputs.astype(np.float64), final.astype(np.float64)[:, None]
    assert (seen.equal == ((exact == target) | (np.isnan(exact) & np.isnan(target))).all(-1)).all()
    assert (seen.zero == (exact == 0).all(-1)).all()
    assert (seen.nonfinite == ~np.isfinite(exact).all(-1)).all()
    after, before = exact[:, 1:], exact[:, :-1]
    assert (seen.repeats[:, 1:] == ((after == before) | (np.isnan(after) & np.isnan(before))).all(-1)).all()
    assert not seen.repeats[:, 0].any()


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_long_rows_are_scanned_run_by_run(tile: int, layout: str) -> None:
    """Wide rows, whose padding is compared as a whole: a single other number in it is seen, and nothing else is."""
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(3, 40, 700)).astype(np.float32)
    outputs[0, 10:] = 0
    outputs[0, 30, 699] = 1e-30
    outputs[1, 20:] = outputs[1, 19]
    outputs[1, 25, 350] = np.nextafter(outputs[1, 19, 350], np.float32(9))
    outputs[2, 5:8] = -0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE_BYTES", tile)
        seen = scan(laid_out(outputs, layout), outputs[:, 19])
    assert np.flatnonzero(~seen.repeats[0]).tolist() == [*range(11), 30, 31]
    assert np.flatnonzero(seen.zero[0]).tolist() == [*range(10, 30), *range(31, 40)]
    assert np.flatnonzero(~seen.repeats[1]).tolist() == [*range(20), 25, 26]
    assert np.flatnonzero(seen.equal[1]).tolist() == [*range(19, 25), *range(26, 40)]
    assert np.flatnonzero(seen.zero[2]).tolist() == [5, 6, 7]
    assert np.flatnonzero(seen.repeats[2]).tolist() == [6, 7]


@settings(max_examples=150, deadline=None)
@given(runs())
def test_locate_finds_every_place(run: tuple[Array, Array]) -> None:
    """The search by keys finds exactly the places that comparing every step with every state finds."""
    outputs, final = run
    final = final.astype(outputs.dtype)
    places_found = matching.locate(outputs, final, most=10**6)
    for n, state in enumerate(final):
        places = [
            (b, t) for b in range(outputs.shape[0]) for t in range(outputs.shape[1]) if equal_loop(outputs[b, t], state)
        ]
        assert sorted(places_found[n]) == places


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TILES), st.sampled_from(LAYOUTS), runs(), st.sampled_from([0.0, 1e-7, 0.3]))
def test_nearest_steps_is_the_loop(tile: int, layout: str, run: tuple[Array, Array], noise: float) -> None:
    """The nearest step, its distance and its margin are those of plain float64 differences, to the last bit."""
    outputs = laid_out(run[0], layout)
    final = (run[1] + noise * np.random.default_rng(0).normal(size=run[1].shape)).astype(run[0].dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE_BYTES", tile)
        nearest = all_rows(outputs, final)
    for b in range(outputs.shape[0]):
        gaps = []
        for t in range(outputs.shape[1]):
            pairs = zip(outputs[b, t].tolist(), final[b].tolist(), strict=True)
            apart = [0.0 if x == y or (x != x and y != y) else abs(x - y) for x, y in pairs]
            gaps.append(max(np.inf if gap != gap else gap for gap in apart))
        assert nearest.distance[b] == min(gaps)
        assert nearest.step[b] == gaps.index(min(gaps))
        if len(gaps) > 1 and np.isfinite(sorted(gaps)[1]):
            assert nearest.margin[b] == sorted(gaps)[1] - min(gaps)


def test_nearest_step_distance_and_margin() -> None:
    """The nearest step is the one with the smallest largest difference; NaN counts as infinitely far."""
    outputs = np.array([[[0.0, 0.0], [1.0, 1.0], [np.nan, 1.1]], [[5.0, 0.0], [4.0, 4.0], [0.0, 9.0]]])
    best = all_rows(outputs, np.array([[1.0, 1.25], [4.5, 3.0]]))
    assert best.step.tolist() == [1, 1]
    assert best.distance.tolist() == [0.25, 1.0]
    assert best.margin.tolist() == [1.0, 2.0]


def test_margin_of_a_single_step_is_unknown() -> None:
    """With one step there is no second best."""
    best = all_rows(np.ones((1, 1, 2)), np.zeros((1, 2)))
    assert np.isnan(best.margin[0])
    assert best.distance[0] == 1.0


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("units", [3, 20])
def test_near_steps_is_numpys_rule(units: int, tile: int) -> None:
    """A step is near where numpy.isclose says so of every unit, and NaN equals NaN; the first few units alone, or a
    tile of a few steps, say the same."""
    rng = np.random.default_rng(1)
    outputs = rng.normal(size=(4, 6, units))
    final = outputs[np.arange(4), [5, 0, 3, 2]] * (1 + 1e-4)
    outputs[1, 0, 2] = final[1, 2] = np.nan
    outputs[0, 2] = np.where(np.arange(units) < units - 1, final[0], 9)
    expected = np.isclose(outputs, final[:, None], rtol=1e-3, atol=1e-6, equal_nan=True).all(-1)
    assert expected.sum() == 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE_BYTES", tile)
        assert (near_steps(outputs, final, np.arange(4), 1e-3, 1e-6) == expected).all()


def test_equal_at_outside_the_time_axis_is_false() -> None:
    """Steps before 0 or after the end never match, whatever numpy's wrapping would give."""
    outputs = np.arange(6.0).reshape(2, 3, 1)
    final = outputs[:, -1]
    rows = np.arange(2)
    assert matching.equal_at(outputs, final, rows, np.array([-1, 2])).tolist() == [False, True]
    assert matching.equal_at(outputs, final, rows, np.array([3, 2])).tolist() == [False, True]


def equal_steps(outputs: Array, final: Array) -> Array:
    return scan(outputs, final).equal


def test_mixed_precision_is_compared_exactly() -> None:
    """A float64 state equals a float32 output only where it holds that very number."""
    outputs = np.array([[[0.1], [0.5]]], dtype=np.float32)
    assert equal_steps(outputs, np.array([[0.1]])).tolist() == [[False, False]]
    assert equal_steps(outputs, np.array([[np.float64(np.float32(0.1))]])).tolist() == [[True, False]]
    assert matching.locate(outputs, np.array([[np.float64(np.float32(0.1))]])) == [[(0, 0)]]


@pytest.mark.parametrize("units", [8, 9, 64])
def test_a_difference_in_the_last_unit_is_seen(units: int) -> None:
    """Steps that agree in the first units and differ in the last are not equal."""
    outputs = np.ones((2, 3, units), dtype=np.float32)
    outputs[0, 1, -1] = 2
    equal = equal_steps(outputs, np.ones((2, units), dtype=np.float32))
    assert equal.tolist() == [[True, False, True], [True, True, True]]


def test_a_search_among_many_equal_vectors_is_linear() -> None:
    """A thousand equal states among a hundred thousand equal steps: each gets its first places, at once."""
    outputs = np.zeros((1000, 100, 9), dtype=np.float32)
    places = matching.locate(outputs, np.zeros((1000, 9)), most=3)
    assert places == [[(0, 0), (0, 1), (0, 2)]] * 1000


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_mapped_file_is_let_go(tmp_path: Path, layout: str) -> None:
    """Reading a file's map tile by tile leaves next to none of it resident, and changes no number."""
    path = tmp_path / "outputs.npy"
    np.save(path, np.random.default_rng(0).normal(size=(64, 64, 2048)))
    mapped = np.load(path, mmap_mode="r")
    outputs = {"time-major": mapped.swapaxes(0, 1), "half of the units": mapped[:, :, :1024]}.get(layout, mapped)
    total = 0.0
    for here in tiles.tiles(outputs):
        total += float(outputs[here].sum())
    assert resident(path) < 8 << 20
    assert np.isclose(total, float(outputs.sum()))
    assert resident(path) > 8 << 20  # the probe can tell


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("units", [None, 3])
def test_taken_rows_are_those_rows(units: int | None, time_major: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows taken a few steps at a time are the rows, in the order asked for; none is none."""
    monkeypatch.setattr(matching, "MAPPED_AROUND", 0)
    monkeypatch.setattr(matching, "TILE_BYTES", 2 * 5 * 4 * 8)
    outputs = np.random.default_rng(0).normal(size=(7, 5, 4) if time_major else (5, 7, 4))
    outputs = outputs.swapaxes(0, 1) if time_major else outputs
    for rows in ([3, 0, 3], []):
        taken = matching.take_rows(outputs, np.array(rows, dtype=np.int64), units)
        assert taken.tolist() == [outputs[b, :, :units].tolist() for b in rows]


def resident(path: Path) -> int:
    """Bytes of this file's map that count as resident (Linux)."""
    smaps = Path("/proc/self/smaps")
    if not smaps.exists():
        pytest.skip("needs /proc")
    text = smaps.read_text()
    return sum(1024 * int(part.split("Rss:")[1].split()[0]) for part in text.split(str(path))[1:])


def test_changes_to_a_private_map_stay(tmp_path: Path) -> None:
    """Pages of a copy-on-write map are not let go: what was written to it would be lost."""
    path = tmp_path / "outputs.npy"
    np.save(path, np.zeros((4, 8, 1024)))
    private = np.load(path, mmap_mode="c")
    private[1, 2] = 7
    assert scan(private, private[:, 2]).equal[1].tolist() == [False, False, True] + [False] * 5
    assert private[1, 2, 0] == 7
