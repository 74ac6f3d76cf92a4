"""A file that holds what no single call returned: the results of several calls, or h and c without outputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import combinations, takewhile

import numpy as np

from rnninspect.conventions.dumps.cell_behind import is_behind
from rnninspect.conventions.dumps.shapes import are_lengths, fits_as_state, is_prefix
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument
from rnninspect.errors import ShapeError

ENOUGH = 8  # numbers that go together as h and c do by chance once in 65,000 times
_NUMBER = regex(r"\d+")
Family = Mapping[str, str]  # the names that differ in one number alone, by that number


def refuse_other_results(arrays: Mapping[str, Array], roles: Collection[Role]) -> None:
    """Raise ShapeError where arrays without names are `[(output, state), (output, state), …]`, or `(h, c)` alone, or
    where numbered ones are of several batches; `roles`: those that were given otherwise."""
    if "outputs" in roles or "h" in roles:
        return
    _refuse_batches(arrays)
    calls = _calls(arrays)
    if len(calls) > 1:
        first = calls[0]
        options = f"{argument('outputs', f'{first}.0')} and {argument('state', _state_of(first, arrays))}"
        raise ShapeError(
            f"the arrays are the results of {len(calls)} calls ({', '.join(f'{call}.…' for call in calls)}): say which "
            f"is meant, {options}, or give each in a file of its own"
        )
    pair = [arrays[name] for name in ("0", "1")] if set(arrays) == {"0", "1"} else []
    if pair and _are_states(*pair):
        raise ShapeError(
            f"0 and 1, {list(pair[0].shape)} each, are the h and c of one state, as their numbers show: there are no "
            f"outputs; give these with {argument('outputs')} and the state with {argument('state')}"
        )


def refuse_two_runs(guesses: Iterable[tuple[Slot, ...]]) -> None:
    """Raise ShapeError where two pairs of outputs and state differ by one part of their names, `encoder.output` and
    `encoder.h_n` from `decoder.output` and `decoder.h_n`: of two runs no number may choose the one that is right."""
    pairs = [{slot.role: slot for slot in slots} for slots in guesses]
    pairs = [pair for pair in pairs if fits_as_state(pair["h"].array, pair["outputs"].array)]
    for one, other in combinations(pairs, 2):
        outputs, states = ((one[role].name, other[role].name) for role in ("outputs", "h"))
        if outputs[0] != outputs[1] and _difference(*outputs) == _difference(*states):
            raise ShapeError(
                f"the arrays are of several runs ({outputs[0]}, {states[0]}; {outputs[1]}, {states[1]}): say which is "
                f"meant, {argument('outputs', outputs[0])} and {argument('state', states[0])}, or give each in a file "
                "of its own"
            )


def _difference(one: str, other: str) -> tuple[str, str]:
    """What is left of two names without what both begin with and then end in.

    >>> _difference("encoder.h_n", "decoder.h_n"), _difference("h1", "h2"), _difference("h", "h_grad")
    (('en', 'de'), ('1', '2'), ('', '_grad'))
    """
    start = _alike(one, other)
    one, other = one[start:], other[start:]
    end = _alike(one[::-1], other[::-1])
    return one[: len(one) - end], other[: len(other) - end]


def _alike(one: str, other: str) -> int:
    """How many letters two names begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _calls(arrays: Mapping[str, Array]) -> list[str]:
    """The places of the calls whose results these are; none where they are no such list."""
    groups: dict[str, dict[str, Array]] = defaultdict(dict)
    for name, array in arrays.items():
        call, _, rest = name.partition(".")
        if not call.isdigit() or not rest:
            return []
        groups[call][rest] = array
    forms = [{rest: array.ndim for rest, array in held.items()} for held in groups.values()]
    if any(form != forms[0] for form in forms[1:]) or not forms:
        return []
    states = [name for name in forms[0] if name.partition(".")[0] == "1"]
    if forms[0].get("0") != 3 or not states:
        return []
    return list(groups) if all(g["0"].size > g[name].size for g in groups.values() for name in states) else []


def _refuse_batches(arrays: Mapping[str, Array]) -> None:
    """Raise ShapeError where each of several outputs has a state and real steps with its number, and these differ: the
    layers of one run share theirs."""
    families = list(_families(arrays)) if sum(array.ndim == 3 for array in arrays.values()) > 1 else []
    for outputs in families:
        if any(arrays[name].ndim != 3 or arrays[name].dtype.kind != "f" for name in outputs.values()):
            continue
        beside = [family for family in families if family is not outputs and family.keys() >= outputs.keys()]
        of_steps = [f for f in beside if all(_counts(arrays[f[n]], arrays[name]) for n, name in outputs.items())]
        told = next((f for f in of_steps if _other_than_first(f, outputs, arrays)), None)
        states = [f for f in beside if all(fits_as_state(arrays[f[n]], arrays[name]) for n, name in outputs.items())]
        if told is None or not states:
            continue
        first, other = next(iter(outputs)), _other_than_first(told, outputs, arrays)
        role = "lengths" if arrays[told[first]].ndim == 1 else "mask"
        options = f"{argument('outputs', outputs[first])}, {argument('state', states[0][first])} and "
        raise ShapeError(
            f"the arrays are of {len(outputs)} batches, since {told[first]} and {other} differ, and the layers of one "
            f"run share theirs: say which is meant, {options}{argument(role, told[first])}, or give each in a file of "
            "its own"
        )


def _families(arrays: Mapping[str, Array]) -> Iterator[Family]:
    """The names that differ in one number alone, two or more of them."""
    families: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for name in arrays:
        for number in _NUMBER.finditer(name):
            families[name[: number.start()], name[number.end() :]][number[0]] = name
    return (family for family in families.values() if len(family) > 1)


def _counts(array: Array, outputs: Array) -> bool:
    """Whether an array tells the real steps of each row of `outputs` `[B, T, H]` or `[T, B, H]`: `[B]`, or a mask."""
    shapes = (outputs.shape[:2], outputs.shape[1::-1])
    if array.ndim == 1:
        return any(array.shape == (rows,) and are_lengths(array, steps) and array.min() > 0 for rows, steps in shapes)
    return array.shape in shapes and (is_prefix(array) or is_prefix(array.T))


def _other_than_first(family: Family, numbers: Iterable[str], arrays: Mapping[str, Array]) -> str:
    """The name of the first array that is another one than that of the first of these numbers; empty if none is."""
    names = [family[number] for number in numbers]
    return next((name for name in names if not np.array_equal(arrays[names[0]], arrays[name])), "")


def _state_of(call: str, arrays: Mapping[str, Array]) -> str:
    return next(name for name in arrays if name.startswith(f"{call}.1"))


def _are_states(one: Array, other: Array) -> bool:
    """Whether two arrays are h and c, in either order, and so neither is the other's outputs."""
    return bool(is_behind(one, other, ENOUGH) or is_behind(other, one, ENOUGH)) and bool((one != other).any())
