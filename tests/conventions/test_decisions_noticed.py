"""What is said of a framework and of weights, where a small mistake in the code would say the opposite unnoticed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect import conventions
from rnninspect.conventions.dumps.batch import nonfinite_inputs
from rnninspect.conventions.dumps.frameworks import Hints, likeliest
from rnninspect.conventions.dumps.positions import are_layers
from rnninspect.conventions.live import flattened
from rnninspect.conventions.weights.config import activations_not_stated
from rnninspect.core.batch import Batch
from rnninspect.core.cell import CellSpec
from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.wording import worded
from rnninspect.diagnosis import build_case
from rnninspect.report.report import Report
from tests.support.made import correct_case, random_weights


@pytest.mark.parametrize(
    ("time_major", "axes", "framework"), [(True, "[T, B, H]", "torch"), (False, "[B, T, H]", "tf1")]
)
def test_the_axes_that_speak_for_a_framework_are_named(time_major: bool, axes: str, framework: str) -> None:
    """The reason for a belief names the axes that were read, not the others."""
    pair = {name: conventions.get(name) for name in ("torch", "tf1")}
    beliefs = likeliest(pair, Hints(("outputs", "state"), time_major=time_major))
    because = next(belief.because for belief in beliefs if belief.name == framework)
    assert f"{axes}, {framework}'s default" in because


@pytest.mark.parametrize(
    ("framework", "cell", "options"),
    [
        ("keras", "lstm", "activation= and recurrent_activation= state others"),
        ("keras", "rnn", "activation= states others"),
        ("onnx", "gru", "activations= states others"),
    ],
)
def test_the_options_that_state_activations_are_those_of_the_framework(framework: str, cell: str, options: str) -> None:
    """What may be stated is named, and only that; one that was stated needs no word."""
    convention, spec = conventions.get(framework), CellSpec(cell)
    (sentence,) = activations_not_stated(convention, spec, {})
    assert worded(sentence).endswith(f"used; {options}")
    assert activations_not_stated(convention, spec, {"activation": "relu"}) == ()


def test_cells_without_a_choice_of_activations_need_no_word() -> None:
    """torch's LSTM has one set of activations."""
    assert activations_not_stated(conventions.get("torch"), CellSpec("lstm"), {}) == ()


@pytest.mark.parametrize(("bad", "more"), [(7, ""), (8, ""), (9, " and 1 more"), (12, " and 4 more")])
def test_steps_that_are_not_listed_are_counted(bad: int, more: str) -> None:
    """Eight steps with NaN are listed; how many others there are is said, and of none nothing."""
    inputs = np.zeros((2, 12, 3), dtype=np.float32)
    inputs[1, :bad, 0] = np.nan
    batch = Batch(inputs, np.ones((2, 12), dtype=np.bool_), None, False)
    places = ", ".join(f"[1, {step}]" for step in range(min(bad, 8)))
    assert nonfinite_inputs(batch) == [f"inputs hold NaN or infinity at real steps [row, step] {places}{more}"]


@pytest.mark.parametrize("shape", [(4, 3), (1, 4, 3)])
def test_one_initial_state_of_several_layers_is_asked_for_the_others(shape: tuple[int, ...]) -> None:
    """The initial state of one layer of two, with an axis of one layer or without, lacks the other's."""
    rng = np.random.default_rng(0)
    outputs, state = rng.uniform(-1, 1, (4, 6, 3)), rng.uniform(-1, 1, (2, 4, 3))
    state[1] = outputs[:, -1]
    arrays = {"outputs": outputs, "h_n": state, "h_0": rng.normal(size=shape)}
    with pytest.raises(rnninspect.UserError) as raised:
        rnninspect.inspect(arrays, lengths="full", convention="torch")
    needed = f"it is {list(shape)}, one state; give one for every layer and direction, [L, B, H] = [2, 4, 3]"
    assert needed in worded(str(raised.value))


