"""Which of several ways of giving arrays their roles is right: the one whose numbers show it, and no other as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import numpy as np

from rnninspect.conventions.dumps.first_pools import UNITS, are_pools
from rnninspect.conventions.dumps.misfits import several, untold
from rnninspect.conventions.dumps.roles import Guess
from rnninspect.core.evidence import Reading, Slot
from rnninspect.core.trace import Array, Track
from rnninspect.core.wording import argument
from rnninspect.errors import ShapeError
from rnninspect.measure.choose_reading import Choice, fit_of
from rnninspect.measure.matching import take_rows

CONVINCING = 0.5  # share of rows that must match where an array's role is told by its numbers alone
FEW = 16  # rows of a state that are looked for among all steps


class Read(Protocol):
    """A guess that was read: what was chosen, and the arrays that have a role."""

    @property
    def choice(self) -> Choice: ...

    @property
    def slots(self) -> tuple[Slot, ...]: ...


R = TypeVar("R", bound=Read)


def choose_roles(guesses: list[Guess], read: Callable[[Guess], R]) -> R:
    """The guess that explains the numbers, `read`.

    Raises ShapeError where none does or several do alike, and what `read` raises where there is one guess alone.
    """
    if len(guesses) == 1:
        return _only(guesses[0], read(guesses[0]))
    readable = _readable(guesses, read)
    whose = {id(candidate): guess for guess, candidate in readable}
    candidates = [candidate for _, candidate in readable]
    if len(candidates) == 1 and fit_of(candidates[0].choice) >= CONVINCING:
        return _if_complete(whose[id(candidates[0])], candidates[0])
    kept = [c for c in candidates if c.choice.reading.as_stated and fit_of(c.choice) >= CONVINCING]
    candidates = kept or candidates  # what breaks with the axes or states that are usual, or stated, is no rival of it
    fits = [_fit_shown(whose[id(candidate)], candidate) for candidate in candidates]
    best = max(range(len(candidates)), key=lambda i: fits[i], default=None)
    if best is None or fits[best] < CONVINCING or sum(fit == fits[best] for fit in fits) > 1:
        raise ShapeError(several([c.slots for c in candidates] or [guess.slots for guess in guesses]))
    return _if_complete(whose[id(candidates[best])], candidates[best])


def _fit_shown(guess: Guess, candidate: R) -> float:
    """How much of the candidate fits; nothing where no name told outputs or state, and no state but zeros is a step."""
    told = not guess.by_shape or share_of_steps(candidate.choice.reading) > 0
    return fit_of(candidate.choice) if told else 0.0


def _if_complete(guess: Guess, candidate: R) -> R:
    """The candidate; ShapeError where its state was told by shape alone, is of one layer and direction of several, and
    is not right, beside as many arrays of its shape as would be the others': names tell nothing of any."""
    trace, measured = candidate.choice.reading.trace, candidate.choice.measured or ()
    alone = any(t.final is None for t in trace.tracks if t.layer == trace.layers - 1)
    wrong = alone or any(facts.mismatched.any() for facts in measured)
    if "h" in guess.by_shape and wrong and len(guess.doubtful) >= len(trace.tracks) - 1 > 0:
        others = ", ".join(guess.doubtful)
        raise ShapeError(
            f"there are {len(trace.tracks)} states, of all layers and directions, and no name says which arrays they "
            f"are; {others} could be: name them by layer and direction, as in state_0_fw, or give their stack with "
            f"{argument('state')}"
        )
    return candidate


def choose_by_numbers(guesses: Iterable[Guess], read: Callable[[Guess], R]) -> R | None:
    """The one guess whose state is made of steps of the outputs, of whichever rows, or pools those of its own row; None
    where none or several are."""
    readable = [candidate for _, candidate in _readable(guesses, read)]
    candidates = [candidate for candidate in readable if _may_tell(candidate.choice.reading)]
    fits = [fit_of(candidate.choice) for candidate in candidates]
    if sum(fit == max(fits) >= CONVINCING for fit in fits) > 1:
        return None
    shares = [_share_shown(c) for c in candidates]
    if max(shares, default=0) < CONVINCING:
        shares = [share_of_pools(candidate.choice.reading) for candidate in candidates]
    best = max(range(len(candidates)), key=lambda i: shares[i], default=None)
    if best is None or shares[best] < CONVINCING or sum(share == shares[best] for share in shares) > 1:
        return None
    return None if _fits_turned(candidates[best], readable) else candidates[best]


