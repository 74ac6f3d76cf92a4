"""What every rule is made of: one mistake that people make, how it is seen, and how to make it on purpose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import Any, Literal

import numpy as np

from rnninspect.core.finding import Certainty, Severity
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Bools, Trace, Track
from rnninspect.diagnosis.case import Case
from rnninspect.measure.facts import TrackFacts, may_end_right, measure

# A proposal of kind `state` explains rows whose final state is off; kind `padding` what padded outputs hold;
# kind `fact` stands for itself and competes with nothing.
Kind = Literal["state", "padding", "fact"]
# The worked examples (`examples.py`): the two packaged ones, and the packaged inputs read by layers of other kinds.
Example = Literal["single", "bidirectional", "rows", "clipped", "gru", "stack", "directions"]
Place = tuple[int, str, int]  # layer, direction, row
# What a fix does: it corrects the saved arrays, or says what to change before the layer is run again.
FixedIn = Literal["arrays", "run"]
# What a fix of the arrays moves: h of the rows found; whole states (c too, unless it is right); or rows of every layer.
Moves = Literal["h", "state", "rows"]
# The groups of the lessons, in their order: from what is met most often to what needs the most evidence.
Group = Literal[
    "Wrong step",
    "Padding",
    "Rows, axes, layers",
    "Directions",
    "What the state holds",
    "Weights and arithmetic",
    "Models that run",
    "Further",
]


@frozen
class Proposal:
    """A cause that reconstructs numbers that were seen, in the words of the report. In `message`, `{rows}` stands for
    the rows in words, with their tracks where the case has several.

    `places`: (layer, direction, row) that it explains; for a fact, that it concerns. `spoils`: those whose state is
    where it ought to be and yet wrong by the same cause. `strength`: how much its evidence could have failed; of causes
    of the same rows the strongest is named, the others are alternatives. `fix`: its own, if not the rule's. `copies`:
    places that hold one another's states: where all are off, one is the original. `alternative_of`: more usual rules
    that may give the very same states: where one of them is named for the same rows, this one is its alternative.
    """

    rule: str
    message: str
    places: frozenset[Place]
    severity: Severity = "error"
    certainty: Certainty = "proven"
    kind: Kind = "state"
    strength: int = 0
    steps: tuple[int, ...] = ()
    alternatives: tuple[str, ...] = ()
    alternative_of: tuple[str, ...] = ()
    spoils: frozenset[Place] = frozenset()
    fix: str = ""
    copies: tuple[frozenset[Place], ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)


@frozen
class Thread:
    """A public thread in which people met the mistake: its address, and in one sentence what it is about."""

    url: str
    about: str


@frozen(eq=False)
class Undone:
    """A case as it would be without a mistake. `how`: what was done to it, in words that go on after "with". `fix`:
    code that does so, where the rule's own may do otherwise."""

    how: str
    case: Case
    fix: str = ""


