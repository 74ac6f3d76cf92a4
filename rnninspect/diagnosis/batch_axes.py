"""Which axis of a batch is time, where the weights' own framework has it first and nobody stated it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.roles import assign_roles
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument


def with_axes_of_batch(
    arrays: Mapping[str, Array], framework: Convention, config: LayerConfig, named: Mapping[Role, Slot]
) -> tuple[LayerConfig, str]:
    """The config with the axes that lengths or a mask give to the inputs, and a sentence that says how they are read.

    `config` has time first, by the file of weights alone. Lengths of as many values as the first axis is long, but not
    the second, or a mask of the first two axes, say that rows come first.
    """
    roles = {slot.role: slot.array for slot in assign_roles(framework, arrays, config, named, anonymous="inputs")}
    inputs, lengths, mask = (roles.get(role) for role in ("inputs", "lengths", "mask"))
    if inputs is None or inputs.ndim not in (2, 3):
        return config, ""
    first, second = inputs.shape[:2]
    by_lengths = lengths is not None and lengths.size == first != second
    by_mask = mask is not None and mask.shape == (first, second) and first != second
    shape = list(inputs.shape)
    if by_lengths or by_mask:
        what = f"there are {first} lengths" if by_lengths else "the mask has the same axes"
        return replace(config, time_major=False), f"{shape} is read as [B, T, F]: {what}"
    told = lengths is not None and lengths.size == second != first
    sure = "" if told else f"; {argument('batch_first', True)} reads it as [B, T, F]"
    return config, f"{shape} is read as [T, B, F], as the weights' own framework has it{sure}"
