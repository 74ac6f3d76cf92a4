"""Padded outputs repeat the last real one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.padding_habit import of_padding, put_at_zero
from rnninspect.diagnosis.fix_code import zeroed
from rnninspect.diagnosis.rule import (
    CannotInject,
    Proposal,
    Rule,
    Seen,
    Thread,
    Undone,
    past_the_end,
)
from rnninspect.measure.decimals import alike_below
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import gather
from rnninspect.measure.run_ends import run_ends
from rnninspect.measure.saturated import saturated_units


class PaddingRepeats(Rule):
    name = "padding-repeats-last-output"
    summary = "padded outputs repeat the row's last real output"
    why = (
        "Keras' masking copies the last output to the masked steps, so that outputs[:, -1] is right there; most "
        "frameworks write zeros. Anything that sums or averages over time counts the last output several times."
    )
    fix = "outputs = np.where((np.arange(outputs.shape[1]) < lengths[:, None])[..., None], outputs, 0)"
    fixed_in = "arrays"
    group = "Padding"
    place = 1
    needs = ("outputs", "lengths")
    threads = (
        Thread(
            "https://github.com/microsoft/onnxruntime/issues/12492",
            "A converted Keras model gives zeros at the masked steps, where Keras repeats the last output.",
        ),
        Thread(
            "https://github.com/keras-team/keras/issues/7878",
            "The predictions at padded steps repeat the last real one; what do loss and gradient make of them?",
        ),
        Thread(
            "https://github.com/keras-team/keras/issues/1569",
            "A request that masked steps repeat the last valid output instead of zeros, as Keras did by then.",
        ),
    )

    def code(self, case: Case) -> str:
        return zeroed(case, self.fix)

    def check(self, case: Case) -> Iterable[Proposal]:
        seen = [
            Seen(
                f,
                np.array([p == "repeat" for p in f.padding])
                & ~f.mismatched
                & (~f.uniform | _of_one_step(f))
                & ~f.final_zero
                & past_the_end(f),
            )
            for f in case.facts
        ]
        seen = [Seen(s.facts, s.rows & ~_may_be_rounding(s.facts)) if s.rows.any() else s for s in seen]
        seen = [Seen(s.facts, s.rows & ~_at_rest(s.facts)) if s.rows.any() else s for s in seen]
        message = "every padded output repeats the step before it instead of being zero"
        yield from of_padding(self, case, seen, "repeat", message)

    def undo(self, case: Case) -> Iterable[Undone]:
        return put_at_zero(case, "repeat")

    def inject(self, case: Case) -> Case:
        if case.trace.mask.all() or case.trace.padding != "zero" or case.trace.mask_given:
            raise CannotInject("needs a row with zeroed padding on the right")
        ends = np.maximum(case.trace.real_counts - 1, 0)
        index = np.minimum(np.arange(case.trace.steps)[None], ends[:, None])[..., None]

        def repeated(track: Track) -> Track:
            if track.outputs is None or track.direction == "backward":
                return track
            return replace(track, outputs=np.take_along_axis(track.outputs, index, 1))

        return case.with_tracks(repeated)


def _of_one_step(facts: TrackFacts) -> Bools:
    """`[B]`: rows with one real step, of which none but a padded one can equal it, where longer rows show that the
    layer's steps differ."""
    differ = (facts.mask.sum(1) > 1) & ~facts.uniform
    return np.asarray((facts.mask.sum(1) == 1) & differ.any())


def _may_be_rounding(facts: TrackFacts) -> Bools:
    """`[B]`: rows of a print-out that moved so little in their last real step that the next may be equal by rounding
    alone. A row of one step moved from zero."""
    room = alike_below(facts.outputs)
    if not room:
        return np.zeros(facts.ends.size, dtype=np.bool_)
    rows = np.arange(facts.ends.size)
    last = gather(facts.outputs, rows, np.maximum(facts.ends - 1, 0)).astype(np.float64)
    before = gather(facts.outputs, rows, np.maximum(facts.ends - 2, 0)).astype(np.float64)
    before[facts.ends < 2] = 0
    return np.asarray(np.abs(last - before).max(-1) < room)


def _at_rest(facts: TrackFacts) -> Bools:
    """`[B]`: rows that crept to a stop before their last real step, or whose units are all saturated there: the layer
    computes the same numbers again in padding like the steps before it."""
    rows, last = np.arange(facts.ends.size), np.maximum(facts.ends - 1, 0)
    saturated = saturated_units(gather(facts.outputs, rows, last)).all(-1)
    crept = (facts.ends > 1) & facts.repeats[rows, last] & (run_ends(facts) < 0)
    return np.asarray(saturated | crept)


RULE = PaddingRepeats()
