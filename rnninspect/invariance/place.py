"""Where a difference arises: the innermost layer whose real inputs agree and whose real results differ.

It is confirmed by putting what it returned undisturbed in its place: then the model's results agree again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array
from rnninspect.invariance.compare import Run
from rnninspect.invariance.layer_fixes import layer_fix
from rnninspect.invariance.layer_rule import layer_rule
from rnninspect.invariance.model import Key, LayerCall, Patch, RunFailed
from rnninspect.invariance.probe import Outcome
from rnninspect.invariance.seams import (
    Sorted,
    of_the_code,
    rows_permuted,
    sorted_in,
    swapped_axes,
)
from rnninspect.invariance.spot import spot_of
from rnninspect.invariance.suspect import Suspect, name_of, sentence
from rnninspect.invariance.traces import RESULT, Tracing, place_in, traced
from rnninspect.invariance.trial import Trial

ROUNDS = 8  # layers that are tried at most; all calls of one that are seen at once count as one
NAMED = 3  # places that are put into words


@dataclass(frozen=True)
class Place:
    """Which layers, in words and as evidence; `fix`: the exact rule's, where one is known."""

    names: tuple[str, ...]
    sentence: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    fix: str = ""
    seen: bool = True


def place_of(trial: Trial, outcome: Outcome) -> Place | None:
    """Where the outcome's difference arises, or None where the model's layers cannot be watched."""
    if outcome.disturbed is None:
        return None
    tracing = traced(trial, outcome.disturbed)
    if tracing is None:
        return None
    paths = [RESULT + one.path for one in outcome.differences]
    try:
        suspects = _suspects(tracing, paths)
    except RunFailed:
        return None
    if not suspects:
        return None
    return _described(tracing, suspects, outcome.probe)


def _suspects(tracing: Tracing, paths: Sequence[str]) -> list[Suspect]:
    """The calls that must be put right for the results to agree, in the order in which they began."""
    suspects: dict[str, Suspect] = {}
    patches: dict[Key, Patch] = {}
    for _ in range(ROUNDS):
        run, calls = tracing.run(patches)
        if not tracing.differs(run, paths):
            break
        guilty = _innermost(tracing, run, calls, patches)
        shown = sorted_in(tracing, run, calls)
        unsorted = _unsorted(shown, run, guilty, paths)
        if unsorted is not None:
            suspects.setdefault(unsorted.call.name, unsorted)
            break  # rows that are in another order from there on cannot be put in their place
        guilty = guilty or _outermost(tracing, run, calls, patches)
        if not guilty:
            break
        name = guilty[0].call.name
        if name not in suspects:
            suspects[name] = replace(guilty[0], rule=_rule_of_the_code(tracing, shown, guilty[0]))
        patches |= {one.call.key: tracing.patch(one.call, run) for one in guilty}
    return _that_count(tracing, suspects, patches, paths)


def _innermost(tracing: Tracing, run: Run, calls: Sequence[LayerCall], patches: Mapping[Key, Patch]) -> list[Suspect]:
    """The first call that has none within it whose inputs agree and whose results do not, and the same layer's others
    of which that is seen: a cell is called at every step.
    """
    guilty: dict[Key, tuple[LayerCall, tuple[str, ...]]] = {}
    for call in calls:
        if call.key in patches:
            continue
        if tracing.differs(run, [place_in(call.key, "<", path) for path in call.inputs]):
            continue
        differing = tracing.differs(run, [place_in(call.key, ">", path) for path in call.results])
        if differing:
            guilty[call.key] = call, tuple(one.path.partition(">")[2] for one in differing)
    parents = {call.key: call.parent for call in calls}
    outer = {above for key in guilty for above in _above(key, parents)}
    inner = [key for key in guilty if key not in outer]
    suspects = []
    for call, results in (guilty[key] for key in inner if key[0] == inner[0][0]):
        within = [one for one in calls if call.key in _above(one.key, parents)]
        between = _between(tracing, run, call, within)
        reader = between[1]
        where = [place_in(call.key, ">", path) for path in results]
        where = where if reader is None else [place_in(reader.key, "<", path) for path in reader.inputs]
        count = sum(one.name == call.name for one in calls)
        suspects.append(Suspect(call, results, bool(within), *between, spot=spot_of(tracing, run, where), calls=count))
    return suspects


def _outermost(tracing: Tracing, run: Run, calls: Sequence[LayerCall], patches: Mapping[Key, Patch]) -> list[Suspect]:
    """The model itself, where no layer within is seen to make the difference."""
    root = calls[0] if calls and calls[0].parent is None and calls[0].key not in patches else None
    if root is None:
        return []
    spot = spot_of(tracing, run, [place_in(root.key, ">", path) for path in root.results])
    return [Suspect(root, tuple(root.results), len(calls) > 1, seen=False, spot=spot)]


