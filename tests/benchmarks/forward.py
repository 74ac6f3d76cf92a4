"""Forward pass of one layer: this engine beside packed torch, torch without lengths, ONNX Runtime and a masked loop.

    python tests/benchmarks/forward.py                  the five shapes, torch's own LSTM
    python tests/benchmarks/forward.py --cells all      and the other cells
    python tests/benchmarks/forward.py --growth         one batch at shares of its steps: time against real steps

All ways are timed in turn, round after round, in one process, so that whatever else the machine does hits all of them;
medians are shown. Ours goes from numpy arrays to numpy arrays, weights laid out anew each time from how they lie when
read from a torch file; torch's ways start from tensors and modules that are ready. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnninspect.core.batch import Batch
from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import prefix_mask
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.engine import cells as known_cells
from rnninspect.engine import packing, run

SHAPES = [(32, 50, 128, 128), (64, 200, 256, 256), (128, 100, 512, 512), (8, 1000, 64, 64), (1, 500, 256, 256)]
TINY = [(3, 4, 2, 2), (1, 5, 3, 2)]
CELLS: dict[str, tuple[CellSpec, bool]] = {
    "lstm": (CellSpec("lstm"), False),
    "gru": (CellSpec("gru"), False),
    "rnn": (CellSpec("rnn"), False),
    "lstm, peepholes and clip": (CellSpec("lstm", cell_clip=3.0), True),
    "lstm, hard sigmoid": (CellSpec("lstm", recurrent_activation="hard_sigmoid"), False),
    "gru, reset before": (CellSpec("gru", reset_after=False), False),
}
WAYS = ("ours", "packed", "no lengths", "onnxruntime", "masked loop", "products")


@dataclass(frozen=True, eq=False)
class Problem:
    """One batch and one layer. `x`: `[B, T, F]`, `lengths`: `[B]`, on the host. `device`: where it is computed."""

    x: torch.Tensor
    lengths: torch.Tensor
    weights: Weights
    device: str = "cpu"

    @property
    def spec(self) -> CellSpec:
        return self.weights.spec

    @property
    def layer(self) -> LayerWeights:
        return self.weights.layers[0]


def problem(shape: tuple[int, int, int, int], spec: CellSpec, peepholes: bool, share: float = 1.0) -> Problem:
    """Random inputs, weights and lengths: uniform in 1..T, or `share` of T for every row where it is below 1."""
    rows, steps, features, units = shape
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, steps + 1, size=rows)
    lengths[0] = steps
    if share < 1:
        lengths = np.maximum(1, (lengths * share).astype(np.int64))
    gates, scale = len(known_cells.get(spec.cell).gates), units**-0.5

    def drawn(*size: int) -> np.ndarray[Any, Any]:
        return rng.uniform(-scale, scale, size).astype(np.float32)

    layer = LayerWeights(
        0,
        "forward",
        drawn(gates, units, features).transpose(0, 2, 1),  # as gates lie that were read from torch's [G*H, F]
        drawn(gates, units, units).transpose(0, 2, 1),
        drawn(gates, units),
        recurrent_bias=drawn(gates, units),
        peepholes=drawn(3, units) if peepholes else None,
    )
    x = torch.from_numpy(rng.normal(size=(rows, steps, features)).astype(np.float32))
    return Problem(x, torch.from_numpy(lengths), Weights(spec, (layer,)))


def ours(p: Problem) -> Callable[[], Any]:
    inputs, lengths = p.x.numpy(), p.lengths.numpy()
    batch = Batch(inputs, prefix_mask(lengths, inputs.shape[1]), lengths)
    packing.FEW = 0  # every run plans its passes, as the first one of a mask does
    return lambda: run.run(batch, p.weights, device=p.device)[0].outputs


def torch_module(p: Problem) -> torch.nn.RNNBase | None:
    """torch's layer with these weights, or None where it has none."""
    plain = CELLS.get(p.spec.cell, (None,))[0]
    if p.spec != plain or p.layer.peepholes is not None:
        return None
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[p.spec.cell]
    module: torch.nn.RNNBase = kind(p.layer.features, p.layer.units, batch_first=True)
    for name, array in (
        ("weight_ih_l0", p.layer.input_kernel.transpose(0, 2, 1)),
        ("weight_hh_l0", p.layer.recurrent_kernel.transpose(0, 2, 1)),
        ("bias_ih_l0", p.layer.bias[..., None]),
        ("bias_hh_l0", np.asarray(p.layer.recurrent_bias)[..., None]),
    ):
        parameter = getattr(module, name)
        parameter.data = torch.from_numpy(array.reshape(parameter.shape).copy())
    return module.to(p.device)


def packed(p: Problem) -> Callable[[], Any] | None:
    module, steps = torch_module(p), p.x.shape[1]
    if module is None:
        return None

    def call() -> Any:
        out, _ = module(pack_padded_sequence(p.x.to(p.device), p.lengths, batch_first=True, enforce_sorted=False))
        return pad_packed_sequence(out, batch_first=True, total_length=steps)[0].cpu().numpy()

    return call


