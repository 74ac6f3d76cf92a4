"""`check_padding`: does a live model read its padding, and do its rows meet each other?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rnninspect.core.wording import worded
from rnninspect.errors import ShapeError
from rnninspect.invariance.arguments import arguments_of, inputs_of
from rnninspect.invariance.batch import Input, Side
from rnninspect.invariance.frameworks import wrapped
from rnninspect.invariance.full_float32 import full_float32
from rnninspect.invariance.judge import judged, located
from rnninspect.invariance.layout import trial_of
from rnninspect.invariance.model import OutOfTime, RunFailed
from rnninspect.invariance.notes import OF_PADDING, is_full, notes_on, untested_by
from rnninspect.invariance.place import Place
from rnninspect.invariance.probe import Outcome, not_made
from rnninspect.invariance.probes import get, probes
from rnninspect.invariance.ragged import padded_arguments
from rnninspect.invariance.rounding import OF_SHAPES, beyond_rounding
from rnninspect.invariance.several_inputs import doubtful, with_companions, with_unread
from rnninspect.invariance.statements import statements
from rnninspect.invariance.trial import Model, Trial
from rnninspect.report.report import Report

MAX_ROWS = 8
SECONDS = 60.0
LISTS_ARE_ROWS = ("torch", "function")  # elsewhere a list is several inputs
_DRIFTS = "the same batch gives other results from call to call: the model carries a state on, or draws numbers itself"


def check_padding(
    model: Any,
    *inputs: Any,
    lengths: Any = None,
    mask: Any = None,
    probes: Sequence[str] | str | None = None,
    skip: Sequence[str] | str = (),
    kwargs: Mapping[str, Any] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    max_rows: int = MAX_ROWS,
    seconds: float | None = SECONDS,
    side: Side | None = None,
    source: Mapping[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Check whether a model's results for a row depend on its padding, on the batch's width, or on the other rows.

    `model`: a torch module, a Keras model, an ONNX Runtime session or the path of an `.onnx` file, or any function on
    arrays. `inputs`, `kwargs`: what it is called with, nested or not. `lengths`: the number of real steps of each row:
    the name of the argument (or key) that holds it; an array `[B]`, which is also passed to `forward` if that has such
    an argument and none was given; a mapping from an input to either, if several inputs have lengths of their own; or
    `"full"`: no row is shorter than T. `mask`: instead of `lengths`, the name of an argument, an array `[B, T]` (True =
    real), or a mapping from an input to either. If both are left out, arguments with such names are used, and the
    report says so.

    `probes`: run only these (`noise`, `more`, `permute`, `alone`, `reach`); `skip`: run all but these. `rtol`, `atol`:
    the tolerated difference, relative to a result's largest value and absolute; by default what rounding may cause in
    its dtype. `max_rows`: use at most so many rows of the batch, the shortest and the longest among them. `seconds`:
    start no new run after this time; probes that could not run by then are listed as not checked, and the model is not
    called clean (None: no limit). `side`: the side of the padding, `"left"` or `"right"`; detected by default.
    `source`: what the report says of where the model is from; `progress`: called with the number of runs after each.

    The model runs without gradients and dropout, about 10 + 3 * B times, as often again on rows cut to few steps if all
    are long, and 10 + B times more to locate a difference; with one thread if that is faster; and with float32 products
    in full float32, since TF32 and bfloat16, the defaults on GPUs and TPUs, round differently for different shapes. Its
    weights, buffers, modes, hooks, gradients and the random states are left as they were.
    Raises UserError where it does not run on this batch, or `seconds` is too short for any result.

    >>> import torch
    >>> from torch import nn
    >>> class Last(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.rnn = nn.GRU(3, 4, batch_first=True)
    ...     def forward(self, x):
    ...         return self.rnn(x)[0][:, -1]
    >>> report = check_padding(Last(), torch.randn(2, 5, 3), lengths=[5, 2])
    >>> [finding.rule for finding in report.findings], report.findings[0].rows
    (['reads-padding'], [1])
    """
    names = _chosen(probes, skip)
    live = wrapped(model, [*inputs, *(kwargs or {}).values()])
    arguments = arguments_of(live, inputs, kwargs or {}, lengths, mask)
    arguments, bare = padded_arguments(arguments, lists=live.framework in LISTS_ARE_ROWS)
    leaves = inputs_of(arguments, bare)
    _refuse_nothing(leaves)
    sequences = statements(leaves, lengths, mask)
    runner = Model(live, arguments, _ticker(progress), seconds)
    with live.kept(), full_float32():
        if live.framework == "function":
            runner.measure(leaves)
        leaves = with_unread(runner, leaves, sequences)
        trial = trial_of(runner, leaves, sequences, (rtol, atol), max_rows, side)
        trial = with_companions(trial)
        outcomes, places = _probed(names, trial, bool(sequences), lengths)
        untested = untested_by(trial, outcomes, bool(sequences) or is_full(lengths))
        doubted = bool(sequences) and all(one.target is None for one in sequences)
        if doubted and not untested and not any(one.held is False for one in outcomes):
            untested = _doubts(trial)
        notes = notes_on(trial, sequences, (lengths, mask), leaves)
        return judged(trial, outcomes, places, notes, dict(source or {}), untested)


