"""The whole backward track is still in reversed time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Array, Bools, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import AGREE, tolerance
from rnninspect.diagnosis.fix_code import time_axis
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal
from rnninspect.measure.facts import TrackFacts

TIME_MAJOR = (
    "rows = zip(outputs_bw.swapaxes(0, 1), lengths)\n"
    "outputs_bw = np.stack([np.concatenate([row[:n][::-1], row[n:]]) for row, n in rows], axis=1)  # in each length"
)


class BackwardNotFlipped(Rule):
    name = "backward-not-flipped"
    summary = "the backward outputs are in reversed time: they were not flipped back to input order"
    why = (
        "A second RNN that runs over reversed inputs returns its outputs in the order in which it read them, last "
        "input first. If they are concatenated with the forward outputs without being flipped back, step t pairs two "
        "different time steps."
    )
    fix = (
        "outputs_bw = np.stack(\n"
        "    [np.concatenate([row[:n][::-1], row[n:]]) for row, n in zip(outputs_bw, lengths)]  # within each length\n"
        ")"
    )
    fixed_in = "arrays"
    moves = "state"
    group = "Directions"
    place = 2
    needs = ("outputs", "a direction read backwards", "inputs", "weights")
    in_outputs = True
    implies = ("backward-final-at-last-step", "backward-read-padding", "gate-order", "padding-repeats-last-output")
    example = "bidirectional"
    compares = True
    threads = (
        Thread(
            "https://github.com/keras-team/keras/issues/1431",
            "With go_backwards the outputs are in reading order, so merging them pairs different steps.",
        ),
        Thread(
            "https://github.com/keras-team/keras/pull/1674",
            "A proposal to reverse the outputs of go_backwards, since users overlook that they are reversed.",
        ),
        Thread(
            "https://github.com/ContextScout/gcn_ner/issues/10",
            "A clean-up broke the code: backward outputs were joined to forward ones without being reversed.",
        ),
    )

    def missing(self, case: Case) -> list[str]:
        """Neither inputs nor weights are needed where a second dump, or the padding, shows which way round the outputs
        are."""
        shown = super().missing(case)
        shown = [need for need in shown if case.other is None or need not in ("inputs", "weights")]
        return (
            []
            if "a direction read backwards" not in shown and any(s.rows.any() for s in _padding_first(case))
            else shown
        )

    def code(self, case: Case) -> str:
        if any(s.rows.any() for s in _padding_first(case)):
            return _whole_axis(case)
        code = self.fix if time_axis(case) else TIME_MAJOR
        return code if case.trace.directions == 2 else code.replace("outputs_bw", "outputs")

    def fitted(self, case: Case, theirs: str) -> str:
        """Frameworks' code is that of two directions."""
        if case.trace.directions == 2:
            return theirs
        return (
            theirs.replace("outputs_bw", "outputs").replace("output_bw", "output").replace("Y[:n, 1, b]", "Y[:n, 0, b]")
        )

    def check(self, case: Case) -> Iterable[Proposal]:
        yield from proposal(
            self,
            _padding_first(case),
            "{rows}: the backward outputs begin with the padding, which lies at the rows' ends, and final_state.h "
            "equals the last of them: they are in reversed time",
            strength=5,
            fix=_whole_axis(case),
        )
        if case.has("inputs") and case.has("weights"):
            shown, whose = _turned_in(case, case.reference, tolerance(case)), "what the weights give"
        elif case.other is not None:
            shown, whose = _turned_in(case, case.other, _drift(case)), "those of the second dump"
        else:
            return
        yield from proposal(
            self,
            shown,
            f"{{rows}}: reversed within the length, the backward outputs are {whose}: they are in reversed time",
            strength=5,
        )

    def undo(self, case: Case) -> Iterable[Undone]:
        if (
            any(t.direction == "backward" for t in case.trace.tracks)
            and not case.trace.mask_given
            and all(t.order == "time" for t in case.trace.tracks)
        ):
            yield Undone("the backward outputs reversed within the lengths", _with_backward_turned(case))

    def inject(self, case: Case) -> Case:
        ways = {(t.direction, t.order) for t in case.trace.tracks}
        if ("backward", "time") not in ways or not (case.trace.real_counts > 1).any() or case.trace.mask_given:
            raise CannotInject("needs a direction read backwards, stored in time, and a row of two or more steps")
        return _with_backward_turned(case)


