"""Track and Trace: the one canonical record of a run. Everything that is measured or judged reads these.

A *track* is one layer read in one direction. Layers and directions are objects here, never axes: the stacking of
`h_n`, the concatenated last axis, the time-major layout and the order of c and h each exist in one convention only.

Shapes, the same everywhere: `B` rows, `T` steps, `F` features, `H` units of the outputs (and of h), `C` units of c.
Steps count from 0 along the time axis as stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.errors import ShapeError

if TYPE_CHECKING:
    import numpy.typing as npt

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]
Bools = np.ndarray[tuple[Any, ...], np.dtype[np.bool_]]
Ints = np.ndarray[tuple[Any, ...], np.dtype[np.int64]]

Direction = Literal["forward", "backward"]
DIRECTIONS: tuple[Direction, Direction] = ("forward", "backward")

# How the outputs of a backward track lie along the stored time axis:
#   time      step t belongs to input step t (flipped back after the pass): the final state is at the first real step
#   reversed  the whole axis is in the order read, T-1 first (Keras go_backwards): masked steps come first
#   within    reversed within each row's length (Flax reverse without keep_order): padding stays behind
TimeOrder = Literal["time", "reversed", "within"]

# What a framework leaves in the outputs of masked steps; "any" where nothing was stated.
PaddingPolicy = Literal["zero", "repeat", "computed", "any"]

# What a row without real steps ends in: its initial state; where a run over its masked steps ends, as the index -1
# finds it (Flax); or zeros, whatever it began with (ONNX Runtime).
ZeroLength = Literal["initial", "wrap", "zero"]


@frozen(eq=False)
class Track:
    """One layer read in one direction.

    `outputs`: `[B, T, H]`, or None where that layer's outputs were not recorded.
    `final`: `[B, H]`, the final state h, or None where it was not recorded.
    `cell`: `[B, C]`, the cell state c of an LSTM; never matched to outputs.
    `initial`, `initial_cell`: `[B, H]`, `[B, C]`, or None for zeros.
    """

    layer: int
    direction: Direction
    outputs: Array | None
    final: Array | None
    cell: Array | None = None
    initial: Array | None = None
    initial_cell: Array | None = None
    order: TimeOrder = "time"

    @property
    def name(self) -> str:
        """How messages call this track: `layer 0 forward`."""
        return f"layer {self.layer} {self.direction}"

    def __repr__(self) -> str:
        arrays = [(name, getattr(self, name)) for name in ("outputs", "final", "cell")]
        return f"<Track: {', '.join([self.name, *(f'{n} {list(a.shape)}' for n, a in arrays if a is not None)])}>"


@frozen(eq=False)
class Trace:
    """A run: which steps are real, and what every track returned.

    `mask`: `[B, T]`, True = real, in the inputs' time; all True where neither lengths nor a mask is known.
    `lengths`: `[B]` as stated, or None. They may exceed T; the mask decides which steps are real.
    `mask_given`: the mask itself was stated (it may have holes or left padding that lengths cannot express).
    `by_mask`: a mask was stated, even if it says no more than lengths do.
    `padding`: what this run's framework leaves in masked outputs.
    `zero_length`: what a row without real steps ends in.
    """

    mask: Bools
    tracks: tuple[Track, ...]
    lengths: Ints | None = None
    mask_given: bool = False
    padding: PaddingPolicy = "any"
    zero_length: ZeroLength = "initial"
    convention: str = "tf1"
    source: Mapping[str, Any] = field(default_factory=dict)
    by_mask: bool = False

    def __post_init__(self) -> None:
        """Raise ShapeError where there is nothing to look at: no row, no step or no unit."""
        rows, steps = self.mask.shape
        units = min((track.outputs.shape[-1] for track in self.tracks if track.outputs is not None), default=1)
        if not (rows and steps and units):
            raise ShapeError(
                f"the outputs have {rows} rows, {steps} steps and {units} units: there is nothing to compare; give a "
                "run with one of each at least"
            )

    def __repr__(self) -> str:
        sizes = [(self.batch_size, "row"), (self.steps, "step"), (self.layers, "layer"), (self.directions, "direction")]
        counts = [f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in sizes]
        return f"<Trace: {', '.join(counts)}, convention {self.convention}>"

    @property
    def batch_size(self) -> int:
        return int(self.mask.shape[0])

    @property
    def steps(self) -> int:
        return int(self.mask.shape[1])

    @property
    def knows_padding(self) -> bool:
        """Whether lengths or a mask were stated, so that padding can be told from data."""
        return self.lengths is not None or self.mask_given

    @cached_property
    def real_counts(self) -> Ints:
        """`[B]`: how many steps of each row are real."""
        return count_true(self.mask)

    @property
    def layers(self) -> int:
        return 1 + max(track.layer for track in self.tracks)

    @property
    def directions(self) -> int:
        return len({track.direction for track in self.tracks})

    def track(self, layer: int, direction: Direction) -> Track | None:
        """The track of that layer and direction, or None."""
        return next((t for t in self.tracks if t.layer == layer and t.direction == direction), None)

    def stored_mask(self, track: Track) -> Bools:
        """`[B, T]`: the mask along the track's own stored time axis."""
        return self.mask[:, ::-1] if track.order == "reversed" else self.mask

    def expected_steps(self, track: Track) -> Ints:
        """`[B]`: the stored step that a right final state equals; -1 for rows without a real step."""
        mask = self.stored_mask(track)
        if track.direction == "backward" and track.order == "time":
            return np.where(mask.any(1), mask.argmax(1), -1).astype(np.int64)
        return np.where(mask.any(1), last_true(mask), -1).astype(np.int64)


MANY = 1 << 15  # marks that are worth looking at eight at a time
EIGHTS = 128  # of eight marks each that are summed at once: each count stays within its byte


def last_true(mask: Bools) -> Ints:
    """`[B]`: the index of each row's last True step (T-1 where a row has none).

    >>> last_true(np.array([[True, True, False], [True, False, False]]))
    array([1, 0])
    """
    steps = mask.shape[1]
    if mask.size < MANY or steps % 8 or not mask.flags.c_contiguous:
        return np.asarray(steps - 1 - mask[:, ::-1].argmax(1), dtype=np.int64)
    eights = mask.view(np.uint64)  # eight steps at once: first the last eight with a mark, and then the mark in them
    eight = last_true(eights != 0)
    within = np.take_along_axis(eights, eight[:, None], axis=1).view(np.bool_)
    return np.asarray(8 * eight + 7 - within[:, ::-1].argmax(1), dtype=np.int64)


def count_true(mask: Bools) -> Ints:
    """`[B]`: how many steps of each row are True."""
    if mask.size < MANY or mask.shape[1] % (8 * EIGHTS) or not mask.flags.c_contiguous:
        return np.asarray(mask.sum(1), dtype=np.int64)
    summed = mask.view(np.uint64).reshape(len(mask), -1, EIGHTS).sum(-1)
    return np.asarray(summed.view(np.uint8).sum(1), dtype=np.int64)


def prefix_mask(lengths: npt.ArrayLike, steps: int) -> Bools:
    """`[B, T]`: the first `lengths[b]` steps of row b are real (lengths beyond T are cut at T).

    >>> prefix_mask([2, 0], 3).astype(int)
    array([[1, 1, 0],
           [0, 0, 0]])
    """
    mask: Bools = np.arange(steps)[None, :] < np.asarray(lengths)[:, None]
    return mask
