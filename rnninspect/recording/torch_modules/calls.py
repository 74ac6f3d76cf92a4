"""One recorded call of a layer: its tensors, as arrays under torch's names, as a Case, as a dump."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from rnninspect.api.live import Handed, case_of
from rnninspect.conventions.live import is_packed, read_outputs
from rnninspect.core.arrays import to_array
from rnninspect.core.cell import Cell
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.diagnosis.build_case import read_weights
from rnninspect.diagnosis.case import Case
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.recording.base import Where

CELLS: Mapping[str, Cell] = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn", "RNN_RELU": "rnn"}


@dataclass(frozen=True)
class Layer:
    """What a layer computes: read when it is called, because a module can be changed later.

    `dropout`: dropout between its layers was on, so that no second run gives its numbers.
    """

    cell: Cell
    layers: int
    bidirectional: bool
    batch_first: bool
    dropout: bool

    @classmethod
    def of(cls, module: nn.RNNBase) -> Layer:
        return cls(
            cell=CELLS[module.mode],
            layers=module.num_layers,
            bidirectional=module.bidirectional,
            batch_first=module.batch_first,
            dropout=module.training and module.dropout > 0 and module.num_layers > 1,
        )


@dataclass(frozen=True, eq=False)
class Call:
    """One call of an `nn.LSTM`, `nn.GRU` or `nn.RNN`. Tensors are copies, as they were at the call.

    `inputs`, `outputs`: tensors in the module's own layout, or PackedSequences. `initial`, `final`: h `[L*D, B, H]`, or
    (h, c); `initial` None for zeros. `weights`: by torch's names.
    """

    where: Where
    layer: Layer
    inputs: Any
    initial: Any
    outputs: Any
    final: Any
    weights: Mapping[str, Tensor]

    @property
    def batch_size(self) -> int:
        if is_packed(self.inputs):
            return int(self.inputs.batch_sizes[0])
        if self.inputs.dim() == 2:
            return 1
        return int(self.inputs.shape[0 if self.layer.batch_first else 1])

    @property
    def config(self) -> LayerConfig:
        """The layer in the words of the options; its arrays are batch-major."""
        way: Literal["forward", "bidirectional"] = "bidirectional" if self.layer.bidirectional else "forward"
        return LayerConfig(self.layer.cell, self.layer.layers, way, attributes=self.where.attributes)

    def arrays(self, lengths: Any = None) -> dict[str, Array]:
        """The call as a batch-major dump: `inputs` `[B, T, F]`, `output` `[B, T, D*H]`, `h_n` `[L*D, B, H]`, `c_n`,
        `h_0`, `c_0`, and `lengths` `[B]` where they are known (those given here, packed, or stated at the call).

        Raises ShapeError where the lengths are not one a row.
        """
        inputs, row_lengths = self._by_row(self.inputs, "inputs")
        outputs, _ = self._by_row(self.outputs, "output")
        arrays = {"inputs": inputs, "output": outputs}
        for suffix, state in (("n", self.final), ("0", self.initial)):
            for letter, tensor in zip("hc", state if isinstance(state, tuple) else (state,), strict=False):
                if tensor is not None:
                    array = to_array(tensor, f"{letter}_{suffix}")
                    arrays[f"{letter}_{suffix}"] = array[:, None] if array.ndim == 2 else array
        lengths = self.where.lengths if lengths is None else lengths
        if row_lengths is None and lengths is not None:
            row_lengths = self.where.checked(lengths, *inputs.shape[:2])
        return arrays if row_lengths is None else {**arrays, "lengths": row_lengths}

    def case(self, tolerance: Tolerance, final_state: Any = None, lengths: Any = None) -> Case:
        """The case of this call; `final_state`: the state that the user's code took from it, where not the module's."""
        arrays = self.arrays(lengths)
        if final_state is not None:
            arrays = {name: array for name, array in arrays.items() if name not in ("h_n", "c_n")}
        config = self.config
        case = case_of(arrays, Handed(final_state), config, "torch", tolerance)
        if self.layer.dropout:
            return case
        return case.with_weights(read_weights(self.weights, config, "torch"))

    def dump(self) -> dict[str, Array]:
        """All arrays of the call, and the weights under torch's names."""
        return self.arrays() | {name: to_array(w, name) for name, w in self.weights.items()}

    def notes(self, case: Case) -> list[str]:
        """What a reader of the report should know."""
        notes = []
        if not case.trace.knows_padding and case.trace.batch_size > 1:
            notes.append("no lengths are known: every step is taken as real")
        elif not is_packed(self.inputs) and not case.trace.mask.all() and "h_n" in case.dump.arrays:
            notes.append(
                "the final state is the one that the layer returned; where your code takes another, give it: "
                f"recording.inspect({self.where.name!r}, final_state=…)"
            )
        if self.layer.dropout:
            notes.append("dropout between the layers was on, so the weights were not run again (see model.eval())")
        return notes

    def _by_row(self, value: Any, what: str) -> tuple[Array, Array | None]:
        """`[B, T, …]`, and the lengths of a PackedSequence."""
        if is_packed(value):
            read = read_outputs(value, LayerConfig())
            return read.slots[0].array, read.lengths
        array = to_array(value, what)
        if array.ndim == 2:
            return array[None], None
        return np.asarray(array if self.layer.batch_first else array.swapaxes(0, 1)), None


def copied(value: Any) -> Any:
    """Every tensor in tuples and PackedSequences as a copy of its own, without gradient; None stays None."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, tuple):
        parts = [copied(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """The tensors that the module computes with, parametrised ones and those of replicas too."""
    if isinstance(module, nn.RNNBase):
        named = zip(module._flat_weights_names, module._flat_weights, strict=True)
    else:
        named = ((n, getattr(module, n, None)) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))  # type: ignore[assignment]
    return {name: tensor.detach() for name, tensor in named if tensor is not None}


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether the weights are equal, value for value."""
    return first.keys() == second.keys() and all(torch.equal(a, second[name]) for name, a in first.items())
