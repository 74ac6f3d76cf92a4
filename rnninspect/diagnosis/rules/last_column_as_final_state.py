"""`outputs[:, -1]` was taken for the final state: zeros for every row that is shorter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.fix_code import gathered
from rnninspect.diagnosis.rule import CannotInject, Proposal, Rule, Seen, Thread, proposal
from rnninspect.diagnosis.state_in_hand import top_placed
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.matching import gather, step_keys


class LastColumn(Rule):
    name = "last-column-as-final-state"
    summary = "the state is outputs[:, -1], which is zeroed padding in short rows"
    why = (
        "The last column of padded outputs is the last real step only in rows of full length. In a shorter row it is "
        "padding, which the framework has set to zero, so the row's state is all zeros."
    )
    fix = "h = outputs[np.arange(len(outputs)), lengths - 1]  # not outputs[:, -1]: padding, in a short row"
    fixed_in = "arrays"
    group = "Wrong step"
    place = 2
    needs = ("outputs", "lengths")
    print_out = "printed.txt"
    in_states = True
    threads = (
        Thread(
            "https://github.com/tensorflow/tensorflow/issues/1830",
            "outputs[-1] is zero for every row shorter than the longest; people ask for the last real output.",
        ),
        Thread(
            "https://github.com/thtrieu/qclass_dl/issues/1",
            "After the selection of last steps was simplified to outputs[-1], the results became useless.",
        ),
    )

    def code(self, case: Case) -> str:
        return gathered(case, self.fix)

    def in_hand(self, case: Case) -> str:
        return top_placed(case, self.code(case))

    def check(self, case: Case) -> Iterable[Proposal]:
        zeroed, filled, moved = [], [], []
        for facts in case.facts:
            if facts.track.direction == "backward" and facts.track.order == "time":
                continue  # a backward half read at the wrong end is a rule of its own
            if _is_of_other_rows(facts):
                moved.append(Seen(facts, facts.mismatched & facts.final_blank))
                continue
            blank = facts.mismatched & facts.equal[:, -1] & facts.final_blank & ~facts.mask[:, -1]
            zeroed.append(Seen(facts, blank & facts.final_zero))
            filled.append(Seen(facts, blank & ~facts.final_zero))
        last = case.trace.steps - 1
        yield from proposal(
            self,
            zeroed,
            f"{{rows}}: final_state.h is all zeros and equals outputs at step {last}, the last column, which is zeroed "
            "padding there; the sequences end earlier",
            steps=(last,),
            strength=2,
        )
        value = next((s.facts.final[s.rows][0, 0] for s in filled if s.rows.any()), 0)
        yield from proposal(
            self,
            filled,
            f"{{rows}}: final_state.h is {value:g} in every unit and equals outputs at step {last}, the last column, "
            "which is padding that was filled with this value; the sequences end earlier",
            steps=(last,),
            strength=2,
        )
        yield from proposal(
            self,
            moved,
            f"{{rows}}: final_state.h is padding: the states are outputs at step {last}, the last column, of the rows "
            "in another order, and some of these end earlier",
            steps=(last,),
            strength=6,  # a row without padding may hold zeros so
        )

    def inject(self, case: Case) -> Case:
        if case.trace.mask.all() or case.trace.padding != "zero":
            raise CannotInject("needs a row with zeroed padding")
        return case.with_tracks(
            lambda t: (
                replace(t, final=t.outputs[:, -1], cell=None)
                if t.outputs is not None and t.direction == "forward"
                else t
            )
        )


def _is_of_other_rows(facts: TrackFacts) -> bool:
    """Whether the states, blank ones and others, are the last column in another order of the rows, each once."""
    blank = facts.mismatched & facts.final_blank
    if not blank.any() or not (facts.mismatched & ~facts.final_blank).any() or facts.mask.all():
        return False
    count = facts.mismatched.size
    column = gather(facts.outputs, np.arange(count), np.full(count, facts.steps - 1))
    return bool(np.array_equal(np.sort(step_keys(column)), np.sort(step_keys(np.asarray(facts.final)))))


RULE = LastColumn()
