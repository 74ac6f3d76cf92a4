"""In which order a pass reads every row's steps, and where its outputs go.

Only indices are made here. A pass itself knows neither masks nor time: it sees sequences that all start at their first
step, and are as long as the row has real steps. So a mask may have holes or left padding: a masked step is skipped,
which carries the state over it unchanged.
"""

from __future__ import annotations

from dataclasses import field
from functools import lru_cache

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Bools, Direction, Ints, PaddingPolicy, TimeOrder, ZeroLength, prefix_mask

# Steps of a mask whose plan is kept: a search runs the same few rows with hundreds of weights, and to plan them takes
# as long as to read them.
FEW = 1 << 14


def read_order(mask: Bools, direction: Direction) -> Ints:
    """`[B, T]`: the step that each row reads first, second, …: real steps first, then the masked ones.

    Backward, both are read from the end: with lengths, step len-1 down to 0, then T-1 down to len, as Flax's
    `flip_sequences` does.

    >>> read_order(np.array([[True, True, False]]), "backward")
    array([[1, 0, 2]])
    >>> read_order(np.array([[False, True, False, True]]), "forward")
    array([[1, 3, 0, 2]])
    """
    rows, steps = mask.shape
    counts = mask.sum(1)
    ranks = np.arange(steps)
    if not np.array_equal(mask, prefix_mask(counts, steps)):
        real = mask if direction == "forward" else mask[:, ::-1]
        order: Ints = np.argsort(~real, axis=1, kind="stable")
        return order if direction == "forward" else steps - 1 - order
    if direction == "forward":
        return np.broadcast_to(ranks, (rows, steps))
    ends = counts[:, None]
    backward: Ints = np.where(ranks < ends, ends - 1 - ranks, steps - 1 - ranks + ends)
    return backward


def ranks_of(order: Ints) -> Ints:
    """`[B, T]`: when each step is read; undoes a row-wise permutation."""
    if len(order) > 1 and order.strides[0] == 0:  # the same for every row
        return np.broadcast_to(ranks_of(order[:1]), order.shape)
    ranks = np.empty(order.shape, dtype=np.int64)
    ranks[np.arange(len(order))[:, None], order] = np.arange(order.shape[1])
    return ranks


@frozen(eq=False)
class Pack:
    """The steps that one pass reads: step-major, in each step the rows that still go on, longest rows first.

    `rows`: `[R]`, the rows that have a step to read; `sizes`: how many rows go on at each step.
    `index`: `[N]`, what is read, as row * T + step of the inputs.
    `last`: `[R]`, where in the pack each row's last step is. `offsets`, `places`: see `position`.
    """

    rows: Ints
    sizes: list[int]
    index: Ints
    last: Ints
    offsets: Ints
    places: Ints

    def position(self, ranks: Ints) -> Ints:
        """`[B, K]`: where in the pack the step of each row is that is read as its `ranks`-th, within its length."""
        return self.offsets[ranks] + self.places[:, None]


def pack(order: Ints, start: Ints, stop: Ints) -> Pack:
    """The pass that reads `order[b, start[b]:stop[b]]` of every row b. `order`: `[B, T]`; `start`, `stop`: `[B]`."""
    batch, steps = order.shape
    lengths = stop - start
    longest = int(lengths.max(initial=0))
    if not longest:
        nothing = np.zeros(0, dtype=np.int64)
        return Pack(nothing, [], nothing, nothing, np.zeros(steps + 1, np.int64), np.zeros(batch, np.int64))
    by_length = np.argsort(-lengths, kind="stable")
    rows = by_length[: int((lengths > 0).sum())]
    goes_on = np.arange(longest)[:, None] < lengths[rows][None, :]
    sizes = goes_on.sum(1)
    offsets = np.zeros(steps + 1, dtype=np.int64)
    offsets[1 : longest + 1] = np.cumsum(sizes)
    ranks = np.minimum(start[rows][None, :] + np.arange(longest)[:, None], steps - 1)
    index = (rows[None, :] * steps + order[rows[None, :], ranks])[goes_on]
    places = np.zeros(batch, dtype=np.int64)
    places[rows] = np.arange(rows.size)
    last = offsets[lengths[rows] - 1] + np.arange(rows.size)
    return Pack(rows, sizes.tolist(), index, last, offsets, places)


