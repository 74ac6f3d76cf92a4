"""Which array is what: roles, arrays in their roles, and one way of reading them all together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rnninspect.core.precision import Precision
from rnninspect.core.trace import Array, Direction, Trace

Role = Literal["outputs", "h", "c", "initial_h", "initial_c", "inputs", "lengths", "mask"]


@dataclass(frozen=True, eq=False)
class Slot:
    """One array in its role. `layer`, `direction`: as its name says, None where the name says nothing.

    `position`: its place in a list of states, (2,) of `initial_state.2`, (0, 1) of `carry.0.1`; a convention's `place`
    says what stands there. `printed`: how its numbers were rounded, where the file tells.
    """

    role: Role
    name: str
    array: Array
    layer: int | None = None
    direction: Direction | None = None
    position: tuple[int, ...] | None = None
    printed: Precision | None = None


@dataclass(frozen=True, eq=False)
class Reading:
    """One way of understanding the named arrays, with the Trace that it gives.

    `outputs_axes`, `state_axes`: in letters, as in `B T H` or `(L D) B H`. `stated`: it keeps to all that was stated.
    `time_swapped`: it takes the batch and time axes the other way round than stated.
    """

    trace: Trace
    outputs_axes: str
    state_axes: str
    stated: bool = True
    time_swapped: bool = False

    @property
    def text(self) -> str:
        return f"outputs {self.outputs_axes}, final state {self.state_axes}"
