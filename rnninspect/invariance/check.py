"""`check_padding`: does a live model read its padding, and do its rows meet each other?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.core.arrays import to_array
from rnninspect.core.full_lengths import FULL
from rnninspect.errors import ShapeError, UserError
from rnninspect.invariance.batch import Batch, Input, Side
from rnninspect.invariance.frameworks import wrapped
from rnninspect.invariance.judge import judged
from rnninspect.invariance.model import LiveModel, RunFailed
from rnninspect.invariance.nested import mapped
from rnninspect.invariance.observe import observed
from rnninspect.invariance.probe import Outcome, not_made
from rnninspect.invariance.probes import get, probes
from rnninspect.invariance.roles import constant_padding, understood
from rnninspect.invariance.statements import Sequences, statements, turned
from rnninspect.invariance.trial import Model, Trial
from rnninspect.report.report import Report

MAX_ROWS = 8
LAYOUTS = 6  # that are tried at most
OF_PADDING = ("noise", "more")  # probes that need to know which steps are padding


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
    side: Side | None = None,
    source: Mapping[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Whether a model's results for a row depend on its padding, on the batch's width, or on the other rows.

    `model`: a torch module, a Keras model, an ONNX Runtime session or the path of an `.onnx` file, or any function on
    arrays. `inputs`, `kwargs`: what it is called with, nested as it likes. `lengths`: real steps of each row: the name
    of the argument (or key) that holds them, an array `[B]`, which is also passed on where `forward` has an argument
    for it and none was given, a mapping from an input to either where several inputs have lengths of their own, or
    `"full"`: no row is shorter than T. `mask`: in their place, the name of an argument or an array `[B, T]`. Left
    out, arguments with such names are taken, which the report says.

    `probes`: these alone (`noise`, `more`, `permute`, `alone`, `reach`); `skip`: all but these. `rtol`, `atol`: what
    may differ, relative to the largest value of a result; by default what rounding may do in its dtype. `max_rows`: of
    a larger batch so many rows are taken, the shortest and the longest among them. `side`: where the padding is, if
    not behind. `source`, `progress`: for whoever shows it: what the report is to name, and a call for every run.

    The model runs without gradients and without dropout, about 20 + 2 * B times, some more on rows cut to few steps
    where all are long, and as often again where a place is looked for; it is given back as it was: weights, buffers,
    modes, hooks, gradients and all random numbers. Raises UserError where it does not run on this batch.

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
    arguments = _arguments(live, inputs, kwargs or {}, lengths, mask)
    leaves = _inputs(arguments)
    sequences = statements(leaves, lengths, mask)
    runner = Model(live, arguments, _ticker(progress))
    with live.kept():
        trial = _trial(runner, leaves, sequences, (rtol, atol), max_rows, side)
        outcomes = [_made(name, trial, bool(sequences), lengths) for name in names]
        missed = [one.reason for one in outcomes if one.held is None and one.probe in OF_PADDING]
        untested = (
            ""
            if sequences or _is_full(lengths) or not missed
            else f"whether padding is read cannot be told: {missed[0]}"
        )
        return judged(trial, outcomes, _notes(trial, sequences, lengths, mask, leaves), dict(source or {}), untested)


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


def _arguments(
    live: LiveModel, inputs: Sequence[Any], options: Mapping[str, Any], lengths: Any, mask: Any
) -> dict[str, Any]:
    """The arguments by name; lengths and masks that were stated as arrays are passed on where there is a place."""
    arguments = live.bind(inputs, options)
    free = [name for name in live.free() if name not in arguments]
    for value, names in ((lengths, ("lengths", "length", "lens")), (mask, ("mask",))):
        if value is None or isinstance(value, (str, Mapping)) or _has(arguments, value):
            continue
        if isinstance(value, (list, tuple)) and any(isinstance(item, str) for item in value):
            continue
        exact = [name for name in free if name in names]
        alike = [name for name in free if any(word[:3] in name for word in names)]
        for name in (exact or alike)[:1]:
            arguments |= live.bind((), {**arguments, name: value}) if False else {name: _as_given(value, inputs)}
    return arguments


def _has(arguments: Mapping[str, Any], value: Any) -> bool:
    """Whether the very numbers are among the arguments already."""
    array = to_array(value, "lengths")
    return any(one.array.shape == array.shape and (one.array == array).all() for one in _inputs(arguments))


def _as_given(value: Any, inputs: Sequence[Any]) -> Any:
    """Lengths as a tensor beside tensors, else as they are."""
    beside = next((one for one in inputs if hasattr(one, "detach")), None)
    if beside is None or hasattr(value, "detach"):
        return value
    import torch

    return torch.as_tensor(np.asarray(value))


def _inputs(arguments: Mapping[str, Any]) -> list[Input]:
    """Every array among the arguments."""
    leaves: list[Input] = []

    def visit(path: str, leaf: Any) -> Any:
        leaves.append(Input(path, np.array(to_array(leaf, path)), leaf))
        return leaf

    for name, value in arguments.items():
        mapped(value, visit, name)
    if not leaves:
        raise UserError("no arrays were given: call it with what the model is called with")
    return leaves


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
    best_fit = (False, False, 0, False, False)
    failed = ""
    for choice in range(2 * LAYOUTS):
        batch = _layout(leaves, sequences, choice, side)
        if batch is None:
            continue
        batch = _fewer_rows(batch, max_rows)
        try:
            trial = observed(model, batch, tolerance)
        except RunFailed as error:
            failed = failed or str(error)
            continue
        fit = _fit(trial)
        if best is None or fit > best_fit:
            best, best_fit = trial, fit
        if fit == (True, True, len(leaves), True, True):
            break
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
    return follows, apart, rows, not trial.blind, batch.padded and constant_padding(batch)


def _fewer_rows(batch: Batch, most: int) -> Batch:
    """At most so many rows: the shortest, the longest, and others between."""
    if most < 2:
        raise ShapeError(f"max_rows is {most}; two rows or more are needed")
    if batch.batch_size <= most:
        return batch
    order = np.argsort(batch.groups[0].lengths, kind="stable")
    picks = np.unique(np.linspace(0, batch.batch_size - 1, most).astype(int))
    return batch.take(sorted(order[picks].tolist()))


def _is_full(lengths: Any) -> bool:
    return isinstance(lengths, str) and lengths == FULL


def _made(name: str, trial: Trial, padded: bool, lengths: Any) -> Outcome:
    """The outcome of one probe; a model that fails on what the probe asks has not been checked by it."""
    if name in OF_PADDING and not padded:
        reason = "lengths='full': no row holds padding" if _is_full(lengths) else "the rows' lengths are not known"
        return not_made(name, reason)
    try:
        return get(name).make(trial)
    except RunFailed as error:
        return not_made(name, f"the model fails: {error}")


def _notes(trial: Trial, sequences: Sequence[Sequences], lengths: Any, mask: Any, leaves: Sequence[Input]) -> list[str]:
    """What was taken without being stated, and what could not be judged."""
    notes = []
    if lengths is None and mask is None and sequences:
        names = ", ".join(one.name or "" for one in sequences)
        notes.append(f"the {'mask is' if sequences[0].is_mask else 'lengths are'} read from the argument {names}")
    if trial.batch.groups[0].side == "left":
        notes.append("the padding is on the left: only there the shorter rows hold one value")
    total = next((one.array.shape[one.row or 0] for one in _rowed(leaves, trial)), trial.batch.batch_size)
    if total > trial.batch.batch_size:
        notes.append(f"{trial.batch.batch_size} of {total} rows were taken (max_rows)")
    if trial.empty:
        notes.append(f"without a real step, and not judged: rows {', '.join(map(str, sorted(trial.empty)))}")
    aside = [
        one.path
        for one in trial.batch.inputs
        if one.kind == "other" and one.row is not None and one.time is None and one.array.ndim > 1
    ]
    if aside and sequences:
        notes.append(f"not known to have these lengths, and left as it is: {', '.join(aside)}")
    sampled = [path for path in trial.base.results if path not in trial.steady]
    if sampled:
        notes.append(f"differs with the random numbers, and was judged by 'noise' alone: {_listed(sampled)}")
    loose = [path for path in trial.base.results if not trial.shapes.axes[path].row_axes and path in trial.steady]
    if loose:
        notes.append(f"does not follow the rows, and was not judged row by row: {_listed(loose)}")
    return notes


def _rowed(leaves: Sequence[Input], trial: Trial) -> list[Input]:
    placed = {one.path: one for one in trial.batch.inputs if one.kind == "data"}
    return [replace(one, row=placed[one.path].row) for one in leaves if one.path in placed]


def _listed(paths: Sequence[str]) -> str:
    from rnninspect.invariance.probe import shown

    return ", ".join(shown(path) for path in paths[:6]) + (f" and {len(paths) - 6} more" if len(paths) > 6 else "")
