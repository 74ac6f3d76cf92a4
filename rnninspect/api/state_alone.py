"""A final state without outputs: they are filled in from a run of the weights over the inputs, and the state is judged.

Outputs and states of one run are equal; those of two right runs are equal but for rounding. So a state that is as near
to a step of the run as rounding allows is set to that step's numbers before anything is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from rnninspect import conventions
from rnninspect.api.rounding import allowed_rounding, snapped
from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.batch import read_batch, with_what_weights_say
from rnninspect.conventions.dumps.misfits import shown
from rnninspect.conventions.dumps.readings import initial_states
from rnninspect.conventions.dumps.roles import guess_roles
from rnninspect.core.batch import Batch
from rnninspect.core.evidence import UNKNOWN, Belief, Origin, Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Bools, Trace, prefix_mask
from rnninspect.core.weights import Weights
from rnninspect.diagnosis.build_case import read_case, simulate
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_changes import changes_of
from rnninspect.diagnosis.rule import listed
from rnninspect.engine import cells
from rnninspect.errors import ShapeError
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.measure.facts import TrackFacts

MOST_NUMBERS = 1 << 22  # of a run's outputs, up to which wrongly converted weights are tried too


@dataclass(frozen=True, eq=False)
class StateAlone:
    """What was handed over, in its roles: `slots` hold a final state and inputs, and no outputs. `whose`: why it is
    read as that framework's."""

    arrays: Mapping[str, Array]
    slots: tuple[Slot, ...]
    named_roles: Mapping[Role, Slot]
    returned: tuple[Slot, ...]
    config: LayerConfig
    convention: Convention
    whose: Belief
    weights: Weights
    origin: Origin
    tolerance: Tolerance


@dataclass(frozen=True, eq=False)
class Run:
    """One run that the state may be of, in words, and the case that its outputs make with the state."""

    what: str
    case: Case

    @property
    def share(self) -> float:
        """Of all rows with a real step and a state that is not zero: how many equal some step of their own."""
        shares = []
        for facts in self.case.facts:
            telling = np.flatnonzero((facts.expected >= 0) & ~facts.final_zero)
            shares.append(np.any(facts.equal[telling], axis=1))
        hits = np.concatenate(shares) if shares else np.zeros(0)
        return float(hits.mean()) if hits.size else 0.0

    @property
    def ends(self) -> bool:
        """Whether every state is where this run ends."""
        return bool(self.case.facts) and not any(f.mismatched.any() or not _at_end(f).all() for f in self.case.facts)


def state_alone(
    arrays: Mapping[str, Array],
    config: LayerConfig,
    convention: str,
    weights: Weights | None,
    *,
    named_roles: Mapping[Role, Slot] | None = None,
    returned: tuple[Slot, ...] = (),
    origin: Origin = UNKNOWN,
    tolerance: Tolerance | None = None,
) -> StateAlone | None:
    """What is there to run, where a final state and inputs came with weights and without outputs; None else."""
    if weights is None:
        return None
    framework, whose = _framework(arrays, convention, weights, origin)
    guesses = guess_roles(framework, arrays, config, named_roles, returned, whose_known=convention != "auto")
    roles = [{slot.role for slot in guess.slots} for guess in guesses]
    if any("outputs" in of_guess or not {"h", "inputs"} <= of_guess for of_guess in roles):
        return None
    return StateAlone(
        arrays,
        guesses[0].slots,
        named_roles or {},
        returned,
        with_what_weights_say(config, weights),
        framework,
        whose,
        weights,
        origin,
        tolerance or Tolerance(),
    )


def _framework(
    arrays: Mapping[str, Array], convention: str, weights: Weights, origin: Origin
) -> tuple[Convention, Belief]:
    """Whose run it is, and why: as stated, by the arrays' own types, by the weights' names, by the arrays' names."""
    if convention != "auto":
        return conventions.get(convention), Belief(convention, ("stated",))
    for name, because in ((next(iter(origin.packages), ""), "own arrays"), (weights.convention, "names of weights")):
        if name:
            return conventions.get(name), Belief(name, (f"{name}'s {because}",))
    likely = conventions.of_dump(arrays, origin)[0]
    return likely, Belief(likely.name, ("names of arrays",))


