"""NaN or infinity: where first, in how many rows, and whether it reached the state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import zeroed
from rnninspect.diagnosis.rule import (
    CannotInject,
    Proposal,
    Rule,
    Seen,
    Thread,
    describe_rows,
    describe_tracks,
    listed,
    proposal,
)
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import any_of

ZEROED = "outputs = np.where((np.arange(outputs.shape[1]) < lengths[:, None])[..., None], outputs, 0)"


class NonfiniteValues(Rule):
    name = "nonfinite-values"
    summary = "outputs or states hold NaN or infinity"
    why = (
        "One NaN in an input spreads through the recurrence to every later step and to the final state; in a layer "
        "that reads its padding, a NaN in the padding does so too. Exploding activations end in infinity."
    )
    fix = "bad = np.argwhere(~np.isfinite(inputs))  # (row, step, unit), padding too: replace these and run again"
    group = "Padding"
    place = 3
    needs = ()  # any state may hold some, those of layers without outputs too
    example = "rows"
    threads = (
        Thread(
            "https://github.com/junhyukoh/caffe-lstm/issues/3",
            "A network gives NaN only on the GPU; one NaN spreads through everything after it.",
        ),
        Thread(
            "https://github.com/ragulpr/wtte-rnn/issues/50",
            "NaN comes out of a masked batch: a mask of zeros does not remove a NaN from a sum.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        for facts in case.facts:
            state = _nonfinite_state(facts.track)
            rows = any_of(facts.nonfinite) | state
            if not rows.any():
                continue
            read = state & ~(facts.final_blank & facts.mismatched)  # a state that is padding was computed from none
            fill = "" if state.any() or facts.lengths_known else _fill(facts)
            in_padding = bool(fill) or not (read.any() or (facts.nonfinite & facts.mask).any())
            what = fill or (_padding_value(facts) if in_padding else _where(facts))
            yield from proposal(
                self,
                [Seen(facts, rows)],
                f"{{rows}}: {what}; {_reach(state)}",
                kind="fact",
                severity="note" if in_padding else "error",
                fix=zeroed(case, ZEROED) if in_padding else "",
                evidence={"rows_with_nonfinite_state": np.flatnonzero(state).tolist()[:64]},
            )
        measured = {(facts.track.layer, facts.track.direction) for facts in case.facts}
        unseen = [t for t in case.trace.tracks if (t.layer, t.direction) not in measured and _nonfinite_state(t).any()]
        if unseen:
            yield _of_unseen(self, unseen)

    def inject(self, case: Case) -> Case:
        if case.batch is None or case.weights is None or not case.batch.mask.any():
            raise CannotInject("needs weights, inputs and a real step")
        if case.batch.inputs.dtype.kind != "f":
            raise CannotInject("needs inputs of a floating type")
        inputs = case.batch.inputs.copy()
        row = int(np.argmax(case.batch.mask.sum(1)))
        inputs[row, int(np.flatnonzero(case.batch.mask[row])[-1])] = np.nan
        return case.with_trace(replace(case.trace, tracks=case.run(replace(case.batch, inputs=inputs)).tracks))


def _nonfinite_state(track: Track) -> Bools:
    """`[B]`: rows whose h or c holds NaN or infinity."""
    states = [state for state in (track.final, track.cell) if state is not None]
    rows = np.zeros(len(states[0]) if states else 0, dtype=np.bool_)
    for state in states:
        rows = rows | ~np.isfinite(state).all(-1) if state.dtype.kind == "f" else rows
    return rows


def _of_unseen(rule: Rule, tracks: list[Track]) -> Proposal:
    """The rows of tracks whose outputs are not there to tell where it began."""
    spoiled = [(track, int(row)) for track in tracks for row in np.flatnonzero(_nonfinite_state(track))]
    track, row = spoiled[0]
    pairs = [(name, state) for name, state in (("h", track.final), ("c", track.cell)) if state is not None]
    name, state = next((n, s) for n, s in pairs if not np.isfinite(s[row]).all())
    unit = int(np.flatnonzero(~np.isfinite(state[row]))[0])
    rows = sorted({r for _, r in spoiled})
    where = describe_tracks((t.layer, t.direction) for t in tracks)
    return Proposal(
        rule.name,
        f"{describe_rows(rows, len(state))}: the state of {where}, of which no output is there to tell more, is not "
        f"finite; the first is {state[row, unit]} in the {name} of {track.name}, row {row}, unit {unit}",
        frozenset((t.layer, t.direction, r) for t, r in spoiled),
        kind="fact",
        evidence={"rows_with_nonfinite_state": rows[:64]},
    )


def _padding_value(facts: TrackFacts) -> str:
    """What padded steps hold, where they alone hold any: one value put there, or what a run over them gave."""
    rows = np.flatnonzero(any_of(facts.nonfinite))
    held = np.unique(np.asarray(facts.outputs[rows])[~facts.mask[rows]])
    what = (
        f"every padded output is {held[0]}, a padding value"
        if held.size == 1
        else "padded outputs hold NaN or infinity"
    )
    return f"{what}; no real step holds any"


def _fill(facts: TrackFacts) -> str:
    """That rows of which no lengths are known end in one value, as padding is filled; empty where they do not, or hold
    nothing else: what a step computes from a NaN of the inputs reaches the final state."""
    rows = np.flatnonzero(any_of(facts.nonfinite))
    ends = np.asarray(facts.nonfinite[rows])
    if not rows.size or ends[:, 0].any() or (ends[:, :-1] > ends[:, 1:]).any():
        return ""
    held = np.unique(np.asarray(facts.outputs[rows])[ends])
    return f"they end in steps of {held[0]} alone, as filled padding does; no lengths are known" * (held.size == 1)


def _where(facts: TrackFacts) -> str:
    if not facts.nonfinite.any():
        return "every output is finite, but the final state is not"
    row = int(np.flatnonzero(any_of(facts.nonfinite))[0])
    step = int(np.flatnonzero(facts.nonfinite[row])[0])
    unit = int(np.flatnonzero(~np.isfinite(facts.outputs[row, step]))[0])
    value = facts.outputs[row, step, unit]
    real = "a real step" if facts.lengths_known else "a step of which no lengths say whether it is real"
    place = real if facts.mask[row, step] else "a padded step"
    padded_only = not (facts.nonfinite & facts.mask).any()
    origin = "; no real step holds any, so it comes from the padding" if padded_only else ""
    return f"the first {value} is at row {row}, step {step}, unit {unit}, {place}{origin}"


def _reach(state: Bools) -> str:
    rows = np.flatnonzero(state).tolist()
    return (
        f"it reached the final state of row{'s' * (len(rows) > 1)} {listed(rows)}"
        if rows
        else "no final state holds any"
    )


RULE = NonfiniteValues()
