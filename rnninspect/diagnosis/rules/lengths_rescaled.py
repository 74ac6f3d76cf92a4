"""The lengths are of another time axis: a stride or a subsampling was not applied to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rnninspect.core.trace import Bools, Ints
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import gathered
from rnninspect.diagnosis.rule import (
    CannotInject,
    Proposal,
    Rule,
    Seen,
    Thread,
    Undone,
    describe_rows,
    listed,
    proposal,
)
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.run_ends import cut_ends, cut_in_words, shows_lengths, stops_of_outputs

if TYPE_CHECKING:
    from fractions import Fraction


OF_INDEX = "h = outputs[np.arange(B), lengths - 1]  # the outputs end at these lengths: the index was divided, not they"
OF_STATES = "the outputs end at the lengths, so that it is the states' own index that was divided"


class LengthsRescaled(Rule):
    name = "lengths-rescaled"
    summary = "every final state is at the same fraction of its length: a stride was not applied to the lengths"
    why = (
        "A strided convolution, pooling or frame stacking shortens the time axis; lengths that were counted before "
        "it must be divided too. Either the layer got the right lengths and the dump the old ones, or the other way "
        "round."
    )
    fix = "lengths = (lengths + stride - 1) // stride  # after a layer with padding='same'"
    fixed_in = "arrays"
    group = "Wrong step"
    place = 4
    needs = ("outputs", "lengths")
    implies = ("padding-computed", "length-exceeds-time")
    example = "rows"
    threads = (
        Thread(
            "https://github.com/ShankHarinath/DeepSpeech2-Keras/issues/3",
            "The loss is given the lengths of the inputs instead of those of the network's shorter outputs.",
        ),
        Thread(
            "https://github.com/openspeech-team/openspeech/issues/76",
            "After a strided convolution the lengths are divided once more than the time axis was.",
        ),
    )

    def code(self, case: Case) -> str:
        if _lengths_stand(case):
            return gathered(case, OF_INDEX)
        told, stride = _told(case), _stride_of_outputs(case) or _stride_of_axis(case)
        if told is None and not stride:
            return self.fix
        divided = f"(lengths + {stride - 1}) // {stride}" if told is None else _scaled(*told)
        return f"lengths = {divided}  # as many steps as the time axis has of them"

    def fitted(self, case: Case, theirs: str) -> str:
        """A framework's code is for a stride that the numbers do not tell."""
        code = self.code(case)
        return theirs if code == self.fix else code

    def mends(self, case: Case) -> bool:
        told = _told(case)  # of rows cut to the time axis no ratio tells the length
        return told is not None and told[1].size == case.trace.batch_size

    def check(self, case: Case) -> Iterable[Proposal]:
        lengths = case.trace.lengths
        if lengths is None:
            return
        if not any(facts.mismatched.any() for facts in case.facts) and not (lengths > case.trace.steps).any():
            yield from self._repeated(case, lengths)  # every row ends where its length says
            return
        stride, stand = _stride_of_outputs(case), _lengths_stand(case)
        ratios = [_ratio(facts, lengths, stride) for facts in case.facts]
        if all(ratio is None for ratio, _ in ratios):
            yield from self._counted_before(case, lengths)
        for facts, (ratio, used) in zip(case.facts, ratios, strict=True):
            if ratio is None:
                continue
            yield from proposal(
                self,
                [Seen(facts, _ends_at(facts, used))],
                f"{{rows}}: final_state.h equals outputs at step {ratio} * length - 1, one ratio for all rows; "
                + (OF_STATES if stand else "the lengths count steps of another scale")
                + cut_in_words(facts, _ends_at(facts, used) & (used > np.ceil(lengths * float(ratio)))),
                evidence={"ratio": str(ratio)},
                strength=1 if 1 in ratio.as_integer_ratio() else 0,
            )

    def _repeated(self, case: Case, lengths: Ints) -> Iterable[Proposal]:
        """States that are right, of a run that stopped at one fraction of every length: its outputs repeat the last
        step from there on, so that the step at the length equals it too."""
        if not any("repeat" in facts.padding for facts in case.facts):
            return
        stride, ends = _stride_of_outputs(case), stops_of_outputs(case.facts)
        told = [Seen(f, (ends < lengths) & ~f.uniform) for f in case.facts if ends is not None]
        if stride and any(np.unique(lengths[s.rows]).size > 2 for s in told):
            yield from proposal(
                self,
                told,
                f"{{rows}}: the outputs repeat from 1/{stride} of the stated length on, one ratio for all rows: the "
                "run ended there, and the lengths count steps of another scale",
                kind="fact",
                certainty="suspected",
                alternatives=("mask-hole",),
                evidence={"ratio": f"1/{stride}"},
            )

    def of_outputs(self, case: Case) -> Iterable[Proposal]:
        stride = _stride_of_outputs(case)
        if stride:
            yield from proposal(
                self,
                [Seen(facts, facts.ends > 0) for facts in case.facts],
                f"{{rows}}: the outputs end at step 1/{stride} * length - 1, one ratio for all rows; the lengths "
                "belong to a time axis of another scale",
                kind="padding",
                evidence={"ratio": f"1/{stride}"},
            )

    def undo(self, case: Case) -> Iterable[Undone]:
        lengths = case.trace.lengths
        if lengths is None or case.trace.mask_given or not (lengths > 0).all():
            return
        stride = _stride_of_outputs(case)
        told = [used for facts in case.facts for ratio, used in [_ratio(facts, lengths, stride)] if ratio is not None]
        tried = [lengths.tolist()]
        for used in (*told, (lengths + 1) // 2, lengths // 2):
            if (used > 0).all() and used.tolist() not in tried:
                tried.append(used.tolist())
                yield Undone(f"lengths of another scale, {listed(used.tolist(), 12)}", case.with_lengths(used))

    def _counted_before(self, case: Case, lengths: Ints) -> Iterable[Proposal]:
        """The longest length is a multiple of the steps that there are, and no state ends where a length says."""
        rows, stride = np.flatnonzero(lengths > case.trace.steps), _stride_of_axis(case)
        if not stride:
            return
        yield Proposal(
            self.name,
            f"{describe_rows(rows.tolist(), lengths.size)}: the longest length, {lengths.max()}, is {stride} times the "
            f"{case.trace.steps} steps of the time axis: the lengths were counted before a stride of {stride}",
            frozenset((f.track.layer, f.track.direction, int(b)) for f in case.facts for b in rows),
            kind="fact",
            certainty="proven" if _stride_of_outputs(case) == stride else "suspected",
            alternatives=("length-exceeds-time",),
            evidence={"ratio": f"1/{stride}"},
        )

    def inject(self, case: Case) -> Case:
        lengths = case.trace.lengths
        if lengths is None or np.unique(lengths).size < 2 or case.trace.mask_given or case.trace.padding == "repeat":
            raise CannotInject("needs stated, uneven lengths, and padding that does not repeat the last step")
        return case.with_trace(replace(case.trace, lengths=lengths * 2, mask=_doubled(lengths, case.trace.steps)))


def _stride_of_outputs(case: Case) -> int:
    """The stride by which the outputs of all rows end before their lengths, cut to the time axis; 0 where none is."""
    lengths, ends = case.trace.lengths, stops_of_outputs(case.facts)
    if lengths is None or ends is None or case.trace.mask_given or (ends == ends[:1]).all():
        return 0
    if np.array_equal(ends, np.minimum(lengths, case.trace.steps)):  # 0 and 1 are half of themselves, rounded up
        return 0
    for stride in range(2, 17):
        down = lengths // stride
        rounded = (-(-lengths // stride), down, np.maximum(down, 1))  # which some keep a step of every row by
        if any(np.array_equal(np.minimum(used, case.trace.steps), ends) for used in rounded):
            return stride
    return 0


def _stride_of_axis(case: Case) -> int:
    """The stride that the longest length is of the time axis, where no state ends where a length says; else 0."""
    lengths = case.trace.lengths
    if lengths is None or (lengths > case.trace.steps).sum() < 2:
        return 0
    stride, rest = divmod(int(lengths.max()), max(1, case.trace.steps))
    return 0 if stride < 2 or rest or _ends_as_stated(case, lengths) else stride


def _lengths_stand(case: Case) -> bool:
    """Whether the outputs of every track end where the lengths say: then the states alone are elsewhere."""
    return case.trace.lengths is not None and bool(case.facts) and all(map(shows_lengths, case.facts))


def _told(case: Case) -> tuple[Fraction, Ints, Ints] | None:
    """The ratio, the lengths as given and those that the states show, of rows that were not cut to the time axis; None
    where no track tells, or a mask is given."""
    lengths = case.trace.lengths
    if lengths is None or case.trace.mask_given:
        return None
    stride = _stride_of_outputs(case)
    told = (_ratio(facts, lengths, stride) for facts in case.facts)
    ratios = [(ratio, used) for ratio, used in told if ratio is not None]
    if not ratios:
        return None
    ratio, used = ratios[0]
    whole = (used == np.ceil(lengths * float(ratio) - 1e-9)) | (used == np.floor(lengths * float(ratio)))
    return ratio, lengths[whole], used[whole]


def _scaled(ratio: Fraction, lengths: Ints, used: Ints) -> str:
    """The lengths used as an expression of those given, rounded up or down.

    >>> from fractions import Fraction
    >>> _scaled(Fraction(1, 2), np.array([3, 4]), np.array([2, 2]))
    '(lengths + 1) // 2'
    """
    times = "lengths" if ratio.numerator == 1 else f"lengths * {ratio.numerator}"
    if (-(-lengths * ratio.numerator // ratio.denominator) != used).any():
        return f"{times} // {ratio.denominator}"
    return times if ratio.denominator == 1 else f"({times} + {ratio.denominator - 1}) // {ratio.denominator}"


def _doubled(lengths: Ints, steps: int) -> Bools:
    return np.arange(steps)[None] < (lengths * 2)[:, None]


def _ratio(facts: TrackFacts, lengths: Ints, stride: int) -> tuple[Fraction | None, Ints]:
    """The one ratio by which every row that can tell ends at `ceil(ratio * length)` (or floor), and those ends; that of
    the `stride` alone, where the outputs show one."""
    nothing = None, lengths
    if facts.track.direction == "backward" and facts.track.order == "time":
        return nothing
    selective = np.flatnonzero(~facts.uniform & (lengths > 0) & facts.equal.any(1) & ~facts.final_blank)
    if not facts.mismatched.any() or np.unique(lengths[selective]).size < 2:
        return nothing
    if _one_offset(facts, lengths, selective):
        return nothing
    anchor = selective[np.argmax(lengths[selective])]
    steps = np.flatnonzero(facts.equal[anchor])[:8].tolist()
    from fractions import Fraction  # where a state is off

    told = [Fraction(step + 1, int(lengths[anchor])).limit_denominator(16) for step in steps]
    strides = [Fraction(1, n) for n in range(2, 17)]  # rounded, a stride is no longer the ratio of any one row
    likely = [Fraction(1, stride)] if stride else [*(r for r in told if 1 in r.as_integer_ratio()), *strides, *told]
    for ratio in dict.fromkeys(likely):
        if ratio == 1 or (facts.mismatched.sum() == 1 and 1 not in ratio.as_integer_ratio()):
            continue  # some ratio gives any one row, and the others by rounding
        for rounding in (np.ceil, np.floor):
            used = rounding(lengths * float(ratio) - 1e-9 * (rounding is np.ceil)).astype(np.int64)
            one_end = not np.ptp(used[selective])  # one step for all rows would be no ratio of their lengths
            ends = _ends_at(facts, used) if stride else facts.equals(used - 1)
            if not one_end and ends[selective].all():
                return ratio, used
    return _cut_ratio(facts, lengths, selective) or nothing


def _cut_ratio(facts: TrackFacts, lengths: Ints, selective: Ints) -> tuple[Fraction, Ints] | None:
    """As `_ratio`, of a stride that was not applied, where lengths beyond the time axis were cut to it: such rows end
    at a later step than that of their length as it was cut; None where there are none."""
    from fractions import Fraction

    whole = selective[lengths[selective] < facts.steps]
    if whole.size == selective.size or np.unique(lengths[whole]).size < 2 or _one_offset(facts, lengths, whole):
        return None
    for stride in range(2, 17):
        for used in (-(-lengths // stride), lengths // stride):
            ends = cut_ends(facts, used)
            if np.ptp(used[whole]) and facts.equals(used - 1)[whole].all() and (ends[selective] > 0).all():
                return Fraction(1, stride), np.where(ends > 0, ends, used)
    return None


def _ends_at(facts: TrackFacts, used: Ints) -> Bools:
    """`[B]`: rows whose state equals their step `used` - 1, or the last that there is, where that lies beyond it."""
    return facts.equals(np.minimum(used, facts.steps) - 1)


def _one_offset(facts: TrackFacts, lengths: Ints, rows: Ints) -> bool:
    """Whether these rows all end one number of steps before or after their lengths: simpler than any ratio."""
    shared: set[int] | None = None
    for b in rows.tolist():
        offsets = set((np.flatnonzero(facts.equal[b]) + 1 - lengths[b]).tolist())
        shared = offsets if shared is None else shared & offsets
    return bool((shared or set()) - {0})


def _ends_as_stated(case: Case, lengths: Ints) -> bool:
    """Whether a row that the time axis has room for, and that can tell, ends where its length says."""
    inside = (lengths > 0) & (lengths <= case.trace.steps)
    forward = [f for f in case.facts if f.track.direction == "forward"]  # the others end at step 0 whatever the length
    return any(bool((inside & f.at_expected & ~f.uninformative).any()) for f in forward)


RULE = LengthsRescaled()
