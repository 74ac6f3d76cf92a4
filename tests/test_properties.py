"""One run, stored in another way, gets the same answer; and what was written in another way is read as the same.

Hypothesis draws the runs, right ones and such with one mistake, the same ones each time: a few here, more of them under
`pytest -m long`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from rnninspect.api.parallel import split_rows
from rnninspect.api.parallel.workers import Processes
from rnninspect.core import tiles
from rnninspect.core.trace import Array
from tests.support.properties import Answer, Run, answer, explore, runs, sizes

# Mistakes that do not count the steps of the whole.
PADDED_ALIKE = ("off-by-one-length", "rows-permuted", "wrong-layer", "cell-hidden-swapped")
LAID: dict[str, Callable[[Array], Array]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1] if a.ndim else a,
    "read-only": lambda a: _frozen(a),
    "axes turned": lambda a: np.ascontiguousarray(a.T).T,
    "off by a byte": lambda a: _unaligned(a),
}  # the same numbers, somewhere else in memory


def _frozen(array: Array) -> Array:
    array = array.copy()
    array.flags.writeable = False
    return array


def _unaligned(array: Array) -> Array:
    raw = np.zeros(array.nbytes + 1, np.uint8)
    moved = raw[1:].view(array.dtype) if array.nbytes else array.ravel()
    moved = moved.reshape(array.shape)
    moved[...] = array
    return moved


def _mapped(path: str) -> Array:
    mapped: Array = np.load(path, mmap_mode="r")
    return mapped


@sizes(25, 600)
def test_the_order_of_the_rows_does_not_matter(examples: int) -> None:
    """Rows in another order: each is judged as before, two rows among them.

    A wrong flat index lands elsewhere in another order, on zeros in one alone: as an alternative it may come and go.
    """

    def judged(run: Run, order: list[int] | None = None) -> Answer:
        whole = answer(run, order)
        findings = [
            (*about, [r for r in others if r != "flat-gather-wrong-stride"]) for *about, others in whole.findings
        ]
        return replace(whole, findings=findings)

    def check(run: Run, places: list[int]) -> None:
        order = [place for place in places if place < run.rows]
        permuted = run.with_arrays(lambda name, array: np.take(array, order, axis=int(name in run.stacked)))
        assert judged(permuted, order) == judged(run)

    explore(examples, check, runs(), st.permutations(range(5)))


@sizes(25, 600)
def test_more_zero_padding_says_nothing_new(examples: int) -> None:
    """Columns of zeros behind padding that is zero: the same findings, and the same of every row, but that a state
    of zeros equals them too."""

    def check(run: Run, more: int) -> None:
        assume(run.padding == "zero" and run.mistake in ("", *PADDED_ALIKE))
        assume(run.rows not in (run.steps, run.steps + more))  # as many rows as steps: either axis may be time

        def wider(name: str, array: Array) -> Array:
            return np.pad(array, [(0, 0), (0, more), *[(0, 0)] * (array.ndim - 2)]) if name in run.sequences else array

        assert answer(run.with_arrays(wider), steps=run.steps) == answer(run, steps=run.steps)

    explore(examples, check, runs(), st.integers(1, 9))


@sizes(25, 600)
def test_either_major_axis_may_be_time(examples: int) -> None:
    """Steps before rows, and said so: the same answer."""

    def check(run: Run) -> None:
        config = replace(run.config, time_major=True, axes_stated=True)
        turned = run.with_arrays(lambda name, array: array.swapaxes(0, 1) if name in run.sequences else array)
        if run.convention == "onnx":  # its layout=0: Y [T, D, B, H], Y_h [D, B, H]
            turned = run.with_arrays(_onnx_layout_0)
        beside = replace(run, config=replace(run.config, axes_stated=True))
        assert answer(replace(turned, config=config)) == answer(beside)

    explore(examples, check, runs())


def _onnx_layout_0(name: str, array: Array) -> Array:
    order = {"Y": (1, 2, 0, 3), "Y_h": (1, 0, 2), "Y_c": (1, 0, 2), "inputs": (1, 0, 2)}.get(name.split(".")[-1])
    return array if order is None else array.transpose(order)


@sizes(25, 600)
def test_a_mask_says_what_lengths_say(examples: int) -> None:
    """A prefix mask of any type in the place of lengths, and lengths of any type of numbers."""

    def check(run: Run, dtype: str, as_mask: bool) -> None:
        lengths = run.arrays["lengths"]
        assume(lengths.max() <= run.steps)
        if as_mask:
            rest = {name: array for name, array in run.arrays.items() if name != "lengths"}
            told = {**rest, "mask": (np.arange(run.steps) < lengths[:, None]).astype(dtype)}
        else:
            told = {**run.arrays, "lengths": lengths.astype(dtype if dtype != "?" else "u1")}
        assert answer(replace(run, arrays=told)) == answer(run)

    explore(examples, check, runs(), st.sampled_from(["?", "u1", "i4", ">i2", "f4", "i8", "u8"]), st.booleans())


@sizes(25, 600)
@pytest.mark.parametrize("laid", list(LAID))
def test_where_numbers_lie_in_memory_does_not_matter(laid: str, examples: int) -> None:
    """Any order of memory, and either order of bytes."""

    def check(run: Run, order: str) -> None:
        def moved(_: str, array: Array) -> Array:
            there = LAID[laid](array.astype(array.dtype.newbyteorder(order)))
            assert np.array_equal(there, array)
            return there

        assert answer(run.with_arrays(moved)) == answer(run)

    explore(max(4, examples // 4), check, runs(), st.sampled_from("<>"))


@sizes(25, 600)
def test_wider_numbers_hold_the_same(examples: int) -> None:
    """float32 as float64, and float16 as float32: the same numbers get the same answer."""

    def check(run: Run, narrow: bool) -> None:
        def floats(dtype: str, of: Run) -> Run:
            return of.with_arrays(lambda _, array: array.astype(dtype) if array.dtype.kind == "f" else array)

        first, second = ("f2", "f4") if narrow else ("f4", "f8")
        small = floats(first, run)
        assert answer(floats(second, small)) == answer(small)

    explore(examples, check, runs(), st.booleans())


@sizes(25, 600)
def test_a_power_of_two_scales_distances_alone(examples: int) -> None:
    """Every output and h times a power of two: the same answer, with distances as many times as large."""

    def check(run: Run, power: int) -> None:
        bare = run.without_cells
        bare = replace(bare, arrays={name: array for name, array in bare.arrays.items() if name != "inputs"})
        factor = 2.0**power

        def times(_: str, array: Array) -> Array:
            return (array * factor).astype(array.dtype) if array.dtype.kind == "f" else array

        assert answer(bare.with_arrays(times)) == answer(bare).times(factor)

    explore(examples, check, runs(), st.integers(-40, 40))


@sizes(25, 600)
def test_tiles_of_any_size_measure_alike(examples: int) -> None:
    """However many bytes are read at a time."""

    def check(run: Run, size: int) -> None:
        whole = answer(run)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tiles, "TILE_BYTES", size)
            assert answer(run) == whole

    explore(examples, check, runs(), st.sampled_from([1, 24, 60, 200]))


@sizes(25, 400)
def test_rows_measured_apart_are_measured_alike(examples: int) -> None:
    """What the workers of `--jobs` do, done here: tracks in files, cut into parts of any number of rows."""

    def check(run: Run, part: int) -> None:
        whole = answer(run)
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            for name, array in run.arrays.items():
                np.save(f"{folder}/{name}.npy", array)
            mapped = replace(run, arrays={name: _mapped(f"{folder}/{name}.npy") for name in run.arrays})
            patch.setattr(split_rows, "LEAST_BYTES", 1)
            patch.setattr(split_rows, "PART_BYTES", part)
            assert answer(mapped, measurer=partial(split_rows.measure_over, Processes(1), lambda _: None)) == whole

    explore(examples, check, runs(), st.sampled_from([1, 100, 300]))
