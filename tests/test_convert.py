"""Weights moved between frameworks: what is bent to fit, what is refused, and that both layers compute the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from logical import directions_of, logical_weights

from rnninspect import conventions
from rnninspect.conventions.base import Statement
from rnninspect.convert import attributes, convert, largest_difference
from rnninspect.errors import UnknownNameError, UserError
from rnninspect.weights import CellSpec, Weights

NAMES = ["tf1", "flax", "haiku", "keras", "mxnet", "onnx", "paddle", "torch"]
RESET_BEFORE = {"tf1", "haiku", "keras", "onnx"}
RESET_AFTER = {"flax", "keras", "mxnet", "onnx", "paddle", "torch"}


def moved(weights: Weights, to: str) -> Weights:
    """The weights as the other framework reads them, with its defaults and what is to be stated beside."""
    said = Statement(cell=weights.spec.cell, attributes=attributes(weights, to))
    return conventions.get(to).read_weights(convert(weights, to), said)


@pytest.mark.parametrize(("source", "to"), list(permutations(NAMES, 2)))
def test_the_forget_bias_moves_in_and_out(source: str, to: str) -> None:
    """Whatever adds 1 at run time, the forget gate's whole bias is the same in every framework, and no other's."""
    own = conventions.get(source)
    weights = logical_weights(own.spec("lstm", {}), 2, directions_of(2), convention=source)
    target = moved(weights, to)
    for before, after in zip(weights.layers, target.layers, strict=True):
        whole = [
            w.bias + (0 if w.recurrent_bias is None else w.recurrent_bias) + spec.forget_bias * np.eye(4)[1][:, None]
            for w, spec in ((before, weights.spec), (after, target.spec))
        ]
        assert np.allclose(whole[0], whole[1], rtol=0, atol=1e-15)
        assert np.array_equal(before.input_kernel, after.input_kernel)
        assert np.array_equal(before.recurrent_kernel, after.recurrent_kernel)


@pytest.mark.parametrize("to", NAMES)
@pytest.mark.parametrize("reset_after", [True, False])
def test_a_gru_goes_only_where_it_resets_alike(to: str, reset_after: bool) -> None:
    """A GRU keeps both of its biases, and is refused where the reset gate is on the other side of the product."""
    weights = logical_weights(CellSpec("gru", reset_after=reset_after), two_biases=reset_after)
    if to not in (RESET_AFTER if reset_after else RESET_BEFORE):
        with pytest.raises(UserError, match=f"{to} has no GRU that resets {'after' if reset_after else 'before'}"):
            convert(weights, to)
        return
    after = moved(weights, to).layers[0]
    second = np.zeros_like(after.bias) if after.recurrent_bias is None else after.recurrent_bias
    before = weights.layers[0]
    assert before.recurrent_bias is None or np.array_equal(second[2], before.recurrent_bias[2])
    merged = before.bias + (0 if before.recurrent_bias is None else before.recurrent_bias)
    assert np.allclose(after.bias + second, merged, rtol=0, atol=1e-15)


def test_what_to_state_beside_the_arrays() -> None:
    """Attributes that the target's defaults do not give, under the target's own names."""
    lstm = logical_weights(CellSpec("lstm", cell_clip=3.0), projection=2, peepholes=True)
    assert attributes(lstm, "tf1") == {"cell_clip": 3.0, "use_peepholes": True, "num_proj": 2}
    assert attributes(logical_weights(CellSpec("lstm")), "tf1") == {}
    assert attributes(logical_weights(CellSpec("gru", reset_after=False)), "keras") == {"reset_after": False}
    assert attributes(logical_weights(CellSpec("rnn")), "mxnet") == {"activation": "tanh"}
    hard = CellSpec("lstm", recurrent_activation="hard_sigmoid_keras3", activation="relu", output_activation="relu")
    assert attributes(logical_weights(hard), "keras") == {
        "activation": "relu",
        "recurrent_activation": "hard_sigmoid_keras3",
    }
    onnx = attributes(logical_weights(hard), "onnx")
    assert onnx["activations"] == ["HardSigmoid", "Relu", "Relu"]
    assert onnx["activation_alpha"] == pytest.approx([1 / 6])


def test_refusals_name_the_reason() -> None:
    """What moving weights cannot make up for is refused, with the part that the framework lacks."""
    for spec, more, to, words in (
        (CellSpec("lstm"), {"peepholes": True}, "keras", "peepholes"),
        (CellSpec("lstm"), {"projection": 2}, "onnx", "projection"),
        (CellSpec("lstm", gate_clip=1.0), {}, "torch", "clip of the gates' inputs"),
        (CellSpec("lstm", input_forget=True), {}, "tf1", "coupled input and forget gates"),
        (CellSpec("rnn"), {}, "haiku", "other activation"),
    ):
        with pytest.raises(UserError, match=words):
            convert(logical_weights(spec, **more), to)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="did you mean 'torch'"):
        convert(logical_weights(CellSpec("lstm")), "troch")


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize(("source", "to"), list(permutations(NAMES, 2)))
def test_both_layers_compute_the_same(source: str, to: str, cell: str) -> None:
    """Run on random inputs in float64, the layer and its copy differ by rounding; where it cannot go it is refused."""
    spec = conventions.get(source).spec(cell, {})  # type: ignore[arg-type]
    after = cell == "gru" and spec.reset_after
    weights = logical_weights(spec, 2, directions_of(2), two_biases=after, convention=source)
    lacks_reset = cell == "gru" and to not in (RESET_AFTER if after else RESET_BEFORE)
    if lacks_reset or (cell == "rnn" and to == "haiku" and spec.activation != "relu"):
        with pytest.raises(UserError):
            convert(weights, to)
        return
    assert largest_difference(weights, convert(weights, to), to) < 1e-12


def test_a_wrong_copy_is_measured() -> None:
    """The difference is not zero by construction: one gate's bias off shows, and a single reverse direction runs."""
    weights = logical_weights(CellSpec("lstm"), directions=("backward",))
    arrays = convert(weights, "torch")
    assert largest_difference(weights, arrays, "torch") < 1e-12
    key = next(name for name in arrays if name.startswith("bias_ih"))
    wrong = {**arrays, key: arrays[key] + np.eye(12)[4]}
    assert largest_difference(weights, wrong, "torch") > 1e-3
    other = replace(weights, spec=replace(weights.spec, forget_bias=1.0))
    assert largest_difference(other, arrays, "torch") > 1e-3
