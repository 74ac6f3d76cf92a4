"""The batch and time axes are the other way round than stated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.ran_over_rows import ran_over_rows
from rnninspect.diagnosis.rule import (
    CannotInject,
    Place,
    Proposal,
    Rule,
    Thread,
    Undone,
    describe_rows,
    places,
    rows_of,
)
from rnninspect.measure.choose_reading import padded_exactly

TURNED = "outputs = outputs.swapaxes(0, 1)  # np.stack(steps, axis=1) in the first place"


class BatchTimeSwapped(Rule):
    name = "batch-time-swapped"
    summary = "outputs and state fit only with batch and time exchanged: the axes are not the ones stated"
    why = (
        "PyTorch, ONNX and MXNet are time-major by default; TensorFlow, Keras, Flax and Paddle are batch-major. A "
        "batch in the other layout runs without an error, but rows are read as steps and steps as rows."
    )
    fix = "inputs = inputs.swapaxes(0, 1)  # to the axes that the layer reads; then run again"
    group = "Rows, axes, layers"
    place = 3
    needs = ("outputs",)
    implies = ("lengths-ignored", "padding-computed", "lengths-misaligned", "restarted-within-row")
    threads = (
        Thread(
            "https://github.com/HHTseng/video-classification/issues/42",
            "A video classifier hands a batch-major input to an LSTM that expects time first.",
        ),
        Thread(
            "https://github.com/NervanaSystems/neon/issues/311",
            "The data iterator flattens batch before time, and the LSTM reads time before batch.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        if not case.reading.time_swapped:
            if ran_over_rows(case):
                yield self._of_a_run(case)
            elif case.has("inputs") and case.has("weights"):
                yield from self._of_a_view(case)
            return
        matched = [place for f in case.facts for place in places(f, np.asarray(f.equal.any(1)))]
        shown = case.trace.batch_size == case.trace.steps and padded_exactly(case.facts)
        if not matched and not shown:
            return
        if matched and _outputs_alone(case):
            yield self._of_outputs_alone(case, frozenset(matched))
            return
        expected = "time-major" if case.config.time_major else "batch-major"
        used = "time-major" if not case.config.time_major else "batch-major"
        by_user = case.config.time_major or case.config.axes_stated
        default = case.convention.time_major == case.config.time_major
        opening = f"{expected} is {f'the default of {case.convention.name}' if default else 'usual'}"
        opening = f"stated {expected}" if by_user else opening
        kept = case.trace.knows_padding
        counted = any(slot.role in ("lengths", "mask") for slot in case.dump.slots)
        lengths = "the lengths fit it too" if kept else "the lengths do not: they were counted for the other axes"
        lengths = lengths if kept or counted else "no lengths are known"
        right = (kept or not (counted or by_user)) and not any(f.mismatched.any() for f in case.facts)
        right |= kept and not by_user and case.trace.batch_size != case.trace.steps  # lengths fit these axes alone
        if case.convention.time_major and not (by_user or default or kept) and counted:
            opening, used = f"the lengths fit {expected} arrays", f"{used}, the default of {case.convention.name},"
            lengths = "they were counted for the other axes"
        rows = describe_rows(rows_of(matched), case.trace.batch_size)
        fits = f"does the final state equal output steps, in {rows}; {lengths}"
        if shown and not right:  # padding tells the axes alone: what is wrong with the states has a cause of its own
            right, fits = True, "are the outputs padded where the lengths say"
            matched = [place for f in case.facts for place in places(f, np.asarray(f.ends > 0))]
        yield Proposal(
            self.name,
            f"{opening}, but only if read {used} {fits}",
            frozenset(matched),
            severity="error" if not right else "warning" if by_user else "note",  # a layer may have been told otherwise
            kind="fact",
            alternatives=("row-taken-for-step",) if _one_row(case) and not shown else (),
            evidence={"reading": case.reading.text},
            fix=TURNED if self.turns_outputs(case) else "",
        )

    def mends(self, case: Case) -> bool:
        """Where the outputs alone lie along other axes than those that were stated."""
        return self.turns_outputs(case)

    def turns_outputs(self, case: Case) -> bool:
        """Whether the axes were stated, and lengths, states and inputs are of a right run that has them: the outputs
        alone are to be transposed."""
        trace = case.trace
        by_user = case.config.time_major or case.config.axes_stated
        counted = trace.lengths is not None and trace.batch_size != trace.steps
        if not (case.reading.time_swapped and by_user and counted) or any(f.mismatched.any() for f in case.facts):
            return False
        return _outputs_alone(case) or not any(slot.role == "inputs" for slot in case.dump.slots)

    def _of_a_run(self, case: Case) -> Proposal:
        """Every row was a step of the layer's, as a run of its weights shows, whatever the states were taken from."""
        rows, steps = ("T", "B") if case.reading.time_major else ("B", "T")
        matched = frozenset(place for f in case.facts for place in places(f, np.asarray(f.ends > 0)))
        return Proposal(
            self.name,
            f"the inputs are [{rows}, {steps}, F], and a run of these weights gives the outputs only where it reads "
            f"them as [{steps}, {rows}, F]: the layer took rows for steps",
            matched,
            kind="fact",
            strength=8,
            evidence={"reading": case.reading.text},
        )

    def _of_a_view(self, case: Case) -> Iterable[Proposal]:
        """The outputs alone lie along other axes, which a reshape exchanged and a run tells: steps were stacked."""
        from rnninspect.diagnosis.evidence.outputs_viewed import outputs_viewed_back

        if outputs_viewed_back(case) is None:
            return
        rows, steps = ("T", "B") if case.reading.time_major else ("B", "T")
        yield Proposal(
            self.name,
            f"{{rows}}: the outputs are those of a run of these weights as [{steps}, {rows}, H], reshaped to [{rows}, "
            f"{steps}, H]: a reshape does not exchange axes, it mixes rows and steps; the states are right",
            frozenset().union(*(places(f, f.mismatched) for f in case.facts)),
            strength=8,
            evidence={"reading": case.reading.text},
            fix=f"outputs = outputs.reshape({steps}, {rows}, -1).swapaxes(0, 1)  # swapaxes(0, 1) in the first place",
        )

    def undo(self, case: Case) -> Iterable[Undone]:
        if not case.reading.time_swapped and case.has("inputs") and case.has("weights"):
            from rnninspect.diagnosis.evidence.outputs_viewed import outputs_viewed_back

            viewed = outputs_viewed_back(case)
            if viewed is not None:
                yield Undone("the outputs viewed back", viewed)

    def _of_outputs_alone(self, case: Case, matched: frozenset[Place]) -> Proposal:
        """The outputs alone lie along other axes: their steps were stacked, and not turned back."""
        read = "time-major" if case.reading.time_major else "batch-major"
        beside = "batch-major" if case.reading.time_major else "time-major"
        looped = case.weights is not None and case.weights.of_a_cell  # and a loop has whichever axes it stacks
        usual = case.reading.evidence.decided and case.convention.time_major is case.reading.time_major
        turned = looped or usual  # inputs are turned round on the way to a layer of such axes
        return Proposal(
            self.name,
            f"the inputs are {beside}, but only read {read} do the outputs hold the final state, in "
            f"{describe_rows(rows_of(matched), case.trace.batch_size)}: steps that are stacked along the first axis "
            "leave outputs to be transposed",
            matched,
            severity="note" if turned and not case.config.axes_stated else "warning",
            kind="fact",
            evidence={"reading": case.reading.text},
            fix=TURNED,
        )

    def inject(self, case: Case) -> Case:
        batch = case.batch
        begun = any(t.initial is not None for t in case.trace.tracks)  # a state a row, and these would be others
        if batch is None or case.weights is None or begun or case.trace.directions > 1 or case.trace.mask_given:
            raise CannotInject("needs inputs, weights, one direction and no initial state")
        inputs = np.ascontiguousarray(batch.inputs.swapaxes(0, 1))
        mask = np.ones(inputs.shape[:2], dtype=np.bool_)
        ran = case.run(replace(batch, inputs=inputs, mask=mask, lengths=None))
        trace = replace(ran, lengths=None, padding=case.trace.padding)
        swapped = case.with_reading(replace(case.reading, trace=trace, time_swapped=True, as_stated=False))
        stating = replace(case.layer, config=replace(case.config, axes_stated=True))  # the user is sure of them
        return replace(swapped, layer=stating, batch=replace(batch, inputs=inputs, mask=mask, lengths=None))


def _outputs_alone(case: Case) -> bool:
    """Whether the inputs lie along the axes that were stated or are usual, and so only the outputs along others."""
    inputs = next((s.array for s in case.dump.slots if s.role == "inputs"), None)
    rows, steps = case.trace.batch_size, case.trace.steps
    if inputs is None or inputs.ndim < 2 or rows == steps:
        return False
    there = inputs.shape[:2] if case.reading.time_major else inputs.shape[1::-1]
    return there[0] == rows and there[1] >= steps and not any(f.mismatched.any() for f in case.facts)


def _one_row(case: Case) -> bool:
    """Whether the state may as well be outputs[-1] as stated: one vector a row, which a layer would not have returned,
    and the last step of every row in this reading. The lengths count the steps of this reading, as rows."""
    lengths = next((s.array for s in case.dump.slots if s.role == "lengths"), None)
    flat = all(s.array.ndim == 2 for s in case.dump.slots if s.role == "h")
    counts = lengths is not None and lengths.size == case.trace.steps
    counts |= lengths is None and case.config.full_lengths == "stated" and case.trace.steps == case.trace.batch_size
    return flat and counts and all(bool(f.equal[:, -1].all()) for f in case.facts)


RULE = BatchTimeSwapped()
