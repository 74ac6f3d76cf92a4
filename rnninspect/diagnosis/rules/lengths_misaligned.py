"""The lengths belong to other rows: the batch and its lengths were ordered apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.core.trace import Ints, prefix_mask
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.whole_gathers import also_gathered, row_whose_length
from rnninspect.diagnosis.fix_code import gathered, lengths_as, or_run_again
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, Undone, listed, proposal
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.run_ends import ends_of_outputs, run_ends

OWN = "h = outputs[np.arange(len(outputs)), lengths - 1]  # these rows' lengths, in the order of these outputs"
RUN_AGAIN = "outputs, states = layer(inputs, lengths)"
OF_EACH_ROW = "# with these lengths, of which each is its own row's: the run had them in another order"
EACH = "h = outputs[np.arange(B), lengths - 1]  # each row's own length, not one for all"


class LengthsMisaligned(Rule):
    name = "lengths-misaligned"
    summary = "each final state is at the step that another row's length gives: the lengths are in another order"
    why = (
        "The rows were sorted or shuffled and the lengths were not (or the other way round), so each row was read up "
        "to another row's length."
    )
    fix = "inputs, lengths = inputs[order], lengths[order]  # one order for both; then run again"
    group = "Wrong step"
    place = 6
    needs = ("outputs", "lengths")
    implies = ("padding-computed", "backward-read-padding", "stale-initial-state", "mask-hole")
    threads = (
        Thread(
            "https://github.com/mlpack/mlpack/pull/3926",
            "A shuffle moved the sequences and their labels, and left the lengths where they were.",
        ),
    )

    def code(self, case: Case) -> str:
        if _states_alone(case):
            return gathered(case, OWN)
        used = _lengths_of_run(case)
        return RUN_AGAIN if used is None else lengths_as(used, "as the rows stand")

    def held_as(self, case: Case) -> str:
        return "lengths-ignored"

    def fitted(self, case: Case, theirs: str) -> str:
        """The layer run again with the lengths given, if it had others; where nothing tells that, below these."""
        if self.undecided(case):
            return f"{self.code(case)}\n{or_run_again(theirs)}"
        return self.code(case) if self.mends(case) else f"{theirs}\n{OF_EACH_ROW}"

    def mends(self, case: Case) -> bool:
        """Where the states alone were gathered by other lengths, or the inputs end at those of the run."""
        used = _lengths_of_run(case)
        return _states_alone(case) or (used is not None and _inputs_end_at(case, used))

    def undecided(self, case: Case) -> str:
        """Whether the lengths given are in another order, or those that the layer had."""
        used = None if _states_alone(case) else _lengths_of_run(case)
        if used is None or _inputs_end_at(case, used):
            return ""
        return (
            "the lengths may be in another order than the rows, or the run had them so, and nothing tells which: give "
            f"inputs that are zero past the rows' ends, or the right {argument('lengths')}, or run again"
        )

    def check(self, case: Case) -> Iterable[Proposal]:
        whose = "states were gathered by" if _states_alone(case) else "were really used are"
        for facts in case.facts:
            used = _lengths_used(facts)
            if used is None:
                continue
            rows = facts.mismatched & facts.equals(np.asarray(used) - 1)
            ended = _where_it_ended(facts)
            offsets = (np.asarray(used) - facts.ends)[(rows & ~facts.final_blank) if ended is None else facts.ends > 0]
            several = np.unique(offsets).size > 1 or not _is_of_one_offset(facts, offsets)  # another mistake's
            yield from proposal(
                self,
                [Seen(facts, rows)],
                f"{{rows}}: final_state.h is at the last step by another row's length; the lengths that {whose} "
                f"[{listed(used, 12)}], a permutation of those given",
                evidence={"lengths_used": used[:64]},
                strength=-1 if not several else 0 if -1 in used else 1 if ended is None else 2,
            )
        yield from self._of_one_length(case)

    def _of_one_length(self, case: Case) -> Iterable[Proposal]:
        """One row's length for every row, as where a column is taken by it: `outputs[:, lengths[0] - 1]`."""
        for facts in case.facts if case.trace.lengths is not None else ():
            row = row_whose_length(facts)
            if row is not None:
                step = int(facts.ends[row]) - 1
                rows = np.arange(facts.ends.size)
                yield from proposal(
                    self,
                    also_gathered(case, facts, rows, np.full(rows.size, step)),
                    f"{{rows}}: final_state.h equals outputs at step {step}, where row {row} ends: the length of that "
                    "one row was used for every row",
                    steps=(step,),
                    evidence={"lengths_used": [step + 1] * min(facts.ends.size, 64)},
                    fix=gathered(case, EACH),
                    alternatives=("off-by-one-length", "lengths-ignored") if step == facts.ends.max() - 2 else (),
                    strength=3,
                )

    def of_outputs(self, case: Case) -> Iterable[Proposal]:
        ends = ends_of_outputs(case.facts)
        if ends is None or np.array_equal(ends, case.facts[0].ends) or case.trace.mask_given:
            return
        if np.array_equal(np.sort(ends), np.sort(case.facts[0].ends)):
            yield from proposal(
                self,
                [Seen(facts, ends != facts.ends) for facts in case.facts],
                "{rows}: the outputs end at another row's length; the lengths that were really used are "
                f"[{listed(ends.tolist(), 12)}], a permutation of those given",
                kind="padding",
                evidence={"lengths_used": ends.tolist()[:64]},
            )

    def undo(self, case: Case) -> Iterable[Undone]:
        lengths = case.trace.lengths
        if lengths is None or case.trace.mask_given:
            return
        told = [used for facts in case.facts if (used := _lengths_used(facts)) is not None and -1 not in used]
        tried = [lengths.tolist()]
        for used in (*told, (-np.sort(-lengths)).tolist(), np.sort(lengths).tolist()):
            if used not in tried:
                tried.append(used)
                how = f"the lengths in the order [{listed(used, 12)}]"
                yield Undone(how, case.with_lengths(np.array(used, dtype=np.int64)))

    def inject(self, case: Case) -> Case:
        lengths = case.trace.real_counts
        if case.batch is None or case.weights is None or case.trace.mask_given or np.unique(lengths).size < 2:
            raise CannotInject("needs inputs, weights and uneven lengths")
        used = -np.sort(-lengths)
        if (used == lengths).all():
            used = np.sort(lengths)
        selective = used > lengths if case.trace.padding == "repeat" else used != lengths
        if selective.sum() < 2:
            raise CannotInject("needs two rows that show it; where the padding repeats, a row cut short shows nothing")
        mask = prefix_mask(used, case.trace.steps)
        ran = case.run(replace(case.batch, mask=mask, lengths=used))
        return case.with_trace(replace(case.trace, tracks=ran.tracks))


