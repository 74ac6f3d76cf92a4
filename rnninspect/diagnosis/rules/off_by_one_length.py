"""One constant offset between the step read and the last real step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Ints, last_true
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.constant_offsets import moved_ends, offsets_of, rows_at, selective
from rnninspect.diagnosis.evidence.weight_search import agrees
from rnninspect.diagnosis.fix_code import gathered
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, proposal
from rnninspect.diagnosis.state_in_hand import taken_at
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.run_ends import cut_in_words, past_the_stop, shows_lengths, states_end_elsewhere


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
        return _of_lengths(case) or gathered(case, self.fix)

    def fitted(self, case: Case, theirs: str) -> str:
        """A framework's code is for lengths that were indices; later states, or much earlier, are of another slip, and
        so are those of lengths that the outputs end at."""
        return _of_lengths(case) or _of_index(case) or theirs

    def in_hand(self, case: Case) -> str:
        index = "" if _of_lengths(case) else _of_index(case)
        return index and taken_at(case, index)

    def mends(self, case: Case) -> bool:
        """Unless the run itself ended before the lengths, as its padding shows: then they are wrong, or the run is."""
        return _lengths_are_off(case) is not None or _longer_run(case) is not None or not _run_ended_there(case)

    def undecided(self, case: Case) -> str:
        """Whether the states are one step off, or the lengths."""
        if _lengths_are_off(case) is not None or _lengths_stand(case):
            return ""
        longer = _longer_run(case)
        if longer is not None:
            return (
                f"outputs and states end {_steps(longer)} after the lengths: these may be too small, or the run had "
                f"others, and nothing tells which: give the right {argument('lengths')}, or run again"
            )
        return (
            "the states may be off, or the lengths, and nothing tells which: give inputs that are zero past the rows' "
            f"ends, or the right {argument('lengths')}"
        )

    def chosen_where(self, case: Case) -> str:
        """That of a run which went on past the lengths, which are then what is put right."""
        return super().chosen_where(case) if _longer_run(case) is None else "the lengths are known to be too small"

    def check(self, case: Case) -> Iterable[Proposal]:
        for facts in case.facts:
            ends = _ends(case, facts)
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


def _moved(offset: int) -> str:
    """Lengths that were counted wrong, put right."""
    return f"lengths = lengths {'+' if offset > 0 else '-'} {abs(offset)}  # the inputs end there, as the states do"


def _lengthened(offset: int) -> str:
    """Lengths that the run itself shows to be too small, unless it had others."""
    return f"lengths = lengths + {offset}  # the outputs end there, as the states do; if these are right, run again"


def _of_lengths(case: Case) -> str:
    """The code that puts lengths right, where these are known to be wrong, or the run went on past them; else empty."""
    if (offset := _lengths_are_off(case)) is not None:
        return _moved(offset)
    return "" if (longer := _longer_run(case)) is None else _lengthened(longer)


def _of_index(case: Case) -> str:
    """The code of the index of the last steps, where the lengths are known to be right; else empty."""
    offset = _one_offset(case)
    if offset is None or (offset == -1 and not _lengths_stand(case)):
        return ""
    return f"last_index = lengths - 1  # not {_step(offset)}: lengths count the real steps of a row"


def _steps(count: int) -> str:
    return f"{count} step{'s' if count != 1 else ''}"


def _follows(case: Case) -> bool:
    """Whether a run of the weights over the stated steps gives these outputs: then a gate held the state."""
    return case.has("inputs") and case.has("weights") and agrees(case)


def _way(offset: int) -> str:
    return "larger" if offset > 0 else "smaller"


def _run_ended_there(case: Case) -> bool:
    """Whether the outputs of every row become zero where its state was taken, not where its length says."""
    for facts in case.facts:
        ends = _ends(case, facts)
        ran = np.where(facts.zero.all(1), 0, last_true(~facts.zero) + 1)
        for offset, every in offsets_of(facts, ends):
            moved = moved_ends(facts, ends, offset)
            short = (moved < facts.steps) & (moved > 0)
            if every and short.any() and np.array_equal(ran[short], moved[short]):
                return True
    return False


def _longer_run(case: Case) -> int | None:
    """By how many steps the run went on past every length, as outputs and states show together: the states are those
    of its last step, and the steps before them would be wrong ones."""
    lengths, offset = case.trace.lengths, _one_offset(case)
    if lengths is None or case.trace.mask_given or offset is None or not _run_ended_there(case):
        return None
    return offset if offset > 0 and (lengths + offset <= case.trace.steps).all() else None


def _lengths_are_off(case: Case) -> int | None:
    """The offset by which the inputs say that the lengths are wrong: they are zero past other ends than stated."""
    lengths, batch = case.trace.lengths, case.batch
    if lengths is None or batch is None or case.trace.mask_given or batch.inputs.shape[1] != case.trace.steps:
        return None
    offset = _one_offset(case)
    if offset is None:
        return None
    ends = lengths + offset
    real = np.arange(case.trace.steps)[None] < ends[:, None]
    within = (ends > 0).all() and (ends <= case.trace.steps).all()
    return offset if within and np.array_equal((batch.inputs != 0).any(-1), real) else None


def _one_offset(case: Case) -> int | None:
    """The one offset that holds on every row of every track that can tell; None where there is none."""
    offsets = {o for f in case.facts for o, every in offsets_of(f, _ends(case, f)) if every}
    return next(iter(offsets)) if len(offsets) == 1 else None


def _lengths_stand(case: Case) -> bool:
    """Whether outputs or inputs end where the lengths say, or no row is shorter than the time axis."""
    stands = case.trace.mask.all() or any(shows_lengths(facts) for facts in case.facts)
    if stands or case.batch is None or case.batch.inputs.shape[:2] != case.trace.mask.shape:
        return bool(stands)
    return np.array_equal((case.batch.inputs != 0).any(-1), case.trace.mask)


def _ends(case: Case, facts: TrackFacts) -> Ints:
    """`[B]`: the lengths as stated, those beyond the time axis too; where a mask was given, its last real step + 1."""
    lengths = case.trace.lengths
    return facts.ends if lengths is None or case.trace.mask_given or facts.track.order != "time" else lengths


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
