"""Two mistakes at once: which rules can be injected together, and what a report then names of them.

`python -m tests.support.pairs EVERY with|without [FIRST]` prints, of one pair in EVERY (from number FIRST on),
with weights or without, the share of which both, one or neither is named, by kind. Interrupted, it prints the table so
far. Two mistakes of which the second overwrites the first are no pair; it says how many of those there are.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rule import CannotInject, Rule
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.errors import UserError
from tests.support.made import correct_case

SHAPES = [(cell, layers, directions) for cell in ("lstm", "gru") for layers in (1, 2) for directions in (1, 2)]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two mistakes in one case, injected in this order."""

    first: Rule
    second: Rule
    case: Case

    @property
    def names(self) -> tuple[str, str]:
        return self.first.name, self.second.name


@functools.cache
def correct(shape: tuple[str, int, int]) -> Case:
    """A right run of that cell, depth and number of directions, as many rows as tracks where it has four."""
    cell, layers, directions = shape
    rows = np.array([4, 1, 7, 3]) if layers * directions == 4 else np.array([4, 1, 7, 3, 6])
    return correct_case(cell, layers, directions, lengths=rows)


def pairs_in(case: Case, overwritten: Counter[tuple[str, str]] | None = None) -> Iterator[Pair]:
    """Every two mistakes that this case has room for together: each changes what the other leaves.

    Wrong weights come last, since an injection that runs the layer again would run them. `overwritten` counts the two
    that are no pair: with both, the arrays are those of the second alone, or of the second in a right run of what the
    first left in inputs and lengths.
    """
    overwritten = Counter() if overwritten is None else overwritten
    alone = {name: injected for name, rule in rules().items() if (injected := _injected(rule, case)) is not None}
    for first, one in alone.items():
        if isinstance(rules()[first], WeightsRule):
            continue
        for second, other in alone.items():
            if second == first:
                continue
            both = _injected(rules()[second], one)
            if both is None or not _can_be_read(both) or _alike(both, one):
                continue
            again = _injected(rules()[second], _run_rightly(one)) if _changes_what_is_stated(case, one) else other
            if _alike(both, other) or (again is not None and _alike(both, again)):
                overwritten[first, second] += 1
                continue
            yield Pair(rules()[first], rules()[second], both)


def _injected(rule: Rule, case: Case) -> Case | None:
    try:
        return rule.inject(case)
    except (CannotInject, UserError, AssertionError, ValueError, IndexError):
        return None  # the last four: what another mistake left is no case that this one is made in


def _changes_what_is_stated(case: Case, one: Case) -> bool:
    """Whether a mistake is made in inputs or lengths, of which a right run would give other states."""
    return one.batch is not None and not (_same(case.batch, one.batch) and _same(case.trace.mask, one.trace.mask))


def _run_rightly(case: Case) -> Case:
    """The case as a right run of its inputs, lengths and weights."""
    assert case.batch is not None
    try:
        return case.with_trace(replace(case.trace, tracks=case.run(case.batch).tracks))
    except (UserError, ValueError):
        return case


def _can_be_read(case: Case) -> bool:
    """Whether all arrays are of one batch and time axis: what is not is refused before it is judged."""
    shape = case.trace.mask.shape
    outputs = [t.outputs.shape[:2] for t in case.trace.tracks if t.outputs is not None]
    return set(outputs) <= {shape} and (case.other is None or case.other.mask.shape == shape)


def _alike(one: Case, other: Case) -> bool:
    """Whether two cases hold the same numbers, read the same way."""
    if one.reading.time_swapped != other.reading.time_swapped or one.config != other.config:
        return False
    pieces = [(one.trace, other.trace), (one.batch, other.batch), (one.weights, other.weights)]
    return all(_same(a, b) for a, b in [*pieces, (one.other, other.other), (one.chunk, other.chunk)])


def _same(one: object, other: object) -> bool:
    if one is other:
        return True
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.shape == other.shape and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if hasattr(one, "__dataclass_fields__") and type(one) is type(other):
        return all(_same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))  # type: ignore[arg-type]
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return False
    return bool(one == other)


def kind_of(rule: Rule) -> str:
    """Weights, or the group of its lesson."""
    return "weights" if isinstance(rule, WeightsRule) else rule.group


@dataclass
class Tally:
    """Pairs by kind and by how many of the two were named, and what was said where not both were."""

    shares: dict[tuple[str, ...], Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    missed: list[tuple[Pair, list[Finding]]] = field(default_factory=list)

    def add(self, pair: Pair) -> int:
        """Judges a pair and counts it; how many of the two were named."""
        findings = judge(pair.case, rules()).findings
        named = {name for f in findings for name in (f.rule, *f.alternatives)}
        count = sum(name in named for name in pair.names)
        self.shares[tuple(sorted((kind_of(pair.first), kind_of(pair.second))))][count] += 1
        if count < 2:
            self.missed.append((pair, findings))
        return count

    @property
    def counts(self) -> Counter[int]:
        """How many pairs have two, one or none of them named."""
        return sum(self.shares.values(), Counter())

    def table(self) -> str:
        total = self.counts
        lines = [f"{total.total()} pairs: {total[2]} both named, {total[1]} one, {total[0]} neither"]
        for kinds, counts in sorted(self.shares.items()):
            lines.append(
                f"  {' x '.join(kinds)}: {counts[2]} of {counts.total()} both, {counts[1]} one, {counts[0]} neither"
            )
        return "\n".join(lines)


def main(every: int, picked: str, first: int = 0) -> None:
    """Prints the table of one pair in `every`, and those of which not both were named.

    picked: `with` weights, or `without`.
    first: the number of the first pair that is judged.
    """
    tally, overwritten = Tally(), Counter[tuple[str, str]]()
    try:
        for pair, shape in _sample(every, first, picked == "with", overwritten):
            if tally.add(pair) < 2:
                _, findings = tally.missed[-1]
                print(*pair.names, shape, [(f.rule, f.certainty, *f.alternatives) for f in findings], flush=True)
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
