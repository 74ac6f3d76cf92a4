"""The outputs went through dropout and the state did not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from rnninspect.core.finding import Severity
from rnninspect.core.trace import Array, Bools, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.weight_search import agrees, tolerance
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal
from rnninspect.measure.casts import BITS, cast_from
from rnninspect.measure.facts import TrackFacts

GLANCE = 8  # units, and states, that are looked at first
TELLING = 8  # units that were kept at least, for one factor to be more than chance
TOLD = 4  # units of a half precision that must be times one factor
ROUGH = 0.02  # of the largest state: a second run, or a lower precision, beneath the dropout
CLOSE = 1e-4  # relative: a division and a multiplication by 1/keep round twice, in a half precision by more


class OutputDropout(Rule):
    name = "output-dropout"
    severity: Severity = "warning"
    summary = (
        "the outputs are the state with some units zeroed and the others scaled by one constant: dropout on the outputs"
    )
    why = (
        "DropoutWrapper(output_keep_prob), or dropout after the layer, changes the outputs but not the state: at the "
        "last step each unit is either 0 or the state's value times 1/keep. That is right in training, but not at "
        "inference."
    )
    fix = "dropped = dropout(outputs)  # a copy, after the state was taken; none when evaluating: run again without"
    group = "What the state holds"
    place = 3
    needs = ("outputs", "lengths")
    in_outputs = True
    implies = ("mask-hole", "padding-computed")
    leaves = ("mask-hole",)  # no state tells of a step that was dropped as a whole
    example = "rows"
    threads = (
        Thread(
            "https://github.com/monikkinom/ner-lstm/issues/23",
            "The wrapper's keep probability is a constant, so outputs are dropped at inference too.",
        ),
        Thread(
            "https://github.com/lilianweng/stock-rnn/issues/12",
            "Dropout stayed on when the model was tested; the author corrects it.",
        ),
        Thread(
            "https://github.com/ageron/handson-ml/issues/111",
            "The keep probabilities can be placeholders, so that nothing is dropped in testing.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        for facts in case.facts:
            scale, rows = _scale(facts)
            if scale is None:
                continue
            yield from proposal(
                self,
                [Seen(facts, rows & facts.mismatched)],
                f"{{rows}}: at the expected step every unit of the outputs is 0 or {scale:.4g} times final_state.h: "
                f"the outputs passed through dropout with keep probability {1 / scale:.3g}, the state did not",
                evidence={"keep": round(1 / scale, 6)},
                strength=2,
            )

    def undo(self, case: Case) -> Iterable[Undone]:
        """Where a run of the weights tells what each unit was: in the dump every one is 0, or that times 1/keep. Where
        none does the states tell it of the steps that they were taken from."""
        weighed = case.has("inputs") and case.has("weights")
        if weighed and agrees(case):
            return
        before = [_undropped(case, track) for track in case.trace.tracks] if weighed else []
        if any(outputs is not None for outputs in before):
            tracks = tuple(
                track if outputs is None else replace(track, outputs=outputs)
                for track, outputs in zip(case.trace.tracks, before, strict=True)
            )
            yield Undone("the outputs as they were before dropout", case.with_trace(replace(case.trace, tracks=tracks)))
            return
        yield from _undone_by_states(case, [f.final for f in case.facts])
        cells = [f.track.cell for f in case.facts if f.track.cell is not None]  # outputs may hold c
        if [c.shape for c in cells] == [f.final.shape for f in case.facts]:
            yield from _undone_by_states(case, cells)
        yield from _undone_roughly(case)

    def inject(self, case: Case) -> Case:
        top = case.trace.tracks[-1].outputs
        if top is None or case.trace.batch_size * top.shape[2] < 16:
            raise CannotInject("needs more units: a few numbers cannot show one factor")
        rng = np.random.default_rng(5)

        def dropped(track: Track) -> Track:
            if track.outputs is None or track.layer != case.trace.layers - 1:
                return track
            keep = rng.random(track.outputs.shape) < 0.6
            return replace(
                track, outputs=np.where(keep, track.outputs / np.float32(0.6), 0).astype(track.outputs.dtype)
            )

        return case.with_tracks(dropped)


def _undone_by_states(case: Case, states: Sequence[Array]) -> Iterator[Undone]:
    """With each state, of these `[B, H]` of every track, in place of the outputs, of one row and any step, whose units
    are 0 or its own times 1/keep: its padding may repeat it."""
    off = [
        (facts, row, state[row])
        for facts, state in zip(case.facts, states, strict=True)
        for row in np.flatnonzero(facts.mismatched & ~facts.final_zero & ~facts.somewhere).tolist()
    ]
    told = [scale for facts, _, state in off[:GLANCE] for scale in _scales_of(facts.outputs, state)]
    scale = float(np.median(told)) if len(off) > 1 and told else 0.0
    if scale < 1 + CLOSE or not np.isfinite(scale):
        return
    before: dict[int, Array] = {}
    dropped = False  # without any unit that is 0 where its state is not, the outputs are a multiple, and not dropped
    heads = {id(facts.track): _heads(facts.outputs) for facts in case.facts}
    for facts, _, state in off:
        places = np.argwhere(_multiples(facts, heads[id(facts.track)], state, scale))
        if np.unique(places[:, 0]).size != 1:
            return
        if id(facts.track) not in before:
            before[id(facts.track)] = facts.outputs.copy()
        outputs = before[id(facts.track)]
        dropped |= bool(((facts.outputs[places[:, 0], places[:, 1]] == 0) & (state != 0)).any())
        outputs[places[:, 0], places[:, 1]] = state
        if not facts.mask[places[:, 0], places[:, 1]].all():  # its padding repeats it, of which some was dropped whole
            outputs[places[0, 0], ~facts.mask[places[0, 0]] & facts.zero[places[0, 0]]] = state
    if not dropped:
        return
    tracks = tuple(replace(t, outputs=before.get(id(t), t.outputs)) for t in case.trace.tracks)
    how = f"the outputs as they were before dropout with keep probability {1 / scale:.3g}"
    yield Undone(how, case.with_trace(replace(case.trace, tracks=tracks)))


def _undone_roughly(case: Case) -> Iterator[Undone]:
    """Where the states of a track are all near a multiple of their expected step, in the units that are not 0 there:
    they may be of a second run besides. Those units as they were, the others as the states have them."""
    before: dict[int, Array] = {}
    for facts in case.facts:
        scale = _rough_scale(facts)
        if scale:
            rows, end, state = np.flatnonzero(facts.mismatched), facts.at_end[facts.mismatched], facts.final
            outputs = before[id(facts.track)] = facts.outputs.copy()
            outputs[rows, facts.expected[rows]] = np.where(end == 0, state[rows], end / scale)
            how = f"the outputs as they were before dropout with keep probability {1 / scale:.3g}"
    if before:
        tracks = tuple(replace(t, outputs=before.get(id(t), t.outputs)) for t in case.trace.tracks)
        yield Undone(how, case.with_trace(replace(case.trace, tracks=tracks)))


def _rough_scale(facts: TrackFacts) -> float:
    """The factor that the units of every state that is off are times, to within ROUGH, at their expected step, but for
    those that are 0 there; 0 where there is none, or a state equals some step."""
    end, state = (np.asarray(a[facts.mismatched], dtype=np.float64) for a in (facts.at_end, facts.final))
    if not end.size or facts.equal[facts.mismatched].any() or not (end == 0).any() or not np.isfinite(state).all():
        return 0.0
    room = np.abs(state).max() * ROUGH
    large = (end != 0) & (np.abs(state) > room * GLANCE)
    scale = float(np.median(end[large] / state[large])) if np.count_nonzero(large) >= TELLING else 0.0
    fits = scale > 1 + ROUGH and bool((np.abs(end / scale - state) <= room)[end != 0].all())
    return scale if fits else 0.0


def _scales_of(outputs: Array, state: Array) -> Iterator[float]:
    """The multiples > 1 that some step's units are of the state's, those that are not 0: two of them at least."""
    alive = np.flatnonzero(state)[:GLANCE]
    with np.errstate(all="ignore"):
        ratios = outputs[..., alive].astype(np.float64) / state[alive].astype(np.float64)
        ratios = ratios[((ratios != 0).sum(-1) > 1) & (ratios >= 0).all(-1)]
        low = np.where(ratios == 0, np.inf, ratios).min(-1, initial=np.inf)
        yield from low[(ratios.max(-1, initial=0.0) <= low * (1 + 2 * CLOSE)) & (low > 1 + CLOSE)].tolist()


def _heads(outputs: Array) -> Array:
    """`[GLANCE, B * T]`: the first units of every step, each beside itself: states are looked for in them in turn."""
    few = outputs[..., :GLANCE]
    return np.ascontiguousarray(np.moveaxis(few, -1, 0)).reshape(few.shape[-1], -1)


def _multiples(facts: TrackFacts, heads: Array, state: Array, scale: float) -> Bools:
    """`[B, T]`: the steps whose units are all 0 or `scale` times the state's, and not all 0; of a few units, `heads`,
    one after the other, since most steps fit none."""
    left = np.flatnonzero(~facts.zero)
    for head, target in zip(heads, scale * state.astype(np.float64), strict=False):
        units = head[left]
        left = left[(units == 0) | (np.abs(units - target) <= CLOSE * abs(target))]
    rows, steps = np.divmod(left, facts.steps)
    hits = np.zeros(facts.zero.shape, dtype=np.bool_)
    hits[rows, steps] = _fits(facts.outputs[rows, steps], state, np.full(1, scale))
    return hits


def _undropped(case: Case, track: Track) -> Array | None:
    """The outputs `[B, T, H]` of a run at real steps, where this track's are those times one factor > 1, or zero."""
    ran = case.reference.track(track.layer, track.direction)
    if track.outputs is None or ran is None or ran.outputs is None or ran.outputs.shape != track.outputs.shape:
        return None
    real = case.trace.stored_mask(track)
    outputs, run = track.outputs[real].astype(np.float64), ran.outputs[real].astype(np.float64)
    limit = tolerance(case)
    kept = (outputs != 0) & (np.abs(run) > limit)
    lost = (outputs == 0) & (np.abs(run) > limit)
    if np.count_nonzero(kept) < TELLING or not lost.any():
        return None
    scale = float(np.median(outputs[kept] / run[kept]))
    if not (scale > 1 + CLOSE and (np.abs(outputs - scale * run) <= limit * scale)[~lost].all()):
        return None
    ends = np.maximum(case.trace.expected_steps(track), 0)
    held = np.broadcast_to(ran.outputs[np.arange(ends.size), ends][:, None], ran.outputs.shape)  # as padding may repeat
    undropped = track.outputs
    for before in (held, ran.outputs):
        of_run = ((track.outputs == 0) | (np.abs(track.outputs - scale * before) <= limit * scale)).all(-1)
        whole = (of_run | real).all(1) if before is held else np.ones(ends.size, dtype=np.bool_)
        undropped = np.where((of_run & whole[:, None] & ~real)[..., None], before, undropped)
    return np.asarray(np.where(real[..., None], ran.outputs, undropped))


