"""The conversions that people get wrong, as changes of Weights that undo them; tried by running the engine.

Each change is tried on a few rows and steps, alone and then in pairs, and confirmed on the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, permutations

import numpy as np

from rnninspect.batch import Batch
from rnninspect.case import Case
from rnninspect.comparison import TrackDifference, differences, precision
from rnninspect.printed import decimals
from rnninspect.trace import Array, Trace
from rnninspect.weights import GATES, LayerWeights, Weights

ROWS, STEPS = 4, 10  # what a change is tried on first
MUCH = 4  # a change that mends leaves at most one in so many
# What two right implementations of one cell may differ by, per precision, on outputs within [-1, 1].
AGREE = {"float64": 1e-9, "float32": 5e-5, "float16": 1e-2, "bfloat16": 5e-2}


@dataclass(frozen=True, eq=False)
class Change:
    """One conversion undone: the rule that names it, what it does in words, and the change itself."""

    rule: str
    words: str
    apply: Callable[[Weights], Weights]


@dataclass(frozen=True, eq=False)
class Mended:
    """The changes that bring the dump and a run of its weights together: the difference before and after."""

    changes: tuple[Change, ...]
    before: float
    after: float
    also: tuple[str, ...] = ()


def mended(case: Case) -> Mended | None:
    """The single change that mends the weights; None where they agree as they are, or no single one does."""
    return _once(case, "mended", lambda changes: ((c,) for c in changes))


def mended_by_two(case: Case) -> Mended | None:
    """The two changes that mend the weights together; for where nothing simpler does."""
    return _once(case, "mended_by_two", _pairs)


def _once(case: Case, name: str, group: Callable[[list[Change]], Iterable[tuple[Change, ...]]]) -> Mended | None:
    if name not in case.memo:
        case.memo[name] = _search(case, group) if disagreement(case) > 0 else None
    found: Mended | None = case.memo[name]
    return found


def disagreement(case: Case) -> float:
    """The largest difference between the dump and a run of its weights over real steps; 0 where they agree."""
    if "disagreement" not in case.memo:
        found = largest(case, case.reference)
        case.memo["disagreement"] = found if found > tolerance(case) else 0.0
    return float(case.memo["disagreement"])


def tolerance(case: Case) -> float:
    """How far two right runs may be apart: by the dump's own precision, or half a unit of its last printed digit."""
    outputs = [t.outputs for t in case.trace.tracks if t.outputs is not None]
    if not outputs or case.weights is None:
        return 0.0
    sample = np.concatenate([o[:ROWS, : 4 * STEPS].ravel() for o in outputs])
    kinds = {precision(sample), precision(case.weights.layers[0].input_kernel)}
    scale = max(1.0, float(np.abs(sample[np.isfinite(sample)]).max(initial=0.0)))
    return max(AGREE[k] for k in kinds) * scale + _lost_by_printing(case, sample)


def _lost_by_printing(case: Case, outputs: Array) -> float:
    """Half a unit of the last printed digit of the outputs, and what rounded inputs can add through the kernels."""
    lost = 0.0
    if (digits := decimals(outputs)) is not None:
        lost += 0.6 * 10.0**-digits
    if case.batch is not None and (digits := decimals(case.batch.inputs)) is not None:
        lost += 4 * 10.0**-digits
    return lost


def mends(case: Case, before: float, after: float) -> bool:
    """Whether a change that leaves the difference `after` of `before` is to be believed: within what two right runs may
    differ by, and far below what it was, because a fit can always shave off some of the rounding."""
    return after <= tolerance(case) and after * MUCH <= before


def compared(case: Case, trace: Trace) -> list[TrackDifference]:
    """Differences between the dump and a run, over the tracks and steps that both have."""
    return differences(case.trace, trace)


def largest(case: Case, trace: Trace) -> float:
    """The largest difference between the dump and a run over real steps."""
    return max((d.largest for d in compared(case, trace)), default=0.0)


