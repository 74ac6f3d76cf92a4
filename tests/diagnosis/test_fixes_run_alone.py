"""Fixes of torch, Keras, Flax and ONNX Runtime that are about one array or one call, run where those are installed."""

from __future__ import annotations

import copy
import functools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnninspect.conventions import conventions
from tests.diagnosis import test_fixes_run as runs
from tests.diagnosis.test_fixes_run import INPUTS, LENGTHS, MASK, ORDER, B, F, H, T, close, onnx_run, ran, session
from tests.support.made import random_weights

Names = dict[str, Any]
ALL = ("torch", "keras", "flax", "onnx")
ONE = "rnn"  # a cell of one state, where the kind does not matter
OUTPUTS = np.random.default_rng(7).uniform(-1, 1, (B, T, H)).astype(np.float32)
STATES = np.random.default_rng(8).uniform(-1, 1, (4, B, H)).astype(np.float32)  # [L*D, B, H]
# Every fix that is run below, by framework; `test_every_fix_is_run` holds that none is left out.
RUN_ALONE: dict[str, set[str]] = {name: set() for name in ALL}


def of(rules: str, frameworks: str) -> Any:
    """The cases of a test: each of these rules in each of these frameworks, which it puts on the list of those run."""
    cases = [(rule, framework) for rule in rules.split() for framework in frameworks.split()]
    for rule, framework in cases:
        RUN_ALONE[framework].add(rule)
    return pytest.mark.parametrize(("rule", "framework"), cases)


def modules(framework: str) -> Names:
    """The framework's modules under the names that its fixes use."""
    if framework == "torch":
        torch = pytest.importorskip("torch")
        return {"torch": torch, "nn": torch.nn, "F": torch.nn.functional}
    if framework == "keras":
        keras = pytest.importorskip("keras", reason="keras is not installed")
        return {"keras": keras, "LSTM": keras.layers.LSTM, "RNN": keras.layers.RNN, "units": H}
    if framework == "flax":
        jax = pytest.importorskip("jax", reason="jax is not installed")
        return {"jax": jax, "jnp": jax.numpy, "nn": pytest.importorskip("flax.linen", reason="flax is not installed")}
    return {"onnx": pytest.importorskip("onnx")}


def run(rule: str, framework: str, /, **names: Any) -> Names:
    return ran(framework, "lstm", rule, **(modules(framework) | {"T": T, "H": H} | names))


def array(framework: str, values: np.ndarray) -> Any:
    """An array of the framework's, or of numpy's where its fixes take those; a copy."""
    values = np.array(values)
    if framework == "torch":
        return pytest.importorskip("torch").from_numpy(values)
    return pytest.importorskip("jax").numpy.asarray(values) if framework == "flax" else values


def to_y(outputs: np.ndarray) -> np.ndarray:
    """`[B, T, D*H]` as ONNX has it, `[T, D, B, H]`."""
    return outputs.reshape(B, T, -1, H).transpose(1, 2, 0, 3)


# --- lengths, masks and inputs


@of("zero-length-row", "torch keras flax onnx")
def test_rows_without_a_step_are_left_out(rule: str, framework: str) -> None:
    """Those that have one are kept."""
    lengths = np.array([2, 0, 1])
    names = run(rule, framework, lengths=array(framework, lengths), mask=np.arange(T) < lengths[:, None])
    assert np.asarray(names["keep"]).tolist() == [True, False, True]


@of("off-by-one-length", "torch keras flax onnx")
def test_lengths_are_one_more_than_the_last_index(rule: str, framework: str) -> None:
    """They count steps."""
    np.testing.assert_array_equal(run(rule, framework, last_index=array(framework, LENGTHS - 1))["lengths"], LENGTHS)


