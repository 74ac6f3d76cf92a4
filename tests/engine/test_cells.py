"""Every cell's step against the plain loops of `oracles`, option by option."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import rnninspect
from rnninspect import conventions
from rnninspect.core.batch import Batch
from rnninspect.core.cell import ROLE_FIELDS, CellSpec
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import prefix_mask
from rnninspect.core.weights import LayerWeights
from rnninspect.engine import cells
from rnninspect.engine.activations import ACTIVATIONS
from rnninspect.engine.cells import make_cell
from rnninspect.engine.initialise import glorot
from rnninspect.engine.run import run
from rnninspect.errors import UnknownNameError
from tests.support.oracles import activated, random_layer, step

INPUTS = np.random.default_rng(0).normal(size=(2, 2, 3))
TORCH = conventions.get("torch").write_weights(glorot("rnn", 3, 4))
VALUES = np.array([-40.0, -7.0, -3.0, -2.5, -1.0, -0.3, -1e-3, 0.0, 1e-3, 0.3, 1.0, 1.5, 2.5, 3.0, 7.0, 40.0])

OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "lstm": ({}, {}),
    "forget bias": ({"forget_bias": 1.0}, {"two_biases": False}),
    "peepholes": ({}, {"peepholes": True}),
    "cell clip": ({"cell_clip": 0.3}, {}),
    "cell clip, peepholes": ({"cell_clip": 0.3}, {"peepholes": True}),
    "projection": ({}, {"projected": 2}),
    "projection clip": ({"proj_clip": 0.1}, {"projected": 2}),
    "gate clip": ({"gate_clip": 0.5}, {}),
    "gate clip, peepholes": ({"gate_clip": 0.5}, {"peepholes": True}),
    "coupled gates": ({"input_forget": True}, {}),
    "coupled gates, peepholes": ({"input_forget": True}, {"peepholes": True}),
    "activations": (
        {"activation": "softsign", "output_activation": "relu", "recurrent_activation": "hard_sigmoid"},
        {"peepholes": True},
    ),
    "parameters by role": (
        {
            "activation": "leaky_relu",
            "output_activation": "scaled_tanh",
            "recurrent_activation": "hard_sigmoid",
            "activation_alpha": (("recurrent", 0.4), ("candidate", 0.2), ("output", 1.7)),
            "activation_beta": (("recurrent", 0.3), ("output", 0.6)),
        },
        {},
    ),
    "everything": (
        {"forget_bias": 0.7, "cell_clip": 0.5, "proj_clip": 0.4, "gate_clip": 1.1, "activation": "elu"},
        {"peepholes": True, "projected": 3},
    ),
}


def one_step(
    spec: CellSpec, w: LayerWeights, x: np.ndarray, h: np.ndarray, c: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """One step of the cell itself, in float64, for all rows at once."""

    def make(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.asarray(array, dtype=np.float64))

    cell = make_cell(spec, w, make)
    out = torch.empty(len(x), w.units, dtype=torch.float64)
    cell.begin(make(c.copy()))
    cell.rows(len(x))
    cell.step(cell.project(make(x)), make(h), out)
    return out.numpy(), None if cell.c is None else cell.c.numpy()


def check_step(spec: CellSpec, w: LayerWeights, seed: int = 1, rows: int = 3) -> None:
    """One step from random states, against the oracle to rounding."""
    rng = np.random.default_rng(seed)
    x, h, c = (rng.normal(size=(rows, n)) for n in (w.features, w.units, w.cell_units))
    got_h, got_c = one_step(spec, w, x, h, c)
    for b in range(rows):
        want_h, want_c = step(spec, w, x[b], h[b], c[b])
        np.testing.assert_allclose(got_h[b], want_h, rtol=0, atol=1e-13)
        if got_c is not None:
            np.testing.assert_allclose(got_c[b], want_c, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_an_lstm_step_is_its_equations(name: str) -> None:
    """Each option of the LSTM, alone and beside those it meets in one equation, does what its formula says."""
    fields, options = OPTIONS[name]
    check_step(CellSpec("lstm", **fields), random_layer(np.random.default_rng(0), "lstm", 3, 4, **options))


@pytest.mark.parametrize("name", [name for name, (fields, _) in OPTIONS.items() if fields])
def test_every_lstm_option_matters(name: str) -> None:
    """The data can tell each option from its absence: without it the oracle gives something else."""
    fields, options = OPTIONS[name]
    rng = np.random.default_rng(1)
    w = random_layer(np.random.default_rng(0), "lstm", 3, 4, **options)
    x, h, c = (rng.normal(size=n) for n in (w.features, w.units, w.cell_units))
    with_it, without = (
        np.concatenate(step(spec, w, x, h, c)) for spec in (CellSpec("lstm", **fields), CellSpec("lstm"))
    )
    assert not np.allclose(with_it, without)


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("clip", [None, 0.4])
@pytest.mark.parametrize("two_biases", [True, False])
@pytest.mark.parametrize("activations", [("sigmoid", "tanh"), ("hard_sigmoid", "relu")])
def test_a_gru_step_is_its_equations(
    reset_after: bool, clip: float | None, two_biases: bool, activations: tuple[str, str]
) -> None:
    """The reset gate stands before or after the product as stated, and scales the recurrent bias only after it."""
    spec = CellSpec(
        "gru",
        reset_after=reset_after,
        gate_clip=clip,
        recurrent_activation=activations[0],
        activation=activations[1],
    )
    check_step(spec, random_layer(np.random.default_rng(3), "gru", 3, 4, two_biases=two_biases))


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("clip", [None, 0.4])
def test_a_plain_step_is_its_equation(activation: str, clip: float | None) -> None:
    """The plain cell takes every activation there is, and clips before it."""
    spec = CellSpec("rnn", activation=activation, gate_clip=clip)
    check_step(spec, random_layer(np.random.default_rng(4), "rnn", 3, 4))


@given(
    cell=st.sampled_from(["lstm", "gru", "rnn"]),
    recurrent=st.sampled_from(list(ACTIVATIONS)),
    candidate=st.sampled_from(list(ACTIVATIONS)),
    output=st.sampled_from(list(ACTIVATIONS)),
    flags=st.tuples(*[st.booleans()] * 4),
    clips=st.tuples(*[st.none() | st.floats(0.1, 2)] * 3),
    features=st.integers(1, 4),
    units=st.integers(1, 4),
    projected=st.none() | st.integers(1, 4),
    seed=st.integers(0, 999),
)
@settings(max_examples=150, deadline=None)
def test_every_combination_is_its_equations(
    cell: str,
    recurrent: str,
    candidate: str,
    output: str,
    flags: tuple[bool, bool, bool, bool],
    clips: tuple[float | None, float | None, float | None],
    features: int,
    units: int,
    projected: int | None,
    seed: int,
) -> None:
    """Options do not get in each other's way: any cell with any of them, in any size, is its equations."""
    after, coupled, peepholes, two = flags
    spec = CellSpec(
        cell,  # type: ignore[arg-type]
        forget_bias=0.5,
        reset_after=after,
        activation=candidate,
        output_activation=output,
        recurrent_activation=recurrent,
        cell_clip=clips[0],
        proj_clip=clips[1],
        gate_clip=clips[2],
        input_forget=coupled,
    )
    lstm = {"peepholes": peepholes, "projected": projected} if cell == "lstm" else {}
    w = random_layer(np.random.default_rng(seed), cell, features, units, two_biases=two, **lstm)
    rng = np.random.default_rng(seed + 1)
    x, h, c = (rng.normal(size=(2, n)) for n in (w.features, w.units, w.cell_units))
    got_h, got_c = one_step(spec, w, x, h, c)
    for b in range(2):
        want_h, want_c = step(spec, w, x[b], h[b], c[b])
        np.testing.assert_allclose(got_h[b], want_h, rtol=1e-12, atol=1e-12)
        if got_c is not None:
            np.testing.assert_allclose(got_c[b], want_c, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@pytest.mark.parametrize("parameters", [(None, None), (0.7, 0.3)])
def test_activations_are_their_formulas(name: str, parameters: tuple[float | None, float | None]) -> None:
    """Every activation agrees with its definition far out, around its kinks and near zero, with and without alpha."""
    kind = ACTIVATIONS[name]
    takes = kind.alpha != 0.0 and name not in ("hard_sigmoid_keras3", "selu")
    alpha, beta = parameters if takes else (None, None)
    x = torch.from_numpy(VALUES.copy())
    got = kind.apply(x, kind.alpha if alpha is None else alpha, kind.beta if beta is None else beta)
    want = activated(name, VALUES, alpha, beta)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-14, atol=1e-15)
    assert got.data_ptr() == x.data_ptr(), "the cells count on it being done in place"


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_activations_keep_nan(name: str) -> None:
    """Not a number stays so: an activation that made a number of it would hide the step that went wrong."""
    kind = ACTIVATIONS[name]
    assert kind.apply(torch.tensor([float("nan")]), kind.alpha, kind.beta).isnan().all()


