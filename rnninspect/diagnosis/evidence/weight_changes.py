"""The conversions that people get wrong, as changes of Weights that undo them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from itertools import combinations, permutations

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Direction
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.engine import cells

KERNELS = ("input_kernel", "recurrent_kernel")
BIASES = ("bias", "recurrent_bias")


@frozen(eq=False)
class Change:
    """One conversion undone: the rule that names it, what it does in words, and the change itself.

    `alone`: it is not tried together with others. `turn`: what it does to one layer and direction, where each is
    changed by itself.
    """

    rule: str
    description: str
    apply: Callable[[Weights], Weights]
    alone: bool = False
    turn: Callable[[LayerWeights], LayerWeights] | None = None


def _of_each(rule: str, description: str, turn: Callable[[LayerWeights], LayerWeights], alone: bool = False) -> Change:
    """A change that does the same to every layer and direction."""
    return Change(rule, description, lambda w: each(w, turn), alone, turn)


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
        yield _of_each("update-gate-flipped", "z and 1 - z exchanged", _flipped(cell.gates))
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
    for order, in_words in _orders(cell.gates):
        yield _of_each("gate-order", f"gate blocks read in the order {in_words}", put_in_order(order))
        only = f"only the bias's gate blocks read in the order {in_words}"
        yield _of_each("gate-order", only, put_in_order(order, BIASES), alone=True)


def _orders(gates: tuple[str, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    """Every other order of the gates, and in words."""
    for order in permutations(range(len(gates))):
        if list(order) != sorted(order):
            yield order, ", ".join(gates[i] for i in order)


def changes_of_a_part(weights: Weights) -> Iterator[tuple[Change, frozenset[tuple[int, Direction]]]]:
    """Every change of one part of the weights alone, with the layers and directions that it changes: one kernel, or one
    layer or direction of several, the smaller parts first."""
    everywhere = frozenset((w.layer, w.direction) for w in weights.layers)
    gates = cells.get(weights.spec.cell).gates
    for order, in_words in _orders(gates) if len(gates) > 1 else ():
        for parts, name in ((("recurrent_kernel",), "recurrent kernel"), (("input_kernel",), "input kernel")):
            description = f"only the {name}'s gate blocks read in the order {in_words}"
            yield _of_each("gate-order", description, put_in_order(order, parts), alone=True), everywhere
    changes = [*_forget_bias_changes(weights), *changes_of(weights)]
    changes = [change for change in changes if change.turn is not None]
    for part, name in _parts(weights):
        for change in changes:
            assert change.turn is not None
            description = f"{change.description}, {name} alone"
            yield Change(change.rule, description, _of_part(part, change.turn), alone=True), part


def _forget_bias_changes(weights: Weights) -> Iterator[Change]:
    """The forget bias that a run adds, once more or once less, in the weights of each layer and direction."""
    cell = cells.get(weights.spec.cell)
    if "forget_bias" not in cell.fields:
        return
    gate = np.array([float(name == "f") for name in cell.gates])[:, None]
    for more in (1.0, -1.0):

        def turn(g: LayerWeights, more: float = more) -> LayerWeights:
            return replace(g, bias=g.bias + (more * gate).astype(g.bias.dtype))

        yield _of_each("forget-bias", f"{more:+g} added to the forget gate's bias", turn)


def _parts(weights: Weights) -> Iterator[tuple[frozenset[tuple[int, Direction]], str]]:
    """Each layer's each direction, each layer, each direction: where that is not all there is."""
    if len(weights.layers) < 2:
        return
    several = len(weights.directions) > 1
    for w in weights.layers:
        where = f"layer {w.layer} {w.direction}" if several else f"layer {w.layer}"
        yield frozenset([(w.layer, w.direction)]), f"in {where}"
    if several and weights.depth > 1:
        for layer in range(weights.depth):
            yield frozenset((layer, d) for d in weights.directions), f"in layer {layer}"
        for direction in weights.directions:
            yield frozenset((layer, direction) for layer in range(weights.depth)), f"in the {direction} direction"


def _of_part(
    part: frozenset[tuple[int, Direction]], turn: Callable[[LayerWeights], LayerWeights]
) -> Callable[[Weights], Weights]:
    return lambda w: each(w, lambda g: turn(g) if (g.layer, g.direction) in part else g)