def is_of_a_run(case: Case) -> bool:
    """Whether the outputs were filled in from a run, and whether the weights belong to the case is settled."""
    return "outputs" in case.trace.source


def case_of_state(alone: StateAlone) -> Case:
    """The case of a state and the outputs of the run that it is nearest to: as the layer ought to have run, over every
    step, or with weights that were converted as people do by mistake.

    Raises ShapeError where inputs and state have no rows in common, or the run cannot be made of what was given.
    """
    tried: list[Run] = []
    for run in runs(alone):
        tried.append(run)
        if run.ends:
            break
    best = max(tried, key=lambda run: (run.share, run.ends))
    if best.share == 0:
        best = next((run for run in runs_of_changed_weights(alone) if run.share == 1), best)
    allowed = allowed_rounding(best.case, alone.weights)
    sentence = (
        f"none were given; those of a run of the weights ({best.what}) are used, and the state is compared "
        f"with them within {allowed:.2g}, by which two right runs may differ"
    )
    trace = replace(best.case.trace, source={**best.case.trace.source, "outputs": sentence})
    evidence = replace(best.case.reading.evidence, conventions=(alone.whose,))
    case = best.case.with_reading(replace(best.case.reading, trace=trace, evidence=evidence), best.case.facts)
    case = replace(case, tolerance=Tolerance(alone.tolerance.rtol, max(alone.tolerance.atol, allowed)))
    open_question = not trace.knows_padding and best.share == 1 and not best.ends
    return case if open_question else case.with_weights(alone.weights)  # lengths that nobody stated decide it


def runs(alone: StateAlone) -> Iterator[Run]:
    """The runs of these weights, along every time axis that the shapes leave open."""
    for time_major in _time_axes(alone):
        config = replace(alone.config, time_major=time_major, axes_stated=True)
        batch = read_batch(alone.arrays, alone.convention, config, _named(alone))
        steps = "over the real steps" if batch.knows_padding else "over every step"
        right = _run(alone, config, batch, alone.weights, steps)
        yield right
        if not batch.knows_padding:
            yield from _of_shown_lengths(alone, config, batch, right.case)
        elif not batch.mask.all():
            whole = replace(batch, mask=np.ones_like(batch.mask))
            yield _run(alone, config, whole, alone.weights, "over every step, padding too")


def _of_shown_lengths(alone: StateAlone, config: LayerConfig, batch: Batch, case: Case) -> Iterator[Run]:
    """The run over the lengths that the forward states show, where that gives every state and something else speaks for
    them: a backward direction, which begins at the row's end, or inputs that are zero from there on."""
    hits = [facts.equal for facts in case.facts if facts.track.direction == "forward" and facts.track.layer == 0]
    if not hits or not hits[0].any(1).all():
        return
    lengths = hits[0].argmax(1) + 1
    real = prefix_mask(lengths, batch.mask.shape[1])
    padded_by_zeros = not np.any(batch.inputs[~real])
    if real.all() or not (padded_by_zeros or len(alone.weights.directions) == 2):
        return
    named = {**alone.named_roles, "lengths": Slot("lengths", "lengths", lengths)}
    supposed = replace(batch, mask=real, lengths=lengths)
    run = _run(replace(alone, named_roles=named), config, supposed, alone.weights, "over the steps that it shows")
    if run.ends:
        sentence = (
            f"none were stated; a run of the weights over {listed(lengths.tolist())} real steps gives these states, so "
            "these are taken"
        )
        trace = replace(run.case.trace, source={**run.case.trace.source, "lengths": sentence})
        yield replace(run, case=run.case.with_trace(trace, run.case.facts))


