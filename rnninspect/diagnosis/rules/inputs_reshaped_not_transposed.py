"""The inputs were viewed to the other layout, not transposed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.batch import Batch
from rnninspect.core.trace import Array
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees, fixed, largest, tolerance
from rnninspect.diagnosis.rule import CannotInject, Place, Proposal, Rule, Thread, Undone, describe_rows, places

FEW = 4  # rows that are looked at before all are
STRONG = 7  # a whole run
BATCH_FIRST, TIME_FIRST = "(B, T, F) viewed as (T, B, F)", "(T, B, F) viewed as (B, T, F)"


class InputsReshapedNotTransposed(Rule):
    name = "inputs-reshaped-not-transposed"
    summary = (
        "the outputs were computed from reshaped inputs: reshape was used where a transpose was needed, mixing rows "
        "and steps"
    )
    why = (
        "reshape and view keep the numbers in memory order and only change where the axes are cut. (B, T, F) viewed "
        "as (T, B, F) has the right shape, but every row holds pieces of other rows; only a transpose moves the "
        "axes."
    )
    fix = "inputs = inputs.swapaxes(0, 1)  # not reshape, which keeps the order of the numbers"
    group = "Rows, axes, layers"
    place = 10
    needs = ("outputs", "inputs", "weights")
    compares = True
    # Where a view leaves a row some of its steps, those follow from the ones before: the others look like new starts.
    implies = ("stale-initial-state", "restarted-within-row", "rows-chunked", "initial-state-unused")
    threads = (
        Thread(
            "https://github.com/jessicayung/blog-code-snippets/issues/6",
            "The training data must be transposed before view, or each row mixes several series.",
        ),
        Thread(
            "https://github.com/ThomasDelteil/HandwrittenTextRecognition_MXNet/issues/9",
            "A reshape where steps should be stacked gives the same shape with the numbers in another order.",
        ),
    )

    def missing(self, case: Case) -> list[str]:
        """Inputs whose shape fits no reading may fit a view."""
        return [need for need in super().missing(case) if need != "inputs" or _given(case) is None]

    def check(self, case: Case) -> Iterable[Proposal]:
        if case.batch is not None and (agrees(case) or fixed(case) is not None):
            return
        for how, inputs in _views(case):
            for read, and_back in ((case, ""), *_viewed_back(case, how)):
                if not _follows(read, inputs):
                    continue
                rows = list(range(case.trace.batch_size))
                off = frozenset[Place]().union(*(places(f, f.mismatched) for f in case.facts)) if and_back else None
                yield Proposal(
                    self.name,
                    f"{describe_rows(rows, len(rows))}: the outputs follow from inputs {how}{and_back}, which "
                    "mixes rows and steps",
                    off or frozenset[Place]((f.track.layer, f.track.direction, b) for f in case.facts for b in rows),
                    kind="state" if off else "fact",
                    strength=STRONG,
                    evidence={"view": how},
                )
                return

    def undo(self, case: Case) -> Iterable[Undone]:
        if case.batch is not None:
            for how, inputs in _views(case):
                yield Undone(f"inputs {how}", replace(case, batch=replace(case.batch, inputs=inputs)))

    def inject(self, case: Case) -> Case:
        if case.weights is None or case.batch is None:
            raise CannotInject("needs inputs and weights")
        view = next(_views(case), None)
        if view is None:
            raise CannotInject("needs two rows and two steps")
        ran = case.run(replace(case.batch, inputs=view[1]))
        return case.with_trace(replace(case.trace, tracks=ran.tracks))


def _follows(case: Case, inputs: Array) -> bool:
    """Whether the outputs are what the weights give of these inputs `[B, T, F]`: of a few rows, then of all."""
    from rnninspect.diagnosis.evidence.agreement import given_by_all, only_rows

    trace, batch = case.trace, case.batch
    anew = Batch(inputs, trace.mask, trace.lengths, trace.mask_given)
    viewed = replace(case, batch=anew if batch is None else replace(batch, inputs=inputs))
    assert viewed.batch is not None
    few = only_rows(viewed, np.flatnonzero(case.trace.mask.any(1))[:FEW])
    assert few.batch is not None
    if largest(few, few.run(few.batch)) > tolerance(case):
        return False
    return bool(given_by_all(viewed, viewed.run(viewed.batch)).all())


def _viewed_back(case: Case, how: str) -> Iterator[tuple[Case, str]]:
    """The case with its outputs as the run gave them, where they were then viewed as the inputs had been, and in words
    that they were; of whole rows alone."""
    if not case.trace.mask.all() or how not in (BATCH_FIRST, TIME_FIRST):
        return
    rows, steps = case.trace.mask.shape

    def before(outputs: Array) -> Array:
        if how == BATCH_FIRST:
            return outputs.reshape(steps, rows, -1).swapaxes(0, 1)
        return outputs.swapaxes(0, 1).reshape(rows, steps, -1)

    tracks = (t if t.outputs is None else replace(t, outputs=before(t.outputs)) for t in case.trace.tracks)
    read = case.with_trace(replace(case.trace, tracks=tuple(tracks)))
    yield read, ", and were viewed back as they had been"


def _given(case: Case) -> Array | None:
    """The inputs as they came, where their shape fits no reading; they hold as many numbers as they ought to. Of one
    row or one step a view mixes nothing."""
    if case.batch is not None or case.weights is None or 1 in case.trace.mask.shape:
        return None
    wanted = case.trace.mask.size * case.weights.layers[0].input_kernel.shape[1]
    return next((s.array for s in case.dump.slots if s.role == "inputs" and s.array.size == wanted), None)


def _views(case: Case) -> Iterator[tuple[str, Array]]:
    """Every view that the inputs `[B, T, F]` may have been read through, in words; those that change something."""
    rows, steps = case.trace.mask.shape
    raw = _given(case)
    if raw is not None:
        yield f"{raw.shape} viewed as ({steps}, {rows}, F)", raw.reshape(steps, rows, -1).swapaxes(0, 1)
        yield f"{raw.shape} viewed as ({rows}, {steps}, F)", raw.reshape(rows, steps, -1)
        return
    if case.batch is None or case.batch.inputs.shape[1] < steps:
        return
    inputs = case.batch.inputs
    for width in dict.fromkeys((inputs.shape[1], steps)):  # padded to more steps than the outputs, after or before
        part, rest = inputs[:, :width], inputs[:, width:]
        ways = (
            (BATCH_FIRST, part.reshape(width, rows, -1).swapaxes(0, 1)),
            (TIME_FIRST, part.swapaxes(0, 1).reshape(rows, width, -1)),
            ("(B, F, T) viewed as (B, T, F)", part.swapaxes(1, 2).reshape(rows, width, -1)),
        )
        for how, view in ways:
            if not np.array_equal(view, part):
                yield how, np.concatenate([view, rest], 1) if rest.shape[1] else view


RULE = InputsReshapedNotTransposed()
