"""Final states and turned rows in torch's own operations, for code that `torch.jit.trace` or `torch.compile` follows.

Lengths stay an input of what is traced there, and no value can be looked at: nothing but torch's own checks is made.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rnninspect.core.full_lengths import FULL
from rnninspect.core.trace import Direction, TimeOrder, ZeroLength


def _torch() -> Any:
    return sys.modules["torch"]


def is_traced(*values: Any) -> bool:
    """Whether torch follows the operations on one of these tensors, to repeat them later on other numbers."""
    torch = sys.modules.get("torch")
    if torch is None or not any(isinstance(value, torch.Tensor) for value in values):
        return False
    return bool(torch.jit.is_tracing() or torch.compiler.is_compiling())


def _tensor(value: Any, beside: Any) -> Any:
    """A tensor on the device of the one beside it; `as_tensor` would make one that is traced a constant."""
    torch = _torch()
    return value.to(beside.device) if isinstance(value, torch.Tensor) else torch.as_tensor(value, device=beside.device)


def real_steps(lengths: Any, mask: Any, by_row: Any) -> Any:
    """`[B, T]`: True where a step of `by_row` `[B, T, …]` is real, by the mask `[B, T]` or by lengths `[B]`, "full" for
    all."""
    torch = _torch()
    if mask is not None:
        real = _tensor(mask, by_row).bool()
        return real[..., 0] if real.dim() == 3 else real
    steps = torch.arange(by_row.size(1), device=by_row.device)
    if isinstance(lengths, str) and lengths == FULL:
        return (steps >= 0).expand(by_row.size(0), -1)
    return steps < _tensor(lengths, by_row).reshape(-1, 1)


def finals(
    halves: Sequence[Any],
    real: Any,
    directions: Sequence[Direction],
    order: TimeOrder,
    policy: ZeroLength,
    initial: Any,
) -> list[Any]:
    """`[B, H]` for each direction, of its outputs `[B, T, H]` and the steps that are real `[B, T]`.

    Args: `order`: how a backward direction lies in time. `policy`: what a row without a real step ends in: zeros, its
    `initial` state (`[B, H]` for each direction, or one as wide as all; None: zeros), or what its outputs hold there.
    """
    ended = [_final(half, real, way, order) for half, way in zip(halves, directions, strict=True)]
    if policy == "wrap":
        return ended
    starts: Sequence[Any] = [one.new_zeros(()) for one in ended]
    if policy == "initial" and initial is not None:
        starts = [_tensor(start, halves[0]) for start in (initial if isinstance(initial, tuple) else (initial,))]
        starts = starts[0].chunk(len(ended), -1) if len(starts) < len(ended) else starts
    empty = ~real.any(1)[:, None]
    return [_torch().where(empty, start.to(one), one) for start, one in zip(starts, ended, strict=True)]


def _final(half: Any, real: Any, direction: Direction, order: TimeOrder) -> Any:
    """`[B, H]`: the outputs at the step where the direction has read all of a row; of an empty row at the last one."""
    count, steps = half.size(1), _torch().arange(half.size(1), device=half.device)
    if direction == "backward" and order == "time":
        at = (count - (real * (count - steps)).amax(1)) % count
    else:
        stored = real.flip(1) if direction == "backward" and order == "reversed" else real
        at = ((stored * (steps + 1)).amax(1) - 1) % count
    return half[_torch().arange(half.size(0), device=half.device), at]


def turned(by_row: Any, real: Any) -> Any:
    """`[B, T, …]`: the real steps of each row in reverse, the others where they are."""
    torch = _torch()
    steps = torch.arange(by_row.size(1), device=by_row.device).expand(by_row.size(0), -1)
    real_first = torch.argsort((~real).to(torch.uint8), dim=1, stable=True)
    rank = real.sum(1, keepdim=True) - real.long().cumsum(1)
    source = torch.where(real, real_first.gather(1, rank.clamp(min=0)), steps)
    return by_row[torch.arange(by_row.size(0), device=by_row.device)[:, None], source]