class Rule:
    """One mistake. `needs`: evidence without which it is listed as not checked.

    `fix`: the fix for any framework, as Python on numpy arrays: `inputs` `[B, T, F]`, `outputs` `[B, T, H]`
    (`outputs_fw`, `outputs_bw` of two directions), `h` and `c` `[B, H]`, `states` `[L*D, B, H]`, `joined` `[L, B,
    D*H]`, `final` (one vector a row, of all states), `lengths` `[B]`, `mask` `[B, T]`, and of weights `kernel`,
    `recurrent_kernel` and `bias`, the gates along the last axis. `fixed_in`: whether it mends these arrays themselves,
    or only a new run does. A better fix for one framework stands in its convention, under the name of the rule.
    `moves`: what such a fix moves; of all but `h`, code that says `h` (`states`, `final`) holds for c as well. `group`,
    `place`: where the rule stands among the lessons; equal places are ordered by name. `reads_c`: what it reconstructs
    is the final state as c holds it. `implies`: rules whose findings are symptoms of this one on the same rows, and are
    then not listed again. `leaves`: those of its symptoms that the outputs which it changed keep where it is undone.
    `example`: the worked example in which it is planted and shown. `print_out`: the packaged text, as somebody would
    paste it, from which the rule is found and with which its lesson begins.
    `in_outputs`: the outputs are not what the layer gave, and so tell no right state. `in_states`: the states alone are
    wrong: outputs, inputs and lengths are those of the run. `at_best`: its certainty where all of its evidence is
    there. `compares`: it explains what two dumps differ by. `threads`: where people met it, in public.
    """

    name: str
    severity: Severity = "error"
    summary: str
    why: str
    fix: str
    fixed_in: FixedIn = "run"
    moves: Moves = "h"
    group: Group = "Further"
    place: int = 100
    needs: tuple[str, ...] = ("outputs",)
    implies: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    reads_c: bool = False
    in_outputs: bool = False
    in_states: bool = False
    at_best: Certainty = "proven"
    example: Example = "single"
    print_out: str | None = None
    compares: bool = False
    threads: tuple[Thread, ...] = ()

    def missing(self, case: Case) -> list[str]:
        """The evidence that it needs and the case does not hold."""
        return case.lacks(self.needs)

    def check(self, case: Case) -> Iterable[Proposal]:
        """The causes that this rule sees in the case; each reconstructs what it explains."""
        raise NotImplementedError

    def undo(self, case: Case) -> Iterable[Undone]:
        """The case as it would be without this mistake, once for each way of making it; nothing is claimed by that. A
        second mistake may hide this one from `check`: other rules are then checked on the remaining difference."""
        return ()

    def of_outputs(self, case: Case) -> Iterable[Proposal]:
        """What the outputs alone show of this mistake, whatever the states hold: asked beneath another cause."""
        return ()

    def code(self, case: Case) -> str:
        """The fix as it fits this case: its axes, its directions, and what the numbers say of the mistake."""
        return self.fix

    def fitted(self, case: Case, theirs: str) -> str:
        """A framework's own fix, `theirs`, as it fits what the numbers of this case say of the mistake."""
        return theirs

    def held_as(self, case: Case) -> str:
        """The name of the rule under which frameworks hold the code that fixes this case: another one's where their own
        code against this mistake would not."""
        return self.name

    def in_hand(self, case: Case) -> str:
        """The code that puts right the very states in hand, along their own axes; empty where a framework's code, or
        the rule's, does."""
        return ""

    def seen_as(self, case: Case) -> Case:
        """The case as the rule takes it to be, where that is another reading than the one that fits its mistake."""
        return case

    def remade(self, case: Case) -> Case | None:
        """The case with states of other shapes, where only so they are right; None elsewhere."""

    def put_back(self, case: Case) -> Case | None:
        """The case with the states at fault put right, where its code is about some of them alone; None elsewhere."""

    def turns_outputs(self, case: Case) -> bool:
        """Whether the outputs of the dump are to be transposed, and nothing else."""
        return False

    def mends(self, case: Case) -> bool:
        """Whether that code corrects this case's own arrays; otherwise only a new run does."""
        return self.fixed_in == "arrays"

    def undecided(self, case: Case) -> str:
        """What is open about this mistake, so that a fix would be a guess, and what would decide; else empty."""
        return ""

    def chosen_where(self, case: Case) -> str:
        """What a user who chooses this cause, though it is undecided, knows: what its code then takes for wrong."""
        return "the states are known to be off"

    def inject(self, case: Case) -> Case:
        """Make the mistake in a correct case. Raises CannotInject if the case cannot show it."""
        raise NotImplementedError


class CannotInject(Exception):
    """This case cannot show the mistake (one direction, no cell state, every row full, …)."""


@frozen
class Seen:
    """Rows of one track on which a rule saw its mistake."""

    facts: TrackFacts
    rows: Bools


def proposal(rule: Rule, seen: list[Seen], message: str, **more: Any) -> Iterator[Proposal]:
    """One proposal for all tracks on which the mistake was seen; none where it was seen nowhere."""
    seen = [s for s in seen if s.rows.any()]
    if not seen:
        return
    explained = frozenset().union(*(places(s.facts, s.rows) for s in seen))
    more.setdefault("severity", rule.severity)
    yield Proposal(rule.name, message, explained, **more)