def _search(case: Case, group: Callable[[list[Change]], Iterable[tuple[Change, ...]]]) -> Mended | None:
    assert case.weights is not None
    few, limit = small(case), tolerance(case)
    good = [changes for changes in group(list(_changes(case.weights))) if _tried(few, changes) <= limit]
    confirmed = [(_tried(case, changes), changes) for changes in good[:6]]
    confirmed = [(after, changes) for after, changes in confirmed if mends(case, disagreement(case), after)]
    if not confirmed:
        return None
    after, changes = confirmed[0]
    named = {c.rule for c in changes}
    also = dict.fromkeys(c.rule for _, others in confirmed[1:] for c in others if c.rule not in named)
    return Mended(changes, disagreement(case), after, tuple(also)[:2])


def _tried(case: Case, changes: tuple[Change, ...]) -> float:
    """The largest difference that is left after these changes."""
    weights = case.weights
    for change in changes:
        assert weights is not None
        weights = change.apply(weights)
    assert case.batch is not None
    return largest(case, replace(case, weights=weights).run(case.batch))


def small(case: Case) -> Case:
    """A small case to try things on: the first steps of the longest few rows.

    Of one layer in both directions the forward one alone, whose first steps need no others: conversions are the same.
    """
    assert case.batch is not None
    case = _forward_of_one_layer(case)
    assert case.batch is not None
    rows = np.argsort(-case.trace.mask.sum(1), kind="stable")[:ROWS]
    steps = min(STEPS, case.trace.steps) if _causal(case) else case.trace.steps

    def cut(array: Array | None, time: bool) -> Array | None:
        return None if array is None else array[rows, :steps] if time else array[rows]

    tracks = tuple(
        replace(
            t,
            outputs=cut(t.outputs, True),
            final=cut(t.final, False),
            cell=cut(t.cell, False),
            initial=cut(t.initial, False),
            initial_cell=cut(t.initial_cell, False),
        )
        for t in case.trace.tracks
    )
    mask = case.trace.mask[rows, :steps]
    batch = Batch(case.batch.inputs[rows, :steps], mask, None, True)
    return replace(case.with_trace(replace(case.trace, mask=mask, lengths=None, tracks=tracks)), batch=batch)


def _forward_of_one_layer(case: Case) -> Case:
    """The case without its backward track, where that leaves one to compare; a stack's layers read both directions."""
    forward = case.trace.track(0, "forward")
    if case.weights is None or case.weights.depth > 1 or forward is None or forward.outputs is None:
        return case
    layers = tuple(w for w in case.weights.layers if w.direction == "forward")
    one = case.with_trace(replace(case.trace, tracks=(forward,)))
    said = replace(case.statement, direction=None)
    return replace(one, weights=replace(case.weights, layers=layers), statement=said)


def _causal(case: Case) -> bool:
    """Whether cutting the time axis leaves the first steps alone: nothing reads backwards."""
    return all(t.direction == "forward" for t in case.trace.tracks)


def _pairs(singles: list[Change]) -> Iterator[tuple[Change, Change]]:
    """Two changes of different kinds; gate orders only beside the few changes that go with them."""
    for first, second in combinations(singles, 2):
        if first.rule != second.rule:
            yield first, second


def _changes(weights: Weights) -> Iterator[Change]:
    """Every single change that applies to this cell, the likelier first."""
    spec = weights.spec
    if spec.cell == "lstm":
        for bias in (1.0, -1.0):
            yield Change("forget-bias", f"{bias:+g} at the forget gate's bias", _forget(bias))
    if spec.cell == "gru":
        where = "before" if spec.reset_after else "after"
        words = f"the reset gate applied {where} the recurrent product"
        yield Change("gru-reset-variant", words, lambda w: _with_spec(w, reset_after=not w.spec.reset_after))
        yield Change("update-gate-flipped", "z and 1 - z exchanged", flip_update)
    yield from _bias_changes(weights)
    yield from _kernel_changes(weights)
    others = {"sigmoid", "hard_sigmoid", "hard_sigmoid_keras3"} - {spec.recurrent_activation}
    if spec.cell != "rnn":
        for name in sorted(others):
            yield Change("recurrent-activation", f"recurrent activation {name}", _activated(name))
    if any(w.peepholes is not None for w in weights.layers):
        words = "the peepholes in the file left out"
        yield Change("clip-or-peephole-ignored", words, lambda w: each(w, lambda g: replace(g, peepholes=None)))
    if spec.cell_clip or spec.gate_clip or spec.proj_clip:
        none = {"cell_clip": None, "gate_clip": None, "proj_clip": None}
        yield Change("clip-or-peephole-ignored", "the clips stated left out", lambda w: _with_spec(w, **none))
    gates = GATES[spec.cell]
    for order in permutations(range(len(gates))):
        if list(order) != sorted(order):
            words = f"gate blocks read in the order {', '.join(gates[i] for i in order)}"
            yield Change("gate-order", words, ordered(order))


