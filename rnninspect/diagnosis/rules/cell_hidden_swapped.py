"""c taken for h: the two states were unpacked in the other framework's order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.conventions.dumps.projected import EXCHANGED
from rnninspect.core.trace import Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.cell_beside_state import MANY, cannot_be_of, go_together, outputs_end_in
from rnninspect.diagnosis.evidence.cell_for_the_other_half import cell_for_the_other_half
from rnninspect.diagnosis.evidence.cell_in_outputs import SLACK, bounded_by_cell, cell_is_final_step, nearly_cell
from rnninspect.diagnosis.evidence.cells_of_run import are_cells_of_run, can_run
from rnninspect.diagnosis.fix_code import as_called
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import equal_at

STEP_BY_STEP = "h, c = cell(x, (h, c))  # not c, h; steps.append(h), and run again"
FIVE = "outputs, h_fw, c_fw, h_bw, c_bw = layer(inputs); h = np.concatenate([h_fw, h_bw], axis=-1)"
HALVES = {"forward": "fw", "backward": "bw"}


class CellHiddenSwapped(Rule):
    name = "cell-hidden-swapped"
    summary = "c equals the output at the final step and h does not: they were unpacked in the wrong order"
    why = (
        "TensorFlow's LSTMStateTuple and Flax's carry are (c, h); PyTorch and Keras return (h, c). Unpacking one in "
        "the order of the other swaps them, and since both have the same shape nothing fails."
    )
    fix = "h, c = c, h"
    fixed_in = "arrays"
    moves = "state"
    group = "What the state holds"
    place = 1
    reads_c = True
    needs = ("outputs", "cell state")
    in_states = True
    threads = (
        Thread(
            "https://github.com/microsoft/nni/pull/2842",
            "A fix of the order in which the two states of an LSTM are unpacked.",
        ),
        Thread(
            "https://github.com/asyml/texar-pytorch/issues/198",
            "The code returns (h, c); its documentation, taken from TensorFlow, says (c, h).",
        ),
        Thread(
            "https://github.com/keras-team/keras/pull/11726",
            "Keras' manual did not say which of the two returned states is which.",
        ),
    )

    def code(self, case: Case) -> str:
        if _at_every_step(case):
            return STEP_BY_STEP
        if crossed := _crossed(case):
            return _uncrossing(case, *crossed[:2])
        return self.fix if case.trace.layers == 1 else "states, cells = cells, states"

    def fitted(self, case: Case, theirs: str) -> str:
        return self.code(case) if _crossed(case) or _at_every_step(case) else as_called(case, theirs)

    def missing(self, case: Case) -> list[str]:
        """A run of the weights gives the cell state too."""
        spared = can_run(case) or cell_for_the_other_half(case) is not None
        return [need for need in super().missing(case) if need != "cell state" or not spared]

    def mends(self, case: Case) -> bool:
        """Unless the outputs hold c too, or no h stands beside it."""
        return case.has("cell state") and not _at_every_step(case)

    def check(self, case: Case) -> Iterable[Proposal]:
        if EXCHANGED in case.trace.source:
            yield from proposal(
                self,
                [Seen(facts, np.ones(facts.ends.shape, dtype=np.bool_)) for facts in case.facts],
                "{rows}: the state given as c has the units of the outputs and the one given as h has more, as c of a "
                "projected LSTM has: they are swapped",
                kind="fact",
            )
        yield from proposal(
            self,
            _at_every_step(case),
            "{rows}: final_state.h equals the outputs, but c goes with it as h does with c, with its signs and no "
            "larger than its tanh: h, and every output, is c, and final_state.c is h",
            kind="fact",
            certainty="suspected",
        )
        if crossed := _crossed(case):
            facts, other, rows = crossed
            yield from proposal(
                self,
                [Seen(f, rows) for f in case.facts if f is facts or f.track is other],
                f"{{rows}}: final_state.c of {_name(case, other)} equals the outputs of {_name(case, facts.track)} at "
                "the expected step, and the h that stands there goes with it as c does: the two stand in each other's "
                "place, as where h of both was unpacked before c, and the layer returns h and c in turn",
                strength=4,
            )
        half = cell_for_the_other_half(case)
        yield from proposal(
            self,
            [] if half is None else [Seen(half, half.mismatched)],
            "{rows}: the backward half of final_state.h is c of the forward pass"
            + (", as a run of the weights gives it" if can_run(case) else ", with the signs of its h and larger")
            + ": h and c of the one direction were taken for h of both",
            certainty="proven" if can_run(case) else "suspected",
            strength=4,
            fix=FIVE,
        )
        proven = [
            Seen(facts, cell_is_final_step(facts) & ~bounded_by_cell(facts) & ~nearly_cell(facts))
            for facts in case.facts
        ]
        yield from proposal(
            self,
            proven,
            "{rows}: final_state.c equals the outputs at the expected step, final_state.h does not: they are swapped",
            strength=4,
        )
        yield from proposal(
            self,
            [Seen(facts, are_cells_of_run(case, facts)) for facts in case.facts],
            "{rows}: final_state.h is the cell state c in which a run with these weights ends, and not its h, in which "
            "the outputs end: of the two states the wrong one was taken",
            strength=4,
        )
        if case.config.attributes.get("activation") in (None, "tanh"):
            suspected = [Seen(f, _bound_is_reversed(f) & ~p.rows) for f, p in zip(case.facts, proven, strict=True)]
            yield from proposal(
                self,
                suspected,
                "{rows}: an LSTM's |h| never exceeds |c|; here it does, and it would not with c and h exchanged",
                certainty="suspected",
            )
            yield from proposal(
                self,
                [Seen(f, f.mismatched) for f in case.facts if outputs_end_in(f) == "h"],
                "{rows}: final_state.h, which c is too, equals no output; the outputs end as the h behind it would, "
                "with its signs and no larger than its tanh: it holds c",
                certainty="suspected",
            )

    def undo(self, case: Case) -> Iterable[Undone]:
        as_named = [facts.mismatched & bounded_by_cell(facts) for facts in case.facts]
        if _can_swap(case) and not any(rows.any() for rows in as_named):
            yield Undone("h and c exchanged", case.with_tracks(_swapped))
        if crossed := _crossed(case):
            facts, other, _ = crossed
            here, there = facts.track, other
            exchanged = {id(here): replace(here, final=there.cell), id(there): replace(there, cell=here.final)}
            how = "h of the one and c of the other exchanged"
            yield Undone(how, case.with_tracks(lambda track: exchanged.get(id(track), track)))

    def inject(self, case: Case) -> Case:
        if not _can_swap(case):
            raise CannotInject("needs an LSTM without projection")
        return case.with_tracks(_swapped)


def _at_every_step(case: Case) -> list[Seen]:
    """The rows, all of them, whose h equals the outputs as it ought to, and is c: c goes with it as h goes with c, and
    not the other way round."""
    seen = []
    for facts in case.facts:
        off, h, c = cannot_be_of(case, facts.track), facts.final, facts.track.cell
        real = facts.mask.any(1)
        if off is None or c is None or facts.mismatched.any() or not c[real].all() or h[real].size < MANY:
            return []  # a c of zeros goes with any h
        if not (off == real).all() or not go_together(c, h)[real].all():
            return []
        seen.append(Seen(facts, np.asarray(real)))
    return seen


def _crossed(case: Case) -> tuple[TrackFacts, Track, Bools] | None:
    """The track whose h stands in the place of another's c, that other one, and the rows that show it; None where there
    is none: every row that is off is shown, and each state of the one goes with the other's as c does with h."""
    for facts in case.facts:
        off = facts.mismatched & ~facts.final_zero
        for other in case.trace.tracks if off.any() else ():
            h, cell = other.final, other.cell
            if other is facts.track or h is None or cell is None or not h.shape == cell.shape == facts.final.shape:
                continue
            rows = off & equal_at(facts.outputs, cell, np.arange(len(cell)), facts.expected)
            if np.array_equal(rows, off) and go_together(h, facts.final)[rows].all() and h[rows].size >= MANY:
                return facts, other, facts.mismatched
    return None