def no_lengths(p: Problem) -> Callable[[], Any] | None:
    module = torch_module(p)
    return None if module is None else lambda: module(p.x)[0].numpy()


def onnx_runtime(p: Problem, threads: int) -> Callable[[], Any] | None:
    """ONNX Runtime's operator, on time-major inputs that are ready; None where it or the cell is not there."""
    if p.layer.peepholes is not None and p.spec.cell_clip is not None:
        return None  # ONNX clips what goes into the gates, not c
    try:
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return None
    order = {"lstm": [0, 3, 1, 2], "gru": [1, 0, 2], "rnn": [0]}[p.spec.cell]
    biases = [np.asarray(b)[order].reshape(-1) for b in (p.layer.bias, p.layer.recurrent_bias)]
    arrays = {
        "W": p.layer.input_kernel[order].transpose(0, 2, 1).reshape(-1, p.layer.features)[None],
        "R": p.layer.recurrent_kernel[order].transpose(0, 2, 1).reshape(-1, p.layer.units)[None],
        "B": np.concatenate(biases)[None],
    }
    options: dict[str, Any] = {"hidden_size": p.layer.units}
    if p.spec.cell == "gru":
        options["linear_before_reset"] = int(p.spec.reset_after)
    if p.spec.recurrent_activation == "hard_sigmoid":
        options["activations"] = ["HardSigmoid", "Tanh", "Tanh"]
    node = helper.make_node(p.spec.cell.upper(), ["X", "W", "R", "B", "lengths"], ["Y"], **options)
    graph = helper.make_graph(
        [node],
        "layer",
        [
            helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, None, p.layer.features]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, [None]),
        ],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in arrays.items()],
    )
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.add_session_config_entry("session.force_spinning_stop", "1")  # or it slows whatever runs after it
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    feed = {"X": p.x.transpose(0, 1).contiguous().numpy(), "lengths": p.lengths.numpy().astype(np.int32)}
    return lambda: session.run(None, feed)[0][:, 0].swapaxes(0, 1)