def test_an_unknown_activation_lists_the_known() -> None:
    """A misspelt activation is one line that names the nearest and the known."""
    w = random_layer(np.random.default_rng(0), "rnn", 1, 1)
    with pytest.raises(UnknownNameError, match=r"unknown activation 'tahn'; did you mean 'tanh'\?"):
        make_cell(CellSpec("rnn", activation="tahn"), w, torch.from_numpy)


def test_weights_are_never_written_to() -> None:
    """A cell that folds biases together leaves the caller's arrays alone."""
    for cell in ("lstm", "gru", "rnn"):
        w = random_layer(np.random.default_rng(0), cell, 2, 3, dtype="float64")
        kept = [a.copy() for a in (w.input_kernel, w.recurrent_kernel, w.bias, w.recurrent_bias) if a is not None]
        for after in (True, False):
            check_step(CellSpec(cell, forget_bias=1.0, reset_after=after), w)  # type: ignore[arg-type]
        for before, array in zip(kept, (w.input_kernel, w.recurrent_kernel, w.bias, w.recurrent_bias), strict=True):
            assert np.array_equal(before, array)


@pytest.mark.parametrize(
    "ask",
    [
        lambda name: cells.get(name),
        lambda name: glorot(name, 3, 4),
        lambda name: make_cell(CellSpec(name), random_layer(np.random.default_rng(0), "lstm", 3, 4), torch.from_numpy),
        lambda name: rnninspect.run(INPUTS, lengths=[2, 1], cell=name),
        lambda name: rnninspect.inspect({"outputs": INPUTS, "final_state": INPUTS[:, -1]}, cell=name),
        lambda name: run(Batch(INPUTS, np.ones((2, 2), bool)), replace(glorot("lstm", 3, 4), spec=CellSpec(name))),
        lambda name: [c.spec(name, {}) for c in conventions.conventions().values()],
        lambda name: conventions.get("torch").read_weights(TORCH, LayerConfig(cell=name)),
    ],
)
def test_an_unknown_cell_is_refused_everywhere(ask: Callable[[str], object]) -> None:
    """Wherever a cell is asked for, a name that none has is one line that lists the known ones, never an LSTM."""
    with pytest.raises(
        UnknownNameError, match=r"unknown cell 'lstmm'; did you mean 'lstm'\? Known: lstm, gru, mgu, rnn\."
    ):
        ask("lstmm")