@pytest.mark.parametrize("steps", [5, 6])
def test_a_list_of_the_states_of_layers_and_directions_is_told_from_pairs_of_h_and_c(steps: int) -> None:
    """The h of two layers in two directions, beside outputs of an even or odd number of steps: the last two entries are
    steps of one half each, and not of the other."""
    rng = np.random.default_rng(0)
    outputs, below = rng.uniform(-1, 1, (4, steps, 6)), rng.uniform(-1, 1, (2, 4, 3))
    tops = [outputs[:, -1, :3], outputs[:, 0, 3:]]
    slots = (Slot("outputs", "outputs", outputs),)
    assert are_layers([*below, *tops], 2, slots)
    assert not are_layers([*below, *tops[::-1]], 2, slots)


@pytest.mark.parametrize(
    ("names", "fused"), [(("lstm0_l0", "lstm0_l1"), True), (("lstm0", "lstm1"), False), (("l0", "top"), False)]
)
def test_a_stack_of_gluons_cells_has_a_list_of_states(names: tuple[str, ...], fused: bool) -> None:
    """One fused layer returns `[L, B, H]`; cells return a list, though one may be called `l0` as a fused layer's is."""
    case = correct_case("lstm", 2, 1, convention="mxnet")
    assert case.weights is not None
    weights = replace(case.weights, names=names, convention="mxnet")
    arrays = conventions.get("mxnet").dump(case.trace, case.config, weights)
    assert sorted(arrays) == (["c", "h", "outputs"] if fused else ["outputs", *(f"states.{i}" for i in range(4))])


@pytest.mark.parametrize("direction", [None, "bidirectional"])
def test_weights_say_whose_the_initial_states_of_a_list_are(direction: Literal["bidirectional"] | None) -> None:
    """`[fw h, fw c, bw h, bw c]` beside weights of two directions, which nobody need state besides."""
    rng = np.random.default_rng(0)
    inputs, states = rng.normal(size=(3, 4, 5)), rng.normal(size=(4, 3, 5)).astype(np.float32)
    listed = {f"initial_state.{i}": state for i, state in enumerate(states)}
    weights = random_weights("lstm", 5, 5, directions=2)
    ran = build_case.run_case({"inputs": inputs, **listed}, LayerConfig(direction=direction), "keras", weights=weights)
    begun = [state for track in ran.trace.tracks for state in (track.initial, track.initial_cell)]
    assert np.array_equal(begun, states)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_an_initial_state_handed_over_is_of_every_layer(kind: str) -> None:
    """An array `[L, B, H]` is the state of L layers, and not a pair of h and c; a tuple of two such arrays is one."""
    torch.manual_seed(5)
    layer, inputs = getattr(torch.nn, kind)(3, 4, 2, batch_first=True), torch.randn(5, 6, 3)
    h, c = torch.randn(2, 5, 4), torch.randn(2, 5, 4)
    with torch.no_grad():
        outputs, _ = layer(inputs, (h, c) if kind == "LSTM" else h)
    begin = (h.numpy(), c.numpy()) if kind == "LSTM" else h.numpy()
    run = rnninspect.run(inputs.numpy(), weights=layer.state_dict(), convention="torch", initial_state=begin)
    assert np.allclose(run.tracks[-1].outputs, outputs, atol=1e-6)


@pytest.mark.parametrize("joined", [True, False])
def test_a_call_may_return_the_outputs_of_each_direction_and_then_its_states(joined: bool) -> None:
    """`(fw, bw, h)` with one joined state, or `(fw, bw, h_fw, h_bw)`: both directions are judged."""
    torch.manual_seed(6)
    layer = torch.nn.GRU(3, 4, batch_first=True, bidirectional=True)
    with torch.no_grad():
        outputs, (h_fw, h_bw) = layer(torch.randn(5, 6, 3))

    def report(*states: torch.Tensor) -> Report:
        each = (torch.cat(states, -1),) if joined else states
        return rnninspect.inspect((outputs[..., :4], outputs[..., 4:], *each), lengths="full", bidirectional=True)

    assert (report(h_fw, h_bw).verdict, len(report(h_fw, h_bw).tracks)) == ("clean", 2)
    assert [finding.rule for finding in report(h_fw, outputs[:, -1, 4:]).findings] == ["backward-final-at-last-step"]


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("wrong", [False, True])
def test_a_mapping_may_hold_a_list_of_states(kind: type[list] | type[tuple], wrong: bool) -> None:
    """`{"outputs": ..., "states": [h, c]}` holds `states.0` and `states.1`; rows out of order are found in it."""
    torch.manual_seed(6)
    with torch.no_grad():
        outputs, (h, c) = torch.nn.LSTM(3, 4, batch_first=True)(torch.randn(5, 6, 3))
    if wrong:
        h = h[:, [1, 2, 3, 4, 0]]
    dump = {"outputs": outputs, "states": kind([h[0], c[0]])}
    assert list(flattened(dump)) == ["outputs", "states.0", "states.1"]
    report = rnninspect.inspect(dump, lengths="full", cell="lstm")
    assert [finding.rule for finding in report.findings] == (["rows-permuted"] if wrong else [])


