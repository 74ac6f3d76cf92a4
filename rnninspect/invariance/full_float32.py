"""A model's products in full float32, whichever of the frameworks computes them.

On accelerators the frameworks round the factors of products of float32 numbers to TF32 or bfloat16 by default, as the
kernel does that they choose by the shapes: beside other rows a row gives other numbers, in right models too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute in full float32 in every framework that was imported; all settings are given back, however it ends."""
    with ExitStack() as stack:
        if "torch" in sys.modules:
            from rnninspect.engine.full_float32 import full_float32 as in_torch

            stack.enter_context(in_torch())
        jax: Any = sys.modules.get("jax")
        if hasattr(jax, "default_matmul_precision"):
            stack.enter_context(jax.default_matmul_precision("float32"))
        tensorflow: Any = sys.modules.get("tensorflow")
        if tensorflow is not None:
            stack.enter_context(_in_tensorflow(tensorflow))
        yield


@contextmanager
def _in_tensorflow(tensorflow: Any) -> Iterator[None]:
    """TensorFlow without TF32."""
    settings: Any = getattr(getattr(tensorflow, "config", None), "experimental", None)
    if not hasattr(settings, "enable_tensor_float_32_execution"):
        yield
        return
    was = settings.tensor_float_32_execution_enabled()
    settings.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        settings.enable_tensor_float_32_execution(was)
