"""Random layers with one mistake each: how often it is named, as the cause or as an alternative, by rule.

`python -m tests.support.injections COUNT [FIRST]` makes COUNT mistakes in runs from seed FIRST on, judges each with
weights and without, and prints the shares and the first seeds that were missed. One mistake of every rule in turn; a
rule that a run has no room for passes its turn on to the next one.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules
from rnninspect.errors import UserError
from tests.test_long import random_case, visible

CLASSES = ("exactly", "as an alternative", "missed")


@dataclass(frozen=True, eq=False)
class Injection:
    """One mistake in a random run."""

    seed: int
    name: str
    case: Case


@dataclass
class Outcomes:
    """What came of many mistakes: classes by rule, and where the missed ones are."""

    by_rule: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    missed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, injection: Injection, case: Case) -> None:
        findings = judge(case, rules()).findings
        name = injection.name
        if any(f.rule == name for f in findings):
            outcome = CLASSES[0]
        elif any(name in f.alternatives for f in findings):
            outcome = CLASSES[1]
        else:
            outcome = CLASSES[2]
            self.missed[name].append(f"{injection.seed} {[f.rule for f in findings]}")
        self.by_rule[name][outcome] += 1

    def table(self) -> str:
        total: Counter[str] = sum(self.by_rule.values(), Counter())
        lines = [f"{total.total()} mistakes: " + ", ".join(f"{total[c]} {c}" for c in CLASSES)]
        for name, counts in sorted(self.by_rule.items()):
            lines.append(f"  {name}: " + ", ".join(f"{counts[c]} {c}" for c in CLASSES if counts[c]))
            lines += [f"    missed: seed {what}" for what in self.missed[name][:3]]
        return "\n".join(lines)


def injections(first: int, count: int) -> Iterator[Injection]:
    """So many mistakes that show, in random right runs that are not remarked on."""
    names, turn, made, seed = sorted(rules()), 0, 0, first
    while made < count:
        seed += 1
        try:
            case = random_case(seed)
        except UserError:
            continue  # a layer that this framework does not have
        if judge(case, rules()).findings:
            continue
        for k in range(len(names)):
            name = names[(turn + k) % len(names)]
            injected = _injected(name, case)
            if injected is not None:
                turn, made = turn + k + 1, made + 1
                yield Injection(seed, name, injected)
                break


def _injected(name: str, case: Case) -> Case | None:
    try:
        injected = rules()[name].inject(case)
    except CannotInject:
        return None
    return injected if visible(case, injected) else None


def main(count: int, first: int = 0) -> None:
    """Prints both tables, with weights, and without for the rules that need none; interrupted, of those made so far."""
    weighed, bare = Outcomes(), Outcomes()
    try:
        for injection in injections(first, count):
            weighed.add(injection, injection.case)
            if "weights" not in rules()[injection.name].needs:
                bare.add(injection, injection.case.with_weights(None))
    except KeyboardInterrupt:
        print("interrupted; so far:")
    print("with weights:", weighed.table(), "without:", bare.table(), sep="\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
