"""Which array is what: roles, arrays in their roles, and one way of reading them all together."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from rnninspect.core.frozen import frozen
from rnninspect.core.precision import Precision
from rnninspect.core.trace import Array, Direction, Ints, Trace

Role = Literal["outputs", "h", "c", "initial_h", "initial_c", "inputs", "lengths", "mask"]


@frozen(eq=False)
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

    @property
    def short(self) -> str:
        """The array's own name, without the file or the group that it is in."""
        return self.name.rpartition("#")[2].rpartition("/")[2]


STATED = "stated"  # what speaks for a framework that somebody named


@frozen
class Belief:
    """That a framework made these arrays, and what speaks for it, the strongest first (`.pt`, `output, h_n`, …)."""

    name: str
    because: tuple[str, ...] = ()


@frozen
class Origin:
    """Where arrays come from, as far as it speaks for a framework.

    `suffix`: of the file (`.pt`). `packages`: the conventions that live arrays or states are of. `weights`: those whose
    names the weights beside them have, the likelier first. `marks`: what stands around printed arrays (`tensor(`).
    """

    suffix: str = ""
    packages: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


UNKNOWN = Origin()


@frozen
class Evidence:
    """Why arrays were read as they were.

    `because`: what speaks for this reading. `conventions`: the likeliest frameworks, the best first; one where it is
    decided. `unused`: what was given and not read, each with the reason. `notes`: what was taken without being
    stated, and what was done to an array on the way in.
    """

    because: tuple[str, ...] = ()
    conventions: tuple[Belief, ...] = ()
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def decided(self) -> bool:
        """Whether one framework is known: stated, or far likelier than any other."""
        return len(self.conventions) < 2

    @property
    def framework_stated(self) -> bool:
        """Whether somebody said whose arrays these are."""
        return any(belief.because == (STATED,) for belief in self.conventions)


@frozen(eq=False)
class StateRows:
    """The rows of the batch that a final state with another number of rows is of.

    `rows`: row i of the state is row `rows[i]` of the batch, and of `batch_size` rows the others have none. `lengths`
    `[B]`: those of the whole batch, where they were given. `slots`: where these are no rows at all but the layers and
    directions of that one row, how many.
    """

    rows: tuple[int, ...]
    batch_size: int
    lengths: Ints | None = None
    slots: int = 0


@frozen(eq=False)
class Reading:
    """One way of understanding the named arrays, with the Trace that it gives.

    `outputs_axes`, `state_axes`: in letters, as in `B T H` or `(L D) B H`. `as_stated`: it keeps to all that was
    stated. `time_major`: the first axis is time. `time_swapped`: that is the other way round than stated, or than is
    usual where nothing was; a framework's own default is usual. `evidence`: why it is read so. `state_rows`: where
    the final state has fewer rows than the batch, whose they are: the trace then holds these rows alone, in that order.
    """

    trace: Trace
    outputs_axes: str
    state_axes: str
    as_stated: bool = True
    time_swapped: bool = False
    time_major: bool = False
    evidence: Evidence = field(default_factory=Evidence)
    state_rows: StateRows | None = None
    left_open: bool = False

    @property
    def text(self) -> str:
        return f"outputs {self.outputs_axes}, final state {self.state_axes}"
