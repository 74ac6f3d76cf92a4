"""Runs a masked recurrence: layer by layer, direction by direction, as TensorFlow's `dynamic_rnn` defines it.

A masked step carries the state over unchanged, so a pass only ever reads real steps: `reading` says which, in which
order, and where the outputs go; a reader of `loop` reads them. The final state is gathered from
the outputs, so that it is the bits of its step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rnninspect.core.batch import Batch
from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import DIRECTIONS, Array, Bools, Direction, PaddingPolicy, TimeOrder, Track, ZeroLength
from rnninspect.core.weights import Between, LayerWeights, Weights
from rnninspect.engine import cells
from rnninspect.engine.device import Where, device_of, dtype_of
from rnninspect.engine.full_float32 import in_precision
from rnninspect.engine.loop import Reader, make_reader
from rnninspect.engine.lower_products import ROUNDED
from rnninspect.engine.matmul import WORTH_THREADS, one_thread, take
from rnninspect.engine.packing import Pack, Plan, plan
from rnninspect.errors import ShapeError

Initial = Mapping[tuple[int, Direction], tuple[Array, Array | None]]


def run(
    batch: Batch,
    weights: Weights,
    *,
    initial: Initial | None = None,
    padding: PaddingPolicy = "zero",
    zero_length: ZeroLength = "initial",
    order: TimeOrder = "time",
    dtype: str | None = None,
    device: str = "cpu",
    keep_all: bool = True,
) -> tuple[Track, ...]:
    """Run the layers of `weights` over a batch: a Track a layer and direction, bottom first, forward before backward.

    Outputs are `[B, T, P]`, states `[B, P]`, c `[B, H]`. A layer reads what the layer below returned, forward and
    backward merged or apart as `weights.between` says, along the time axis as `order` leaves it: a Keras layer under
    `go_backwards` hands its outputs up in reversed time, and the mask as it was.

    `initial`: (h `[B, P]`, c `[B, H]` or None) by layer and direction; zeros where there is none.
    `padding`: what masked outputs hold. zero (also for `any`); repeat: the output before in the order read, zeros
    before the first real step (Keras); computed: the cell runs on over the masked steps, read in the pass's own
    direction, while the state is taken after the last real one (Flax).
    `zero_length`: a row without a real step ends in its initial state, or, by `wrap`, where a run over its masked
    steps ends (Flax indexes step -1), or, by `zero`, in zeros (ONNX Runtime).
    `order`: how the outputs of backward tracks lie, as `trace.TimeOrder` says.
    `dtype`: float64, float32, float16 or bfloat16, what everything is converted to and computed in; one of `ROUNDED`:
    float32 with products in TF32; None for the weights' own. numpy has no bfloat16: those outputs are float32.
    `device`: torch's name for it. `keep_all`: every layer's outputs; else only the top layer's, None below it.

    Raises ShapeError where batch, weights and initial states do not fit; UserError for a device that is not there.
    """
    _check(batch, weights, initial or {})
    products = dtype if dtype in ROUNDED else None
    where = Where(dtype_of(weights, dtype if products is None else "float32"), device_of(device), products)
    policy = _Policy(batch.mask, padding, zero_length, order)
    directions = [d for d in DIRECTIONS if d in weights.directions]
    tracks: list[Track] = []
    with torch.inference_mode(), in_precision(where.device, where.products), _threads(batch, weights):
        inputs = where.host(batch.inputs)
        layer_inputs = dict.fromkeys(directions, inputs)
        for layer in range(weights.depth):
            top = layer == weights.depth - 1
            passes = []
            for direction in directions:
                states = where.states((initial or {}).get((layer, direction)))
                passes.append(
                    _read(
                        layer_inputs[direction],
                        weights.spec_of(direction),
                        weights.at(layer, direction),
                        policy,
                        states,
                        where,
                    )
                )
            tracks += [p.track(layer, policy, where, top or keep_all) for p in passes]
            if not top:
                layer_inputs = _handed_up(passes, policy, weights.between)
    return tuple(tracks)


def _threads(batch: Batch, weights: Weights) -> contextlib.AbstractContextManager[None]:
    """One thread where no product, of all steps together, is worth a second."""
    most = max(w.input_kernel.size + w.recurrent_kernel.size for w in weights.layers)
    return one_thread() if batch.mask.size * most <= WORTH_THREADS else contextlib.nullcontext()


def _handed_up(passes: list[_Pass], policy: _Policy, between: Between) -> dict[Direction, Tensor]:
    """What the layer above reads, by its direction, `[B, T, F]`. A stacked cell reads step by step, so in time."""
    if between == "apart":
        return {p.direction: p.outputs(policy, "time") for p in passes}
    returned = [p.outputs(policy, p.stored(policy)) for p in passes]
    if len(returned) == 1 or between == "concat":
        merged = torch.cat(returned, dim=2)
    else:
        merged = returned[0] * returned[1] if between == "mul" else returned[0] + returned[1]
        merged = merged / 2 if between == "ave" else merged
    return {p.direction: merged for p in passes}


@dataclass(frozen=True, eq=False)
class _Policy:
    """Which steps are real, and what becomes of the others."""

    mask: Bools
    padding: PaddingPolicy
    zero_length: ZeroLength
    order: TimeOrder


@dataclass(frozen=True, eq=False)
class _Pass:
    """What one track's passes gave: `steps` `[N + M + 1, P]`, the real steps, those beyond them, and a row of zeros."""

    plan: Plan
    steps: Tensor
    final: Tensor
    cell: Tensor | None
    initial: tuple[Tensor | None, Tensor | None]

    @property
    def direction(self) -> Direction:
        return self.plan.direction

    def stored(self, policy: _Policy) -> TimeOrder:
        """How the outputs lie that this track returns."""
        return policy.order if self.direction == "backward" else "time"

    def outputs(self, policy: _Policy, stored: TimeOrder) -> Tensor:
        """`[B, T, P]`, the time axis as `stored` says."""
        return take(self.steps, self.plan.places(stored)).view(*policy.mask.shape, -1)

    def track(self, layer: int, policy: _Policy, where: Where, keep: bool) -> Track:
        stored = self.stored(policy)
        h, c = (where.array(state) for state in self.initial)
        final, cell = where.array(self.final), where.array(self.cell)
        outputs = where.array(self.outputs(policy, stored)) if keep else None
        return Track(layer, self.direction, outputs, final, cell, h, c, stored)


