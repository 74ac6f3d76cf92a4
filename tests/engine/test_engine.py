"""The engine against plain loops: masks, directions, padding, states, dtypes, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnninspect.core.batch import Batch
from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import DIRECTIONS, Direction, Trace, prefix_mask
from rnninspect.core.weights import Weights
from rnninspect.engine import run
from rnninspect.engine.device import DTYPES
from rnninspect.errors import ShapeError, UnknownNameError, UserError
from tests.support.oracles import random_stack, run_flax, run_masked, run_stack

LENGTHS = np.array([4, 1, 7, 3, 6])  # uneven, unsorted, one full row, one of a single step
STEPS, FEATURES, UNITS = 7, 3, 4
BOTH: tuple[Direction, Direction] = DIRECTIONS
SPECS = {
    "lstm": (CellSpec("lstm", forget_bias=1.0), {}),
    "lstm projection": (CellSpec("lstm"), {"projected": 2}),
    "lstm square projection": (CellSpec("lstm"), {"projected": UNITS}),
    "lstm peepholes": (CellSpec("lstm", cell_clip=0.4), {"peepholes": True}),
    "gru": (CellSpec("gru"), {}),
    "gru before": (CellSpec("gru", reset_after=False), {}),
    "rnn": (CellSpec("rnn", activation="softsign"), {}),
}
HOLES = np.array(
    [
        [1, 0, 1, 1, 0, 1, 0],
        [0, 0, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1, 1],
        [0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    dtype=bool,
)


def batch_of(
    lengths: np.ndarray = LENGTHS, steps: int = STEPS, features: int = FEATURES, mask: np.ndarray | None = None
) -> Batch:
    """Random inputs, random padding too, so that a pass which reads it shows it."""
    rng = np.random.default_rng(9)
    count = len(lengths) if mask is None else len(mask)
    inputs = rng.normal(size=(count, steps, features)).astype(np.float32)
    if mask is not None:
        return Batch(inputs, mask, mask_given=True)
    return Batch(inputs, prefix_mask(lengths, steps), np.asarray(lengths))


def stack_of(name: str, layers: int = 1, directions: tuple[Direction, ...] = ("forward",), **options: Any) -> Weights:
    spec, parts = SPECS[name]
    return random_stack(
        np.random.default_rng(2), spec, FEATURES, UNITS, layers=layers, directions=directions, **parts, **options
    )


def states_of(weights: Weights, rows: int, seed: int = 3) -> dict[tuple[int, Direction], tuple[Any, Any]]:
    """Random initial states for every layer and direction."""
    rng = np.random.default_rng(seed)
    lstm = weights.spec.cell == "lstm"
    return {
        (w.layer, w.direction): (
            rng.normal(size=(rows, w.units)).astype(np.float32),
            rng.normal(size=(rows, w.cell_units)).astype(np.float32) if lstm else None,
        )
        for w in weights.layers
    }


def trace_of(batch: Batch, weights: Weights, **options: Any) -> Trace:
    return Trace(batch.mask, run.run(batch, weights, **options), batch.lengths, batch.mask_given)


def for_oracle(states: Any, weights: Weights) -> dict[tuple[int, Direction], tuple[Any, Any]]:
    """The oracle passes some c through every cell."""
    return {
        key: (h, np.zeros((len(h), weights.at(*key).cell_units)) if c is None else c) for key, (h, c) in states.items()
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("directions", [("forward",), ("backward",), BOTH], ids=["fw", "bw", "both"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("name", list(SPECS))
def test_every_layer_is_the_plain_loops(name: str, layers: int, directions: tuple[Direction, ...], dtype: str) -> None:
    """Outputs, final states and c of every layer and direction, from initial states, are the loop's to rounding."""
    batch, weights = batch_of(), stack_of(name, layers, directions)
    initial = states_of(weights, len(LENGTHS))
    want = run_stack(weights, batch.inputs, batch.mask, for_oracle(initial, weights))
    limit = 3e-6 if dtype == "float32" else 1e-13
    tracks = run.run(batch, weights, initial=initial, dtype=dtype)
    assert [(t.layer, t.direction) for t in tracks] == [(k, d) for k in range(layers) for d in directions]
    for track in tracks:
        outputs, final, cell = want[track.layer, track.direction]
        assert track.outputs is not None
        assert track.final is not None
        assert (track.outputs.dtype, track.final.dtype) == (dtype, dtype)
        np.testing.assert_allclose(track.outputs, outputs, rtol=0, atol=limit)
        np.testing.assert_allclose(track.final, final, rtol=0, atol=limit)
        assert (track.cell is not None) == (weights.spec.cell == "lstm")
        if track.cell is not None:
            np.testing.assert_allclose(track.cell, cell, rtol=0, atol=limit)


