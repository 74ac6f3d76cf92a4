"""Recording Keras 3 models, right and wrong: results stay as they are, and merged directions are judged apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.errors import UnknownNameError, UserError

keras = pytest.importorskip("keras", reason="keras is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras on numpy 2

LENGTHS = np.array([3, 6, 2, 4])
MASK = np.arange(6) < LENGTHS[:, None]
KINDS = ("LSTM", "GRU", "SimpleRNN")


def batch(pad: float = 0.3) -> Any:
    numbers = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
    return np.where(MASK[..., None], numbers, np.float32(pad))


class Model(keras.Model):
    """Layers in a row, under a mask or not; what it returns is the last one's."""

    def __init__(self, *layers: Any, masks: bool = True) -> None:
        super().__init__()
        self.stack, self.masks = list(layers), masks

    def call(self, x: Any) -> Any:
        mask = keras.ops.convert_to_tensor(MASK) if self.masks else None
        for layer in self.stack:
            x = layer(x, mask=mask)
        return x


def recorded(model: Any, x: Any = None, **options: Any) -> Any:
    """The recording of one call, after it was seen to change nothing."""
    x = batch() if x is None else x
    before = as_arrays(model(x))
    with rnninspect.record(model, **options) as recording:
        during = as_arrays(model(x))
    assert all(np.array_equal(a, b) for a, b in zip(before, during, strict=True))
    assert not any(vars(layer).get("inner_loop") for layer in model._flatten_layers())
    return recording


def as_arrays(results: Any) -> list[Any]:
    return [keras.ops.convert_to_numpy(part) for part in keras.tree.flatten(results)]


def rules(recording: Any, **options: Any) -> list[str]:
    return [f.rule for f in recording.inspect(**options).findings if f.severity != "note"]


@pytest.fixture(autouse=True)
def seeded() -> None:
    keras.utils.set_random_seed(0)


def layer(kind: str, **options: Any) -> Any:
    return getattr(keras.layers, kind)(5, bias_initializer="glorot_uniform", name="rnn", **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"return_sequences": True, "return_state": True}, {"go_backwards": True}])
def test_masked_layers_are_right_and_unmasked_ones_are_named(kind: str, options: dict[str, Any]) -> None:
    """Under a mask, in either direction, a run of the weights agrees; without one the padding was read."""
    right = recorded(Model(layer(kind, **options)), lengths=LENGTHS)
    (report,) = right.inspect()
    assert (report.verdict, report.convention, report.source["name"]) == ("clean", "keras", "rnn")
    assert not any("weights" in n.reason for n in report.not_checked)
    wrong = recorded(Model(layer(kind, **options), masks=False), lengths=LENGTHS)
    assert rules(wrong) == ["backward-read-padding" if "go_backwards" in options else "lengths-ignored"]


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("kind", KINDS)
def test_merged_directions_are_judged_apart(kind: str, merge_mode: str) -> None:
    """Whatever becomes of the two directions, each is judged: a way back through the padding is found."""
    for masks, whole in ((True, True), (False, True), (True, False)):
        both = keras.layers.Bidirectional(layer(kind, return_sequences=whole), merge_mode=merge_mode, name="both")
        recording = recorded(Model(both, masks=masks), lengths=LENGTHS)
        assert rules(recording) == ([] if masks else ["backward-read-padding"])
        assert [t.direction for t in recording.inspect()[0].tracks] == ["forward", "backward"]


@pytest.mark.parametrize(
    "options",
    [{"activation": "relu"}, {"recurrent_activation": "hard_sigmoid"}, {"use_bias": False}],
)
def test_what_a_layer_computes_besides_the_defaults(options: dict[str, Any]) -> None:
    """Activations, no bias: the second run of the weights agrees."""
    model = Model(keras.layers.LSTM(5, **options))
    assert recorded(model, lengths=LENGTHS).inspect()[0].verdict == "clean"


def test_stacked_cells_and_a_functional_model() -> None:
    """Cells in a stack are one call of several layers; layers of a functional model have its names."""
    stack = keras.layers.RNN([keras.layers.LSTMCell(4), keras.layers.LSTMCell(5)], return_state=True)
    recording = recorded(Model(stack), lengths=LENGTHS)
    assert recording.inspect().ok
    inputs = keras.Input((6, 3))
    x = keras.layers.Masking(0.3)(inputs)
    outputs = keras.layers.Dense(2)(keras.layers.GRU(5, name="top")(keras.layers.LSTM(4, return_sequences=True)(x)))
    recording = recorded(keras.Model(inputs, outputs))
    assert [(r.source["name"], r.lengths, r.ok) for r in recording.inspect()] == [
        ("lstm" if "lstm" in recording.calls[0].where.name else "", LENGTHS.tolist(), True),
        ("top", LENGTHS.tolist(), True),
    ] or recording.inspect().ok


