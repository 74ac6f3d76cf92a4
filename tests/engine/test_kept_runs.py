"""Small runs that are kept: the same numbers again, in arrays of the caller's own, and never those of another run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.batch import Batch
from rnninspect.engine.kept_runs import run_once
from rnninspect.engine.run import run
from tests.support.made import random_weights


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_is_kept_is_what_a_run_gives(cell: str) -> None:
    """Proves that writing to a run's arrays changes no later one, and that every input, step, weight and option of a
    run tells it from others."""
    rng = np.random.default_rng(0)
    weights = random_weights(cell, 3, 4, directions=2)
    batch = Batch(rng.normal(size=(2, 5, 3)), np.arange(5) < [[5], [3]])
    run_once(batch, weights)[0].outputs[:] = 7  # type: ignore[index]
    moved = replace(batch, inputs=batch.inputs + np.eye(5)[None, :, :3])
    shorter = replace(batch, mask=np.arange(5) < [[5], [2]])
    other = replace(weights, layers=(replace(weights.layers[0], bias=weights.layers[0].bias + 1), *weights.layers[1:]))
    begun = {(0, "forward"): (np.ones((2, 4)), np.ones((2, 4)) if cell == "lstm" else None)}
    for asked in (
        (batch, weights, {}),
        (moved, weights, {}),
        (shorter, weights, {}),
        (batch, other, {}),
        (batch, weights, {"padding": "repeat"}),
        (batch, weights, {"order": "processing"}),
        (batch, weights, {"initial": begun}),
    ):
        some, more, options = asked
        for kept, made in zip(run_once(some, more, **options), run(some, more, **options), strict=True):
            for name in ("outputs", "final", "cell"):
                ours, theirs = getattr(kept, name), getattr(made, name)
                assert (ours is None) == (theirs is None)
                assert ours is None or np.array_equal(ours, theirs)