@of("lengths-rescaled", "torch flax onnx")
def test_lengths_after_a_stride(rule: str, framework: str) -> None:
    """As many steps as a convolution of stride 2 leaves."""
    sizes = {"padding": 0, "kernel_size": 2, "stride": 2, "pads": 0, "kernel": 2}
    names = run(rule, framework, lengths=array(framework, np.array([6, 4, 2])), **sizes)
    assert np.asarray(names["lengths"]).tolist() == [3, 2, 1]


@of("lengths-misaligned", "torch keras flax onnx")
def test_one_order_for_rows_and_lengths(rule: str, framework: str) -> None:
    """Each row keeps its own length."""
    order = array(framework, ORDER)
    x, lengths = array(framework, INPUTS), array(framework, LENGTHS)
    rows = {"x": x, "inputs": x, "X": INPUTS.swapaxes(0, 1), "sequence_lens": LENGTHS, "mask": MASK}
    names = run(rule, framework, order=order, lengths=lengths, **rows)
    inputs = names["X"].swapaxes(0, 1) if framework == "onnx" else names["x" if framework == "torch" else "inputs"]
    close(inputs, INPUTS[ORDER])
    counted = (
        names["mask"].sum(1) if framework == "keras" else names["sequence_lens" if framework == "onnx" else "lengths"]
    )
    np.testing.assert_array_equal(counted, LENGTHS[ORDER])


@of("length-exceeds-time", "flax")
def test_lengths_end_with_the_time_axis(rule: str, framework: str) -> None:
    """None is larger than T."""
    names = run(rule, framework, lengths=array(framework, LENGTHS + 2), x=INPUTS)
    np.testing.assert_array_equal(names["lengths"], np.minimum(LENGTHS + 2, T))


@of("lengths-from-zeros", "torch")
def test_lengths_are_counted_before_padding(rule: str, framework: str) -> None:
    """A row of zeros counts."""
    rows = [np.zeros((n, F)) for n in LENGTHS]
    np.testing.assert_array_equal(run(rule, framework, rows=rows)["lengths"], LENGTHS)


@of("truncated-time-axis", "flax onnx")
def test_inputs_are_padded_to_one_length(rule: str, framework: str) -> None:
    """With zeros behind."""
    short = INPUTS[:, :4] if framework == "flax" else INPUTS[:, :4].swapaxes(0, 1)
    padded = np.asarray(run(rule, framework, x=array(framework, short))["x"])
    padded = padded if framework == "flax" else padded.swapaxes(0, 1)
    close(padded, np.concatenate([INPUTS[:, :4], np.zeros((B, T - 4, F))], 1))


@of("nonfinite-values", "torch keras flax onnx")
def test_inputs_that_are_not_finite_stop_the_run(rule: str, framework: str) -> None:
    """And those that are do not."""
    broken = INPUTS.copy()
    broken[0, 0] = np.nan
    if framework == "flax":
        jax = modules("flax")["jax"]
        try:
            run(rule, framework)
            assert jax.config.jax_debug_nans
            with pytest.raises(FloatingPointError):
                jax.numpy.add(broken, 1)
        finally:
            jax.config.update("jax_debug_nans", False)
        return
    run(rule, framework, x=array(framework, INPUTS), inputs=INPUTS)
    with pytest.raises(AssertionError):
        run(rule, framework, x=array(framework, broken), inputs=broken)


@of("precision-drift", "torch keras flax onnx")
def test_single_precision(rule: str, framework: str) -> None:
    """Of inputs and layer, whatever they were."""
    x = array(framework, INPUTS.astype(np.float64))
    if framework == "keras":
        keras = modules("keras")["keras"]
        before = keras.config.dtype_policy()
        try:
            keras.config.set_dtype_policy("float64")
            run(rule, framework)
            assert keras.layers.LSTM(H).dtype == "float32"
        finally:
            keras.config.set_dtype_policy(before)
    elif framework == "flax":
        assert run(rule, framework)["_"].dtype == modules("flax")["jnp"].float32
    else:
        layer = modules("torch")["nn"].LSTM(F, H).double() if framework == "torch" else None
        names = run(rule, framework, x=x, lstm=layer)
        assert str(names["x"].dtype).endswith("float32")
        assert layer is None or str(names["lstm"].weight_ih_l0.dtype).endswith("float32")


