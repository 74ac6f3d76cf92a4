"""What the padded steps of an input hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.invariance.batch import Batch, Group, Input


def constant_step(blocks: Sequence[Array]) -> Array | None:
    """The one step `[…]` that all these blocks `[N, …]` consist of, or None."""
    whole = np.concatenate([block for block in blocks if len(block)]) if any(map(len, blocks)) else None
    if whole is None or not len(whole):
        return None
    same = (whole == whole[0]) | ((whole != whole) & (whole[0] != whole[0]))
    return np.asarray(whole[0]) if same.all() else None


def with_padding(one: Input, group: Group) -> Input:
    """With what its padded steps hold, where that is one value; zeros otherwise."""
    padded = one.steps_first[~group.real]
    constant = constant_step([padded])
    return replace(one, padding=np.zeros(one.steps_first.shape[2:]) if constant is None else constant)


def constant_padding(batch: Batch) -> bool:
    """Whether what may be replaced by noise holds one value throughout."""
    blocks = [
        one.steps_first[~batch.groups[one.group].real] for one in batch.inputs if one.noised and one.group is not None
    ]
    return all(constant_step([block]) is not None for block in blocks if block.size)


def told_by_content(batch: Batch) -> bool:
    """Whether it holds one value in two steps or more: one step alone always does, and tells nothing."""
    return batch.padded and constant_padding(batch) and any(int((~group.real).sum()) > 1 for group in batch.groups)
