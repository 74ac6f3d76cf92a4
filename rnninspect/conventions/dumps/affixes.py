"""What all names of a dump begin or end with (`encoder.`, `lstm/`, `_np`): it says nothing of what an array is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.names import OTHER_THINGS, PLAIN_NAMES, USUAL_NAMES
from rnninspect.conventions.dumps.shapes import match_name
from rnninspect.conventions.dumps.sides import are_of_two_sides
from rnninspect.core.evidence import Role
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array
from rnninspect.formats.base import ANONYMOUS

# What often stands outside of the group that a call gave.
APART: tuple[Role, ...] = ("lengths", "mask", "inputs", "initial_h", "initial_c")
NEEDED: tuple[Role, ...] = ("outputs", "h")
STATES: tuple[Role, ...] = (*NEEDED, "c")
Affixes = Callable[[Sequence[str]], Iterator[tuple[str, str]]]
_SEPARATOR = regex(r"[._/]+")
# Words that say what an array is, and so do not go with the group: `final_h` and `final_output` are two states.
_TELLING = regex(
    r"(?:init|initial|prev|previous|begin|start|final|last|all|out|outs|outputs?|y|states?|hidden|h|hs|cells?|c|carry"
    r"|inputs?|x|fw|bw|fwd|bwd|forward|backward)(?:\d*)"
)
_PLACE = regex(r"[._/]\d+$")
_NUMBERED = regex(r"\d+|n|t")  # behind a name: h_0 and h_n are two things


def plain_names(names: Iterable[str], frameworks: Iterable[Convention] = ()) -> dict[str, str]:
    """Each name without what all begin with or end in, cut at a dot, a slash or an underscore; empty where they share
    nothing, or where what is left does not name outputs and a state. What no name calls outputs or a state may stand
    outside: lengths, a mask, inputs, a loss.

    Args: `frameworks`: whose own names are known besides those that people give.

    >>> plain_names(["encoder.output", "encoder.h_n", "lengths"])
    {'encoder.output': 'output', 'encoder.h_n': 'h_n', 'lengths': 'lengths'}
    >>> plain_names(["outputs", "final_state"]), plain_names(["layer_0/h", "layer_1/h", "layer_1/outputs"])
    ({}, {})
    """
    whole = list(names)
    if ANONYMOUS in whole:
        return {}
    every = {role: list(_patterns(role, list(frameworks))) for role in (*STATES, *APART)}
    plain = _without(_without(whole, _prefixes, every), _suffixes, every)
    return {} if plain == whole else dict(zip(whole, plain, strict=True))


def pair_as_state(arrays: Mapping[str, Array], frameworks: Iterable[Convention] = ()) -> dict[str, str]:
    """`state.0` and `state.1` for the two arrays of one shape that were kept as a tuple under a key of no known meaning
    (`hc.0`, `hc.1`), where another array is named as the outputs and none as a state; empty elsewhere.

    >>> import numpy as np
    >>> pair_as_state({"output": np.zeros((2, 3, 4)), "hc.0": np.zeros((1, 2, 4)), "hc.1": np.zeros((1, 2, 4))})
    {'hc.0': 'state.0', 'hc.1': 'state.1'}
    """
    every = {role: list(_patterns(role, list(frameworks))) for role in (*NEEDED, *APART)}
    bare = {name: _PLACE.sub("", name) for name in arrays}
    of_role = {
        role: [n for n in arrays if any(match_name(p, n) or match_name(p, bare[n]) for p in patterns)]
        for role, patterns in every.items()
    }
    names_told = {name for names in of_role.values() for name in names}
    pairs = [[n for n in arrays if bare[n] == key] for key in {bare[n] for n in arrays if bare[n] != n} - names_told]
    pairs = [pair for pair in pairs if not names_told.intersection(pair) and [n[-2:] for n in pair] == [".0", ".1"]]
    if not of_role["outputs"] or of_role["h"] or len(pairs) != 1:
        return {}
    first, second = (arrays[name] for name in pairs[0])
    alike = first.shape == second.shape and first.dtype.kind == second.dtype.kind == "f" and first.ndim in (2, 3)
    return dict(zip(pairs[0], ("state.0", "state.1"), strict=True)) if alike else {}


def _without(names: list[str], affixes: Affixes, patterns: Mapping[Role, list[str]]) -> list[str]:
    """The names without the longest shared affix that says nothing; as they are where there is none."""

    def is_of(role: Role, name: str) -> bool:
        bare = _PLACE.sub("", name)  # one of a list
        return any(match_name(pattern, name) or match_name(pattern, bare) for pattern in patterns[role])

    def may_stand_outside(name: str) -> bool:
        if match_name(OTHER_THINGS, name) or any(is_of(role, name) for role in APART):
            return True
        last = _SEPARATOR.split(_PLACE.sub("", name))[-1]  # of another group
        return not any(is_of(role, form) for role in STATES for form in (name, last))

    for start, end in affixes(names):
        inside = [name.startswith(start) and name.endswith(end) for name in names]
        cut = [
            name[len(start) : len(name) - len(end)] if within else name
            for name, within in zip(names, inside, strict=True)
        ]
        left = [name for name, within in zip(cut, inside, strict=True) if within]
        outside = [name for name, within in zip(cut, inside, strict=True) if not within]
        told = all(any(is_of(role, name) for name in left) for role in NEEDED)
        if not told or len(set(cut)) < len(cut) or not all(name[:1].isalpha() for name in left):
            continue
        if any(are_of_two_sides(name, start) for name in outside):
            return names  # these lengths are not those of the group, nor of any that it is a part of
        if all(map(may_stand_outside, outside)):
            return cut
    return names


def _prefixes(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    shared = _shared_start(_largest_group(names, 0))
    for cut in reversed(list(_SEPARATOR.finditer(shared))):
        if not any(map(_TELLING.fullmatch, _SEPARATOR.split(shared[: cut.start()]))):
            yield shared[: cut.end()], ""


def _suffixes(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    shared = _shared_start(name[::-1] for name in _largest_group(names, -1))[::-1]
    for cut in _SEPARATOR.finditer(shared):
        parts = _SEPARATOR.split(shared[cut.end() :])
        if not any(_TELLING.fullmatch(word) or _NUMBERED.fullmatch(word) for word in parts):
            yield "", shared[cut.start() :]


def _shared_start(names: Iterable[str]) -> str:
    letters = takewhile(lambda column: len(set(column)) == 1, zip(*names, strict=False))
    return "".join(column[0] for column in letters)


def _largest_group(names: Sequence[str], end: int) -> list[str]:
    """The names that begin (`end` 0) or end (-1) with the word that most do; none where each has one of its own."""
    ends = [_SEPARATOR.split(name)[end] for name in names]
    word, count = Counter(ends).most_common(1)[0] if ends else ("", 0)
    return [name for name, own_word in zip(names, ends, strict=True) if own_word == word] if count > 1 else []


def _patterns(role: Role, frameworks: list[Convention]) -> Iterator[str]:
    """The names that some framework or some people give arrays of this role."""
    yield from (*PLAIN_NAMES[role], *USUAL_NAMES[role])
    for convention in frameworks:
        yield from convention.names.get(role, ())
