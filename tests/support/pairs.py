"""Two mistakes at once: which rules can be injected together, and what a report then names of them.

`python -m tests.support.pairs EVERY with|without [FIRST]` prints, of one pair in EVERY (from number FIRST on),
with weights or without, how many of each kind are named as two, and what could be named of the others
(`pair_classes`): the share named is of those where neither mistake alone gives the arrays and the arrays tell the two.
Interrupted, it prints the table so far. Two mistakes of which the second overwrites the first are no pair; it says how
many of those there are.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rule import Rule
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.weights_rule import WeightsRule
from tests.support.alike import alike, injected, run_rightly, same
from tests.support.made import correct_case
from tests.support.pair_classes import CLASSES, Class, class_of

SHAPES = [(cell, layers, directions) for cell in ("lstm", "gru") for layers in (1, 2) for directions in (1, 2)]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two mistakes in one case, injected in this order in a `right` run."""

    first: Rule
    second: Rule
    case: Case
    right: Case

    @property
    def names(self) -> tuple[str, str]:
        return self.first.name, self.second.name


@functools.cache
def correct(shape: tuple[str, int, int]) -> Case:
    """A right run of that cell, depth and number of directions, as many rows as tracks where it has four."""
    cell, layers, directions = shape
    rows = np.array([4, 1, 7, 3]) if layers * directions == 4 else np.array([4, 1, 7, 3, 6])
    return correct_case(cell, layers, directions, lengths=rows)


def made(shape: tuple[str, int, int], *mistakes: str, weighed: bool = False) -> Case:
    """A right run with these mistakes made in it, one after the other, without its weights unless `weighed`."""
    case = correct(shape)
    for name in mistakes:
        case = rules()[name].inject(case)
    return case if weighed else case.with_weights(None)


def findings(case: Case) -> list[Finding]:
    """What is said of the case."""
    return judge(case, rules()).findings


def pairs_in(case: Case, overwritten: Counter[tuple[str, str]] | None = None) -> Iterator[Pair]:
    """Every two mistakes that this case has room for together: each changes what the other leaves.

    Wrong weights come last, since an injection that runs the layer again would run them. `overwritten` counts the two
    that are no pair: with both, the arrays are those of the second alone, or of the second in a right run of what the
    first left in inputs and lengths.
    """
    overwritten = Counter() if overwritten is None else overwritten
    alone = {name: one for name, rule in rules().items() if (one := injected(rule, case)) is not None}
    for first, one in alone.items():
        if isinstance(rules()[first], WeightsRule):
            continue
        for second, other in alone.items():
            if second == first:
                continue
            both = injected(rules()[second], one)
            if both is None or not _can_be_read(both) or alike(both, one):
                continue
            again = injected(rules()[second], run_rightly(one)) if _changes_what_is_stated(case, one) else other
            if alike(both, other) or (again is not None and alike(both, again)):
                overwritten[first, second] += 1
                continue
            yield Pair(rules()[first], rules()[second], both, case)


def _changes_what_is_stated(case: Case, one: Case) -> bool:
    """Whether a mistake is made in inputs, lengths or initial states, of which a right run would give other states."""
    runs = [(c.batch, c.trace.mask, tuple((t.initial, t.initial_cell) for t in c.trace.tracks)) for c in (case, one)]
    return one.batch is not None and not same(*runs)


def _can_be_read(case: Case) -> bool:
    """Whether all arrays are of one batch and time axis: what is not is refused before it is judged."""
    shape = case.trace.mask.shape
    outputs = [t.outputs.shape[:2] for t in case.trace.tracks if t.outputs is not None]
    return set(outputs) <= {shape} and (case.other is None or case.other.mask.shape == shape)


def kind_of(rule: Rule) -> str:
    """Weights, or the group of its lesson."""
    return "weights" if isinstance(rule, WeightsRule) else rule.group


@dataclass
class Tally:
    """Pairs by kind and by what came of them, and what was said where not both were named."""

    shares: dict[tuple[str, ...], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    counts: Counter[int] = field(default_factory=Counter)
    not_both: list[tuple[Pair, Class, list[Finding]]] = field(default_factory=list)

    def add(self, pair: Pair) -> int:
        """Judges a pair and counts it; how many of the two were named."""
        judged = findings(pair.case)
        named = {name for f in judged for name in (f.rule, *f.alternatives)}
        count = sum(name in named for name in pair.names)
        self.counts[count] += 1
        kind = "both"
        if count < 2:
            what = class_of(pair.right, pair.case, pair.first, pair.second, judged)
            self.not_both.append((pair, what, judged))
            kind = what.kind
        self.shares[tuple(sorted((kind_of(pair.first), kind_of(pair.second))))][kind] += 1
        return count

    def table(self) -> str:
        """The counts of every kind; `counts` has them by how many of the two were named."""
        total = sum(self.shares.values(), Counter[str]())
        lines = [f"{total.total()} pairs: {_in_words(total)}; named: {self.counts[2]} both, {self.counts[1]} one"]
        lines += [f"  {' x '.join(kinds)}: {_in_words(counts)}" for kinds, counts in sorted(self.shares.items())]
        return "\n".join(lines)


def _in_words(counts: Counter[str]) -> str:
    """How many of those that can be told were named as two, and how many there are of each other class."""
    right = counts["both"] + counts["other pair"]
    can = right + counts["missed"]
    others = "".join(f", {counts[kind]} {kind}" for kind in CLASSES if counts[kind])
    return f"{right} of {can}{f' ({right / can:.1%})' if can else ''}{others}"


def main(every: int, picked: str, first: int = 0) -> None:
    """Prints the table of one pair in `every`, and those of which not both were named.

    picked: `with` weights, or `without`.
    first: the number of the first pair that is judged.
    """
    tally, overwritten = Tally(), Counter[tuple[str, str]]()
    try:
        for pair, shape in _sample(every, first, picked == "with", overwritten):
            if tally.add(pair) < 2:
                _, what, judged = tally.not_both[-1]
                named = [(f.rule, f.certainty, *f.alternatives) for f in judged]
                print(what.kind, *what.shown_by, "<-", *pair.names, shape, named, flush=True)
    except KeyboardInterrupt:
        print("interrupted; so far:")
    print(tally.table())
    print(f"{overwritten.total()} are no pair: the second overwrites the first")


def _sample(
    every: int, first: int, weighed: bool, overwritten: Counter[tuple[str, str]]
) -> Iterator[tuple[Pair, tuple[str, int, int]]]:
    """One pair in `every` from that number on, of all shapes; bare, where not `weighed`, if none are needed."""
    for shape in SHAPES:
        for k, pair in enumerate(pairs_in(correct(shape), overwritten)):
            if k % every != first % every:
                continue
            if weighed:
                yield pair, shape
            elif "weights" not in (*pair.first.needs, *pair.second.needs):
                yield replace(pair, case=pair.case.with_weights(None)), shape


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
