"""Where a difference arises: the innermost layer whose real inputs agree and whose real results differ.

It is confirmed by putting what it returned undisturbed in its place: then the model's results agree again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.invariance.compare import Run
from rnninspect.invariance.model import Key, LayerCall, Patch, RunFailed
from rnninspect.invariance.probe import Outcome
from rnninspect.invariance.spot import Spot, spot_of
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


@dataclass(frozen=True, eq=False)
class _Suspect:
    """A call that turns real inputs that agree into real results that differ; `inner`: calls within it."""

    call: LayerCall
    results: tuple[str, ...]
    inner: bool
    after: LayerCall | None = None
    before: LayerCall | None = None
    seen: bool = True  # False: some layer within it, which is not seen
    spot: Spot | None = None
    calls: int = 1  # of this layer in the whole run


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
    return _described(tracing, suspects)


def _suspects(tracing: Tracing, paths: Sequence[str]) -> list[_Suspect]:
    """The calls that must be put right for the results to agree, in the order in which they began."""
    suspects: dict[str, _Suspect] = {}
    patches: dict[Key, Patch] = {}
    for _ in range(ROUNDS):
        run, calls = tracing.run(patches)
        if not tracing.differs(run, paths):
            break
        guilty = _innermost(tracing, run, calls, patches) or _outermost(tracing, run, calls, patches)
        if not guilty:
            break
        suspects.setdefault(guilty[0].call.name, guilty[0])
        patches |= {one.call.key: tracing.patch(one.call, run) for one in guilty}
    return [suspects[name] for name in suspects if _counts(tracing, name, suspects, patches, paths)]


def _innermost(tracing: Tracing, run: Run, calls: Sequence[LayerCall], patches: Mapping[Key, Patch]) -> list[_Suspect]:
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
        suspects.append(_Suspect(call, results, bool(within), *between, spot=spot_of(tracing, run, where), calls=count))
    return suspects


def _outermost(tracing: Tracing, run: Run, calls: Sequence[LayerCall], patches: Mapping[Key, Patch]) -> list[_Suspect]:
    """The model itself, where no layer within is seen to make the difference."""
    root = calls[0] if calls and calls[0].parent is None and calls[0].key not in patches else None
    if root is None:
        return []
    spot = spot_of(tracing, run, [place_in(root.key, ">", path) for path in root.results])
    return [_Suspect(root, tuple(root.results), len(calls) > 1, seen=False, spot=spot)]


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


def _counts(
    tracing: Tracing,
    name: str,
    suspects: Mapping[str, _Suspect],
    patches: Mapping[Key, Patch],
    paths: Sequence[str],
) -> bool:
    """Whether a suspect's difference reaches the results: whether they change as it alone is no longer put right."""
    if len(suspects) == 1:
        return True
    outer = {other for other, one in suspects.items() if one.inner and other != name}
    with_it = {key: patch for key, patch in patches.items() if key[0] not in outer}
    without = {key: patch for key, patch in with_it.items() if key[0] != name}
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


def _described(tracing: Tracing, suspects: Sequence[_Suspect]) -> Place:
    """The places in words, layers that are called at many steps once."""
    sentences, names = [], []
    for suspect in suspects:
        name = _name(tracing, suspect.call)
        if name not in names:
            names.append(name)
            sentences.append(_sentence(tracing, suspect))
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
    rule = _rule(tracing, first)
    where = "; and ".join(sentences[:NAMED]) + rest
    if rule is None:
        return Place(tuple(names), where, evidence, seen=first.seen)
    evidence |= {"rule": rule.rule, "recorded": rule.message}
    return Place(tuple(names), f"{where}; recorded there: {rule.rule}", evidence, rule.fix)


def _name(tracing: Tracing, call: LayerCall) -> str:
    return call.name or tracing.trial.model.live.name


