"""A layer of a stand-in: the engine runs it, and it answers in the axes and the nesting of its framework."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnninspect.core.trace import Direction, Trace, Track, prefix_mask
from rnninspect.diagnosis.case import Case
from tests.support.stand_ins.tensors import tensor

LSTMStateTuple = namedtuple("LSTMStateTuple", "c h")
LSTMState = namedtuple("LSTMState", "hidden cell")


@dataclass(frozen=True, eq=False)
class Layer:
    """The layer of a case. `training` as the frameworks have it; `units` of a cell object that knows them."""

    case: Case
    framework: str
    time_major: bool
    training: bool = False

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        """Of tf1: nothing carried over."""
        return ()

    def initial_state(self, batch_size: int) -> Any:
        """Of haiku: nothing carried over."""
        return ()

    def run(self, inputs: Any, lengths: Any = None, start: Any = None) -> Trace:
        """What the layer gives for inputs in the framework's axes; every step is real without lengths."""
        assert self.case.batch is not None
        array = np.asarray(inputs, dtype=np.float32)
        array = array.swapaxes(0, 1) if self.time_major else array
        counts = np.full(len(array), array.shape[1]) if lengths is None else np.asarray(lengths).astype(np.int64)
        mask = prefix_mask(counts, array.shape[1])
        batch = replace(self.case.batch, inputs=array, mask=mask, lengths=counts, mask_given=False)
        ran = self.case.with_tracks(lambda t: replace(t, initial=None, initial_cell=None)).run(batch)
        padding = "computed" if lengths is None else ran.padding
        return replace(ran, lengths=counts, padding=padding)  # type: ignore[arg-type]


def nested_outputs(trace: Trace, time_major: bool) -> dict[Direction, Any]:
    """The top layer's outputs by direction, in these axes."""
    tops = [t for t in trace.tracks if t.layer == trace.layers - 1]
    return {t.direction: tensor(t.outputs.swapaxes(0, 1) if time_major else t.outputs) for t in tops}  # type: ignore[union-attr]


def one_state(track: Track, framework: str) -> Any:
    """A layer's state in one direction: h, or the framework's tuple of h and c."""
    h, c = tensor(track.final), None if track.cell is None else tensor(track.cell)
    if c is None:
        return h
    return LSTMStateTuple(c, h) if framework == "tf1" else LSTMState(h, c)


def a_layer_each(trace: Trace, framework: str, direction: Direction) -> Any:
    """A direction's states: one, or of a stack a tuple of them (tf1, haiku)."""
    states = tuple(one_state(t, framework) for t in trace.tracks if t.direction == direction)
    return states[0] if len(states) == 1 else states


def stacked(trace: Trace) -> Any:
    """h `[L*D, B, H]`, and of an LSTM the pair of it and c (paddle)."""
    h = tensor(np.stack([t.final for t in trace.tracks]))  # type: ignore[arg-type]
    return h if trace.tracks[0].cell is None else (h, tensor(np.stack([t.cell for t in trace.tracks])))  # type: ignore[arg-type]


def flat(trace: Trace) -> list[Any]:
    """Every state in turn, h before c (mxnet's `unroll`)."""
    return [tensor(a) for t in trace.tracks for a in (t.final, t.cell) if a is not None]
