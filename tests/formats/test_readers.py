"""The ways in which the engine reads: each must give what the others give, and padding must leave c alone."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnninspect.conventions.weights.gates import split_rows
from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import prefix_mask
from rnninspect.core.weights import LayerWeights
from rnninspect.engine import device, loop, packing, torch_kernels
from rnninspect.engine.cells import make_cell
from rnninspect.engine.loop import LoopReader, make_reader
from rnninspect.engine.packing import Pack, pack, plan, ranks_of, read_order
from rnninspect.engine.torch_kernels import FusedCell, kernel_name, rectangles
from tests.support.oracles import random_layer, run_masked

KERNELS = {
    "lstm": (CellSpec("lstm", forget_bias=1.0), {}),
    "lstm projection": (CellSpec("lstm"), {"projected": 2}),
    "gru": (CellSpec("gru"), {}),
    "rnn_tanh": (CellSpec("rnn"), {}),
    "rnn_relu": (CellSpec("rnn", activation="relu"), {}),
}


def make(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))


def layer_of(name: str, features: int = 3, units: int = 4) -> tuple[CellSpec, LayerWeights]:
    spec, options = KERNELS[name]
    return spec, random_layer(np.random.default_rng(1), spec.cell, features, units, **options)


def read(reader: Any, method: str, w: LayerWeights, inputs: np.ndarray, steps: Pack, cell: str) -> tuple[Any, Any]:
    """(outputs `[N, P]`, c `[R, H]` or None) of a reader's method on a pack, from states that are not zero."""
    rng = np.random.default_rng(4)
    rows = steps.rows.size
    h = make(rng.normal(size=(rows, w.units)))
    c = make(3 * rng.normal(size=(rows, w.cell_units))) if cell == "lstm" else None
    out = torch.full((steps.index.size, w.units), torch.nan)
    with torch.inference_mode():
        after = getattr(reader, method)(make(inputs).flatten(0, 1), steps, h, c, out)
    return out.numpy(), None if after is None else after.numpy()


@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=12),
    worth=st.sampled_from([0, 1, 5, 20, 1000]),
    name=st.sampled_from(list(KERNELS)),
    at_a_time=st.sampled_from([1, 40, 10**6]),
)
@settings(max_examples=80, deadline=None)
def test_every_way_of_reading_gives_the_same(lengths: list[int], worth: int, name: str, at_a_time: int) -> None:
    """torch's packed kernel, its unpacked one on rectangles of any size, and the loop in blocks of any size agree."""
    mask = prefix_mask(lengths, 12)
    steps = pack(read_order(mask, "forward"), np.zeros(len(lengths), np.int64), mask.sum(1))
    if not steps.sizes:
        return
    inputs = np.random.default_rng(2).normal(size=(len(lengths), 12, 3))
    spec, w = layer_of(name)
    assert kernel_name(spec, w) == name.removesuffix(" projection")
    kernel = FusedCell(spec, w, make)
    want = read(kernel, "packed", w, inputs, steps, spec.cell)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_kernels, "WORTH_A_CALL", worth)
        patch.setattr(loop, "GATES_AT_A_TIME", at_a_time)
        others = [read(LoopReader(make_cell(spec, w, make), 16, 64), "run", w, inputs, steps, spec.cell)]
        if name == "lstm":
            others.append(read(kernel, "chunked", w, inputs, steps, spec.cell))
        if name == "lstm" and steps.sizes[0] == steps.sizes[-1]:
            others.append(read(kernel, "whole", w, inputs, steps, spec.cell))
    for outputs, cell in others:
        np.testing.assert_allclose(outputs, want[0], rtol=1e-5, atol=2e-6)
        assert (cell is None) == (want[1] is None)
        if cell is not None:
            np.testing.assert_allclose(cell, want[1], rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("units", [1, 5, 64, 130])
def test_padding_leaves_c_as_it_is(units: int) -> None:
    """In a rectangle that goes on past a row's end, its c comes out bit for bit as it was there."""
    w = random_layer(np.random.default_rng(1), "lstm", 3, units)
    kernel = FusedCell(CellSpec("lstm"), w, make)
    inputs = np.random.default_rng(2).normal(size=(2, 40, 3))
    for ended in (1, 7, 39):
        both = pack(read_order(prefix_mask([40, ended], 40), "forward"), np.zeros(2, np.int64), np.array([40, ended]))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch_kernels, "WORTH_A_CALL", 10**6)
            assert rectangles(both.sizes, torch_kernels.WORTH_A_CALL) == [(0, 40)]
            _, through = read(kernel, "chunked", w, inputs, both, "lstm")
            patch.setattr(torch_kernels, "WORTH_A_CALL", 0)
            _, cut = read(kernel, "chunked", w, inputs, both, "lstm")
        assert through[1].tobytes() == cut[1].tobytes()


