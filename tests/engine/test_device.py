"""What travels to another device: the real steps of the inputs alone, in the order in which they are read."""

from __future__ import annotations

import numpy as np
import torch

from rnninspect.core.trace import prefix_mask
from rnninspect.engine.device import Where
from rnninspect.engine.packing import pack, read_order

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
