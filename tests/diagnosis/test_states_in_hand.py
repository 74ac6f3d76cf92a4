"""The code of a finding, carried out on the very states that were inspected, whatever their axes, leaves none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.core.trace import Array

B, T, H, L, D = 5, 6, 3, 3, 2
LENGTHS = np.array([6, 2, 4, 5, 3])
ORDER = [2, 0, 4, 1, 3]
ROWS = np.arange(B)

# What holds the states `[L, D, B, H]`, and the framework that it is said to be of: their own axes, and others.
FORMS: dict[str, tuple[str, Callable[[Array], Any]]] = {
    "a stack": ("torch", lambda s: s.reshape(-1, *s.shape[2:])),
    "a stack of another framework": ("onnx", lambda s: s.reshape(-1, *s.shape[2:])),
    "a stack where states stand apart": ("keras", lambda s: s.reshape(-1, *s.shape[2:])),
    "four axes": ("torch", lambda s: s),
    "directions joined": ("auto", lambda s: s.swapaxes(1, 2).reshape(L, s.shape[2], -1)),
    "rows first": ("mxnet", lambda s: s.reshape(-1, *s.shape[2:]).swapaxes(0, 1)),
    "one vector a row": ("tf1", lambda s: s.transpose(2, 0, 1, 3).reshape(s.shape[2], -1)),
    "a list": ("torch", lambda s: [*s.reshape(-1, *s.shape[2:])]),
    "a list by direction": ("keras", lambda s: [*s.swapaxes(0, 1).reshape(-1, *s.shape[2:])]),
}
# Right states `[L, D, B, H]` and outputs `[B, T, D, H]` made wrong.
MISTAKES: dict[str, Callable[[Array, Array], Array]] = {
    "layer-order-reversed": lambda s, _: s[::-1],
    "layer-order-reversed, by direction": lambda s, _: s.swapaxes(0, 1).reshape(s.shape),
    "directions-exchanged": lambda s, _: s[:, ::-1],
    "rows-permuted": lambda s, _: s[:, :, ORDER],
}
STATES = ("h_n", "Y_h", "states", "joined", "final", "h")


def right_run() -> tuple[Array, Array]:
    """Outputs `[B, T, D, H]`, zero behind the rows' ends, and states `[L, D, B, H]`, of which the top layer's end in
    them: what tells the order of the others is that alone."""
    rng = np.random.default_rng(4)
    outputs = np.where(np.arange(T)[:, None, None] < LENGTHS[:, None, None, None], rng.uniform(-1, 1, (B, T, D, H)), 0)
    states = rng.uniform(-1, 1, (L, D, B, H))
    states[-1] = outputs[ROWS, LENGTHS - 1, 0], outputs[:, 0, 1]
    return outputs, states


def in_framework(convention: str, value: Any) -> Any:
    """The arrays as torch's tensors, where they are torch's."""
    if isinstance(value, list):
        return [in_framework(convention, one) for one in value]
    return torch.from_numpy(np.ascontiguousarray(value)) if convention == "torch" else np.ascontiguousarray(value)


def findings_of(outputs: Any, state: Any, convention: str) -> list[Any]:
    """The findings, of states of several layers in two directions."""
    options = {"lengths": LENGTHS, "layers": L, "bidirectional": True, "cell": "gru", "time_major": False}
    return list(rnninspect.inspect(outputs, state, convention=convention, **options).findings)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_states_in_hand_are_put_right(mistake: str, form: str) -> None:
    """The code names what is in hand and its axes: it runs there, and what it gives is found right."""
    (convention, laid), (apart, states) = FORMS[form], right_run()
    outputs = in_framework(convention, apart.reshape(B, T, -1))
    wrong = in_framework(convention, laid(MISTAKES[mistake](states, apart)))
    finding = findings_of(outputs, wrong, convention)[0]
    assert finding.rule == mistake.partition(",")[0]
    names: dict[str, Any] = {
        "np": np,
        "torch": torch,
        "B": B,
        "T": T,
        "L": L,
        "D": D,
        "order": in_framework(convention, np.array(ORDER)),
    }
    names |= {"lengths": in_framework(convention, LENGTHS), "outputs": outputs} | dict.fromkeys(STATES, wrong)
    exec(finding.fix, names)
    mended = next(names[name] for name in STATES if names[name] is not wrong)
    assert not findings_of(outputs, mended, convention)
    assert np.array_equal(np.asarray(mended), np.asarray(laid(states)))
