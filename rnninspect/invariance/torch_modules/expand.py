"""What torch's models pass besides tensors: packed sequences as padded arrays, distributions as their parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnninspect.core.arrays import to_array
from rnninspect.invariance.model import Patch
from rnninspect.invariance.nested import flat, holds_attributes, mapped


def expanded(value: Any) -> Any:
    """The same structure with arrays of numpy, copied: the model may go on and change its tensors."""
    if isinstance(value, PackedSequence):
        padded, lengths = pad_packed_sequence(value, batch_first=True)
        return {"packed": expanded(padded), "lengths": expanded(lengths)}
    if isinstance(value, torch.distributions.Distribution):
        names = [name for name in ("logits", "loc", "scale", "mean") if isinstance(getattr(value, name, None), Tensor)]
        parts = {name: expanded(getattr(value, name)) for name in names}
        numbers = {name: part for name, part in parts.items() if not np.isnan(part).all()}
        return numbers or parts  # a Categorical has a mean, which is NaN
    if isinstance(value, Tensor):
        if value.is_nested:
            return [expanded(row) for row in value.unbind()]
        if value.layout != torch.strided:
            value = value.to_dense()
        return to_array(value, "the result").copy() if not value.is_complex() else expanded(torch.view_as_real(value))
    if isinstance(value, dict):
        return {key: expanded(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: expanded(item) for name, item in zip(value._fields, value, strict=True)}
    if isinstance(value, (list, tuple)):
        return type(value)(expanded(item) for item in value)
    if hasattr(value, "__dataclass_fields__"):
        return {name: expanded(getattr(value, name)) for name in value.__dataclass_fields__}
    if hasattr(value, "items") and hasattr(value, "keys"):
        return {key: expanded(item) for key, item in value.items()}
    if holds_attributes(value):
        return {name: expanded(item) for name, item in vars(value).items()}
    return value


def patched(output: Any, patch: Patch) -> Any:
    """The output with what the patch gives in place of its arrays; packed sequences stay as they are."""
    replaced = patch(flat(expanded(output)))

    def visit(path: str, leaf: Any) -> Any:
        if isinstance(leaf, Tensor) and path in replaced:
            return torch.from_numpy(np.array(replaced[path])).to(leaf)
        return leaf

    return output if isinstance(output, PackedSequence) else mapped(output, visit)