# --- outputs


@of("mask-hole", "torch")
def test_masked_steps_are_zeroed(rule: str, framework: str) -> None:
    """Wherever they are."""
    mask = np.random.default_rng(0).random((B, T)) < 0.5
    output = run(rule, framework, output=array(framework, OUTPUTS), mask=array(framework, mask))["output"]
    close(output, np.where(mask[..., None], OUTPUTS, 0))


@of("padding-repeats-last-output", "torch flax")
def test_padded_steps_are_zeroed(rule: str, framework: str) -> None:
    """And no other."""
    outputs = array(framework, OUTPUTS)
    more = {"lengths": array(framework, LENGTHS), "mask": array(framework, MASK)}
    names = run(rule, framework, output=outputs, outputs=outputs, **more)
    close(names["output" if framework == "torch" else "outputs"], runs.zeroed(OUTPUTS))


@of("padding-repeats-last-output", "onnx")
def test_padded_steps_of_y_are_zeroed(rule: str, framework: str) -> None:
    """Along the first axis."""
    close(run(rule, framework, Y=to_y(OUTPUTS).copy())["Y"], to_y(runs.zeroed(OUTPUTS)))


@of("padding-repeats-last-output", "keras")
def test_a_layer_that_zeroes_masked_steps(rule: str, framework: str) -> None:
    """Instead of the last real output."""
    outputs = run(rule, framework)["_"](INPUTS, mask=MASK)
    assert not np.asarray(outputs.detach())[~MASK].any()


@of("mask-inverted", "torch keras")
def test_a_mask_that_is_true_at_padding_is_turned(rule: str, framework: str) -> None:
    """What the layer is then given says which steps are real."""
    names = run(rule, framework, key_padding_mask=array(framework, ~MASK))
    if framework == "torch":
        assert names["lengths"].tolist() == LENGTHS.tolist()
    else:
        np.testing.assert_array_equal(np.asarray(names["mask"]), MASK)


@of("mask-hole", "keras")
def test_a_mask_of_lengths_has_no_hole(rule: str, framework: str) -> None:
    """It ends where the row does."""
    np.testing.assert_array_equal(run(rule, framework, mask=None)["mask"], MASK)


@of("outputs-aliased", "torch flax onnx")
def test_each_step_is_a_copy(rule: str, framework: str) -> None:
    """What is written into the buffer next is not in the step before."""
    buffer = array("torch" if framework == "torch" else "onnx", OUTPUTS[:, 0])
    steps: list[Any] = []
    for t in range(T):
        buffer[...] = array("torch" if framework == "torch" else "onnx", OUTPUTS[:, t])
        run(rule, framework, h=buffer, output=buffer, Y=buffer, steps=steps)
    close(np.stack([np.asarray(step) for step in steps], 1), OUTPUTS)


@of("output-dropout", "torch keras flax onnx")
def test_dropout_comes_behind_the_state(rule: str, framework: str) -> None:
    """It takes the outputs and nothing else, and leaves them as they are outside of training."""
    outputs = array(framework, OUTPUTS)
    names: Names = {"output": outputs, "outputs": outputs, "p": 0.5, "rate": 0.5, "train": False}
    if framework == "flax":
        made = runs.in_flax("rnn", lambda nn, jax, _: ran("flax", ONE, rule, nn=nn, jnp=jax.numpy, **names))
        close(made["outputs"], OUTPUTS)
    elif framework == "onnx":
        close(node_run(run(rule, framework)["dropped"], Y=OUTPUTS), OUTPUTS)
    else:
        made = run(rule, framework, self=SimpleNamespace(training=False), **names)
        close(made["output" if framework == "torch" else "outputs"], OUTPUTS)


