"""Two dumps are of different inputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.tiles import release
from rnninspect.core.trace import Array, Bools
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.rows_of_other import rows_of_other
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Thread, describe_rows
from rnninspect.measure.decimals import decimals, unit
from rnninspect.measure.difference import EXPONENTS, precision
from rnninspect.measure.matching import parts

ROUNDINGS = 4  # by which two copies of one number may be apart


class InputsDiffer(Rule):
    name = "inputs-differ"
    summary = "the two dumps have different inputs, so their outputs cannot be compared"
    why = (
        "Two runs can only be compared if they read the same inputs. Another batch, another scaling of the features "
        "or newly drawn noise makes even correct layers differ, and that looks like a fault of the weights."
    )
    fix = "inputs_here = inputs_there = np.load(path)  # one saved batch for both runs, dropout and noise off"
    group = "Weights and arithmetic"
    place = 10
    needs = ("outputs", "inputs", "second dump")
    implies = ("precision-drift", "backward-read-padding")
    compares = True
    threads = (
        Thread(
            "https://github.com/pytorch/pytorch/issues/80133",
            "A converted model gives other results, and the two sides turn out to prepare their inputs differently.",
        ),
    )

    def check(self, case: Case) -> Iterable[Proposal]:
        if case.batch is None or case.other_batch is None or not case.differences:
            return
        here, there = case.batch.inputs, case.other_batch.inputs
        if not any(d.largest for d in case.differences):
            yield from self._of_equal_outputs(case, here, there)
            return
        if here.shape[2] != there.shape[2]:
            rows = np.ones(len(here), dtype=np.bool_)
            how = f"{here.shape[2]} features here and {there.shape[2]} there"
        else:
            steps = min(case.trace.steps, here.shape[1], there.shape[1])
            apart = _apart(here[:, :steps], there[:, :steps], case.trace.mask[:, :steps])
            rows, how = apart > _rounding(here, there), f"by up to {apart.max(initial=0.0):.2g} over real steps"
        if not rows.any() or _agree_in_other_order(case, here, there):
            return
        off = np.flatnonzero(rows).tolist()
        yield Proposal(
            self.name,
            f"{describe_rows(off, rows.size)}: the inputs of the two dumps differ ({how}); nothing else can be "
            "compared",
            frozenset((f.track.layer, f.track.direction, b) for f in case.facts for b in off),
            kind="fact",
        )

    def _of_equal_outputs(self, case: Case, here: Array, there: Array) -> Iterable[Proposal]:
        """Where the outputs agree, and so tell nothing of inputs that both dumps hold in one form. Steps that change no
        output, as those of a layer that is held or saturated, are left out."""
        if here.shape != there.shape or here.shape[1] < case.trace.steps or not case.trace.knows_padding:
            return
        steps = case.trace.steps
        moved = np.logical_or.reduce([~facts.repeats & ~facts.zero for facts in case.facts] or [case.trace.mask])
        apart = _apart(here[:, :steps], there[:, :steps], case.trace.mask & moved)
        rows = apart > _rounding(here, there)
        if rows.any():
            off = np.flatnonzero(rows).tolist()
            yield Proposal(
                self.name,
                f"{describe_rows(off, rows.size)}: the outputs of the two dumps are equal, and their inputs are not "
                f"(by up to {apart.max():.2g} over real steps): those of one of them are not what its run read",
                frozenset((f.track.layer, f.track.direction, b) for f in case.facts for b in off),
                severity="warning",
                certainty="suspected",
                kind="fact",
            )

    def inject(self, case: Case) -> Case:
        if case.batch is None or case.weights is None or not case.trace.mask.any():
            raise CannotInject("needs inputs and weights")
        noise = np.random.default_rng(11).uniform(0.5, 1, case.batch.inputs.shape)
        kept = case.batch.inputs.dtype if case.batch.inputs.dtype.kind == "f" else np.float32
        others = replace(case.batch, inputs=(case.batch.inputs + noise).astype(kept))
        return replace(case, other=case.run(others), other_batch=others)


def _agree_in_other_order(case: Case, here: Array, there: Array) -> bool:
    """Whether the inputs agree in the one order of rows in which the outputs do."""
    moved = rows_of_other(case) if here.shape == there.shape else None
    if moved is None:
        return False
    steps = min(case.trace.steps, here.shape[1])
    apart = _apart(here[:, :steps], there[moved.order, :steps], case.trace.mask[:, :steps])
    return bool((apart <= _rounding(here, there)).all())


def _apart(here: Array, there: Array, mask: Bools) -> Array:
    """`[B]`: the largest difference over the real steps of each row; infinite where only one of the two is finite."""
    furthest = np.zeros(len(here))
    for rows in parts(len(here), here[:1].size):
        with np.errstate(invalid="ignore"):
            gap = np.abs(here[rows].astype(np.float64) - there[rows])
        gap[np.isnan(gap)] = np.where(np.isnan(here[rows]) == np.isnan(there[rows]), 0, np.inf)[np.isnan(gap)]
        furthest[rows] = np.where(mask[rows], gap.max(-1, initial=0.0), 0).max(1, initial=0.0)
        release(here[rows])
        release(there[rows])
    return furthest


def _rounding(here: Array, there: Array) -> float:
    """By how much one number may be apart in the two: by the coarser precision, or the fewer printed decimals."""
    some = [np.asarray(inputs[:4, :16]).astype(np.float64) for inputs in (here, there)]
    scale = max(float(np.abs(s[np.isfinite(s)]).max(initial=1.0)) for s in some)
    digits = [n for n in (decimals(here[:4, :16]), decimals(there[:4, :16])) if n is not None]
    printed = unit(min(digits)) if digits else 0.0
    return ROUNDINGS * scale * max(EXPONENTS[precision(inputs[:4, :16])] for inputs in (here, there)) + printed


RULE = InputsDiffer()