def _uncrossing(case: Case, facts: TrackFacts, other: Track) -> str:
    """The code that puts the two in each other's place."""
    here, tracks = facts.track, [(t.layer, t.direction) for t in case.trace.tracks]
    if case.trace.layers == 1:
        h, c = (f"{name}_{HALVES[t.direction]}" for name, t in (("h", here), ("c", other)))
    else:
        at = [tracks.index((t.layer, t.direction)) for t in (here, other)]
        h, c = f"states[{at[0]}]", f"cells[{at[1]}]"
        return f"{h}, {c} = {c}.copy(), {h}.copy()"
    return f"{h}, {c} = {c}, {h}  # each direction's h and c come in turn"


def _name(case: Case, track: Track) -> str:
    return f"layer {track.layer}" if case.trace.directions == 1 else f"the {track.direction} half"


def _can_swap(case: Case) -> bool:
    return all(t.cell is not None and t.final is not None and t.cell.shape == t.final.shape for t in case.trace.tracks)


def _swapped(track: Track) -> Track:
    return replace(track, final=track.cell, cell=track.final)


def _bound_is_reversed(facts: TrackFacts) -> Bools:
    """`[B]`: rows that are off, equal no output, and break |h| <= |c| where (c, h) exchanged keeps it.

    h = o * tanh(c) with 0 < o < 1 (Hochreiter & Schmidhuber 1997), so |h| <= |tanh(c)| <= |c|.
    """
    cell = facts.track.cell
    if cell is None or cell.shape != facts.final.shape:
        return np.zeros(facts.mismatched.shape, dtype=np.bool_)
    h, c = facts.final.astype(np.float64), cell.astype(np.float64)
    breaks = (np.abs(h) > np.abs(c) * SLACK).any(-1)
    keeps = (np.abs(c) <= np.abs(h) * SLACK).all(-1)
    return np.asarray(facts.mismatched & ~facts.equal.any(1) & breaks & keeps)


RULE = CellHiddenSwapped()
