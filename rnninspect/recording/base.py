"""What a recorder of one framework's models is, and what it gives: recorded calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rnninspect.core.arrays import to_array
from rnninspect.core.full_lengths import FULL
from rnninspect.core.trace import Array
from rnninspect.diagnosis.case import Case
from rnninspect.errors import ShapeError, UserError
from rnninspect.measure.choose_reading import Tolerance


@dataclass(frozen=True, eq=False)
class Where:
    """Which call it is. `name`: the module's path in the model; `number`: which of its calls, from 0; `layer`: the
    module as its framework prints it; `attributes`: what it computes besides the defaults; `lengths`: `[B]` as stated
    for it.
    """

    name: str
    number: int
    layer: str
    attributes: Mapping[str, Any]
    lengths: Any = None

    def checked(self, lengths: Any, rows: int, steps: int) -> Array:
        """The lengths stated, one a row (`full`: all steps).

        Raises ShapeError where their count is another, UserError on a name.
        """
        if isinstance(lengths, str) and lengths == FULL:
            return np.full(rows, steps)
        if isinstance(lengths, str):
            raise UserError(
                f"lengths={lengths!r}: an argument is read as it is called, so name it in record(lengths={lengths!r}); "
                "give numbers here, one a row"
            )
        numbers = to_array(lengths, "lengths")
        if numbers.size != rows:
            raise ShapeError(
                f"lengths has {numbers.size} values, but {self.name} call {self.number} has {rows} rows; "
                f"give them by the module's name: lengths={{{self.name!r}: …}}"
            )
        return numbers.reshape(-1)


class RecordedCall(Protocol):
    """One call of a recurrent layer, or one loop over a cell. It holds copies: the model may go on."""

    @property
    def where(self) -> Where:
        """Which call it is."""

    def case(self, tolerance: Tolerance, final_state: Any = None, lengths: Any = None) -> Case:
        """The case of this call; `final_state`: the state that the user's code took from it, where not the layer's.

        `lengths`: `[B]`, where the recording knew none. Raises ShapeError where they are not one a row.
        """

    def dump(self) -> dict[str, Array]:
        """All arrays of the call, and the weights, under the framework's own names."""

    def notes(self, case: Case) -> list[str]:
        """What a reader of the report should know."""


class Session(Protocol):
    """One recording of one framework's models. `lengths` are those of the calls to come, and may be set anew."""

    lengths: Any

    def begin(self, model: Any, hooks: ExitStack) -> None:
        """Takes calls in from now on; what ends that is put on `hooks`. `model` None: every model of this process.

        Raises UserError where the model holds nothing that can be recorded.
        """

    def close(self) -> None:
        """Takes nothing in any more."""

    def calls(self) -> tuple[RecordedCall, ...]:
        """Every call that was kept, in the order in which they were made."""

    def skipped(self) -> dict[str, int]:
        """How many further calls were not kept, by the layer's name."""


@dataclass(frozen=True)
class Recorder:
    """A framework whose live models can be recorded. Each file of this folder with a RECORDER is one.

    `models`: what it records, in words. `recognises(model)`: whether the model is one of its own; it imports nothing,
    for a framework that was not imported has made no model. `session(lengths, limit)`: a recording (it may import the
    framework). `everything`: it can record every model that runs in this process.
    """

    name: str
    models: str
    recognises: Callable[[Any], bool]
    session: Callable[[Any, int | None], Session]
    everything: bool = False
