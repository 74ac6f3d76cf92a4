"""What a check took without being told, what it could not judge, and why nothing may be called clean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rnninspect.core.full_lengths import FULL
from rnninspect.core.wording import argument, worded
from rnninspect.diagnosis.rule import describe_rows
from rnninspect.errors import UserError
from rnninspect.invariance.batch import Batch, Input
from rnninspect.invariance.precision import ROUNDING
from rnninspect.invariance.probe import NOTHING, Outcome, shown
from rnninspect.invariance.statements import Sequences, statements
from rnninspect.invariance.trial import Trial

OF_PADDING = ("noise", "more")  # probes that need to know which steps are padding


def is_full(lengths: Any) -> bool:
    """Whether it was told that no row is shorter than T."""
    return isinstance(lengths, str) and lengths == FULL


def untested_by(trial: Trial, outcomes: Sequence[Outcome], told: bool) -> str:
    """Why nothing may be called clean, or an empty text; `told`: whether it is known which steps are padding."""
    late = [one.reason for one in outcomes if one.late or one.doubtful]
    if late:
        return late[0]
    if len(trial.empty) == trial.batch.batch_size:
        return "no row has a real step"
    if trial.unseen:
        return f"no result of {describe_rows(list(trial.unseen), trial.batch.batch_size)} holds a finite number"
    if trial.blank:
        return f"NaN, whatever was changed, in some unit of {_listed(trial.blank)}: nothing of it can be compared"
    if not trial.judged and len(trial.steady) < len(trial.base.results) and any(map(_left_to_chance, outcomes)):
        chance = _listed([path for path in trial.base.results if path not in trial.steady])
        return f"differs with the random numbers, so that not all that matters could be probed: {chance}"
    missed = [one.reason for one in outcomes if one.held is None and one.probe in OF_PADDING]
    hint = "" if told else _perhaps_lengths(trial.batch)
    return "" if told or not missed else f"whether padding is read cannot be told: {missed[0]}{hint}"


def _left_to_chance(outcome: Outcome) -> bool:
    """Whether a probe of the padding or of other rows could compare nothing."""
    return outcome.reason == NOTHING and outcome.probe in (*OF_PADDING, "alone")


def notes_on(trial: Trial, sequences: Sequence[Sequences], told: tuple[Any, Any], leaves: Sequence[Input]) -> list[str]:
    """What was taken without being stated, and what could not be judged; `told`: lengths and mask, as given."""
    notes = []
    bare = [one.path.removesuffix(".padded") for one in leaves if one.bare]
    if bare:
        notes.append(f"given without padding, so that a row's length is its number of steps: {', '.join(bare)}")
    elif told[0] is None and told[1] is None and sequences:
        names = ", ".join(one.name or "" for one in sequences)
        notes.append(f"the {'mask is' if sequences[0].is_mask else 'lengths are'} read from the argument {names}")
    if getattr(trial.model.live, "forgets", False):
        notes.append(
            "the model carries a state from call to call, which is set to zeros here, since it belongs to other rows"
        )
    if is_full(told[0]):
        notes += _overruled(leaves, trial.batch.widths[0])
    if trial.batch.groups[0].side == "left":
        notes.append("the padding is on the left: only there do the shorter rows hold one value")
    total = next((one.array.shape[one.row or 0] for one in _rowed(leaves, trial)), trial.batch.batch_size)
    if total > trial.batch.batch_size:
        notes.append(f"{trial.batch.batch_size} of {total} rows were taken (max_rows)")
    if trial.empty:
        notes.append(f"not judged, since they have no real step: rows {', '.join(map(str, sorted(trial.empty)))}")
    aside = [
        one.path
        for one in trial.batch.inputs
        if one.kind == "other" and one.row is not None and one.time is None and one.array.ndim > 1
    ]
    if aside and sequences:
        notes.append(f"left unchanged, since it may not have these lengths: {', '.join(aside)}")
    sampled = [path for path in trial.base.results if path not in trial.steady]
    if sampled:
        notes.append(
            f"differs with the random numbers, and was judged as far as one seed draws the same: {_listed(sampled)}"
        )
    if trial.precision in ("float16", "bfloat16"):
        share = ROUNDING[trial.precision][1]
        notes.append(f"computed in {trial.precision}: a leak below {share:.1%} of a result may be taken for rounding")
    loose = [path for path in trial.base.results if not trial.shapes.axes[path].row_axes and path in trial.steady]
    if loose:
        notes.append(f"has no entry per row, and was not judged row by row: {_listed(loose)}")
    unclear = [path for path, axes in trial.shapes.axes.items() if axes.unclear]
    if unclear:
        notes.append(f"not judged, since it is not known which steps its entries belong to: {_listed(unclear)}")
    return notes


def _perhaps_lengths(batch: Batch) -> str:
    """Which inputs hold a whole number a row that counts steps of another input, and how they would be stated."""
    pairs = {
        one.path: next((data.path for data in batch.inputs if _may_count(one, data)), "")
        for one in batch.inputs
        if one.array.ndim == 1 and one.array.dtype.kind in "iu"
    }
    pairs = {path: data for path, data in pairs.items() if data}
    named = {data: path for path, data in pairs.items()}
    if not pairs:
        return ""
    whole = len(named) == len(pairs) > 1  # a mapping where several inputs have lengths of their own
    options = [argument("lengths", named)] if whole else [argument("lengths", path) for path in pairs]
    return worded(f"; {', '.join([*pairs][:3])} may hold lengths: {' or '.join(options[:3])}")


def _may_count(one: Input, data: Input) -> bool:
    """Whether each number of an input `[B]` counts one to all steps of a row of another, of the same parent if any."""
    parent = one.path.rpartition("[")[0]
    shape = data.array.shape
    if data.array.ndim < 2 or (parent and data.path.rpartition("[")[0] != parent):
        return False
    low, high = (one.array.min(), one.array.max()) if one.array.size else (0, 0)
    return 0 < low < high and any(len(one.array) == shape[row] and high <= shape[1 - row] for row in (0, 1))


def _overruled(leaves: Sequence[Input], steps: int) -> list[str]:
    """What the inputs themselves say of shorter rows, where it was told that there are none."""
    try:
        listed = statements(leaves, None, None)
    except UserError:
        return []
    short = [one for one in listed if (not one.values.all() if one.is_mask else (one.values < steps).any())]
    return [f"lengths are stated as full, so {one.name}, by which rows are shorter, was not used" for one in short[:1]]


def _rowed(leaves: Sequence[Input], trial: Trial) -> list[Input]:
    placed = {one.path: one for one in trial.batch.inputs if one.kind == "data"}
    return [replace(one, row=placed[one.path].row) for one in leaves if one.path in placed]


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(shown(path) for path in paths[:6]) + (f" and {len(paths) - 6} more" if len(paths) > 6 else "")
