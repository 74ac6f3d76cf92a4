"""Weighs the readings of a dump by what the numbers say, and chooses one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from numbers import Real

import numpy as np

from rnninspect.core.evidence import Reading
from rnninspect.core.frozen import frozen
from rnninspect.core.precision import Precision
from rnninspect.core.trace import Trace
from rnninspect.core.wording import argument
from rnninspect.errors import UserError
from rnninspect.measure.facts import TrackFacts, fits_anywhere, may_end_right, measure, of_other_rows
from rnninspect.measure.matching import locate, same
from rnninspect.measure.order_of_states import hold_states_of_others, lists_one_direction
from rnninspect.measure.run_ends import ends_of_outputs

FEW = 16  # rows that are looked at before all are
LITTLE = 0.25  # share of rows that fit a rival reading at most where it is not worth a thought
SAMPLE = 32  # rows by which a rival reading of a large dump is judged first
ENOUGH = 4  # masked numbers that must be zero, or repeat, before they tell axes: a few are so by chance
MANY_STEPS = 1 << 16  # rows x steps from which on it is


@frozen
class Tolerance:
    """A step matches within `atol + rtol * |final|`; both default to 0: bit for bit. UserError where one is no number
    from 0."""

    rtol: float = 0.0
    atol: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rtol", "atol"):
            if not (isinstance(bound := getattr(self, name), Real) and float(bound) >= 0):  # which NaN is not
                raise UserError(f"{argument(name, bound)}: give a number from 0 on")


# What measures every track of a trace: `measure_all`, or something that gives the same with more hands.
Measurer = Callable[[Trace, Tolerance], tuple[TrackFacts, ...]]


@frozen(eq=False)
class Choice:
    """The reading to use and the others that fit the numbers as well.

    `measured`: the facts of the one used, where they are known already. `rounded_to`: the decimals that outputs and
    states were rounded to before, where they had been printed with different numbers of them.
    """

    reading: Reading
    rivals: tuple[Reading, ...] = ()
    measured: tuple[TrackFacts, ...] | None = None
    rounded_to: Precision | None = None


def measure_all(trace: Trace, tolerance: Tolerance) -> tuple[TrackFacts, ...]:
    """The facts of every track whose outputs and final state were recorded and can be compared."""
    measured = (measure(trace, t, tolerance.rtol, tolerance.atol) for t in trace.tracks)
    return tuple(f for f in measured if f is not None)


def choose_reading(readings: list[Reading], tolerance: Tolerance, measurer: Measurer = measure_all) -> Choice:
    """The reading to use, and the others that fit the numbers as well.

    The stated one (the first) wins unless its final states match little and another's match: fitting is the share of
    rows whose final state equals some step of their own, and a few do so by chance (units of relu that are all zero).
    One that keeps to all that was stated wins too where all of its states are right, and not all of the first one's;
    a track whose rows stand still (a feature of the row, set beside its outputs) shows none.
    Others fit as well only where they end as often where they should; the expected steps alone tell most of those that
    do not. `measurer` measures, `measure_all` in this process.
    """
    measured: dict[int, tuple[TrackFacts, ...]] = {}

    @cache
    def fit(i: int) -> Fit:
        measured[i] = measurer(readings[i].trace, tolerance)
        return _fit(measured[i])

    @cache
    def may_reach(i: int, enough: float) -> bool:
        return i in measured or may_fit(readings[i].trace, tolerance, enough)

    def is_right(i: int) -> bool:
        if not may_reach(i, 1.0):
            return False
        whole = fit(i).expected == 1 and fit(i).anywhere >= 0.5 and fit(i).numbers >= fit(0).numbers
        return whole and not (readings[i].left_open and len({bool(f.uniform.all()) for f in measured[i]}) > 1)

    def moves_states(i: int) -> bool:
        return hold_states_of_others(readings[i].trace, tolerance.rtol, tolerance.atol)

    fit(0)  # asked for in any case, so that its expected steps need not be looked up first
    right = [i for i in sorted(range(len(readings)), key=lambda i: not readings[i].left_open) if is_right(i)]
    right = [i for i in right if i == 0 or readings[i].left_open]
    used = max(right, key=lambda i: _pads_as_usual(readings[i], measured[i]), default=0)  # the first of equals
    moved = next((i for i, r in enumerate(readings) if _only_rows_moved(r)), None) if not right else None
    doubtful = _is_cube(readings) and not any(map(is_right, range(len(readings))))
    ordered = next(filter(moves_states, range(len(readings))), 0) if doubtful else 0
    if ordered:
        used = ordered
        fit(used)
    elif moved is not None and fit(0).expected < 1 and not _leaves_steps_out(readings[moved]):
        used = moved
        fit(used)
    elif not right and (fit(0).anywhere < 0.5 or (fit(0).anywhere == 0.5 and _is_two_by_two(readings[0]))):
        likely = [i for i in range(1, len(readings)) if not _loses_single_steps(readings[0], readings[i])]
        likely = [i for i in likely if _fits_anywhere(readings[i], tolerance)]
        likely = [i for i in likely if not (fit(i).anywhere < 1 and lists_one_direction(readings[i], measured[i]))]
        best = max(likely, key=lambda i: fit(i).anywhere, default=0)
        better = fit(best).anywhere > max(fit(0).anywhere, LITTLE)
        better = better and (fit(0).anywhere < 0.5 or fit(best).expected == 1)  # half of two rows and two layers stay
        better = better and not (_is_square(readings[0], readings[best]) and fit(best).expected <= fit(0).expected)
        used = best if better and not _only_the_first_pads(readings, measured, best) else 0
    chosen_fit = fit(used)

    def fits_as_well(i: int) -> bool:
        if chosen_fit.anywhere == 0 or not may_reach(i, chosen_fit.expected):
            return False
        return fit(i).anywhere >= chosen_fit.anywhere and fit(i).expected >= chosen_fit.expected

    rivals = tuple(reading for i, reading in enumerate(readings) if i != used and fits_as_well(i))
    return Choice(readings[used], rivals, measured[used])


def with_axes_of_padding(readings: list[Reading], tolerance: Tolerance, measurer: Measurer) -> list[Reading]:
    """The readings of those axes by which the outputs are padded exactly where the lengths say, where there are as many
    rows as steps and they are not so by the others: whatever the states hold, the layer has counted those steps."""
    first = readings[0].trace
    if first.batch_size != first.steps:
        return readings
    if not first.knows_padding:
        return _as_zeros_end(readings, tolerance, measurer)
    if first.mask.all():
        return readings
    axes: set[bool] = set()
    for reading in readings:
        if reading.time_major in axes or not _may_be_padded(reading.trace):
            continue
        if padded_exactly(measurer(reading.trace, tolerance)):
            axes.add(reading.time_major)
    return [reading for reading in readings if reading.time_major in axes] if len(axes) == 1 else readings


def _as_zeros_end(readings: list[Reading], tolerance: Tolerance, measurer: Measurer) -> list[Reading]:
    """The readings of the axes that are stated or usual, where rows end in zeros by these and by the others zeros lie
    between steps; without lengths nothing but that tells them apart."""
    usual = [reading for reading in readings if not reading.time_swapped]
    if len({reading.time_major for reading in usual}) != 1 or len(usual) == len(readings):
        return readings

    def ends(some: list[Reading]) -> bool:
        measured = [measurer(reading.trace, tolerance) for reading in some]
        told = [facts for facts in measured if facts]
        return any(ends_of_outputs(facts) is not None for facts in told) if told else True

    zeros = [int(f.zero.sum()) for f in measurer(usual[0].trace, tolerance)]
    swapped = [r for r in readings if r.time_swapped]
    if not zeros or min(zeros) < ENOUGH or not ends(usual) or ends(swapped):
        return readings
    return readings if any(_is_held(f) for r in swapped for f in measurer(r.trace, tolerance)) else usual


def _is_held(facts: TrackFacts) -> bool:
    """Whether a masked layer may have left the zeros: they all lie before a row's first step, and behind it steps
    repeat the one before, of numbers enough."""
    begun = np.logical_or.accumulate(~facts.zero, axis=1)
    held = facts.repeats & ~facts.zero
    return not (facts.zero & begun).any() and int(np.count_nonzero(held)) * facts.outputs.shape[2] >= ENOUGH


def _may_be_padded(trace: Trace) -> bool:
    """Whether `padded_exactly` may be true, as far as the first unit of a few rows tells."""
    for track in trace.tracks:
        if track.outputs is None or track.final is None or track.outputs.shape[2] != track.final.shape[1]:
            continue  # `measure` gives None
        unit, masked = np.asarray(track.outputs[:FEW, :, 0]), ~trace.stored_mask(track)[:FEW]
        padded = unit == 0
        padded[:, 1:] |= same(unit[:, 1:], unit[:, :-1])
        if (masked & ~padded).any():
            return False
    return True


def padded_exactly(facts: tuple[TrackFacts, ...]) -> bool:
    """Whether steps are zero, or repeat the one before, where they are masked and nowhere else."""
    told = sum(int(np.count_nonzero(~f.mask)) * f.outputs.shape[2] for f in facts)
    return told >= ENOUGH and all(np.array_equal(f.zero | f.repeats, ~f.mask) for f in facts)


def _loses_single_steps(first: Reading, rival: Reading) -> bool:
    """Whether the rival takes one step of each of many rows, as lengths count them, for many steps of one row: states
    in another order of the rows then equal its steps by themselves."""
    return first.trace.steps == 1 and first.trace.knows_padding and not rival.trace.knows_padding


def _only_rows_moved(reading: Reading) -> bool:
    """Whether the states of every track are the right ones, in another order of the rows."""
    told = [of_other_rows(reading.trace, track) for track in reading.trace.tracks]
    return any(told) and all(moved is not False for moved in told)


def _leaves_steps_out(reading: Reading) -> bool:
    """Whether the reading has no state for some outputs, and states of layers without outputs that are steps of those,
    of whichever row: most of them (units of relu that are all zero are so by chance)."""
    tracks = reading.trace.tracks
    bare = [t.outputs for t in tracks if t.final is None and t.outputs is not None]
    unseen = [t.final for t in tracks if t.outputs is None and t.final is not None]
    pairs = [(outputs, np.asarray(final[:FEW])) for outputs in bare for final in unseen]
    fitting = [(outputs, final) for outputs, final in pairs if outputs.shape[2] == final.shape[1]]
    return any(2 * sum(map(bool, locate(outputs, final))) > len(final) for outputs, final in fitting)


def _is_cube(readings: list[Reading]) -> bool:
    """Whether there are as many rows as layers and directions, so that no shape tells the axes of a state."""
    return len(readings) > 1 and readings[0].trace.batch_size == len(readings[0].trace.tracks) > 1


def _is_two_by_two(reading: Reading) -> bool:
    """Whether there are two rows, and two layers or directions: half of the states then fit along the other axis."""
    return reading.trace.batch_size == len(reading.trace.tracks) == 2


def _is_square(first: Reading, rival: Reading) -> bool:
    """Whether the rival has other axes of as many rows as steps: states in another order of the rows equal some step of
    it, but not the last ones."""
    rows, steps = first.trace.mask.shape
    return rival.time_swapped and rows == steps


def fit_of(choice: Choice) -> float:
    """The share of rows whose final state equals some step of their own, as it was measured."""
    return _fit(choice.measured or ()).anywhere


def _fits_anywhere(reading: Reading, tolerance: Tolerance) -> bool:
    """Whether a rival of a large dump's stated reading is worth a pass over all of it: some of a few rows, which are
    evenly spread, must equal a step of their own. One that fits a third of the rows fails this once in 400,000 times.
    """
    trace = reading.trace
    if trace.mask.size < MANY_STEPS:
        return True
    some = slice(None, None, max(1, trace.batch_size // SAMPLE))
    return any(fits_anywhere(track, tolerance.rtol, tolerance.atol, some) for track in trace.tracks)


@frozen
class Fit:
    """Shares of rows, the mean over tracks: whose state equals some step of their own row; the expected step.

    `numbers`: of the states, how many were compared.
    """

    anywhere: float
    expected: float
    numbers: int = 0


def _fit(facts: tuple[TrackFacts, ...]) -> Fit:
    """A track whose states cannot be compared does not count; a reading without any that can fits not at all."""
    if not facts:
        return Fit(0.0, 0.0)
    anywhere = np.mean([f.somewhere.mean() for f in facts])
    numbers = sum(f.final.size for f in facts)
    return Fit(float(anywhere), float(np.mean([(~f.mismatched).mean() for f in facts])), numbers)


def _pads_as_usual(reading: Reading, facts: tuple[TrackFacts, ...]) -> bool:
    """Whether padded outputs hold what this framework leaves there; True where none are known."""
    classes = {c for f in facts for c, short in zip(f.padding, f.short, strict=True) if short}
    return reading.trace.padding == "any" or classes <= {"absent", reading.trace.padding}


def _only_the_first_pads(readings: list[Reading], measured: dict[int, tuple[TrackFacts, ...]], rival: int) -> bool:
    """Whether masked outputs are zero (or repeat) by the first reading alone, and by the rival some rows equal no step.

    With as many rows as steps both may be read; the axes are then the first one's, and the states are wrong.
    """
    first = readings[0]
    padded = any(p not in ("absent", "computed") for f in measured[0] for p in f.padding)
    if not padded or not _pads_as_usual(first, measured[0]) or _fit(measured[rival]).anywhere == 1:
        return False
    return not _pads_as_usual(readings[rival], measured[rival])


def may_fit(trace: Trace, tolerance: Tolerance, enough: float) -> bool:
    """Whether `Fit.expected` may reach `enough`, as far as the expected steps alone tell: first of a few rows, then of
    all, for where everything is right a single row that is off decides."""
    for rows in (np.arange(min(FEW, trace.batch_size)), np.arange(trace.batch_size)):
        ends = [may_end_right(trace, t, tolerance.rtol, tolerance.atol, rows) for t in trace.tracks]
        mismatched = [(~ends_right).sum() / trace.batch_size for ends_right in ends if ends_right is not None]
        if not mismatched or 1 - np.mean(mismatched) < enough:
            return False
    return True