def _scale(facts: TrackFacts) -> tuple[float | None, Bools]:
    """The one factor > 1 that every kept unit has, and the rows that it explains.

    A row's own middle ratio tells whether it fits at all, so that another mistake in other rows does not hide it; of
    the ratios that fit their row, the one that the most rows share is it.
    """
    rows = facts.expected >= 0
    if not facts.mismatched.any():
        return None, rows
    outputs = facts.at_end.astype(np.float64)
    final = facts.final.astype(np.float64)
    kept = (outputs != 0) & (final != 0) & rows[:, None] & facts.mismatched[:, None]
    scales = _middle(np.divide(outputs, final, out=np.full(final.shape, np.nan), where=kept))
    kind = cast_from(facts.outputs)
    close = CLOSE if kind is None else 2.0 ** (1 - BITS[kind])  # the factor, the product and their middle round
    fitting = np.isfinite(scales) & (scales > 1 + close) & _fits(outputs, final, scales, close)
    if not fitting.any():
        return None, rows
    ranked = np.sort(scales[fitting])
    shared = np.searchsorted(ranked, ranked * (1 + close), side="right") - np.arange(ranked.size)
    best = float(ranked[shared.argmax() + shared.max() // 2])
    if kind is not None and abs(best * round(1 / best, 2) - 1) < close:
        best = 1 / round(1 / best, 2)  # of all that it may be, the one in hundredths: that of other tracks as well
    most = rows & facts.mismatched & _fits(outputs, final, np.full(rows.size, best), close)
    dropped = ((outputs == 0) & (final != 0))[most].any()
    return (best, most) if dropped and kept[most].sum() >= (2 if kind is None else TOLD) else (None, rows)


def _middle(values: Array) -> Array:
    """`[B]`: the median of each row of `[B, H]` without its NaN; NaN where nothing else is there.

    >>> _middle(np.array([[3.0, np.nan, 1.0, 7.0], [np.nan] * 4]))
    array([ 3., nan])
    """
    ranked = np.sort(values, axis=1)  # NaN last
    counts = np.count_nonzero(~np.isnan(values), axis=1)
    low, high = np.maximum(counts - 1, 0) // 2, counts // 2
    pair = np.take_along_axis(ranked, np.stack([low, np.minimum(high, values.shape[1] - 1)], 1), 1)
    return np.asarray(pair.mean(1))


def _fits(outputs: Array, final: Array, scales: Array, close: float = CLOSE) -> Bools:
    """`[B]`: every unit of the outputs is 0, or the state's times the row's scale."""
    with np.errstate(invalid="ignore"):
        gap, room = np.abs(outputs - scales[:, None] * final), close * scales[:, None] * np.abs(final)
    return np.asarray(((outputs == 0) | (gap <= room)).all(1))


RULE = OutputDropout()
