"""Where did every row of an RNN's final state come from, and if it is wrong, why?

`run` runs a masked recurrent layer and records a Trace; `inspect` relates outputs to their final state and returns a
Report; `compare` does it for a file, `record` for a live torch model; `load` reads a saved report. `fix` gives a dump
as it ought to be; `final_state` takes the last real outputs, `reverse_within_lengths` turns rows round. Importing this
imports neither torch nor, until a name is used, anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnninspect._version import __version__

if TYPE_CHECKING:
    from rnninspect import testing as testing
    from rnninspect.api.compare import compare
    from rnninspect.api.fix import fix
    from rnninspect.api.inspect import inspect
    from rnninspect.api.mend import Fixed
    from rnninspect.api.real_steps import final_state, reverse_within_lengths
    from rnninspect.api.run import run
    from rnninspect.core.batch import Batch
    from rnninspect.core.trace import Trace, Track
    from rnninspect.core.weights import Weights
    from rnninspect.errors import UserError
    from rnninspect.invariance import check_padding
    from rnninspect.recording import Recording, record
    from rnninspect.report.load import load
    from rnninspect.report.report import FindingsError, Report, Reports

__all__ = [
    "Batch",
    "FindingsError",
    "Fixed",
    "Recording",
    "Report",
    "Reports",
    "Trace",
    "Track",
    "UserError",
    "Weights",
    "__version__",
    "check_padding",
    "compare",
    "final_state",
    "fix",
    "inspect",
    "load",
    "record",
    "reverse_within_lengths",
    "run",
]

_HOMES = {
    "Batch": "core.batch",
    "FindingsError": "report.report",
    "Fixed": "api.mend",
    "Recording": "recording",
    "Report": "report.report",
    "Reports": "report.report",
    "Trace": "core.trace",
    "Track": "core.trace",
    "UserError": "errors",
    "Weights": "core.weights",
    "check_padding": "invariance",
    "compare": "api.compare",
    "final_state": "api.real_steps",
    "fix": "api.fix",
    "inspect": "api.inspect",
    "load": "report.load",
    "record": "recording",
    "reverse_within_lengths": "api.real_steps",
    "run": "api.run",
}
_MODULES = ("testing",)  # found as attributes too: `rnninspect.testing.assert_final_state`


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used (PEP 562)."""
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"rnninspect.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'rnninspect' has no attribute {name!r}")
    return getattr(importlib.import_module(f"rnninspect.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
