"""The state is pooled over the steps (maximum, minimum, mean or sum), and is not the output of any single step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rnninspect.conventions.fixes.fitting import replaced
from rnninspect.core.trace import Bools, Ints, Track, count_true
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import gathered
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal
from rnninspect.measure.facts import TrackFacts

if TYPE_CHECKING:
    from rnninspect.diagnosis.evidence.pooling import Pool

_MEAN = "np.where(mask[..., None], outputs, 0).sum(1) / np.maximum(lengths, 1)[:, None]"
_TIME_MAJOR = {"mask[...": "mask.T[...", ".sum(1)": ".sum(0)", ".max(1)": ".max(0)", ".min(1)": ".min(0)"}
_OF_REAL_STEPS = {
    "maximum": "np.where(mask[..., None], outputs, -np.inf).max(1)",
    "minimum": "np.where(mask[..., None], outputs, np.inf).min(1)",
    "sum": "np.where(mask[..., None], outputs, 0).sum(1)",
}
FEW, UNITS = 8, 16  # rows that a pool is tried on first, and units of these


class PooledState(Rule):
    name = "pooled-state"
    summary = "the state is the maximum, minimum, mean or sum over a row's steps; padded steps must not be included"
    why = (
        "A pooled vector is a valid summary of a row, but not its final state. Over padded outputs it is also wrong: "
        "zeros win the maximum over negative values, and a mean is divided by the number of steps of the longest "
        "row, so the vector of a row depends on the other rows of the batch."
    )
    fix = f"h = outputs[np.arange(B), lengths - 1]  # or pool only the real steps:\npooled = {_MEAN}"
    fixed_in = "arrays"
    group = "What the state holds"
    place = 10
    in_states = True
    threads = (
        Thread(
            "https://github.com/facebookresearch/InferSent/issues/51",
            "The maximum over a padded batch includes zeros, so a sentence's vector depends on its batch.",
        ),
        Thread(
            "https://github.com/pytorch/pytorch/pull/2751",
            "pad_packed_sequence gets an argument for the padding value, since max pooling would select zeros.",
        ),
        Thread(
            "https://github.com/brightmart/text_classification/issues/40",
            "A mean over padded sentences is divided by the longest length, not by each sentence's own.",
        ),
    )

    def code(self, case: Case) -> str:
        pools = (_pool(facts, case.tolerance.atol) for facts in case.facts)
        kind = next((pool[0].kind for pool in pools if pool is not None), "mean")
        last_step = self.fix.partition("\n")[0]
        return "\n".join([gathered(case, last_step), *_pooled(case, _OF_REAL_STEPS.get(kind, _MEAN))])

    def check(self, case: Case) -> Iterable[Proposal]:
        for facts in case.facts:
            best = _pool(facts, case.tolerance.atol)
            if best is None:
                continue
            pool, rows = best
            proviso = "" if case.trace.knows_padding else "; only lengths can tell whether padded steps were included"
            yield from proposal(
                self,
                [Seen(facts, rows)],
                f"{{rows}}: final_state.h is the {pool.sentence}, and no step's own output{proviso}",
                severity="error" if pool.padded or pool.other_length else "note",
                strength=3,
                evidence={"pool": pool.kind, "padding": pool.padded}
                | ({"lengths_used": pool.steps.tolist()[:64]} if pool.other_length else {}),
            )

    def inject(self, case: Case) -> Case:
        if case.trace.mask.all() or not case.trace.knows_padding or case.trace.steps < 2:
            raise CannotInject("needs lengths and padding")

        def averaged(track: Track) -> Track:
            if track.outputs is None or track.final is None:
                return track
            return replace(track, final=track.outputs.mean(1), cell=None)

        return case.with_tracks(averaged)


def _pooled(case: Case, code: str) -> list[str]:
    """The line that pools the real steps alone, along the axis of time; none where nothing tells which they are."""
    if not case.trace.knows_padding:
        return []
    placed = replaced(code, _TIME_MAJOR) if case.reading.time_major else code
    return [f"pooled = {placed.replace('lengths', 'mask.sum(1)') if case.trace.mask_given else placed}"]


def _pool(facts: TrackFacts, atol: float) -> tuple[Pool, Bools] | None:
    """The pool that most of the rows that are off hold, and those rows; a usual one, if there is one for all of them.

    One of them must equal no single step, and all of them together must say more than chance: a pool over real steps
    that padded ones would not change is believed to be that.
    """
    off = np.flatnonzero(facts.mismatched)
    if not off.size or facts.steps < 2:
        return None
    from rnninspect.diagnosis.evidence.pooling import pools_of

    few = np.flatnonzero(facts.mismatched & ~facts.somewhere)[:FEW]
    if not few.size:
        return None
    best = _best(facts, pools_of(facts), few, off, atol)
    if best is None or not best[1][off].all():
        best = _best(facts, _less_usual(facts, few, atol), few, off, atol, best)
    return best or _best(facts, _of_other_lengths(facts, few, off, atol), few, off, atol)


def _best(
    facts: TrackFacts,
    pools: Iterable[Pool],
    few: Ints,
    off: Ints,
    atol: float,
    best: tuple[Pool, Bools] | None = None,
) -> tuple[Pool, Bools] | None:
    """The pool that most of the rows that are `off` hold, tried on a few of these first, and those rows: more than
    those of the `best` before."""
    from rnninspect.diagnosis.evidence.pooling import GLANCE, is_pool

    apart = facts.mismatched & ~facts.somewhere
    for pool in pools:
        if any(is_pool(facts, pool, few, atol, n).sum() * 2 < few.size for n in (GLANCE, UNITS, None)):
            continue
        rows = np.zeros(facts.mismatched.shape, dtype=np.bool_)
        rows[off] = is_pool(facts, pool, off, atol)
        telling = int((rows & _tell(facts, pool, apart)).sum()) * facts.final.shape[1]
        if telling > (4 if atol else 1) and (best is None or rows.sum() > best[1].sum()):
            best = pool, rows
    return best


def _tell(facts: TrackFacts, pool: Pool, apart: Bools) -> Bools:
    """`[B]`: which rows `apart` from every step tell of this pool, being of more than one term; of a sum, those that
    are not zero add something to it, and zeros are no extreme that tells."""
    from rnninspect.diagnosis.evidence.pooling import counted_steps

    counted = counted_steps(facts, pool, np.arange(facts.ends.size))
    several = count_true(counted & ~facts.zero if pool.kind == "sum" else counted) > 1  # one is its own pool
    return apart & several & ~facts.final_zero if pool.zeroed or pool.kind == "minimum" else apart & several


def _less_usual(facts: TrackFacts, few: Ints, atol: float) -> Iterator[Pool]:
    """The pools over the last few steps, and those that were divided otherwise, as a few rows tell them."""
    from rnninspect.diagnosis.evidence.less_usual_pools import pools_in_proportion, pools_of_ends

    yield from pools_of_ends(facts, few, atol)
    yield from pools_in_proportion(facts, few, atol)


def _of_other_lengths(facts: TrackFacts, few: Ints, off: Ints, atol: float) -> Iterator[Pool]:
    """The pools over as many steps as other rows' lengths count, tried on a few rows first."""
    from rnninspect.diagnosis.evidence.pooling import KINDS, pool_of_other_lengths

    for kind in KINDS if np.unique(facts.ends).size > 1 else ():
        if pool_of_other_lengths(facts, kind, few, atol, UNITS) is not None:
            pool = pool_of_other_lengths(facts, kind, off, atol)
            assert pool is not None
            yield pool


RULE = PooledState()
