"""One constant offset between the step read and the last real step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Ints
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.constant_offsets import moved_ends, offsets_of, rows_at, selective
from rnninspect.diagnosis.evidence.lengths_or_run import (
    ends_as_stated,
    lengths_are_off,
    lengths_stand,
    one_offset,
    other_run,
    run_ended_there,
)
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.fix_code import gathered, or_run_again
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal
from rnninspect.diagnosis.state_in_hand import taken_at
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.run_ends import cut_in_words, past_the_stop, states_end_elsewhere

RUN_AGAIN = "outputs, states = layer(inputs, lengths)"
_OTHERWISE = "# or, where the states are right: lengths = {}"


class OffByOneLength(Rule):
    name = "off-by-one-length"
    summary = "every final state is the same number of steps before or after its row's last real step"
    why = (
        "A length counts steps; the index of the last step is the length minus one. Passing indices where lengths "
        "are expected, or gathering at length - 2 or at length, shifts every row by the same offset."
    )
    fix = "h = outputs[np.arange(len(outputs)), lengths - 1]  # lengths count steps: the last index + 1"
    fixed_in = "arrays"
    group = "Wrong step"
    place = 3
    needs = ("outputs", "lengths")
    implies = ("padding-computed", "zero-length-row", "length-exceeds-time", "lengths-ignored")
    example = "rows"
    threads = (
        Thread(
            "https://github.com/yandexdataschool/Practical_RL/pull/558",
            "A length was used as an index, so that the encoder's vector came from the step after the end.",
        ),
    )

    def code(self, case: Case) -> str:
        if self.mends(case):
            return _of_lengths(case) or gathered(case, self.fix)
        return _with_remark(RUN_AGAIN, _other_lengths(case))

    def held_as(self, case: Case) -> str:
        """Where the states in hand are not taken anew, the layer is run again, within the lengths."""
        return "lengths-ignored"

    def fitted(self, case: Case, theirs: str) -> str:
        """The lengths put right, or the run again; where nothing tells which, the likelier one first. Lengths of which
        the largest is all of the time axis fit the inputs that it was made for."""
        again, lengths = _with_remark(theirs, _other_lengths(case)), case.trace.lengths
        if (offset := other_run(case)) is None:
            return _of_lengths(case) or self.in_hand(case) or again
        if lengths is not None and lengths.max(initial=0) == case.trace.steps:
            return f"{again}\n# or, where the lengths are too {_small(offset)}: lengths = {_added(offset)}"
        return f"{_of_lengths(case)}\n{or_run_again(again)}"

    def in_hand(self, case: Case) -> str:
        index = _of_index(case) if self.mends(case) and not _of_lengths(case) else ""
        taken = index and taken_at(case, index)
        return f"{taken}\n{_OTHERWISE.format(_other_lengths(case))}" if taken and self.undecided(case) else taken

    def mends(self, case: Case) -> bool:
        """Unless the run itself ended elsewhere, as its padding shows, and the lengths are right or tell nothing."""
        return bool(_of_lengths(case)) or not run_ended_there(case)

    def undecided(self, case: Case) -> str:
        """Whether the states are one step off, or the lengths."""
        if lengths_are_off(case) is not None or lengths_stand(case):
            return ""
        offset = other_run(case)
        if offset is not None:
            return (
                f"outputs and states end {_steps(abs(offset))} {'after' if offset > 0 else 'before'} the lengths: "
                f"these may be too {_small(offset)}, or the run had others, and nothing tells which: give the right "
                f"{argument('lengths')}, or run again"
            )
        return (
            "the states may be off, or the lengths, and nothing tells which: give inputs that are zero past the rows' "
            f"ends, or the right {argument('lengths')}"
        )

    def chosen_where(self, case: Case) -> str:
        """That of a run which ended elsewhere than the lengths, which are then what is put right."""
        offset = other_run(case)
        return super().chosen_where(case) if offset is None else f"the lengths are known to be too {_small(offset)}"

    def check(self, case: Case) -> Iterable[Proposal]:
        for facts in case.facts:
            ends = ends_as_stated(case, facts)
            for offset, every in offsets_of(facts, ends):
                if not every and (_is_one_column(facts) or _is_by_chance(facts, ends, offset)):
                    continue  # of a length for which that step happens to be this far from the end
                beyond = ends > facts.steps  # cut to the steps that there are, such a row looks right
                empty = (facts.ends == 0) & ~facts.final_zero  # zeros are what a row without a step ends in anyway
                rows = rows_at(facts, ends, offset) & (facts.mismatched | empty | beyond)
                plural = "s" if abs(offset) != 1 else ""
                yield from proposal(
                    self,
                    [Seen(facts, rows)],
                    f"{{rows}}: final_state.h equals outputs at step {_step(offset)}, {abs(offset)} step{plural} "
                    f"{'before' if offset < 0 else 'after'} the last real step"
                    + (", in every row with evidence" if every else "")
                    + cut_in_words(facts, rows & (moved_ends(facts, ends, offset) != ends + offset)),
                    evidence={"offset": offset},
                    certainty="proven" if every or not (selective(facts) & ~rows).any() else "suspected",
                    strength=1 if every else 0,
                )

            yield from self._of_longer_lengths(case, facts)

    def _of_longer_lengths(self, case: Case, facts: TrackFacts) -> Iterable[Proposal]:
        """States that are right, of a run that stopped by one number of steps before every length: its outputs repeat
        the last step from there on, so that the step at the length equals it too."""
        if facts.track.direction == "backward" or case.trace.mask_given or facts.mismatched.any():
            return
        (past, told), still = past_the_stop(facts), bool(facts.uniform.all())  # as of one buffer for every step
        if past < 1 or _follows(case):
            return
        yield from proposal(
            self,
            [Seen(facts, told)],
            f"{{rows}}: the outputs repeat from {_steps(past)} before the stated length on: the run ended there, and "
            "the lengths are too large, or the last steps were masked" + ", or one buffer was used for all" * still,
            kind="fact",
            certainty="suspected",
            alternatives=("outputs-aliased", "mask-hole") if still else ("mask-hole",),
            fix=f"lengths = lengths - {past}  # the outputs repeat from there on",
            evidence={"offset": -past},
        )

    def undo(self, case: Case) -> Iterable[Undone]:
        lengths = case.trace.lengths
        if lengths is None or case.trace.mask_given or not (lengths > 0).all() or not case.facts:
            return
        told = [p.evidence["offset"] for p in self.check(case)]
        for offset in dict.fromkeys((*told, -1, 1)):
            if (lengths + offset <= case.trace.steps).all() and _ends_before_its_first(case, lengths + offset):
                moved = np.maximum(moved_ends(case.facts[0], lengths, offset), 0)
                yield Undone(f"lengths {abs(offset)} {_way(offset)}", case.with_lengths(moved))

    def inject(self, case: Case) -> Case:
        lengths = case.trace.real_counts
        if case.trace.mask_given or (lengths < 2).all() or case.trace.tracks[0].order != "time":
            raise CannotInject("needs right padding and rows of two or more steps")
        rows = np.arange(lengths.size)
        return case.with_tracks(
            lambda t: (
                replace(t, final=t.outputs[rows, lengths - 2], cell=None)
                if t.outputs is not None and t.direction == "forward"
                else t
            )
        )


def _of_lengths(case: Case) -> str:
    """The code that puts lengths right, where these are known to be wrong, or the run had others; else empty."""
    if (offset := lengths_are_off(case)) is not None:
        return f"lengths = {_added(offset)}  # the inputs end there, as the states do"
    if (offset := other_run(case)) is not None:
        return f"lengths = {_added(offset)}  # the outputs end there, as the states do"
    return ""


def _other_lengths(case: Case) -> str:
    """The lengths that the states are of, in terms of those stated; empty where they are of no one offset."""
    return "" if (offset := one_offset(case)) is None else _added(offset)


def _with_remark(code: str, other: str) -> str:
    """Code that runs the layer again, which says first that these lengths are meant."""
    first, line_end, rest = code.partition("\n")
    remark = f"{'; ' if '  # ' in first else '  # '}not {other}" if other else ""
    return f"{first}{remark}{line_end}{rest}"


def _added(offset: int) -> str:
    """The lengths so many steps larger.

    >>> _added(-1), _added(2)
    ('lengths - 1', 'lengths + 2')
    """
    return f"lengths {'+' if offset > 0 else '-'} {abs(offset)}"


def _small(offset: int) -> str:
    return "small" if offset > 0 else "large"


def _of_index(case: Case) -> str:
    """The code of the index of the last steps, where the states are one number of steps off; else empty."""
    offset = one_offset(case)
    if offset is None:
        return ""
    return f"last_index = lengths - 1  # not {_step(offset)}: lengths count the real steps of a row"


def _steps(count: int) -> str:
    return f"{count} step{'s' if count != 1 else ''}"


def _follows(case: Case) -> bool:
    """Whether a run of the weights over the stated steps gives these outputs: then a gate held the state."""
    return case.has("inputs") and case.has("weights") and agrees(case)


def _way(offset: int) -> str:
    return "larger" if offset > 0 else "smaller"


def _is_one_column(facts: TrackFacts) -> bool:
    """Whether all rows that are off, of several, stand at one and the same step."""
    rows = selective(facts)
    return int(rows.sum()) > 1 and bool(facts.equal[rows].all(0).any())


def _is_by_chance(facts: TrackFacts, ends: Ints, offset: int) -> bool:
    """Whether rows that are off end where their outputs do, this far from the length in some of them alone."""
    rows = selective(facts)
    return bool(states_end_elsewhere(facts)[rows].all()) and not rows_at(facts, ends, offset)[rows].all()


def _ends_before_its_first(case: Case, moved: Ints) -> bool:
    """Whether each row that these lengths `[B]` leave no step holds what a step before its first one gives."""
    empty = moved <= 0
    tracks = [f for f in case.facts if f.track.direction == "forward"] if empty.any() else []
    return all((f.final_zero | f.equal[:, -1])[empty].all() for f in tracks) and not empty.all()


def _step(offset: int) -> str:
    """The step read, in terms of the length.

    >>> _step(-1), _step(1), _step(3)
    ('length - 2', 'length', 'length + 2')
    """
    return "length" if offset == 1 else f"length {'-' if offset < 1 else '+'} {abs(offset - 1)}"


RULE = OffByOneLength()