@pytest.mark.parametrize("between", ["concat", "sum", "mul", "ave", "apart"])
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_what_a_layer_reads_of_two_directions(name: str, between: Any) -> None:
    """Merged by Keras' `merge_mode`, or each direction its own, cells stacked within it: the loop's."""
    weights = stack_of(name, 3, BOTH, between=between)
    batch = batch_of(mask=HOLES)
    initial = states_of(weights, len(HOLES))
    want = run_stack(weights, batch.inputs, HOLES, for_oracle(initial, weights))
    for track in run.run(batch, weights, initial=initial):
        outputs, final, _ = want[track.layer, track.direction]
        np.testing.assert_allclose(track.outputs, outputs, rtol=0, atol=3e-6)
        np.testing.assert_allclose(track.final, final, rtol=0, atol=3e-6)


def test_a_stacked_cell_reads_in_time_whatever_is_stored() -> None:
    """Under `go_backwards` a layer hands its outputs up reversed, but cells of one layer hand them up step by step."""
    batch = batch_of()
    for between in ("concat", "apart"):
        weights = stack_of("gru", 2, ("backward",), between=between)
        lower, upper = run.run(batch, weights, order="reversed")
        given_to = lower.outputs if between == "concat" else lower.outputs[:, ::-1]  # type: ignore[index]
        upper_weights = weights.at(1, "backward")
        want = run_masked(weights.spec, upper_weights, given_to, batch.mask, order="reversed")  # type: ignore[arg-type]
        np.testing.assert_allclose(upper.outputs, want[0], rtol=0, atol=3e-6)
        np.testing.assert_allclose(upper.final, want[1], rtol=0, atol=3e-6)


@pytest.mark.parametrize(
    ("direction", "order"),
    [("forward", "time"), ("backward", "time"), ("backward", "reversed"), ("backward", "within")],
)
@pytest.mark.parametrize("padding", ["zero", "repeat"])
@pytest.mark.parametrize("mask", [HOLES, prefix_mask([4, 1, 7, 0, 6], STEPS)], ids=["holes", "prefix"])
@pytest.mark.parametrize("name", ["lstm", "gru before"])
def test_masks_hold_the_state_still(
    name: str, mask: np.ndarray, direction: Direction, padding: Any, order: Any
) -> None:
    """Holes, left padding and empty rows: the state is carried over, the output zero or repeated in the order read."""
    batch, weights = batch_of(mask=mask), stack_of(name, directions=(direction,))
    (track,) = run.run(batch, weights, padding=padding, order=order)
    want = run_masked(weights.spec, weights.layers[0], batch.inputs, mask, padding=padding, order=order)
    np.testing.assert_allclose(track.outputs, want[0], rtol=0, atol=2e-6)
    np.testing.assert_allclose(track.final, want[1], rtol=0, atol=2e-6)
    assert track.order == order
    if padding == "zero":
        stored = mask[:, ::-1] if order == "reversed" else mask
        assert not track.outputs[~stored].any()  # type: ignore[index]


@pytest.mark.parametrize("keep_order", [True, False])
@pytest.mark.parametrize("direction", BOTH)
@pytest.mark.parametrize("name", ["lstm", "gru", "lstm peepholes"])
def test_computed_padding_is_flax(name: str, direction: Direction, keep_order: bool) -> None:
    """Run on over the padding, state at len - 1, an empty row's state at step T-1: Flax's indices, step by step."""
    lengths = np.array([4, 1, 7, 0, 6])
    batch, weights = batch_of(lengths), stack_of(name, directions=(direction,))
    initial = states_of(weights, len(lengths))
    (track,) = run.run(
        batch,
        weights,
        initial=initial,
        padding="computed",
        zero_length="wrap",
        order="time" if keep_order else "within",
    )
    start = for_oracle(initial, weights)[0, direction]
    want = run_flax(weights.spec, weights.layers[0], batch.inputs, lengths, start, keep_order=keep_order)
    np.testing.assert_allclose(track.outputs, want[0], rtol=0, atol=3e-6)
    np.testing.assert_allclose(track.final, want[1], rtol=0, atol=3e-6)
    if track.cell is not None:
        np.testing.assert_allclose(track.cell, want[2], rtol=0, atol=3e-6)


