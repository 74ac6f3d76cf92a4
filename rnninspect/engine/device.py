"""Where a run computes, and in which dtype: arrays to tensors and back, and the inputs' way to another device."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rnninspect.core.trace import Array
from rnninspect.core.weights import Weights
from rnninspect.engine.packing import Pack
from rnninspect.errors import UnknownNameError, UserError

# Bytes at most of an array that goes to or comes from a GPU through page-locked memory: four times as fast, but such
# memory is dear to get, and the system has no other use for it. 26 MB from an H100, ms: 0.5, and 2.4 through other.
MOST_LOCKED = 1 << 26

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True, eq=False)
class Where:
    """The dtype and device of a run: arrays to tensors and back."""

    dtype: torch.dtype
    device: torch.device
    products: str | None = None

    def tensor(self, array: Array) -> Tensor:
        """The array `[…]` as a tensor `[…]`; it shares memory, strides and all, where it can, and is not changed."""
        native = np.asarray(array, dtype=array.dtype.newbyteorder("="))
        if any(stride < 0 or stride % native.itemsize for stride in native.strides):
            native = np.ascontiguousarray(native)
        if native.dtype.kind in "bu" or (native.dtype.kind == "f" and native.dtype.name not in DTYPES):
            native = native.astype(np.float64)  # torch has no such dtype, or not on every device
        if native.flags.writeable:
            return torch.from_numpy(native).to(self.device, self.dtype)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not writable.*")  # files are mapped read-only
            return torch.from_numpy(native).to(self.device, self.dtype)

    def host(self, array: Array) -> Tensor:
        """The array `[…]` as `tensor` gives it, but in the host's memory."""
        return replace(self, device=torch.device("cpu")).tensor(array)

    def read(self, x: Tensor, steps: Pack) -> tuple[Tensor, Pack]:
        """The inputs `[B*T, F]` on the device and the pack that reads them; from the host its own steps alone go."""
        if x.device.type == self.device.type or not steps.sizes:
            return x, steps
        real = self._room(steps.index.size, x.shape[1])
        torch.index_select(x, 0, torch.from_numpy(steps.index), out=real)
        return real.to(self.device, non_blocking=True), replace(steps, index=np.arange(steps.index.size))

    def _room(self, *shape: int) -> Tensor:
        """An empty tensor of the host's, page-locked where that speeds its way to a GPU or from there."""
        few = math.prod(shape) * self.dtype.itemsize <= MOST_LOCKED
        return torch.empty(shape, dtype=self.dtype, pin_memory=self.device.type == "cuda" and few)

    def states(self, initial: tuple[Array, Array | None] | None) -> tuple[Tensor | None, Tensor | None]:
        """(h, c) as tensors, or None where nothing was given."""
        h, c = initial or (None, None)
        return None if h is None else self.tensor(h), None if c is None else self.tensor(c)

    def array(self, tensor: Tensor | None) -> Array | None:
        """The tensor `[…]` as an array `[…]`; bfloat16 becomes float32."""
        if tensor is None:
            return None
        kept = tensor if tensor.device.type == "cpu" else self._room(*tensor.shape).copy_(tensor)
        return np.asarray((kept.float() if kept.dtype == torch.bfloat16 else kept).numpy())


def dtype_of(weights: Weights, name: str | None) -> torch.dtype:
    """The dtype of that name, or that of the weights; UnknownNameError where there is none of that name."""
    if name is None:
        of_weights = np.result_type(*(w.input_kernel for w in weights.layers))
        wide = of_weights.kind == "f" and of_weights.itemsize > 4  # numpy's long double, whose name is by its size
        return DTYPES.get(of_weights.name, torch.float64 if wide else torch.float32)
    if name not in DTYPES:
        raise UnknownNameError("dtype", name, list(DTYPES))
    return DTYPES[name]


def device_of(name: str) -> torch.device:
    """The device of that name, after one value was put there and fetched; UserError says which there are."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        available = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        available += ["mps"] if torch.backends.mps.is_available() else []
        raise UserError(f"device {name!r} is not available here; available: {', '.join(available)}") from None
    return device
