"""Outputs that a loop saved step by step are read as the one array that they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.conventions.dumps.steps_apart import with_steps_together
from rnninspect.core.trace import Array
from rnninspect.errors import UserError

ROWS, STEPS, UNITS = 5, 8, 6


def _looped() -> tuple[list[Array], Array, Array]:
    """The outputs `[B, H]` of every step of a loop around a cell, and h and c after the last."""
    torch.manual_seed(590)
    cell, inputs = torch.nn.LSTMCell(4, UNITS), torch.randn(ROWS, STEPS, 4)
    h = c = torch.zeros(ROWS, UNITS)
    steps = []
    with torch.no_grad():
        for t in range(STEPS):
            h, c = cell(inputs[:, t], (h, c))
            steps.append(h.numpy())
    return steps, h.numpy(), c.numpy()


@pytest.mark.parametrize("name", ["outputs.{}", "outputs_{}", "out{}", "arr_{}", "enc/outputs/{}"])
@pytest.mark.parametrize("time_major", [False, True])
def test_a_list_of_steps_is_one_array(name: str, time_major: bool) -> None:
    """The right state is clean, rows in another order are named, and `fix` restores h and c beside the steps."""
    steps, h, c = _looped()
    order, group = [3, 0, 4, 1, 2], name.partition("/")[0] + "/" if "/" in name else ""
    saved = {name.format(t): step for t, step in enumerate(steps)}
    options = {"lengths": "full", "time_major": time_major}
    right = rnninspect.inspect({**saved, f"{group}h": h, f"{group}c": c}, **options)
    assert (right.verdict, right.shape["steps"], right.shape["batch"]) == ("clean", STEPS, ROWS)
    fixed = rnninspect.fix({**saved, f"{group}h": h[order], f"{group}c": c[order]}, **options)
    assert [change.rule for change in fixed.changes] == ["rows-permuted"]
    assert fixed.arrays.keys() == {*saved, f"{group}h", f"{group}c"}
    assert np.array_equal(fixed.arrays[f"{group}h"], h)
    assert np.array_equal(fixed.arrays[f"{group}c"], c)


def test_what_may_be_rows_is_left_apart() -> None:
    """As many arrays as rows, a number left out, arrays of other shapes, no state of these rows, or outputs of three
    axes beside them: nothing is put together."""
    steps, h, _ = _looped()
    saved = {f"outputs.{t}": step for t, step in enumerate(steps)}
    several = {
        "as many as rows": {**{f"outputs.{t}": step for t, step in enumerate(steps[:ROWS])}, "h": h},
        "one left out": {**{name: a for name, a in saved.items() if name != "outputs.3"}, "h": h},
        "other shapes": {**saved, "outputs.2": steps[2][:, 1:], "h": h},
        "no state of these rows": {**saved, "h": h[1:]},
        "an unnamed array beside unnamed ones": {
            "arr_0": np.stack(steps[:4], 1),
            **{f"arr_{t + 1}": step for t, step in enumerate(steps[:4])},
        },
        "outputs beside": {**saved, "output": np.stack(steps, 1), "h": h},
    }
    for arrays in several.values():
        assert with_steps_together(arrays, False).keys() == arrays.keys()
    with pytest.raises(UserError):
        rnninspect.inspect(several["one left out"], lengths="full")


@pytest.mark.parametrize("name", ["step_{}", "t{}", "h_printed"])
@pytest.mark.parametrize("wrong", [False, True])
def test_steps_that_a_log_prints_one_by_one(name: str, wrong: bool) -> None:
    """Proves that arrays of one name and all numbers are steps where a state's rows are among them, whatever the name
    is, and that they are judged as outputs; a log that prints `h` at every step numbers all but the first."""
    outputs = np.random.default_rng(0).uniform(-1, 1, (3, 5, 4)).astype(np.float32)
    lengths = np.array([5, 2, 3])
    state = outputs[:, -1] if wrong else outputs[np.arange(3), lengths - 1]
    names = [name.format(t) for t in range(5)]
    if name == "h_printed":
        names = ["h", *(f"h_{t}" for t in range(2, 6))]
    report = rnninspect.inspect(
        {**{n: outputs[:, t] for t, n in enumerate(names)}, "final_h": state, "lengths": lengths}, direction="forward"
    )
    assert [f.rule for f in report.findings if f.severity != "note"] == (["lengths-ignored"] if wrong else [])
    assert (report.shape["steps"], report.shape["units"]) == (5, 4)


def test_states_by_layer_and_arrays_without_a_state_are_no_steps() -> None:
    """Proves that the states of several layers, of which one is given again, are left apart, and so are numbered arrays
    of which no state is a part, or of which as many others are the same: the states that layers began in."""
    drawn = np.random.default_rng(1).uniform(-1, 1, (5, 3, 4))
    by_layer = {f"h_{layer}": drawn[layer] for layer in range(4)} | {"last": drawn[3]}
    unlike = {f"step_{t}": drawn[t] for t in range(4)} | {"last": drawn[4]}
    small = {name: array * 1e-5 for name, array in unlike.items()}
    unread = {f"{name}_{layer}": drawn[layer] for layer in range(4) for name in ("begin", "cell")}
    one_step = {f"{name}_{k}": drawn[k] + n for k in range(4) for n, name in enumerate("hc")} | {"y_fw": drawn[3:4]}
    for arrays in (by_layer, unlike, small, unread, one_step):
        assert with_steps_together(arrays, time_major=False) == arrays


@pytest.mark.parametrize(
    ("rows", "steps", "beside", "together"),
    [
        (2, 5, None, False),
        (3, 5, None, True),
        (3, 3, None, True),
        (4, 2, None, False),
        (4, 5, (4, 7, 3), False),
        (4, 5, (4, 7, 6), False),
        (4, 5, (4, 7, 5), True),
    ],
)
@pytest.mark.parametrize("stacked", [False, True])
def test_most_rows_of_a_state_are_among_three_steps(
    rows: int, steps: int, beside: tuple[int, ...] | None, together: bool, stacked: bool
) -> None:
    """Proves that `[B, H]` or `[1, B, H]`, of which so many of 4 rows are of a step, printed to fewer places and with a
    unit that is zero, shows that these are steps; not where others may be outputs, of one direction or both."""
    rng = np.random.default_rng(2)
    drawn = rng.uniform(-1, 1, (steps, 4, 3)) * [1, 1, 0]
    state = drawn[1] * (1 + 1e-6)
    state[rows:, 1] += 0.5
    arrays = {f"q_{t}": drawn[t] for t in range(steps)} | {"last": state[None] if stacked else state}
    arrays |= {} if beside is None else {"q": rng.uniform(-1, 1, beside)}
    joined = with_steps_together(arrays, time_major=True)
    assert ("outputs" in joined) is together
    assert not together or np.array_equal(joined["outputs"], drawn)
