"""Another reading of a case, of which what was found is no mistake, or a known one."""

from __future__ import annotations

from collections.abc import Mapping

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.defaults import OTHERWISE
from rnninspect.diagnosis.judge import Judgement
from rnninspect.diagnosis.merged_state import as_computed, as_merged_state, as_summed
from rnninspect.diagnosis.normalised import as_normalised
from rnninspect.diagnosis.rule import Rule
from rnninspect.diagnosis.two_side_by_side import as_two
from rnninspect.diagnosis.verdict import UNLIKE


def otherwise(case: Case, judgement: Judgement, rules: Mapping[str, Rule]) -> Case | None:
    """The case in a reading of which what was found is no mistake, or a known one; None where none such is open."""
    changed = _as_changed_outputs(case, judgement)
    if changed is not None and UNLIKE not in changed.trace.source:
        return changed
    others = (way(case, judgement) for way in (*OTHERWISE, as_merged_state, as_normalised))
    other = next(filter(None, others), None) or as_two(case, judgement, rules)
    return other or as_computed(case, judgement) or as_summed(case, judgement) or changed


def _as_changed_outputs(case: Case, judgement: Judgement) -> Case | None:
    """The case without outputs that something changed, as a run of its weights shows; None without weights."""
    if case.weights is None:
        return None
    from rnninspect.diagnosis.changed_outputs import as_changed_outputs

    return as_changed_outputs(case, judgement)
