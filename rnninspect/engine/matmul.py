"""What torch is told to do as is fastest: products with the kernels of several gates, rows to take, one thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from rnninspect.core.trace import Ints

# A kernel of at least this many numbers a gate is multiplied gate by gate, each in a thread of its own, where gates
# share out evenly among the threads; below it, all gates are columns of one kernel. MKL splits one product worse, and
# lays its kernel out anew every time. Measured on 2 cores of a Zen 4, us, one product / four, for rows x H x 4 H:
# 8x64 5.3 / 5.6, 4x128 15.7 / 8.8, 16x128 25.6 / 26.6, 1x256 23 / 15.7, 8x256 74 / 40, 32x256 169 / 104,
# 16x512 408 / 261, 64x512 990 / 738; three gates in two threads 148 / 181 (64x256).
WORTH_A_PRODUCT = 1 << 14

# Steps of at most this many multiplications run in one thread: waking another costs more than it does. Measured there,
# torch's LSTM of 200 steps, ms in two threads / one: 1.78 / 0.97 (4 rows, 64 units), 2.47 / 1.60 (8, 64), 2.37 / 1.89
# (2, 128); past it 3.68 / 3.03 (16, 64), 2.41 / 4.14 (1, 256).
WORTH_A_THREAD = 1 << 17

# Runs of at most this many multiplications of all rows and steps run in one thread as a whole: beside other busy
# processes a product of a few thousand waits for its second thread for milliseconds. Measured there beside two of them,
# us of CPU in two threads / one: 5200 / 690 (GRU, 2 layers, 5 rows x 7 steps, 4 units), 7800 / 210 (RNN, 1 layer).
WORTH_THREADS = 1 << 20

_lock = threading.Lock()
_here = threading.local()  # `alone`: whether the calling thread is in `one_thread`
_inside: list[int] = []  # for each caller that is in `one_thread`: how many threads there were before the first


class Product:
    """x K for kernels `[G, F, H]`, one a gate. Sums lie in one of two ways, which only this class knows.

    Apart: `[G, n, H]`; side by side: `[n, G*H]`. Rows are the last axis but one of either; `gates` shows both as the
    first.
    """

    def __init__(self, kernel: Tensor, apart: bool) -> None:
        self.count, _, self.units = kernel.shape
        self.kernel, self.apart = kernel if apart else columns(kernel), apart

    def row(self, bias: Tensor) -> Tensor:
        """One row of sums: `bias` `[G, H]`."""
        return bias[:, None] if self.apart else bias.reshape(1, -1)

    def room(self, flat: Tensor, n: int) -> Tensor:
        """Room for n rows, in the memory of `flat`."""
        flat = flat[: n * self.count * self.units]
        return flat.view(self.count, n, -1) if self.apart else flat.view(n, -1)

    def gates(self, sums: Tensor) -> Tensor:
        """`[G, n, H]`, in the same memory."""
        return sums if self.apart else sums.view(len(sums), self.count, -1).transpose(0, 1)

    def add(self, start: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
        """start + x K, in `out` if there is one. `x`: `[n, F]`; `start`: sums of n rows, or of one for all."""
        if self.apart:
            return torch.baddbmm(start, x.expand(self.count, -1, -1), self.kernel, out=out)
        return torch.addmm(start, x, self.kernel, out=out)


def worth_apart(kernel: Tensor) -> bool:
    """Whether a step's products with this kernel are faster gate by gate; see WORTH_A_PRODUCT."""
    gates, width, units = kernel.shape
    return gates % torch.get_num_threads() == 0 and width * units >= WORTH_A_PRODUCT


def columns(kernel: Tensor) -> Tensor:
    """`[G, F, H]` -> `[F, G*H]`: gate blocks side by side, so that one product gives all of them."""
    return kernel.permute(1, 0, 2).reshape(kernel.shape[1], -1).contiguous()


def take(x: Tensor, index: Ints) -> Tensor:
    """Rows of x `[N, …]`: a view of it where they follow each other, as those of one sequence do, else a copy."""
    if index.size and index[-1] - index[0] == index.size - 1 and (np.diff(index) == 1).all():
        return x[index[0] : index[0] + index.size]
    return x.index_select(0, torch.from_numpy(index).to(x.device))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """torch in one thread; afterwards in as many as there were before anyone was inside.

    torch keeps that number partly for the process and partly for the calling thread, so each sets it back for itself,
    and who comes while another is inside must not take the other's 1 for what there was. A caller that is inside
    already changes nothing.
    """
    if getattr(_here, "alone", False):
        yield
        return
    with _lock:
        before = _inside[0] if _inside else torch.get_num_threads()
        _inside.append(before)
        torch.set_num_threads(1)
    _here.alone = True
    try:
        yield
    finally:
        _here.alone = False
        with _lock:
            _inside.pop()
            torch.set_num_threads(before)
