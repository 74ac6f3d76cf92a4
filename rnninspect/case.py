"""Case: all that a rule may look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from rnninspect import matching
from rnninspect.batch import Batch
from rnninspect.comparison import TrackDifference, differences
from rnninspect.conventions.base import Convention, Reading, Role, Slot, Statement
from rnninspect.facts import TrackFacts, may_end_right, measure
from rnninspect.trace import Array, Bools, Direction, Trace, Track
from rnninspect.weights import Weights

# Runs the engine on a batch with the case's own weights and statement. `rnninspect.api` supplies it, so that nothing
# below imports torch.
Runner = Callable[["Case", Batch], Trace]

# h `[B, P]`, and c `[B, C]` or None, by layer and direction.
States = Mapping[tuple[int, Direction], tuple[Array, Array | None]]


FEW = 16  # rows that are looked at before all are
LITTLE = 0.25  # share of rows that fit a rival reading at most where it is not worth a thought
SAMPLE = 32  # rows by which a rival reading of a large dump is judged first
MANY_STEPS = 1 << 16  # rows x steps from which on it is


@dataclass(frozen=True)
class Tolerance:
    """A step matches within `atol + rtol * |final|`; both default to 0: bit for bit."""

    rtol: float = 0.0
    atol: float = 0.0


# What measures every track of a trace: `measure_all`, or something that gives the same with more hands.
Measurer = Callable[[Trace, Tolerance], tuple[TrackFacts, ...]]


@dataclass(frozen=True, eq=False)
class Case:
    """The chosen reading and its rivals, what was measured, and whatever more was given.

    `arrays`: every array of the dump under its own name; `slots`: those that have a role. `batch`, `weights`: where
    they were given. `other`: the trace of a second dump of the same inputs. `rounded_to`: the decimals
    that outputs and states were rounded to, where they had been printed with different numbers of them. `measured`:
    a trace whose facts are known already, and they; they count while the case holds that trace. `memo`: what rules
    work out together.
    """

    reading: Reading
    convention: Convention
    statement: Statement = field(default_factory=Statement)
    rivals: tuple[Reading, ...] = ()
    batch: Batch | None = None
    weights: Weights | None = None
    arrays: Mapping[str, Array] = field(default_factory=dict)
    slots: tuple[Slot, ...] = ()
    tolerance: Tolerance = field(default_factory=Tolerance)
    runner: Runner | None = None
    other: Trace | None = None
    rounded_to: int | None = None
    measured: tuple[Trace, tuple[TrackFacts, ...]] | None = None
    previous: States | None = None
    named_initial: Mapping[tuple[int, Direction], Array] | None = None
    memo: dict[str, Any] = field(default_factory=dict, init=False)

    @property
    def trace(self) -> Trace:
        return self.reading.trace

    @cached_property
    def facts(self) -> tuple[TrackFacts, ...]:
        """The facts of every track whose outputs and final state were recorded."""
        if self.measured is not None and self.measured[0] is self.trace:
            return self.measured[1]
        return measure_all(self.trace, self.tolerance)

    def has(self, need: str) -> bool:
        """Whether the evidence that a rule `needs` is there: `lengths`, `two directions`, `cell state`, …"""
        return {
            "outputs": bool(self.facts),
            "lengths": self.trace.knows_padding,
            "two directions": self.trace.directions == 2,
            "cell state": any(t.cell is not None for t in self.trace.tracks),
            "inputs": self.batch is not None,
            "weights": self.weights is not None,
            "second dump": self.other is not None,
        }[need]

    @cached_property
    def differences(self) -> list[TrackDifference]:
        """Against the second dump, track by track; empty without one."""
        return [] if self.other is None else differences(self.trace, self.other)

    def elsewhere(self, facts: TrackFacts, rows: Bools) -> dict[int, list[tuple[int, int]]]:
        """For each of these rows: the (row, step) of the whole track's outputs that equal its final state."""
        key = f"elsewhere {facts.track.name} {rows.tobytes()!r}"
        if key not in self.memo:
            picked = np.flatnonzero(rows)
            found = matching.locate(facts.outputs, np.asarray(facts.final)[picked]) if picked.size else []
            self.memo[key] = dict(zip(picked.tolist(), found, strict=True))
        places: dict[int, list[tuple[int, int]]] = self.memo[key]
        return places

    def raw(self, role: Role) -> Array | None:
        """The array of that role as it came, where one unlabelled array holds all layers and directions."""
        found = [s for s in self.slots if s.role == role]
        alone = len(found) == 1 and found[0].layer is None and found[0].direction is None
        return found[0].array if alone else None

    def run(self, batch: Batch) -> Trace:
        """The engine's run of `batch` with this case's weights (imports torch)."""
        if self.runner is None:
            raise RuntimeError("this case has no engine to run: it was made without `runner`")
        return self.runner(self, batch)

    @cached_property
    def reference(self) -> Trace:
        """What the right run of these inputs and weights gives; made only when a rule asks."""
        if self.batch is None or self.weights is None:
            raise RuntimeError("a reference run needs inputs and weights")
        return self.run(self.batch)

    def with_trace(self, trace: Trace) -> Case:
        """The same case with another trace; its facts are measured anew."""
        return replace(self, reading=replace(self.reading, trace=trace))

    def with_tracks(self, change: Callable[[Track], Track]) -> Case:
        """The same case with every track changed: how rules plant their mistake."""
        return self.with_trace(replace(self.trace, tracks=tuple(change(t) for t in self.trace.tracks)))


