"""Who leaves what in masked outputs after a right call: frameworks, and loops of somebody's own."""

from __future__ import annotations

from collections.abc import Iterator

from rnninspect import conventions
from rnninspect.core.trace import PaddingPolicy
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import padding_follows
from rnninspect.diagnosis.rule import Proposal, Rule, Seen, Undone, proposal


def of_padding(rule: Rule, case: Case, seen: list[Seen], padding: PaddingPolicy, message: str) -> Iterator[Proposal]:
    """What a rule says of rows that have this in masked outputs: a note where right calls leave it, an error otherwise;
    nothing where a run of the weights leaves it."""
    if any(s.rows.any() for s in seen) and padding_follows(case, padding):
        return
    severity = "note" if is_usual(case, padding) else "error"
    text = f"{{rows}}: {message}{_whose_habit(case, padding)}"
    yield from proposal(rule, seen, text, kind="padding", severity=severity)


def put_at_zero(case: Case, padding: PaddingPolicy) -> Iterator[Undone]:
    """The case with zeros in masked outputs, where some of them have this."""
    if case.trace.knows_padding and any(padding in facts.padding for facts in case.facts):
        yield Undone("padded outputs at zero", case.with_padding_at_zero())


def is_usual(case: Case, padding: PaddingPolicy) -> bool:
    """Whether the framework leaves this in masked outputs after a right call, or it is not known whose they are."""
    unless_stated = not case.reading.evidence.decided or bool(_who_leaves(case, padding))
    return case.trace.padding in (padding, "any") or (case.config.padding is None and unless_stated)


def _who_leaves(case: Case, padding: PaddingPolicy) -> str:
    """Who leaves this besides what the case's framework has as its padding: itself, in one direction or otherwise, a
    loop around a cell, or whose the weights are, where whose the arrays are was not stated; empty where none does."""
    if padding in (case.convention.padding, *case.convention.also_leaves):
        return case.convention.name
    weights = case.weights
    if (weights is None and _is_kept_by_a_loop(case, padding)) or (weights is not None and weights.of_a_cell):
        return "a loop around a cell"
    if weights is None or not weights.convention or case.reading.evidence.framework_stated:
        return ""
    theirs = conventions.get(weights.convention)
    return theirs.name if padding in (theirs.padding_for(case.config), *theirs.also_leaves) else ""


def _whose_habit(case: Case, padding: PaddingPolicy) -> str:
    """Who leaves this in masked outputs after a right call, as the end of a message; empty where nobody does."""
    if not is_usual(case, padding) or case.trace.padding == "any":
        return ""
    if case.config.padding is not None or case.reading.evidence.decided:
        who = case.convention.name if case.trace.padding == padding else _who_leaves(case, padding)
        return f"; {who} does this"
    names = " or ".join(belief.name for belief in case.reading.evidence.conventions)
    return f"; some frameworks do this, and which of them these arrays are from is undecided ({names})"


def _is_kept_by_a_loop(case: Case, padding: PaddingPolicy) -> bool:
    """Whether a loop of somebody's own made these outputs, which keeps its state at masked steps: every state comes as
    one `[B, H]`, where a layer of the framework returns them in a stack. A layer of it leaves no repeats, whatever its
    user does wrong."""
    states = [slot.array for slot in case.dump.slots if slot.role == "h"]
    return padding == "repeat" and case.convention.stacks_states and bool(states) and all(s.ndim == 2 for s in states)
