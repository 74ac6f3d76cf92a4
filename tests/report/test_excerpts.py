"""The numbers that a report quotes."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect.report.excerpts import shortest


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numbers_are_what_their_dtype_prints(dtype: str) -> None:
    """Bit patterns of every kind, whole numbers, powers of two and their neighbours: each is the float of its text."""
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype)
    bits = np.frombuffer(rng.bytes(1000 * kind.itemsize), dtype=kind)
    usual = rng.standard_normal(1000).astype(kind)
    whole = np.array([0.0, -0.0, 1.0, 16777216.0, 1048577.0, 123456.7, 0.1, np.nan, np.inf, -np.inf])
    with np.errstate(over="ignore"):
        powers = np.ldexp(np.ones(40), np.arange(-14, 26)).astype(kind)
        near = [np.nextafter(powers, kind.type(0)), np.nextafter(powers, kind.type(np.inf))]
        numbers = np.concatenate([bits, usual, np.round(usual, 3), powers, *near, whole.astype(kind)])
    texts = np.array([float(str(number)) for number in numbers])
    np.testing.assert_array_equal(shortest(numbers), texts)
    np.testing.assert_array_equal(np.signbit(shortest(numbers[1000:])), np.signbit(texts[1000:]))


def test_whole_numbers_are_floats() -> None:
    """Of an array of integers, and of truth values."""
    assert shortest(np.array([[1, 2]])).tolist() == [[1.0, 2.0]]
    assert shortest(np.array([True])).tolist() == [1.0]
