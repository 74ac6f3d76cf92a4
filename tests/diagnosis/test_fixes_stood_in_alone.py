"""Fixes that need the stand-ins and a check of their own: indices, reversed inputs, kernels, refused arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnninspect.conventions import conventions
from rnninspect.diagnosis.rules import rules
from tests.diagnosis.test_fixes_of_cells import LAYERS
from tests.diagnosis.test_fixes_stood_in import (
    OWN_TESTS,
    Setting,
    all_of,
    assert_clean,
    code_of,
    names_in,
    ran,
    right_of,
    settings,
    states_of,
)
from tests.support.stand_ins.frameworks import FRAMEWORKS, Calls
from tests.support.stand_ins.tensors import tensor

# Fixes that make a cell, run where the other cells are.
OF_CELLS = {(rule, framework) for rule, frameworks in LAYERS.items() for framework in frameworks}

BOTH = {"forward": 0, "backward": 1}


def checked(rule: str) -> list[Any]:
    assert rule in OWN_TESTS
    return [case for case in all_of({rule}) if (rule, case.values[1]) not in OF_CELLS]


@pytest.mark.parametrize(("rule", "framework"), checked("flat-gather-wrong-stride"))
def test_the_flat_index_is_of_the_last_step(rule: str, framework: str) -> None:
    """In outputs laid flat in the layer's own axes."""
    for setting in settings(framework):
        right = right_of(setting)
        if setting.directions == 1:
            names = ran(rule, setting, names_in(setting, right, right, Calls()))
            flat = np.asarray(names["outputs"]).reshape(-1, 5)
            np.testing.assert_array_equal(flat[names["index"]], right.trace.tracks[-1].final)


@pytest.mark.parametrize(("rule", "framework"), checked("backward-read-padding"))
def test_the_way_back_begins_at_the_last_real_step(rule: str, framework: str) -> None:
    """What it reads is each row's own steps in the other order; or the layer is run with its lengths."""
    for setting in settings(framework):
        right = right_of(setting)
        if setting.directions == 1:
            continue
        names = ran(rule, setting, names_in(setting, right, right, calls := Calls()))
        if calls.traces:
            assert_clean(right.with_trace(calls.traces[-1]).with_weights(None), rule, setting)
            continue
        turned = setting.axes(names["reversed_inputs"] if framework == "tf1" else names["x_bw"])
        for b, n in enumerate(right.trace.lengths):  # type: ignore[arg-type]
            np.testing.assert_array_equal(turned[b, :n], right.batch.inputs[b, :n][::-1])  # type: ignore[union-attr]


@pytest.mark.parametrize(("rule", "framework"), checked("zero-length-row"))
def test_rows_without_a_step_are_left_out(rule: str, framework: str) -> None:
    """Those that have one are kept."""
    names = ran(rule, settings(framework)[0], {"lengths": np.array([2, 0, 1])})
    assert names["keep"].tolist() == [True, False, True]


@pytest.mark.parametrize(("rule", "framework"), checked("nonfinite-values"))
def test_inputs_that_are_not_finite_stop_the_run(rule: str, framework: str) -> None:
    """And those that are do not."""
    setting = settings(framework)[0]
    names = names_in(setting, right_of(setting), right_of(setting), Calls())
    ran(rule, setting, dict(names))
    names["inputs"][0, 0] = np.nan  # `x` is the same array
    if framework == "haiku":  # a switch: what is not finite stops the run itself
        stopped_by_the_switch(names)
        return
    with pytest.raises(AssertionError):
        ran(rule, setting, names)


def stopped_by_the_switch(names: dict[str, Any]) -> None:
    """The switch that the code turned is on: a run over inputs that are not finite fails."""

    def run() -> None:
        names["hk"].dynamic_unroll(names["core"], names["x"], None)
        names["jnp"].add(np.array(names["x"]), 1)  # where jax is the real one, it is its own arithmetic that stops

    try:
        with pytest.raises(FloatingPointError):
            run()
    finally:
        names["jax"].config.update("jax_debug_nans", False)


