"""The batch that a model is called with, and how it is changed: other rows, another width, other values.

Every array is looked at as `[B, T, …]`, whatever its own order: its row axis and its time axis are stated with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from rnninspect.core.trace import Array, Bools, Ints
from rnninspect.invariance.pairs_of_steps import Pairs, resized_pairs

Kind = Literal["data", "lengths", "mask", "other"]
Side = Literal["right", "left"]


@dataclass(frozen=True)
class Layout:
    """A row axis and a time axis of the arrays that hold sequences."""

    row: int
    time: int


@dataclass(frozen=True, eq=False)
class Input:
    """One array of the call. `row`, `time`: its axes, where it has them; `group`: whose sequences it belongs to.

    `noised`: what stands in its padding may be replaced. `padding`: what its padded steps hold, in its own dtype, a
    scalar or one step's values. `bare`: the model is given its real steps alone. `relative`: lengths as parts of T.
    `pairs`: how it holds an entry for every pair of steps, where it does.
    """

    path: str
    array: Array
    original: Any
    kind: Kind = "other"
    row: int | None = None
    time: int | None = None
    group: int | None = None
    noised: bool = False
    padding: Any = 0
    relative: bool = False
    pairs: Pairs | None = None
    bare: bool = False
    unread: bool = False  # no result depends on it
    target: bool = False  # it goes along, and what stands in its padding says that it is left out
    inner: Bools | None = None  # `[B, T, n]`: real words, where each step has a length of its own

    @property
    def steps_first(self) -> Array:
        """`[B, T, …]`: a view."""
        assert self.row is not None
        assert self.time is not None
        return np.moveaxis(self.array, (self.row, self.time), (0, 1))

    def changed(self, steps_first: Array) -> Input:
        """With this `[B, T, …]` instead."""
        assert self.row is not None
        assert self.time is not None
        array = np.ascontiguousarray(np.moveaxis(steps_first, (0, 1), (self.row, self.time)))
        return replace(self, array=array)


@dataclass(frozen=True, eq=False)
class Group:
    """The sequences of one input and its companions. `real` `[B, T]`: which steps are; `side`: where the padding is."""

    real: Bools
    side: Side = "right"

    @property
    def steps(self) -> int:
        return int(self.real.shape[1])

    @property
    def lengths(self) -> Ints:
        return np.asarray(self.real.sum(1))

    def resized(self, steps: int) -> Group:
        """Cut to, or padded to, this many steps."""
        more = steps - self.steps
        if more <= 0:
            real = self.real[:, :steps] if self.side == "right" else self.real[:, self.steps - steps :]
        else:
            margin = ((0, 0), (0, more) if self.side == "right" else (more, 0))
            real = np.pad(self.real, margin)
        return replace(self, real=real)


@dataclass(frozen=True, eq=False)
class Batch:
    """All arrays of one call, and what is known of their rows and steps. `batch_size`: how many rows."""

    inputs: tuple[Input, ...]
    groups: tuple[Group, ...]
    batch_size: int

    @property
    def arrays(self) -> list[Array]:
        return [one.array for one in self.inputs]

    @property
    def widths(self) -> list[int]:
        return [group.steps for group in self.groups]

    @property
    def padded(self) -> bool:
        """Whether any step is padding."""
        return any(not group.real.all() for group in self.groups)

    @property
    def bare(self) -> bool:
        """Whether the model is given none of the padding that could be changed."""
        noised = [one for one in self.inputs if one.noised]
        return bool(noised) and all(one.bare for one in noised)

    def take(self, rows: Sequence[int]) -> Batch:
        """These rows, in this order; a row may be taken twice."""
        index = np.asarray(rows)
        inputs = [
            one
            if one.row is None
            else replace(
                one,
                array=np.take(one.array, index, one.row),
                inner=None if one.inner is None else one.inner[index],
            )
            for one in self.inputs
        ]
        groups = [replace(group, real=group.real[index]) for group in self.groups]
        return Batch(tuple(inputs), tuple(groups), len(rows))

    def resized(self, widths: Sequence[int]) -> Batch:
        """Every group cut or padded to its width; lengths and masks are changed along."""
        groups = tuple(group.resized(width) for group, width in zip(self.groups, widths, strict=True))
        inputs = [self._resized(one, groups) for one in self.inputs]
        return Batch(tuple(inputs), groups, self.batch_size)

    def shortened(self, steps: int) -> Batch:
        """Every row this much shorter: its last real steps become padding, and the batch as much narrower."""
        lengths = [np.maximum(group.lengths - steps, 1) for group in self.groups]
        rows = [self.take([b]).resized([int(n[b]) for n in lengths]) for b in range(self.batch_size)]
        widths = [max(1, width - steps) for width in self.widths]
        if any(group.side == "left" for group in self.groups):
            return self.resized(widths)
        return joined([row.resized(widths) for row in rows])

    def _resized(self, one: Input, groups: tuple[Group, ...]) -> Input:
        if one.group is None:
            return one
        before, after = self.groups[one.group], groups[one.group]
        if one.kind == "lengths":
            return replace(one, array=_lengths(one, before, after))
        if one.pairs is not None:
            left = before.side == "left"
            return replace(one, array=resized_pairs(one.array, one.row, one.pairs, before.real, after.steps, left))
        if one.time is None or one.row is None:
            return one
        steps = one.steps_first
        more = after.steps - steps.shape[1]
        if more <= 0:
            kept = steps[:, : after.steps] if after.side == "right" else steps[:, -more:]
            resized = one.changed(kept)
        else:
            block = np.broadcast_to(np.asarray(one.padding, steps.dtype), (steps.shape[0], more, *steps.shape[2:]))
            parts = [steps, block] if after.side == "right" else [block, steps]
            resized = one.changed(np.concatenate(parts, 1))
        if one.inner is not None:
            inner = one.inner[:, : after.steps]
            if more > 0:
                inner = np.pad(inner, ((0, 0), (0, more), (0, 0)))
            resized = replace(resized, inner=inner)
        return resized

    def with_noise(self, rng: np.random.Generator, size: float, share: float = 1.0) -> Batch:
        """Other values in the padding: of the spread that the real ones have, times `size`; a `share` of the way there
        from what it holds.
        """
        return replace(self, inputs=tuple(self._noised(one, rng, size, share) for one in self.inputs))

    def with_other_rows(self, rng: np.random.Generator, row: int | slice) -> Batch:
        """Other values at the real steps of every row but this one, or these."""
        inputs = []
        for one in self.inputs:
            if one.kind == "data" and one.noised and one.group is not None:
                steps, real = np.array(one.steps_first), np.array(self.groups[one.group].real)
                real[row] = False
                steps[real] = drawn(steps[self.groups[one.group].real], real.sum(), steps[real], rng, 1.0)
                one = one.changed(steps)
            inputs.append(one)
        return replace(self, inputs=tuple(inputs))

    def _noised(self, one: Input, rng: np.random.Generator, size: float, share: float) -> Input:
        if not one.noised or one.group is None:
            return one
        steps, real = np.array(one.steps_first), self.groups[one.group].real
        if one.inner is not None:
            real = real[:, :, None] & one.inner
        if not real.any():
            return one
        noise = drawn(steps[real], (~real).sum(), one.padding if one.inner is None else 0, rng, size)
        steps[~real] = noise if share == 1.0 else steps[~real] * (1 - share) + noise * share
        return one.changed(steps)

    def with_step(self, rng: np.random.Generator, size: float, last: bool, inward: int | Ints = 0) -> Batch:
        """Other values at every row's first or last real step, or so many steps inward of it, of each row (`[B]`)."""
        inputs = []
        for one in self.inputs:
            if one.kind != "data" or one.group is None or not (one.noised or one.target):
                inputs.append(one)
                continue
            steps, real = np.array(one.steps_first), self.groups[one.group].real
            rows = np.flatnonzero(real.any(1))
            at = real.shape[1] - 1 - real[rows, ::-1].argmax(1) if last else real[rows].argmax(1)
            shift = np.minimum(np.broadcast_to(inward, len(real))[rows], real[rows].sum(1) - 1)
            at = at - shift if last else at + shift
            steps[rows, at] = drawn(steps[real], len(rows), steps[rows, at], rng, size)
            inputs.append(one.changed(steps))
        return replace(self, inputs=tuple(inputs))


