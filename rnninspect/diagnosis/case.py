"""Case: all that a rule may look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from functools import cached_property

import numpy as np

from rnninspect.conventions.base import Convention
from rnninspect.core.batch import Batch
from rnninspect.core.evidence import Reading, Role, Slot
from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Bools, Direction, Ints, Trace, Track, prefix_mask
from rnninspect.core.weights import Weights
from rnninspect.diagnosis.once import once
from rnninspect.measure import matching
from rnninspect.measure.choose_reading import Choice, Tolerance, measure_all
from rnninspect.measure.difference import TrackDifference, differences
from rnninspect.measure.facts import TrackFacts, under

# Runs the engine on a batch with the case's own weights and statement. `build_case` supplies it, so that nothing below
# imports torch.
Runner = Callable[["Case", Batch], Trace]

# h `[B, P]`, and c `[B, C]` or None, by layer and direction.
States = Mapping[tuple[int, Direction], tuple[Array, Array | None]]


@frozen(eq=False)
class Layer:
    """The layer: whose it is, what the user states about it, its weights where given, and what runs them.

    `weights_as_run`: the outputs were computed with these very weights, those of a live layer: no other are looked for.
    `dropout`: the share of units that a layer in train mode drops at random between its layers, so that no second run
    gives the numbers of the first. `dtype`: what its weights are run in, if not in their own (`engine.run`).
    `time_first`: whether a live layer says of itself that time is the first axis of what it reads; None where it does
    not.
    """

    convention: Convention
    config: LayerConfig = field(default_factory=LayerConfig)
    weights: Weights | None = None
    runner: Runner | None = None
    weights_as_run: bool = False
    dropout: float = 0.0
    dtype: str | None = None
    time_first: bool | None = None


@frozen(eq=False)
class Dump:
    """The recorded arrays. `arrays`: every one under its own name; `slots`: those that have a role. `returned_whole`:
    outputs and state came together, as a call of a layer returned them."""

    arrays: Mapping[str, Array] = field(default_factory=dict)
    slots: tuple[Slot, ...] = ()
    returned_whole: bool = False


@frozen(eq=False)
class Chunk:
    """The run as the next chunk of a longer one.

    `previous`: the states that the chunk before ended in. `named_initial`: the initial states that the dump itself
    names, h `[B, P]` by layer and direction; None where it names none.
    """

    previous: States
    named_initial: Mapping[tuple[int, Direction], Array] | None = None


@frozen(eq=False)
class Case:
    """All that a rule may look at.

    `choice`: the reading that was chosen, its rivals and what was measured of it. `batch`: the inputs, where given.
    `other`, `other_batch`: the trace of a second dump, which ought to be of the same inputs, and its inputs. `chunk`:
    where the dump of the chunk before was given.
    """

    choice: Choice
    layer: Layer
    batch: Batch | None = None
    dump: Dump = field(default_factory=Dump)
    other: Trace | None = None
    other_batch: Batch | None = None
    chunk: Chunk | None = None
    tolerance: Tolerance = field(default_factory=Tolerance)

    @property
    def reading(self) -> Reading:
        return self.choice.reading

    @property
    def convention(self) -> Convention:
        return self.layer.convention

    @property
    def config(self) -> LayerConfig:
        return self.layer.config

    @property
    def weights(self) -> Weights | None:
        return self.layer.weights

    @property
    def trace(self) -> Trace:
        return self.reading.trace

    @cached_property
    def facts(self) -> tuple[TrackFacts, ...]:
        """The facts of every track whose outputs and final state were recorded."""
        measured = self.choice.measured
        return measure_all(self.trace, self.tolerance) if measured is None else measured

    def has(self, need: str) -> bool:
        """Whether the evidence that a rule `needs` is there: `lengths`, `two directions`, `cell state`, …"""
        return need in self._at_hand

    def lacks(self, needs: Iterable[str]) -> list[str]:
        """Those of the `needs` that are not there. Every rule asks at every call, so it is one look for all of them."""
        at_hand = self._at_hand
        return [need for need in needs if need not in at_hand]

    @cached_property
    def _at_hand(self) -> frozenset[str]:
        """The kinds of evidence that the case has; every rule asks for them, so it is computed once."""
        evidence = {
            "outputs": bool(self.facts),
            "lengths": self.trace.knows_padding,
            "two directions": self.trace.directions == 2,
            "a direction read backwards": any(t.direction == "backward" for t in self.trace.tracks),
            "cell state": any(t.cell is not None for t in self.trace.tracks),
            "inputs": self.batch is not None,
            "weights": self.weights is not None,
            "second dump": self.other is not None,
        }
        return frozenset(need for need, there in evidence.items() if there)

    @cached_property
    def differences(self) -> list[TrackDifference]:
        """Against the second dump, track by track; empty without one."""
        return [] if self.other is None else differences(self.trace, self.other)

    def elsewhere(self, facts: TrackFacts, rows: Bools) -> dict[int, list[tuple[int, int]]]:
        """By each row where `rows` `[B]` is True: the (row, step) of the track's outputs that equal its final state."""
        return _elsewhere(self, facts, rows.tobytes())

    def raw(self, role: Role) -> Array | None:
        """The array `[…]` of that role as it came, where one unlabelled array holds all layers and directions."""
        slots = [s for s in self.dump.slots if s.role == role]
        alone = len(slots) == 1 and slots[0].layer is None and slots[0].direction is None
        return slots[0].array if alone else None

    def run(self, batch: Batch) -> Trace:
        """The engine's run of `batch` with this case's weights (imports torch); RuntimeError without an engine."""
        if self.layer.runner is None:
            raise RuntimeError("this case has no engine to run: it was made without `runner`")
        return self.layer.runner(self, batch)

    @cached_property
    def reference(self) -> Trace:
        """What the right run of these inputs and weights gives; made when a rule asks. RuntimeError without them."""
        if self.batch is None or self.weights is None:
            raise RuntimeError("a reference run needs inputs and weights")
        return self.run(self.batch)

    def with_trace(self, trace: Trace, measured: tuple[TrackFacts, ...] | None = None) -> Case:
        """The same case with another trace; its facts are measured anew, where they are not `measured` already."""
        return self.with_reading(replace(self.reading, trace=trace), measured)

    def with_reading(self, reading: Reading, measured: tuple[TrackFacts, ...] | None = None) -> Case:
        """The same case read in another way; its facts are measured anew, where they are not `measured` already."""
        return replace(self, choice=replace(self.choice, reading=reading, measured=measured))

    def with_lengths(self, lengths: Ints) -> Case:
        """The same case with other lengths `[B]`; its outputs are not read again."""
        trace = replace(self.trace, mask=prefix_mask(lengths, self.trace.steps), lengths=lengths, mask_given=False)
        batch = self.batch
        if batch is not None:
            mask = np.zeros(batch.mask.shape, dtype=np.bool_)
            mask[:, : trace.steps] = trace.mask
            batch = replace(batch, mask=mask, lengths=lengths, mask_given=False)
        return replace(self.with_trace(trace, tuple(under(facts, trace) for facts in self.facts)), batch=batch)

    def with_weights(self, weights: Weights | None, config: LayerConfig | None = None) -> Case:
        """The same case with other weights, and with what is then stated about the layer, if that changes too."""
        return replace(self, layer=replace(self.layer, weights=weights, config=config or self.config))

    def with_tolerance(self, tolerance: Tolerance) -> Case:
        """Return the case with another tolerance; its facts are measured again."""
        return replace(self, tolerance=tolerance, choice=replace(self.choice, measured=None))

    def with_padding_at_zero(self) -> Case:
        """The case with zeros in all masked outputs."""
        real = self.trace.stored_mask
        return self.with_tracks(
            lambda t: t if t.outputs is None else replace(t, outputs=np.where(real(t)[..., None], t.outputs, 0))
        )

    def with_tracks(self, change: Callable[[Track], Track]) -> Case:
        """Return the case with every track changed; rules inject their mistake so."""
        return self.with_trace(replace(self.trace, tracks=tuple(change(t) for t in self.trace.tracks)))


@once
def _elsewhere(case: Case, facts: TrackFacts, rows: bytes) -> dict[int, list[tuple[int, int]]]:
    """`Case.elsewhere`, of rows `[B]` as the bytes of a boolean array."""
    picked = np.flatnonzero(np.frombuffer(rows, dtype=np.bool_))
    hits = matching.locate(facts.outputs, np.asarray(facts.final)[picked]) if picked.size else []
    return dict(zip(picked.tolist(), hits, strict=True))