def test_computed_padding_leaves_states_alone() -> None:
    """Running on over masked steps, holes too, changes neither the real steps' outputs nor any state."""
    for mask in (HOLES, prefix_mask(LENGTHS, STEPS)):
        batch, weights = batch_of(mask=mask), stack_of("lstm", directions=BOTH)
        for plain, on in zip(run.run(batch, weights), run.run(batch, weights, padding="computed"), strict=True):
            assert np.array_equal(plain.outputs[mask], on.outputs[mask])  # type: ignore[index]
            assert np.array_equal(plain.final, on.final)  # type: ignore[arg-type]
            assert np.array_equal(plain.cell, on.cell)  # type: ignore[arg-type]
            assert (on.outputs[~mask] != 0).any()  # type: ignore[index]


@pytest.mark.parametrize("name", list(SPECS))
def test_empty_rows_keep_their_initial_state(name: str) -> None:
    """A row without a real step ends in its initial h and c, to the bit, and its outputs are zero."""
    batch = batch_of(np.array([0, 3, 0, 7]))
    weights = stack_of(name, 2, BOTH)
    initial = states_of(weights, 4)
    for track in run.run(batch, weights, initial=initial):
        h, c = initial[track.layer, track.direction]
        assert np.array_equal(track.final[[0, 2]], h[[0, 2]])  # type: ignore[index]
        assert np.array_equal(track.initial, h)  # type: ignore[arg-type]
        assert not track.outputs[[0, 2]].any()  # type: ignore[index]
        if c is not None:
            assert np.array_equal(track.cell[[0, 2]], c[[0, 2]])  # type: ignore[index]
            assert np.array_equal(track.initial_cell, c)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_empty_rows_may_end_in_zeros(name: str) -> None:
    """ONNX Runtime leaves zeros in a row without a real step, whatever it began with; the other rows are as ever."""
    batch, weights = batch_of(np.array([0, 3, 0, 7])), stack_of(name, 1, BOTH)
    initial = states_of(weights, 4)
    usual, zeroed = (run.run(batch, weights, initial=initial, zero_length=z) for z in ("initial", "zero"))  # type: ignore[arg-type]
    for one, other in zip(usual, zeroed, strict=True):
        for a, b in ((one.final, other.final), (one.cell, other.cell)):
            assert a is None or (not b[[0, 2]].any() and np.array_equal(a[[1, 3]], b[[1, 3]]))  # type: ignore[index]
        assert np.array_equal(one.outputs, other.outputs)  # type: ignore[arg-type]


