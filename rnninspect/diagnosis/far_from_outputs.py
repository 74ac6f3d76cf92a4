"""Whether the states are far from every output, so that no cause of a known kind explains them: few units bring one of
few rows near an output by chance."""

from __future__ import annotations

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import Judgement
from rnninspect.diagnosis.unexplained import UNEXPLAINED
from rnninspect.measure.facts import TrackFacts

FAR = 0.02  # share of the largest state: what a cast or a second run moves is less
FEW = 4  # one in so many rows may come near an output by chance


def nothing_explains(case: Case, judgement: Judgement) -> bool:
    """Whether something is off and no cause of it is known, but that a few states are near an output."""
    errors = [finding for finding in judgement.findings if finding.severity != "note"]
    return bool(errors) and all(is_untold(case, finding) for finding in errors)


def is_untold(case: Case, finding: Finding) -> bool:
    """Whether the finding names no cause, or one that a few near states are of by chance."""
    near = finding.rule == "state-from-another-run" and _are_few(finding.explains, case.trace.batch_size)
    return finding.rule == UNEXPLAINED or near


def is_far(facts: TrackFacts) -> bool:
    """Whether no state equals an output, and none is near one, beside the largest of them, but a few by chance: where
    every state is nearest to the step it ought to equal, a near one is no chance."""
    near = facts.distance <= FAR * np.abs(facts.final).max(initial=0.0)
    elsewhere = (facts.nearest != facts.expected) & (facts.real_counts > 1)
    by_chance = not near.any() or bool(elsewhere.any())
    return not facts.equal.any() and by_chance and _are_few(int(near.sum()), near.size)


def _are_few(near: int, rows: int) -> bool:
    return FEW * near <= rows
