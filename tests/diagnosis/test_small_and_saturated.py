"""Right runs of few units whose gates are shut or wide open, or whose rounding grows: none is accused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rnninspect


def scaled(layer: torch.nn.RNNBase, by: float) -> torch.nn.RNNBase:
    """The layer with every parameter times a number."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(by)
    return layer


def open_gates(units: int) -> torch.nn.LSTM:
    """An LSTM whose output gates are wide open and whose input gates are all but shut: c stays near zero."""
    layer = torch.nn.LSTM(3, units, batch_first=True)
    with torch.no_grad():
        layer.bias_ih_l0[:] = 0
        layer.bias_hh_l0[:] = 0
        layer.bias_ih_l0[:units] = -14
        layer.bias_ih_l0[3 * units :] = 40
    return layer


def accused(*arrays: object, **more: object) -> list[str]:
    report = rnninspect.inspect(*arrays, batch_first=True, **more)  # type: ignore[arg-type]
    return [f.rule for f in report.findings if f.severity != "note"]


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("rows", [1, 5, 40])
def test_an_open_gate_over_a_cell_near_zero(units: int, rows: int) -> None:
    """tanh and the gate leave such a c as it is: h is it bit for bit, in a right run."""
    torch.manual_seed(units)
    x = torch.randn(rows, 3, 3)
    with torch.no_grad():
        outputs, (h, c) = open_gates(units)(x)
    assert torch.equal(h, c)
    assert accused(outputs, (h, c), lengths=[3] * rows) == []
    assert accused(outputs, (h, c)) == []