def fit_as_named(chosen: R) -> float:
    """How well the arrays fit under their names: 0 where lengths count more steps than there are."""
    trace = chosen.choice.reading.trace
    too_long = trace.lengths is not None and int(np.max(trace.lengths, initial=0)) > trace.steps
    return 0.0 if too_long else fit_of(chosen.choice)


def choose_exchanged(chosen: R, fit: float, exchanged: Iterable[Guess], read: Callable[[Guess], R]) -> R:
    """What names chose, which fits so well, or what has outputs and state exchanged, where that fits better."""
    better = choose_by_numbers(exchanged, read)
    return chosen if better is None or fit_of(better.choice) <= fit else better


def _fits_turned(best: R, readable: Iterable[R]) -> bool:
    """Whether the outputs fit as the state of what was taken for it, no worse: of one step, some of them zero, say."""
    pair = [_arrays(best, role) for role in ("outputs", "h")]
    turned = (c for c in readable if [_arrays(c, role) for role in ("h", "outputs")] == pair)
    return any(fit_of(c.choice) >= fit_of(best.choice) for c in turned)


def _share_shown(candidate: Read) -> float:
    """The share of states that equal a step of their own row, or of any other; nothing where none does but zeros."""
    elsewhere = share_of_steps(candidate.choice.reading)
    return max(fit_of(candidate.choice), elsewhere) if elsewhere else 0.0


def _arrays(candidate: Read, role: str) -> set[str]:
    return {slot.name for slot in candidate.slots if slot.role == role}


def _may_tell(reading: Reading) -> bool:
    """Whether steps differ, and rows: of weights filled with one number a direction, any part could be the state."""
    outputs = [track.outputs for track in reading.trace.tracks if track.outputs is not None]
    return any((o != o[:, :1]).any() and (len(o) == 1 or (o != o[:1]).any()) for o in outputs)


def share_of_steps(reading: Reading) -> float:
    """The share of states that equal a step of the outputs, be it another row's or the other direction's; zeros tell
    nothing."""
    seen = [
        any(_is_step(state, outputs) for outputs in _outputs_of(reading, track))
        for track in reading.trace.tracks
        if track.outputs is not None and track.final is not None
        for state in track.final[np.flatnonzero(np.asarray(track.final).any(-1))[:FEW]]
    ]
    return sum(seen) / len(seen) if seen else 0.0


def share_of_pools(reading: Reading) -> float:
    """The share of states that are the maximum or the minimum of their row's first steps, or in proportion to their
    sum, whichever many; zeros tell nothing."""
    pooled: list[bool] = []
    for track in reading.trace.tracks:
        outputs, final = track.outputs, track.final
        if outputs is None or final is None or outputs.shape[2] != final.shape[1]:
            continue
        rows = np.flatnonzero(np.asarray(final).any(-1))[:FEW]
        pooled += are_pools(np.asarray(final[rows]), take_rows(outputs, rows, UNITS)).tolist()
    return sum(pooled) / len(pooled) if pooled else 0.0


def are_told_otherwise(reading: Reading) -> bool:
    """Whether so many of the states are pools, or steps of other rows, that it is no chance."""
    return max(share_of_pools(reading), share_of_steps(reading)) >= CONVINCING


def _outputs_of(reading: Reading, track: Track) -> list[Array]:
    """The outputs of the track's layer in every direction that has as many units, its own first."""
    others = [t.outputs for t in reading.trace.tracks if t.layer == track.layer and t is not track]
    every = [array for array in (track.outputs, *others) if array is not None]
    return [array for array in every if array.shape == every[0].shape]


def _is_step(state: Array, outputs: Array) -> bool:
    return bool((outputs == state).all(-1).any())


def _only(guess: Guess, only: R) -> R:
    """The one guess there is; ShapeError where no name told it and no number shows it."""
    if fit_of(only.choice) >= CONVINCING or not (guess.by_shape or guess.doubtful):
        return only
    elsewhere = share_of_steps(only.choice.reading)
    if guess.by_shape and elsewhere < CONVINCING:
        raise ShapeError(untold(guess))
    if guess.doubtful and fit_of(only.choice) == 0 and only.choice.measured and not elsewhere:
        own_name = next(slot.name for slot in only.slots if slot.role == "h")
        others = ", ".join(guess.doubtful)
        raise ShapeError(
            f"{own_name} equals no step of the outputs, and {others} could be the final state too: name it with "
            f"{argument('state')}, and the outputs with {argument('outputs')}"
        )
    return only


def _readable(guesses: Iterable[Guess], read: Callable[[Guess], R]) -> list[tuple[Guess, R]]:
    candidates = []
    for guess in guesses:
        try:
            candidates.append((guess, read(guess)))
        except ShapeError:
            continue
    return candidates
