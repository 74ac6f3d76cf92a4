"""Forward pass on another device: right beside the CPU, ahead of the masked loop, and beside packed cuDNN.

    python -m tests.benchmarks --device cuda

Every way starts from numpy arrays or tensors of the host and ends in numpy arrays, copies to the device and back
included, and computes in full float32; weights are there already for torch's module and the masked loop, and laid out
anew for ours.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tests.benchmarks.forward import CELLS, TINY, masked_loop, ours, packed, problem, timed

SHAPE = (128, 100, 512, 512)
RIGHT = 1e-5  # that the device's outputs may differ from the CPU's


def is_there(device: str) -> bool:
    """Whether torch can compute there."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        return False
    return True


def table(device: str, tiny: bool, rounds: int) -> None:
    """Prints milliseconds on the device, the largest difference from the CPU, and ours beside the loop and packed.

    Raises SystemExit where a way differs from the CPU by more than RIGHT.
    """
    shape = TINY[0] if tiny else SHAPE
    print(f"\nforward pass of {' x '.join(map(str, shape))} on {device}, ms")
    if not is_there(device):
        print(f"skipped: torch {torch.__version__} finds no {device} here")
        return
    names = ("ours", "packed", "masked loop")
    columns = "".join(f"{name:>13}" for name in (*names, "ours/packed", "loop/ours", "off by"))
    print(f"{'':<26}{columns}")
    for cell, choice in CELLS.items():
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            here = problem(shape, *choice)
            there = replace(here, device=device)
            ways = {"ours": ours(there), "packed": packed(there), "masked loop": masked_loop(there)}
            calls = {name: call for name, call in ways.items() if call is not None}
            want, real = ours(here)(), (torch.arange(shape[1])[None] < here.lengths[:, None]).numpy()
            worst = {name: float(np.abs(call() - want)[real].max()) for name, call in calls.items()}
            if worst["ours"] > RIGHT:
                raise SystemExit(f"{cell} on {device} differs from the CPU by {worst['ours']:.2g}")
            taken = timed(calls, rounds)
        row = "".join(f"{taken[name]:13.2f}" if name in taken else f"{'-':>13}" for name in names)
        share = f"{taken['ours'] / taken['packed']:13.2f}" if "packed" in taken else f"{'-':>13}"
        print(f"{cell:<26}{row}{share}{taken['masked loop'] / taken['ours']:13.2f}{worst['ours']:13.1e}", flush=True)
