"""A call, or the code beside it, that is suspected of a difference, and how it is put into words."""

from __future__ import annotations

from dataclasses import dataclass

from rnninspect.core.finding import Finding
from rnninspect.invariance.model import LayerCall
from rnninspect.invariance.spot import Spot
from rnninspect.invariance.traces import Tracing


@dataclass(frozen=True, eq=False)
class Suspect:
    """A call that turns real inputs that agree into real results that differ; `inner`: calls within it."""

    call: LayerCall
    results: tuple[str, ...]
    inner: bool
    after: LayerCall | None = None
    before: LayerCall | None = None
    seen: bool = True  # False: some layer within it, which is not seen
    spot: Spot | None = None
    calls: int = 1  # of this layer in the whole run
    rule: Finding | None = None  # of what the code there did to rows or steps


def name_of(tracing: Tracing, call: LayerCall) -> str:
    """The layer's name; of the model itself, its own."""
    return call.name or tracing.trial.model.live.name


def sentence(tracing: Tracing, suspect: Suspect) -> str:
    """The layer, or the code between two, and the first row and step that differ there."""
    call = f"call {suspect.call.number} of {suspect.calls}" if suspect.calls > 1 else ""
    return ", ".join(filter(None, [_layer(tracing, suspect), call, str(suspect.spot or "")]))


def _layer(tracing: Tracing, suspect: Suspect) -> str:
    name, kind = name_of(tracing, suspect.call), suspect.call.kind
    if not suspect.inner:
        noun = "node" if tracing.trial.model.live.framework == "onnx" else "layer"
        layer = f"the {noun} {name} ({kind})" if suspect.call.name else f"the model itself ({kind})"
        return f"{layer}, whose real inputs are equal and whose {_results(suspect)} not"
    if not suspect.seen:
        return f"within {name} (in which of its layers cannot be seen)"
    place = f"the code of {name} ({kind})" if suspect.call.name else f"the code of {name}"
    if suspect.after is not None and suspect.before is not None:
        return f"{place}, between its layers {suspect.after.name} and {suspect.before.name}"
    if suspect.after is not None:
        return f"{place}, after its layer {suspect.after.name}"
    return place if suspect.before is None else f"{place}, before its layer {suspect.before.name}"


def _results(suspect: Suspect) -> str:
    """Which of the call's results: a recurrent layer's by their names."""
    names = {"[0]": "outputs", "[1]": "final state", "[1][0]": "final state h", "[1][1]": "cell state c"}
    parts = [names.get(path, f"result{path}") for path in suspect.results] if suspect.call.recurrent else ["results"]
    parts = parts if all(p in (*names.values(), "results") for p in parts) else ["results"]
    return f"{' and '.join(dict.fromkeys(parts))} do{'es' if parts == ['final state'] else ''}"
