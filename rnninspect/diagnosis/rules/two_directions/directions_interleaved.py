"""Forward and backward features taken in turn, or rows mixed by a raw reshape of (T, D, B, H)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Array, Ints, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, convincing, fixed_by, proposal
from rnninspect.measure.matching import gather, same
from rnninspect.measure.saturated import saturated_units

APART = "h = np.concatenate([h[:, 0::2], h[:, 1::2]], axis=-1)  # forward, backward"
# Outputs whose axes were reshaped away: of [T, D, B, H], as they lie in time-major and in batch-major arrays, and of
# [B, D, T, H].
OF_TIME_MAJOR = "outputs = outputs.reshape(T, D, B, -1).transpose(0, 2, 1, 3).reshape(T, B, -1)  # of [T, D, B, H]"
OF_STEPS = (
    "outputs = outputs.swapaxes(0, 1).reshape(T, D, B, -1).transpose(2, 0, 1, 3).reshape(B, T, -1)  # of [T, D, B, H]"
)
OF_UNITS = "outputs = np.concatenate([outputs[..., 0::2], outputs[..., 1::2]], axis=-1)  # forward, backward"
OF_ROWS = "outputs = outputs.reshape(B, D, T, -1).transpose(0, 2, 1, 3).reshape(B, T, -1)  # of [B, D, T, H]"


class DirectionsInterleaved(Rule):
    name = "directions-interleaved"
    summary = "forward and backward units are interleaved, or the directions axis was reshaped without a transpose"
    why = (
        "permute and reshape in the wrong order put the directions axis inside the units: unit 0 forward, unit 0 "
        "backward, unit 1 forward, … Reshaping ONNX's Y (T, D, B, H) directly to (T, B, D*H) mixes rows instead."
    )
    fix = (
        f"{APART}\n"
        "# outputs stored as [T, D, B, H]: outputs.transpose(2, 0, 1, 3).reshape(B, T, -1), never a reshape alone"
    )
    fixed_in = "arrays"
    moves = "state"
    group = "Directions"
    place = 6
    needs = ("outputs", "two directions")
    implies = ("rows-permuted", "padding-computed", "direction-duplicated", "lengths-misaligned", "mask-hole")
    example = "bidirectional"
    threads = (
        Thread(
            "https://github.com/pytorch/pytorch/issues/10838",
            "The ONNX exporter puts the directions after the units, instead of before them.",
        ),
        Thread(
            "https://github.com/pytorch/pytorch/pull/7809",
            "ONNX has the directions before the batch: a reshape without moving them gives wrong numbers.",
        ),
    )

    def code(self, case: Case) -> str:
        return next((mend.code for mend, _ in _fitting(case)), self.fix)

    def fitted(self, case: Case, theirs: str) -> str:
        code = self.code(case)
        return theirs if code == self.fix else code  # which of the arrays is interleaved is known: that one is mended

    def check(self, case: Case) -> Iterable[Proposal]:
        if not any(facts.mismatched.any() for facts in case.facts):
            return
        for mend, seen in _fitting(case):
            strength = 5 if _is_exchange(case, seen) else 6  # no more than what exchanged halves give as well
            yield from proposal(self, seen, f"{{rows}}: {mend.sentence}", strength=strength)
        halves = _mixed_halves(case)
        if convincing(case, halves):
            yield from proposal(
                self,
                halves,
                "{rows}: this half of final_state.h holds units of both directions in turn: it is half of a state in "
                "which they are interleaved",
                strength=6,
            )

    def undo(self, case: Case) -> Iterable[Undone]:
        pair = _pair(case.trace)
        if pair is None:
            return
        yield Undone("every second unit of the states taken for a direction", case.with_trace(_apart(case, pair)))
        outputs = _units_apart(pair)
        if outputs is not None:
            how = "every second unit of the outputs taken for a direction"
            yield Undone(how, case.with_trace(_with_outputs(case.trace, pair, outputs)))

    def inject(self, case: Case) -> Case:
        pair = _pair(case.trace)
        if pair is None or pair[0].final is None or pair[1].final is None:
            raise CannotInject("needs two directions of one width")
        if pair[0].final.shape[1] < 2:
            raise CannotInject("needs two units")
        mixed = np.stack([pair[0].final, pair[1].final], -1).reshape(case.trace.batch_size, -1)
        return case.with_trace(_with_halves(case.trace, pair, mixed))


def _pair(trace: Trace) -> tuple[Track, Track] | None:
    """The top layer's two tracks, of one width."""
    layer = trace.layers - 1
    forward, backward = trace.track(layer, "forward"), trace.track(layer, "backward")
    if forward is None or backward is None or forward.final is None or backward.final is None:
        return None
    return (forward, backward) if forward.final.shape == backward.final.shape else None


