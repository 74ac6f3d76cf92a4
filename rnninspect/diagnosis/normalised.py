"""Outputs behind a layer norm beside the raw state: they are what no layer gave, and yet they tell its step.

LayerNorm (Ba et al. 2016): o = (h - mean(h)) / sqrt(var(h) + eps), over the units, then a scale and a shift of each.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import Judgement
from rnninspect.diagnosis.unexplained import UNEXPLAINED
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import gather

FEW_UNITS = 4  # with fewer, many vectors are one another's norm
ENOUGH_ROWS = 3  # that tell a scale and a shift of each unit, two numbers: one more than these fit by themselves
EPSILONS = (1e-5, 1e-3, 1e-6, 1e-12, 1e-8)  # torch's, Keras's, Flax's, and others in use
ROOM = 2e-4  # how far an output may be from the norm of its state, beside the largest


def as_normalised(case: Case, judgement: Judgement) -> Case | None:
    """The case without its outputs where no cause is known, and they are the layer norm of each state at its row's last
    real step, of two directions joined too: what the layer itself gave is not there. None else."""
    errors = [finding.rule for finding in judgement.findings if finding.severity != "note"]
    if errors != [UNEXPLAINED] or not case.trace.knows_padding or len(case.facts) != case.trace.directions:
        return None
    if case.trace.directions > 1:
        normed = all(_are_parts(*_ends(facts)) for facts in case.facts)
    else:
        normed = _is_norm(case.facts[0]) or (case.config.directions is None and _are_halves(case.facts[0]))
    if not normed:
        return None
    sentence = (
        "they are the layer norm of the final state at each row's last real step, which agrees with it; what the layer "
        "itself gave is not here: give the outputs from before the norm"
    )
    return case.with_trace(
        replace(
            case.trace,
            tracks=tuple(replace(track, outputs=None) for track in case.trace.tracks),
            source={**case.trace.source, "the outputs": sentence},
        )
    )


def _ends(facts: TrackFacts) -> tuple[Array, Array]:
    """The final states `[N, H]` of the rows with a real step, and the outputs where these should be; none of either
    where they tell nothing."""
    rows = facts.expected >= 0
    states, outputs = facts.final[rows].astype(np.float64), facts.at_end[rows].astype(np.float64)
    level = (outputs == outputs[:, :1]).all(1)  # as zeroed padding is, and the norm of no state
    finite = np.isfinite(states).all() and np.isfinite(outputs).all()
    if not facts.mismatched[rows].all() or not finite or level.any():
        return states[:0], outputs[:0]
    return states, outputs


def _is_norm(facts: TrackFacts) -> bool:
    """Whether the output at every row's last real step is the norm of its final state, with one scale and one shift of
    each unit, or none."""
    states, outputs = _ends(facts)
    if len(states) < 2 or states.shape[1] < FEW_UNITS:
        return False
    limit = ROOM * float(np.abs(outputs).max(initial=0.0))
    return any(_left(_norm(states, epsilon), outputs) <= limit for epsilon in EPSILONS)


def _are_halves(facts: TrackFacts) -> bool:
    """Whether the two halves of the units are the joined directions' own, each part of a norm at its own end."""
    states, outputs = _ends(facts)
    half = states.shape[1] // 2
    rows = np.flatnonzero(facts.expected >= 0)
    begun = gather(facts.outputs, rows, facts.mask[rows].argmax(1)).astype(np.float64)[:, half:]
    if states.shape[1] % 2 or not np.isfinite(begun).all():
        return False
    return _are_parts(states[:, :half], outputs[:, :half]) and _are_parts(states[:, half:], begun[: len(states)])


def _are_parts(states: Array, outputs: Array) -> bool:
    """Whether these outputs `[N, H]` are part of the norm of a longer vector, of which the states `[N, H]` are the same
    part: in every row they are these, times and plus a number of the row's own."""
    if len(states) < 2 or states.shape[1] < FEW_UNITS:
        return False
    x, y = states - states.mean(1, keepdims=True), outputs - outputs.mean(1, keepdims=True)
    spread = (x**2).sum(1)
    if not (spread > 0).all():
        return False
    times = (x * y).sum(1) / spread
    left = float(np.abs(y - x * times[:, None]).max())
    return bool((times > 0).all()) and left <= ROOM * float(np.abs(outputs).max(initial=0.0))


def _norm(states: Array, epsilon: float) -> Array:
    apart = states - states.mean(1, keepdims=True)
    return np.asarray(apart / np.sqrt((apart**2).mean(1, keepdims=True) + epsilon))


def _left(normed: Array, outputs: Array) -> float:
    """The largest difference that is left between the two `[B, H]`, as they are, or after the best scale and shift of
    each unit where there are rows enough."""
    bare = float(np.abs(normed - outputs).max())
    if len(normed) < ENOUGH_ROWS:
        return bare
    x, y = normed - normed.mean(0), outputs - outputs.mean(0)
    spread = (x**2).sum(0)
    if not (spread > 0).all():
        return bare
    return min(bare, float(np.abs(y - x * ((x * y).sum(0) / spread)).max()))