def _read(
    x: Tensor,
    spec: CellSpec,
    weights: LayerWeights,
    policy: _Policy,
    initial: tuple[Tensor | None, Tensor | None],
    where: Where,
) -> _Pass:
    """One layer in one direction. `x`: `[B, T, F]`."""
    batch, steps, features = x.shape
    planned = plan(policy.mask, weights.direction, policy.padding, policy.zero_length)
    real, beyond = planned.real, planned.beyond
    count, past = real.index.size, beyond.index.size
    out = torch.empty(count + past + 1, weights.units, dtype=where.dtype, device=where.device)
    out[-1] = 0
    reader = make_reader(spec, weights, where.tensor, where.device, where.products is not None)
    x = x.reshape(batch * steps, features)
    h = out.new_zeros(batch, weights.units) if initial[0] is None else initial[0].clone()
    c = None
    if cells.get(spec.cell).has_c:
        c = out.new_zeros(batch, weights.cell_units) if initial[1] is None else initial[1].clone()
    _advance(reader, *where.read(x, real), h, c, out[:count])
    if past:
        # The run past the real steps starts from their states, and leaves them as they are but where a row has none.
        on_h, on_c = h.clone(), None if c is None else c.clone()
        _advance(reader, *where.read(x, beyond), on_h, on_c, out[count:-1])
        if policy.zero_length == "wrap":
            empty = torch.from_numpy(planned.empty).to(h.device)
            h[empty] = on_h[empty]
            if c is not None and on_c is not None:
                c[empty] = on_c[empty]
    if policy.zero_length == "zero":
        for state in (h, c):
            if state is not None:
                state[torch.from_numpy(planned.empty).to(h.device)] = 0
    return _Pass(planned, out, h, c, initial)


def _advance(reader: Reader, x: Tensor, steps: Pack, h: Tensor, c: Tensor | None, out: Tensor) -> None:
    """Read a pack, write its outputs to `out` `[N, P]`, and move the states `[B, …]` of its rows on in place."""
    if not steps.sizes:
        return
    rows = torch.from_numpy(steps.rows).to(x.device)
    after = reader.run(x, steps, h.index_select(0, rows), None if c is None else c.index_select(0, rows), out)
    h[rows] = out.index_select(0, torch.from_numpy(steps.last).to(x.device))
    if c is not None and after is not None:
        c[rows] = after


def _check(batch: Batch, weights: Weights, initial: Initial) -> None:
    """Raise ShapeError where the parts of a run do not fit each other."""
    if batch.inputs.ndim != 3 or 0 in batch.inputs.shape:
        raise ShapeError(
            f"inputs are {batch.inputs.shape}: a run needs [B, T, F] with at least one row, step and feature"
        )
    rows, steps, features = batch.inputs.shape
    if batch.mask.shape != (rows, steps):
        raise ShapeError(f"mask is {batch.mask.shape}, but the inputs have {rows} rows and {steps} steps")
    for layer in range(weights.depth):
        for direction in weights.directions:
            w = weights.at(layer, direction)
            read = features if layer == 0 else weights.reads(layer, direction)
            if w.features != read:
                below = "the inputs have" if layer == 0 else f"layer {layer - 1} gives"
                raise ShapeError(
                    f"layer {layer} {direction} has weights for {w.features} features per step, but {below} {read}"
                )
    for (layer, direction), (h, c) in initial.items():
        try:
            w = weights.at(layer, direction)
        except KeyError:
            raise ShapeError(
                f"an initial state is given for layer {layer} {direction}, which the weights do not have"
            ) from None
        for name, state, units in (("h", h, w.units), ("c", c, w.cell_units)):
            if state is not None and state.shape != (rows, units):
                raise ShapeError(
                    f"the initial {name} of layer {layer} {direction} is {state.shape}; it must be {(rows, units)}"
                )
