"""fix: the dump as it ought to be, where its own arrays suffice. The command and the program's call are one.

Three ways in: a file, named arrays, or what a layer's call returned. Each gives copies under names, and a way of
reading them again as the first time, after every change.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rnninspect.api import inspect
from rnninspect.api.carry_out import Change
from rnninspect.api.compare import Request, case_of, layer_of
from rnninspect.api.config import layer_config, with_full
from rnninspect.api.fix_write import Arrays
from rnninspect.api.mend import Fixed, mend
from rnninspect.api.role_arrays import slots, source_of
from rnninspect.conventions.base import DIRECTION_WORDS
from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Trace
from rnninspect.core.wording import argument
from rnninspect.diagnosis.build_case import read_case
from rnninspect.diagnosis.case import Case
from rnninspect.errors import UserError
from rnninspect.formats import read_arrays
from rnninspect.formats.base import ANONYMOUS, NamedArrays
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.report.excerpts import EXCERPT

__all__ = ["Change", "Fixed", "fix", "fix_request"]

# The names under which arrays are written that came from files of their own, or from one without names.
NAMES = {
    "outputs": "outputs",
    "h": "final_state.h",
    "c": "final_state.c",
    "inputs": "inputs",
    "lengths": "lengths",
    "mask": "mask",
}


def fix(
    dump: Any = None,
    final_state: Any = None,
    *,
    cell_state: Any = None,
    initial_state: Any = None,
    lengths: npt.ArrayLike | str | None = None,
    mask: npt.ArrayLike | str | None = None,
    inputs: Any = None,
    weights: Any = None,
    weights_convention: str | None = None,
    weights_prefix: str | None = None,
    convention: str = "auto",
    rtol: float = 0.0,
    atol: float = 0.0,
    select: inspect.Names = (),
    ignore: inspect.Names = (),
    cause: inspect.Names = (),
    excerpt: int | None = EXCERPT,
    **options: Any,
) -> Fixed:
    """Correct a dump, if its own arrays suffice: find what is wrong, fix it, and judge the result again.

    Args: `dump`: a file's path, a mapping of named arrays, or outputs, with `final_state` beside them, in any form
    that `inspect` takes. `cause`: rules to choose if two causes with different fixes remain
    possible. Of a file or a mapping, `outputs`, `state`, `cell_state`, `inputs`, `lengths` and `mask` may be names in
    it, as for `compare`. The other keywords are those of `inspect`.

    Returns: Fixed(arrays, changes, report): numpy copies of the arrays, under their own names and in their own layout;
    what was changed and why (empty if all was right); and the report on the corrected arrays.

    Raises: UserError where only a new run can give the right numbers (it says what to run), where the dump cannot be
    judged, or where two causes with different fixes remain possible.

    >>> outputs = np.array([[[0.1], [0.2], [0.0]], [[0.3], [0.4], [0.5]]])
    >>> fixed = fix(outputs, outputs[:, -1], lengths=[2, 3])
    >>> fixed.arrays["final_state"].tolist(), [change.rule for change in fixed.changes], fixed.report.ok
    ([[0.2], [0.5]], ['last-column-as-final-state'], True)
    """
    tolerance, roles = Tolerance(rtol, atol), {name: options.pop(name, None) for name in ("outputs", "state")}
    config, lengths = with_full(layer_config(**options), lengths)
    judging = {"select": select, "ignore": ignore, "excerpt": excerpt}
    if isinstance(dump, Trace):
        raise UserError("a Trace is what a run gave, and right: give a dump's arrays, or its path")
    handed = {"cell_state": cell_state, "lengths": lengths, "mask": mask, "inputs": inputs}
    by_name = isinstance(dump, Mapping) and not set(dump) <= set(DIRECTION_WORDS)
    if dump is None or by_name or isinstance(dump, (str, os.PathLike)):
        if initial_state is not None:
            raise UserError(f"{argument('initial_state')}: of a file or named arrays it is the array of that name")
        state = roles["state"] if final_state is None else final_state
        named = {**handed, "outputs": roles["outputs"], "state": state}
        read, named = _read(dump, named)
        request = Request(read, config, convention, slots(named, read.arrays), tolerance, None, weights_convention)
        return fix_request(_with_weights(request, weights, weights_prefix), judging, cause=cause)
    if any(roles.values()):
        raise UserError(
            "outputs and state name arrays of a file or a mapping; here the outputs are given: leave them out"
        )
    handed |= {"final_state": final_state, "initial_state": initial_state}
    live = _Handed(dump, handed, config, convention, tolerance, weights, weights_convention, weights_prefix)
    return _fixed(*live.arrays_and_reader(), judging, {}, cause)


def fix_request(
    request: Request,
    judging: Mapping[str, Any],
    judged: Callable[[Case], None] | None = None,
    cause: inspect.Names = (),
) -> Fixed:
    """`fix` of a file that was read, as its options say; `judged` is told of the case as it was read first."""
    arrays: Arrays = {_plain_name(name, request): np.array(a) for name, a in request.read.arrays.items()}
    names = {role: _name_of(slot, role, request) for role, slot in request.named.items()}
    apart = {names[role] for role in request.named if names[role] not in arrays}
    arrays |= {names[role]: np.array(slot.array) for role, slot in request.named.items() if names[role] not in arrays}

    def make(current: Arrays) -> Case:
        read = replace(request.read, arrays={_own_name(n, request): a for n, a in current.items() if n not in apart})
        named_roles = {role: replace(slot, array=current[names[role]]) for role, slot in request.named.items()}
        return case_of(replace(request, read=read, named=named_roles))

    if judged is not None:
        judged(make(arrays))
    return _fixed(arrays, make, judging, source_of(request.read), cause)


def _fixed(
    arrays: Arrays,
    make: Callable[[Arrays], Case],
    judging: Mapping[str, Any],
    source: Mapping[str, Any],
    cause: inspect.Names,
) -> Fixed:
    causes = tuple(inspect.chosen_rules(inspect.as_names(cause), ())) if cause else ()
    judge = functools.partial(inspect.inspect_case, command="fix", source=source, **judging)
    changes, report = mend(make, arrays, judge, causes)
    return Fixed(arrays, changes, report)


def _read(dump: Any, named: dict[str, Any]) -> tuple[NamedArrays, dict[str, Any]]:
    """The arrays of a file, or those given by name; without either, `outputs` is the file."""
    if isinstance(dump, Mapping):
        from rnninspect.api.live import as_arrays

        return NamedArrays(as_arrays(dump, "the dump"), "the arrays given", "memory"), named
    if dump is None:
        dump, named = named["outputs"], {**named, "outputs": None}
        if not isinstance(dump, (str, os.PathLike)):
            raise UserError(f"no dump to fix: give its path, or {argument('outputs')} a file")
    return read_arrays(dump), named


def _with_weights(request: Request, weights: Any, prefix: str | None) -> Request:
    if isinstance(weights, (str, os.PathLike)):
        return replace(request, weights=layer_of(request, os.fspath(weights), prefix))
    from rnninspect.api.weights_given import weights_given

    arrays, config = weights_given(weights, request.config, request.weights_convention, prefix=prefix)
    return replace(request, weights=arrays, config=config)


def _plain_name(name: str, request: Request) -> str:
    """The name of an array of the dump; that of its role where the file has none."""
    if name != ANONYMOUS:
        return name
    return next((NAMES[r] for r, s in request.named.items() if s.array is request.read.arrays[name]), "outputs")


def _own_name(name: str, request: Request) -> str:
    """The name in the file of an array: none, where the file has none; its own where a fix added it."""
    unnamed = ANONYMOUS in request.read.arrays and name == _plain_name(ANONYMOUS, request)
    return ANONYMOUS if unnamed else name


def _name_of(slot: Slot, role: str, request: Request) -> str:
    """The name under which an array that was named for a role is kept: its own in the dump, else its role's."""
    inside = [name for name, array in request.read.arrays.items() if array is slot.array]
    return _plain_name(inside[0], request) if inside else _free(NAMES[role], request.read.arrays)