def _doubts(trial: Trial) -> str:
    try:
        return worded(doubtful(trial))
    except OutOfTime as error:
        return str(error)


def _refuse_nothing(leaves: Sequence[Input]) -> None:
    """Raise ShapeError on a batch without numbers: a model may do anything with it, ONNX Runtime ends the process."""
    arrays = [one for one in leaves if one.array.ndim > 1]
    if arrays and not any(one.array.size for one in arrays):
        raise ShapeError(
            f"{arrays[0].path} is of shape {list(arrays[0].array.shape)}, without any numbers: "
            "a batch with a row and a step or more is needed"
        )


def _ticker(progress: Callable[[int], None] | None) -> Callable[[], None]:
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if progress is not None:
            progress(count)

    return tick


def _chosen(names: Sequence[str] | str | None, skip: Sequence[str] | str) -> list[str]:
    """The probes to make. Raises UnknownNameError on a name that is none."""
    wanted = list(probes()) if names is None else [names] if isinstance(names, str) else list(names)
    left_out = [skip] if isinstance(skip, str) else list(skip)
    for name in (*wanted, *left_out):
        get(name)
    return [name for name in probes() if name in wanted and name not in left_out]


def _probed(
    names: Sequence[str], trial: Trial, padded: bool, lengths: Any
) -> tuple[list[Outcome], dict[str, Place | None]]:
    """The outcome of every probe, and where what differs arises, which is looked for before the next probe is made."""
    outcomes: list[Outcome] = []
    places: dict[str, Place | None] = {}
    drifts: bool | None = None
    for name in names:
        outcome = _made(name, trial, padded, lengths)
        if outcome.held is False:
            drifts = _drifts(trial) if drifts is None else drifts
            outcome = not_made(name, _DRIFTS, doubtful=True) if drifts else outcome
        if outcome.held is False and outcome.of_width and "more" in places:
            places[name] = None  # where its width enters is known by then
        elif outcome.held is False:
            try:
                places[name] = located(trial, outcome)
            except OutOfTime as error:
                places[name] = None
                unplaced = f"where the difference arises ({name}) was not looked for, {error}"
                outcome = replace(outcome, remark="; ".join(filter(None, [outcome.remark, unplaced])))
        outcomes.append(outcome)
    return outcomes, places


def _drifts(trial: Trial) -> bool:
    """Whether the batch as it was gives other results than at first, run again and once more: a model that keeps a
    state outside itself goes on from it wherever the rows are as many."""
    try:
        runs = (trial.run(trial.batch) for _ in range(2))
        return any(one.rows for run in runs for one in trial.compare(run, trial.judged, same_shapes=True, exact=True))
    except (RunFailed, OutOfTime):
        return False


def _made(name: str, trial: Trial, padded: bool, lengths: Any) -> Outcome:
    """The outcome of one probe; a model that fails on what the probe asks has not been checked by it."""
    if name in OF_PADDING and not padded:
        reason = "lengths='full': no row holds padding" if is_full(lengths) else "the rows' lengths are not known"
        return not_made(name, reason)
    if name == "noise" and trial.batch.bare:
        return not_made(name, "the sequences are given without padding")
    try:
        made = get(name).make(trial)
        return beyond_rounding(trial, get(name).make, made) if made.held is False and name in OF_SHAPES else made
    except RunFailed as error:
        return not_made(name, f"the model fails: {error}")
    except OutOfTime as error:
        return replace(not_made(name, str(error)), late=True)
