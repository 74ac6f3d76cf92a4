"""Which inputs results depend on: the sequence that lengths speak of is one of them, and there may be two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.core.wording import argument
from rnninspect.invariance.batch import Batch, Input, drawn
from rnninspect.invariance.companions import is_target
from rnninspect.invariance.model import OutOfTime, RunFailed
from rnninspect.invariance.nested import flat
from rnninspect.invariance.observe import observed
from rnninspect.invariance.padding_content import with_padding
from rnninspect.invariance.sequence_axes import fitting, primary
from rnninspect.invariance.statements import Sequences, is_mask
from rnninspect.invariance.trial import Model, Trial


def with_unread(model: Model, inputs: Sequence[Input], sequences: Sequence[Sequences]) -> list[Input]:
    """The inputs, with those marked whose values change no result, where a statement might speak of them instead of
    another that is no mask.
    """
    marked = list(inputs)
    names = {one.name for one in sequences}
    results: dict[str, Array] | None = None
    for statement in sequences:
        while statement.target is None:
            left = fitting([one for one in marked if not one.unread], statement, {name for name in names if name})
            if sum(not is_mask(one.array) for one in left) < 2:
                break
            likeliest = primary(left, statement, set())
            assert likeliest is not None
            try:
                results = _results(model, inputs) if results is None else results
                if _changes(model, inputs, likeliest.path, results):
                    break
            except (RunFailed, OutOfTime):
                break
            marked = [replace(one, unread=one.unread or one.path == likeliest.path) for one in marked]
    return marked


def _changes(model: Model, inputs: Sequence[Input], path: str, results: dict[str, Array]) -> bool:
    """Whether other values of an input change a result; a model that fails on them reads them."""
    others = [replace(one, array=_others(one.array)) if one.path == path else one for one in inputs]
    try:
        changed = _results(model, others)
    except RunFailed:
        return True
    same = changed.keys() == results.keys() and all(
        np.array_equal(changed[key], array, equal_nan=array.dtype.kind == "f") for key, array in results.items()
    )
    return not same


def _results(model: Model, inputs: Sequence[Input]) -> dict[str, Array]:
    return flat(model.run(Batch(tuple(inputs), (), 0)))


def _others(array: Array) -> Array:
    """Values that the array `[B, T, …]` may hold as well, each another than there is, where there is a choice."""
    steps = array.reshape(-1, *array.shape[2:])
    return drawn(steps, len(steps), steps, np.random.default_rng(0), 1.0).reshape(array.shape)


def with_companions(trial: Trial) -> Trial:
    """What is observed with the inputs changed along that have as many steps, where the model takes no other width
    without: then they are of the same steps, whatever they hold behind the lengths.
    """
    beside = [_has_its_shape(one, trial.batch) for one in trial.batch.inputs]
    if not trial.blind or not any(beside):
        return trial
    placed = tuple(
        _placed(one, trial.batch) if along else one for one, along in zip(trial.batch.inputs, beside, strict=True)
    )
    try:
        along = observed(trial.model, replace(trial.batch, inputs=placed), trial.tolerance)
    except (RunFailed, OutOfTime):
        return trial
    return trial if along.blind else along


def doubtful(trial: Trial) -> str:
    """Which inputs that have as many steps were left as they were though results depend on what they hold where the
    batch is padded: theirs may be padding too. Empty where there are none.
    """
    sequence = _sequence(trial.batch)
    for number, one in enumerate(trial.batch.inputs):
        if not _may_go_along(one, trial.batch):
            continue
        inputs = [replace(other, noised=False) for other in trial.batch.inputs]
        inputs[number] = _placed(one, trial.batch)
        batch = replace(trial.batch, inputs=tuple(inputs))
        try:
            run = trial.run(batch.with_noise(np.random.default_rng(0), 1.0))
        except RunFailed:
            continue
        if any(pair.rows for pair in trial.compare(run, sorted(trial.repeatable), same_shapes=True, exact=True)):
            both, alone = {sequence.path: "…", one.path: "…"}, {sequence.path: "…"}
            return (
                f"{one.path} has as many steps as {sequence.path}, and what it holds after the rows' lengths "
                "changes the results; if that is padding, state the lengths of both, "
                f"{argument('lengths', both)}, else of one, "
                f"{argument('lengths', alone)}"
            )
    return ""


def _sequence(batch: Batch) -> Input:
    return next(one for one in batch.inputs if one.kind == "data")


def _placed(one: Input, batch: Batch) -> Input:
    """The input as a sequence of the same steps."""
    sequence = _sequence(batch)
    assert sequence.group is not None
    target = is_target(one.path)
    placed = replace(one, kind="data", time=sequence.time, row=sequence.row, group=sequence.group)
    placed = replace(placed, noised=not target, target=target)
    return with_padding(placed, batch.groups[sequence.group])


def _may_go_along(one: Input, batch: Batch) -> bool:
    """Whether an input that was left as it is may be of the same steps; a target may have steps of its own."""
    return _has_its_shape(one, batch) and not is_target(one.path)


def _has_its_shape(one: Input, batch: Batch) -> bool:
    """Whether an input that was left as it is has rows and steps on the same axes."""
    sequence = _sequence(batch)
    assert sequence.row is not None
    assert sequence.time is not None
    array, axes = one.array, (sequence.row, sequence.time)
    if one.kind != "other" or one.pairs is not None or array.ndim <= max(axes):
        return False
    return tuple(array.shape[axis] for axis in axes) == tuple(sequence.array.shape[axis] for axis in axes)