def test_states_by_the_word_of_a_direction_are_each_of_it() -> None:
    """`{"forward": h, "backward": h}` in either order of outputs; exchanged, that is named; a nest too deep is refused
    by what it is."""
    torch.manual_seed(6)
    with torch.no_grad():
        outputs, (h_fw, h_bw) = torch.nn.GRU(3, 4, batch_first=True, bidirectional=True)(torch.randn(5, 6, 3))
    right = {"forward": h_fw, "backward": h_bw}
    apart = (outputs[..., :4], outputs[..., 4:])
    for together_or_apart in (outputs, apart):
        assert rnninspect.inspect(together_or_apart, right, lengths="full", cell="gru").verdict == "clean"
    exchanged = {"forward": h_bw, "backward": h_fw}
    findings = rnninspect.inspect(outputs, exchanged, lengths="full", cell="gru").findings
    assert [finding.rule for finding in findings] == ["directions-exchanged"]
    with pytest.raises(rnninspect.UserError, match=r"^the final state nests deeper than layers and directions"):
        rnninspect.inspect(outputs, [[[(h_fw, h_bw)]]], lengths="full", cell="lstm")


def test_lengths_stated_for_a_run_take_the_place_of_the_files_mask() -> None:
    """A file's mask spoke of another run; a mask that is stated beside lengths must agree with them."""
    layer, inputs = torch.nn.GRU(3, 4, batch_first=True), np.random.default_rng(0).normal(size=(3, 6, 3))
    mask = np.arange(6) < np.array([6, 4, 2])[:, None]
    dump = {"inputs": inputs.astype(np.float32), "mask": mask}
    options: dict[str, Any] = {"weights": layer.state_dict(), "convention": "torch"}
    assert rnninspect.run(dump, **options).mask.sum(1).tolist() == [6, 4, 2]
    assert rnninspect.run(dump, lengths=[3, 6, 5], **options).mask.sum(1).tolist() == [3, 6, 5]
    assert rnninspect.run(dump, lengths=[6, 4, 2], mask=mask, **options).mask.sum(1).tolist() == [6, 4, 2]
    with pytest.raises(rnninspect.UserError, match="lengths and mask disagree"):
        rnninspect.run(dump, lengths=[3, 6, 5], mask=mask, **options)


def test_a_mask_of_a_time_major_run_may_lie_along_either_axes() -> None:
    """`[T, B, F]` inputs beside a mask `[T, B]` or `[B, T]` are one run; lengths of the other axis are called so."""
    layer, inputs = torch.nn.GRU(3, 4), np.random.default_rng(0).normal(size=(6, 3, 3)).astype(np.float32)
    mask = np.arange(6) < np.array([6, 4, 2])[:, None]
    options: dict[str, Any] = {"weights": layer.state_dict(), "convention": "torch", "time_major": True}
    for lying in (mask, mask.T):
        assert np.array_equal(rnninspect.run({"inputs": inputs, "mask": lying}, **options).mask, mask)
    with pytest.raises(rnninspect.UserError) as raised:
        rnninspect.run(inputs, lengths=[3, 3, 3, 3, 3, 3], **options)
    assert "lengths has 6 values, but the batch has 3 rows" in str(raised.value)
    assert worded(str(raised.value)).endswith(
        "give one length per row, or batch_first=True if the other axis is the rows'"
    )
    with pytest.raises(rnninspect.UserError, match=r"lengths\[0\] is 7, lengths\[2\] is 9, but inputs has T=6 steps"):
        rnninspect.run(inputs, lengths=[7, 6, 9], **options)
