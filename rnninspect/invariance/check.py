"""`check_padding`: does a live model read its padding, and do its rows meet each other?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.core.wording import worded
from rnninspect.errors import ShapeError, UserError
from rnninspect.invariance.arguments import arguments_of, inputs_of
from rnninspect.invariance.batch import Batch, Input, Side
from rnninspect.invariance.frameworks import wrapped
from rnninspect.invariance.full_float32 import full_float32
from rnninspect.invariance.judge import judged, located
from rnninspect.invariance.model import OutOfTime, RunFailed
from rnninspect.invariance.notes import OF_PADDING, is_full, notes_on, untested_by
from rnninspect.invariance.observe import observed
from rnninspect.invariance.padding_content import told_by_content
from rnninspect.invariance.place import Place
from rnninspect.invariance.probe import Outcome, not_made
from rnninspect.invariance.probes import get, probes
from rnninspect.invariance.ragged import are_items, padded_arguments
from rnninspect.invariance.roles import understood
from rnninspect.invariance.several_inputs import doubtful, with_companions, with_unread
from rnninspect.invariance.statements import Sequences, statements, turned
from rnninspect.invariance.trial import Model, Trial
from rnninspect.report.report import Report

MAX_ROWS = 8
SECONDS = 60.0
LISTS_ARE_ROWS = ("torch", "function")  # elsewhere a list is several inputs
_DRIFTS = "the same batch gives other results from call to call: the model carries a state on, or draws numbers itself"
LAYOUTS = 6  # that are tried at most


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
    """Whether a model's results for a row depend on its padding, on the batch's width, or on the other rows.

    `model`: a torch module, a Keras model, an ONNX Runtime session or the path of an `.onnx` file, or any function on
    arrays. `inputs`, `kwargs`: what it is called with, nested as it likes. `lengths`: real steps of each row: the name
    of the argument (or key) that holds them, an array `[B]`, which is also passed on where `forward` has an argument
    for it and none was given, a mapping from an input to either where several inputs have lengths of their own, or
    `"full"`: no row is shorter than T. `mask`: in their place, the name of an argument, an array `[B, T]`, or a mapping
    from an input to either. Left out, arguments with such names are taken, which the report says.

    `probes`: these alone (`noise`, `more`, `permute`, `alone`, `reach`); `skip`: all but these. `rtol`, `atol`: what
    may differ, relative to the largest value of a result; by default what rounding may do in its dtype. `max_rows`: of
    a larger batch so many rows are taken, the shortest and the longest among them. `seconds`: how long it may take: it
    is asked before every run, and the one that is under way is let end; what was not probed by then is listed as not
    checked, and nothing is then called clean (None: no limit). `side`:
    where the padding is, if not behind. `source`, `progress`: for whoever shows it: what the report is to name, and a
    call for every run.

    The model runs without gradients and without dropout, about 10 + 3 * B times, as often on rows cut to few steps
    where all are long, and 10 + B times where a place is looked for (a few for a further one); with one thread, where
    that is faster; and with products of float32 in full float32: TF32 and bfloat16, the default on GPUs and TPUs, round
    as the shapes have it. It is given back as it was: weights, buffers, modes, hooks, gradients and all random numbers.
    Raises UserError where it does not run on this batch, or there is no time for anything.

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
        leaves = with_unread(runner, leaves, sequences)
        trial = _trial(runner, leaves, sequences, (rtol, atol), max_rows, side)
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


def _trial(
    model: Model,
    leaves: Sequence[Input],
    sequences: Sequence[Sequences],
    tolerance: tuple[float | None, float | None],
    max_rows: int,
    side: Side | None,
) -> Trial:
    """The first layout of the batch under which the model's results follow its rows."""
    best: Trial | None = None
    late = ""
    best_fit = (False, False, 0, False, False, False)
    failed = ""
    items = any(are_items(one.path, one.array) for one in leaves)
    for choice in range(4 * LAYOUTS if items else 2 * LAYOUTS):
        batch = _layout(leaves, sequences, choice % (2 * LAYOUTS), side)
        if batch is None:
            continue
        if choice >= 2 * LAYOUTS:  # rows that do not keep to themselves may do so where texts are of no row
            if best_fit[:2] == (True, True):
                break
            batch = _without_items(batch)
        batch = _fewer_rows(batch, max_rows)
        try:
            trial = observed(model, batch, tolerance)
            fit = (*_fit(trial), _as_read(trial.batch, getattr(model.live, "rows_axes", {})))
        except RunFailed as error:
            failed = failed or str(error)
            continue
        except OutOfTime as error:
            late = str(error)
            break
        if best is None or fit > best_fit:
            best, best_fit = trial, fit
        if fit[:-1] == (True, True, len(leaves), True, True):
            break
    if best is None and late:
        what = (
            f"after {model.passes} runs on {batch.batch_size if batch else 0} rows, before anything could be compared"
        )
        raise UserError(f"{model.live.name}: {late} {what}; allow it more (seconds=), fewer rows (max_rows=) or steps")
    if best is None:
        raise UserError(f"{model.live.name} does not run on this batch: {failed}")
    return best


def _layout(leaves: Sequence[Input], sequences: Sequence[Sequences], choice: int, side: Side | None) -> Batch | None:
    """The batch under one of its layouts; of the second half of the choices masks are read as `[T, B]`."""
    if choice < LAYOUTS:
        return understood(leaves, sequences, choice, side)
    masks = turned(sequences)
    try:
        return understood(leaves, masks, choice - LAYOUTS, side) if masks else None
    except ShapeError:  # it is one batch-major mask then
        return None


def _without_items(batch: Batch) -> Batch:
    """The batch whose texts are left as they are, whatever rows are taken."""
    inputs = (replace(one, row=None) if are_items(one.path, one.array) else one for one in batch.inputs)
    return replace(batch, inputs=tuple(inputs))


def _fit(trial: Trial) -> tuple[bool, bool, int, bool, bool]:
    """How well a layout agrees with what the model does: results follow the rows, rows keep to themselves, inputs have
    as many rows, the width can be changed, and what is taken for padding holds one value.
    """
    batch = trial.batch
    follows, rows = bool(trial.judged), sum(one.row is not None for one in batch.inputs)
    rest = list(range(1, batch.batch_size)) or [0]
    try:
        compared = trial.compare(trial.run(batch.take(rest), rest), trial.judged)
    except RunFailed:
        compared = []
    apart = bool(compared) and not any(one.rows for one in compared)
    return follows, apart, rows, not trial.blind, told_by_content(batch)


def _as_read(batch: Batch, rows_axes: Mapping[str, int]) -> bool:
    """Whether rows lie where the model's own layers take them from: it decides where what runs show does not."""
    axes = [(one.row, rows_axes[one.path]) for one in batch.inputs if one.kind == "data" and one.path in rows_axes]
    return bool(axes) and all(row == axis for row, axis in axes)


def _fewer_rows(batch: Batch, most: int) -> Batch:
    """At most so many rows: the shortest, the longest, and others between."""
    if most < 2:
        raise ShapeError(f"max_rows is {most}; two rows or more are needed")
    if batch.batch_size <= most:
        return batch
    order = np.argsort(batch.groups[0].lengths, kind="stable")
    picks = np.unique(np.linspace(0, batch.batch_size - 1, most).astype(int))
    return batch.take(sorted(order[picks].tolist()))


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
            outcome = replace(not_made(name, _DRIFTS), drifts=True) if drifts else outcome
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
        return get(name).make(trial)
    except RunFailed as error:
        return not_made(name, f"the model fails: {error}")
    except OutOfTime as error:
        return replace(not_made(name, str(error)), late=True)
