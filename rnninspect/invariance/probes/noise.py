"""Noise: other values in the padding change no real result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.diagnosis.rule import Thread
from rnninspect.invariance.batch import Input
from rnninspect.invariance.compare import Difference, Run
from rnninspect.invariance.in_training import in_training
from rnninspect.invariance.model import Manner, OutOfTime, RunFailed
from rnninspect.invariance.near import made_near
from rnninspect.invariance.nested import flat
from rnninspect.invariance.padding_content import constant_padding
from rnninspect.invariance.probe import Disturbed, Outcome, Probe, amount, gathered, not_made, outcome
from rnninspect.invariance.trial import Trial, sizes_of
from rnninspect.invariance.width import width_matters

SIZES = (1.0, 8.0)  # of the noise, in spreads of the real values
_RELIES = (
    "more padding of the same values changes nothing, other values do: the results are right only as long "
    "as the padding holds these values"
)
_BY_VALUE_AND_CHANCE = (
    "the model tells by its values what is padding, and draws as many random numbers as the batch is wide: whether "
    "other values there, or other numbers, change its results cannot be told"
)
SMALL = 1e-3  # of the way to the noise: what computes with the padding then differs by as little


class Noise(Probe):
    name = "reads-padding"
    summary = "other values in the padding change the results of real steps"
    why = (
        "A value computed from padded steps reaches a real result: a final state after the padded steps, a backward "
        "direction that starts in them, a mean or attention without a mask, a convolution or batch statistics "
        "that include "
        "them."
    )
    fix = (
        "final = outputs[np.arange(B), lengths - 1]  # one direction only; of two, take both h_n\n"
        "mean = (outputs * mask[..., None]).sum(1) / lengths[:, None]\n"
        "scores = np.where(mask, scores, -np.inf)  # before the softmax"
    )
    place = 1
    probe = "noise"
    holds = "other values in the padding change no real result"
    order = 10
    threads = (
        Thread(
            "https://github.com/AnubhavGupta3377/Text-Classification-Models-Pytorch/issues/5",
            "The same sentence gives another result once a longer one is in the batch.",
        ),
        Thread(
            "https://github.com/huggingface/transformers/issues/278",
            "Padding tokens at the end of a sentence change what the model returns for it.",
        ),
    )

    def make(self, trial: Trial) -> Outcome:
        if not trial.batch.padded:
            return not_made(self.probe, "no row holds padding")
        return made_near(trial, self._made_on, self._made_on(trial))

    def _made_on(self, trial: Trial) -> Outcome:
        listed, late = gathered(_disturbances(trial, Manner(), trial.base))
        made = outcome(self.probe, listed, remark=late)
        dense, constant = _set_apart(trial)
        if made.held is False and dense is not None and constant is not None:
            listed_of_dense, late = gathered(_disturbances(dense, Manner(), trial.base))
            of_dense = outcome(self.probe, listed_of_dense, remark=late)
            if of_dense.held is False:
                return of_dense
            trial = constant  # by whose values a model may tell what is padding of all inputs
        matters = _amount_matters(trial) if made.held is False and constant_padding(trial.batch) else True
        if matters is None and not any(d.path in trial.steady for d in made.differences) and _told_by_value(trial):
            return not_made(self.probe, _BY_VALUE_AND_CHANCE, doubtful=True)
        if matters is False:
            if not _told_by_value(trial):
                return replace(made, remark=_RELIES)
            held = [(Difference(d.path, 0.0, d.scale, d.allowed, ()), where) for d, where in listed]
            return outcome(self.probe, held, remark=_remark(trial))
        return in_training(trial, made, _disturbances) if made.held else made

    def shown_on(self) -> tuple[Any, tuple[Any, ...]]:
        from rnninspect.invariance.torch_modules.example import example

        return example(self.name)

    def message(self, outcome: Outcome) -> str:
        where = f" ({outcome.what})" if outcome.what else ""
        return f"{{rows}}: other values in the padding change the real results{where}, {amount(outcome)}"


def _set_apart(trial: Trial) -> tuple[Trial | None, Trial | None]:
    """The trial with noise in those inputs alone whose padding holds several values, and in the others alone; None
    where there are none."""
    batch = trial.batch
    constant = [one.noised and constant_padding(replace(batch, inputs=(one,))) for one in batch.inputs]
    sides = []
    for side in (False, True):
        kept = [one.noised and of_one is side for one, of_one in zip(batch.inputs, constant, strict=True)]
        inputs = tuple(replace(one, noised=flag) for one, flag in zip(batch.inputs, kept, strict=True))
        sides.append(replace(trial, batch=replace(batch, inputs=inputs)) if any(kept) else None)
    return sides[0], sides[1]


def _disturbances(trial: Trial, manner: Manner, base: Run) -> Iterator[list[tuple[Difference, Disturbed]]]:
    """How the results differ with noise of each size."""
    for number, size in enumerate(SIZES):
        noise = trial.batch.with_noise(np.random.default_rng(number), size)
        disturbed = Disturbed(noise, trial.base.rows, manner, same_shapes=True, exact=True)
        yield [(one, disturbed) for one in _differences(trial, trial.run(noise, manner=manner), base)]


def _amount_matters(trial: Trial) -> bool | None:
    """Whether more of the padding, or less of it, changes a real result, as other values there do; None where that
    cannot be told.

    Raises OutOfTime where that could not be asked: a model that tells its padding by value would be right.
    """
    try:
        return width_matters(trial)
    except OutOfTime as error:
        raise OutOfTime(
            f"other values in the padding change results, whether its amount does is not known: {error}"
        ) from None


def _differences(trial: Trial, run: Run, base: Run | None = None) -> list[Difference]:
    return trial.compare(run, sorted(trial.repeatable), same_shapes=True, base=base, exact=True)


def _told_by_value(trial: Trial) -> bool:
    """Whether the model only looks up in the values what is padding: then it is no matter of how large they are. It is
    known that their amount changes nothing.
    """
    noise = trial.batch.with_noise(np.random.default_rng(0), 1.0)
    try:
        matters = _embedded_padding_matters(trial)
        if matters is not None:
            return not matters
        if any(_computed_with(one.array) for one in trial.batch.inputs if one.noised):
            near = trial.batch.with_noise(np.random.default_rng(0), 1.0, SMALL)
            full, small = _differences(trial, trial.run(noise)), _differences(trial, trial.run(near))
            beyond_rounding = any(d.rows for d in small)
            return beyond_rounding and max(d.largest for d in small) > 0.1 * max(d.largest for d in full)
        return True  # whole numbers that no layer looks up: they can only be told apart by value
    except RunFailed:
        return False


def _computed_with(array: Array) -> bool:
    return array.dtype.kind == "f" and bool((array != np.round(array)).any())


def _embedded_padding_matters(trial: Trial) -> bool | None:
    """Whether other vectors behind the layer that looks the padding up change a real result; None without such one."""
    tokens = [one for one in trial.batch.inputs if one.noised and one.group is not None]
    rng = np.random.default_rng(0)

    def change(looked_up: Array, vectors: Array) -> Array | None:
        for one in tokens:
            padded = _padded_at(trial, one, looked_up)
            if padded is not None:
                changed = vectors.copy()
                changed[padded] = rng.normal(size=changed[padded].shape)
                return changed
        return None

    results = trial.model.embeddings(trial.batch, change)
    if results is None:
        return None
    run = Run(flat(results, trial.row_lists), trial.base.rows, sizes_of(trial.batch))
    return any(d.rows for d in _differences(trial, run))


def _padded_at(trial: Trial, one: Input, looked_up: Array) -> Array | None:
    """Where what a layer looks up is an input's padding; None where it is not this input's numbers.

    Arrays of the same shape are common (a target sequence, a step's vectors of as many units as there are steps), so
    each number of the input must stand for a single number that is looked up: itself, or what the model made of it.
    """
    assert one.group is not None
    real = trial.batch.groups[one.group].real
    real = real.reshape(real.shape + (1,) * (one.array.ndim - 2))
    if one.inner is not None:
        real = real & one.inner.reshape(one.inner.shape + (1,) * (one.array.ndim - 3))
    padded = ~one.changed(np.broadcast_to(real, one.steps_first.shape)).array
    for numbers, where in ((one.array, padded), (one.array.swapaxes(0, 1), padded.swapaxes(0, 1))):
        if numbers.size == looked_up.size and _stand_for(numbers.reshape(-1), looked_up.reshape(-1)):
            return where.reshape(looked_up.shape)
    return None


def _stand_for(numbers: Array, others: Array) -> bool:
    """Whether equal ones of the first stand where equal ones of the second do.

    >>> _stand_for(np.array([3, 0, 3]), np.array([4, 1, 4])), _stand_for(np.array([3, 0, 3]), np.array([4, 1, 1]))
    (True, False)
    """
    _, first, number = np.unique(numbers, return_index=True, return_inverse=True)
    return np.array_equal(others[first][number], others, equal_nan=True)


def _remark(trial: Trial) -> str:
    names = ", ".join(one.path for one in trial.batch.inputs if one.noised)
    return (
        f"the model detects padding by the values of {names}: it reads other values there as real, and more "
        "padding of the same values changes nothing"
    )


PROBE = Noise()