def node_run(node: Any, **fed: np.ndarray) -> np.ndarray:
    """What ONNX Runtime gives for one node."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    made = onnx.helper
    values = [made.make_tensor_value_info(name, onnx.TensorProto.FLOAT, array.shape) for name, array in fed.items()]
    result = [made.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None)]
    model = made.make_model(
        made.make_graph([node], "g", values, result), opset_imports=[made.make_opsetid("", 14)], ir_version=8
    )
    alone = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(alone.run(None, fed)[0])


@of("output-residual", "torch keras flax onnx")
def test_the_sum_stands_beside_the_outputs(rule: str, framework: str) -> None:
    """Output and input of each step, and the outputs are what they were."""
    x = np.random.default_rng(3).normal(size=OUTPUTS.shape).astype(np.float32)
    outputs, y = array(framework, OUTPUTS), to_y(OUTPUTS)
    fed = {"x": x.swapaxes(0, 1)} if framework == "onnx" else {"x": array(framework, x), "inputs": array(framework, x)}
    names = run(rule, framework, output=outputs, outputs=outputs, Y=y, **fed)
    summed = np.asarray(names["summed"])
    close(summed.swapaxes(0, 1) if framework == "onnx" else summed, OUTPUTS + x)
    close(outputs, OUTPUTS)


@of("directions-interleaved", "torch keras flax")
def test_the_halves_are_taken_apart(rule: str, framework: str) -> None:
    """Forward comes first."""
    both = array(framework, np.concatenate([OUTPUTS, -OUTPUTS], -1))
    names = run(rule, framework, output=both, outputs=both, B=B)
    stem = "output" if framework == "torch" else "outputs"
    close(names[f"{stem}_fw"], OUTPUTS)
    close(names[f"{stem}_bw"], -OUTPUTS)


@of("backward-not-flipped", "torch onnx")
def test_each_row_is_turned_within_its_length(rule: str, framework: str) -> None:
    """Its padding stays behind."""
    for b, n in enumerate(LENGTHS):
        y = to_y(np.concatenate([OUTPUTS, OUTPUTS], -1))
        row = run(rule, framework, output_bw=array(framework, OUTPUTS), Y=y, b=b, n=int(n))["row"]
        close(np.ascontiguousarray(row), OUTPUTS[b, :n][::-1])


@of("flat-gather-wrong-stride", "keras flax")
def test_the_flat_index_is_of_the_last_step(rule: str, framework: str) -> None:
    """In outputs [B * T, H]."""
    index = run(rule, framework, lengths=array(framework, LENGTHS))["index"]
    close(OUTPUTS.reshape(-1, H)[np.asarray(index)], OUTPUTS[np.arange(B), LENGTHS - 1])


# --- states


@of("layer-order-reversed", "torch keras flax onnx")
def test_the_bottom_layer_comes_first(rule: str, framework: str) -> None:
    """And the top one last."""
    bottom, top = STATES[0], STATES[-1]
    if framework == "torch":
        places = run(rule, framework, h_n=array(framework, STATES), L=2, D=2)["_"]
        close(places[1, 1], top)
        close(places[0, 0], bottom)
    elif framework == "keras":
        names = run(rule, framework, states=list(STATES))
        close(names["bottom"], bottom)
        close(names["top"], top)
    elif framework == "flax":
        assert run(rule, framework, bottom_carry=1, top_carry=2)["carries"] == [1, 2]
    else:
        close(run(rule, framework, Y_h_bottom=bottom, Y_h_top=top)["_"], np.stack([bottom, top]))


@of("wrong-layer", "keras flax onnx")
def test_the_state_is_the_top_layers(rule: str, framework: str) -> None:
    """The last one's."""
    if framework == "keras":
        keras = modules("keras")["keras"]
        cells = [keras.layers.LSTMCell(H), keras.layers.LSTMCell(H)]
        names = run(rule, framework, bottom=cells[0], top=cells[1], x=INPUTS)
        close(names["h"], np.asarray(names["outputs"].detach()))  # the last step's output is the top layer's
    elif framework == "flax":
        assert run(rule, framework, carries=[1, 2])["carry"] == 2
    else:
        close(run(rule, framework, Y_h=STATES[:1])["h"], STATES[0])


