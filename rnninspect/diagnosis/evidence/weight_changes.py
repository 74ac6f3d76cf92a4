"""The conversions that people get wrong, as changes of Weights that undo them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Direction
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.engine import cells


@frozen(eq=False)
class Change:
    """One conversion undone: the rule that names it, what it does in words, and the change itself.

    `alone`: it is not tried together with others.
    """

    rule: str
    description: str
    apply: Callable[[Weights], Weights]
    alone: bool = False


def pairs(singles: list[Change]) -> Iterator[tuple[Change, Change]]:
    """Two changes of different kinds; gate orders only beside the few changes that go with them."""
    for first, second in combinations(singles, 2):
        if first.rule != second.rule and not first.alone and not second.alone:
            yield first, second


def changes_of(weights: Weights) -> Iterator[Change]:
    """Every single change that applies to this cell, the likelier first."""
    spec = weights.spec
    cell = cells.get(spec.cell)
    if "forget_bias" in cell.fields:
        for bias in (1.0, -1.0):
            yield Change("forget-bias", f"{bias:+g} added to the forget gate's bias", _forget(bias))
    if "reset_after" in cell.fields:
        where = "before" if spec.reset_after else "after"
        description = f"the reset gate applied {where} the recurrent product"
        yield Change("gru-reset-variant", description, lambda w: _with_spec(w, reset_after=not w.spec.reset_after))
    if "z" in cell.gates:
        yield Change("update-gate-flipped", "z and 1 - z exchanged", flip_update)
    yield from _bias_changes(weights)
    yield from _kernel_changes(weights)
    others = {"sigmoid", "hard_sigmoid", "hard_sigmoid_keras3"} - {spec.recurrent_activation}
    if "recurrent" in cell.roles:
        for name in sorted(others):
            yield Change("recurrent-activation", f"recurrent activation {name}", _activated(name))
    if any(w.peepholes is not None for w in weights.layers):
        description = "the peepholes in the file left out"
        yield Change("clip-or-peephole-ignored", description, lambda w: each(w, lambda g: replace(g, peepholes=None)))
    if spec.cell_clip or spec.gate_clip or spec.proj_clip:
        none = {"cell_clip": None, "gate_clip": None, "proj_clip": None}
        yield Change("clip-or-peephole-ignored", "the stated clips left out", lambda w: _with_spec(w, **none))
    for order in permutations(range(len(cell.gates))):
        if list(order) != sorted(order):
            description = f"gate blocks read in the order {', '.join(cell.gates[i] for i in order)}"
            yield Change("gate-order", description, ordered(order))
            description = f"only the bias's gate blocks read in the order {', '.join(cell.gates[i] for i in order)}"
            yield Change("gate-order", description, ordered(order, kernels=False), alone=True)


def _bias_changes(weights: Weights) -> Iterator[Change]:
    two = all(w.recurrent_bias is not None for w in weights.layers)
    if two:
        drop = "the recurrent bias left out"
        yield Change("bias-dropped", drop, lambda w: each(w, lambda g: replace(g, recurrent_bias=None)))
        description = "the input bias left out"
        yield Change("bias-dropped", description, lambda w: each(w, lambda g: replace(g, bias=np.zeros_like(g.bias))))
    for direction in weights.directions if len(weights.directions) > 1 else ():
        description = f"the bias of the {direction} direction left out"
        yield Change("bias-dropped", description, _one_direction(direction, _without_bias), alone=True)
    if two:
        yield Change("bias-dropped", "both biases counted twice", lambda w: each(w, _twice), alone=True)
        if weights.spec.cell == "gru" and weights.spec.reset_after:
            description = "the recurrent bias of n added outside the reset gate, to its other bias"
            yield Change("bias-dropped", description, lambda w: each(w, _out_of_reset), alone=True)
    description = "the bias counted twice"
    yield Change("bias-dropped", description, lambda w: each(w, lambda g: replace(g, bias=2 * g.bias)))
    description = "the bias halved (it is the sum of two equal ones)"
    yield Change("bias-dropped", description, lambda w: each(w, lambda g: replace(g, bias=g.bias / 2)))
    description = "the bias left out"
    yield Change(
        "bias-dropped",
        description,
        lambda w: each(w, lambda g: replace(g, bias=np.zeros_like(g.bias), recurrent_bias=None)),
    )


def _one_direction(
    direction: Direction, change: Callable[[LayerWeights], LayerWeights]
) -> Callable[[Weights], Weights]:
    return lambda w: each(w, lambda g: change(g) if g.direction == direction else g)


def _without_bias(g: LayerWeights) -> LayerWeights:
    return replace(g, bias=np.zeros_like(g.bias), recurrent_bias=None)


def _twice(g: LayerWeights) -> LayerWeights:
    return replace(g, bias=2 * g.bias, recurrent_bias=None if g.recurrent_bias is None else 2 * g.recurrent_bias)


def _out_of_reset(g: LayerWeights) -> LayerWeights:
    """n is the last of a GRU's gates; its recurrent bias belongs inside the reset."""
    assert g.recurrent_bias is not None
    bias, recurrent = g.bias.copy(), g.recurrent_bias.copy()
    bias[-1] += recurrent[-1]
    recurrent[-1] = 0
    return replace(g, bias=bias, recurrent_bias=recurrent)