def _with_halves(trace: Trace, pair: tuple[Track, Track], state: Array) -> Trace:
    units = state.shape[1] // 2
    halves = {id(pair[0]): state[:, :units], id(pair[1]): state[:, units:]}
    return replace(trace, tracks=tuple(replace(t, final=halves.get(id(t), t.final)) for t in trace.tracks))


def _apart(case: Case, pair: tuple[Track, Track]) -> Trace:
    """The trace with every second unit of the state for a direction."""
    state = np.concatenate([np.asarray(track.final) for track in pair], 1)
    return _with_halves(case.trace, pair, np.concatenate([state[:, 0::2], state[:, 1::2]], 1))


def _mixed_halves(case: Case) -> list[Seen]:
    """The half of the top layer's state that is its half of both directions' units in turn, or either, where there is
    no other; none where both halves are, which `_apart` sorts out."""
    of_top = [f for f in case.facts if f.track.layer == case.trace.layers - 1 and f.mismatched.any()]
    tracks = [t for t in case.trace.tracks if t.layer == case.trace.layers - 1 and t.outputs is not None]
    if len(tracks) != 2 or not of_top or of_top[0].final.shape[1] < 2:
        return []
    rows = np.arange(case.trace.batch_size)
    steps = [np.maximum(case.trace.expected_steps(t), 0) for t in tracks]
    ends = [gather(np.asarray(t.outputs), rows, at) for t, at in zip(tracks, steps, strict=True)]
    if ends[0].shape != ends[1].shape:
        return []
    halves = np.split(np.stack(ends, -1).reshape(rows.size, -1), 2, axis=1)
    places = [[t.direction for t in tracks].index(f.track.direction) for f in of_top]
    asked = [(f, halves if len(of_top) == 1 else halves[k : k + 1]) for f, k in zip(of_top, places, strict=True)]
    # Of units at their ends there are few states, and a fill of padding is none.
    tell = [~saturated_units(f.final).all(-1) & ~f.final_blank for f, _ in asked]
    holds = [
        (f, [f.mismatched & some & same(half, f.final).all(-1) for half in of])
        for (f, of), some in zip(asked, tell, strict=True)
    ]
    seen = [Seen(f, max(either, key=np.count_nonzero)) for f, either in holds]
    return [s for s in seen if s.rows.any()] if not all(s.rows.any() for s in seen) or len(seen) == 1 else []


def _units_apart(pair: tuple[Track, Track]) -> Array | None:
    """`[D, B, T, H]`: every second unit of the outputs for a direction; None where they were not both recorded."""
    forward, backward = pair
    if forward.outputs is None or backward.outputs is None or forward.outputs.shape != backward.outputs.shape:
        return None
    both = np.concatenate([forward.outputs, backward.outputs], -1)
    return np.stack([both[..., 0::2], both[..., 1::2]])


def _with_outputs(trace: Trace, pair: tuple[Track, Track], halves: Array) -> Trace:
    """The trace with `[D, B, T, H]` for the outputs of the two directions."""
    fixed = {id(track): half for track, half in zip(pair, halves, strict=True)}
    return replace(trace, tracks=tuple(replace(t, outputs=fixed.get(id(t), t.outputs)) for t in trace.tracks))


@frozen(eq=False)
class _Mend:
    """Another reading that may be the right one: the state's features sorted out, or (`whole`) the outputs' rows."""

    sentence: str
    code: str
    trace: Trace
    whole: bool = False


def _fitting(case: Case) -> Iterator[tuple[_Mend, list[Seen]]]:
    """Those readings that put enough right, and the rows that they do; none of the outputs where they are a run's."""
    for mend in _mended(case):
        seen = fixed_by(case, mend.trace, mend.whole)
        if convincing(case, seen) and not (mend.whole and _are_of_run(case)):
            yield mend, seen


def _are_of_run(case: Case) -> bool:
    """Whether a run of the weights given agrees with the outputs as they are read."""
    if not (case.has("inputs") and case.has("weights")):
        return False
    from rnninspect.diagnosis.evidence.weight_search import agrees

    return agrees(case)


