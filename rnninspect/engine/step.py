"""What the engine asks of a cell's step, and what the steps share. Imports no torch.

A cell reads a step in two halves. `project` is all that depends on the inputs alone, x W + b, and is done for many
steps at once. `step` adds what depends on the state before, and overwrites its buffers: a step allocates nothing and
makes no view unless the number of rows changed, because that is what a step on narrow rows costs.

Rows `n` of a step, features `F`, units of the cell `H`, units of h `P` (= H, or a projection's width). sigma is
`recurrent_activation`, act `activation`; * between vectors is elementwise. Gate blocks lie as the cell's description
says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rnninspect.core.cell import ROLE_FIELDS, CellSpec
from rnninspect.core.trace import Array

if TYPE_CHECKING:
    from torch import Tensor

Make: TypeAlias = "Callable[[Array], Tensor]"  # an array as a tensor of the run's dtype, on its device
Parts: TypeAlias = "tuple[Tensor, ...]"  # the input's share of the gates, `[n, width]` each


class StepCell(Protocol):
    """What the engine's loop needs of a cell."""

    c: Tensor | None

    def begin(self, c: Tensor | None) -> None:
        """Start a pass: `c` `[B, H]` is the cell state of all its rows, and is overwritten step by step."""

    def rows(self, n: int) -> None:
        """From the next step on, only the first `n` rows go on; the cell states of the others stay as they are."""

    def project(self, x: Tensor) -> Parts:
        """The input's share of the gates: `x` `[N, F]` -> `[N, width]` each."""

    def step(self, x: Parts, h: Tensor, out: Tensor) -> None:
        """One step: the input's share, and h before `[n, P]` -> h after, written to `out` `[n, P]`."""


def hard_slope(spec: CellSpec) -> tuple[float, float] | None:
    """(alpha, beta) where sigma is clip(alpha x + beta, 0, 1) of the bare sums: weights can take them up.

    That leaves one clip of three calls a step; rounding aside nothing changes.
    """
    if not spec.recurrent_activation.startswith("hard_sigmoid") or spec.gate_clip is not None:
        return None
    from rnninspect.engine.activations import ACTIVATIONS

    activation = ACTIVATIONS[spec.recurrent_activation]
    alpha, beta = dict(spec.activation_alpha).get("recurrent"), dict(spec.activation_beta).get("recurrent")
    return activation.alpha if alpha is None else alpha, activation.beta if beta is None else beta


def clip01(x: Tensor) -> Tensor:
    """clip(x, 0, 1), in place."""
    return x.clamp_(0, 1)


def act(spec: CellSpec, role: str) -> Callable[[Tensor], Tensor]:
    """The activation of that role (of `cell.ROLE_FIELDS`), in place; UnknownNameError where there is no such one."""
    from rnninspect.engine.activations import activation

    name: str = getattr(spec, ROLE_FIELDS[role])
    return activation(name, dict(spec.activation_alpha).get(role), dict(spec.activation_beta).get(role))
