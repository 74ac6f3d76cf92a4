"""What the rules of wrongly converted weights share: each names one kind of change to the weights."""

from __future__ import annotations

from collections.abc import Iterable

from rnninspect.core.weights import Weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import compared, fixed, fixed_by_two, may_differ, tolerance
from rnninspect.diagnosis.once import once
from rnninspect.diagnosis.rule import CannotInject, Place, Proposal, Rule


class WeightsRule(Rule):
    """A rule that is seen by running the weights: the dump agrees with them only after a change."""

    needs = ("outputs", "inputs", "weights")
    compares = True

    def check(self, case: Case) -> Iterable[Proposal]:
        if not may_differ(case):
            return
        from rnninspect.diagnosis.evidence.part_search import fixed_in_a_part, forget_bias_in_a_part

        fit = fixed(case) or forget_bias_in_a_part(case)
        if fit is None and _nothing_simpler(case):
            fit = fixed_in_a_part(case) or fixed_by_two(case)
        if fit is None or self.name not in {c.rule for c in fit.changes}:
            return
        description = " and ".join(c.description for c in fit.changes)
        yield Proposal(
            self.name,
            f"a run with these weights differs from the dump by up to {fit.before:.2g}; with {description}, by "
            f"{fit.after:.2g}{f', the rounding of {fit.precision}' if fit.precision else ''}",
            everywhere(case),
            kind="fact",
            alternatives=fit.also,
            evidence={"before": fit.before, "after": fit.after, "change": description},
        )

    def mends(self, case: Case) -> bool:
        """The weights are wrong, not the arrays of the dump."""
        return False

    def inject(self, case: Case) -> Case:
        if case.weights is None or case.batch is None:
            raise CannotInject("needs inputs and weights")
        return case.with_weights(self.corrupt(case.weights))

    def corrupt(self, weights: Weights) -> Weights:
        """The weights as the mistake leaves them."""
        raise NotImplementedError


@once
def _nothing_simpler(case: Case) -> bool:
    """Whether neither one missing thing, nor the state that rows began with, nor a layout explains the difference."""
    from rnninspect.diagnosis.evidence.parameter_fit import fitted_bias, fitted_clip, fitted_peepholes
    from rnninspect.diagnosis.evidence.teacher_forcing import follows_from_step_one

    fits = (fitted_bias, fitted_clip, fitted_peepholes)
    simpler = any(f.mismatched.any() for f in case.facts) or any(f(case) for f in fits)
    return not simpler and not follows_from_step_one(case)


def everywhere(case: Case) -> frozenset[Place]:
    """Every row of every measured track that a run of the weights does not give."""
    limit = tolerance(case)
    off = {(d.track.layer, d.track.direction) for d in compared(case, case.reference) if d.largest > limit}
    keys = [(f.track.layer, f.track.direction) for f in case.facts]
    return frozenset(
        (layer, direction, b)
        for layer, direction in keys
        if (layer, direction) in off or not off.intersection(keys)
        for b in range(case.trace.batch_size)
    )