def _whole_axis(case: Case) -> str:
    """The code for outputs whose whole time axis is in the order read."""
    return f"outputs_bw = np.flip(outputs_bw, axis={time_axis(case)})  # the whole time axis: the padding lay in front"


def _with_backward_turned(case: Case) -> Case:
    """The case with the backward outputs turned round within each row's length."""
    lengths = case.trace.real_counts

    def turned(track: Track) -> Track:
        if track.direction != "backward" or track.outputs is None:
            return track
        return replace(track, outputs=_turned(track.outputs, lengths))

    return case.with_tracks(turned)


def _padding_first(case: Case) -> list[Seen]:
    """The rows that are off of backward tracks whose short rows begin with as many blank steps as they have padding,
    where the forward track's do not; none where a short row does not."""
    seen = []
    for facts in case.facts:
        forward = next((f for f in case.facts if f.track.layer == facts.track.layer and f is not facts), None)
        if facts.track.direction != "backward" or facts.track.order != "time" or forward is None:
            continue
        lead = np.arange(facts.steps) < (facts.steps - facts.real_counts)[:, None]
        telling = facts.short & facts.mask[:, 0]
        begins = _blank(facts, lead) & ~_blank(forward, lead)
        if telling.any() and begins[telling].all():
            seen.append(Seen(facts, facts.mismatched & facts.equal[:, -1]))
    return seen


def _blank(facts: TrackFacts, lead: Bools) -> Bools:
    """`[B]`: rows that are zero on these steps alone."""
    return np.asarray((facts.zero == lead).all(1))


def _drift(case: Case) -> float:
    """How far two right runs of one layer may be apart, by their precisions."""
    kinds = {kind for d in case.differences for kind in d.precisions}
    return max((AGREE[kind] for kind in kinds), default=0.0) * max((d.scale for d in case.differences), default=0.0)


def _turned_in(case: Case, reference: Trace, limit: float) -> list[Seen]:
    """The rows that are off whose backward outputs are the reference's in reverse, `limit` apart at most."""
    pairs = [(f, reference.track(f.track.layer, f.track.direction)) for f in case.facts if _is_in_time(f.track)]
    return [
        Seen(facts, facts.mismatched & _flipped(facts, track.outputs, limit))
        for facts, track in pairs
        if track is not None and track.outputs is not None and track.outputs.shape == facts.outputs.shape
        if _is_in_time(track)
    ]


def _is_in_time(track: Track) -> bool:
    return track.direction == "backward" and track.order == "time"


def _flipped(facts: TrackFacts, reference: Array, limit: float) -> Bools:
    """`[B]`: rows whose outputs, turned round within the length, are the reference's, and as they are, are not."""
    rows = np.zeros(facts.mismatched.shape, dtype=np.bool_)
    for b in np.flatnonzero(facts.ends > 1):
        end = int(facts.ends[b])
        ours, right = facts.outputs[b, :end].astype(np.float64), reference[b, :end].astype(np.float64)
        rows[b] = np.abs(ours[::-1] - right).max() <= limit < np.abs(ours - right).max()
    return rows


def _turned(outputs: Array, lengths: Array) -> Array:
    """`[B, T, H]` with each row's first `lengths[b]` steps in reverse."""
    turned = outputs.copy()
    for b, end in enumerate(lengths):
        turned[b, :end] = outputs[b, :end][::-1]
    return turned


RULE = BackwardNotFlipped()
