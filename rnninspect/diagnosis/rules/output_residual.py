"""The outputs have the inputs added; the state does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from rnninspect.core.finding import Severity
from rnninspect.core.trace import Array, Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal
from rnninspect.measure.casts import narrowed
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import gather

GLANCE = 8  # units that are looked at first
# To which steps the inputs were added; a wrapped layer that pads with zeros adds none to its padding.
Steps = Literal["real", "all", "not zero"]
WAYS: tuple[tuple[Steps, str], ...] = (
    ("real", ""),
    ("all", ", of padded steps too"),
    ("not zero", ", wherever they are not zero"),
)


class OutputResidual(Rule):
    name = "output-residual"
    severity: Severity = "note"
    summary = "outputs are the state plus the inputs: a residual connection around the cell"
    why = (
        "ResidualWrapper adds the input of a step to its output and leaves the state unchanged, so the last output "
        "is not the final state, and is not meant to be."
    )
    fix = "outputs = np.where(mask[..., None], outputs - inputs, 0)  # the sum under a name of its own, beside them"
    fixed_in = "arrays"
    group = "What the state holds"
    place = 4
    needs = ("outputs", "lengths", "inputs")
    in_outputs = True
    implies = ("padding-computed",)
    example = "rows"
    threads = (
        Thread(
            "https://github.com/tensorflow/tensorflow/issues/15220",
            "ResidualWrapper adds the inputs to the cell's outputs, and so fails where the widths differ.",
        ),
        Thread(
            "https://github.com/una-dinosauria/human-motion-prediction/issues/68",
            "A port differs from the original until it has the residual wrapper around the cell.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        if case.batch is None:
            return
        for facts in case.facts:
            inputs = case.batch.inputs[:, : facts.steps]
            if inputs.shape[2] != facts.final.shape[1]:
                continue
            if facts.track.order == "reversed":
                inputs = inputs[:, ::-1]
            rows = facts.mismatched & _adds_up(facts, inputs)
            # Zeros, which are of no residual, have another cause, unless they were the last column before it was added.
            others = facts.mismatched & ~rows & ~(facts.final_zero & ~_padded_with(facts, inputs))
            if rows.sum() > 1 or (rows.any() and not others.any()):
                yield from proposal(
                    self,
                    [Seen(facts, rows)],
                    "{rows}: at the expected step outputs - inputs equals final_state.h up to rounding: a residual "
                    "connection",
                    strength=2,
                )

    def undo(self, case: Case) -> Iterable[Undone]:
        if case.batch is None or not _can_add(case):
            return
        room = max(case.tolerance.atol, _rounding(case.trace.tracks[-1].outputs, case.batch.inputs))
        computed = any(padding == "computed" for facts in case.facts for padding in facts.padding)
        short = any((facts.zero & facts.mask).any() for facts in case.facts)  # of other lengths
        for steps, where in WAYS if computed or short else WAYS[:1]:
            bare = _with_inputs_added(case, -1, steps).with_tracks(
                lambda t: _rounded_to_states(t, case.trace.layers - 1, room)
            )
            yield Undone(
                f"the inputs taken off the outputs{where}", replace(bare, tolerance=replace(case.tolerance, atol=room))
            )
        if any((facts.mismatched & ~facts.final_zero).any() for facts in case.facts):
            yield Undone("the inputs added to the states too", _with_inputs_in_states(case))

    def inject(self, case: Case) -> Case:
        if not _can_add(case):
            raise CannotInject("needs as many features as units, and outputs in input time")
        return _with_inputs_added(case, 1, "not zero")


def _padded_with(facts: TrackFacts, inputs: Array) -> Bools:
    """`[B]`: the rows whose last column is padding that holds the inputs `[B, T, F]`: it was zero before."""
    return np.asarray(~facts.mask[:, -1] & (facts.outputs[:, -1] == inputs[:, -1]).all(-1))


def _can_add(case: Case) -> bool:
    batch, top = case.batch, case.trace.tracks[-1]
    return (
        batch is not None
        and top.outputs is not None
        and batch.inputs.shape == top.outputs.shape
        and all(t.order == "time" for t in case.trace.tracks)
    )


def _rounding(outputs: Array | None, inputs: Array) -> float:
    """How far from what it was an output may be once an input was added to it and taken off again."""
    if outputs is None or outputs.dtype.kind != "f":
        return 0.0
    largest = [float(np.abs(a[np.isfinite(a)]).max(initial=0.0)) for a in (outputs, inputs)]
    return float(np.finfo(outputs.dtype).eps) * sum(largest)


def _rounded_to_states(track: Track, top: int, room: float) -> Track:
    """The top layer's track with every output that is within rounding of one of its states as that state, which other
    rules then find bit for bit; a few units are looked at first."""
    if track.layer != top or track.outputs is None or track.final is None:
        return track
    if track.final.shape[1] != track.outputs.shape[2]:
        return track
    coarse = (o for o in _coarser(track.outputs) if np.abs(o - track.outputs).max(initial=0.0) <= room)
    outputs = next(coarse, track.outputs).copy()
    cells = [] if track.cell is None or track.cell.shape != track.final.shape else [track.cell]  # outputs may hold c
    states = np.concatenate([track.final, *cells])
    for state in states[np.isfinite(states).all(-1) & states.any(-1)]:
        rows, steps = np.nonzero((np.abs(outputs[..., :GLANCE] - state[:GLANCE]) <= room).all(-1))
        near = (np.abs(outputs[rows, steps] - state) <= room).all(-1)
        outputs[rows[near], steps[near]] = state
    return replace(track, outputs=outputs)


def _coarser(outputs: Array) -> Iterator[Array]:
    """The outputs rounded as a run in lower precision leaves them: their sum with the inputs was not."""
    yield from (narrowed(outputs, name) for name in ("float16", "bfloat16") if outputs.dtype == np.float32)


def _with_inputs_added(case: Case, times: int, steps: Steps) -> Case:
    """The case with the inputs added so many times to the top layer's outputs of these steps; zeros elsewhere."""
    batch, real = case.batch, case.trace.mask[..., None]
    assert batch is not None

    def added(track: Track) -> Track:
        if track.outputs is None or track.layer != case.trace.layers - 1:
            return track
        there = track.outputs.any(-1, keepdims=True) if steps == "not zero" else real | (steps == "all")
        return replace(track, outputs=np.where(there, track.outputs + times * batch.inputs, 0))

    return case.with_tracks(added)