def test_gates_read_from_rows_are_stacked_without_a_copy() -> None:
    """Kernels read from `[G*H, F]` go back to it as they lie, through the engine's own way of making tensors."""
    rows = np.random.default_rng(1).normal(size=(16, 3)).astype(np.float32)
    kernel = split_rows(rows, "ifgo", "lstm", "weight_ih_l0")
    spec, w = layer_of("lstm")
    where = device.Where(torch.float32, torch.device("cpu"))
    stacked = FusedCell(spec, replace(w, input_kernel=kernel), where.tensor).kernel
    assert np.array_equal(stacked, rows)
    assert stacked.data_ptr() == kernel.ctypes.data


LAYOUTS = {
    "as drawn": lambda array: array,
    "by rows": lambda array: array.swapaxes(-1, -2).copy().swapaxes(-1, -2),
    "gates last": lambda array: np.moveaxis(np.moveaxis(array, 0, -1).copy(), -1, 0),
    "of a wider array": lambda array: np.repeat(array, 2, -1)[..., ::2],
    "backwards": lambda array: array[..., ::-1].copy()[..., ::-1],
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("name", list(KERNELS))
def test_weights_reach_the_kernel_contiguous(name: str, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN refuses any other: however the arrays lie, all that a kernel is given is contiguous, and gives the same."""
    spec, w = layer_of(name)
    arrays = {f.name: getattr(w, f.name) for f in fields(w) if isinstance(getattr(w, f.name), np.ndarray)}
    laid = replace(w, **{part: LAYOUTS[layout](array) for part, array in arrays.items()})
    assert all(np.array_equal(getattr(laid, part), array) for part, array in arrays.items())
    kernel, torch_name = FusedCell(spec, laid, device.Where(torch.float32, torch.device("cpu")).tensor), name.split()[0]
    seen: list[torch.Tensor] = []
    called = getattr(torch, torch_name)

    def watched(data: torch.Tensor, sizes: torch.Tensor, state: Any, weights: list[torch.Tensor], *rest: Any) -> Any:
        seen.extend([data, *(state if isinstance(state, tuple) else [state]), *weights])
        return called(data, sizes, state, weights, *rest)

    inputs = np.random.default_rng(2).normal(size=(2, 5, 3))
    steps = pack(read_order(prefix_mask([5, 2], 5), "forward"), np.zeros(2, np.int64), np.array([5, 2]))
    monkeypatch.setattr(torch, torch_name, watched)
    outputs, _ = read(kernel, "packed", laid, inputs, steps, spec.cell)
    assert len(seen) >= 6
    assert all(tensor.is_contiguous() for tensor in seen)
    monkeypatch.undo()
    want, _ = read(FusedCell(spec, w, make), "packed", w, inputs, steps, spec.cell)
    assert np.array_equal(outputs, want)


@pytest.mark.parametrize("rows", [1, 3])
def test_rows_that_end_together_are_read_whole(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without padding there is nothing to cut: outputs and c are the loop's, and not a number stays in its row."""
    spec, w = layer_of("lstm")
    inputs = np.random.default_rng(2).normal(size=(rows, 6, 3))
    inputs[0, 4, 1] = np.nan
    mask = np.ones((rows, 6), dtype=bool)
    steps = pack(read_order(mask, "forward"), np.zeros(rows, np.int64), np.full(rows, 6))
    monkeypatch.setattr(torch_kernels, "WORTH_ONEDNN", 0)
    zero, out = torch.zeros(rows, 4), torch.empty(6 * rows, 4)
    with torch.inference_mode():
        cell = FusedCell(spec, w, make).run(make(inputs).flatten(0, 1), steps, zero, zero, out)
    outputs, _, want = run_masked(spec, w, inputs, mask)
    np.testing.assert_allclose(out.view(6, rows, 4).transpose(0, 1), outputs, rtol=0, atol=2e-6)
    np.testing.assert_allclose(cell, want, rtol=0, atol=2e-6)
    assert np.isnan(outputs[0, 4:]).all()


def test_a_row_that_ends_in_nan_leaves_the_rectangles(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 * NaN is NaN: where a final state is not finite, the exact kernel runs instead, and c is the loop's."""
    spec, w = layer_of("lstm")
    w.input_kernel[3, 0, 0] = np.inf  # of the output gate alone
    inputs = np.random.default_rng(2).normal(size=(2, 6, 3))
    inputs[:, :, 0] = 1.0
    inputs[1, 2, 0] = 0.0  # 0 * inf: at its last step this row's h is not a number, but its c still is
    lengths = np.array([6, 3])
    mask = prefix_mask(lengths, 6)
    steps = pack(read_order(mask, "forward"), np.zeros(2, np.int64), lengths)
    monkeypatch.setattr(torch_kernels, "WORTH_A_CALL", 1000)
    monkeypatch.setattr(torch_kernels, "WORTH_ONEDNN", 0)
    zero = torch.zeros(2, 4)
    out = torch.empty(9, 4)
    with torch.inference_mode():
        cell = FusedCell(spec, w, make).run(make(inputs).flatten(0, 1), steps, zero, zero, out)
    with np.errstate(invalid="ignore"):
        outputs, _, want = run_masked(spec, w, inputs, mask)
    assert np.isnan(outputs[1, 2, 0])
    assert np.isfinite(want).all()
    np.testing.assert_allclose(cell, want, rtol=0, atol=1e-6)
    np.testing.assert_allclose(out[steps.last], [outputs[0, 5], outputs[1, 2]], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "options", "kernel"),
    [
        (CellSpec("lstm", forget_bias=1.0), {}, "lstm"),
        (CellSpec("lstm"), {"projected": 2}, "lstm"),
        (CellSpec("lstm", proj_clip=1.0), {}, "lstm"),
        (CellSpec("lstm", proj_clip=1.0), {"projected": 2}, None),
        (CellSpec("lstm"), {"peepholes": True}, None),
        (CellSpec("lstm", cell_clip=1.0), {}, None),
        (CellSpec("lstm", gate_clip=1.0), {}, None),
        (CellSpec("lstm", input_forget=True), {}, None),
        (CellSpec("lstm", output_activation="relu"), {}, None),
        (CellSpec("lstm", activation="relu"), {}, None),
        (CellSpec("lstm", recurrent_activation="hard_sigmoid"), {}, None),
        (CellSpec("gru"), {}, "gru"),
        (CellSpec("gru", reset_after=False), {}, None),
        (CellSpec("gru", gate_clip=1.0), {}, None),
        (CellSpec("gru", activation="relu"), {}, None),
        (CellSpec("rnn"), {}, "rnn_tanh"),
        (CellSpec("rnn", activation="relu", recurrent_activation="relu"), {}, "rnn_relu"),
        (CellSpec("rnn", activation="softsign"), {}, None),
        (CellSpec("rnn", gate_clip=1.0), {}, None),
    ],
)
def test_torch_is_asked_only_for_its_own_cells(spec: CellSpec, options: dict[str, Any], kernel: str | None) -> None:
    """A cell with anything that torch's kernels do not have is never given to them."""
    w = random_layer(np.random.default_rng(0), spec.cell, 2, 3, **options)
    assert kernel_name(spec, w) == kernel
    on_cpu, on_gpu = (make_reader(spec, w, make, torch.device(name)) for name in ("cpu", "cuda"))
    assert isinstance(on_cpu, FusedCell) == (kernel == "lstm")
    assert isinstance(on_gpu, FusedCell) == (kernel is not None)


@given(ends=st.lists(st.integers(1, 30), min_size=1, max_size=20), worth=st.integers(0, 60))
def test_rectangles_tile_the_steps(ends: list[int], worth: int) -> None:
    """They follow each other from the first step to the last, cut only where rows end, and bound the padding."""
    sizes = [sum(end > t for end in ends) for t in range(max(ends))]
    rectangles_found = rectangles(sizes, worth)
    assert rectangles_found[0][0] == 0
    assert rectangles_found[-1][1] == len(sizes)
    for (start, stop), after in zip(rectangles_found, [*rectangles_found[1:], (len(sizes), 0)], strict=True):
        assert start < stop == after[0]
        assert start == 0 or sizes[start] < sizes[start - 1]
        assert sum(sizes[start] - size for size in sizes[start:stop]) <= worth


@given(mask=st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=6), forward=st.booleans())
def test_a_pack_reads_every_real_step_once_in_order(mask: list[list[bool]], forward: bool) -> None:
    """Row by row, a pack reads the real steps in the order of its direction, none twice and none masked."""
    real = np.array(mask)
    order = read_order(real, "forward" if forward else "backward")
    counts = real.sum(1)
    steps = pack(order, np.zeros_like(counts), counts)
    assert sorted(steps.sizes, reverse=True) == steps.sizes
    assert np.array_equal(np.sort(order, axis=1), np.broadcast_to(np.arange(5), order.shape))
    assert np.array_equal(np.take_along_axis(order, ranks_of(order), 1), np.broadcast_to(np.arange(5), order.shape))
    for b in range(len(real)):
        want = [t for t in range(5) if real[b, t]]
        read_steps = [int(i) % 5 for i in steps.index if i // 5 == b]
        assert read_steps == (want if forward else want[::-1])
        if want:
            at = int(np.flatnonzero(steps.rows == b)[0])
            assert steps.index[steps.last[at]] == b * 5 + read_steps[-1]
            assert [int(p) for p in steps.position(np.arange(len(want))[None].repeat(len(real), 0))[b]] == [
                int(p) for p in np.flatnonzero(steps.index // 5 == b)
            ]


def test_a_kept_plan_is_that_of_its_mask_and_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of masks of one shape, and of each policy of one mask, every plan is the one that is made without keeping any."""
    masks = [
        prefix_mask([4, 2, 0], 4),
        prefix_mask([2, 4, 1], 4),
        np.array([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 1]]) > 0,
    ]
    policies = [("zero", "initial"), ("zero", "wrap"), ("repeat", "zero"), ("computed", "initial")]
    asked = list(itertools.product(masks, ("forward", "backward"), policies, ("time", "reversed", "within")))
    for _ in range(2):
        for mask, direction, policy, stored in asked:
            kept = plan(mask, direction, *policy)
            with monkeypatch.context() as patch:
                patch.setattr(packing, "FEW", 0)
                made = plan(mask, direction, *policy)
                assert made is not kept
                assert np.array_equal(made.places(stored), kept.places(stored))
            assert kept is plan(mask.copy(), direction, *policy)
            for name in ("mask", "order", "empty"):
                assert np.array_equal(getattr(kept, name), getattr(made, name))
            assert np.array_equal(kept.real.index, made.real.index)
            assert np.array_equal(kept.beyond.index, made.beyond.index)
