"""What the engine must give, as plain numpy loops in float64: one row, one step at a time, nothing shared with it.

Masked rows are run the way frameworks do it, over the whole time axis with the state held still at masked steps, not
by packing the real steps together. Flax's way (`run_flax`) flips, runs over everything and looks the state up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import Direction
from rnninspect.core.weights import Between, LayerWeights, Weights

Array = np.ndarray[Any, Any]
State = tuple[Array, Array]


def activate(name: str, x: float, alpha: float | None = None, beta: float | None = None) -> float:
    """One activation of one number; formulas written from their definitions, defaults from the ONNX operators."""

    def a(default: float) -> float:
        return default if alpha is None else alpha

    def b(default: float) -> float:
        return default if beta is None else beta

    if name == "sigmoid":
        return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
    if name == "hard_sigmoid":
        return min(1.0, max(0.0, a(0.2) * x + b(0.5)))
    if name == "hard_sigmoid_keras3":
        return min(1.0, max(0.0, a(1 / 6) * x + b(0.5)))
    if name == "elu":
        return x if x >= 0 else a(1.0) * (math.exp(x) - 1)
    if name == "selu":
        return 1.0507009873554805 * (x if x >= 0 else 1.6732632423543772 * (math.exp(x) - 1))
    if name == "leaky_relu":
        return x if x >= 0 else a(0.01) * x
    if name == "thresholded_relu":
        return x if x > a(1.0) else 0.0
    if name == "scaled_tanh":
        return a(1.0) * math.tanh(b(1.0) * x)
    if name == "squareplus":
        root = math.sqrt(x * x + a(4.0))
        return (x + root) / 2 if x >= 0 else a(4.0) / (root - x) / 2
    if name == "soft_shrink":
        return x - a(0.5) if x > a(0.5) else x + a(0.5) if x < -a(0.5) else 0.0
    if name == "hard_shrink":
        return x if abs(x) > a(0.5) else 0.0
    if name == "affine":
        return a(1.0) * x + b(0.0)
    simple = {
        "tanh": math.tanh,
        "hard_tanh": lambda v: min(max(v, -1.0), 1.0),
        "celu": lambda v: v if v >= 0 else math.exp(v) - 1,
        "hard_silu": lambda v: v * min(max(v + 3, 0.0), 6.0) / 6,
        "mish": lambda v: v * math.tanh(math.log1p(math.exp(v))),
        "log_sigmoid": lambda v: -math.log1p(math.exp(-v)),
        "relu": lambda v: max(v, 0.0),
        "relu6": lambda v: min(max(v, 0.0), 6.0),
        "silu": lambda v: v * activate("sigmoid", v),
        "gelu": lambda v: 0.5 * v * (1 + math.erf(v / math.sqrt(2))),
        "tanh_shrink": lambda v: v - math.tanh(v),
        "sparse_plus": lambda v: 0.0 if v <= -1 else v if v >= 1 else (v + 1) ** 2 / 4,
        "sparse_sigmoid": lambda v: 0.0 if v <= -1 else 1.0 if v >= 1 else (v + 1) / 2,
        "softsign": lambda v: v / (1 + abs(v)),
        "softplus": lambda v: math.log1p(math.exp(v)) if v < 30 else v,
        "exponential": math.exp,
        "linear": lambda v: v,
    }
    return float(simple[name](x))


def activated(name: str, x: Array, alpha: float | None = None, beta: float | None = None) -> Array:
    """One activation of the units of one row."""
    if name in ("softmax", "log_softmax"):
        shares = [1 / math.fsum(math.exp(min(other - v, 700.0)) for other in x.tolist()) for v in x.tolist()]
        logs = [v - x.max() - math.log(math.fsum(math.exp(other - x.max()) for other in x)) for v in x.tolist()]
        return np.array(shares if name == "softmax" else logs)
    if name == "sparsemax":
        descending = sorted(x.tolist(), reverse=True)
        sums = [math.fsum(descending[: k + 1]) for k in range(len(descending))]
        held = [k for k, v in enumerate(descending) if v > (sums[k] - 1) / (k + 1)]
        return np.maximum(x - (math.fsum(sums[k] for k in held) - 1) / len(held), 0)
    return np.array([activate(name, float(v), alpha, beta) for v in x])


def _each(spec: CellSpec, role: str, name: str, x: Array) -> Array:
    alpha, beta = dict(spec.activation_alpha).get(role), dict(spec.activation_beta).get(role)
    return activated(name, x, alpha, beta)


def _clip(x: Array, bound: float | None) -> Array:
    return x if bound is None else np.clip(x, -bound, bound)


def step(spec: CellSpec, w: LayerWeights, x: Array, h: Array, c: Array) -> State:
    """One step of one row: `x` `[F]`, h `[P]`, c `[H]` -> (h, c) after it; c is passed through where there is none."""
    kernel, recurrent, bias = (np.asarray(a, dtype=np.float64) for a in (w.input_kernel, w.recurrent_kernel, w.bias))
    extra = np.zeros_like(bias) if w.recurrent_bias is None else np.asarray(w.recurrent_bias, dtype=np.float64)
    driven = [x @ kernel[gate] + bias[gate] for gate in range(len(kernel))]

    def sigma(value: Array) -> Array:
        return _each(spec, "recurrent", spec.recurrent_activation, _clip(value, spec.gate_clip))

    def act(value: Array) -> Array:
        return _each(spec, "candidate", spec.activation, _clip(value, spec.gate_clip))

    if spec.cell == "rnn":
        return act(driven[0] + h @ recurrent[0] + extra[0]), c
    if spec.cell == "gru":
        r = sigma(driven[0] + h @ recurrent[0] + extra[0])
        z = sigma(driven[1] + h @ recurrent[1] + extra[1])
        inner = r * (h @ recurrent[2] + extra[2]) if spec.reset_after else (r * h) @ recurrent[2] + extra[2]
        return (1 - z) * act(driven[2] + inner) + z * h, c
    if spec.cell == "mgu":
        f = sigma(driven[0] + h @ recurrent[0] + extra[0])
        inner = h @ recurrent[1] + extra[1]
        return (1 - f) * act(driven[1] + (f * inner if spec.reset_after else inner)) + f * h, c
    i, f, g, o = (driven[gate] + h @ recurrent[gate] + extra[gate] for gate in range(4))
    peep = np.zeros((3, c.size)) if w.peepholes is None else np.asarray(w.peepholes, dtype=np.float64)
    i = sigma(i + peep[0] * c)
    f = 1 - i if spec.input_forget else sigma(f + peep[1] * c + spec.forget_bias)
    c = _clip(f * c + i * act(g), spec.cell_clip)
    shown = sigma(o + peep[2] * c) * _each(spec, "output", spec.output_activation, c)
    if w.projection is None:
        return shown, c
    return _clip(shown @ np.asarray(w.projection, dtype=np.float64), spec.proj_clip), c


def zeros(w: LayerWeights, rows: int) -> State:
    return np.zeros((rows, w.units)), np.zeros((rows, w.cell_units))


def run_masked(
    spec: CellSpec,
    w: LayerWeights,
    inputs: Array,
    mask: Array,
    initial: State | None = None,
    *,
    padding: str = "zero",
    order: str = "time",
) -> tuple[Array, Array, Array]:
    """(outputs `[B, T, P]`, h `[B, P]`, c `[B, H]`) of one layer in one direction, `dynamic_rnn`'s or Keras's way."""
    rows, steps = mask.shape
    outputs = np.zeros((rows, steps, w.units))
    finals = tuple(np.array(s, dtype=np.float64) for s in (initial or zeros(w, rows)))
    for b in range(rows):
        h, c = finals[0][b].copy(), finals[1][b].copy()
        before = np.zeros(w.units)
        real = [t for t in range(steps) if mask[b, t]]
        for t in range(steps) if w.direction == "forward" else reversed(range(steps)):
            if mask[b, t]:
                h, c = step(spec, w, np.asarray(inputs[b, t], dtype=np.float64), h, c)
                before = h
            at = steps - 1 - t if order == "reversed" else t
            if order == "within" and mask[b, t]:
                at = real[len(real) - 1 - real.index(t)]
            if mask[b, t]:
                outputs[b, at] = h
            elif padding == "repeat" and order != "within":
                outputs[b, at] = before
        if padding == "repeat" and order == "within":
            for t in range(1, steps):
                if not mask[b, t]:
                    outputs[b, t] = outputs[b, t - 1]
        finals[0][b], finals[1][b] = h, c
    return outputs, finals[0], finals[1]


def run_flax(
    spec: CellSpec,
    w: LayerWeights,
    inputs: Array,
    lengths: Array,
    initial: State | None = None,
    *,
    keep_order: bool = True,
) -> tuple[Array, Array, Array]:
    """The same as `flax.linen.RNN` with `seq_lengths`: `flip_sequences`, a scan over all, the carry at len - 1."""
    rows, steps = inputs.shape[:2]
    reads = [[(steps - 1 - t + int(lengths[b])) % steps for t in range(steps)] for b in range(rows)]
    outputs = np.zeros((rows, steps, w.units))
    h0, c0 = (np.array(s, dtype=np.float64) for s in (initial or zeros(w, rows)))
    final, cell = np.zeros_like(h0), np.zeros_like(c0)
    for b in range(rows):
        h, c, carries = h0[b], c0[b], []
        for k in range(steps):
            t = reads[b][k] if w.direction == "backward" else k
            h, c = step(spec, w, np.asarray(inputs[b, t], dtype=np.float64), h, c)
            carries.append((h, c))
        for k in range(steps):
            outputs[b, k] = carries[reads[b][k] if w.direction == "backward" and keep_order else k][0]
        final[b], cell[b] = carries[int(lengths[b]) - 1]
    return outputs, final, cell


def run_stack(
    weights: Weights,
    inputs: Array,
    mask: Array,
    initial: Mapping[tuple[int, Direction], State] | None = None,
    *,
    padding: str = "zero",
) -> dict[tuple[int, Direction], tuple[Array, Array, Array]]:
    """(outputs, h, c) by layer and direction; a layer reads the outputs below as `weights.between` says."""
    read_by = dict.fromkeys(weights.directions, np.asarray(inputs, dtype=np.float64))
    results: dict[tuple[int, Direction], tuple[Array, Array, Array]] = {}
    for layer in range(weights.depth):
        for direction in weights.directions:
            start = (initial or {}).get((layer, direction))
            w = weights.at(layer, direction)
            results[layer, direction] = run_masked(weights.spec, w, read_by[direction], mask, start, padding=padding)
        below = {direction: results[layer, direction][0] for direction in weights.directions}
        read_by = below if weights.between == "apart" else dict.fromkeys(below, joined(weights.between, below.values()))
    return results


def joined(between: str, directions: Iterable[Array]) -> Array:
    """What Keras' `Bidirectional` makes of two directions by its `merge_mode`."""
    both = list(directions)
    if between == "concat" or len(both) == 1:
        return np.concatenate(both, axis=2)
    one, other = both
    return {"sum": one + other, "mul": one * other, "ave": (one + other) / 2}[between]