@dataclass(frozen=True, eq=False)
class Choice:
    """The reading to use, the others that fit the numbers as well, and what was measured of the one used."""

    reading: Reading
    rivals: tuple[Reading, ...]
    measured: tuple[TrackFacts, ...]


def measure_all(trace: Trace, tolerance: Tolerance) -> tuple[TrackFacts, ...]:
    """The facts of every track whose outputs and final state were recorded and can be compared."""
    measured = (measure(trace, t, tolerance.rtol, tolerance.atol) for t in trace.tracks)
    return tuple(f for f in measured if f is not None)


def choose_reading(readings: list[Reading], tolerance: Tolerance, measurer: Measurer = measure_all) -> Choice:
    """The reading to use, and the others that fit the numbers as well.

    The stated one (the first) wins unless its final states match little and another's match: fitting is the share of
    rows whose final state equals some step of their own, and a few do so by chance (units of relu that are all zero).
    Others fit as well only where they end as often where they should; the expected steps alone tell most of those that
    do not. `measurer` measures, `measure_all` in this process.
    """
    measured: dict[int, tuple[TrackFacts, ...]] = {}

    def fit(i: int) -> Fit:
        if i not in measured:
            measured[i] = measurer(readings[i].trace, tolerance)
        return _fit(measured[i])

    used = 0
    if fit(0).anywhere < 0.5:
        likely = [i for i in range(1, len(readings)) if _fits_anywhere(readings[i], tolerance)]
        best = max(likely, key=lambda i: fit(i).anywhere, default=0)
        used = best if fit(best).anywhere > max(fit(0).anywhere, LITTLE) else 0
    own = fit(used)

    def fits_as_well(i: int) -> bool:
        if own.anywhere == 0 or not _ends_right(readings[i], tolerance, own.expected):
            return False
        return fit(i).anywhere >= own.anywhere and fit(i).expected >= own.expected

    rivals = tuple(reading for i, reading in enumerate(readings) if i != used and fits_as_well(i))
    return Choice(readings[used], rivals, measured[used])


def _fits_anywhere(reading: Reading, tolerance: Tolerance) -> bool:
    """Whether a rival of a large dump's stated reading is worth a pass over all of it: some of a few rows, which are
    evenly spread, must equal a step of their own. One that fits a third of the rows fails this once in 400,000 times.
    """
    trace = reading.trace
    if trace.mask.size < MANY_STEPS:
        return True
    some = slice(None, None, max(1, trace.batch_size // SAMPLE))
    tracks = tuple(
        replace(t, **{k: v[some] for k in ("outputs", "final") if (v := getattr(t, k)) is not None})
        for t in trace.tracks
    )
    few = replace(trace, mask=trace.mask[some], lengths=None, mask_given=True, tracks=tracks)
    return _fit(measure_all(few, tolerance)).anywhere > 0


@dataclass(frozen=True)
class Fit:
    """Shares of rows, the mean over tracks: whose state equals some step of their own row; the expected step."""

    anywhere: float
    expected: float


def _fit(facts: tuple[TrackFacts, ...]) -> Fit:
    """A track whose states cannot be compared does not count; a reading without any that can fits not at all."""
    if not facts:
        return Fit(0.0, 0.0)
    anywhere = np.mean([(f.equal | f.near).any(1).mean() for f in facts])
    return Fit(float(anywhere), float(np.mean([(~f.off).mean() for f in facts])))


def _ends_right(reading: Reading, tolerance: Tolerance, enough: float) -> bool:
    """Whether `Fit.expected` may reach `enough`, as far as the expected steps alone tell: first of a few rows, then of
    all, for where everything is right a single row that is off decides."""
    trace = reading.trace
    for rows in (np.arange(min(FEW, trace.batch_size)), np.arange(trace.batch_size)):
        ends = [may_end_right(trace, t, tolerance.rtol, tolerance.atol, rows) for t in trace.tracks]
        off = [(~found).sum() / trace.batch_size for found in ends if found is not None]
        if not off or 1 - np.mean(off) < enough:
            return False
    return True
