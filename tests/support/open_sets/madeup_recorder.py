"""A recorder of its own, for models that are functions with a `madeup_layer`: `model.madeup_layer(inputs)`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from rnninspect.api.handed import Handed
from rnninspect.api.live import case_of
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.recording.base import Judged, Recorder, Wanted, Where
from rnninspect.recording.stated import Stated


@dataclass(frozen=True, eq=False)
class Call:
    """One call: (outputs, h), as numpy arrays."""

    where: Where
    outputs: Array
    h: Array

    def judged(self, tolerance: Tolerance, final_state: Any = None, lengths: Any = None) -> Judged:
        handed = Handed(
            self.h if final_state is None else final_state, lengths=lengths or self.where.stated_lengths.value
        )
        case = case_of(self.outputs, handed, LayerConfig(cell="gru", layers=1), "tf1", tolerance)
        return Judged(case, notes=("made up",))

    def dump(self) -> dict[str, Array]:
        return {"outputs": self.outputs, "final_state": self.h}

    def states(self) -> tuple[Array | None, Array | None]:
        return None, self.h


class Session:
    """Puts a function of its own in the layer's place, and the layer back when it is closed."""

    def __init__(self, wanted: Wanted) -> None:
        self.lengths, self.kept = wanted.lengths, []

    def begin(self, model: Any, hooks: ExitStack) -> None:
        layer = model.madeup_layer

        def seen(inputs: Array) -> Any:
            outputs, h = layer(inputs)
            self.kept.append(
                Call(Where("layer", len(self.kept), "a made-up layer", {}, Stated(self.lengths)), outputs, h)
            )
            return outputs, h

        model.madeup_layer = seen
        hooks.callback(setattr, model, "madeup_layer", layer)

    def close(self) -> None:
        pass

    def calls(self) -> tuple[Call, ...]:
        return tuple(replace(call) for call in self.kept)

    def skipped(self) -> dict[str, int]:
        return {}

    def unseen(self) -> dict[str, str]:
        return {}

    def state_lengths(self, lengths: Any) -> None:
        self.lengths = lengths


RECORDER = Recorder("madeup", "objects with a madeup_layer", lambda model: hasattr(model, "madeup_layer"), Session)
