"""The outputs collected are c, not h."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.cell_beside_state import outputs_end_in
from rnninspect.diagnosis.evidence.cell_in_outputs import bounded_by_cell, cell_is_nearly_final_step
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal


class OutputsAreCellState(Rule):
    name = "outputs-are-cell-state"
    summary = "the outputs hold c, the cell state, at every step; h and c themselves are right"
    why = (
        "A loop over LSTM cells collects c where it should collect h. The shapes are the same, but the output of the "
        "layer, which the layer above reads, is h = o * tanh(c); c is not bounded by 1 and has not passed the output "
        "gate."
    )
    fix = "steps.append(h)  # what is collected and handed up is h, not c\noutputs = np.stack(steps, axis=1)"
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
        """c in h's place, as the outputs hold it: each h is the smaller of the two, so that they were not exchanged."""
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
    read = along >= step if track.direction == "backward" else along <= step
    ran: Trace = case.run(replace(case.batch, mask=case.trace.mask & read, mask_given=True))
    ended = ran.track(track.layer, track.direction)
    assert ended is not None
    assert ended.cell is not None
    return ended.cell


RULE = OutputsAreCellState()
