"""One large dump over several workers: its rows are measured apart, and their facts put together.

Everything that is measured of a track is measured row by row, so the facts of some rows are those rows of the facts,
to the last bit. What travels is where the rows lie in the file; the numbers themselves are read where they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, fields, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from rnninspect.api.parallel.file_view import Described, described
from rnninspect.api.parallel.workers import Engine, WorkerCrashed
from rnninspect.core.frozen import frozen
from rnninspect.core.tiles import count_read
from rnninspect.core.trace import Trace, Track
from rnninspect.errors import UserError
from rnninspect.measure.choose_reading import Tolerance, measure_all
from rnninspect.measure.facts import TrackFacts, measure
from rnninspect.measure.nearest import Nearest

LEAST_BYTES = 64 << 20  # of outputs; what is smaller is measured before a worker has started
PART_BYTES = 32 << 20  # that one task reads, and that a worker which dies has read in vain


@frozen(eq=False)
class RowChunk:
    """Some rows of one track: `trace` holds their mask and that track alone, without its outputs, which `outputs`
    describes; `start` is the first of these rows in the whole."""

    trace: Trace
    outputs: Described
    tolerance: Tolerance
    start: int

    def __str__(self) -> str:
        end = self.start + self.trace.batch_size - 1
        return f"{self.outputs.file}: rows {self.start} to {end} of {self.trace.tracks[0].name}"


@frozen(eq=False)
class ChunkFacts:
    """What a part gave: the facts of its rows, their track still without outputs, and their nearest steps."""

    facts: TrackFacts
    closest: Nearest


@frozen(eq=False)
class MergedFacts(TrackFacts):
    """Facts whose nearest steps came with them: nobody reads the outputs again."""

    nearest_steps: Nearest = field(kw_only=True)

    @cached_property
    def closest(self) -> Nearest:
        return self.nearest_steps


def measure_over(
    engine: Engine, alone: Callable[[str], None], trace: Trace, tolerance: Tolerance
) -> tuple[TrackFacts, ...]:
    """What `case.measure_all` gives, the same to the last bit, measured by the engine's workers where that is worth it.

    Tracks that cannot be described (see `described`) are measured in this process; `alone` is told where all are.
    Raises UserError where a worker cannot read its rows, or where some rows end every worker that they meet.
    """
    parts = [_parts(trace, track, tolerance) for track in trace.tracks]
    every = [part for chunks in parts for part in chunks]
    if len(every) < 2 or sum(part.outputs.size for part in every) < LEAST_BYTES:
        alone("measured by this process alone: less than 64 MiB of the outputs could be split over workers")
        return measure_all(trace, tolerance)
    outcomes = engine.outcomes(measure_part, every)
    facts = (
        _merged(track, _chunk_facts(chunks, outcomes))
        if chunks
        else measure(trace, track, tolerance.rtol, tolerance.atol)
        for track, chunks in zip(trace.tracks, parts, strict=True)
    )
    return tuple(track_facts for track_facts in facts if track_facts is not None)


def measure_part(part: RowChunk) -> ChunkFacts | None:
    """The task: `measure` of these rows, the search for their nearest steps included. None where `measure` gives it.

    Raises UserError where the rows cannot be read.
    """
    bare = part.trace.tracks[0]
    try:
        track = replace(bare, outputs=part.outputs.opened())
    except UserError as error:
        raise UserError(error.message) from None  # its subclasses are made of several words, and cannot travel
    trace = replace(part.trace, tracks=(track,))
    facts = measure(trace, track, part.tolerance.rtol, part.tolerance.atol)
    return None if facts is None else ChunkFacts(replace(facts, track=bare), facts.closest)


def _parts(trace: Trace, track: Track, tolerance: Tolerance) -> list[RowChunk]:
    """The rows of a track in parts of about PART_BYTES; none where the track is to be measured whole."""
    whole = None if track.outputs is None or track.final is None else described(track.outputs)
    if whole is None:
        return []
    count = trace.batch_size
    height = max(1, PART_BYTES * count // whole.size)
    slices = [slice(i, min(i + height, count)) for i in range(0, count, height)]
    return [RowChunk(_rows(trace, track, rows), whole.rows(rows), tolerance, rows.start) for rows in slices]


def _rows(trace: Trace, track: Track, rows: slice) -> Trace:
    """These rows of a trace, with what `measure` needs of this track alone."""
    final = None if track.final is None else np.array(track.final[rows])
    bare = Track(track.layer, track.direction, None, final, order=track.order)
    lengths = None if trace.lengths is None else trace.lengths[rows]
    return replace(trace, mask=trace.mask[rows], lengths=lengths, tracks=(bare,), source={})


def _chunk_facts(parts: Sequence[RowChunk], outcomes: Iterator[ChunkFacts | WorkerCrashed | None]) -> list[ChunkFacts]:
    """What these parts gave, the next of all outcomes; UserError where one of them was lost."""
    chunk_facts: list[ChunkFacts] = []
    for outcome in islice(outcomes, len(parts)):
        if isinstance(outcome, WorkerCrashed):
            raise UserError(f"{outcome.item}: {outcome.reason}")
        count_read(parts[len(chunk_facts)].outputs.size)
        if outcome is not None:
            chunk_facts.append(outcome)
    return chunk_facts


def _merged(track: Track, parts: list[ChunkFacts]) -> TrackFacts | None:
    """The facts of all rows; None where the parts have none, since the track cannot be compared."""
    if not parts:
        return None
    whole = {f.name: _joined([getattr(part.facts, f.name) for part in parts]) for f in fields(TrackFacts)}
    closest = Nearest(**{f.name: _joined([getattr(part.closest, f.name) for part in parts]) for f in fields(Nearest)})
    return MergedFacts(**{**whole, "track": track}, nearest_steps=closest)


def _joined(values: list[Any]) -> Any:
    """One field of the facts of all rows: what has a value a row is put together, the rest is the same in each part."""
    if isinstance(values[0], np.ndarray):
        return np.concatenate(values)
    return tuple(v for value in values for v in value) if isinstance(values[0], tuple) else values[0]
