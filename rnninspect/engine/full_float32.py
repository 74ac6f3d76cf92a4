"""torch's products in full float32 for a while: in TF32 or bfloat16 they depend on the kernel that a shape gets.

torch has two ways to allow less. The older one is `allow_tf32` and `set_float32_matmul_precision`; from 2.9 on there is
`fp32_precision`, of one operation, of a backend or of all, where "none" stands for what the next wider one says. The
older one writes some settings of the newer one, and cannot be read where the two contradict each other; it then has no
say. Whatever can be read of either is kept, and given back as it was.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch

from rnninspect.engine.lower_products import LowerProducts

FULL, INHERITED = "ieee", "none"
# Where the newer precision can be set, as (backend, operation), the wider before the narrower.
PLACES = (("generic", "all"), *product(("cuda", "mkldnn"), ("all", "conv", "rnn", "matmul")))
# By what `torch.backends` does itself: there `mkldnn.fp32_precision` sets that of all backends instead (torch 2.13).
_get: Any = getattr(torch._C, "_get_fp32_precision_getter", None)
_set: Any = getattr(torch._C, "_set_fp32_precision_setter", None)

_BACKENDS: Any = torch.backends


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Compute products of float32 numbers in float32, on every device; afterwards all is as before, however it ends."""
    older: list[tuple[Callable[[Any], None], Any, Any]] = []
    newer: list[tuple[tuple[str, str], str]] = []
    try:
        with _quiet():
            older += _older()
            for place in PLACES if _get is not None else ():
                newer.append((place, _get(*place)))  # its own, since all that are wider say nothing any more
                _set(*place, INHERITED)
            for setter, _, full in older:
                setter(full)
            for place, _ in newer:
                _set(*place, FULL)
        yield
    finally:
        with _quiet():
            for setter, was, _ in older:
                setter(was)
            for place, precision in newer:
                _set(*place, precision)


def in_precision(device: torch.device, products: str | None) -> contextlib.AbstractContextManager[object]:
    """Products of float32 in float32, whatever the caller allows his own, unless lower `products` were asked for."""
    if products is not None:
        return LowerProducts(products)
    return contextlib.nullcontext() if device.type == "cpu" and _is_full_on_cpu() else full_float32()


def _is_full_on_cpu() -> bool:
    """Whether products are computed in full float32 on the CPU as things are: far quicker than to set it."""
    try:
        if torch.get_float32_matmul_precision() != "highest":
            return False
    except RuntimeError:  # both ways were used
        return False
    return _get is None or {_get("mkldnn", "matmul"), _get("mkldnn", "rnn")} <= {FULL, INHERITED}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says of the older settings, that they are old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _older() -> Iterator[tuple[Callable[[Any], None], Any, Any]]:
    """(setter, value, the value for full float32) of each older setting that can be read."""
    with contextlib.suppress(RuntimeError):
        yield _set_cudnn, _BACKENDS.cudnn.allow_tf32, False
    with contextlib.suppress(RuntimeError):
        yield torch.set_float32_matmul_precision, torch.get_float32_matmul_precision(), "highest"


def _set_cudnn(allow: bool) -> None:
    _BACKENDS.cudnn.allow_tf32 = allow
