"""The code that fixes a mistake: the framework's own if it has a better one, else the rule's on plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rnninspect.conventions.base import Convention
from rnninspect.core.cell import Cell
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.own_names import in_own_names
from rnninspect.diagnosis.rule import Rule
from rnninspect.engine import cells


def fix_for(
    rule: Rule,
    convention: Convention | None,
    decided: bool = True,
    time_major: bool | None = None,
    code: str | None = None,
    cell: Cell | None = None,
    directions: int = 1,
    layer: int | None = None,
    layers: int = 1,
    fitted: Callable[[str], str] = str,
    held_as: str | None = None,
) -> str:
    """What to do about `rule` in this framework; the rule's own fix, in numpy, where the framework is not known.

    Where `convention` is only the likeliest, not `decided`, its fix stands below the rule's own as a labelled comment.
    `time_major`: the layer's arrays are `[T, B, H]`; None: not known, the code is as the framework writes it. `code`:
    the rule's own fix as it fits a case; None: as it stands in the rule. `cell`, `directions`, `layers`: the layer's,
    where they are known. `layer`: the one at fault, where it is not the top one. `fitted`: makes a framework's code
    that of a case, by what its numbers say of the mistake. `held_as`: the rule under whose name the framework holds its
    code, if not this one's.
    """
    plain = rule.fix if code is None else code
    theirs = (
        None
        if convention is None
        else convention.fix(held_as or rule.name, time_major, cell, directions, layer, layers)
    )
    if convention is None or theirs is None:
        return plain
    theirs = fitted(theirs)
    if decided or theirs == plain:
        return theirs
    return "\n".join([plain, *(f"# if these are {convention.name}'s: {line}" for line in theirs.splitlines())])


def cell_of(case: Case) -> Cell | None:
    """The layer's cell: as stated, from its weights, or from the presence of a cell state; None if unknown."""
    if case.weights is not None:
        return case.weights.spec.cell
    if case.config.cell is not None:
        return case.config.cell
    return "lstm" if any(t.cell is not None for t in case.trace.tracks) else None


def _cell_in_code(case: Case) -> Cell | None:
    """The cell that code is written for: a GRU stands for one without c, where a call returned h alone; a state that is
    named as a field of a pair is an LSTM's."""
    cell = cell_of(case)
    if cell is None and any(slot.name.endswith((".h", ".hidden")) for slot in case.dump.slots):
        return "lstm"
    has_no_c = case.dump.returned_whole and case.convention.returns_all_states
    return "gru" if cell is None and has_no_c and not any(slot.role == "c" for slot in case.dump.slots) else cell


def lacking(missing: Iterable[str], case: Case) -> str:
    """Why a rule was not checked: what it needs and nobody gave, or what such a cell has not."""
    cell = cell_of(case)
    never = "cell state" in missing and cell is not None and not cells.get(cell).has_c
    return f"{cell} has no cell state" if never else f"needs {' and '.join(missing)}"


def fix_in(rule: Rule, case: Case, layer: int | None = None) -> str:
    """What to do about `rule` in this case: in the framework believed, fitted to its axes, cell and directions, and to
    the one layer that is at fault."""
    from rnninspect.conventions.fixes.fitting import of_either_cell

    reading, trace, cell, in_hand = case.reading, case.trace, _cell_in_code(case), rule.in_hand(case)
    if in_hand and reading.evidence.decided:
        return in_own_names(case, in_hand)
    plain = in_hand or rule.code(case)

    def fitted(theirs: str) -> str:
        code = rule.fitted(case, theirs if cell is not None else of_either_cell(theirs))
        return code.replace(plain, in_own_names(case, plain))

    below = layer if layer is not None and layer < trace.layers - 1 else None
    return fix_for(
        rule,
        case.convention,
        reading.evidence.decided,
        reading.time_major,
        in_own_names(case, plain),
        cell,
        trace.directions,
        below,
        trace.layers,
        fitted,
        rule.held_as(case),
    )