@pytest.mark.parametrize("name", list(cells.cells()))
def test_descriptions_agree_with_weights_and_steps(name: str) -> None:
    """What a description says of gates and c is what its step needs; a run gives c where the cell has one."""
    cell, made = cells.get(name), glorot(name, 3, 4)
    (track,) = run(Batch(INPUTS, np.ones((2, 2), bool)), made)
    assert made.layers[0].bias.shape == (len(cell.gates), 4)
    assert (track.cell is not None) == cell.has_c
    assert set(cell.roles) <= set(ROLE_FIELDS)


@pytest.mark.parametrize("name", list(cells.cells()))
def test_every_cell_reads_each_row_as_if_alone(name: str) -> None:
    """Rows of uneven lengths, run together: each row's outputs and states are those of the row run by itself."""
    inputs, lengths = np.random.default_rng(0).normal(size=(4, 6, 3)), np.array([6, 2, 4, 1])
    made = glorot(name, 3, 5, seed=1)
    (together,) = run(Batch(inputs, prefix_mask(lengths, 6)), made, dtype="float64")
    for row, length in enumerate(lengths):
        part = inputs[row : row + 1, :length]
        (alone,) = run(Batch(part, np.ones((1, length), bool)), made, dtype="float64")
        for row_alone, whole in (
            (alone.outputs, together.outputs),
            (alone.final, together.final),
            (alone.cell, together.cell),
        ):
            assert (row_alone is None) == (whole is None)
            if row_alone is not None and whole is not None:
                row_of_whole = whole[row : row + 1, :length] if whole.ndim == 3 else whole[row : row + 1]
                assert np.allclose(row_of_whole, row_alone, rtol=0, atol=1e-12)


def test_a_description_needs_no_torch() -> None:
    """What there is to know of every cell is known without torch; a step imports it."""
    code = "import sys; from rnninspect.engine.cells import cells; print(len(cells()), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(cells.cells())), "False"]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_initial_weights_are_tensorflows(cell: str) -> None:
    """Without a file: Glorot's limits over inputs and state together, TensorFlow's biases and forget bias."""
    made = glorot(cell, 30, 20, layers=2, directions=("forward", "backward"), seed=5)  # type: ignore[arg-type]
    assert [(w.layer, w.direction, w.features) for w in made.layers] == [
        (0, "forward", 30),
        (0, "backward", 30),
        (1, "forward", 40),
        (1, "backward", 40),
    ]
    for w in made.layers:
        parts = {"lstm": [(slice(0, 4), 4)], "gru": [(slice(0, 2), 2), (slice(2, 3), 1)], "rnn": [(slice(0, 1), 1)]}[
            cell
        ]
        for gates, count in parts:
            limit = np.sqrt(6 / (w.features + 20 + count * 20))
            both = np.concatenate([w.input_kernel[gates], w.recurrent_kernel[gates]], axis=1)
            assert 0.97 * limit < np.abs(both).max() <= limit
            assert both.dtype == np.float32
    assert np.array_equal(made.at(0, "forward").bias[:, 0], {"lstm": [0] * 4, "gru": [1, 1, 0], "rnn": [0]}[cell])
    assert made.spec.forget_bias == (1.0 if cell == "lstm" else 0.0)
    assert cell != "gru" or not made.spec.reset_after


def test_a_seed_is_a_set_of_weights() -> None:
    """The same seed gives the same bits, another seed and another layer others."""
    one, same, other = (glorot("lstm", 3, 4, layers=2, seed=s) for s in (1, 1, 2))
    assert np.array_equal(one.at(1, "forward").recurrent_kernel, same.at(1, "forward").recurrent_kernel)
    assert not np.array_equal(one.at(1, "forward").recurrent_kernel, other.at(1, "forward").recurrent_kernel)
    assert not np.array_equal(one.at(0, "forward").recurrent_kernel, one.at(1, "forward").recurrent_kernel)