def _unsorted(shown: Sorted, run: Run, guilty: Sequence[Suspect], paths: Sequence[str]) -> Suspect | None:
    """The call that puts rows in another order, which are not put back: they are returned so, or read beside others."""
    reader, calls = guilty[0].call if guilty else None, shown.calls
    orders = shown.result(paths) if reader is None else shown.beside_others(reader)
    if orders is None or not calls:
        return None
    within = _parent(calls, reader)
    while reader is not None and reader is not within and shown.beside_others(within):  # it was given them so itself
        reader, within = within, _parent(calls, within)
    call = shown.sorter(within)
    spot = spot_of(shown.tracing, run, paths) if reader is None else guilty[0].spot
    count = sum(one.name == call.name for one in calls)
    rule = rows_permuted(*orders, shown.first)
    before = reader if call is within else None
    return Suspect(call, tuple(call.results), True, shown.last(call), before, spot=spot, calls=count, rule=rule)


def _parent(calls: Sequence[LayerCall], call: LayerCall | None) -> LayerCall:
    """The call that one was made in; of none the model's own."""
    return next((one for one in calls if call is not None and one.key == call.parent), calls[0])


def _rule_of_the_code(tracing: Tracing, shown: Sorted, suspect: Suspect) -> Finding | None:
    """What the code there did to rows and steps, or the layer took them for; None where it is nothing known."""
    if suspect.call.recurrent and not suspect.inner:
        return swapped_axes(tracing, suspect.call)
    if not suspect.inner:
        return of_the_code(shown, suspect.call, ">")
    return None if suspect.before is None else of_the_code(shown, suspect.before, "<")


def _above(key: Key, parents: Mapping[Key, Key | None]) -> list[Key]:
    keys = []
    above = parents.get(key)
    while above is not None:
        keys.append(above)
        above = parents.get(above)
    return keys


def _between(
    tracing: Tracing, run: Run, call: LayerCall, within: Sequence[LayerCall]
) -> tuple[LayerCall | None, LayerCall | None]:
    """The layers of a container between which its own code makes the difference."""
    after = None
    for inner in (one for one in within if one.parent == call.key):
        if tracing.differs(run, [place_in(inner.key, "<", path) for path in inner.inputs]):
            return after, inner
        after = inner
    return after, None


def _that_count(
    tracing: Tracing, suspects: Mapping[str, Suspect], patches: Mapping[Key, Patch], paths: Sequence[str]
) -> list[Suspect]:
    """The suspects whose difference reaches the results; last those of which it is only seen while what comes behind
    them is not put right, unless what they did is known: a layer that reads too much hides what is before it.
    """
    if len(suspects) < 2:
        return list(suspects.values())
    names = list(suspects)
    last: list[Suspect] = []
    first: list[Suspect] = []
    for place, name in enumerate(names):
        rest = {other for other in names if other != name and not suspects[other].inner}
        if _reaches(tracing, name, rest, patches, paths):
            first.append(suspects[name])
        elif _reaches(tracing, name, rest & set(names[:place]), patches, paths):
            (first if suspects[name].rule else last).append(suspects[name])
    return first + last


def _reaches(tracing: Tracing, name: str, others: set[str], patches: Mapping[Key, Patch], paths: Sequence[str]) -> bool:
    """Whether the results change as that layer is put right, beside these others."""
    without = {key: patch for key, patch in patches.items() if key[0] in others}
    with_it = {key: patch for key, patch in patches.items() if key[0] in others or key[0] == name}
    first, second = tracing.run(without)[0], tracing.run(with_it)[0]
    return any(
        _changes(tracing, first.results[path], second.results[path])
        for path in paths
        if path in first.results and path in second.results
    )


def _changes(tracing: Tracing, first: Array, second: Array) -> bool:
    """Whether two results differ by more than rounding."""
    if first.shape != second.shape:
        return True
    rtol, atol = tracing.trial.within(first.dtype, tracing.disturbed.same_shapes)
    allowed = atol + rtol * float(np.abs(first[np.isfinite(first)]).max(initial=0.0))
    return not np.allclose(first, second, rtol=0.0, atol=allowed, equal_nan=True)


def _described(tracing: Tracing, suspects: Sequence[Suspect], probe: str) -> Place:
    """The places in words, layers that are called at many steps once."""
    sentences, names = [], []
    for suspect in suspects:
        name = name_of(tracing, suspect.call)
        if name not in names:
            names.append(name)
            sentences.append(sentence(tracing, suspect))
    first = suspects[0]
    evidence: dict[str, Any] = {"where": names[0], "layer_kind": first.call.kind, "own_code": first.inner}
    if first.inner and first.after is not None:
        evidence["after"] = first.after.name
    if first.inner and first.before is not None:
        evidence["before"] = first.before.name
    if first.calls > 1:
        evidence["call"] = first.call.number
    evidence |= {} if first.spot is None else first.spot.evidence
    if len(names) > 1:
        evidence["also"] = names[1:]
    rest = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
    where = "; and ".join(sentences[:NAMED]) + rest
    rule = first.rule or layer_rule(tracing, first)
    if rule is None:
        fix = "" if first.inner else layer_fix(first.call, tracing.calls, tracing.trial.model.live.framework, probe)
        return Place(tuple(names), where, evidence, fix, seen=first.seen)
    evidence |= {"rule": rule.rule, "recorded": rule.message}
    named = f"that is {rule.rule}: {rule.message}" if first.rule else f"a recording of it finds {rule.rule}"
    return Place(tuple(names), f"{where}; {named}", evidence, rule.fix)
