"""Arrays of numpy as the framework has them whose array stood in their place."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnninspect.core.arrays import framework, is_array
from rnninspect.core.trace import Array


def like(array: Array, original: Any) -> Any:
    """A new array `[…]` of the original's framework, dtype and device; a list or tuple of numbers where that stood.

    >>> like(np.array([2.0, 1.0]), [3, 1]), like(np.array([2]), np.array([1.5], np.float32)).dtype.name
    ([2, 1], 'float32')
    """
    if not is_array(original):
        beside = next((v for v in original if is_array(v)), None)
        if beside is not None:
            return type(original)(like(np.asarray(v), beside) for v in array)
        whole = all(isinstance(v, (int, np.integer)) for v in original)
        numbers = array.tolist()
        kind = list if isinstance(original, range) else type(original)
        return kind(int(v) for v in numbers) if whole else kind(numbers)
    if isinstance(original, (np.ndarray, np.generic)):
        return np.array(array, dtype=original.dtype)
    package: Any = framework(original)
    if package == "torch" or hasattr(original, "detach"):
        import torch

        return torch.from_numpy(np.array(array)).to(dtype=original.dtype, device=original.device)
    if package in ("jaxlib", "jax"):
        import jax.numpy  # type: ignore[import-not-found, unused-ignore]

        return jax.numpy.asarray(array, dtype=original.dtype)
    if package == "tensorflow":
        import tensorflow  # type: ignore[import-not-found, import-untyped, unused-ignore]

        return tensorflow.constant(array, dtype=original.dtype)
    return np.array(array)