def masked_loop(p: Problem) -> Callable[[], Any]:
    """What people write: every step for all rows, the state held where the row has ended."""
    w, spec = p.layer, p.spec
    kernel, recurrent = (
        torch.from_numpy(k.transpose(1, 0, 2).reshape(k.shape[1], -1).copy()).to(p.device)
        for k in (w.input_kernel, w.recurrent_kernel)
    )
    bias, inner = (torch.from_numpy(np.asarray(b).reshape(-1)).to(p.device) for b in (w.bias, w.recurrent_bias))
    peep = None if w.peepholes is None else torch.from_numpy(w.peepholes).to(p.device)
    units = w.units

    def sigma(x: torch.Tensor) -> torch.Tensor:
        hard = spec.recurrent_activation == "hard_sigmoid"
        return (0.2 * x + 0.5).clamp(0, 1) if hard else torch.sigmoid(x)

    def lstm(x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        i, f, g, o = (x @ kernel + bias + h @ recurrent + inner).chunk(4, 1)
        if peep is not None:
            i, f = i + peep[0] * c, f + peep[1] * c
        new = sigma(f) * c + sigma(i) * torch.tanh(g)
        if spec.cell_clip is not None:
            new = new.clamp(-spec.cell_clip, spec.cell_clip)
        if peep is not None:
            o = o + peep[2] * new
        return sigma(o) * torch.tanh(new), new

    def gru(x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        input_term = x @ kernel + bias
        if spec.reset_after:
            r0, z0, n0 = (h @ recurrent + inner).chunk(3, 1)
            r, z = sigma(input_term[:, :units] + r0), sigma(input_term[:, units : 2 * units] + z0)
            n = torch.tanh(input_term[:, 2 * units :] + r * n0)
        else:
            rz = sigma(input_term[:, : 2 * units] + h @ recurrent[:, : 2 * units] + inner[: 2 * units])
            r, z = rz.chunk(2, 1)
            n = torch.tanh(input_term[:, 2 * units :] + (r * h) @ recurrent[:, 2 * units :] + inner[2 * units :])
        return (1 - z) * n + z * h, c

    def rnn(x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tanh(x @ kernel + bias + h @ recurrent + inner), c

    cell = {"lstm": lstm, "gru": gru, "rnn": rnn}[spec.cell]

    def call() -> Any:
        x, lengths = p.x.to(p.device), p.lengths.to(p.device)
        h = c = torch.zeros(len(x), units, device=p.device)
        outputs = []
        for t in range(x.shape[1]):
            real = (t < lengths)[:, None]
            new_h, new_c = cell(x[:, t], h, c)
            outputs.append(torch.where(real, new_h, torch.zeros_like(new_h)))
            h, c = torch.where(real, new_h, h), torch.where(real, new_c, c)
        return torch.stack(outputs, 1).cpu().numpy()

    return call


def products(p: Problem) -> Callable[[], Any]:
    """Nothing but the products that no way can do without: the inputs' for all real steps at once, and each step's own
    over the rows that go on. What the masked loop takes more than this is all that any loop of steps could gain."""
    kernel, recurrent = (
        torch.from_numpy(k.transpose(1, 0, 2).reshape(k.shape[1], -1).copy())
        for k in (p.layer.input_kernel, p.layer.recurrent_kernel)
    )
    sizes = (p.lengths[:, None] > torch.arange(p.x.shape[1])).sum(0).tolist()
    x, h = torch.rand(sum(sizes), p.layer.features), torch.rand(sizes[0], p.layer.units)
    room = torch.empty(sizes[0], kernel.shape[1])

    def call() -> Any:
        torch.mm(x, kernel)
        for size in sizes:
            torch.mm(h[:size], recurrent, out=room[:size])

    return call


def ways(p: Problem, threads: int) -> dict[str, Callable[[], Any]]:
    """Every way that this cell can be run, checked to give the same outputs where rows are real."""
    tables = {
        "ours": ours(p),
        "packed": packed(p),
        "no lengths": no_lengths(p),
        "onnxruntime": onnx_runtime(p, threads),
        "masked loop": masked_loop(p),
    }
    there = {name: call for name, call in tables.items() if call is not None}
    real = np.arange(p.x.shape[1])[None, :] < p.lengths.numpy()[:, None]
    want = there["ours"]()
    for name, call in there.items():
        worst = np.abs(call() - want)[real].max()
        if worst > 1e-4:
            raise SystemExit(f"{name} differs from ours by {worst:.2g}: the comparison is not one")
    return there


def timed(
    calls: dict[str, Callable[[], Any]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median milliseconds of each, in turn; every call has run before."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = clock()
            call()
            taken[name].append(1e3 * (clock() - start))
    return {name: statistics.median(values) for name, values in taken.items()}


def table(cell: str, shapes: list[tuple[int, int, int, int]], rounds: int, threads: int, cpu: bool = False) -> None:
    """Prints one cell's table: milliseconds, and ours as a share of packed torch and as a multiple of the loop."""
    print(f"\n{cell} (ms{' of CPU' * cpu})")
    named = "".join(f"{way:>13}" for way in WAYS)
    print(f"{'B x T x F x H':<24}{named}{'ours/packed':>13}{'loop/ours':>11}{'loop/products':>15}")
    for shape in shapes:
        with torch.inference_mode():
            p = problem(shape, *CELLS[cell])
            clock = time.process_time if cpu else time.perf_counter
            taken = timed({**ways(p, threads), "products": products(p)}, rounds, clock)
        row = "".join(f"{taken[way]:13.2f}" if way in taken else f"{'-':>13}" for way in WAYS)
        share = f"{taken['ours'] / taken['packed']:13.2f}" if "packed" in taken else f"{'-':>13}"
        gained = "".join(f"{taken['masked loop'] / taken[way]:{n}.2f}" for way, n in (("ours", 11), ("products", 15)))
        print(f"{' x '.join(map(str, shape)):<24}{row}{share}{gained}")


def growth(shape: tuple[int, int, int, int], rounds: int) -> None:
    """Prints how the time follows the number of real steps while B x T stays as it is."""
    print(f"\nlstm, {' x '.join(map(str, shape))}, rows cut to a share of their lengths")
    print(f"{'share':<8}{'real steps':>12}{'ours ms':>10}{'us a step':>11}")
    for share in (0.125, 0.25, 0.5, 1.0):
        p = problem(shape, *CELLS["lstm"], share)
        with torch.inference_mode():
            call = ours(p)
            call()
            taken = timed({"ours": call}, rounds)["ours"]
        real = int(p.lengths.sum())
        print(f"{share:<8}{real:>12}{taken:>10.2f}{1e3 * taken / real:>11.2f}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Forward pass of one layer, ways side by side.")
    parser.add_argument("--cells", default="lstm", help=f"'all', or one of: {'; '.join(CELLS)}")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu", action="store_true", help="CPU time of one thread: what others do disturbs it less")
    parser.add_argument("--growth", action="store_true", help="time against real steps, too")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, one round: only shows that it runs")
    options = parser.parse_args(arguments)
    options.threads = 1 if options.cpu else options.threads
    torch.set_num_threads(options.threads)
    shapes, rounds = (TINY, 1) if options.tiny else (SHAPES, options.rounds)
    print(f"{platform.machine()}, {options.threads} threads, torch {torch.__version__}, float32, medians of {rounds}")
    for cell in CELLS if options.cells == "all" else [options.cells]:
        table(cell, shapes, rounds, options.threads, options.cpu)
    if options.growth or options.tiny:
        growth(shapes[1], rounds)


if __name__ == "__main__":
    main()