@pytest.mark.parametrize(("zero_length", "beyond"), [("initial", 0), ("zero", 0), ("wrap", 2 * STEPS)])
def test_only_empty_rows_are_read_past_their_end(
    zero_length: Any, beyond: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run computes its real steps, and masked ones of the empty rows alone, where they end in those."""
    read: list[int] = []
    advance = run._advance

    def counted(reader: Any, x: Any, steps: Any, *states: Any) -> None:
        read.append(steps.index.size)
        advance(reader, x, steps, *states)

    monkeypatch.setattr(run, "_advance", counted)
    run.run(batch_of(np.array([0, 3, 0, 7])), stack_of("gru"), zero_length=zero_length)
    assert sum(read) == 3 + 7 + beyond


def test_a_batch_of_empty_rows_runs() -> None:
    """Nothing real at all is a run too: states as they were, or where Flax's index wraps to."""
    batch, weights = batch_of(np.zeros(3, dtype=int)), stack_of("lstm")
    (track,) = run.run(batch, weights)
    assert not track.final.any()  # type: ignore[union-attr]
    assert track.initial is None
    (wrapped,) = run.run(batch, weights, zero_length="wrap")
    full = run.run(replace(batch, mask=np.ones_like(batch.mask)), weights)[0]
    np.testing.assert_allclose(wrapped.final, full.final, rtol=0, atol=1e-6)
    np.testing.assert_allclose(wrapped.cell, full.cell, rtol=0, atol=1e-6)
    assert not wrapped.outputs.any()  # type: ignore[union-attr]


@given(
    name=st.sampled_from(list(SPECS)),
    mask=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=7),
    direction=st.sampled_from(BOTH),
    order=st.sampled_from(["time", "reversed", "within"]),
    padding=st.sampled_from(["zero", "repeat"]),
    layers=st.integers(1, 2),
)
@settings(max_examples=60, deadline=None)
def test_any_mask_is_the_plain_loops(
    name: str, mask: list[list[bool]], direction: Direction, order: Any, padding: Any, layers: int
) -> None:
    """Whatever the mask, every layer's outputs and states are those of a loop that holds the state at masked steps.

    A layer reads what the one below returned, as it lies, under the same mask.
    """
    real = np.array(mask)
    batch, weights = batch_of(mask=real, steps=6), stack_of(name, layers, (direction,))
    tracks = run.run(batch, weights, padding=padding, order=order)
    given_to = batch.inputs
    for track in tracks:
        w, stored = weights.at(track.layer, direction), track.order
        outputs, final, cell = run_masked(weights.spec, w, given_to, real, padding=padding, order=stored)
        np.testing.assert_allclose(track.outputs, outputs, rtol=0, atol=3e-6)
        np.testing.assert_allclose(track.final, final, rtol=0, atol=3e-6)
        if track.cell is not None:
            np.testing.assert_allclose(track.cell, cell, rtol=0, atol=3e-6)
        given_to = outputs


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("order", ["time", "reversed", "within"])
@pytest.mark.parametrize("name", list(SPECS))
def test_a_state_row_is_its_output_step(name: str, order: Any, dtype: str) -> None:
    """Every final state equals the expected step of its outputs bit for bit, in every dtype, order, cell and layer."""
    batch, weights = batch_of(mask=HOLES), stack_of(name, 2, BOTH)
    trace = trace_of(batch, weights, order=order, dtype=dtype)
    for track in trace.tracks:
        steps = trace.expected_steps(track)
        for row in np.flatnonzero(steps >= 0):
            assert track.outputs[row, steps[row]].tobytes() == track.final[row].tobytes()  # type: ignore[index]


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("name", list(SPECS))
def test_every_dtype_computes(name: str, dtype: str) -> None:
    """Each dtype gives the float64 result to its own precision, in its own dtype (bfloat16 as float32, exactly)."""
    batch, weights = batch_of(), stack_of(name, 2, BOTH)
    exact = run.run(batch, weights, dtype="float64")
    limit = {"float64": 0, "float32": 1e-5, "float16": 2e-2, "bfloat16": 2e-1}[dtype]
    for want, track in zip(exact, run.run(batch, weights, dtype=dtype), strict=True):
        assert track.outputs is not None
        assert track.outputs.dtype == ("float32" if dtype == "bfloat16" else dtype)
        np.testing.assert_allclose(track.outputs, want.outputs, rtol=0, atol=limit)
        np.testing.assert_allclose(track.final, want.final, rtol=0, atol=limit)
        if dtype == "bfloat16":
            assert not (track.outputs.view(np.uint32) & 0xFFFF).any(), "more bits than bfloat16 has"


def test_the_weights_dtype_is_the_default() -> None:
    """Without a word on dtype the weights decide, whatever the inputs are."""
    for dtype in ("float16", "float32", "float64"):
        (track,) = run.run(batch_of(), stack_of("gru", dtype=dtype))
        assert track.outputs is not None
        assert track.outputs.dtype == dtype


def test_runs_are_deterministic() -> None:
    """The same run twice gives the same bits, for every cell."""
    for name in SPECS:
        batch, weights = batch_of(), stack_of(name, 2, BOTH)
        for one, two in zip(run.run(batch, weights), run.run(batch, weights), strict=True):
            assert one.outputs.tobytes() == two.outputs.tobytes()  # type: ignore[union-attr]
            assert one.final.tobytes() == two.final.tobytes()  # type: ignore[union-attr]