def test_training_stays_as_it_is() -> None:
    """Three steps of fit give the same weights, recorded or not; dropout is not run again.

    A backend that traces them has no numbers to record, and says so.
    """

    def trained(records: bool) -> tuple[list[Any], Any]:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Masking(0.3), keras.layers.LSTM(5, dropout=0.5), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        recording = None
        if records:
            model(batch())
            with rnninspect.record(model) as recording:
                model.fit(batch(), np.ones((4, 1)), epochs=3, verbose=0, shuffle=False)
        else:
            model(batch())
            model.fit(batch(), np.ones((4, 1)), epochs=3, verbose=0, shuffle=False)
        return model.get_weights(), recording

    (alone, _), (beside, recording) = trained(False), trained(True)
    assert all(np.array_equal(a, b) for a, b in zip(alone, beside, strict=True))
    if keras.backend.backend() != "torch":
        assert not recording.calls
        assert "it was traced; run it step by step, model(x)" in recording.inspect()[0].untested
        return
    assert len(recording.calls) == 3
    assert "dropout was on" in " ".join(recording.inspect()[0].notes)


class Gathers(Model):
    """Takes the step at the length, or the last one."""

    def __init__(self, right: bool) -> None:
        super().__init__(layer("GRU", return_sequences=True), masks=False)
        self.right = right

    def call(self, x: Any) -> Any:
        outputs = super().call(x)
        at = keras.ops.convert_to_tensor((LENGTHS - 1)[:, None, None])
        return keras.ops.take_along_axis(outputs, at, 1)[:, 0] if self.right else outputs[:, -1]


@pytest.mark.parametrize("right", [True, False])
def test_the_state_that_the_user_takes(right: bool) -> None:
    """A state picked from the outputs: unjudged until it is given, then right or the last column."""
    model = Gathers(right)
    recording = recorded(model, lengths={"rnn": MASK})
    assert recording.inspect()[0].verdict == "unjudged"
    state = keras.ops.convert_to_numpy(model(batch()))
    assert rules(recording, final_state=state) == ([] if right else ["lengths-ignored"])


def test_masks_that_disagree_with_what_is_stated() -> None:
    """A mask that hides more than the stated lengths do is said, and nothing is clean."""
    model = Model(layer("LSTM"))
    (report,) = recorded(model, lengths=LENGTHS - 1).inspect()
    assert report.verdict == "unjudged"
    assert "1 more in every row" in report.untested


class Custom(keras.layers.SimpleRNNCell):
    """A cell of another arithmetic."""

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        output, states = super().call(inputs, states, training)
        return output * 2, [output * 2]


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("functional", [True, False])
def test_lengths_are_read_from_the_arguments_of_the_call(masks: bool, functional: bool) -> None:
    """By an argument's name, an input's, or a function of the arguments: a masked layer is right by them, and one
    without a mask is named.
    """
    rnn = layer("GRU")

    def run(x: Any, real: Any) -> Any:
        return rnn(x, mask=keras.ops.cast(real, "bool") if masks else None)

    if functional:
        inputs = keras.Input((None, batch().shape[2])), keras.Input((None,), name="real")
        model = keras.Model(list(inputs), run(*inputs))
        call = lambda: model([batch(), MASK])  # noqa: E731
    else:
        model = type("Named", (keras.Model,), {"call": lambda self, x, real: run(x, real)})()
        model.rnn = rnn
        call = lambda: model(batch(), MASK)  # noqa: E731
    call()
    asked = ("real", "inputs[1]") if functional else ("real", lambda x, real: real)
    for lengths in asked:
        with rnninspect.record(model, lengths=lengths) as recording:
            call()
        assert rules(recording) == ([] if masks else ["lengths-ignored"])


def test_what_cannot_be_recorded_is_said() -> None:
    """Cells of one's own, names that no argument has, layers that are not there, models without any."""
    recording = recorded(Model(keras.layers.RNN(Custom(5), name="own")))
    (report,) = recording.inspect()
    assert report.verdict == "unjudged"
    assert "of the class Custom" in report.untested
    model = Model(layer("LSTM"))
    with pytest.raises(UnknownNameError), rnninspect.record(model, lengths={"rnnn": LENGTHS}):
        pass
    assert "an argument called lengths, and no call" in recorded(model, lengths="lengths").inspect()[0].untested
    with pytest.raises(UserError, match="the model holds none"), rnninspect.record(keras.layers.Dense(2)):
        pass
    inner = keras.layers.LSTM.inner_loop
    with rnninspect.record(model, limit=2, every=3) as recording:
        for _ in range(9):
            model(batch())
    assert keras.layers.LSTM.inner_loop is inner
    assert [call.where.number for call in recording.calls] == [0, 3]
    assert recording.skipped == {"rnn": 7}


def test_a_saved_recording_is_read_by_compare(tmp_path: Any) -> None:
    """The dump of a call has Keras's names, and its verdict again."""
    recording = recorded(Model(layer("LSTM", return_state=True), masks=False), lengths=LENGTHS)
    path = tmp_path / "call.npz"
    recording.save(path)
    report = rnninspect.compare(str(path), convention="keras", padding="computed")
    assert [f.rule for f in report.findings if f.severity == "error"] == ["lengths-ignored"]
