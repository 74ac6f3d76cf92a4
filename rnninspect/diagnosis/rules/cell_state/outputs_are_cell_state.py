"""The outputs collected are c, not h."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.agreement import Key
from rnninspect.diagnosis.evidence.cell_beside_state import outputs_end_in
from rnninspect.diagnosis.evidence.cell_in_outputs import bounded_by_cell, cell_is_nearly_final_step
from rnninspect.diagnosis.evidence.weight_search import MUCH, tolerance
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal

TELLING = 8  # numbers at rows' ends by which c and h must differ
CELL = 32  # times what outputs may differ by: c adds up over the steps, and is larger
MOST_NUMBERS = 1 << 22  # of outputs in a run for each step: larger batches are left undecided


class OutputsAreCellState(Rule):
    name = "outputs-are-cell-state"
    summary = "the outputs hold c, the cell state, at every step; h and c themselves are right"
    why = (
        "A loop over LSTM cells collects c where it should collect h. The shapes are the same, but the output of the "
        "layer, which the layer above reads, is h = o * tanh(c); c is not bounded by 1 and has not passed the output "
        "gate."
    )
    fix = "steps.append(h)  # collect and pass on h, not c\noutputs = np.stack(steps, axis=1)"
    group = "What the state holds"
    place = 8
    needs = ("outputs", "cell state")
    threads = (
        Thread(
            "https://github.com/pytorch/examples/issues/167",
            "An example hands c, not h, from one LSTM cell to the next and collects it as the output.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        yield from proposal(
            self,
            [Seen(facts, cell_is_nearly_final_step(facts) & bounded_by_cell(facts)) for facts in case.facts],
            "{rows}: final_state.c equals the outputs at the expected step and final_state.h does not, though |h| is "
            "the smaller of the two in every unit, as in any LSTM: the outputs hold c",
            strength=5,
        )
        if case.config.attributes.get("activation") in (None, "tanh"):
            yield from proposal(
                self,
                [Seen(f, f.mismatched) for f in case.facts if outputs_end_in(f) == "c"],
                "{rows}: final_state.h, which c is too, equals no output; the outputs end as the c behind it would, "
                "with its signs and larger in every unit: the outputs hold c",
                certainty="suspected",
            )

    def undo(self, case: Case) -> Iterable[Undone]:
        """c in h's place, as the outputs hold it: each h is the smaller of the two, so that they were not exchanged.
        Where a run of the weights tells that every output is its c, its h in the outputs' place besides."""
        of_run = _with_outputs_of_run(case)
        if of_run is not None:
            yield Undone("the outputs as the h of a run of these weights, whose c they hold at every step", of_run)
        apart = [facts.mismatched & ~bounded_by_cell(facts) for facts in case.facts]
        states = [(t.final, t.cell) for t in case.trace.tracks]
        alike = all(h is not None and c is not None and h.shape == c.shape for h, c in states)
        if alike and not any(rows.any() for rows in apart):
            in_place = case.with_tracks(lambda track: replace(track, final=track.cell, cell=track.final))
            yield Undone("c compared with the outputs in place of h", in_place)

    def inject(self, case: Case) -> Case:
        if any(t.cell is None or t.final is None or t.cell.shape != t.final.shape for t in case.trace.tracks):
            raise CannotInject("needs an LSTM without projection")
        if case.weights is None or case.batch is None or (case.trace.layers > 1 and case.trace.directions > 1):
            raise CannotInject("needs inputs and weights, and one layer or one direction")
        if any(t.order != "time" for t in case.trace.tracks):
            raise CannotInject("needs outputs in the order of time")
        return case.with_tracks(lambda track: _holding_cell(case, track))


def _with_outputs_of_run(case: Case) -> Case | None:
    """The case with a run's outputs at real steps, where it holds the run's c there; None where it does not, or is too
    large to run each step's c, which only a run that ends there tells."""
    if not (case.has("inputs") and case.has("weights")) or not _ends_in_cells(case) or _is_too_large(case):
        return None
    cells: dict[Key, Array] = {}
    limit, ran = CELL * tolerance(case), {(t.layer, t.direction): t.outputs for t in case.reference.tracks}
    for track in (t for t in case.trace.tracks if t.outputs is not None):
        held, real = _holding_cell(case, track).outputs, case.trace.stored_mask(track)
        outputs = ran.get((track.layer, track.direction))
        if (
            held is None
            or outputs is None
            or track.outputs is None
            or (np.abs(held - track.outputs)[real] > limit).any()
        ):
            return None
        cells[track.layer, track.direction] = np.where(real[..., None], outputs[:, : real.shape[1]], track.outputs)
    return case.with_tracks(lambda t: replace(t, outputs=cells.get((t.layer, t.direction), t.outputs)))


def _ends_in_cells(case: Case) -> bool:
    """Whether the outputs at every row's end are the c in which a run ends, and not its h: told by one run alone."""
    limit, telling = tolerance(case), 0
    tracks = [t for t in case.trace.tracks if t.outputs is not None]
    for track in tracks:
        ran, steps = case.reference.track(track.layer, track.direction), case.trace.expected_steps(track)
        rows = np.flatnonzero(steps >= 0)
        if ran is None or ran.cell is None or ran.final is None or track.order != "time" or track.outputs is None:
            return False
        ends = track.outputs[rows, steps[rows]]
        if ends.shape != ran.cell[rows].shape or not (np.abs(ends - ran.cell[rows]) <= CELL * limit).all():
            return False
        telling += int(np.count_nonzero(np.abs(ran.cell[rows] - ran.final[rows]) > MUCH * CELL * limit))
    return telling >= TELLING


def _is_too_large(case: Case) -> bool:
    units = sum(t.outputs.shape[2] for t in case.trace.tracks if t.outputs is not None)
    return bool(case.trace.steps * case.trace.mask.size * units > MOST_NUMBERS)


def _holding_cell(case: Case, track: Track) -> Track:
    """The track with c in place of every real output: where a run ends that reads so far and no further."""
    if track.outputs is None:
        return track
    held: Array = np.where(case.trace.mask[..., None], 0, track.outputs)
    for step in range(case.trace.steps):
        cell = _cell_after(case, track, step)
        held[:, step] = np.where(case.trace.mask[:, step, None], cell, held[:, step])
    return replace(track, outputs=held)


def _cell_after(case: Case, track: Track, step: int) -> Array:
    """`[B, H]`: c after this step was read."""
    assert case.batch is not None
    along = np.arange(case.trace.steps)
    read = np.zeros(case.batch.mask.shape, dtype=np.bool_)  # the inputs may go on behind the outputs
    read[:, : along.size] = case.trace.mask & (along >= step if track.direction == "backward" else along <= step)
    ran: Trace = case.run(replace(case.batch, mask=read, mask_given=True))
    ended = ran.track(track.layer, track.direction)
    assert ended is not None
    assert ended.cell is not None
    return ended.cell


RULE = OutputsAreCellState()
