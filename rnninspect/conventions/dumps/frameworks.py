"""Whose arrays these are: what speaks for each framework, weighed.

Names, files, types, what stands around printed numbers, the axes of states and what the padding holds are each worth
something; none is proof by itself. `lengths` is nobody's word. One is decided where it is far likelier than
any other; else the two likeliest are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.roles import matches
from rnninspect.core.evidence import UNKNOWN, Belief, Origin
from rnninspect.core.frozen import frozen
from rnninspect.core.regex import regex
from rnninspect.core.trace import PaddingPolicy

ENOUGH, MARGIN = 1.5, 1.0  # what decides: this much, and that much more than any other
MOST_NAMES = 4.0  # what names count at most: a dump of many layers says nothing more than one of a few
_ANYBODYS = regex(r"outputs?|h|c|states?|final|inputs?|x|mask|0|1|seq_lengths?|sequence_lengths?")
_NOBODYS = regex(r"lengths?|inputs?|mask")


@frozen
class Hints:
    """What is known of a dump before, and after, it is read.

    `names`: of its arrays. `origin`: its file and types. `stacked`: one array holds the states of all layers,
    `[L*D, B, H]`; None where there is no state array; `state` says so in words. `four_axes`: outputs have four axes.
    `time_major`: the axes that were read without being stated. `padding`: what masked steps hold where the states are
    right; None where that is not known. `cell_first`: which of a pair without names is c, as the values tell.
    """

    names: tuple[str, ...] = ()
    origin: Origin = UNKNOWN
    stacked: bool | None = None
    state: str = ""
    four_axes: bool = False
    time_major: bool | None = None
    padding: PaddingPolicy | None = None
    bidirectional: bool = False
    cell_first: bool | None = None
    options: frozenset[str] = frozenset()


def likeliest(all_conventions: Mapping[str, Convention], hints: Hints) -> tuple[Belief, ...]:
    """The framework that these arrays are of, or the two likeliest where nothing decides, the better first."""
    weighed = {name: list(_weights(convention, all_conventions, hints)) for name, convention in all_conventions.items()}
    totals = {name: all_conventions[name].prior + sum(w for w, _ in reasons) for name, reasons in weighed.items()}
    ranked = sorted(all_conventions, key=lambda name: -totals[name])
    first, second = totals[ranked[0]], totals[ranked[1]]
    decided = first >= ENOUGH and first - second >= MARGIN
    return tuple(Belief(name, _because(weighed[name])) for name in ranked[: 1 if decided else 2])


def _because(reasons: Iterable[tuple[float, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for weight, text in sorted(reasons, key=lambda item: -item[0]) if weight > 0.1))


def _weights(
    convention: Convention, all_conventions: Mapping[str, Convention], hints: Hints
) -> Iterable[tuple[float, str]]:
    if convention.name in hints.origin.packages:
        yield 4.0 - 0.5 * hints.origin.packages.index(convention.name), f"{convention.name}'s own arrays"
    if hints.origin.suffix in convention.files:
        yield convention.files[hints.origin.suffix], hints.origin.suffix
    own_options = sorted(convention.own_options & hints.options)
    if own_options:
        yield 6.0, f"{own_options[0]} was stated"  # more than whose arrays they are: Keras runs on those of others
    marks = [mark for mark in hints.origin.marks if mark in convention.prints]
    if marks:
        yield max(convention.prints[mark] for mark in marks), f"printed as {', '.join(marks)}"
    names = [(w, n) for n in hints.names if (w := _name_weight(n, convention, all_conventions))]
    if names:
        shown = ", ".join(name for weight, name in names if weight > 0.1) or names[0][1]
        yield min(MOST_NAMES, sum(w for w, _ in names)), shown
    if convention.name in hints.origin.weights:
        yield 2.0 - 0.5 * hints.origin.weights.index(convention.name), f"weights under {convention.name}'s names"
    if hints.four_axes:
        yield (2.0 if convention.four_axes else -2.0), "outputs of four axes"
    elif hints.stacked is not None:
        if convention.four_axes:
            yield -1.0, "outputs of three axes"
        fits = convention.stacks_states if hints.stacked else convention.keeps_states_apart
        yield (0.8 if hints.stacked else 0.4) * fits, hints.state
    if hints.time_major is not None:
        usual = convention.time_major is hints.time_major
        axes = "[T, B, H]" if hints.time_major else "[B, T, H]"
        yield (0.4 if usual else -0.2), f"{axes}, {convention.name}'s default"
    yield from _of_padding(convention, hints)
    if hints.cell_first is not None:
        yield (0.8 if convention.cell_first is hints.cell_first else -0.5), "(c, h)" if hints.cell_first else "(h, c)"


def _of_padding(convention: Convention, hints: Hints) -> Iterable[tuple[float, str]]:
    if hints.padding is None:
        return
    both = convention.bidirectional_padding if hints.bidirectional else None
    usual = both or convention.padding
    worth = {"repeat": 2.0, "computed": 1.0}.get(hints.padding, 0.3)
    if hints.padding == usual:
        yield worth, f"padding: {hints.padding}"
    elif hints.padding in convention.also_leaves:
        yield worth / 2, f"padding: {hints.padding}"
    else:
        yield -worth, f"padding: {hints.padding}"


def _name_weight(name: str, convention: Convention, all_conventions: Mapping[str, Convention]) -> float:
    """How much a name speaks for a framework: the fewer know it, the more; a common word says little."""
    if _NOBODYS.fullmatch(name) or not matches(convention, name):
        return 0.0
    owners = sum(matches(convention, name) for convention in all_conventions.values())
    weight = {1: 2.0, 2: 1.0, 3: 0.6}.get(owners, 0.2)
    return weight * 0.35 if _ANYBODYS.fullmatch(name) else weight