def runs_of_changed_weights(alone: StateAlone) -> Iterator[Run]:
    """Runs of the weights as they would be after each conversion that people get wrong."""
    time_major = _time_axes(alone)[0]
    config = replace(alone.config, time_major=time_major, axes_stated=True)
    batch = read_batch(alone.arrays, alone.convention, config, _named(alone))
    if batch.mask.size * alone.weights.layers[-1].units > MOST_NUMBERS:
        return
    for change in changes_of(alone.weights):
        yield _run(alone, config, batch, change.apply(alone.weights), f"with {change.description}")


def _named(alone: StateAlone) -> dict[Role, Slot]:
    """What makes the batch, by role: the same arrays whichever way they were handed over."""
    return {slot.role: slot for slot in alone.slots if slot.role in ("inputs", "lengths", "mask")}


def _time_axes(alone: StateAlone) -> list[bool]:
    """Whether the inputs' first axis may be time, the likelier first: the other one has as many rows as the state."""
    config = alone.config
    inputs = next(slot for slot in alone.slots if slot.role == "inputs")
    state = next(slot for slot in alone.slots if slot.role == "h")
    if config.axes_stated or (config.time_major and not config.axes_of_node):
        return [config.time_major]
    rows = set(state.array.shape[:-1]) or {1}
    lengths = [slot.array.size for slot in alone.slots if slot.role == "lengths"]
    shape = inputs.array.shape
    ways = (config.time_major, not config.time_major)
    axes = [way for way in ways if way < len(shape) and shape[way] in rows and set(lengths) <= {shape[way]}]
    if not axes:
        beside = f", lengths {lengths}" if lengths else ""
        raise ShapeError(
            f"inputs {inputs.name} {tuple(shape)} and the final state {state.name} {tuple(state.array.shape)}{beside} "
            "have no rows in common: inputs are [B, T, F] or [T, B, F], the state [B, H] or [L*D, B, H]"
        )
    return axes


def _run(alone: StateAlone, config: LayerConfig, batch: Batch, weights: Weights, what: str) -> Run:
    """The case that the outputs of one run make with the state."""
    initial = tuple(slot for slot in alone.slots if slot.role.startswith("initial"))
    units = {(w.layer, w.direction): (w.units, w.cell_units) for w in weights.layers}
    has_c = cells.get(weights.spec.cell).has_c
    rows = batch.mask.shape[0]
    starts = initial_states(initial, weights.depth, weights.directions, rows, units, has_c) if initial else None
    ran = simulate(batch, weights, alone.convention, config, initial=starts)
    try:
        case = read_case(
            alone.arrays,
            config,
            alone.convention.name,
            named_roles=alone.named_roles,
            returned=(*alone.returned, *_as_slots(ran, config)),
            origin=alone.origin,
            tolerance=alone.tolerance,
        )
    except ShapeError:
        states = shown(tuple(slot for slot in alone.slots if slot.role in ("h", "c")))
        ends = ", ".join(f"{t.name} {list(t.final.shape)}" for t in ran.tracks if t.final is not None)
        raise ShapeError(
            f"the final state ({states}) fits no run of these weights over these inputs, which ends in {ends}"
        ) from None
    allowed = allowed_rounding(case, weights)
    return Run(what, case.with_tracks(lambda track: snapped(case.trace, track, allowed)))


def _as_slots(ran: Trace, config: LayerConfig) -> Iterator[Slot]:
    for track in ran.tracks:
        assert track.outputs is not None
        array = track.outputs.swapaxes(0, 1) if config.time_major else track.outputs
        direction = track.direction if ran.directions > 1 or track.direction == "backward" else None
        yield Slot("outputs", f"outputs of a run, {track.name}", array, track.layer, direction)


def _at_end(facts: TrackFacts) -> Bools:
    """`[B]`: whether the state equals the expected step, as the mask of the run says; True without a real step."""
    steps = np.maximum(facts.expected, 0)[:, None]
    return np.asarray(np.take_along_axis(facts.equal, steps, 1)[:, 0] | (facts.expected < 0))