@of("state-read-batch-first", "keras flax")
def test_both_halves_of_each_row(rule: str, framework: str) -> None:
    """Side by side."""
    fw, bw = array(framework, STATES[0]), array(framework, STATES[1])
    close(run(rule, framework, fw_h=fw, bw_h=bw)["final"], np.concatenate([STATES[0], STATES[1]], -1))


@of("cell-hidden-swapped cell-overwritten-by-hidden", "torch keras flax")
def test_h_is_the_last_output_and_c_is_not(rule: str, framework: str) -> None:
    """By the names that the code gives them."""
    if framework == "torch":
        lstm = modules("torch")["nn"].LSTM(F, H, batch_first=True)
        names = run(rule, framework, lstm=lstm, x=array(framework, INPUTS))
        h, c, last = names["h_n"][0], names["c_n"][0], names["output"][:, -1]
    elif framework == "keras":
        names = run(rule, framework, layer=runs.keras_layer("lstm"), inputs=INPUTS)
        h, c, last = names["state_h"], names["state_c"], names["outputs"][:, -1]
    else:
        carry, outputs = runs.flax_run("lstm", 1, INPUTS)
        names = run(rule, framework, carry=carry)
        h, c, last = names["h"], names["c"], outputs[:, -1]
    h, c, last = (np.asarray(a.detach() if hasattr(a, "detach") else a) for a in (h, c, last))
    close(h, last)
    assert not np.allclose(c, h)


@of("stale-initial-state state-from-another-run", "torch keras flax onnx")
def test_one_call_gives_outputs_and_the_state_that_they_end_in(rule: str, framework: str) -> None:
    """From zeros, or from the state that is handed over."""
    if framework == "torch":
        lstm = modules("torch")["nn"].LSTM(F, H, batch_first=True)
        names = run(rule, framework, lstm=lstm, x=array(framework, INPUTS))
        state = names["h_n"] if "h_n" in names else names["state"][0]
        close(state[0], np.asarray(names["output"][:, -1].detach()))
    elif framework == "keras":
        _of_keras(rule)
    elif framework == "flax":
        _of_flax(rule)
    elif rule == "state-from-another-run":
        feed = {"X": INPUTS.swapaxes(0, 1), "sequence_lens": LENGTHS.astype(np.int32)}
        names = run(rule, framework, session=session("lstm", 1), feed=feed)
        close(names["Y_h"], onnx_run("lstm", 1, INPUTS, LENGTHS)[1])
    else:
        feed = run(rule, framework, feed={"X": 1}, h_0=2, c_0=3)["feed"]
        assert feed == {"X": 1, "initial_h": 2, "initial_c": 3}


def _of_keras(rule: str) -> None:
    keras = modules("keras")["keras"]
    if rule == "state-from-another-run":
        names = run(rule, "keras", model=runs.keras_layer("lstm"), inputs=INPUTS)
        close(names["h"], np.asarray(names["outputs"].detach())[:, -1])
        return
    layer = keras.layers.LSTM(H, stateful=True)
    first, carried = (np.asarray(layer(INPUTS).detach()) for _ in range(2))
    assert not np.allclose(first, carried)
    run(rule, "keras", layer=layer)
    close(layer(INPUTS), first)


def _of_flax(rule: str) -> None:
    jax, nn = modules("flax")["jax"], modules("flax")["nn"]
    rnn = nn.RNN(nn.LSTMCell(H), return_carry=True)
    params = rnn.init(jax.random.key(0), INPUTS)
    start = tuple(jax.numpy.ones((B, H)) for _ in range(2))
    names = run(rule, "flax", rnn=rnn, params=params, x=INPUTS, carry=start, lengths=LENGTHS)
    (_, h), outputs = (names["carry"], names["outputs"]) if rule == "state-from-another-run" else names["_"]
    ends = LENGTHS - 1 if rule == "state-from-another-run" else np.full(B, T - 1)
    close(h, np.asarray(outputs)[np.arange(B), ends])


