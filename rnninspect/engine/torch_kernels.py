"""Cells that torch has a kernel for, run by that kernel over whole sequences.

`packed` hands torch every step's rows back to back, as `pack_padded_sequence` would: exact for every such cell.

`whole` and `chunked` are faster where torch runs an unpacked LSTM through oneDNN. Rows that end together are one
sequence of steps, as they are. Others: the batch is cut in time into a few rectangles
of rows that go on; what a rectangle holds past the end of a row is padding, and padding must leave c alone. So the
inputs get one more feature, 1 at padding and 0 elsewhere, whose weights shut the input gate and open the forget gate
altogether: there f = 1 and i = 0 to the last bit, and c' = 1 * c + 0 * g. The final c of a row that ended inside a
rectangle comes out of its far side unchanged, and its h is gathered from the outputs.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnninspect.core.cell import CellSpec
from rnninspect.core.weights import LayerWeights
from rnninspect.engine import cells
from rnninspect.engine.matmul import WORTH_A_THREAD, one_thread, take
from rnninspect.engine.packing import Pack
from rnninspect.engine.step import Make

# A rectangle is closed when it would compute more padding than this, in rows x steps: what one more call costs in
# oneDNN, which reorders the weights each time (they are reread for every row and step, so sizes cancel out).
# Measured on 2 cores of a Zen 1, ms, for 0 / 50 / 200 / 1000: 32x50x128x128 11.4 / 7.5 / 7.8 / 10.2, 64x200x256x256
# 149 / 127 / 131 / 145, 128x100x512x512 502 / 423 / 440 / 512, 8x1000x64x64 21 / 20 / 20 / 22.
WORTH_A_CALL = 64

# Below so many multiplications by the recurrent kernel, all steps together, oneDNN saves less than it takes to begin.
# Measured on 2 cores of a Zen 4, us packed / oneDNN: 540 / 790 (5 rows x 7 steps, 4 units, both directions), 560 / 650
# (8x10, 32), 820 / 1010 (8x20, 64), but 1040 / 790 (8x50, 64); rows that end together 330 / 450 (5x7, 4), 480 / 600
# (4x10, 64), 520 / 490 (1x50, 64).
WORTH_ONEDNN = 1 << 21

_BACKENDS: Any = torch.backends


def kernel_name(spec: CellSpec, weights: LayerWeights) -> str | None:
    """The torch function that computes this cell (`lstm`, `gru`, `rnn_tanh`, `rnn_relu`), or None."""
    if weights.projection is not None and weights.units == weights.cell_units:
        return None  # torch sees a projection only by h being narrower than c
    return cells.get(spec.cell).kernel(spec, weights.parts)


class FusedCell:
    """One layer's weights in one direction, as torch's kernels take them. Only for cells that `kernel_name` knows."""

    def __init__(self, spec: CellSpec, weights: LayerWeights, make: Make) -> None:
        self.name = str(kernel_name(spec, weights))
        bias = make(weights.bias).clone()
        if spec.forget_bias:
            bias[cells.get(spec.cell).gates.index("f")] += spec.forget_bias
        recurrent_bias = weights.recurrent_bias
        self.kernel = _stacked(make(weights.input_kernel))
        self.others = [
            _stacked(make(weights.recurrent_kernel)),
            _flat(bias),
            _flat(torch.zeros_like(bias) if recurrent_bias is None else make(recurrent_bias)),
        ]
        self.projected = weights.projection is not None
        if weights.projection is not None:
            self.others.append(make(weights.projection).t().contiguous())

    def run(self, x: Tensor, pack: Pack, h: Tensor, c: Tensor | None, out: Tensor) -> Tensor | None:
        """Read the pack. `x`: `[B*T, F]`; `h` `[R, P]`, `c` `[R, H]` or None: the rows' states before.

        `out`: `[N, P]`, overwritten with the outputs. Returns c after each row's last step, `[R, H]`, or None.
        """
        few = len(pack.index) * self.others[0].numel() <= WORTH_ONEDNN
        if c is None or few or self.name != "lstm" or self.projected or not _has_onednn(x):
            return self.packed(x, pack, h, c, out)
        if pack.sizes[0] == pack.sizes[-1]:
            return self.whole(x, pack, h, c, out)
        after = self.chunked(x, pack, h, c, out)
        if out.index_select(0, torch.from_numpy(pack.last)).isfinite().all():
            return after
        return self.packed(x, pack, h, c, out)  # 0 * NaN is NaN: a closed gate does not keep NaN out of c

    def packed(self, x: Tensor, pack: Pack, h: Tensor, c: Tensor | None, out: Tensor) -> Tensor | None:
        """torch's kernel for packed sequences."""
        data = take(x, pack.index)
        state = h[None] if c is None else (h[None], c[None])
        weights = [self.kernel, *self.others]
        with _by_cudnn(x.device):
            result = getattr(torch, self.name)(
                data, torch.tensor(pack.sizes), state, weights, True, 1, 0.0, False, False
            )
        out.copy_(result[0])
        after: Tensor | None = None if c is None else result[2][0]
        return after

    def whole(self, x: Tensor, pack: Pack, h: Tensor, c: Tensor, out: Tensor) -> Tensor:
        """torch's kernel for unpacked sequences, on rows that end together."""
        block = take(x, pack.index).view(len(pack.sizes), len(h), -1)
        outputs, _, after = self._unpacked(block, self.kernel, h, c)
        out.copy_(outputs.view_as(out))
        return after

    def _unpacked(self, x: Tensor, kernel: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(outputs `[T, R, H]`, h, c) of `x` `[T, R, F]`."""
        state = (h[None].contiguous(), c[None].contiguous())
        alone = len(h) * self.others[0].numel() <= WORTH_A_THREAD
        with one_thread() if alone else contextlib.nullcontext():
            outputs, h, c = torch.lstm(x, state, [kernel, *self.others], True, 1, 0.0, False, False, False)
        return outputs, h[0], c[0]

    def chunked(self, x: Tensor, pack: Pack, h: Tensor, c: Tensor, out: Tensor) -> Tensor:
        """torch's kernel for unpacked sequences, on rectangles."""
        cuts = rectangles(pack.sizes, WORTH_A_CALL)
        goes_on = np.arange(pack.sizes[0]) < np.array(pack.sizes)[:, None]
        read = np.full(goes_on.shape, len(x))
        read[goes_on] = pack.index
        kernel = self.kernel
        if any(pack.sizes[start] != pack.sizes[stop - 1] for start, stop in cuts):
            kernel, x = self._with_mark(), torch.nn.functional.pad(x, (0, 1, 0, 1))
            x[-1, -1] = 1  # the row that stands for padding
        after, position = c.clone(), 0
        for start, stop in cuts:
            rows = pack.sizes[start]
            block = take(x, read[start:stop, :rows].reshape(-1)).view(stop - start, rows, -1)
            outputs, h, after[:rows] = self._unpacked(block, kernel, h[:rows], after[:rows])
            real = np.flatnonzero(goes_on[start:stop, :rows])
            target = out[position : position + real.size]
            torch.index_select(outputs.flatten(0, 1), 0, torch.from_numpy(real), out=target)
            position += real.size
        return after

    def _with_mark(self) -> Tensor:
        """The kernel `[4H, F + 1]` with the padding's weights: far beyond what any state could add to a gate."""
        units = self.kernel.shape[0] // 4
        far = torch.finfo(self.kernel.dtype).max ** 0.5
        column = self.kernel.new_zeros(4 * units, 1)
        column[:units], column[units : 2 * units] = -far, far
        return torch.cat([self.kernel, column], 1)


def rectangles(sizes: list[int], worth: int) -> list[tuple[int, int]]:
    """Cut steps, of which `sizes[t]` rows go on, into ranges that compute at most `worth` rows x steps of padding.

    Cuts lie where rows end. `sizes` falls or stays.

    >>> rectangles([3, 3, 2, 1, 1, 1], 2)
    [(0, 3), (3, 6)]
    """
    cuts = (np.flatnonzero(np.diff(sizes)) + 1).tolist()
    starts, waste = [0], 0
    for cut, stop in pairwise([*cuts, len(sizes)]):
        more = (stop - cut) * (sizes[starts[-1]] - sizes[cut])
        waste += more
        if waste > worth:
            starts.append(cut)
            waste = 0
    return list(pairwise([*starts, len(sizes)]))


def _stacked(kernel: Tensor) -> Tensor:
    """`[G, F, H]` -> `[G*H, F]`: no copy where the gates were read from rows, as torch, ONNX and others keep them.

    Of a single gate `reshape` copies nothing however the kernel lies, and cuDNN refuses what is not contiguous.
    """
    return kernel.transpose(1, 2).reshape(-1, kernel.shape[1]).contiguous()


def _flat(bias: Tensor) -> Tensor:
    """`[G, H]` -> `[G*H]`, contiguous as well."""
    return bias.reshape(-1).contiguous()


def _has_onednn(x: Tensor) -> bool:
    """Whether torch runs an unpacked LSTM on `x` through oneDNN."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and bool(_BACKENDS.mkldnn.is_available())


@contextlib.contextmanager
def _by_cudnn(device: torch.device) -> Iterator[None]:
    """On a GPU: by cuDNN, and no word on weights that it has to lay out anew."""
    if device.type != "cuda":
        yield
        return
    enabled = _BACKENDS.cudnn.enabled
    _BACKENDS.cudnn.enabled = True
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not part of single contiguous chunk.*")
            yield
    finally:
        _BACKENDS.cudnn.enabled = enabled