def _kernel_changes(weights: Weights) -> Iterator[Change]:
    def square(kernel: Array) -> bool:
        return bool(kernel.shape[1] == kernel.shape[2])

    if all(square(w.recurrent_kernel) for w in weights.layers):
        description = "each gate's recurrent kernel transposed"
        yield Change("kernel-transposed", description, lambda w: each(w, turn_recurrent))
    if all(square(w.input_kernel) for w in weights.layers):
        yield Change("kernel-transposed", "each gate's input kernel transposed", lambda w: each(w, _turn_input))
        if all(square(w.recurrent_kernel) for w in weights.layers):
            description = "both kernels of each gate transposed"
            yield Change("kernel-transposed", description, lambda w: each(w, lambda g: _turn_input(turn_recurrent(g))))
    if all(w.input_kernel.shape == w.recurrent_kernel.shape for w in weights.layers):
        yield Change("kernel-transposed", "input and recurrent kernel exchanged", lambda w: each(w, _exchange))


def each(weights: Weights, change: Callable[[LayerWeights], LayerWeights]) -> Weights:
    """The weights with every layer's changed."""
    return replace(weights, layers=tuple(change(w) for w in weights.layers))


def _with_spec(weights: Weights, **changed: object) -> Weights:
    return replace(weights, spec=replace(weights.spec, **changed))  # type: ignore[arg-type]


def _forget(bias: float) -> Callable[[Weights], Weights]:
    return lambda w: _with_spec(w, forget_bias=w.spec.forget_bias + bias)


def _activated(name: str) -> Callable[[Weights], Weights]:
    return lambda w: _with_spec(w, recurrent_activation=name)


def ordered(order: tuple[int, ...], kernels: bool = True) -> Callable[[Weights], Weights]:
    """A change that puts the gates of `[G, …]` in that order; without `kernels` those of the biases alone."""
    picked = list(order)

    def turn(g: LayerWeights) -> LayerWeights:
        bias = None if g.recurrent_bias is None else g.recurrent_bias[picked]
        return replace(
            g,
            input_kernel=g.input_kernel[picked] if kernels else g.input_kernel,
            recurrent_kernel=g.recurrent_kernel[picked] if kernels else g.recurrent_kernel,
            bias=g.bias[picked],
            recurrent_bias=bias,
        )

    return lambda w: each(w, turn)


def flip_update(weights: Weights) -> Weights:
    """1 - sigmoid(x) = sigmoid(-x): negating the z block exchanges z and 1 - z."""
    sign = np.array([-1.0 if gate == "z" else 1.0 for gate in cells.get(weights.spec.cell).gates])

    def turn(g: LayerWeights) -> LayerWeights:
        def signed(a: Array) -> Array:
            return np.asarray(a * sign.reshape(-1, *[1] * (a.ndim - 1)).astype(a.dtype))

        return replace(
            g,
            input_kernel=signed(g.input_kernel),
            recurrent_kernel=signed(g.recurrent_kernel),
            bias=signed(g.bias),
            recurrent_bias=None if g.recurrent_bias is None else signed(g.recurrent_bias),
        )

    return each(weights, turn)


def turn_recurrent(g: LayerWeights) -> LayerWeights:
    """The layer with its recurrent kernels `[G, H, H]` transposed."""
    return replace(g, recurrent_kernel=g.recurrent_kernel.swapaxes(1, 2))


def _turn_input(g: LayerWeights) -> LayerWeights:
    return replace(g, input_kernel=g.input_kernel.swapaxes(1, 2))


def _exchange(g: LayerWeights) -> LayerWeights:
    return replace(g, input_kernel=g.recurrent_kernel, recurrent_kernel=g.input_kernel)
