"""Frameworks' code against a mistake fits the cell's own weights, and what the numbers say of the mistake."""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.conventions import conventions
from rnninspect.conventions.fixes.fitting import with_order
from rnninspect.diagnosis.fixes import fix_for
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case

BLOCKS = {"lstm": 4, "gru": 3, "rnn": 1}


@pytest.mark.parametrize("convention", conventions().values(), ids=list(conventions()))
def test_kernels_are_taken_apart_into_the_gates_of_the_cell(convention: object) -> None:
    """A GRU is told of no gate of an LSTM; gates that stand apart are named apart."""
    code = fix_for(rules()["gate-order"], convention, cell="gru")  # type: ignore[arg-type]
    assert ast.parse(code).body
    assert not re.search(r"\b[if]\b(?!n)|\b4\b|'ii'|'if'|\bo\b", code), code
    assert "u" in code or "z" in code


def test_tensorflows_gru_has_two_gates_in_one_kernel_and_a_candidate_apart() -> None:
    """Carried out on weights of PyTorch's layout, its code gives kernels of the widths that GRUCell holds."""
    names = {"np": np, "w_ih": np.zeros((12, 3)), "w_hh": np.zeros((12, 4)), "H": 4}
    exec(fix_for(rules()["kernel-transposed"], conventions()["tf1"], cell="gru"), names)
    assert np.shape(names["gates"]) == (7, 8)
    assert np.shape(names["candidate"]) == (7, 4)
    names["gates_kernel"] = names["gates"]
    exec(fix_for(rules()["gate-order"], conventions()["tf1"], cell="gru"), names)
    assert np.shape(names["r"]) == np.shape(names["u"]) == (7, 4)


@pytest.mark.parametrize("cell", BLOCKS)
@pytest.mark.parametrize("convention", conventions().values(), ids=list(conventions()))
def test_shapes_in_code_have_the_blocks_of_the_cell(convention: object, cell: str) -> None:
    """A shape quoted in a fix counts as many blocks as the cell has, one or two biases of them."""
    for name in ("kernel-transposed", "bias-dropped"):
        code = fix_for(rules()[name], convention, cell=cell)  # type: ignore[arg-type]
        assert ast.parse(code).body
        wide = {int(count) for count in re.findall(r"(?<!\[)\b(\d)H\b", code)}
        assert wide <= {BLOCKS[cell], 2 * BLOCKS[cell]} - {1}, code


@pytest.mark.parametrize(("convention", "name"), [("flax", "carry"), ("haiku", "state")])
def test_rows_of_jax_arrays_are_put_back(convention: str, name: str) -> None:
    """The code with its order in it, run by jax itself on h and c of that order."""
    jax = pytest.importorskip("jax")
    h, order = np.arange(12.0).reshape(3, 4), [2, 0, 1]
    code = with_order(fix_for(rules()["rows-permuted"], conventions()[convention]), order)
    names = {"jax": jax, "jnp": jax.numpy, name: (jax.numpy.array(h[order]), jax.numpy.array(-h[order]))}
    exec(code, names)
    assert [np.asarray(state).tolist() for state in names[name]] == [h.tolist(), (-h).tolist()]


@pytest.mark.parametrize("framework", ["torch", "keras", "flax", "onnx"])
@pytest.mark.parametrize(
    ("offset", "zeroed", "code"),
    [
        (-1, False, "last_index = lengths - 1  # not length - 2:"),
        (1, False, "lengths = lengths + 1  # the outputs end there"),
        (2, False, "lengths = lengths + 2  # the outputs end there"),
        (-2, False, "last_index = lengths - 1  # not length - 3:"),
        (-1, True, "lengths = lengths - 1"),
        (1, True, "lengths = lengths + 1"),
    ],
)
def test_lengths_are_mended_the_way_that_they_are_off(framework: str, offset: int, zeroed: bool, code: str) -> None:
    """One step before, after, or more: the code moves that way; lengths that inputs contradict are moved, and so are
    those that the outputs go past. These are zero past both ends: computed ones would be a second mistake."""
    rng = np.random.default_rng(0)
    lengths, rows = np.array([5, 3, 7, 4, 6]), np.arange(5)
    outputs = rng.uniform(-1, 1, (5, 10, 6)).astype(np.float32)
    outputs[np.arange(10) >= np.maximum(lengths, lengths + offset)[:, None]] = 0
    inputs = rng.normal(size=(5, 10, 3)).astype(np.float32)
    if zeroed:
        inputs[np.arange(10) >= (lengths + offset)[:, None]] = 0
    states = outputs[rows, lengths - 1 + offset]
    axes = {"time_major": False} if framework == "onnx" else {}
    report = rnninspect.inspect(outputs, states, lengths=lengths, inputs=inputs, convention=framework, **axes)
    assert [f.rule for f in report.findings] == ["off-by-one-length"]
    assert report.findings[0].fix.startswith(code)
    if code.startswith("last_index"):
        output, counts = torch.from_numpy(outputs), lengths if framework != "torch" else torch.from_numpy(lengths)
        names = {"np": np, "torch": torch, "B": 5, "lengths": counts, "outputs": outputs, "output": output}
        exec(report.findings[0].fix, names)
        assert np.array_equal(names["h"], outputs[rows, lengths - 1])


@pytest.mark.parametrize("axes", ["stack", "list"])
def test_the_step_before_the_last_is_mended_in_its_place(axes: str) -> None:
    """Two layers in two directions, the upper forward state taken a step too early: the code puts both upper states in
    their place among the others, which stand right."""
    case = correct_case("gru", 2, 2)
    right, outputs = np.stack([t.final for t in case.trace.tracks]), case.trace.tracks[2].outputs  # type: ignore[misc]
    both = np.concatenate([outputs, case.trace.tracks[3].outputs], -1)  # type: ignore[arg-type, list-item]
    lengths, states = np.asarray(case.trace.lengths), right.copy()
    states[2] = outputs[np.arange(len(lengths)), np.maximum(lengths, 2) - 2]  # type: ignore[index]
    held = states if axes == "stack" else list(states)
    report = rnninspect.inspect(
        both, held, lengths=lengths, layers=2, bidirectional=True, convention="onnx", time_major=False
    )
    assert [f.rule for f in report.findings] == ["off-by-one-length"]
    names = {"np": np, "B": len(lengths), "lengths": lengths, "outputs": both, "states": held}
    exec(report.findings[0].fix, names)
    assert np.array_equal(np.stack(names["states"]), right)  # type: ignore[arg-type]
