"""After the check, the rule: a recurrent layer recorded on the same batch, and what is found of its call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import nn

from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.errors import UserError
from rnninspect.invariance.model import Key, RunFailed
from rnninspect.recording import record

OF_OTHER_RUNS = ("state-from-another-run", "precision-drift")  # there is one run alone
_PACKED = "packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)  # the rows' own"


def recorded_rule(module: nn.Module, layer: Key, run: Callable[[], Any], lengths: Array, final: Array | None) -> Any:
    """The worst finding of that call of a layer (of a cell: of its first loop); None without one that could be judged.

    `lengths` `[B]`; `final` `[B, H]`: what the model goes on with in the state's place. Rules of wrongly converted
    weights are left out: a layer that is recorded as it runs has computed with its own, and to search for others
    takes many runs.
    """
    ignore = [name for name, rule in rules().items() if isinstance(rule, WeightsRule) or name in OF_OTHER_RUNS]
    try:
        number = layer[1] if isinstance(module.get_submodule(layer[0]), nn.RNNBase) else 0
        with record(module, lengths=lengths, limit=number + 1) as recording:
            run()
        name = layer[0] or type(module).__name__
        reports = list(recording.inspect(name, call=number, final_state=final, ignore=ignore))
    except (UserError, RunFailed):
        return None
    worst = [
        finding
        for report in reports
        for finding in report.findings
        if finding.severity in ("error", "warning") and not finding.rule.startswith("unexplained")
    ]
    if worst:
        return worst[0]
    return _of_lengths_read(reports[0].lengths, lengths) if reports and final is None else None


def _of_lengths_read(read: Sequence[int] | None, lengths: Array) -> Finding | None:
    """What is wrong with lengths that a call brings itself, as packed rows do; None where no one mistake explains them.

    It is known that the layer reads padding: that it agrees with its own lengths does not make these right.
    """
    if read is None or len(read) != len(lengths) or np.array_equal(read, lengths):
        return None
    longest, brought = int(lengths.max()), np.asarray(read)
    if (brought == longest).all():
        rule = "lengths-ignored"
    elif any(np.array_equal(brought, np.clip(lengths + by, 1, longest)) for by in (1, -1)):
        rule = "off-by-one-length"
    elif np.array_equal(np.sort(brought), np.sort(lengths)):
        rule = "lengths-misaligned"
    else:
        return None
    message = f"the layer is given lengths {brought.tolist()[:12]}, the rows have {lengths.tolist()[:12]}"
    return Finding(rule, "error", "proven", message, evidence={}, fix=_PACKED)
