"""One recorded call of a layer: its tensors, as arrays under torch's names, as a Case, as a dump."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from rnninspect import conventions
from rnninspect.api.handed import Handed
from rnninspect.api.live import case_of
from rnninspect.conventions.live import is_packed, read_outputs
from rnninspect.core.arrays import to_array
from rnninspect.core.batch import Batch, resolve_mask
from rnninspect.core.cell import Cell
from rnninspect.core.evidence import Reading
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import DIRECTIONS, Array, Ints, Trace, Track
from rnninspect.core.weights import Weights
from rnninspect.core.wording import argument, worded
from rnninspect.diagnosis.build_case import read_weights, rerun
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.case import Layer as CaseLayer
from rnninspect.errors import ShapeError
from rnninspect.measure.choose_reading import Choice, Tolerance
from rnninspect.recording.base import Judged, Where
from rnninspect.recording.call_site import Site, Use, why_unseen
from rnninspect.recording.direct_reading import reads_directly
from rnninspect.recording.own_lengths import (
    fitted_order,
    last_of,
    perhaps_put_back,
    reads_padding,
    reordered,
    settle_own,
)
from rnninspect.recording.stated import Settled, Stated, in_proportion, rows_read, settle, states_read
from rnninspect.recording.torch_modules.tensors import autocast

CELLS: Mapping[str, Cell] = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn", "RNN_RELU": "rnn"}


@dataclass(frozen=True)
class Layer:
    """What a layer computes: read when it is called, because a module can be changed later. `not_rerun`: why no second
    run of its weights gives its numbers; empty where one does."""

    cell: Cell
    layers: int
    bidirectional: bool
    batch_first: bool
    not_rerun: str = ""

    @classmethod
    def of(cls, module: Any, device: str) -> Layer:
        """What the module says of itself, on that device."""
        return cls(
            cell=CELLS[module.mode],
            layers=module.num_layers,
            bidirectional=module.bidirectional,
            batch_first=module.batch_first,
            not_rerun=_not_rerun(module, device),
        )


@dataclass(frozen=True, eq=False)
class Call:
    """One call of an `nn.LSTM`, `nn.GRU` or `nn.RNN`. Tensors are copies, as they were at the call.

    `inputs`, `outputs`: tensors in the module's own layout, or PackedSequences. `initial`, `final`: h `[L*D, B, H]`, or
    (h, c); `initial` None for zeros. `weights`: by torch's names. `site`: where the program called it.
    """

    where: Where
    layer: Layer
    inputs: Any
    initial: Any
    outputs: Any
    final: Any
    weights: Mapping[str, Tensor]
    site: Site | None = None

    @property
    def batch_size(self) -> int:
        """How many rows the inputs have, packed, without a batch axis, or along the axis that the layer says."""
        if is_packed(self.inputs):
            return int(self.inputs.batch_sizes[0])
        if self.inputs.dim() == 2:
            return 1
        return int(self.inputs.shape[0 if self.layer.batch_first else 1])

    @property
    def steps(self) -> int:
        """How many steps the inputs have, packed, without a batch axis, or along the axis that the layer says."""
        if is_packed(self.inputs):
            return len(self.inputs.batch_sizes)
        return int(self.inputs.shape[0 if self.inputs.dim() == 2 or not self.layer.batch_first else 1])

    @property
    def ends_rows(self) -> bool:
        """Whether it was told that some rows end before others: it is packed, and not with one length for all."""
        return is_packed(self.inputs) and bool((self.inputs.batch_sizes != self.inputs.batch_sizes[0]).any())

    def read_directly(self, arguments: Iterable[Tensor]) -> bool:
        """Whether its inputs, which were packed, are one of these tensors, its rows and steps as they are."""
        if not is_packed(self.inputs):
            return False
        inputs, lengths = self._by_row(self.inputs, "inputs")
        return reads_directly(inputs, np.asarray(lengths), (to_array(a, "argument") for a in arguments))

    @property
    def config(self) -> LayerConfig:
        """The layer in the words of the options; its arrays are batch-major."""
        way: Literal["forward", "bidirectional"] = "bidirectional" if self.layer.bidirectional else "forward"
        padding: Literal["computed"] | None = None if self.ends_rows else "computed"
        return LayerConfig(
            self.layer.cell, self.layer.layers, way, padding=padding, attributes=dict(self.where.attributes)
        )

    def judged(self, tolerance: Tolerance, final_state: Any = None, lengths: Any = None) -> Judged:
        """The case of this call; `final_state`: the state that the user's code took from it, where not the module's."""
        stated_lengths = self.where.stated_lengths if lengths is None else Stated(lengths, exact=True)
        final_state = states_read(final_state, self.batch_size, rows_read(stated_lengths.value, self.batch_size))
        arrays, settled = self._settled(stated_lengths, final_state)
        use = self._use_of_uneven_state(settled) if final_state is None else "used"
        unseen = use in ("dropped", "perhaps")
        drops = unseen and not self.ends_rows
        notes, opened = [*settled.notes], [settled.open] if settled.open else []
        own_state = final_state is None
        if drops:
            final_state = self._picked(arrays["output"], settled)
        if unseen:
            opened.append(why_unseen(use, self.ends_rows, self.where.name))
        if final_state is None:
            case = self._as_returned(arrays, settled, tolerance)
        else:
            arrays = {name: array for name, array in arrays.items() if name not in ("h_n", "c_n")}
            case = case_of(arrays, Handed(final_state), self.config, "torch", tolerance)
        if self.weights and not self.layer.not_rerun:
            case = case.with_weights(_read_weights(self.weights, self.config))
        return Judged(case, "; ".join(opened), (*notes, *self._notes(case, drops, own_state)), settled.hint)

    def case(self, tolerance: Tolerance, final_state: Any = None, lengths: Any = None) -> Case:
        """The case of this call alone."""
        return self.judged(tolerance, final_state, lengths).case

    def dump(self) -> dict[str, Array]:
        """All arrays of the call, and the weights under torch's names."""
        return self._settled(None, None)[0] | {name: to_array(w, name) for name, w in self.weights.items()}

    def states(self) -> tuple[Array | None, Array | None]:
        """The state that the call began with, None where it was given none, and the one that it returned."""
        first, last = (state[0] if isinstance(state, tuple) else state for state in (self.initial, self.final))
        return None if first is None else to_array(first, "h_0"), to_array(last, "h_n")

    def _settled(self, stated_lengths: Stated | None, final_state: Any) -> tuple[dict[str, Array], Settled]:
        """The call as a batch-major dump: `inputs` `[B, T, F]`, `output` `[B, T, D*H]`, `h_n` `[L*D, B, H]`, `c_n`,
        `h_0`, `c_0`, and `lengths` `[B]` or a `mask` where they are known; in the order of the user's batch. And what
        is taken for its rows. Raises ShapeError where what is stated does not fit.
        """
        stated_lengths = stated_lengths or self.where.stated_lengths
        inputs, own_lengths = self._by_row(self.inputs, "inputs")
        outputs, _ = self._by_row(self.outputs, "output")
        rows, steps = inputs.shape[:2]
        if not rows or not steps:
            raise ShapeError(f"{self.where.called} has {rows} rows and {steps} steps: there is nothing to compare")
        arrays = {"inputs": inputs, "output": outputs}
        for suffix, state in (("n", self.final), ("0", self.initial)):
            for letter, tensor in zip("hc", state if isinstance(state, tuple) else (state,), strict=False):
                if tensor is not None:
                    array = to_array(tensor, f"{letter}_{suffix}")
                    arrays[f"{letter}_{suffix}"] = array[:, None] if array.ndim == 2 else array
        if own_lengths is None:
            settled = settle(stated_lengths, rows, steps, self.where.called)
            if settled.open:
                settled = in_proportion(stated_lengths, inputs, self.where.called) or settled
        else:
            settled = settle_own(
                stated_lengths, np.asarray(own_lengths, dtype=np.int64), steps, True, self.where.called
            )
            if settled.order is not None:
                settled = settled if final_state is None else replace(settled, open="")
                assert settled.lengths is not None
                if reads_padding(inputs, own_lengths, settled.lengths):
                    settled = replace(settled, order=None, notes=(), open="")
                else:
                    arrays = reordered(arrays, self._order(arrays, settled, final_state))
            elif stated_lengths.value is None:
                arrays, settled = perhaps_put_back(arrays, settled, final_state)
        if settled.lengths is not None:
            arrays["lengths"] = np.asarray(settled.lengths)
            if own_lengths is not None and settled.lengths.size and settled.lengths.max() > steps:
                arrays["output"] = np.pad(arrays["output"], ((0, 0), (0, int(settled.lengths.max()) - steps), (0, 0)))
                del arrays["inputs"]  # those of the further steps are not known
        if settled.mask is not None:
            arrays["mask"] = settled.mask
        return arrays, settled

    def _order(self, arrays: Mapping[str, Array], settled: Settled, final_state: Any) -> Ints:
        """The order of the user's batch; among rows of one length the one that the user's state follows."""
        assert settled.order is not None
        assert settled.lengths is not None
        last, tail = arrays["h_n"][-1], last_of(final_state, arrays["h_n"][-1])
        if tail is None:
            return settled.order
        return fitted_order(settled.order, settled.lengths, lambda row, place: bool((tail[row] == last[place]).all()))

    def _use_of_uneven_state(self, settled: Settled) -> Use:
        """What the program does with the state, where rows end at different steps, so that one step is not all ends."""
        if self.site is None:
            return "used"
        if self.ends_rows:
            return self.site.state_is
        padded = (settled.mask is not None and not settled.mask.all()) or (
            settled.lengths is not None and bool((settled.lengths < self.steps).any())
        )
        return self.site.state_is if padded else "used"

    def _picked(self, outputs: Array, settled: Settled) -> Array:
        """`[B, D*H]`: what a right reader takes from the outputs: the last real step, of the way back the first."""
        mask = settled.mask
        if mask is None:
            assert settled.lengths is not None
            mask = np.arange(outputs.shape[1]) < settled.lengths[:, None]
        rows = np.arange(outputs.shape[0])
        last = np.where(mask.any(1), mask.shape[1] - 1 - mask[:, ::-1].argmax(1), 0)
        picked = outputs[rows, last]
        if self.layer.bidirectional:
            half = outputs.shape[2] // 2
            picked = np.concatenate([picked[:, :half], outputs[rows, mask.argmax(1), half:]], 1)
        return np.asarray(picked)

    def _as_returned(self, arrays: Mapping[str, Array], settled: Settled, tolerance: Tolerance) -> Case:
        """The case of what the module returned: its layout is known, and no other reading is tried."""
        config, outputs = self.config, arrays["output"]
        ways = config.directions or DIRECTIONS[:1]
        widths = np.split(outputs, len(ways), -1)
        tracks = []
        for k in range(self.layer.layers * len(ways)):
            layer, way = divmod(k, len(ways))
            states = [arrays[name][k] if name in arrays else None for name in ("h_n", "c_n", "h_0", "c_0")]
            top = widths[way] if layer == self.layer.layers - 1 else None
            tracks.append(Track(layer, ways[way], top, *states))  # type: ignore[arg-type]
        mask, real = resolve_mask(len(outputs), outputs.shape[1], arrays.get("lengths"), settled.mask)
        mask_given, torchs = settled.mask is not None, conventions.get("torch")
        trace = Trace(mask, tuple(tracks), real, mask_given, torchs.padding_for(config), torchs.zero_length, "torch")
        batch = Batch(arrays["inputs"], mask, real, mask_given) if "inputs" in arrays else None
        layer_of_case = CaseLayer(torchs, config, runner=rerun)
        return Case(Choice(Reading(trace, "B T H", "L B H")), layer_of_case, batch, tolerance=tolerance)

    def _notes(self, case: Case, drops: bool, own_state: bool) -> list[str]:
        """What a reader of the report should know."""
        notes = []
        if not case.trace.knows_padding and case.trace.batch_size > 1:
            notes.append("no lengths are known: every step is taken as real")
        elif not self.ends_rows and not case.trace.mask.all() and own_state and not drops:
            notes.append(
                "the final state is the one that the layer returned; where your code takes another, "
                f"{worded(argument('final_state_of', self.where.name))}"
            )
        if drops:
            notes.append("the final state shown is the output of each row's last real step (of the way back: first)")
        if self.layer.not_rerun:
            notes.append(f"{self.layer.not_rerun}, so the weights were not run again")
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


def _not_rerun(module: Any, device: str) -> str:
    if module.training and module.dropout > 0 and module.num_layers > 1:
        return "dropout between the layers was on (see model.eval())"
    lower = autocast(device)
    if lower:
        return f"autocast was on ({lower})"
    return "" if isinstance(module, nn.RNNBase) else "its weights are quantised"


_parsed: list[tuple[Mapping[str, Tensor], LayerConfig, Weights]] = []  # the last: calls of one layer share theirs


def _read_weights(weights: Mapping[str, Tensor], config: LayerConfig) -> Weights:
    """Canonical Weights; those of the call before where they are the very same."""
    for held, its_config, parsed in _parsed:
        if held is weights and its_config == config:
            return parsed
    parsed = read_weights(weights, config, "torch")
    _parsed[:] = [(weights, config, parsed)]
    return parsed