def test_rows_do_not_know_each_other() -> None:
    """Shuffled rows give shuffled results, and a row alone gives what it gives in company, to rounding."""
    batch, weights = batch_of(), stack_of("lstm", 2, BOTH)
    order = np.array([3, 0, 4, 2, 1])
    shuffled = Batch(batch.inputs[order], batch.mask[order], LENGTHS[order])
    alone = Batch(batch.inputs[3:4], batch.mask[3:4], LENGTHS[3:4])
    for whole, moved, single in zip(*(run.run(b, weights) for b in (batch, shuffled, alone)), strict=True):
        np.testing.assert_allclose(moved.outputs, whole.outputs[order], rtol=0, atol=1e-6)  # type: ignore[index]
        np.testing.assert_allclose(moved.cell, whole.cell[order], rtol=0, atol=1e-6)  # type: ignore[index]
        np.testing.assert_allclose(single.outputs, whole.outputs[3:4], rtol=0, atol=1e-6)  # type: ignore[index]


@pytest.mark.parametrize("name", list(SPECS))
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_padding_is_never_read(name: str, bad: float) -> None:
    """Not a number at masked steps reaches nothing, holes included."""
    for mask in (HOLES, prefix_mask(LENGTHS, STEPS)):
        batch, weights = batch_of(mask=mask), stack_of(name, 2, BOTH)
        spoilt = replace(batch, inputs=np.where(mask[..., None], batch.inputs, bad).astype(np.float32))
        for clean, track in zip(run.run(batch, weights), run.run(spoilt, weights), strict=True):
            assert np.array_equal(clean.outputs, track.outputs)  # type: ignore[arg-type]
            assert np.array_equal(clean.final, track.final)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(SPECS))
def test_nan_stays_in_its_row(name: str) -> None:
    """Not a number at a real step spoils that row from there on, c too, and no other row, nor any step before."""
    batch, weights = batch_of(), stack_of(name)
    inputs = batch.inputs.copy()
    inputs[0, 2, 1] = np.nan
    inputs[3, 2, 0] = np.nan  # the last real step of its row
    (clean,), (track,) = run.run(batch, weights), run.run(replace(batch, inputs=inputs), weights)
    assert clean.outputs is not None
    assert track.outputs is not None
    assert track.final is not None
    others = [1, 2, 4]
    np.testing.assert_allclose(track.outputs[others], clean.outputs[others], rtol=0, atol=1e-6)
    np.testing.assert_allclose(track.outputs[0, :2], clean.outputs[0, :2], rtol=0, atol=1e-6)
    assert np.isnan(track.outputs[0, 2:4]).all()
    assert not track.outputs[0, 4:].any()
    assert np.isnan(track.final[[0, 3]]).all()
    if track.cell is not None:
        assert np.isnan(track.cell[[0, 3]]).all()
        np.testing.assert_allclose(track.cell[others], clean.cell[others], rtol=0, atol=1e-6)  # type: ignore[index]


def test_infinite_inputs_are_the_plain_loops() -> None:
    """Infinite inputs saturate the gates, and c after them is the loop's: neither padding nor packing touches it."""
    batch, weights = batch_of(), stack_of("lstm")
    inputs = batch.inputs.copy()
    inputs[3, 2, 0], inputs[2, 6, 1], inputs[0, 1, 2] = np.inf, -np.inf, np.inf
    (track,) = run.run(replace(batch, inputs=inputs), weights)
    with np.errstate(invalid="ignore"):
        outputs, _, cell = run_masked(weights.spec, weights.layers[0], inputs, batch.mask)
    np.testing.assert_allclose(track.outputs, outputs, rtol=0, atol=3e-6)
    np.testing.assert_allclose(track.cell, cell, rtol=0, atol=3e-6)


def test_only_the_top_layer_is_kept_on_request() -> None:
    """`keep_all=False` drops the outputs below the top and nothing else."""
    batch, weights = batch_of(), stack_of("gru", 3, BOTH)
    every, top = run.run(batch, weights), run.run(batch, weights, keep_all=False)
    assert [t.outputs is None for t in top] == [True] * 4 + [False] * 2
    for one, other in zip(every, top, strict=True):
        assert np.array_equal(one.final, other.final)  # type: ignore[arg-type]
    assert np.array_equal(every[-1].outputs, top[-1].outputs)  # type: ignore[arg-type]


