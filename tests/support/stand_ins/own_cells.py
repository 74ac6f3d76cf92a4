"""A cell of the user's own, in numpy, one of whose formulas is a line of a fix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.core.trace import Trace
from rnninspect.diagnosis.case import Case

Array = np.ndarray
# What the line gives, from the names that it may read: `n` of a GRU, `gate`, `c`.
Formula = Callable[[str, dict[str, Array]], Array]


def run_own_cell(case: Case, formula: Formula) -> Trace:
    """The trace of a layer of one direction, stepped row by row over its real steps; padded outputs are zero.

    `formula(name, names)`: the fix's line. `n`: x, w, b, r, h, u and, where biases are apart, b_h. `gate`: x, what
    goes into the gate. `c`: c, as it is before any clip.
    """
    assert case.weights is not None
    assert case.batch is not None
    assert case.trace.lengths is not None
    step = {"lstm": _lstm_step, "gru": _gru_step}[case.weights.spec.cell]
    (track,), weights = case.trace.tracks, case.weights.layers[0]
    outputs, final = np.zeros_like(track.outputs), np.zeros_like(track.final)
    cell = None if track.cell is None else np.zeros_like(track.cell)
    for b, n in enumerate(case.trace.lengths):
        h, c = np.zeros((1, weights.units)), np.zeros((1, weights.cell_units))
        for t in range(n):
            x = case.batch.inputs[b : b + 1, t].astype(np.float64)
            h, c = step(case, formula, x, h, c)
            outputs[b, t] = h[0]
        final[b] = h[0]
        if cell is not None:
            cell[b] = c[0]
    return replace(case.trace, tracks=(replace(track, outputs=outputs, final=final, cell=cell),))


def _lstm_step(case: Case, formula: Formula, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    spec, w = case.weights.spec, case.weights.layers[0]  # type: ignore[union-attr]
    bias = w.bias.astype(np.float64)
    bias[1] += spec.forget_bias
    i, f, g, o = (x @ w.input_kernel[k] + h @ w.recurrent_kernel[k] + bias[k] for k in range(4))
    i, f, o = (formula("gate", {"x": part}) for part in (i, f, o))
    c = formula("c", {"c": f * c + i * np.tanh(g)})
    return o * np.tanh(c), c


def _gru_step(case: Case, formula: Formula, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    w = case.weights.layers[0]  # type: ignore[union-attr]
    second = np.zeros_like(w.bias) if w.recurrent_bias is None else w.recurrent_bias
    r, z = (
        formula("gate", {"x": x @ w.input_kernel[k] + h @ w.recurrent_kernel[k] + w.bias[k] + second[k]})
        for k in range(2)
    )
    parts = {"x": x, "w": w.input_kernel[2], "b": w.bias[2], "r": r, "h": h, "u": w.recurrent_kernel[2]}
    n = formula("n", {**parts, "b_h": second[2]})
    return (1 - z) * n + z * h, c


def plain(name: str, names: dict[str, Any]) -> Array:
    """The formula of a common cell: what a line that is about another one leaves as it is. n: reset after."""
    if name == "gate":
        return np.asarray(1 / (1 + np.exp(-names["x"])))
    if name == "c":
        return np.asarray(names["c"])
    inner = names["r"] * (names["h"] @ names["u"] + names["b_h"])
    return np.asarray(np.tanh(names["x"] @ names["w"] + names["b"] + inner))