@frozen(eq=False)
class Plan:
    """How one direction reads the rows of a mask `[B, T]`: the same for all layers, and whatever the weights.

    `order`: `read_order`. `real`: the pass over the real steps; `beyond`: the one past them, where one is asked for.
    `empty`: the rows without a real step. `placed`: what `places` gave.
    """

    mask: Bools
    direction: Direction
    padding: PaddingPolicy
    order: Ints
    real: Pack
    beyond: Pack
    empty: Ints
    placed: dict[TimeOrder, Ints] = field(default_factory=dict)

    def places(self, stored: TimeOrder) -> Ints:
        """`[B*T]`: for every step of the outputs, stored so, where it is in the packs and then a zero row; each worked
        out once."""
        if stored not in self.placed:
            places = placement(self.mask, self.order, self.direction, stored, self.padding, self.real, self.beyond)
            self.placed[stored] = np.ascontiguousarray(places).reshape(-1)
        return self.placed[stored]


def plan(mask: Bools, direction: Direction, padding: PaddingPolicy, zero_length: ZeroLength) -> Plan:
    """What a pass over a mask `[B, T]` reads, as `run` says of the policies; the plan of a small mask is kept."""
    if mask.size > FEW:
        return _plan(mask, direction, padding, zero_length)
    return _kept_plan(mask.shape, mask.tobytes(), direction, padding, zero_length)


@lru_cache(maxsize=32)
def _kept_plan(
    shape: tuple[int, ...], mask: bytes, direction: Direction, padding: PaddingPolicy, zero_length: ZeroLength
) -> Plan:
    return _plan(np.frombuffer(mask, dtype=np.bool_).reshape(shape), direction, padding, zero_length)


def _plan(mask: Bools, direction: Direction, padding: PaddingPolicy, zero_length: ZeroLength) -> Plan:
    batch, steps = mask.shape
    counts = mask.sum(1)
    to_the_end = np.full(batch, padding == "computed") | ((counts == 0) & (zero_length == "wrap"))
    ends = np.where(to_the_end, steps, counts)
    order = read_order(mask, direction)
    real, beyond = pack(order, np.zeros_like(counts), counts), pack(order, counts, ends)
    return Plan(mask, direction, padding, order, real, beyond, np.flatnonzero(counts == 0))


def placement(
    mask: Bools,
    order: Ints,
    direction: Direction,
    stored: TimeOrder,
    padding: PaddingPolicy,
    real: Pack,
    beyond: Pack,
) -> Ints:
    """`[B, T]`: for every step of the stored outputs, where it is in the packs `real` and `beyond`, then a zero row.

    `order`: `read_order` of mask and direction. `beyond` is what a pass read past the real steps. What masked steps
    hold is the policy's: zeros; the output before in the order read, zeros before the first (Keras); or `beyond`.
    """
    if stored == "within":
        ranks, stored_mask = ranks_of(read_order(mask, "forward")), mask
    else:
        flip = slice(None, None, -1 if stored == "reversed" else 1)
        ranks, stored_mask = ranks_of(order)[:, flip], mask[:, flip]
    count, past = real.index.size, beyond.index.size
    if padding == "computed":
        masked = count + beyond.position(np.where(stored_mask, 0, ranks - mask.sum(1)[:, None]))
    else:
        masked = np.full(mask.shape, count + past, dtype=np.int64)
    places: Ints = np.where(stored_mask, real.position(ranks), masked)
    if padding != "repeat":
        return places
    leftward = direction == "backward" and stored == "time"
    return _repeat(places[:, ::-1], stored_mask[:, ::-1])[:, ::-1] if leftward else _repeat(places, stored_mask)


def _repeat(places: Array, mask: Bools) -> Ints:
    """`[B, T]`: masked steps get the place of the last real one to their left, where there is one."""
    steps = np.arange(mask.shape[1])
    before = np.maximum.accumulate(np.where(mask, steps, -1), axis=1)
    return np.where(before < 0, places, np.take_along_axis(places, np.maximum(before, 0), axis=1))
