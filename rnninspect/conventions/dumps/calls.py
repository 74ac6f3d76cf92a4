"""A file that holds by place what no single call returned: the results of several calls, or h and c without outputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from rnninspect.conventions.dumps.positions import is_behind
from rnninspect.core.evidence import Role
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument
from rnninspect.errors import ShapeError

ENOUGH = 8  # numbers that go together as h and c do by chance once in 65,000 times


def refuse_other_results(arrays: Mapping[str, Array], roles: Collection[Role]) -> None:
    """Raise ShapeError where arrays without names are `[(output, state), (output, state), …]`, or `(h, c)` alone;
    `roles`: those that were given otherwise."""
    if "outputs" in roles or "h" in roles:
        return
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


def _state_of(call: str, arrays: Mapping[str, Array]) -> str:
    return next(name for name in arrays if name.startswith(f"{call}.1"))


def _are_states(one: Array, other: Array) -> bool:
    """Whether two arrays are h and c, in either order, and so neither is the other's outputs."""
    return bool(is_behind(one, other, ENOUGH) or is_behind(other, one, ENOUGH)) and bool((one != other).any())