def test_inputs_come_in_any_memory() -> None:
    """Time-major views, read-only, big-endian, integer and boolean inputs are read as their values say."""
    weights = stack_of("lstm", dtype="float64")
    whole = np.random.default_rng(0).integers(0, 2, size=(5, STEPS, FEATURES))
    (want,) = run.run(Batch(whole.astype(np.float64), prefix_mask(LENGTHS, STEPS)), weights)
    frozen = whole.astype(np.float32)
    frozen.setflags(write=False)
    kinds = [
        np.ascontiguousarray(whole.swapaxes(0, 1)).swapaxes(0, 1),
        frozen,
        whole.astype(">f8"),
        whole.astype(">f4")[:, ::-1][:, ::-1],
        *(whole.astype(kind) for kind in ("bool", "uint8", "int16", "uint64", "float16", "longdouble")),
    ]
    for inputs in kinds:
        before = inputs.copy()
        (track,) = run.run(Batch(inputs, prefix_mask(LENGTHS, STEPS)), weights)
        assert np.array_equal(track.outputs, want.outputs), inputs.dtype  # type: ignore[arg-type]
        assert np.array_equal(inputs, before), "the caller's array was written to"


def test_results_are_the_callers_own() -> None:
    """Final states are copies: an empty row's shares no memory with the initial state that it equals."""
    batch, weights = batch_of(np.array([0, 3])), stack_of("gru")
    initial = states_of(weights, 2)
    (track,) = run.run(batch, weights, initial=initial)
    h = initial[0, "forward"][0]
    kept = h.copy()
    track.final[:] = 7  # type: ignore[index]
    assert np.array_equal(h, kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": np.zeros((5, 7, 2))}, "layer 0 forward has weights for 3 features per step, but the inputs have 2"),
        ({"inputs": np.zeros((5, 0, 3)), "mask": np.zeros((5, 0), bool)}, r"inputs are \(5, 0, 3\): a run needs"),
        ({"inputs": np.zeros((5, 7))}, r"inputs are \(5, 7\): a run needs \[B, T, F\]"),
        ({"mask": np.ones((5, 6), bool)}, r"mask is \(5, 6\), but the inputs have 5 rows and 7 steps"),
    ],
)
def test_a_batch_that_does_not_fit_is_said(change: dict[str, Any], message: str) -> None:
    """Shapes that do not fit are one line with both numbers."""
    with pytest.raises(ShapeError, match=message):
        run.run(replace(batch_of(), **change), stack_of("lstm"))


def test_layers_that_do_not_fit_are_said() -> None:
    """A layer that cannot read the one below is named with both widths."""
    weights = stack_of("gru", 2, BOTH)
    narrow = replace(weights, layers=(*weights.layers[:2], *stack_of("gru", 2).layers[2:], *weights.layers[3:]))
    wrong = replace(weights.at(1, "forward"), input_kernel=np.zeros((3, 5, UNITS), np.float32))
    narrow = replace(weights, layers=(*weights.layers[:2], wrong, weights.layers[3]))
    with pytest.raises(ShapeError, match="layer 1 forward has weights for 5 features per step, but layer 0 gives 8"):
        run.run(batch_of(), narrow)


@pytest.mark.parametrize(
    ("initial", "message"),
    [
        ({(0, "forward"): (np.zeros((5, 3)), None)}, r"initial h of layer 0 forward is \(5, 3\); it must be \(5, 4\)"),
        ({(0, "forward"): (np.zeros((5, 4)), np.zeros((4, 4)))}, r"initial c of layer 0 forward is \(4, 4\)"),
        ({(1, "forward"): (np.zeros((5, 4)), None)}, "for layer 1 forward, which the weights do not have"),
        ({(0, "backward"): (np.zeros((5, 4)), None)}, "for layer 0 backward, which the weights do not have"),
    ],
)
def test_states_that_do_not_fit_are_said(initial: Any, message: str) -> None:
    """An initial state of another shape, or for a layer that is not there, is one line."""
    with pytest.raises(ShapeError, match=message):
        run.run(batch_of(), stack_of("lstm"), initial=initial)


def test_names_that_are_not_there_are_said() -> None:
    """An unknown dtype lists the known ones, a device that is not there those that are."""
    with pytest.raises(UnknownNameError, match="unknown dtype 'float23'; did you mean 'float32'"):
        run.run(batch_of(), stack_of("lstm"), dtype="float23")
    for device in ("cuda:99", "nonsense"):
        with pytest.raises(UserError, match=f"device '{device}' is not available here; available: cpu"):
            run.run(batch_of(), stack_of("lstm"), device=device)
