"""Makes the second worked example in `sample_data/` again: `python -m tests.tools.make_samples`, same bytes each time.

Bidirectional, two layers, as many features as units, uneven unsorted lengths, one full row and one of a single step, so
that every mistake which needs directions or layers can be planted in it. The weights are drawn, not trained.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnninspect import conventions
from rnninspect.core.cell import CellSpec
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import DIRECTIONS
from rnninspect.core.weights import LayerWeights, Weights
from rnninspect.diagnosis import build_case

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
SEED, UNITS, STEPS = 20, 4, 6
LENGTHS = np.array([4, 6, 1, 3, 5])


def weights() -> Weights:
    """Kernels and biases from one seeded generator, layer by layer, forward before backward."""
    rng = np.random.default_rng(SEED)

    def drawn(*shape: int) -> np.ndarray:
        return rng.uniform(-0.6, 0.6, shape).astype(np.float32)

    layers = [
        LayerWeights(k, d, drawn(4, (UNITS, 2 * UNITS)[k], UNITS), drawn(4, UNITS, UNITS), drawn(4, UNITS))
        for k in range(2)
        for d in DIRECTIONS
    ]
    return Weights(CellSpec("lstm", forget_bias=1.0), tuple(layers))


def main() -> None:
    made = weights()
    inputs = np.random.default_rng(SEED + 1).normal(size=(LENGTHS.size, STEPS, UNITS)).astype(np.float32)
    config = LayerConfig(cell="lstm", layers=2, direction="bidirectional")
    case = build_case.run_case({"inputs": inputs, "lengths": LENGTHS}, config, "tf1", weights=made)
    np.savez(SAMPLES / "bidirectional.npz", **build_case.dump(case))  # type: ignore[arg-type]
    np.savez(SAMPLES / "bidirectional_weights.npz", **conventions.get("tf1").write_weights(made))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
