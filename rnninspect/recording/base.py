"""What a recorder of one framework's models is, and what it gives: recorded calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from rnninspect.core.trace import Array
from rnninspect.diagnosis.case import Case
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.recording.stated import Stated

LIMIT = 16  # calls of one layer that are kept
MAX_BYTES = 512 * 2**20  # of all copies together


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is to be kept. `lengths`: as stated to `record`; `limit`: calls of one layer, the first ones (None: all);
    `every`: of these calls each k-th alone; `max_bytes`: of all copies together (None: no bound).
    """

    lengths: Any = None
    limit: int | None = LIMIT
    every: int = 1
    max_bytes: int | None = MAX_BYTES


@dataclass(frozen=True, eq=False)
class Where:
    """Which call it is. `name`: the module's path in the model; `number`: which of its calls, from 0; `layer`: the
    module as its framework prints it; `attributes`: what it computes besides the defaults; `stated_lengths`: what
    was stated about its rows.
    """

    name: str
    number: int
    layer: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    stated_lengths: Stated = field(default_factory=Stated)

    @property
    def called(self) -> str:
        """How messages call it: `rnn call 0`."""
        return f"{self.name} call {self.number}"


@dataclass(frozen=True, eq=False)
class Judged:
    """The case of a call, and what is to be said of it.

    `open`: why a verdict of `clean` would say too much; empty where it would not. `notes`: what a reader of the report
    should know. `hint`: a rule whose mistake would look like this, and right code may too.
    """

    case: Case
    open: str = ""
    notes: tuple[str, ...] = ()
    hint: str = ""


class RecordedCall(Protocol):
    """One call of a recurrent layer, or one loop over a cell. It holds copies: the model may go on."""

    @property
    def where(self) -> Where:
        """Which call it is."""

    def judged(self, tolerance: Tolerance, final_state: Any = None, lengths: Any = None) -> Judged:
        """The case of this call; `final_state`: the state that the user's code took from it, where not the layer's.

        `lengths`: `[B]` or a mask `[B, T]`, in place of those stated. Raises ShapeError where they do not fit.
        """

    def dump(self) -> dict[str, Array]:
        """All arrays of the call, and the weights, under the framework's own names."""

    def states(self) -> tuple[Array | None, Array | None]:
        """The h that it began with and the h that it returned, as they came; None where there is none."""


class Session(Protocol):
    """One recording of one framework's models."""

    def state_lengths(self, lengths: Any) -> None:
        """State the lengths of the calls to come; UserError where they name what is not there."""

    def begin(self, model: Any, hooks: ExitStack) -> None:
        """Take calls in from now on; what ends that is put on `hooks`. `model` None: every model of this process.

        Raises UserError where the model holds nothing that can be recorded.
        """

    def close(self) -> None:
        """Keep no further calls."""

    def calls(self) -> tuple[RecordedCall, ...]:
        """Every call that was kept, in the order in which they were made."""

    def skipped(self) -> dict[str, int]:
        """How many further calls were not kept, by the layer's name."""

    def unseen(self) -> dict[str, str]:
        """Recurrent layers that were called and could not be recorded, by name, and why."""


@dataclass(frozen=True)
class Recorder:
    """A framework whose live models can be recorded. Each file of this folder with a RECORDER is one.

    `models`: what it records, in words. `recognises(model)`: whether the model is one of its own; it imports nothing,
    for a framework that was not imported has made no model. `session(wanted)`: a recording (it may import the
    framework). `everything`: it can record every model that runs in this process. `nothing`: what may be the reason
    where no call was seen, in words. `joined`: the one run that calls of a single step are, None where they are none.
    """

    name: str
    models: str
    recognises: Callable[[Any], bool]
    session: Callable[[Wanted], Session]
    everything: bool = False
    nothing: str = ""
    joined: Callable[[Sequence[RecordedCall]], RecordedCall | None] = lambda calls: None