def random_layer(
    rng: np.random.Generator,
    cell: str,
    features: int,
    units: int,
    *,
    layer: int = 0,
    direction: Direction = "forward",
    projected: int | None = None,
    peepholes: bool = False,
    two_biases: bool = True,
    dtype: str = "float32",
) -> LayerWeights:
    """Weights without a zero among them, biases neither, so that whatever is left out shows."""
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[cell]
    width = projected or units

    def drawn(*shape: int) -> Array:
        return np.asarray(rng.uniform(0.1, 0.8, shape) * rng.choice([-1.0, 1.0], shape), dtype=dtype)

    return LayerWeights(
        layer,
        direction,
        drawn(gates, features, units),
        drawn(gates, width, units),
        drawn(gates, units),
        recurrent_bias=drawn(gates, units) if two_biases else None,
        peepholes=drawn(3, units) if peepholes else None,
        projection=drawn(units, projected) if projected else None,
    )


def random_stack(
    rng: np.random.Generator,
    spec: CellSpec,
    features: int,
    units: int,
    *,
    layers: int = 1,
    directions: tuple[Direction, ...] = ("forward",),
    between: Between = "concat",
    **options: Any,
) -> Weights:
    """Layers of `random_layer`, each as wide as the one below gives."""
    made, width = [], features
    for layer in range(layers):
        made += [random_layer(rng, spec.cell, width, units, layer=layer, direction=d, **options) for d in directions]
        width = made[-1].units * (len(directions) if between == "concat" else 1)
    return Weights(spec, tuple(made), between=between)
