"""Calls that a loop made, each of one step, as the one run that they are parts of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rnninspect.conventions.live import is_packed
from rnninspect.recording.base import RecordedCall
from rnninspect.recording.torch_modules.calls import Call
from rnninspect.recording.torch_modules.loops import Loop
from rnninspect.recording.torch_modules.steps import Step, state_of


def joined(calls: Sequence[RecordedCall]) -> RecordedCall | None:
    """One run of the steps that these calls are, in their order; None where they are of several layers, batches or
    weights, of more than a step, or begin anew here and there, as where a model is called twice."""
    layers, cells = [c for c in calls if isinstance(c, Call)], [c for c in calls if isinstance(c, Loop)]
    if not calls or len({(c.where.name, c.where.layer) for c in calls}) > 1:
        return None
    if len(layers) == len(calls):
        return _of_layer(layers)
    return _of_cell(cells) if len(cells) == len(calls) else None


def _of_layer(calls: list[Call]) -> Call | None:
    first = calls[0]
    alike = all(c.layer == first.layer and c.weights is first.weights for c in calls)
    if not alike or first.layer.bidirectional or any(is_packed(c.inputs) or c.steps != 1 for c in calls):
        return None
    if len({c.inputs.shape for c in calls}) > 1 or not _begin_alike([_begins(c.initial) for c in calls]):
        return None
    time = 1 if first.layer.batch_first and first.inputs.dim() == 3 else 0
    inputs, outputs = (torch.cat(parts, time) for parts in ([c.inputs for c in calls], [c.outputs for c in calls]))
    return replace(first, inputs=inputs, outputs=outputs, final=calls[-1].final, site=None)


def _of_cell(loops: list[Loop]) -> Loop | None:
    first, steps = loops[0], [step for loop in loops for step in loop.steps]
    alike = all(one.cell == first.cell and one.weights is first.weights and not one.cut for one in loops)
    if not alike or any(len(one.steps) != 1 for one in loops) or len({s.inputs.shape for s in steps}) > 1:
        return None
    if not _begin_alike([step.read is None or _begins(step.read) for step in steps]):
        return None
    began = [steps[0], *(_from_zeros(step) if step.read is None else step for step in steps[1:])]
    return replace(first, steps=began, changed=any(one.changed for one in loops))


def _from_zeros(step: Step) -> Step:
    """The step with the zeros that it read, which are not what the step before returned."""
    return replace(step, read=tuple(torch.zeros_like(state) for state in step.returned))


def _begins(initial: Any) -> bool:
    """Whether a call began with no state, or with zeros."""
    state: tuple[Tensor, ...] | None = state_of(initial)
    return state is None or not any(bool(tensor.any()) for tensor in state)


def _begin_alike(anew: list[bool]) -> bool:
    """Whether every step after the first goes on from a state, or none does."""
    return all(anew) or not any(anew[1:])