@pytest.mark.parametrize(("rule", "framework"), checked("batch-time-swapped"))
def test_the_layer_is_told_which_axis_is_time(rule: str, framework: str) -> None:
    """For arrays that lie the other way round than it reads by default."""
    for setting in settings(framework):
        if setting.directions == 2 or setting.time_major:
            continue
        right = right_of(setting, full=framework in ("haiku", "mxnet"))
        names = names_in(setting, right, right, calls := Calls())
        names["F"] = names["H"] = 5
        if framework not in ("haiku", "mxnet"):  # those read time-major by default
            names["inputs"] = names["x"] = names["x"].swapaxes(0, 1)
        if framework in ("paddle", "mxnet"):
            layer = eval(code_of(rule, setting).partition("  #")[0], names)
            layer(names["x"], *([names["lengths"]] if framework == "paddle" else []))
        else:
            ran(rule, setting, names)
        last = calls.traces[-1].tracks[-1]
        assert last.outputs is not None
        b = int(np.argmax(right.trace.lengths))  # type: ignore[arg-type]
        np.testing.assert_allclose(last.outputs[b], right.trace.tracks[-1].outputs[b], atol=1e-6)  # type: ignore[index]


def written(setting: Setting) -> dict[str, np.ndarray]:
    """The layer's kernels and biases in the framework's own form, under the names that its fixes use."""
    weights = right_of(setting).weights
    assert weights is not None
    if setting.framework in ("paddle", "mxnet"):  # which add no forget bias when they run
        weights = replace(weights, spec=replace(weights.spec, forget_bias=0.0))
    arrays = conventions()[setting.framework].write_weights(weights)
    by_end = {
        "tf1": {"kernel": "kernel"},
        "paddle": {"weight": "weight_ih_l0", "bias_ih": "bias_ih_l0"},
        "mxnet": {"weight": "i2h_weight", "i2h_bias": "i2h_bias"},
        "haiku": {"w": "linear/w", "b": "linear/b"},
    }[setting.framework]
    return {name: tensor(next(a for key, a in arrays.items() if key.endswith(end))) for name, end in by_end.items()}


@pytest.mark.parametrize(("rule", "framework"), checked("gate-order"))
def test_gates_come_out_under_their_letters(rule: str, framework: str) -> None:
    """Every block of the framework's kernel is the gate that the code calls it."""
    setting = Setting(framework, "lstm", 1, 1, False)
    names = ran(rule, setting, names_in(setting, right_of(setting), right_of(setting), Calls()) | written(setting))
    weights = right_of(setting).weights
    assert weights is not None
    for letter, gate in zip("ifgo", weights.layers[0].input_kernel, strict=True):
        block = np.asarray(names["j" if framework == "tf1" and letter == "g" else letter])
        block = block[:5] if framework in ("tf1", "haiku") else block.T  # the inputs' rows come first
        np.testing.assert_array_equal(block, gate)


@pytest.mark.parametrize(("rule", "framework"), checked("forget-bias"))
def test_one_is_put_into_the_forget_gates_bias(rule: str, framework: str) -> None:
    """Into that block and no other."""
    setting = Setting(framework, "lstm", 1, 1, False)
    name = {"paddle": "bias_ih", "mxnet": "i2h_bias", "haiku": "b"}[framework]
    before = written(setting)[name]
    names = names_in(setting, right_of(setting), right_of(setting), Calls()) | {name: before.copy()}
    if framework == "haiku" and names["jnp"] is not np:
        names[name] = names["jnp"].asarray(before)
    changed = np.asarray(ran(rule, setting, names)[name]) - np.asarray(before)
    order = {"paddle": "ifgo", "mxnet": "ifgo", "haiku": "igfo"}[framework]
    expected = np.where(np.repeat(list(order), 5) == "f", -1.0 if framework == "haiku" else 1.0, 0.0)
    np.testing.assert_allclose(changed, expected, atol=1e-6)