@pytest.mark.parametrize("units", [1, 2, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_cell_state_overwritten_by_h(units: int, dtype: torch.dtype) -> None:
    """The wrong twin, of any number of units and precision: one number that tanh would have made smaller tells."""
    torch.manual_seed(units + 4)
    with torch.no_grad():
        outputs, (h, _) = scaled(torch.nn.LSTM(3, units, batch_first=True), 8)(torch.randn(20, 6, 3))
    outputs, h = outputs.to(dtype).float(), h.to(dtype).float()
    assert accused(outputs, (h, h), lengths=[6] * 20) == ["cell-overwritten-by-hidden"]


def test_a_bfloat16_cast_makes_no_h_of_c() -> None:
    """c of 0.03 and h are one number in bfloat16, where the output gate is open: nothing was overwritten."""
    c = torch.full((4, 1), 0.03)
    h = torch.tanh(c)
    h, c = h.to(torch.bfloat16).float(), c.to(torch.bfloat16).float()
    assert torch.equal(h, c)
    outputs = torch.stack([h * 0.5, h], dim=1)
    assert accused(outputs, (h[None], c[None]), lengths=[2] * 4) == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("layers", [1, 2])
def test_rounding_that_grows_is_no_other_weights(seed: int, layers: int) -> None:
    """Weights twenty times as large make a run chaotic: a run of one row at a time parts from one of the batch."""
    torch.manual_seed(seed)
    layer = scaled(torch.nn.GRU(2, 8, num_layers=layers, batch_first=True), 12)
    x = torch.randn(6, 60, 2)
    with torch.no_grad():
        wide = layer.double()(x.double())
        weights = {name: a.float() for name, a in layer.state_dict().items()}
    outputs, h = (a.float() for a in wide)
    run = torch.nn.GRU(2, 8, num_layers=layers, batch_first=True)
    run.load_state_dict(weights)
    assert accused(outputs, h, lengths=[60] * 6, inputs=x, weights=weights) == []


@pytest.mark.parametrize("wrong", ["bias_hh_l0", "bias_ih_l0", "weight_hh_l0"])
def test_other_weights_beneath_rounding_that_grows(wrong: str) -> None:
    """The wrong twin: a parameter that is another shows where rows begin, whatever grows later."""
    torch.manual_seed(1)
    layer = scaled(torch.nn.GRU(2, 8, batch_first=True), 12)
    x = torch.randn(6, 60, 2)
    with torch.no_grad():
        outputs, h = layer(x)
    weights = {name: a.clone() for name, a in layer.state_dict().items()}
    weights[wrong] += torch.from_numpy(np.random.default_rng(0).normal(size=weights[wrong].shape).astype(np.float32))
    assert accused(outputs, h, lengths=[60] * 6, inputs=x, weights=weights) != []


@pytest.mark.parametrize(("layers", "directions", "rows"), [(1, 2, 2), (2, 1, 2), (2, 2, 4), (1, 2, 3), (1, 1, 1)])
def test_a_cell_state_of_one_unit_lies_as_h_does(layers: int, directions: int, rows: int) -> None:
    """As many rows as states, one unit each: c is read along the axes of h, whose units are those of the outputs."""
    torch.manual_seed(layers + directions)
    layer = torch.nn.LSTM(2, 1, num_layers=layers, bidirectional=directions == 2, batch_first=True)
    x = torch.randn(rows, 4, 2)
    with torch.no_grad():
        outputs, (h, c) = layer(x)
    assert accused(outputs, (h, c), lengths=[4] * rows, inputs=x, weights=layer.state_dict()) == []
    moved = c.flip(1)
    if rows > 1:
        assert accused(outputs, (h, moved), lengths=[4] * rows, inputs=x, weights=layer.state_dict()) != []


def test_a_gate_that_shuts_is_no_kept_buffer() -> None:
    """Two steps of one unit are alike where the update gate is shut; a buffer of five units in four steps is told, and
    one of three units in two steps where a run of the weights ends in what it holds, and not where it ends elsewhere.
    """
    held = np.array([[[0.4], [0.4]]], dtype=np.float32)
    frames = np.array([[[1.0], [90.0]]], dtype=np.float32)
    assert accused(held, held[:, -1], lengths=[2], inputs=frames) == []
    rng = np.random.default_rng(0)
    buffer = np.repeat(rng.uniform(-0.5, 0.5, (1, 1, 5)), 4, axis=1).astype(np.float32)
    frames = rng.normal(size=(1, 4, 2)).astype(np.float32)
    assert accused(buffer, buffer[:, -1], lengths=[4], inputs=frames) == ["outputs-aliased"]
    torch.manual_seed(0)
    layer = torch.nn.GRU(2, 3, batch_first=True)
    with torch.no_grad():
        end = layer(torch.from_numpy(frames[:, :2]))[1].numpy()[0]
    about = {"lengths": [2], "inputs": frames[:, :2], "weights": layer.state_dict()}
    for state, rule in ((end, "outputs-aliased"), (-end, "unexplained-difference")):
        assert accused(np.repeat(state[:, None], 2, axis=1), state, **about) == [rule]


def test_saturated_units_are_no_kept_buffer() -> None:
    """Units at one, at zero, or a bit from one hold there whatever is read; no inputs need be given."""
    step = np.array([[1.0, -1.0, 0.9999998807907104, 0.0]], dtype=np.float32)
    outputs = np.repeat(np.repeat(step[:, None], 9, axis=1), 4, axis=0)
    assert accused(outputs, outputs[:, -1], lengths=[9] * 4) == []


@pytest.mark.parametrize("held", [0.0, 0.3])
def test_one_unit_tells_of_no_hole(held: float) -> None:
    """A gate that is shut zeroes one unit, or holds it, and no mask need do so; two units beside it do not."""
    rng = np.random.default_rng(0)
    outputs = rng.uniform(0.2, 0.8, (3, 9, 4)).astype(np.float32)
    outputs[1, 4] = 0 if held == 0 else outputs[1, 3]
    assert accused(outputs[..., :1], outputs[:, -1, :1], lengths=[9] * 3) == []
    assert accused(outputs, outputs[:, -1], lengths=[9] * 3) == ["mask-hole"]


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_lower_layer_that_is_rounded_to_zero(kind: str) -> None:
    """A right run: of a row whose few units are all shut nothing but the weights tells that it was written; five units
    none of which shuts elsewhere do not shut together."""
    torch.manual_seed(0)
    layer, x = getattr(torch.nn, kind)(4, 2, 2, batch_first=True), torch.randn(3, 3, 4)
    with torch.no_grad():
        outputs, state = layer(x)
        h = state[0].clone() if kind == "LSTM" else state.clone()
        h[0, 1] *= 1e-9
    outputs, rounded = outputs.half(), h.half()
    assert not rounded[0, 1].any()
    about = {"lengths": [3] * 3, "layers": 2, "cell": kind.lower()}
    report = rnninspect.inspect(outputs, rounded, batch_first=True, **about)
    assert (report.verdict, report.findings) == ("unjudged", [])
    assert "row 1 (of 3): h is all zero in layer 0 forward" in (report.untested or "")
    wide = torch.cat([rounded, torch.full((2, 3, 3), 0.3).half() * rounded.sign()[..., :1]], -1)
    wide[0, 1] = 0
    steps = torch.cat([outputs, torch.zeros(3, 3, 3).half()], -1)
    steps[:, -1] = wide[1]
    assert accused(steps, wide, **about) == ["state-never-written"]


def test_steps_that_saturated_units_hold_are_no_holes() -> None:
    """Gates that are shut or wide open keep a step as it was; two units between hold there of no gate."""
    outputs = np.random.default_rng(1).uniform(-0.7, 0.7, (1, 4, 3)).astype(np.float32)
    outputs[:, 1] = outputs[:, 0]
    assert accused(outputs, outputs[:, -1], lengths=[4]) == ["mask-hole"]
    outputs[:, :2] = [0, -1, 1]
    assert accused(outputs, outputs[:, -1], lengths=[4]) == []


@pytest.mark.parametrize(("units", "named"), [(2, []), (8, ["mask-hole"])])
def test_relu_units_that_are_all_shut_in_a_step(units: int, named: list[str]) -> None:
    """Two of them are so by chance, eight that shut nowhere else are not."""
    outputs = np.random.default_rng(1).uniform(0.2, 0.8, (2, 6, units)).astype(np.float32)
    outputs[0, 2] = 0
    assert accused(outputs, outputs[:, -1], lengths=[6, 6]) == named


def test_zeros_of_relu_units_tell_of_no_row_without_steps() -> None:
    """Lengths that nobody stated, told by zeros: a row that is zero throughout may have read every step."""
    outputs = np.array([[[0.1, 2.6], [0.2, 0]], [[0, 0], [0, 0.5]], [[0, 0], [0, 0]], [[0, 0], [0, 1.2]]], np.float32)
    assert accused(outputs, outputs[:, -1]) == []
    report = rnninspect.inspect(outputs, outputs[:, -1], lengths=[2, 2, 0, 2], batch_first=True)
    assert "zero-length-row" in [f.rule for f in report.findings]


@pytest.mark.parametrize("units", [1, 2])
def test_few_numbers_of_two_layers_are_no_h_and_c(units: int) -> None:
    """States `[h, h]` of two layers: the upper one ends the outputs, the lower one is smaller by chance."""
    rng = np.random.default_rng(units)
    outputs = rng.uniform(0.4, 0.8, (2, 3, units)).astype(np.float32)
    upper = outputs[:, -1]
    arrays = {"outputs": outputs, "state_0": upper * np.float32(0.3), "state_1": upper}
    for more in ({}, {"layers": 2}, {"layers": 2, "cell": "lstm"}):
        assert accused(arrays, lengths=[3, 3], **more) == []
    rows = np.random.default_rng(3).uniform(-0.8, 0.8, (9, 3, 4)).astype(np.float32)
    many = {"outputs": rows, "state_0": rows[:, -1] * np.float32(0.3), "state_1": rows[:, -1]}
    assert accused(many, lengths=[3] * 9) == ["outputs-are-cell-state"]


@pytest.mark.parametrize(("creeps", "units", "named"), [(1, 2, []), (0, 2, ["mask-hole"]), (1, 8, ["mask-hole"])])
def test_a_step_that_nearly_shut_gates_hold(creeps: int, units: int, named: list[str]) -> None:
    """Two units that creep beside the step that repeats have gates that shut there; where the state moves on at once,
    and where eight units hold together, a mask held them."""
    outputs = np.random.default_rng(3).uniform(0.2, 0.8, (2, 7, units))
    outputs[1, 3] = outputs[1, 2]
    if creeps:
        outputs[1, 4] = outputs[1, 3] * 1.0001
    assert accused(outputs, outputs[:, -1], lengths=[7, 7]) == named


@pytest.mark.parametrize("layers", [1, 2])
def test_a_direction_whose_relu_units_are_all_shut(layers: int) -> None:
    """States in a list beside outputs whose forward half is zero throughout: a state of zeros is that half's, of one
    layer or the upper one of two; a wrong state of the other half is found beside it."""
    outputs = np.random.default_rng(4).uniform(0.1, 9, (2, 7, 2)).astype(np.float32)
    outputs[..., 0] = 0
    lower = [np.array([[11.4], [0]], np.float32), np.zeros((2, 1), np.float32)]
    for step, wrong in ((0, False), (3, True)):
        states = [*lower[: 2 * layers - 2], outputs[:, 0, :1], outputs[:, step, 1:]]
        arrays = {"output": outputs, **{f"state_{k}": state for k, state in enumerate(states)}}
        assert bool(accused(arrays, lengths=[7, 7])) is wrong


def test_zeros_tell_no_roles() -> None:
    """Outputs and states of one relu unit that are all zero, under names that tell nothing, are nobody's states."""
    arrays = {"a": np.zeros((3, 4, 1)), "b": np.zeros((1, 3, 1)), "d": np.random.default_rng(0).normal(size=(3, 4, 1))}
    arrays["d"][1, 1:] = 0
    with pytest.raises(rnninspect.UserError, match="name"):
        rnninspect.inspect(arrays | {"e": np.array([4, 1, 4])})


def test_outputs_of_one_step_repeated_are_no_two_layers_states() -> None:
    """Two rows of one step, repeated in the padding by a loop, may be outputs beside `h_n` or `h_n` beside outputs:
    under names that tell nothing they are refused; named, one state for two layers is found and the right run clean."""
    h = np.random.default_rng(2).uniform(-0.5, 0.5, (2, 2, 8)).astype(np.float32)
    outputs = np.stack([h[1], h[1]])
    with pytest.raises(rnninspect.UserError, match="name"):
        rnninspect.inspect({"a": outputs, "b": h})
    about = {"lengths": [1, 1], "batch_first": False, "layers": 2}
    assert [f.rule for f in rnninspect.inspect(outputs, h, **about).findings if f.severity != "note"] == []
    shared = rnninspect.inspect(h, outputs, **(about | {"lengths": [2, 2]}))
    assert [f.rule for f in shared.findings if f.severity != "note"] == ["layers-share-state"]


@pytest.mark.parametrize("seed", range(3))
def test_a_saturated_backward_pass_over_the_padding_goes_on_from_no_row(seed: int) -> None:
    """Of units that are 1 or -1 a row that read its padding first seems to go on from another row's end, and its half
    to hold both directions' units: neither is said, and the lengths that were ignored are."""
    torch.manual_seed(51)
    layer = scaled(torch.nn.RNN(4, 3, batch_first=True, bidirectional=True), 60)
    torch.manual_seed(seed + 2)
    x, lengths = torch.randn(8, 12, 4), [12, 7, 9, 3, 10, 5, 4, 8]
    with torch.no_grad():
        returned = layer(x)
    names = accused(returned, lengths=lengths, inputs=x, weights=layer, bidirectional=True)
    assert "lengths-ignored" in names
    assert not {"rows-chunked", "directions-interleaved"} & set(names)


@pytest.mark.parametrize("by", [1, 60])
def test_a_sequence_that_was_cut_into_rows_is_still_told(by: int) -> None:
    """The twin: of one long run every row goes on from the one before it, in saturated units too."""
    torch.manual_seed(5)
    layer = scaled(torch.nn.RNN(4, 3, batch_first=True), by)
    x = torch.randn(1, 48, 4)
    with torch.no_grad():
        outputs, _ = layer(x)
    rows = outputs.reshape(6, 8, 3)
    names = accused(rows, rows[:, -1], lengths="full", inputs=x.reshape(6, 8, 4), weights=layer)
    assert names == ["rows-chunked"]


def test_two_layers_of_one_unit_side_by_side_are_no_h_and_c() -> None:
    """Of `[B, 2]` whose second half is the outputs' last real step, the first may by chance be an h before that c; of
    as many rows as tell, h and c side by side are read as such."""
    rng = np.random.default_rng(0)
    lengths = np.array([2, 3, 5])
    for _ in range(20):
        outputs = rng.uniform(-0.5, 0.5, (3, 5, 1)) * (np.arange(5) < lengths[:, None])[..., None]
        top = outputs[np.arange(3), lengths - 1]
        right = rnninspect.inspect(
            outputs, np.concatenate([top * rng.uniform(0.1, 0.6, (3, 1)), top], 1), lengths=lengths
        )
        assert right.findings == []
    rows = np.arange(6) % 4 + 1
    outputs = rng.uniform(-0.5, 0.5, (6, 5, 2)) * (np.arange(5) < rows[:, None])[..., None]
    h = outputs[np.arange(6), rows - 1]
    apart = rnninspect.inspect(outputs, np.concatenate([np.arctanh(h) * 1.5, h], 1), lengths=rows)
    assert "is read as c and h side by side" in " ".join(apart.notes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("dropped", [True, False])
def test_dropout_of_a_half_precision(dtype: torch.dtype, dropped: bool) -> None:
    """1/0.7 rounds in every product: each row's units are still times one factor, and no row is laid to another run.
    Units times factors that differ by more than rounding moves them are no dropout's."""
    rng = np.random.default_rng(0)
    outputs = torch.from_numpy(rng.uniform(-1, 1, (4, 5, 6)))
    kept = torch.from_numpy(rng.random((4, 5, 6)) > 0.3)
    kept[:, -1, :2] = torch.tensor([True, False])
    factor = 1 / 0.7 * (1 if dropped else torch.from_numpy(rng.uniform(0.97, 1.03, (4, 5, 6))))
    rules = accused((outputs.to(dtype) * kept * factor).to(dtype), outputs[:, -1].to(dtype), lengths=[5] * 4)
    assert rules == ["output-dropout"] if dropped else "output-dropout" not in rules
