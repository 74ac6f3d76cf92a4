"""The probes, one file each. A new file with a PROBE is a new one."""

from __future__ import annotations

import importlib
from functools import cache

from rnninspect.core.modules_in import modules_in
from rnninspect.errors import UnknownNameError
from rnninspect.invariance.probe import Probe


@cache
def probes() -> dict[str, Probe]:
    """Every probe by its short name, in the order in which they are made."""
    modules = (importlib.import_module(f"{__name__}.{name}") for name in modules_in(__path__))
    listed = sorted((m.PROBE for m in modules if hasattr(m, "PROBE")), key=lambda one: one.order)
    return {one.probe: one for one in listed}


def get(name: str) -> Probe:
    """The probe of that name; UnknownNameError lists the known ones."""
    if name not in probes():
        raise UnknownNameError("probe", name, list(probes()))
    return probes()[name]


def findings() -> dict[str, Probe]:
    """Every finding that a probe can make, by its name."""
    named: dict[str, Probe] = {}
    for one in probes().values():
        named.setdefault(one.name, one)
    return named
