"""The code of a fix, carried out as it is written on what was inspected, gives what is then found right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.report.report import Report

LENGTHS = torch.tensor([9, 6, 3, 2])
B, T, H = 4, 9, 5
ROWS = torch.arange(B)


def layer_and_inputs(kind: str = "GRU", layers: int = 1, both: bool = True) -> tuple[nn.RNNBase, Tensor]:
    """A batch-major layer and its inputs `[B, T, F]`."""
    torch.manual_seed(0)
    layer = getattr(nn, kind)(3, H, layers, batch_first=True, bidirectional=both).requires_grad_(False)
    return layer, torch.randn(B, T, 3)


def packed_run(layer: nn.RNNBase, x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs `[B, T, D*H]` and h `[L*D, B, H]` of a GRU that reads no padding."""
    out, h = layer(pack_padded_sequence(x, LENGTHS, batch_first=True))
    return pad_packed_sequence(out, batch_first=True)[0], h


def applied(report: Report, rule: str, **names: Any) -> dict[str, Any]:
    """The names after the code of that finding, the first one."""
    assert report.findings[0].rule == rule
    names = {"np": np, "torch": torch, "B": B, "T": T, "lengths": LENGTHS} | names
    names |= {"pack_padded_sequence": pack_padded_sequence, "pad_packed_sequence": pad_packed_sequence}
    exec(report.findings[0].fix, names)
    return names


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("both", [False, True])
def test_rows_that_were_dropped_are_taken_from_the_outputs(both: bool, time_major: bool) -> None:
    """Each direction's state is where its pass ends, along the axes that are there; one step of both is half wrong."""
    out, h = packed_run(*layer_and_inputs(both=both))
    right = torch.cat([*h], 1)
    options: dict[str, Any] = {"lengths": LENGTHS, "bidirectional": both, "time_major": time_major}
    outputs = (out.transpose(0, 1) if time_major else out).numpy()
    assert rnninspect.inspect(outputs, right, **options).verdict == "clean"
    report = rnninspect.inspect(outputs, right[:3], **options)
    state = applied(report, "rows-dropped", output=torch.from_numpy(outputs))["h"]
    assert rnninspect.inspect(outputs, state, **options).verdict == "clean"
    one_step = rnninspect.inspect(outputs, out[ROWS, LENGTHS - 1], **options)
    assert [f.rule for f in one_step.findings] == ["backward-final-at-last-step"] * both


def test_an_empty_row_among_those_dropped_ends_in_zeros() -> None:
    """The state that a dropped row without a step is given is no step of its outputs."""
    out, h = packed_run(*layer_and_inputs(both=False))
    outputs, lengths = out.numpy().copy(), np.array([9, 6, 3, 0])
    outputs[3] = 0
    outputs[3, -1] = 1  # what index -1 would take
    report = rnninspect.inspect(outputs, h[0, :3], lengths=lengths)
    (finding,) = [f for f in report.findings if f.rule == "rows-dropped"]
    names: dict[str, Any] = {"torch": torch, "B": B, "output": torch.from_numpy(outputs)}
    names["lengths"] = torch.from_numpy(lengths)
    exec(finding.fix, names)
    assert np.array_equal(names["h"][:3], h[0, :3])
    assert not names["h"][3].any()


def states_of_no_row(out: Tensor, h: Tensor) -> dict[str, Tensor]:
    """States taken wrongly from a right run of one layer, by the rule that names them; the fix is the rule's own."""
    written = h.clone()
    written[:, 1] = 0
    return {
        "pooled-state": out.amax(1),
        "state-never-written": written,
        "rows-dropped": h[:, :2],
    }


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("rule", states_of_no_row(torch.zeros(B, B, H), torch.zeros(1, B, H)))
def test_a_rules_own_code_takes_names_of_torch_alone(rule: str, both: bool, time_major: bool) -> None:
    """Run with what a program of torch has, `output` and `lengths`, the code makes halves and mask itself, gives the
    right state, and pools real steps alone."""
    layer, x = layer_and_inputs(both=both)
    out, h = packed_run(layer, x)
    stored = out.transpose(0, 1) if time_major else out
    dump = {"output": stored, "h_n": states_of_no_row(out, h)[rule], "lengths": LENGTHS}
    report = rnninspect.inspect(dump, convention="torch", bidirectional=both, time_major=time_major)
    findings = [f for f in report.findings if f.rule == rule]
    assert findings, report
    names: dict[str, Any] = {"torch": torch, "B": B, "T": T, "output": stored, "lengths": LENGTHS}
    exec(findings[0].fix, names)
    assert torch.equal(names["h"], torch.cat([*h], 1))
    assert "c " not in findings[0].fix
    if rule == "pooled-state":
        real = torch.arange(T) < LENGTHS[:, None]
        assert torch.equal(names["pooled"], torch.where(real[..., None], out, -torch.inf).amax(1))


