"""run and inspect: what the commands call, and what a program calls. Nothing here prints.

The keywords are the command line's options with underscores (`--time-major` is `time_major=True`). Importing this does
not import torch; `run` does, and `inspect` does only where a rule runs `weights`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rnninspect import conventions, report, rules
from rnninspect.batch import Batch
from rnninspect.case import Case, Tolerance
from rnninspect.cases import RunOptions, read_case, read_weights, rerun, run_case
from rnninspect.causes import judge
from rnninspect.compose import EXCERPT, compose
from rnninspect.conventions.base import Reading, Role, Slot, Statement
from rnninspect.conventions.gates import ATTRIBUTES
from rnninspect.errors import UnknownNameError, UserError
from rnninspect.loading import as_arrays
from rnninspect.rules.base import Rule
from rnninspect.trace import Trace
from rnninspect.weights import Weights


class Report(report.Report):
    """A report that renders and prints itself."""

    def render(self, format: str = "table", **view: Any) -> str:
        """The report as text in that format (`table`, `json`, `ndjson`, …); UnknownNameError lists the known ones."""
        from rnninspect.renderers import render

        return render(self, format, **view)

    def __str__(self) -> str:
        return self.render("table")

    def __rich__(self) -> Any:
        from rnninspect.renderers.table import renderable
        from rnninspect.renderers.view import View

        return renderable(self, View())


def statement(**stated: Any) -> Statement:
    """A Statement from options by their Python names; cell attributes may stand among them. UserError on others."""
    own = {f.name for f in fields(Statement)} - {"attributes"}
    attributes = {k: stated.pop(k) for k in ATTRIBUTES if k in stated}
    if stated.pop("bidirectional", False):
        stated["direction"] = "bidirectional"
    if stated.pop("batch_first", None) is False:
        stated["time_major"] = True
    unknown = sorted(set(stated) - own)
    if unknown:
        raise UserError(f"unknown options {', '.join(unknown)}; known: {', '.join(sorted(own | set(ATTRIBUTES)))}")
    given = {k: v for k, v in stated.items() if v is not None}
    return Statement(**given, attributes={k: v for k, v in attributes.items() if v is not None})


def run(
    batch: Any,
    *,
    lengths: npt.ArrayLike | None = None,
    mask: npt.ArrayLike | None = None,
    weights: Weights | Mapping[str, Any] | None = None,
    weights_convention: str | None = None,
    convention: str = "tf1",
    initial_state: Any = None,
    hidden_size: int | None = None,
    seed: int = 0,
    dtype: str | None = None,
    device: str = "cpu",
    truncate: bool = False,
    **stated: Any,
) -> Trace:
    """Runs a masked recurrent layer and records every track.

    `batch`: `[B, T, F]` (`[T, B, F]` with `time_major=True`; `[B, T]` is one feature a step), or ragged nested lists.
    `lengths`: `[B]`, 0 to T; `mask`: `[B, T]`, True where a step is real; without both, every step is real.
    `weights`: arrays under `weights_convention`'s own names (`convention`'s by default), or Weights; without them
    TensorFlow's initialisers with `hidden_size` units, 4 by default, from `seed`.
    `initial_state`: h `[B, H]`, or (h, c) for an LSTM; zeros by default. `dtype`: float64, float32, float16 or
    bfloat16. `truncate` cuts the time axis to the longest row.
    Further keywords state the layer: `cell`, `layers`, `bidirectional`, `time_major`, `forget_bias`, …

    Raises UserError for what the caller can mend: shapes, lengths longer than T, weights that do not fit.
    """
    said = statement(**stated)
    case = run_case(
        as_arrays(batch, "inputs"),
        said,
        convention,
        weights=_weights(weights, said, weights_convention or convention),
        stated=_slots(lengths=lengths, mask=mask),
        initial_state=initial_state,
        options=RunOptions(hidden_size, seed, dtype, device, truncate),
    )
    return case.trace


def inspect(
    outputs: Any,
    final_state: Any = None,
    *,
    cell_state: Any = None,
    lengths: npt.ArrayLike | None = None,
    mask: npt.ArrayLike | None = None,
    inputs: Any = None,
    weights: Weights | Mapping[str, Any] | None = None,
    weights_convention: str | None = None,
    convention: str = "auto",
    rtol: float = 0.0,
    atol: float = 0.0,
    select: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    excerpt: int | None = EXCERPT,
    **stated: Any,
) -> Report:
    """Relates outputs to their final state and names what is wrong.

    `outputs`: a Trace (from `run`), a mapping of named arrays (a dump), or outputs `[B, T, H]` with `final_state`:
    h `[B, H]`, or `[L*D, B, H]`, or (h, c) in the convention's own order. `lengths` `[B]`, `mask` `[B, T]`,
    `inputs` `[B, T, F]`. `rtol`, `atol` default to 0: bit for bit.

    >>> import numpy as np
    >>> o = np.array([[[0.1], [0.2], [0.0]], [[0.3], [0.4], [0.5]]])
    >>> inspect(o, np.array([[0.2], [0.5]]), lengths=[2, 3]).ok
    True
    """
    said, tolerance = statement(**stated), Tolerance(rtol, atol)
    if isinstance(outputs, Trace):
        batch = None if inputs is None else Batch(np.asarray(inputs), outputs.mask, outputs.lengths, outputs.mask_given)
        own = conventions.get(outputs.convention)
        case = Case(Reading(outputs, "B T H", "B H"), own, said, batch=batch, tolerance=tolerance, runner=rerun)
    else:
        given = _state_slots(final_state, cell_state, convention)
        given |= _slots(lengths=lengths, mask=mask, inputs=inputs)
        case = read_case(as_arrays(outputs, "outputs"), said, convention, stated=given, tolerance=tolerance)
    case = replace(case, weights=_weights(weights, said, weights_convention or case.convention.name))
    return inspect_case(case, "inspect", select=select, ignore=ignore, excerpt=excerpt)


def inspect_case(
    case: Case,
    command: str,
    *,
    source: Mapping[str, Any] | None = None,
    select: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    excerpt: int | None = EXCERPT,
) -> Report:
    """Judges a case by the chosen rules and reports it."""
    made = compose(case, judge(case, chosen_rules(select, ignore)), command, dict(source or {}), excerpt)
    return Report(**{f.name: getattr(made, f.name) for f in fields(made)})


def chosen_rules(select: tuple[str, ...], ignore: tuple[str, ...]) -> dict[str, Rule]:
    """The rules by name, less those ignored, or only those selected; UnknownNameError on an unknown one."""
    known = rules.rules()
    for name in (*select, *ignore):
        if name not in known:
            raise UnknownNameError("rule", name, list(known))
    return {n: r for n, r in known.items() if (not select or n in select) and n not in ignore}


def _weights(given: Weights | Mapping[str, Any] | None, said: Statement, convention: str) -> Weights | None:
    return given if given is None or isinstance(given, Weights) else read_weights(given, said, convention)


def _slots(**given: Any) -> dict[Role, Slot]:
    return {role: Slot(role, role, np.asarray(v)) for role, v in given.items() if v is not None}  # type: ignore[misc, arg-type]


def _state_slots(final_state: Any, cell_state: Any, convention: str) -> dict[Role, Slot]:
    """h and c from a state as frameworks return it: an array, a pair in the convention's order, or with .h and .c."""
    if hasattr(final_state, "h") and hasattr(final_state, "c"):
        final_state, cell_state = final_state.h, final_state.c
    elif isinstance(final_state, (tuple, list)) and len(final_state) == 2 and np.ndim(final_state[0]) >= 2:
        c_first = conventions.get("torch" if convention == "auto" else convention).facts.order.startswith("(c")
        final_state, cell_state = final_state[::-1] if c_first else final_state
    return _slots(h=final_state, c=cell_state)
