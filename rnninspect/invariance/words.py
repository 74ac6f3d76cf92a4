"""Padding within the steps of a row: the words of each sentence of a document, the characters of each word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnninspect.core.names_of_lengths import LENGTHS_NAME, MASK_NAME, PAD_IS_TRUE
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array, Bools
from rnninspect.invariance.batch import Batch, Input
from rnninspect.invariance.nested import last_name

_PER = regex(r"[a-z]_per_[a-z]")


def with_inner(inputs: Sequence[Input]) -> tuple[Input, ...]:
    """With the real words of every step, where another input holds how many there are of each, or which are real."""
    changed = {one.path: one for one in inputs}
    for one in inputs:
        if one.kind != "data" or not one.noised or one.row is None or one.time is None or one.array.ndim < 3:
            continue
        for other in inputs:
            alike = other.row == one.row and other.time == one.time and other.group == one.group
            inner = _inner_mask(other, one.steps_first) if alike and other.path != one.path else None
            if inner is None:
                continue
            changed[one.path] = replace(one, inner=inner)
            marks = inner if other.array.ndim == 3 else None  # a mask gets as many words as what it marks
            changed[other.path] = replace(other, inner=marks, noised=False)
            break
    return tuple(changed.values())


def _inner_mask(other: Input, steps: Array) -> Bools | None:
    """`[B, T, n]`, True where a word of a step is real, as an input `[B, T]` counts them or one `[B, T, n]` marks them;
    by its name, or since all other words of `steps` `[B, T, n, …]` are alike. None where it does neither."""
    values, name, size = other.steps_first, last_name(other.path), steps.shape[2]
    if values.shape == steps.shape[:3] and np.isin(values, (0, 1)).all():
        inner, named = (values == 0) if PAD_IS_TRUE.search(name) else (values != 0), bool(MASK_NAME.search(name))
    elif (
        values.ndim == 2 and values.dtype.kind in "iu" and values.min(initial=0) >= 0 and values.max(initial=0) <= size
    ):
        inner, named = np.arange(size) < values[:, :, None], is_inner_count(name)
    else:
        return None
    return inner if named or _all_others_are_alike(steps, inner) else None


def is_inner_count(name: str) -> bool:
    """Whether an input is named as how many there are of something: `char_lengths`, `words_per_sentence`."""
    return bool(LENGTHS_NAME.search(name) or _PER.search(name))


def _all_others_are_alike(steps: Array, inner: Bools) -> bool:
    """Whether steps `[B, T, n, …]` hold one value where `inner` is False, and something else at each last word."""
    others = steps[~inner]
    if not others.size or len(np.unique(inner.sum(2))) < 3:  # of two counts one may be no step at all
        return False
    counts = inner.sum(2)
    rows, times = np.nonzero(counts)
    lasts = steps[rows, times, counts[rows, times] - 1]
    return len(np.unique(others)) == 1 and bool((lasts != others.flat[0]).reshape(len(rows), -1).any(1).all())


def with_presumed_words(batch: Batch) -> Batch:
    """With tokens `[B, T, n]` taken for words of steps that are padded behind them, where one value always ends a step
    that is short."""
    inputs = [
        one if one.group is None else replace(one, inner=_presumed_words(one, batch.groups[one.group].real))
        for one in batch.inputs
    ]
    return replace(batch, inputs=tuple(inputs))


def with_more_words(batch: Batch, more: int) -> Batch | None:
    """So many further words of padding in every step; None where nothing says which words of a step are real."""
    if all(one.inner is None for one in batch.inputs):
        return None
    return replace(batch, inputs=tuple(_with_more_words(one, more) for one in batch.inputs))


def _presumed_words(one: Input, real: Bools) -> Bools | None:
    """`[B, T, n]`: the numbers before the run of one value that ends each step, of as many as there are in the longest;
    None where the steps are all as long, or that value stands before others too."""
    if one.kind != "data" or not one.noised or one.array.ndim != 3 or one.array.dtype.kind not in "iu":
        return None
    steps, fill = one.steps_first, np.asarray(one.padding).flat[0]
    tokens = np.flip(np.logical_or.accumulate(np.flip(steps != fill, 2), 2), 2)
    counts = tokens.sum(2)[real]
    if not counts.size or counts.max() < steps.shape[2] or counts.min() == counts.max():
        return None
    return None if (steps[tokens] == fill).any() else tokens


def _with_more_words(one: Input, more: int) -> Input:
    if one.inner is None:
        return one
    steps = one.steps_first
    others = steps[~one.inner]
    block = np.full((*steps.shape[:2], more, *steps.shape[3:]), others.flat[0] if others.size else 0, steps.dtype)
    wider = one.changed(np.concatenate([steps, block], 2))
    return replace(wider, inner=np.pad(one.inner, ((0, 0), (0, 0), (0, more))))
