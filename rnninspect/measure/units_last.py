"""Arrays whose units are not on the last axis, where the usual orders of axes do not explain the numbers.

Asked only where the usual reading is doubtful: some state is not as it should be, or lengths count none of its axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np

from rnninspect.conventions.dumps.other_axes import Turned, goes_as_usual, turns
from rnninspect.conventions.dumps.roles import Guess
from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import ShapeError
from rnninspect.measure.choose_reading import fit_of, padded_exactly
from rnninspect.measure.choose_roles import CONVINCING, Read, share_of_pools, share_of_steps
from rnninspect.measure.dump_arrays import DumpArrays

MOST = 0.75  # share of states that must be steps, of whichever rows, in an order of axes that is not usual
LARGEST = 1 << 25  # bytes of outputs that are read along other axes
R = TypeVar("R", bound=Read)


def with_units_last(
    dump: DumpArrays,
    config: LayerConfig,
    read: Callable[[DumpArrays], R],
    guesses: Callable[[], list[Guess]],
) -> R:
    """The dump, `read`, with the axes of outputs and states in the order that the numbers show.

    `guesses`: which arrays may be what. Raises ShapeError where no order fits, or several do alike, or where the
    outputs stand as usual and only the states are transposed, which no framework leaves so.
    """
    usual, misfit = None, None
    try:
        usual = read(dump)
    except ShapeError as error:
        misfit = error
    if usual is not None and (_is_large(usual) or not _is_doubtful(usual)):
        return usual
    better = [c for c in _candidates(dump, config, read, guesses) if _explains_more(c, usual)]
    if better:
        return _only([c for c in better if _rank(c.read) == max(_rank(other.read) for other in better)])
    if usual is None:
        assert misfit is not None
        raise misfit
    return usual


@frozen(eq=False)
class Candidate(Generic[R]):
    """A dump that was turned, and how it is read. `as_usual`: whether the arrays go together as given too."""

    turned: Turned
    read: R
    as_usual: bool


def _candidates(
    dump: DumpArrays, config: LayerConfig, read: Callable[[DumpArrays], R], guesses: Callable[[], list[Guess]]
) -> Iterator[Candidate[R]]:
    """Every way of turning outputs and states that shapes and a few states allow, each once, and can be read."""
    if dump.elided:
        return
    tried: set[tuple[str, ...]] = set()
    for guess in guesses():
        for turned in turns(guess.slots, config.time_major):
            key = (turned.order, str(turned.states), *(s.name for s in guess.slots if s.role in ("outputs", "h")))
            if key in tried:
                continue
            tried.add(key)
            try:
                yield Candidate(turned, read(dump.turned_by(turned, guess.slots)), goes_as_usual(guess.slots))
            except ShapeError:
                continue


def _is_large(usual: Read) -> bool:
    """Whether the outputs are too large to be read along other axes, for which a file would be held as a whole."""
    return sum(slot.array.nbytes for slot in usual.slots if slot.role == "outputs") > LARGEST


def _is_doubtful(usual: Read) -> bool:
    """Whether some state is not the one expected and no pool of steps, some rows have none or none could be compared,
    or lengths or a mask were given that do not fit."""
    measured, reading = usual.choice.measured, usual.choice.reading
    if not measured or reading.state_rows is not None or any(f.mismatched.any() for f in measured):
        return share_of_pools(reading) < CONVINCING or share_of_steps(reading) >= CONVINCING
    return not reading.trace.knows_padding and any(slot.role in ("lengths", "mask") for slot in usual.slots)


def _counts_units(usual: Read) -> bool:
    """Whether lengths or a mask were given that have neither as many entries as there are rows, nor as steps."""
    reading = usual.choice.reading
    rows = reading.trace.batch_size if reading.state_rows is None else reading.state_rows.batch_size
    sizes = {rows, reading.trace.steps}
    return any(
        (slot.role == "lengths" and slot.array.size not in sizes)
        or (slot.role == "mask" and not sizes & {*slot.array.shape})
        for slot in usual.slots
    )


def _explains_more(candidate: Candidate[R], usual: R | None) -> bool:
    """Whether the states are steps of the outputs in just this order, lengths that were given are read, and the usual
    orders of axes explain less.

    They do where lengths count none of their axes; where they find few states, or not all and these all; or where by
    these alone the lengths say where outputs are padded, or states end.
    """
    turned, reading = candidate.read, candidate.read.choice.reading
    if not _is_whole(candidate) or _share_of_steps(turned) < MOST:
        return False
    if usual is not None and _counts_units(usual):
        return True
    if fit_of(turned.choice) < 1 and candidate.turned.in_one_plane:
        return False  # states whose units are in another order look so
    if usual is None:
        return not candidate.as_usual
    all_found = fit_of(turned.choice) == 1 > fit_of(usual.choice) and not candidate.turned.in_one_plane
    if all_found or _finds_few(usual):
        return True
    if not reading.trace.knows_padding or reading.trace.mask.all():
        return False
    padded = not usual.choice.reading.trace.knows_padding and padded_exactly(turned.choice.measured or ())
    return padded or _rank(turned) == (1, 1) > _rank(usual)


def _is_whole(candidate: Candidate[R]) -> bool:
    """Whether the reading has the axes that the dump was turned to, states of every row, all lengths, and so many units
    that no state is found by chance."""
    turned, reading = candidate.read, candidate.read.choice.reading
    other_axes = reading.time_swapped or reading.time_major is not (candidate.turned.to[0] == "T")
    if (other_axes and candidate.turned.order) or reading.state_rows is not None:
        return False
    return _reads_lengths(turned) and _units(turned) > 1


def _finds_few(usual: Read) -> bool:
    """Whether the usual orders find few states; of one unit, which is found by chance, whether some rows have none."""
    if _units(usual) == 1:
        return usual.choice.reading.state_rows is not None
    return _share_of_steps(usual) < CONVINCING


def _share_of_steps(read: Read) -> float:
    """The share of states h, or of c where more of those are, that are steps of the outputs."""
    reading = read.choice.reading
    tracks = tuple(replace(track, final=track.cell) for track in reading.trace.tracks)
    of_cells = replace(reading, trace=replace(reading.trace, tracks=tracks))
    return max(map(share_of_steps, (reading, of_cells)))


def _reads_lengths(turned: Read) -> bool:
    """Whether lengths or a mask, where given, are read, and count no more steps than there are."""
    trace = turned.choice.reading.trace
    if not any(slot.role in ("lengths", "mask") for slot in turned.slots):
        return True
    return trace.knows_padding and (trace.lengths is None or int(np.max(trace.lengths, initial=0)) <= trace.steps)


def _units(read: Read) -> int:
    return max((t.outputs.shape[2] for t in read.choice.reading.trace.tracks if t.outputs is not None), default=0)


def _rank(read: Read) -> tuple[float, float]:
    """How many states are steps of their own rows, and how many of these the last."""
    measured = read.choice.measured or ()
    ends = float(np.mean([(~facts.mismatched).mean() for facts in measured])) if measured else 0.0
    return fit_of(read.choice), ends


def _only(best: list[Candidate[R]]) -> R:
    """The one of them; ShapeError where there are several, or where the states alone are transposed."""
    if len(best) > 1:
        ways = "; or ".join(candidate.turned.note for candidate in best)
        raise ShapeError(f"the final state is found in several orders of axes, and no number tells which: {ways}")
    if not best[0].turned.order:
        raise ShapeError(f"the outputs hold the final state only if it is transposed: {best[0].turned.note}")
    return best[0].read
