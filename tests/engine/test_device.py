"""What travels to another device: the real steps of the inputs alone, in the order in which they are read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rnninspect.core.trace import prefix_mask
from rnninspect.engine.device import Where, dtype_of
from rnninspect.engine.packing import pack, read_order
from tests.support.made import random_weights

INPUTS = np.arange(3 * 4 * 2, dtype=np.float32).reshape(3, 4, 2)
LENGTHS = np.array([4, 1, 2])
STEPS = pack(read_order(prefix_mask(LENGTHS, 4), "forward"), np.zeros_like(LENGTHS), LENGTHS)


def test_padding_stays_where_it_is() -> None:
    """Proves that real steps alone are put on the device, back to back, and read there as they lie.

    `meta` is a device of every machine: its tensors have shapes and no numbers.
    """
    where = Where(torch.float32, torch.device("meta"))
    x = where.host(INPUTS)
    assert x.device.type == "cpu"
    read, order = where.read(x.reshape(12, 2), STEPS)
    assert (read.device.type, read.shape) == ("meta", (7, 2))
    assert order.index.tolist() == list(range(7))
    again, same = where.read(read, order)
    assert again is read
    assert same is order


def test_on_the_cpu_nothing_is_copied() -> None:
    """Proves that the inputs on the CPU are the array's own memory, read where they are."""
    where = Where(torch.float32, torch.device("cpu"))
    x = where.host(INPUTS)
    assert x.data_ptr() == INPUTS.ctypes.data
    assert where.read(x, STEPS) == (x, STEPS)


@pytest.mark.parametrize("kind", ["bool", "uint8", "uint32", "uint64", "int64", "float16", ">f8", "longdouble"])
def test_every_dtype_keeps_its_largest_numbers(kind: str) -> None:
    """Proves that whole numbers beyond those of signed ones, and floats of any width, come through as they are."""
    largest = {"bool": 1, "uint8": 2**8 - 1, "uint32": 2**32 - 1, "uint64": 2**63, "int64": 2**62}.get(kind, 1.5)
    tensor = Where(torch.float64, torch.device("cpu")).tensor(np.array([0, largest], dtype=kind))
    assert tensor.tolist() == [0, largest]


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("float16", "float16"), ("float32", "float32"), (">f8", "float64"), ("longdouble", "float64"), ("i8", "float32")],
)
def test_a_run_computes_in_the_precision_of_its_weights(kind: str, wanted: str) -> None:
    """Proves that long double weights are run in float64, and no others in more than they have."""
    weights = random_weights("gru", 2, 2)
    cast = replace(weights, layers=tuple(replace(w, input_kernel=w.input_kernel.astype(kind)) for w in weights.layers))
    assert dtype_of(cast, None) == getattr(torch, wanted)
    assert dtype_of(cast, "bfloat16") == torch.bfloat16