OWN = torch.tensor([9, 6, 4, 5])
# By the rule that names it: the lengths that the layer had, those that the dump states, and whether it holds inputs.
LENGTHS_APART = [
    ("off-by-one-length", OWN - 1, OWN, True),
    ("off-by-one-length", OWN - 2, OWN, False),
    ("off-by-one-length", OWN, OWN + 1, True),
    ("off-by-one-length", OWN, OWN + 2, False),
    ("lengths-misaligned", OWN, OWN.flip(0), True),
    ("lengths-misaligned", OWN, OWN.flip(0), False),
    ("lengths-misaligned", OWN.flip(0), OWN, True),
    ("lengths-rescaled", OWN, OWN * 2, False),
]


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize(("rule", "ran", "counted", "inputs"), LENGTHS_APART)
def test_lengths_and_run_are_brought_together(rule: str, ran: Tensor, counted: Tensor, inputs: bool, kind: str) -> None:
    """Of lengths other than those of the run, the wrong ones are put right by a program that has torch's names: stated
    ones where the inputs end elsewhere, or all of the time axis is shorter; else the layer is run again with them."""
    layer, x = layer_and_inputs(kind, both=False)
    x = torch.where((torch.arange(T) < OWN[:, None])[..., None], x, 0)
    out, state = layer(pack_padded_sequence(x, ran, batch_first=True, enforce_sorted=False))
    out = pad_packed_sequence(out, batch_first=True, total_length=T)[0]
    dump = {"output": out, "h_n": state[0] if kind == "LSTM" else state, "lengths": counted}
    dump |= ({"c_n": state[1]} if kind == "LSTM" else {}) | ({"x": x} if inputs else {})
    report = rnninspect.inspect(dump, convention="torch")
    names = applied(report, rule, x=x, output=out, **{"lstm" if kind == "LSTM" else "rnn": layer}, lengths=counted)
    right = layer(pack_padded_sequence(x, OWN, batch_first=True, enforce_sorted=False))[1]
    assert torch.equal(names["lengths"], OWN)
    assert torch.equal(names.get("h_n", dump["h_n"]), right[0] if kind == "LSTM" else right)


@pytest.mark.parametrize("both", [False, True])
def test_outputs_with_an_axis_of_directions_are_taken_apart(both: bool) -> None:
    """ONNX's Y `[T, D, B, H]`: the code makes of it the outputs that it takes the states from."""
    out, h = packed_run(*layer_and_inputs(both=both))
    never = states_of_no_row(out, h)["state-never-written"]
    y = torch.stack(out.chunk(1 + both, -1), 2).transpose(0, 1).transpose(1, 2).numpy()
    report = rnninspect.inspect(
        {"Y": y, "Y_h": never.numpy(), "sequence_lens": LENGTHS.numpy()}, convention="onnx", bidirectional=both
    )
    names = {"np": np, "Y": y, "B": B, "lengths": LENGTHS.numpy()}
    exec(report.findings[0].fix, names)
    assert np.array_equal(names["h"], torch.cat([*h], 1))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["GRU", "RNN", "LSTM"])
def test_a_whole_call_tells_whether_its_state_is_a_pair(kind: str, both: bool) -> None:
    """An unpacked call's code unpacks one state or two, as the call returned them; a packed call is right as it is."""
    layer, x = layer_and_inputs(kind, both=both)
    report = rnninspect.inspect(layer(x), lengths=LENGTHS, bidirectional=both)
    assert ("c_n" in report.findings[0].fix) == (kind == "LSTM")
    names = applied(report, "lengths-ignored", x=x, **{"lstm" if kind == "LSTM" else "gru": layer})
    state = (names["h_n"], names["c_n"]) if kind == "LSTM" else names["h_n"]
    assert rnninspect.inspect((names["output"], state), lengths=LENGTHS, bidirectional=both).verdict == "clean"


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["GRU", "RNN"])
def test_a_dump_without_c_is_told_how_to_take_h(kind: str, both: bool) -> None:
    """Where nothing states the cell, the code that runs the layer again takes h alone, and names an LSTM's pair."""
    layer, x = layer_and_inputs(kind, both=both)
    out, h_n = layer(x)
    report = rnninspect.inspect({"output": out, "h_n": h_n, "lengths": LENGTHS}, convention="torch", bidirectional=both)
    assert "# an LSTM: (h_n, c_n)" in report.findings[0].fix
    names = applied(report, "lengths-ignored", x=x, rnn=layer)
    assert torch.equal(names["h_n"], packed_run(layer, x)[1])


