"""On a GPU every cell gives what it gives on the CPU; skipped, and said so, where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rnninspect.core.batch import Batch
from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import DIRECTIONS, Direction, prefix_mask
from rnninspect.engine import run
from tests.support.oracles import random_stack

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")

SPECS = {
    "lstm": CellSpec("lstm"),
    "lstm, hard sigmoid": CellSpec("lstm", recurrent_activation="hard_sigmoid"),
    "gru": CellSpec("gru"),
    "gru, reset before": CellSpec("gru", reset_after=False),
    "rnn": CellSpec("rnn"),
}


@pytest.mark.parametrize("directions", [("forward",), DIRECTIONS])
@pytest.mark.parametrize("name", list(SPECS))
@pytest.mark.parametrize("lengths", [(20, 1, 7, 20, 13), (20, 1, 7, 4, 13)])  # of few real steps these alone travel
def test_a_gpu_gives_what_the_cpu_gives(name: str, directions: tuple[Direction, ...], lengths: tuple[int, ...]) -> None:
    """Outputs, h and c of two layers over a padded batch, within 1e-5.

    The recurrent kernels are small: large ones make each step's rounding grow, in a plain RNN beyond that.
    """
    rng, counts = np.random.default_rng(4), np.array(lengths)
    weights = random_stack(rng, SPECS[name], 16, 32, layers=2, directions=directions)
    layers = tuple(replace(w, recurrent_kernel=w.recurrent_kernel / 4) for w in weights.layers)
    weights = replace(weights, layers=layers)
    batch = Batch(rng.normal(size=(5, 20, 16)).astype(np.float32), prefix_mask(counts, 20), counts)
    for here, there in zip(run.run(batch, weights), run.run(batch, weights, device="cuda"), strict=True):
        for one, other in ((here.outputs, there.outputs), (here.final, there.final), (here.cell, there.cell)):
            assert (one is None) is (other is None)
            if one is not None and other is not None:
                np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
