"""The random numbers of Python, numpy and torch: seeded for a run, looked at after it, given back in the end.

torch is not imported for it: where nothing did, no model draws of its numbers. jax has none but those of its keys,
which a function gets as arguments.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from rnninspect.core.arrays import framework, is_array


def seed_everything(seed: int) -> None:
    """The same random numbers for every run that is made with this seed."""
    random.seed(seed)
    np.random.seed(seed)
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "manual_seed"):
        torch.manual_seed(seed)


@contextmanager
def random_numbers_kept() -> Iterator[None]:
    """Give back the random numbers of Python, numpy and torch, of every device."""
    python, numpy = random.getstate(), np.random.get_state()
    torch: Any = sys.modules.get("torch")
    with ExitStack() as stack:
        if hasattr(torch, "random"):
            # None: all of them; to ask a device for its numbers starts it
            devices: list[int] | None = None if torch.cuda.is_initialized() else []
            stack.enter_context(torch.random.fork_rng(devices))
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def drawn() -> tuple[Any, ...] | None:
    """How far a seeded run went in its random numbers; None where a device drew some, whose count tells too little.

    Two runs of one seed that went as far drew the same numbers in the same order.
    """
    python, numpy = random.getstate(), np.random.get_state(legacy=False)
    inner: Any = numpy["state"]
    states: tuple[Any, ...] = (hash(python), hash(inner["key"].tobytes()), inner["pos"], numpy["has_gauss"])
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "get_rng_state"):
        return states
    if torch.cuda.is_initialized() and any(int(one[8:16].sum()) for one in torch.cuda.get_rng_state_all()):
        return None
    return (*states, hash(torch.get_rng_state().numpy().tobytes()))


def is_key(value: Any) -> bool:
    """Whether it is a key of jax's random numbers: of a dtype of its own, or the two words that it was before.

    >>> is_key(np.zeros(2, np.uint32))
    False
    """
    if not is_array(value) or framework(value) not in ("jax", "jaxlib"):
        return False
    return is_typed_key(value) or (str(value.dtype) == "uint32" and tuple(value.shape) == (2,))


def is_typed_key(value: Any) -> bool:
    """Whether it is a key that numpy cannot read: `jax.random.key(0)`."""
    return str(getattr(value, "dtype", "")).startswith("key<")


def of_seed(key: Any, seed: int) -> Any:
    """The key for runs of this seed: itself for 0."""
    jax: Any = sys.modules["jax"]
    return jax.random.fold_in(key, seed) if seed else key
