"""The code of a finding, carried out on the very states that were inspected, whatever their axes, leaves none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.core.trace import Array
from tests.support.made import correct_case

B, T, H, L, D = 5, 6, 3, 3, 2
LENGTHS = np.array([6, 2, 4, 5, 3])
ORDER = np.array([2, 0, 4, 1, 3])
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
    "direction-duplicated": lambda s, _: with_top(s, s[-1, 0], s[-1, 0]),
    "backward-final-at-last-step": lambda s, o: with_top(s, s[-1, 0], o[ROWS, LENGTHS - 1, 1]),
    "flat-gather-wrong-stride": lambda s, o: with_top(s, *other_stride(o)),
}
# The memory of a stack `[S, B, H]` of S states, taken for an array of these axes; of `[B, S, H]`, for a stack.
VIEWS: dict[str, Callable[[Array], Array]] = {
    "a stack": lambda k: k.swapaxes(0, 1).reshape(k.shape),
    "four axes": lambda k: k.swapaxes(0, 1).reshape(L, D, B, H),
    "directions joined": lambda k: k.reshape(L, B, D * H),
    "rows first": lambda k: k.reshape(B, L * D, H),
    "one vector a row": lambda k: k.reshape(B, -1),
}
STATES = ("h_n", "Y_h", "states", "joined", "final", "h")


def with_top(states: Array, forward: Array, backward: Array) -> Array:
    """The states `[L, D, B, H]` with these of the top layer."""
    return np.concatenate([states[:-1], [[forward, backward]]])


def other_stride(outputs: Array) -> Array:
    """`[D, B, H]`: outputs `[B, T, D, H]` at the place of each row's end, counted as in time-major ones."""
    return outputs.reshape(T * B, D, H)[(LENGTHS - 1) * B + ROWS].swapaxes(0, 1)


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
    if isinstance(value, (list, tuple)):
        return type(value)(in_framework(convention, one) for one in value)
    return torch.from_numpy(np.ascontiguousarray(value)) if convention == "torch" else np.ascontiguousarray(value)


def findings_of(outputs: Any, state: Any, convention: str, cell: str) -> list[Any]:
    """The findings, of states of several layers in two directions."""
    options: dict[str, Any] = {
        "lengths": LENGTHS,
        "layers": L,
        "bidirectional": True,
        "cell": cell,
        "time_major": False,
    }
    return list(rnninspect.inspect(outputs, state, convention=convention, **options).findings)


def assert_put_right(rule: str, convention: str, outputs: Array, wrong: Any, right: Any, cell: str = "gru") -> None:
    """The first finding's code, carried out, gives the right states, in which nothing is found."""
    outputs, wrong = in_framework(convention, outputs.reshape(B, T, -1)), in_framework(convention, wrong)
    finding = findings_of(outputs, wrong, convention, cell)[0]
    assert finding.rule == rule
    names: dict[str, Any] = {"np": np, "torch": torch, "B": B, "T": T, "L": L, "D": D}
    names |= {name: in_framework(convention, array) for name, array in (("lengths", LENGTHS), ("order", ORDER))}
    names |= {"outputs": outputs, "output": outputs} | dict.fromkeys(STATES, wrong)
    exec(finding.fix, names)
    mended = next(names[name] for name in STATES if name != "h" and names[name] is not wrong)
    assert not findings_of(outputs, mended, convention, cell)
    assert np.array_equal(np.asarray(mended), np.asarray(right))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_states_in_hand_are_put_right(mistake: str, form: str) -> None:
    """The code names what is in hand and its axes: it runs there, and what it gives is found right."""
    (convention, laid), (outputs, states) = FORMS[form], right_run()
    wrong = laid(MISTAKES[mistake](states, outputs))
    assert_put_right(mistake.partition(",")[0], convention, outputs, wrong, laid(states))


@pytest.mark.parametrize("form", VIEWS)
def test_a_view_in_hand_is_turned_back(form: str) -> None:
    """Along the axes of what is in hand, and not of one vector a row alone."""
    (convention, laid), (outputs, states) = FORMS[form], right_run()
    wrong = VIEWS[form](states.reshape(L * D, B, H))
    assert_put_right("state-reshaped-not-transposed", convention, outputs, wrong, laid(states))


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("mistake", ["layer-order-reversed", "directions-exchanged", "rows-permuted"])
def test_a_list_of_h_and_c_is_put_in_order(mistake: str, flat: bool) -> None:
    """Each c goes with its h, in pairs or in turn."""
    outputs, states = right_run()

    def listed(states: Array) -> list[Any]:
        pairs = [(h, 1.5 * np.arctanh(h)) for h in states.reshape(-1, B, H)]
        return [part for pair in pairs for part in pair] if flat else pairs

    wrong = listed(MISTAKES[mistake](states, outputs))
    assert_put_right(mistake, "torch", outputs, wrong, listed(states), "lstm")


@pytest.mark.parametrize("form", ["four axes", "list"])
@pytest.mark.parametrize("mistakes", ["layers and directions", "directions and rows", "directions first, and rows"])
def test_the_code_of_two_mistakes_mends_both(mistakes: str, form: str) -> None:
    """Carried out one behind the other on the states in hand, the code of the two findings gives the right ones."""
    case = correct_case("gru", 2, 2, convention="onnx")
    right = np.stack([np.asarray(track.final) for track in case.trace.tracks])
    apart, rows = right.reshape(2, 2, *right.shape[1:]), [2, 0, 1, 4, 3]
    moved = {
        "layers and directions": apart[::-1, ::-1],
        "directions and rows": apart[:, ::-1][:, :, rows],
        "directions first, and rows": apart.swapaxes(0, 1)[:, :, rows],
    }[mistakes]
    held = moved if form == "four axes" else list(moved.reshape(right.shape))
    outputs = np.concatenate([np.asarray(case.trace.tracks[k].outputs) for k in (2, 3)], -1)
    about = {"lengths": case.trace.lengths, "layers": 2, "bidirectional": True, "time_major": False}
    report = rnninspect.inspect(outputs, held, convention="onnx", **about)
    assert len(report.findings) == 2
    names = {"np": np, "L": 2, "D": 2, "B": right.shape[1], "states": held, "lengths": case.trace.lengths}
    for finding in report.findings:
        exec(finding.fix, names)
    assert np.array_equal(np.reshape(names["states"], right.shape), right)