def _free(name: str, arrays: Mapping[str, Any]) -> str:
    return name if name not in arrays else _free(f"{name}_stated", arrays)


@dataclass(frozen=True, eq=False)
class _Handed:
    """What a program holds: outputs and a state, in whatever form they came."""

    outputs: Any
    handed: Mapping[str, Any]
    config: LayerConfig
    convention: str
    tolerance: Tolerance
    weights: Any
    weights_convention: str | None
    weights_prefix: str | None

    def arrays_and_reader(self) -> tuple[Arrays, Callable[[Arrays], Case]]:
        """Copies of the arrays by name, whole and as they came, and what reads them as `inspect` does."""
        from rnninspect.api.handed import Handed, slots_of
        from rnninspect.api.weights_given import weights_given, with_dropout
        from rnninspect.conventions import live

        whose = None if self.convention == "auto" else self.convention
        weights, config = weights_given(
            self.weights, self.config, self.weights_convention or whose, whose, prefix=self.weights_prefix
        )
        inspect.refuse_quantised(weights)
        handed = Handed(**self.handed)
        names = self.weights_convention or self.convention
        config = inspect.with_layers_of_states(config, weights, names, self.outputs, handed)
        slots_kept, named = slots_of(self.outputs, handed, config, self.convention)
        kept: dict[str, Slot] = {}
        for slot in (*slots_kept, *named.values()):
            kept[_free(slot.name, kept)] = slot
        by_role = {name for name, slot in kept.items() if slot is named.get(slot.role)}
        packages = live.packages([self.outputs, self.handed["final_state"]], self.weights)
        origin = replace(inspect.origin_of_weights(weights, self.weights_convention), packages=packages)
        own_numbers = live.live(self.outputs) or live.live(self.handed["final_state"])
        early = None
        if weights is not None:
            early = inspect.weights_by_name(weights, config, names)

        def make(current: Arrays) -> Case:
            here = {name: replace(slot, array=current[name]) for name, slot in kept.items()}
            case = read_case(
                {},
                inspect.with_cell_of(early, config),
                self.convention,
                named_roles={here[name].role: here[name] for name in by_role},
                returned=tuple(slot for name, slot in here.items() if name not in by_role),
                origin=origin,
                tolerance=self.tolerance,
                as_printed=not own_numbers,
            )
            case = with_dropout(case, self.weights)
            return case.with_weights(inspect.weights_of(weights, config, names, case.convention.name))

        return {name: np.array(slot.array) for name, slot in kept.items()}, make