def test_an_lstm_of_which_onnx_was_asked_for_h_alone_is_no_gru() -> None:
    """There a call returns what it was asked for, so that a state without c says nothing of the cell."""
    layer, x = layer_and_inputs("LSTM", both=False)
    out, (h, _) = layer(x)
    whole = [out.transpose(0, 1)[:, None].numpy(), h.numpy()]
    report = rnninspect.inspect(whole, lengths=LENGTHS, convention="onnx", time_major=True)
    assert report.findings[0].rule == "lengths-ignored"
    assert "GRU" not in report.findings[0].fix


def wrong_states(out: Tensor) -> dict[str, Tensor]:
    """States `[B, 2H]` (one `[B, H]`) that are taken wrongly from outputs `[B, T, 2H]`, by the rule that names them."""
    fw, bw = out[ROWS, LENGTHS - 1, :H], out[:, 0, H:]
    return {
        "backward-final-at-last-step": out[ROWS, LENGTHS - 1],
        "direction-missing": fw,
        "direction-duplicated": torch.cat([fw, fw], 1),
        "directions-exchanged": torch.cat([bw, fw], 1),
        "flat-gather-wrong-stride": out.reshape(B * T, -1)[(LENGTHS - 1) * B + ROWS],
        "state-reshaped-not-transposed": torch.stack([fw, bw]).reshape(B, -1),
    }


@pytest.mark.parametrize("ran_over", [True, False])
@pytest.mark.parametrize("rule", wrong_states(torch.zeros(B, T, 2 * H)))
def test_both_halves_are_those_of_a_run_within_lengths(rule: str, ran_over: bool) -> None:
    """h_n of a run over the padding ends in it: the code packs; of a packed run, the right twin, it takes h_n."""
    layer, x = layer_and_inputs()
    out, h_n = layer(x) if ran_over else packed_run(layer, x)
    report = rnninspect.inspect(out, wrong_states(out)[rule], lengths=LENGTHS, bidirectional=True, cell="gru")
    assert ("pack_padded_sequence(" in report.findings[0].fix) == ran_over
    names = applied(report, rule, x=x, gru=layer, output=out, h_n=h_n)
    assert rnninspect.inspect(names["output"], names["final"], lengths=LENGTHS, bidirectional=True).verdict == "clean"


@pytest.mark.parametrize("options", [{}, {"layers": 2}, {"weights": True}])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_top_layers_halves_are_not_all_of_the_stack(layers: int, options: dict[str, Any]) -> None:
    """`h_n[-2:].reshape(B, -1)` is of one layer, and so is what the code takes; taken in turn it is right."""
    layer, x = layer_and_inputs(layers=layers)
    out, h_n = layer(x)
    options = {"inputs": x, "weights": layer} if "weights" in options else {k: layers for k in options}
    options |= {"lengths": "full", "bidirectional": True}
    assert rnninspect.inspect(out, h_n[-2:].transpose(0, 1).reshape(B, -1), **options).verdict == "clean"
    report = rnninspect.inspect(out, h_n[-2:].reshape(B, -1), **options)
    final = applied(report, "state-reshaped-not-transposed", h_n=h_n)["final"]
    assert final.shape == (B, 2 * H)
    assert rnninspect.inspect(out, final, **options).verdict == "clean"


def test_a_vector_of_both_directions_is_taken_from_the_layer_anew() -> None:
    """`[B, 2H]` is no array of the layer's: the code that takes the halves in order stays."""
    out, h = packed_run(*layer_and_inputs())
    report = rnninspect.inspect(
        out, torch.cat([h[1], h[0]], 1), lengths=LENGTHS, bidirectional=True, convention="torch"
    )
    state = applied(report, "directions-exchanged", h_n=h)["final"]
    assert np.array_equal(state, torch.cat([h[0], h[1]], 1))
