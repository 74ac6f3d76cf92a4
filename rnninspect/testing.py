"""For test suites: outputs and their final state must belong together, and a model must not read its padding, or the
test fails with the findings and the fix.

The fixtures `assert_final_state` and `assert_ignores_padding` of the pytest plugin are these functions.
"""

from __future__ import annotations

from typing import Any


def assert_final_state(
    outputs: Any, final_state: Any = None, lengths: Any = None, *, fail_on: str = "error", **options: Any
) -> None:
    """Raise FindingsError, an AssertionError, unless every row's final state is the one at its last real step.

    `outputs` `[B, T, H]`, `final_state` `[B, H]`, `lengths` `[B]` (or `"full"`: no row is shorter than T), in any form
    that `rnninspect.inspect` takes; so are the `options` (`convention=`, `mask=`, `rtol=`, `ignore=`, …). `fail_on`:
    the least severity that fails: error, warning or note. What could not be judged fails too: without lengths, say, any
    step could be the last. Raises UserError where the arrays do not fit each other.

    >>> outputs = [[[0.1], [0.2], [0.0]], [[0.3], [0.4], [0.5]]]
    >>> assert_final_state(outputs, [[0.2], [0.5]], [2, 3])
    >>> assert_final_state(outputs, [[0.0], [0.5]], [2, 3])  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    rnninspect.FindingsError: 1 error, last-column-as-final-state, and how to mend it
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    from rnninspect.api.inspect import inspect

    inspect(outputs, final_state, lengths=lengths, **options).raise_for_findings(fail_on)


def assert_ignores_padding(model: Any, *inputs: Any, fail_on: str = "error", **options: Any) -> None:
    """Raise FindingsError, an AssertionError, where a row's results depend on its padding or on the other rows.

    `model`, `inputs` and the `options` (`lengths=`, `mask=`, `kwargs=`, `skip=`, …) are those of
    `rnninspect.check_padding`. `fail_on`: the least severity that fails: error, warning or note. What could not be
    probed at all fails too. Raises UserError where the model does not run on this batch.

    >>> import torch
    >>> from torch import nn
    >>> x, lengths = torch.randn(2, 4, 3), [4, 2]
    >>> assert_ignores_padding(nn.Linear(3, 2), x, lengths=lengths)
    >>> last = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> assert_ignores_padding(last, x, lengths=lengths)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    rnninspect.FindingsError: 1 error, reads-padding, and how to mend it
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    from rnninspect.invariance import check_padding

    check_padding(model, *inputs, **options).raise_for_findings(fail_on)
