"""What `rnninspect.record` costs: forward passes alone and recorded, side by side.

`python -m tests.benchmarks.recording` prints one line a layer. Each is the least of several medians, taken in turns, in
one thread; `recorded` copies inputs, outputs, states and weights of every call, `full` has reached its limit.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

import rnninspect

TURNS = 5


def median(call: Callable[[], object], seconds: float = 0.5) -> float:
    """Seconds a call: the median of as many calls as fit, three at least."""
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measured(layer: nn.RNNBase, x: torch.Tensor) -> dict[str, float]:
    """Milliseconds a forward pass alone, recorded, past the limit; and of forward and backward together, alone."""
    seconds: dict[str, list[float]] = {"alone": [], "recorded": [], "full": [], "with backward": []}
    for _ in range(TURNS):
        seconds["alone"].append(median(lambda: layer(x)))
        with rnninspect.record(layer, limit=10**9):
            seconds["recorded"].append(median(lambda: layer(x)))
        with rnninspect.record(layer, limit=0):
            seconds["full"].append(median(lambda: layer(x)))
        seconds["with backward"].append(median(lambda: layer(x)[0].sum().backward()))
    return {name: 1e3 * min(times) for name, times in seconds.items()}


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for rows, steps, features, units, layers in ((8, 20, 16, 32, 1), (32, 50, 64, 128, 1), (64, 100, 256, 512, 2)):
        layer = nn.LSTM(features, units, layers, batch_first=True)
        times = measured(layer, torch.randn(rows, steps, features))
        shown = ", ".join(f"{name} {value:.2f} ms" for name, value in times.items())
        print(f"LSTM {layers} x {units} units, {rows} rows, {steps} steps, {features} features: {shown}")


if __name__ == "__main__":
    main()
