"""Whether a difference is more than rounding: a recurrence may amplify what its runs round differently at every step.

Runs of other shapes, or of rows in another order, round otherwise, in the last places. Inputs that are moved by as much
show what the model makes of it; the same comparison in float64, whose rounding is far smaller, decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.errors import UserError
from rnninspect.invariance.batch import Input
from rnninspect.invariance.compare import Run
from rnninspect.invariance.model import OutOfTime, RunFailed
from rnninspect.invariance.nested import flat
from rnninspect.invariance.observe import observed
from rnninspect.invariance.probe import Outcome, not_made
from rnninspect.invariance.trial import Trial, sizes_of

STEP = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
OF_SHAPES = ("more", "permute", "alone")  # probes that compare runs which round otherwise
TIMES = 32  # as much as one such step makes of it: so much may the rounding of all operations come to
TRIES = 2
_CHAOTIC = (
    "rounding alone, in the last place of the inputs, changes the results as much ({by:.2g}): whether rows change each "
    "other's cannot be told in {precision}; run the check on the model in float64"
)
_IN_DOUBLE = "in {precision} results differ by {by:.2g}: rounding that the model amplifies, for in float64 they do not"


def beyond_rounding(trial: Trial, make: Callable[[Trial], Outcome], made: Outcome) -> Outcome:
    """What a probe found, unless rounding does as much: then what it gives in float64, if that can be told."""
    at = made.trial or trial
    by = made.differences[0].largest
    try:
        if not _may_be_rounding(at, made):
            return made
        again, precision = _made_in_double(trial, make), at.precision
    except OutOfTime:
        return made
    if again is not None and again.held:
        return replace(again, remark=_IN_DOUBLE.format(by=by, precision=precision))
    if again is not None and again.held is False:
        return made
    return not_made(made.probe, _CHAOTIC.format(by=by, precision=precision), doubtful=True)


def _made_in_double(trial: Trial, make: Callable[[Trial], Outcome]) -> Outcome | None:
    """What the probe gives on a copy of the model in float64, held to the same tolerance; None: it tells nothing."""
    if trial.model.live.framework != "torch" or trial.precision == "float64":
        return None
    from rnninspect.invariance.torch_modules.double import in_double

    copied = in_double(trial.model.live)  # type: ignore[arg-type]
    if copied is None:
        return None
    batch = replace(trial.batch, inputs=tuple(map(_widened, trial.batch.inputs)))
    with copied.kept():
        try:
            double = observed(trial.model.of(copied), batch, trial.within(np.dtype(np.float32), False))
            if double.precision != "float64":
                return None
            again = make(double)
            return None if again.held is False and _may_be_rounding(again.trial or double, again) else again
        except (RunFailed, UserError):
            return None


def _widened(one: Input) -> Input:
    """The input in float64, where it holds floats."""
    if one.array.dtype.kind != "f":
        return one
    array = one.array.astype(np.float64)
    original = one.original.double() if hasattr(one.original, "double") else array
    return replace(one, array=array, original=original)


def _may_be_rounding(trial: Trial, made: Outcome) -> bool:
    """Whether inputs moved in their last place change what differs by a share of that which rounding may come to."""
    largest = {one.path: one.largest for one in made.differences}
    for seed in range(TRIES):
        run = _moved_run(trial, seed)
        moved = {} if run is None else {one.path: one.largest for one in trial.compare(run, list(largest), exact=True)}
        if moved and all(largest[path] <= TIMES * by for path, by in moved.items()):
            return True
    return False


def _moved_run(trial: Trial, seed: int) -> Run | None:
    """A run of the base batch with its inputs, or what embeddings make of them, moved in the last place."""
    rng, step = np.random.default_rng(seed), STEP[trial.precision]

    def moved(array: Array) -> Array:
        signs = rng.choice(np.array([-step, step]), array.shape)
        return np.asarray(array * (1 + signs), array.dtype)

    try:
        floats = any(_is_computed_with(one) for one in trial.batch.inputs)
        if floats:
            inputs = [replace(o, array=moved(o.array)) if _is_computed_with(o) else o for o in trial.batch.inputs]
            return trial.run(replace(trial.batch, inputs=tuple(inputs)))
        results = trial.model.embeddings(trial.batch, lambda looked_up, vectors: moved(vectors))
    except RunFailed:
        return None
    if results is None:
        return None
    return Run(flat(results, trial.row_lists), trial.base.rows, sizes_of(trial.batch), trial.base.drawn)


def _is_computed_with(one: Input) -> bool:
    return one.kind == "data" and one.array.dtype.kind == "f" and bool((one.array != np.round(one.array)).any())