# --- layers that are made anew, and nodes


@of("batch-time-swapped", "torch keras flax")
def test_the_layer_is_told_which_axis_is_time(rule: str, framework: str) -> None:
    """A row of the batch then depends on itself alone."""
    other = INPUTS.copy()
    other[1:] += 1
    if framework == "keras":
        close(run(rule, framework, inputs=INPUTS.swapaxes(0, 1))["inputs"].detach(), INPUTS)
        return
    if framework == "torch":
        layer = run(rule, framework, F=F)["_"]
        first, second = (np.asarray(layer(array(framework, x))[0].detach()) for x in (INPUTS, other))
        close(second[0], first[0])
        return
    cell = modules("flax")["nn"].LSTMCell(H)
    layer = run(rule, framework, cell=cell)["_"]
    time_major = [x.swapaxes(0, 1) for x in (INPUTS, other)]
    params = layer.init(modules("flax")["jax"].random.key(0), time_major[0])
    first, second = (np.asarray(layer.apply(params, x)) for x in time_major)
    close(second[:, 0], first[:, 0])


@of("backward-not-flipped", "flax")
def test_a_reversed_layer_that_keeps_the_inputs_order(rule: str, framework: str) -> None:
    """It ends at step 0, after the whole row."""
    jax, nn = modules("flax")["jax"], modules("flax")["nn"]
    layer = run(rule, framework, cell=nn.LSTMCell(H))["_"].clone(return_carry=True)
    params = layer.init(jax.random.key(0), INPUTS)
    (_, h), outputs = layer.apply(params, INPUTS, seq_lengths=LENGTHS)
    close(h, np.asarray(outputs)[:, 0])


@of("backward-read-padding", "onnx")
def test_a_node_of_two_directions_with_lengths(rule: str, framework: str) -> None:
    """It is one, and reads the lengths that are among its inputs: no padding then reaches the way back."""
    names = ["X", "W", "R", "B", "sequence_lens"]
    node = run(rule, framework, names=names, outputs=["Y", "Y_h", "Y_c"])["node"]
    assert list(node.input) == names
    attributes = {a.name: a.s for a in node.attribute}
    assert attributes["direction"] == b"bidirectional"
    padded = INPUTS.copy()
    padded[~MASK] += 1
    close(onnx_run("lstm", 2, padded, LENGTHS)[1], onnx_run("lstm", 2, INPUTS, LENGTHS)[1])


# --- weights


@functools.cache
def weights() -> Any:
    return random_weights("lstm", F, H, forget_bias=0.0)


def written(framework: str) -> Names:
    """The layer's arrays in the framework's own form."""
    arrays = {name: np.array(a) for name, a in conventions()[framework].write_weights(weights()).items()}
    if framework == "flax":
        params: Names = {}
        for name, values in arrays.items():
            _, part, kind = name.split("/")
            params.setdefault(part, {})[kind] = values
        return {"params": params}
    return arrays


@of("gate-order", "torch keras flax onnx")
def test_gates_come_out_under_their_letters(rule: str, framework: str) -> None:
    """Every block is the gate that the code calls it."""
    arrays = written(framework)
    own_form = {"torch": {"weight": "weight_ih_l0"}, "keras": {"kernel": "kernel"}, "onnx": {"W": "W"}}.get(framework)
    held = arrays if own_form is None else {new: array(framework, arrays[old]) for new, old in own_form.items()}
    names = run(rule, framework, **copy.deepcopy(held))
    gates = [g["kernel"] for g in names["_"]] if framework == "flax" else [
        names[letter] for letter in ("i", "f", "c" if framework in ("keras", "onnx") else "g", "o")
    ]  # fmt: skip
    for gate, right in zip(gates, weights().layers[0].input_kernel, strict=True):
        block = np.asarray(gate).reshape(-1, F).T if framework in ("torch", "onnx") else np.asarray(gate)
        np.testing.assert_array_equal(block, right)


