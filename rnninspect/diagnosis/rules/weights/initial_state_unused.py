"""The initial state that was given did not reach a layer or a direction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.agreement import Key, given_by_all, only_rows
from rnninspect.diagnosis.evidence.weight_search import (
    agrees,
    disagreement,
    fixed,
    fixes_difference,
    largest,
    tolerance,
)
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Thread, Undone, describe_rows

FEW = 4  # rows that are looked at before all are


class InitialStateUnused(Rule):
    name = "initial-state-unused"
    summary = "a layer or direction starts from zeros though an initial state was given for it"
    why = (
        "An initial state is an argument that is easily lost: a converter reads the one of a single direction, a loop "
        "passes it to the first layer only, an encoder's c is not passed on. The shapes are right, but the first "
        "steps are not."
    )
    fix = "outputs, state = layer(inputs, initial_states)  # one for every layer and direction, c beside h"
    group = "What the state holds"
    place = 12
    needs = ("outputs", "inputs", "weights")
    compares = True
    threads = (
        Thread(
            "https://github.com/microsoft/onnxruntime/issues/1607",
            "The initial state of a bidirectional RNN is read for one direction only.",
        ),
        Thread(
            "https://github.com/onnx/onnx-tensorflow/issues/409",
            "A bidirectional LSTM with initial h and c gives wrong results after the conversion.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        with_initial = [t for t in case.trace.tracks if t.initial is not None]
        if case.chunk is not None or not with_initial or agrees(case) or fixed(case) is not None:
            return
        off = np.flatnonzero(~given_by_all(case, case.reference))
        few = only_rows(case, off[:FEW])
        assert case.batch is not None
        assert few.batch is not None
        before = disagreement(case)
        for keys, which, blank in _ways(with_initial):
            if largest(few, few.with_tracks(blank).run(few.batch)) > tolerance(case):
                continue
            after = largest(case, case.with_tracks(blank).run(case.batch))
            if not fixes_difference(case, before, after):
                continue
            yield Proposal(
                self.name,
                f"{describe_rows(off.tolist(), case.trace.batch_size)}: {which} was given but not used: a run from "
                f"it differs from the dump by {before:.2g}, a run from zeros by {after:.2g}",
                frozenset((layer, direction, int(b)) for layer, direction in keys for b in off),
                kind="fact",
                evidence={"before": before, "after": after, "unused": [list(key) for key in keys]},
            )
            return

    def undo(self, case: Case) -> Iterable[Undone]:
        for _, which, blank in _ways([t for t in case.trace.tracks if t.initial is not None]):
            yield Undone(f"{which} at zero", case.with_tracks(blank))

    def inject(self, case: Case) -> Case:
        if case.weights is None or case.batch is None or any(t.initial is not None for t in case.trace.tracks):
            raise CannotInject("needs inputs, weights and no initial state yet")
        if any(t.final is None for t in case.trace.tracks) or not case.trace.mask.any():
            raise CannotInject("needs every layer's state and a real step")
        rng = np.random.default_rng(5)

        def begun(track: Track) -> Track:
            assert track.final is not None
            h = rng.uniform(0.2, 0.8, track.final.shape).astype(track.final.dtype)
            c = None if track.cell is None else rng.uniform(0.2, 0.8, track.cell.shape).astype(track.cell.dtype)
            return replace(track, initial=h, initial_cell=c)

        told = case.with_tracks(begun)
        last = told.trace.tracks[-1]
        lost = told.with_tracks(lambda t: _blank(t, "h and c") if t is last else t)
        ran = lost.run(case.batch)
        tracks = tuple(
            replace(made, initial=t.initial, initial_cell=t.initial_cell)
            for made, t in zip(ran.tracks, told.trace.tracks, strict=True)
        )
        return case.with_trace(replace(case.trace, tracks=tracks))


def _ways(with_initial: list[Track]) -> Iterator[tuple[list[Key], str, Callable[[Track], Track]]]:
    """Which initial states may have been lost, in words, and the change that loses them; the fewest first."""
    keys = [(t.layer, t.direction) for t in with_initial]
    groups: list[tuple[list[Key], str]] = [([key], f"the initial state of layer {key[0]} {key[1]}") for key in keys]
    for direction in dict.fromkeys(d for _, d in keys):
        groups.append(([k for k in keys if k[1] == direction], f"the {direction} direction's initial state"))
    for layer in dict.fromkeys(layer for layer, _ in keys):
        groups.append(([k for k in keys if k[0] == layer], f"the initial state of layer {layer}"))
        groups.append(([k for k in keys if k[0] > layer], f"the initial state of every layer above layer {layer}"))
    groups.append((keys, "the initial state"))
    if len(keys) == 1:
        groups = groups[-1:]
    seen: list[set[Key]] = []
    for group, which in groups:
        if not group or set(group) in seen:
            continue
        seen.append(set(group))
        yield group, which, _blanked(group, "h and c")
        if any(t.initial_cell is not None for t in with_initial):
            for part in ("h", "c"):
                yield group, f"{part} of {which}", _blanked(group, part)


def _blanked(keys: list[Key], part: str) -> Callable[[Track], Track]:
    return lambda track: _blank(track, part) if (track.layer, track.direction) in keys else track


def _blank(track: Track, part: str) -> Track:
    """The track with h, c or both of its initial state at zero."""
    assert track.initial is not None
    if "h" in part:
        track = replace(track, initial=np.zeros_like(track.initial))
    if "c" in part and track.initial_cell is not None:
        track = replace(track, initial_cell=np.zeros_like(track.initial_cell))
    return track


RULE = InitialStateUnused()