def _sentence(tracing: Tracing, suspect: _Suspect) -> str:
    """The layer, or the code between two, and the first row and step that differ there."""
    call = f"call {suspect.call.number} of {suspect.calls}" if suspect.calls > 1 else ""
    return ", ".join(filter(None, [_layer(tracing, suspect), call, str(suspect.spot or "")]))


def _layer(tracing: Tracing, suspect: _Suspect) -> str:
    name, kind = _name(tracing, suspect.call), suspect.call.kind
    if not suspect.inner:
        noun = "node" if tracing.trial.model.live.framework == "onnx" else "layer"
        layer = f"the {noun} {name} ({kind})" if suspect.call.name else f"the model itself ({kind})"
        return f"{layer}, whose real inputs agree and whose {_results(suspect)} not"
    if not suspect.seen:
        return f"within {name}; in which of its layers is not seen"
    place = f"the code of {name} ({kind}) itself" if suspect.call.name else f"the code of {name} itself"
    if suspect.after is not None and suspect.before is not None:
        return f"{place}, between its layers {suspect.after.name} and {suspect.before.name}"
    if suspect.after is not None:
        return f"{place}, after its layer {suspect.after.name}"
    return place if suspect.before is None else f"{place}, before its layer {suspect.before.name}"


def _results(suspect: _Suspect) -> str:
    """Which of the call's results: a recurrent layer's by their names."""
    names = {"[0]": "outputs", "[1]": "final state", "[1][0]": "final state h", "[1][1]": "cell state c"}
    parts = [names.get(path, f"result{path}") for path in suspect.results] if suspect.call.recurrent else ["results"]
    parts = parts if all(p in (*names.values(), "results") for p in parts) else ["results"]
    return f"{' and '.join(dict.fromkeys(parts))} do{'es' if parts == ['final state'] else ''}"


def _rule(tracing: Tracing, suspect: _Suspect) -> Any:
    """The finding of the recurrent layer that the place is, or that its code follows; None where there is none."""
    layer, final = suspect.call, None
    if not layer.recurrent:
        before = suspect.after if suspect.inner else _layer_before(tracing, layer)
        final = _vector(tracing, suspect)
        if before is None or not before.recurrent or final is None:
            return None
        layer = before
    lengths = _lengths(tracing, layer)
    model, rules = tracing.trial.model, tracing.trial.rules
    asked = (layer.name, lengths.tobytes(), None if final is None else final.tobytes())
    if asked not in rules:
        rules[asked] = model.rule(layer.name, tracing.trial.batch, lengths, final)
    return rules[asked]


def _layer_before(tracing: Tracing, call: LayerCall) -> LayerCall | None:
    """The last recurrent layer that was called before."""
    keys = [one.key for one in tracing.calls]
    earlier = tracing.calls[: keys.index(call.key)] if call.key in keys else []
    return next((one for one in reversed(earlier) if one.recurrent), None)


def _vector(tracing: Tracing, suspect: _Suspect) -> Any:
    """The vector a row that the model goes on with: what the next layer reads, or a layer that makes it returns."""
    call, sign = (suspect.call, ">") if suspect.before is None else (suspect.before, "<")
    paths = call.results if suspect.before is None else call.inputs
    arrays = [tracing.base.results.get(place_in(call.key, sign, path)) for path in paths]
    vectors = [array if array.ndim == 2 else np.squeeze(array) for array in arrays if array is not None]
    return next((vector for vector in vectors if vector.ndim == 2), None)


def _lengths(tracing: Tracing, call: LayerCall) -> Any:
    """How many steps of each row are real to that layer."""
    rows = tracing.trial.base.rows
    for path in call.inputs:
        where = place_in(call.key, "<", path)
        axes = tracing.shapes.axes.get(where)
        if axes is not None and len(axes.step_axes) == 1:
            return np.array([tracing.shapes.counts[where, 0, row] for row in rows])
    return tracing.trial.batch.groups[0].lengths