def _is_exchange(case: Case, seen: list[Seen]) -> bool:
    """Whether each of these states is what the other half's outputs end in: of one row of two steps, say."""
    for facts, rows in ((s.facts, s.rows) for s in seen if s.rows.any()):
        other = next((f for f in case.facts if f.track.layer == facts.track.layer and f is not facts), None)
        if other is None or not same(other.at_end[rows], facts.final[rows]).all():
            return False
    return True


def _mended(case: Case) -> Iterator[_Mend]:
    """The trace with the state's features sorted out, then those with the outputs' rows sorted out."""
    pair = _pair(case.trace)
    if pair is None:
        return
    forward, backward = pair
    sentence = "taking every second unit as one direction makes final_state.h right: the directions are interleaved"
    yield _Mend(sentence, APART, _apart(case, pair))
    if forward.outputs is None or backward.outputs is None or forward.order != "time":
        return
    rows, steps, units = forward.outputs.shape

    def read_as(halves: Array) -> Trace:
        return _with_outputs(case.trace, pair, halves)

    apart = _units_apart(pair) if _may_be_apart(case, pair) else None
    if apart is not None:
        sentence = (
            "taking every second unit of the outputs as one direction makes every state right: they are interleaved"
        )
        yield _Mend(sentence, OF_UNITS, read_as(apart), whole=True)
    if _may_mend(case, pair, lambda d, b, t: (*divmod(d * rows + b, 2), t)):
        outputs = np.concatenate([forward.outputs, backward.outputs], -1)  # [B, T, 2H]
        by_step = outputs.swapaxes(0, 1).reshape(steps, 2, rows, units)  # the memory of [T, B, 2H] as [T, D, B, H]
        sentence = (
            "read as [T, D, B, H] the outputs end in the states: [T, B, D*H] was made by a reshape, not a transpose"
        )
        code = OF_TIME_MAJOR if case.reading.time_major else OF_STEPS
        yield _Mend(sentence, code, read_as(by_step.transpose(1, 2, 0, 3)), whole=True)
    if not case.config.time_major and _may_mend(case, pair, lambda d, b, t: (b, *divmod(d * steps + t, 2)[::-1])):
        outputs = np.concatenate([forward.outputs, backward.outputs], -1)
        sentence = "read as [B, D, T, H] the outputs end in the states: [B, T, D*H] was made by a reshape"
        yield _Mend(sentence, OF_ROWS, read_as(outputs.reshape(rows, 2, steps, units).swapaxes(0, 1)), whole=True)


Place = Callable[[int, Ints, Ints], tuple[Ints, Ints, Ints]]  # direction, rows, steps -> rows, halves, steps


def _may_be_apart(case: Case, pair: tuple[Track, Track]) -> bool:
    """Whether any state that is off ends one direction of outputs that hold the two directions' units in turn."""
    for direction, track in enumerate(pair):
        facts = next((f for f in case.facts if f.track is track), None)
        if facts is None:
            continue
        if case.tolerance.rtol or case.tolerance.atol:
            return True
        off = np.flatnonzero(facts.mismatched & (facts.expected >= 0))
        ends = [gather(np.asarray(t.outputs), off, facts.expected[off]) for t in pair]
        if same(np.concatenate(ends, -1)[:, direction::2], np.asarray(facts.final)[off]).all(-1).any():
            return True
    return False


def _may_mend(case: Case, pair: tuple[Track, Track], place: Place) -> bool:
    """Whether any state that is off is found where another reading of the outputs would have its expected step: so few
    places tell that the outputs, which may be large, need not be laid out anew."""
    for direction, track in enumerate(pair):
        facts = next((f for f in case.facts if f.track is track), None)
        if facts is None:
            continue
        if not facts.expected_known or case.tolerance.rtol or case.tolerance.atol:
            return True
        mismatched = np.flatnonzero(facts.mismatched)
        rows, halves, steps = place(direction, mismatched, facts.expected[mismatched])
        for half, source in enumerate(pair):
            here = np.flatnonzero(halves == half)
            assert source.outputs is not None
            ends = gather(source.outputs, rows[here], steps[here])
            if same(ends, np.asarray(facts.final)[mismatched[here]]).all(-1).any():
                return True
    return False


RULE = DirectionsInterleaved()
