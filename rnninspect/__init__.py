"""Where did every row of an RNN's final state come from, and if it is wrong, why?

`run` runs a masked recurrent layer and records a Trace; `inspect` relates outputs to their final state and returns a
Report. Importing this imports neither torch nor, until a name is used, anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnninspect._version import __version__

if TYPE_CHECKING:
    from rnninspect.api import Report, inspect, run
    from rnninspect.batch import Batch
    from rnninspect.errors import UserError
    from rnninspect.trace import Trace, Track
    from rnninspect.weights import Weights

__all__ = ["Batch", "Report", "Trace", "Track", "UserError", "Weights", "__version__", "inspect", "run"]

_HOMES = {
    "Batch": "batch",
    "Report": "api",
    "Trace": "trace",
    "Track": "trace",
    "UserError": "errors",
    "Weights": "weights",
    "inspect": "api",
    "run": "api",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rnninspect' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"rnninspect.{_HOMES[name]}"), name)
