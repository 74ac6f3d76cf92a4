"""Case: all that a rule may look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from rnninspect.conventions.base import Convention
from rnninspect.core.batch import Batch
from rnninspect.core.evidence import Reading, Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Bools, Direction, Trace, Track
from rnninspect.core.weights import Weights
from rnninspect.measure import matching
from rnninspect.measure.choose_reading import Tolerance, measure_all
from rnninspect.measure.difference import TrackDifference, differences
from rnninspect.measure.facts import TrackFacts

# Runs the engine on a batch with the case's own weights and statement. `build_case` supplies it, so that nothing below
# imports torch.
Runner = Callable[["Case", Batch], Trace]

# h `[B, P]`, and c `[B, C]` or None, by layer and direction.
States = Mapping[tuple[int, Direction], tuple[Array, Array | None]]


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
    config: LayerConfig = field(default_factory=LayerConfig)
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
