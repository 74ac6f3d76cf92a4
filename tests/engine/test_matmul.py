"""How the products of a step are taken, and in how many threads: neither may show in what a cell gives."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import prefix_mask
from rnninspect.engine import loop, matmul
from rnninspect.engine.cells import make_cell
from rnninspect.engine.loop import LoopReader
from rnninspect.engine.matmul import Product, one_thread, worth_apart
from rnninspect.engine.packing import pack, read_order
from tests.support.oracles import random_layer, run_masked

CELLS: dict[str, tuple[CellSpec, dict[str, Any]]] = {
    "lstm": (CellSpec("lstm", forget_bias=1.0), {}),
    "lstm peepholes": (CellSpec("lstm", cell_clip=0.4), {"peepholes": True}),
    "lstm hard": (CellSpec("lstm", recurrent_activation="hard_sigmoid"), {"peepholes": True, "projected": 2}),
    "gru": (CellSpec("gru", gate_clip=0.9), {}),
    "gru hard": (CellSpec("gru", recurrent_activation="hard_sigmoid_keras3"), {}),
    "gru before": (CellSpec("gru", reset_after=False), {}),
    "gru before hard": (CellSpec("gru", reset_after=False, recurrent_activation="hard_sigmoid"), {}),
    "rnn": (CellSpec("rnn"), {}),
}


def make(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float64))


@pytest.mark.parametrize("lone_thread", [False, True])
@pytest.mark.parametrize("laid_out", ["columns", "rows"])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("name", list(CELLS))
def test_every_way_of_multiplying_is_the_plain_loops(
    name: str, apart: bool, laid_out: str, lone_thread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gates apart or side by side, kernels in either memory, one thread or all: shrinking rows are the plain loop's."""
    spec, options = CELLS[name]
    w = random_layer(np.random.default_rng(1), spec.cell, 3, 5, dtype="float64", **options)
    if laid_out == "rows":
        for kernel in ("input_kernel", "recurrent_kernel"):
            kept = np.ascontiguousarray(getattr(w, kernel).swapaxes(1, 2)).swapaxes(1, 2)
            object.__setattr__(w, kernel, kept)
    lengths = np.array([2, 7, 7, 1, 4])
    mask = prefix_mask(lengths, 7)
    steps = pack(read_order(mask, "forward"), np.zeros(5, np.int64), lengths)
    inputs = np.random.default_rng(2).normal(size=(5, 7, 3))
    monkeypatch.setattr(matmul, "worth_apart", lambda kernel: apart)
    monkeypatch.setattr(loop, "WORTH_A_THREAD", 10**9 if lone_thread else 0)
    monkeypatch.setattr(loop, "GATES_AT_A_TIME", 100)  # several blocks
    out = torch.full((steps.index.size, w.units), torch.nan, dtype=torch.float64)
    h = torch.zeros(5, w.units, dtype=torch.float64)
    c = torch.zeros(5, 5, dtype=torch.float64) if spec.cell == "lstm" else None
    threads = torch.get_num_threads()
    with torch.inference_mode():
        reader = LoopReader(make_cell(spec, w, make), w.bias.size, w.recurrent_kernel.size)
        after = reader.run(make(inputs).flatten(0, 1), steps, h, c, out)
    assert torch.get_num_threads() == threads
    outputs, final, cell = run_masked(spec, w, inputs, mask)
    got = np.zeros_like(outputs)
    got.reshape(35, -1)[steps.index] = out.numpy()
    np.testing.assert_allclose(got, outputs, rtol=0, atol=1e-13)
    np.testing.assert_allclose(out.numpy()[steps.last], final[steps.rows], rtol=0, atol=1e-13)
    if after is not None:
        np.testing.assert_allclose(after.numpy(), cell[steps.rows], rtol=0, atol=1e-13)


@pytest.mark.parametrize("apart", [False, True])
def test_sums_lie_as_gates_show_them(apart: bool) -> None:
    """In either layout, `gates` is a view `[G, n, H]` of the sums that `add` wrote into more room than it needs."""
    rng = np.random.default_rng(0)
    kernel, bias, x = (make(rng.normal(size=size)) for size in ((3, 2, 4), (3, 4), (5, 2)))
    product = Product(kernel, apart)
    sums = product.room(torch.empty(100, dtype=torch.float64), 5)
    assert product.add(product.row(bias), x, sums) is sums
    gates = product.gates(sums)
    assert gates.untyped_storage().data_ptr() == sums.untyped_storage().data_ptr()
    np.testing.assert_allclose(gates, bias[:, None] + torch.stack([x @ k for k in kernel]), rtol=0, atol=1e-14)


@pytest.mark.parametrize("index", [[2, 3, 4], [4], [0, 2, 3], [3, 2, 1], [1, 1, 2], []])
def test_rows_are_taken_by_their_places(index: list[int]) -> None:
    """Whatever the places, the rows are those; only where they follow each other do they share memory."""
    x = make(np.arange(10.0).reshape(5, 2))
    got = matmul.take(x, np.array(index, dtype=np.int64))
    assert np.array_equal(got, x.numpy()[index])
    shares = got.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert shares == (index in ([2, 3, 4], [4]))


def test_gates_are_apart_where_threads_share_them_out() -> None:
    """Four gates go apart in two threads and three do not; nor do small kernels."""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        shapes = {(4, 128, 128): True, (2, 256, 256): True, (3, 256, 256): False, (4, 64, 64): False}
        assert {shape: worth_apart(torch.empty(shape)) for shape in shapes} == shapes
    finally:
        torch.set_num_threads(threads)


def test_one_thread_gives_back_what_there_was() -> None:
    """However many are inside, in whatever order they leave and by whatever way, torch has its threads again after."""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        inside, leave = threading.Event(), threading.Event()

        def other() -> None:
            with one_thread():
                inside.set()
                leave.wait(10)

        def fails() -> None:
            with one_thread():
                thread.start()
                assert inside.wait(10)
                assert torch.get_num_threads() == 1
                raise ZeroDivisionError

        thread = threading.Thread(target=other)
        with pytest.raises(ZeroDivisionError):
            fails()
        leave.set()
        thread.join(10)
        with one_thread():
            with one_thread():
                pass
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        assert not matmul._inside
    finally:
        torch.set_num_threads(threads)
