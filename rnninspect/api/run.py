"""run: a masked recurrent layer over a batch, as a Trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from rnninspect.api.config import layer_config, with_full
from rnninspect.api.inspect import weights_of
from rnninspect.api.live import as_arrays
from rnninspect.core.arrays import is_array, to_array
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Trace
from rnninspect.diagnosis.build_case import RunOptions, run_case


def run(
    batch: Any,
    *,
    lengths: npt.ArrayLike | str | None = None,
    mask: npt.ArrayLike | None = None,
    weights: Any = None,
    weights_convention: str | None = None,
    weights_prefix: str | None = None,
    convention: str | None = None,
    initial_state: Any = None,
    hidden_size: int | None = None,
    seed: int = 0,
    dtype: str | None = None,
    device: str = "cpu",
    truncate: bool = False,
    **options: Any,
) -> Trace:
    """Run a masked recurrent layer and record every track.

    `batch`: `[B, T, F]` (`[T, B, F]` with `time_major=True`; `[B, T]`: one feature per step), of any framework; ragged
    rows; torch's PackedSequence; or named arrays with `inputs` among them.
    `lengths`: `[B]`, 0 to T; `mask`: `[B, T]`, True where a step is real; without both, and with
    `lengths="full"`, every row runs all T steps.
    `weights`: arrays under `weights_convention`'s own names (`convention`'s by default), nested or not, Weights,
    `layer.get_weights()`, a module or layer itself, or a file's path; without them TensorFlow's initialisers
    with `hidden_size` units, 4 by default, from `seed`. `weights_prefix`: which layer of a model, the start of its
    weights' names.
    `convention`: the framework whose layer runs; by default that of the weights (by their file or names), else tf1.
    `initial_state`: h `[B, H]`, or (h, c) for an LSTM; zeros by default. `dtype`: float64, float32, float16 or
    bfloat16. `truncate` cuts the time axis to the longest row.
    Further keywords state the layer: `cell`, `layers`, `bidirectional`, `time_major`, `forget_bias`, …

    Raises UserError for what the caller can correct: shapes, lengths longer than T or than a ragged row,
    weights that do not fit.

    >>> trace = run([[[1.0], [2.0]], [[3.0]]], hidden_size=2)
    >>> trace.lengths, trace.tracks[0].outputs.shape, trace.tracks[0].final.shape
    (array([2, 1]), (2, 2, 2), (2, 2))
    """
    from rnninspect.api.handed import named_array, role_slots
    from rnninspect.api.weights_given import convention_of, weights_given
    from rnninspect.conventions import live

    config, lengths = with_full(layer_config(**options), lengths)
    by_user = config
    named_convention = weights_convention or convention
    weights, config = weights_given(weights, config, named_convention, convention, batch, weights_prefix)
    whose = named_convention or convention_of(weights) or "tf1"
    arrays = as_arrays(batch, "inputs") if not live.is_packed(batch) else _unpacked(batch, config)
    lengths = named_array("lengths", lengths, arrays)
    row_steps = None if isinstance(batch, Mapping) else arrays.get("lengths")  # those of ragged rows
    case = run_case(
        arrays,
        config,
        convention or whose,
        weights=weights_of(weights, config, whose),
        named_roles=role_slots(lengths=lengths, mask=mask),
        initial_state=_pair(initial_state),
        options=RunOptions(
            hidden_size,
            seed,
            dtype,
            device,
            truncate,
            axes_by_weights=config.time_major and not by_user.time_major,
            row_steps=row_steps,
        ),
    )
    return case.trace


def _unpacked(batch: Any, config: LayerConfig) -> dict[str, Any]:
    """A PackedSequence's inputs and lengths, by name."""
    from rnninspect.conventions.live import read_outputs

    read = read_outputs(batch, config)
    return {"inputs": read.slots[0].array, "lengths": read.lengths}


def _pair(state: Any) -> Any:
    """h, or (h, c), as numpy arrays; None where there is none."""
    if state is None:
        return None
    if hasattr(state, "h") and hasattr(state, "c"):
        state = (state.h, state.c)
    if isinstance(state, (tuple, list)) and len(state) == 2 and all(is_array(part) for part in state):
        return tuple(to_array(part, "initial_state") for part in state)
    return state if isinstance(state, (tuple, list)) else to_array(state, "initial_state")
