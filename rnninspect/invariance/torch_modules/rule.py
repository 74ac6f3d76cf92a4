"""After the check, the rule: a recurrent layer recorded on the same batch, and what is found of its call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from rnninspect.core.trace import Array
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.errors import UserError
from rnninspect.invariance.model import RunFailed
from rnninspect.recording import record


def recorded_rule(module: nn.Module, name: str, run: Callable[[], Any], lengths: Array, final: Array | None) -> Any:
    """The worst finding of that layer's first call; None where nothing was found, or it could not be judged.

    `lengths` `[B]`; `final` `[B, H]`: what the model goes on with in the state's place. Rules of wrongly converted
    weights are left out: a layer that is recorded as it runs has computed with its own, and to search for others
    takes many runs.
    """
    ignore = [name for name, rule in rules().items() if isinstance(rule, WeightsRule)]
    try:
        with record(module, lengths=lengths, limit=1) as recording:
            run()
        layer = name or type(module).__name__
        findings = recording.inspect(layer, call=0, final_state=final, ignore=ignore).findings
    except (UserError, RunFailed):
        return None
    worst = [
        finding
        for finding in findings
        if finding.severity in ("error", "warning") and not finding.rule.startswith("unexplained")
    ]
    return worst[0] if worst else None