def past_the_end(facts: TrackFacts) -> Bools:
    """`[B]`: rows with masked steps behind their last real one, in the order read."""
    return ~facts.mask[:, 0] if facts.track.order == "reversed" else ~facts.mask[:, -1]


def fixed_by(case: Case, trace: Trace, whole: bool = False) -> list[Seen]:
    """The rows that are off in the case and right in `trace`, the same tracks read another way.

    `whole`: the outputs were read another way, which moves every row; none where a row that was right is lost by it.
    Its outputs are read where the expected steps alone leave it open that any row is right.
    """
    tracks = [trace.track(facts.track.layer, facts.track.direction) for facts in case.facts]
    if not any(_may_be_right(case, f, trace, t) for f, t in zip(case.facts, tracks, strict=True) if t is not None):
        return []
    seen = []
    for facts, track in zip(case.facts, tracks, strict=True):
        fixed = None if track is None else measure(trace, track, case.tolerance.rtol, case.tolerance.atol)
        if fixed is None:
            continue
        if whole and (~facts.mismatched & ~facts.uninformative & fixed.mismatched).any():
            return []
        # Of a row whose steps are all equal, a state that was off and now equals them is evidence of whose it is.
        seen.append(Seen(facts, facts.mismatched & fixed.at_expected & ~(fixed.all_near | facts.final_blank)))
    return seen


def _may_be_right(case: Case, facts: TrackFacts, trace: Trace, track: Track) -> bool:
    """Whether any row that is off in `facts` may be right as this track of another trace."""
    right = may_end_right(trace, track, case.tolerance.rtol, case.tolerance.atol, np.flatnonzero(facts.mismatched))
    return right is not None and bool(right.any())


def convincing(case: Case, seen: list[Seen]) -> bool:
    """Whether a reading explains enough to be accepted: two rows or more, or every mismatched row."""
    fixed = sum(int(s.rows.sum()) for s in seen)
    return fixed >= 2 or 0 < fixed == sum(int(f.mismatched.sum()) for f in case.facts)


def places(facts: TrackFacts, rows: Bools) -> frozenset[Place]:
    """The (layer, direction, row) of the rows of one track where `rows` `[B]` is True."""
    return frozenset((facts.track.layer, facts.track.direction, int(b)) for b in np.flatnonzero(rows))


def rows_of(where: Iterable[Place]) -> list[int]:
    """The rows of some places, each once, in order."""
    return sorted({row for _, _, row in where})


def listed(values: Iterable[Any], most: int = 8) -> str:
    """Values in words, cut after `most`.

    >>> listed([1, 2]), listed(range(10), 3)
    ('1, 2', '0, 1, 2 and 7 more')
    """
    items = list(values)
    shown = ", ".join(str(v) for v in items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown


def describe_rows(rows: list[int], batch_size: int) -> str:
    """Which rows of how many.

    >>> describe_rows([1, 2], 3)
    'rows 1, 2 (of 3)'
    """
    return f"row{'s' if len(rows) != 1 else ''} {listed(rows)} (of {batch_size})"


def describe_tracks(tracks: Iterable[tuple[int, str]]) -> str:
    """Which layers and directions, each layer once where all of them have the same directions.

    >>> describe_tracks([(0, "forward"), (0, "backward"), (1, "forward"), (1, "backward")])
    'layers 0 and 1, both directions'
    >>> describe_tracks([(0, "backward"), (1, "backward")]), describe_tracks([(0, "forward"), (1, "backward")])
    ('layers 0 and 1 backward', 'layer 0 forward and layer 1 backward')
    """
    directions: dict[int, list[str]] = {}
    for layer, direction in tracks:
        directions.setdefault(layer, []).append(direction)
    alike: dict[tuple[str, ...], list[int]] = {}
    for layer, several in directions.items():
        alike.setdefault(tuple(several), []).append(layer)
    parts = []
    for each, layers in alike.items():
        which = f"layers {listed(layers[:-1])} and {layers[-1]}" if layers[1:] else f"layer {layers[0]}"
        parts.append(which + (", both directions" if each[1:] else f" {each[0]}"))
    return " and ".join(parts)