def _states_alone(case: Case) -> bool:
    """Whether the outputs end at the lengths given, which the layer has read then: the states alone were gathered by
    others, and a new run in another order would break what is right."""
    ends = ends_of_outputs(case.facts)
    return ends is not None and np.array_equal(ends, case.facts[0].ends) and any(f.mismatched.any() for f in case.facts)


def _lengths_of_run(case: Case) -> Ints | None:
    """`[B]`: the lengths that every track's states and outputs show, a permutation of those given; None where they do
    not, or the inputs end at those given."""
    lengths = case.trace.lengths
    told = {tuple(used) for facts in case.facts if (used := _lengths_used(facts)) is not None}
    if len(told) != 1 or lengths is None or case.trace.mask_given or _inputs_end_at(case, lengths):
        return None
    of_run: Ints = np.array(next(iter(told)), dtype=np.int64)
    return None if -1 in of_run else of_run


def _inputs_end_at(case: Case, lengths: Ints) -> bool:
    """Whether there are inputs, and they are zero from these lengths on and nowhere else."""
    if case.batch is None or case.batch.inputs.shape[:2] != case.trace.mask.shape:
        return False
    return np.array_equal((case.batch.inputs != 0).any(-1), prefix_mask(lengths, case.trace.steps))


def _where_it_ended(facts: TrackFacts) -> list[int] | None:
    """The steps at which the outputs themselves stop, where every row's state is of that step and together they are a
    permutation of the lengths given; of rows of one step what is left of the lengths."""
    ends = run_ends(facts)
    ends = np.where(facts.uniform, 1, np.where(ends < 0, facts.steps, ends))
    is_other = not np.array_equal(ends, facts.ends) and np.array_equal(np.sort(ends), np.sort(facts.ends))
    return ends.tolist() if is_other and facts.equals(ends - 1).all() else None


def _is_of_one_offset(facts: TrackFacts, offsets: Ints) -> bool:
    """Whether the one offset of rows that were told gives every other state too: as numpy counts steps before the first
    one, or with a step kept, or none."""
    if not offsets.size:
        return True
    if offsets.size == 1 and abs(int(offsets[0])) != 1:
        return False  # of a single row, only a single step is a slip that people make
    steps = facts.ends - 1 + int(offsets[0])
    wrapped, kept = np.where(steps < 0, steps + facts.steps, steps), np.clip(steps, 0, facts.steps - 1)
    fits = facts.equals(wrapped) | facts.equals(kept) | ((steps < 0) & facts.final_zero)
    return bool((fits | facts.uninformative).all())


def _lengths_used(facts: TrackFacts) -> list[int] | None:
    """The length that each row's state shows, where together they are a permutation of the lengths given.

    -1 for a row whose state equals no step of its own.
    """
    if facts.track.direction == "backward" and facts.track.order == "time":
        return None
    if facts.mismatched.sum() < 2:
        return None
    if (ends := _where_it_ended(facts)) is not None:
        return ends
    pool = Counter(facts.ends.tolist())
    used: dict[int, int] = {}
    rows = sorted(range(facts.ends.size), key=lambda b: int(facts.equal[b].sum()) or facts.steps + 1)
    unmatched = facts.mismatched & ~facts.equal.any(1)  # another mistake's
    for b in (b for b in rows if not unmatched[b]):  # rows that can end at one step only choose first
        ends = (np.flatnonzero(facts.equal[b]) + 1).tolist() if facts.expected[b] >= 0 else [int(facts.ends[b])]
        length = int(facts.ends[b])
        end = length if length in ends and pool[length] else next((e for e in ends if pool[e]), None)
        if end is None:
            return None
        pool[end] -= 1
        used[b] = end
    return [used.get(b, -1) for b in range(facts.ends.size)] if len(used) > 1 else None


RULE = LengthsMisaligned()