@of("forget-bias", "torch keras flax onnx")
def test_one_is_put_into_the_forget_gates_bias(rule: str, framework: str) -> None:
    """Into that block and no other: read back, the layer has it."""
    arrays = written(framework)
    if framework == "torch":
        lstm = modules("torch")["nn"].LSTM(F, H)
        before = lstm.bias_ih_l0.detach().numpy().copy()
        run(rule, framework, lstm=lstm)
        changed, order = lstm.bias_ih_l0.detach().numpy() - before, "ifgo"
    elif framework == "flax":
        before = {name: part["bias"].copy() for name, part in arrays["params"].items() if "bias" in part}
        params = run(rule, framework, params=arrays["params"])["params"]
        changed, order = np.concatenate([params[f"h{g}"]["bias"] - before[f"h{g}"] for g in "ifgo"]), "ifgo"
    else:
        name, order = ("bias", "ifgo") if framework == "keras" else ("B", "iofg")
        made: Names = {name: arrays[name].copy(), "H": H, "units": H}
        exec(conventions()[framework].fixes[rule], made)
        changed = (made[name] - arrays[name]).reshape(-1)[: 4 * H]
    close(changed, np.where(np.repeat(list(order), H) == "f", 1.0, 0.0))


@of("bias-dropped", "torch keras flax onnx")
def test_both_biases_count(rule: str, framework: str) -> None:
    """Their sum, or both side by side."""
    names = {"bias_ih": np.full(3, 1.0), "bias_hh": np.full(3, 2.0)}
    made = run(rule, framework, params={"hi": {}}, **names)
    joined = made["B"] if framework == "onnx" else made["params"]["hi"]["bias"] if framework == "flax" else made["bias"]
    assert np.asarray(joined).tolist() == ([[1.0] * 3 + [2.0] * 3] if framework == "onnx" else [3.0] * 3)


@of("update-gate-flipped", "torch keras flax onnx")
def test_z_is_turned(rule: str, framework: str) -> None:
    """sigmoid(-z) is 1 - sigmoid(z)."""
    made = run(rule, framework, z=np.full(3, 3.0), iz={"kernel": np.full(3, 3.0)}, hz={"kernel": np.full(3, 3.0)})
    turned = [made["iz"]["kernel"], made["hz"]["kernel"]] if framework == "flax" else [made["z"]]
    assert all(np.asarray(part).tolist() == [-3.0] * 3 for part in turned)


@of("kernel-transposed", "torch keras flax onnx")
def test_kernels_have_the_frameworks_shapes(rule: str, framework: str) -> None:
    """Other frameworks' kernels in this one's form."""
    names: Names = {"kernel": np.zeros((F, 4 * H)), "recurrent_kernel": np.zeros((H, 4 * H)), "params": {"ii": {}}}
    names |= {"w_ih": np.zeros((4 * H, F)), "w_hh": np.zeros((4 * H, H)), "weight_ih": np.zeros((4 * H, F))}
    if framework == "keras":
        layer = modules("keras")["LSTM"](H)
        layer.build(INPUTS.shape)
        run(rule, framework, layer=layer, bias=np.ones(4 * H), **names)
        assert np.asarray(layer.get_weights()[2]).all()
        return
    made = run(rule, framework, **names)
    if framework == "flax":
        assert made["params"]["ii"]["kernel"].shape == (F, H)
    else:
        parts = ("weight_ih", "weight_hh") if framework == "torch" else ("W", "R")
        lead = () if framework == "torch" else (1,)
        assert [made[name].shape for name in parts] == [(*lead, 4 * H, F), (*lead, 4 * H, H)]