@pytest.mark.parametrize(("rule", "framework"), [*checked("bias-dropped"), *checked("update-gate-flipped")])
def test_biases_are_summed_and_z_is_turned(rule: str, framework: str) -> None:
    """sigmoid(-z) is 1 - sigmoid(z); both biases count."""
    parts = {"bias_ih": 1.0, "bias_hh": 2.0, "i2h_bias": 1.0, "h2h_bias": 2.0, "z": 3.0, "u": 3.0}
    before = {name: np.full(3, number) for name, number in parts.items()}
    names = ran(rule, settings(framework)[0], dict(before))
    changed = [np.asarray(a) for n, a in names.items() if n in ("bias", "b", "z", "u") and a is not before.get(n)]
    assert [array.tolist() for array in changed] == [[3.0] * 3 if rule == "bias-dropped" else [-3.0] * 3]


@pytest.mark.parametrize(("rule", "framework"), checked("kernel-transposed"))
def test_kernels_have_the_frameworks_shapes(rule: str, framework: str) -> None:
    """Other frameworks' `[F, 4H]` and `[H, 4H]`, or their transposes, in this one's form."""
    setting = settings(framework)[0]
    names = names_in(setting, right_of(setting), right_of(setting), Calls())
    names |= {"kernel": np.zeros((3, 20)), "recurrent_kernel": np.zeros((5, 20))}
    names |= {"w_ih": np.zeros((20, 3)), "w_hh": np.zeros((20, 5))}
    names = ran(rule, setting, names)
    joint = {"tf1": "kernel", "haiku": "w"}.get(framework)
    if joint:
        assert names[joint].shape == (8, 20)
    else:
        shapes = [a.shape for name, a in names.items() if name.endswith("_weight") or name.startswith("weight_")]
        assert shapes == [(20, 3), (20, 5)]


@pytest.mark.parametrize(("rule", "framework"), checked("precision-drift"))
def test_inputs_are_single_precision(rule: str, framework: str) -> None:
    """Whatever they were; and so is the layer, where that is told to be."""
    setting = settings(framework)[0]
    names = names_in(setting, right_of(setting), right_of(setting), Calls())
    names["x"] = names["inputs"] = np.zeros((2, 3, 4))
    names = ran(rule, setting, names)
    assert str(names["inputs" if framework == "tf1" else "x"].dtype) == "float32"
    if "net" in code_of(rule, setting):
        assert names["net"].dtype == "float32"


@pytest.mark.parametrize(("rule", "framework"), checked("layer-order-reversed"))
def test_the_bottom_layer_comes_first(rule: str, framework: str) -> None:
    """And the top one last; forward before backward, where all lie in one array."""
    for directions in (1, 2):
        setting = Setting(framework, "gru", 2, directions, False)
        right = right_of(setting)
        names = states_of(setting, right.trace) | {"L": 2, "D": directions, "B": right.trace.batch_size, "H": 5}
        if framework in ("paddle", "mxnet"):
            places = eval(code_of(rule, setting).partition("  #")[0], names)
            wrong = rules()[rule].inject(right)
            mended = wrong.with_tracks(lambda t, places=places: replace(t, final=places[t.layer, BOTH[t.direction]]))  # type: ignore[misc]
            assert_clean(mended.with_weights(None), rule, setting)
        elif directions == 1:
            names = ran(rule, setting, names)
            bottom, top = (track.final for track in right.trace.tracks)
            np.testing.assert_array_equal(names["bottom"], bottom)
            np.testing.assert_array_equal(names["top"], top)


@pytest.mark.parametrize(("rule", "framework"), checked("output-residual"))
def test_the_state_holds_no_sum(rule: str, framework: str) -> None:
    """Nothing that the code does puts the inputs into the outputs or the state."""
    for setting in settings(framework):
        if setting.directions == 2:
            continue  # the outputs are twice as wide as the inputs of these runs
        right = right_of(setting)
        names = ran(rule, setting, names_in(setting, right, right, Calls()))
        tops = [t for t in right.trace.tracks if t.layer == setting.layers - 1]
        if "final" in code_of(rule, setting):
            np.testing.assert_array_equal(names["final"], np.concatenate([t.final for t in tops], -1))
        joined = np.concatenate([t.outputs for t in tops], -1)
        np.testing.assert_array_equal(setting.axes(names["outputs"]), joined)


def test_every_own_test_is_there() -> None:
    """Each rule of the list is checked above in some framework."""
    assert all(checked(rule) for rule in OWN_TESTS)
    assert len(FRAMEWORKS) == 4
