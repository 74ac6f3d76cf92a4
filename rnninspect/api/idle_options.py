"""Options and keywords that were stated and had no effect: each is named among what was not used, with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from rnninspect.conventions.weights.gates import ATTRIBUTES
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.engine import cells

_POLICIES = {"zero", "repeat", "computed"}  # what masked outputs hold, and is stated of them


def with_idle_options(case: Case, options: Mapping[str, Any] | None) -> Case:
    """The case whose evidence also lists the options that meant nothing to it.

    `options`: attributes of the cell, and what says how weights are read, as the user stated them, by their Python
    names; None where one was not stated. The case's own config holds what a file of weights says, too.
    """
    if options is None:
        return case
    layer = (*_of_the_layer(case), *_of_the_initial_state(case), *_of_the_merge(case, options))
    idle = (*_of_weights(case, options), *_of_the_cell(case, options), *layer)
    if not idle:
        return case
    evidence = case.reading.evidence
    unused = tuple(dict.fromkeys((*evidence.unused, *idle)))
    return case.with_reading(replace(case.reading, evidence=replace(evidence, unused=unused)), case.facts)


def _of_weights(case: Case, options: Mapping[str, Any]) -> Iterator[str]:
    if case.weights is not None and not case.has("inputs"):
        yield f"{argument('weights')} was not used: a run of them needs the inputs"
    for name in ("weights_convention", "weights_prefix"):
        if case.weights is None and options.get(name) is not None:
            yield f"{argument(name, options[name])} was not used: no weights were given"


def _of_the_cell(case: Case, options: Mapping[str, Any]) -> Iterator[str]:
    """Attributes that this cell has not, or that only a run of the weights reads, where there are none."""
    kind = case.weights.spec.cell if case.weights is not None else case.config.cell
    bounds_c = case.has("cell state")  # an activation other than tanh says what c may be
    for name in ATTRIBUTES:
        attribute = options.get(name)
        if attribute is None or name == "state_is_tuple" or (bounds_c and name in ("activation", "activations")):
            continue
        option = argument(name, attribute if isinstance(attribute, (bool, int, float, str)) else None)
        if kind is not None and name not in cells.get(kind).varied_by:
            yield f"{option} was not used: a cell of kind {kind} has no such attribute"
        elif case.weights is None:
            yield f"{option} was not used: it needs inputs and weights, to run the layer"


def _of_the_layer(case: Case) -> Iterator[str]:
    """What was stated of directions, padding and axes, and concerns nothing in these arrays."""
    config = case.config
    if config.keep_order is not None and all(t.direction == "forward" for t in case.trace.tracks):
        yield f"{argument('keep_order', config.keep_order)} was not used: no direction here is backward"
    seen = {str(p) for facts in case.facts for p, end in zip(facts.padding, facts.ends, strict=True) if end}
    seen &= _POLICIES
    if config.padding in _POLICIES and seen and config.padding not in seen:
        held = " or ".join(sorted(seen))
        yield f"{argument('padding', config.padding)} is true of no row: the padded outputs are {held}"
    states = [s.array for s in case.dump.slots if s.role == "h"]
    widths = {t.final.shape[1] for t in case.trace.tracks if t.final is not None}
    names = {role: {s.name for s in case.dump.slots if s.role == role} for role in ("h", "c")}
    apart = bool(states) and all(a.ndim and a.shape[-1] in widths for a in states) and not names["h"] & names["c"]
    if config.attributes.get("state_is_tuple") is False and apart:
        yield f"{argument('state_is_tuple', False)} was not used: no array here holds c and h side by side"
    if config.state_batch_first is not None and states and all(a.ndim < 3 for a in states):
        yield f"{argument('state_batch_first', config.state_batch_first)} was not used: the state has no axis of layers"


def _of_the_initial_state(case: Case) -> Iterator[str]:
    """An initial state where nothing starts from it: no run of the weights, no row without a step, no chunk before."""
    runs = case.weights is not None and case.has("inputs")
    empty = any((facts.ends == 0).any() for facts in case.facts)
    if runs or empty or case.chunk is not None or case.other is not None:
        return
    for slot in case.dump.slots:
        if slot.role in ("initial_h", "initial_c"):
            shape = list(slot.array.shape)
            yield f"{slot.name} {shape} was not used: it needs inputs and weights, to run the layer"


def _of_the_merge(case: Case, options: Mapping[str, Any]) -> Iterator[str]:
    if options.get("merge_mode") is not None and case.trace.directions == 1:
        option = argument("merge_mode", options["merge_mode"])
        yield f"{option} was not used: one direction has nothing to merge with"
