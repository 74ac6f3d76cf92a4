"""What reads a pack of steps: a loop over a cell's own step, or torch's kernel for it; and which of them."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from rnninspect.core.cell import CellSpec
from rnninspect.core.weights import LayerWeights
from rnninspect.engine import cells
from rnninspect.engine.matmul import WORTH_A_THREAD, one_thread, take
from rnninspect.engine.packing import Pack
from rnninspect.engine.step import Make, StepCell
from rnninspect.engine.torch_kernels import FusedCell, kernel_name

# Gates that the loop prepares at a time: 8 MiB in float32, past what one product needs to run at full speed, and small
# enough to be memory that was used before. Measured on 2 cores of a Zen 4, ms for the inputs' half of 128x100x512x512:
# 84 all at once, 70 in such blocks.
GATES_AT_A_TIME = 1 << 21


class Reader(Protocol):
    """Reads packs with one layer's weights."""

    def run(self, x: Tensor, pack: Pack, h: Tensor, c: Tensor | None, out: Tensor) -> Tensor | None:
        """Read the pack. `x`: `[B*T, F]`; `h` `[R, P]`, `c` `[R, H]` or None: its rows' states before.

        `out`: `[N, P]`, overwritten with the outputs. Returns c after each row's last step, `[R, H]`, or None.
        """


class LoopReader:
    """A cell's own step, over rows that become fewer; the inputs' half of the gates comes for many steps at once.

    Beyond its products a step costs what its calls cost, so `cells` keeps them few.
    """

    def __init__(self, cell: StepCell, width: int, work: int) -> None:
        """`width`: of the gates; `work`: multiplications in a row's step."""
        self.cell, self.rows_at_a_time = cell, max(1, GATES_AT_A_TIME // width)
        self.few = WORTH_A_THREAD // work

    def run(self, x: Tensor, pack: Pack, h: Tensor, c: Tensor | None, out: Tensor) -> Tensor | None:
        """Read packed steps `[N, F]` from `h` and `c` `[B, H]` on, write h of each into `out` `[N, H]`; return c."""
        self.cell.begin(c)
        position, rows = 0, 0
        for start, stop in self._blocks(pack.sizes):
            sizes = pack.sizes[start:stop]
            here = slice(position, position + sum(sizes))
            parts = self.cell.project(take(x, pack.index[here]))
            by_step = zip(*(torch.split(part, sizes, -2) for part in parts), strict=True)
            with contextlib.ExitStack() as threads:
                alone = False
                for size, gates, target in zip(sizes, by_step, torch.split(out[here], sizes), strict=True):
                    if size != rows:
                        self.cell.rows(size)
                        h, rows = h[:size], size
                    if size <= self.few and not alone:
                        alone = True
                        threads.enter_context(one_thread())
                    self.cell.step(gates, h, target)
                    h = target
            position = here.stop
        return self.cell.c

    def _blocks(self, sizes: list[int]) -> list[tuple[int, int]]:
        """Ranges of steps of at most `rows_at_a_time` rows each, or of one step."""
        cuts, held = [0], 0
        for t, size in enumerate(sizes):
            if held and held + size > self.rows_at_a_time:
                cuts.append(t)
                held = 0
            held += size
        return list(pairwise([*cuts, len(sizes)]))


def make_reader(
    spec: CellSpec, weights: LayerWeights, make: Make, device: torch.device, stepwise: bool = False
) -> Reader:
    """torch's kernel where it is the faster one (an LSTM's is), and for whatever runs on a GPU; else the loop, which is
    also what shows every product by itself (`stepwise`).

    On the CPU the loop is faster than torch's own kernels for GRU and RNN, which step through the same products in
    C++ but allocate as they go. Measured on 2 cores of a Zen 1 against the packed kernels, ms, GRU: 9.6 against 14.3
    (32x50x128x128), 153 / 172 (64x200x256x256), 42 / 51 (8x1000x64x64), 33 / 38 (1x500x256x256), but 528 / 497
    (128x100x512x512); RNN: 3.1 / 4.3, 58 / 75, 13 / 22, 10 / 13 and 158 / 163. An LSTM's is the other way round. On 2
    cores of a Zen 4, shapes in that order, GRU: 3.5 / 3.0, 54 / 57, 12.8 / 17.4, 15.4 / 16.3 and 150 / 170; RNN:
    2.0 / 2.2, 21 / 25, 5.3 / 7.0, 5.3 / 5.4 and 50 / 60.
    """
    kernel = None if stepwise else kernel_name(spec, weights)
    if kernel and (cells.get(spec.cell).kernel_on_cpu or device.type != "cpu"):
        return FusedCell(spec, weights, make)
    return LoopReader(cells.make_cell(spec, weights, make), weights.bias.size, weights.recurrent_kernel.size)