def _bias_changes(weights: Weights) -> Iterator[Change]:
    two = all(w.recurrent_bias is not None for w in weights.layers)
    if two:
        drop = "the recurrent bias left out"
        yield Change("bias-dropped", drop, lambda w: each(w, lambda g: replace(g, recurrent_bias=None)))
        words = "the input bias left out"
        yield Change("bias-dropped", words, lambda w: each(w, lambda g: replace(g, bias=np.zeros_like(g.bias))))
    words = "the bias counted twice"
    yield Change("bias-dropped", words, lambda w: each(w, lambda g: replace(g, bias=2 * g.bias)))
    words = "the bias halved (it is the sum of two equal ones)"
    yield Change("bias-dropped", words, lambda w: each(w, lambda g: replace(g, bias=g.bias / 2)))
    words = "the bias left out"
    yield Change(
        "bias-dropped",
        words,
        lambda w: each(w, lambda g: replace(g, bias=np.zeros_like(g.bias), recurrent_bias=None)),
    )


def _kernel_changes(weights: Weights) -> Iterator[Change]:
    def square(kernel: Array) -> bool:
        return bool(kernel.shape[1] == kernel.shape[2])

    if all(square(w.recurrent_kernel) for w in weights.layers):
        words = "each gate's recurrent kernel transposed"
        yield Change("kernel-transposed", words, lambda w: each(w, turn_recurrent))
    if all(square(w.input_kernel) for w in weights.layers):
        yield Change("kernel-transposed", "each gate's input kernel transposed", lambda w: each(w, _turn_input))
        if all(square(w.recurrent_kernel) for w in weights.layers):
            words = "both kernels of each gate transposed"
            yield Change("kernel-transposed", words, lambda w: each(w, lambda g: _turn_input(turn_recurrent(g))))
    if all(w.input_kernel.shape == w.recurrent_kernel.shape for w in weights.layers):
        yield Change("kernel-transposed", "input and recurrent kernel exchanged", lambda w: each(w, _exchange))


def each(weights: Weights, change: Callable[[LayerWeights], LayerWeights]) -> Weights:
    return replace(weights, layers=tuple(change(w) for w in weights.layers))


def _with_spec(weights: Weights, **changed: object) -> Weights:
    return replace(weights, spec=replace(weights.spec, **changed))  # type: ignore[arg-type]


def _forget(bias: float) -> Callable[[Weights], Weights]:
    return lambda w: _with_spec(w, forget_bias=w.spec.forget_bias + bias)


def _activated(name: str) -> Callable[[Weights], Weights]:
    return lambda w: _with_spec(w, recurrent_activation=name)


def ordered(order: tuple[int, ...]) -> Callable[[Weights], Weights]:
    picked = list(order)

    def turn(g: LayerWeights) -> LayerWeights:
        bias = None if g.recurrent_bias is None else g.recurrent_bias[picked]
        return replace(
            g,
            input_kernel=g.input_kernel[picked],
            recurrent_kernel=g.recurrent_kernel[picked],
            bias=g.bias[picked],
            recurrent_bias=bias,
        )

    return lambda w: each(w, turn)


def flip_update(weights: Weights) -> Weights:
    """1 - sigmoid(x) = sigmoid(-x): negating the z block exchanges z and 1 - z."""
    sign = np.array([1.0, -1.0, 1.0])

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
    return replace(g, recurrent_kernel=g.recurrent_kernel.swapaxes(1, 2))


def _turn_input(g: LayerWeights) -> LayerWeights:
    return replace(g, input_kernel=g.input_kernel.swapaxes(1, 2))


def _exchange(g: LayerWeights) -> LayerWeights:
    return replace(g, input_kernel=g.recurrent_kernel, recurrent_kernel=g.input_kernel)
