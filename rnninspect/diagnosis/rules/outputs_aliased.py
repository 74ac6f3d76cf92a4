"""Every step of a row holds its last output: one buffer was appended T times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect import conventions
from rnninspect.core.finding import Certainty
from rnninspect.core.tiles import release
from rnninspect.core.trace import Bools, Ints, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees, tolerance
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import any_of, same
from rnninspect.measure.saturated import saturated_units

ENOUGH = 12  # numbers that repeat: gates that are shut keep fewer of themselves


class OutputsAliased(Rule):
    name = "outputs-aliased"
    summary = "every output step of a row equals its last one: the same buffer was appended at each step"
    why = (
        "A hand-written loop wrote each step into the same array and appended that array, so that all steps show the "
        "values written last. The final state is right, and so is one step of the outputs."
    )
    fix = "steps.append(np.array(output))  # a copy of each step, not one buffer"
    group = "What the state holds"
    place = 5
    needs = ("outputs",)
    in_outputs = True
    implies = ("padding-repeats-last-output", "padding-computed", "mask-hole", "off-by-one-length")
    threads = (
        Thread(
            "https://github.com/pytorch/pytorch/pull/142303",
            "The loop in PyTorch's own documentation appends one buffer again and again, so all steps show the last.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        still = [_still(facts) for facts in case.facts]
        if not any(rows.any() for rows in still):
            return
        if _runs_alike(case) or not (case.trace.knows_padding or _padding_is_zero(case)):
            return  # the weights give these very outputs, or padding that nobody stated may repeat the last step
        varies = _inputs_vary(case)
        seen = []
        for facts, uniform in zip(case.facts, still, strict=True):
            long = facts.real_counts > 1
            alike = uniform & ~facts.final_zero & ~any_of(facts.nonfinite) & varies & (_moving_units(facts) > 0)
            if not facts.lengths_known and (long & alike).sum() == 1:
                continue  # one real step, that its padding repeats
            silent = uniform & (facts.final_zero | any_of(facts.nonfinite) | ~varies)  # these tell no kept buffer
            repeated = ((facts.real_counts - 1) * _moving_units(facts))[long & alike].sum()
            enough = repeated >= ENOUGH or (repeated > 0 and _ends_as_run(case, facts, long & alike))
            if enough and (alike | silent)[long].all():
                seen.append(Seen(facts, alike))
        certainty: Certainty = "proven" if case.batch is not None else "suspected"
        yield from proposal(
            self,
            seen,
            "{rows}: every output step equals the last one, though the inputs vary: one buffer was used for all steps",
            kind="fact",
            certainty=certainty,
        )

    def inject(self, case: Case) -> Case:
        if not (case.trace.real_counts > 1).any() or case.trace.directions > 1:
            raise CannotInject("needs one direction and a row of two or more steps")

        def aliased(track: Track) -> Track:
            if track.outputs is None or track.final is None:
                return track
            return replace(track, outputs=np.repeat(track.final[:, None], track.outputs.shape[1], 1))

        return case.with_tracks(aliased)


def _still(facts: TrackFacts) -> Bools:
    """`[B]`: rows whose real steps are all equal, whatever their padding holds, and rows without two real steps side by
    side whose padding repeats them."""
    within = facts.mask[:, 1:] & facts.mask[:, :-1]
    return np.where(within.any(1), (facts.repeats[:, 1:] | ~within).all(1), facts.uniform)


def _padding_is_zero(case: Case) -> bool:
    """Whether no framework that these may be of repeats the last output in padding, unless that was stated."""
    evidence = case.reading.evidence
    believed = [conventions.get(belief.name) for belief in evidence.conventions]
    repeats = not evidence.decided or any("repeat" in (whose.padding, *whose.also_leaves) for whose in believed)
    return case.trace.padding == "zero" and (case.config.padding is not None or not repeats)


def _runs_alike(case: Case) -> bool:
    """Whether a run of the weights gives the same numbers: a layer can settle at once."""
    return case.has("inputs") and case.has("weights") and agrees(case)


def _ends_as_run(case: Case, facts: TrackFacts, rows: Bools) -> bool:
    """Whether a run of the weights, which gives other steps before, ends these rows in what all of their steps hold:
    then few numbers prove it."""
    if not (case.has("inputs") and case.has("weights")):
        return False
    ran = case.reference.track(facts.track.layer, facts.track.direction)
    if ran is None or ran.final is None or ran.final.shape != facts.at_end.shape:
        return False
    return bool((np.abs(ran.final - facts.at_end)[rows] <= tolerance(case)).all())


def _inputs_vary(case: Case) -> Bools:
    """`[B]`: rows whose real inputs are not all the same step (all rows, where inputs are not given)."""
    rows = case.trace.batch_size
    if case.batch is None:
        return np.ones(rows, dtype=np.bool_)
    vary = np.zeros(rows, dtype=np.bool_)
    for b, row in enumerate(case.batch.inputs):
        real = row[case.batch.mask[b]]  # a copy
        vary[b] = not same(real, real[:1]).all()
        release(row)
    return vary


def _moving_units(facts: TrackFacts) -> Ints:
    """`[B]`: the units of a row's end that larger inputs would move."""
    return np.asarray((~saturated_units(facts.at_end)).sum(-1))


RULE = OutputsAliased()