def _with_inputs_in_states(case: Case) -> Case:
    """The case with each input added to the top layer's state of its step, as it was to the outputs, which a second
    mistake may have changed since."""
    batch = case.batch
    assert batch is not None

    def added(track: Track) -> Track:
        if track.final is None or track.layer != case.trace.layers - 1 or track.final.shape[1] != batch.inputs.shape[2]:
            return track
        steps = case.trace.expected_steps(track)
        rows = np.flatnonzero(steps >= 0)
        final = track.final.copy()
        final[rows] += batch.inputs[rows, steps[rows]]
        return replace(track, final=final)

    return case.with_tracks(added)


def _adds_up(facts: TrackFacts, inputs: Array) -> Bools:
    """`[B]`: output - input equals the state to the rounding of that sum, with an input that is not zero."""
    rows = np.arange(facts.mismatched.size)
    at = np.maximum(facts.expected, 0)
    outputs, x = facts.at_end.astype(np.float64), gather(inputs, rows, at).astype(np.float64)
    final = facts.final.astype(np.float64)
    unit = np.finfo(facts.outputs.dtype if facts.outputs.dtype.kind == "f" else np.float64).eps
    room = 2 * unit * (np.abs(outputs) + np.abs(x) + np.abs(final))
    return np.asarray((np.abs(outputs - x - final) <= room).all(1) & (x != 0).any(1) & (facts.expected >= 0))


RULE = OutputResidual()