def joined(rows: Sequence[Batch]) -> Batch:
    """Batches of the same widths as one."""
    first = rows[0]
    inputs = [_stacked([row.inputs[i] for row in rows]) for i in range(len(first.inputs))]
    groups = [
        replace(group, real=np.concatenate([row.groups[i].real for row in rows]))
        for i, group in enumerate(first.groups)
    ]
    return Batch(tuple(inputs), tuple(groups), sum(row.batch_size for row in rows))


def _stacked(parts: Sequence[Input]) -> Input:
    """One input of several batches, row behind row; as it is where it has none."""
    one = parts[0]
    if one.row is None:
        return one
    inner = None if one.inner is None else np.concatenate([part.inner for part in parts if part.inner is not None])
    return replace(one, array=np.concatenate([part.array for part in parts], one.row), inner=inner)


def _lengths(one: Input, before: Group, after: Group) -> Array:
    """The lengths that a model is given, for rows of another width."""
    was, now = before.lengths, after.lengths
    if one.relative:
        return np.asarray(now / after.steps, one.array.dtype)
    if (was == now).all():
        return one.array
    values = one.array.reshape(-1)
    ratio = now / np.maximum(was, 1)
    return np.asarray(np.maximum(np.floor(values * ratio + 1e-9), np.minimum(values, 1)), one.array.dtype).reshape(
        one.array.shape
    )


def drawn(real: Array, count: int, avoided: Any, rng: np.random.Generator, size: float) -> Array:
    """`count` steps `[count, …]` like the real ones `[n, …]`, but others: whole numbers are drawn from those that there
    are, and differ from `avoided` where there is a choice."""
    shape = (int(count), *real.shape[1:])
    if real.dtype.kind in "iub" or (real.size and (real == np.round(real)).all()):
        values = np.unique(real)
        if real.dtype.kind == "b":
            return np.asarray(~np.broadcast_to(np.asarray(avoided, bool), shape))
        picks = values[rng.integers(0, len(values), shape)]
        same = picks == np.broadcast_to(np.asarray(avoided, real.dtype), shape)
        shifted = values[(np.searchsorted(values, picks) + 1 + int(size)) % len(values)]
        return np.asarray(np.where(same, shifted, picks), real.dtype)
    finite = real[np.isfinite(real)]
    mean, spread = (float(finite.mean()), float(finite.std())) if finite.size else (0.0, 1.0)
    noise = mean + size * max(spread, 1e-3) * rng.standard_normal(shape)
    return np.asarray(noise, real.dtype)