def _bias_changes(weights: Weights) -> Iterator[Change]:
    two = all(w.recurrent_bias is not None for w in weights.layers)
    if two:
        drop = "the recurrent bias left out"
        yield _of_each("bias-dropped", drop, lambda g: replace(g, recurrent_bias=None))
        description = "the input bias left out"
        yield _of_each("bias-dropped", description, lambda g: replace(g, bias=np.zeros_like(g.bias)))
    for direction in weights.directions if len(weights.directions) > 1 else ():
        description = f"the bias of the {direction} direction left out"
        yield Change("bias-dropped", description, _one_direction(direction, _without_bias), alone=True)
    if two:
        yield _of_each("bias-dropped", "both biases counted twice", _twice, alone=True)
        if weights.spec.cell == "gru" and weights.spec.reset_after:
            description = "the recurrent bias of n added outside the reset gate, to its other bias"
            yield _of_each("bias-dropped", description, _out_of_reset, alone=True)
    description = "the bias counted twice"
    yield _of_each("bias-dropped", description, lambda g: replace(g, bias=2 * g.bias))
    description = "the bias halved (it is the sum of two equal ones)"
    yield _of_each("bias-dropped", description, lambda g: replace(g, bias=g.bias / 2))
    description = "the bias left out"
    yield _of_each("bias-dropped", description, _without_bias)


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
        yield _of_each("kernel-transposed", description, turn_recurrent)
    if all(square(w.input_kernel) for w in weights.layers):
        yield _of_each("kernel-transposed", "each gate's input kernel transposed", _turn_input)
        if all(square(w.recurrent_kernel) for w in weights.layers):
            description = "both kernels of each gate transposed"
            yield _of_each("kernel-transposed", description, lambda g: _turn_input(turn_recurrent(g)))
    if all(w.input_kernel.shape == w.recurrent_kernel.shape for w in weights.layers):
        yield _of_each("kernel-transposed", "input and recurrent kernel exchanged", _exchange)


def each(weights: Weights, change: Callable[[LayerWeights], LayerWeights]) -> Weights:
    """The weights with every layer's changed."""
    return replace(weights, layers=tuple(change(w) for w in weights.layers))


def exchange_of_directions() -> Change:
    """Each direction's weights under the other's name; of a layer of two directions alone."""
    return Change("directions-exchanged", "the weights of each direction in the other's place", _other_way, alone=True)


def _other_way(weights: Weights) -> Weights:
    other: dict[Direction, Direction] = {"forward": "backward", "backward": "forward"}
    layers = (replace(weights.at(w.layer, other[w.direction]), direction=w.direction) for w in weights.layers)
    return replace(weights, layers=tuple(layers))


def as_float64(layer_weights: LayerWeights) -> LayerWeights:
    """The same weights, every array of them in float64."""
    arrays = {
        f.name: getattr(layer_weights, f.name)
        for f in fields(layer_weights)
        if isinstance(getattr(layer_weights, f.name), np.ndarray)
    }
    return replace(layer_weights, **{name: array.astype(np.float64, copy=False) for name, array in arrays.items()})


def _with_spec(weights: Weights, **changed: object) -> Weights:
    return replace(weights, spec=replace(weights.spec, **changed))  # type: ignore[arg-type]


def _forget(bias: float) -> Callable[[Weights], Weights]:
    return lambda w: _with_spec(w, forget_bias=w.spec.forget_bias + bias)


def _activated(name: str) -> Callable[[Weights], Weights]:
    return lambda w: _with_spec(w, recurrent_activation=name)


def ordered(order: tuple[int, ...]) -> Callable[[Weights], Weights]:
    """A change that puts the gates of `[G, …]` in that order, kernels and biases."""
    return lambda w: each(w, put_in_order(order))


def put_in_order(
    order: tuple[int, ...], parts: tuple[str, ...] = (*KERNELS, *BIASES)
) -> Callable[[LayerWeights], LayerWeights]:
    """What puts the gates `[G, …]` of these parts of a layer in that order."""
    picked = list(order)

    def turn(g: LayerWeights) -> LayerWeights:
        arrays = {name: getattr(g, name) for name in parts}
        return replace(g, **{name: a[picked] for name, a in arrays.items() if a is not None})

    return turn


def flip_update(weights: Weights) -> Weights:
    """1 - sigmoid(x) = sigmoid(-x): negating the z block exchanges z and 1 - z."""
    return each(weights, _flipped(cells.get(weights.spec.cell).gates))


def _flipped(gates: tuple[str, ...]) -> Callable[[LayerWeights], LayerWeights]:
    sign = np.array([-1.0 if gate == "z" else 1.0 for gate in gates])

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

    return turn


def turn_recurrent(g: LayerWeights) -> LayerWeights:
    """The layer with its recurrent kernels `[G, H, H]` transposed."""
    return replace(g, recurrent_kernel=g.recurrent_kernel.swapaxes(1, 2))


def _turn_input(g: LayerWeights) -> LayerWeights:
    return replace(g, input_kernel=g.input_kernel.swapaxes(1, 2))


def _exchange(g: LayerWeights) -> LayerWeights:
    return replace(g, input_kernel=g.recurrent_kernel, recurrent_kernel=g.input_kernel)
