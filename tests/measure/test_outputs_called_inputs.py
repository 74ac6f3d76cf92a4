"""Outputs under a name that people give inputs (`x, h = gru(x)`): read where nothing else can be them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.errors import ShapeError

LENGTHS = np.array([9, 3, 6, 1, 8])
NAMES = ["feats", "features", "x", "inputs", "embedded", "src", "frames", "data", "batch", "enc_inputs"]


def _ran(seed: int, both: bool, units: int = 6) -> tuple[Any, Any, Any]:
    """Outputs `[B, T, D*H]` of a right packed LSTM, h `[D, B, H]`, and the inputs."""
    torch.manual_seed(seed)
    x = torch.randn(5, 9, 4)
    layer = torch.nn.LSTM(4, units, batch_first=True, bidirectional=both)
    with torch.no_grad():
        packed, (h, _) = layer(
            torch.nn.utils.rnn.pack_padded_sequence(
                x, torch.from_numpy(LENGTHS), batch_first=True, enforce_sorted=False
            )
        )
    return torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].numpy(), h.numpy(), x.numpy()


def _side_by_side(h: Any) -> Any:
    return np.concatenate(list(h), -1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("both", [False, True])
def test_a_right_run_is_read_whatever_its_outputs_are_called(name: str, both: bool) -> None:
    """The state's numbers say that they are outputs; that this was taken from them is said."""
    outputs, h, _ = _ran(1, both)
    report = rnninspect.inspect({name: outputs, "final": _side_by_side(h), "lengths": LENGTHS})
    assert (report.verdict, report.findings) == ("clean", [])
    assert report.shape["directions"] == 1 + both
    assert any(note.startswith(f"{name} [5, 9, {6 + 6 * both}] is taken as the outputs") for note in report.notes)


@pytest.mark.parametrize("name", NAMES)
def test_mistakes_beside_them_keep_their_names(name: str) -> None:
    """Exchanged directions, a last column, permuted rows: each is named as beside `outputs`."""
    outputs, h, _ = _ran(2, both=True)
    exchanged = rnninspect.inspect({name: outputs, "final": _side_by_side(h[::-1]), "lengths": LENGTHS})
    assert [f.rule for f in exchanged.findings] == ["directions-exchanged"]
    outputs, h, _ = _ran(3, both=False)
    last = rnninspect.inspect({name: outputs, "final": outputs[:, -1], "lengths": LENGTHS})
    assert "last-column-as-final-state" in [f.rule for f in last.findings]
    permuted = rnninspect.inspect({name: outputs, "final": h[0][[2, 0, 1, 4, 3]], "lengths": LENGTHS})
    assert [f.rule for f in permuted.findings] == ["rows-permuted"]


@pytest.mark.parametrize("name", ["feats", "features", "embedded", "src"])
def test_true_inputs_beside_them_stay_inputs(name: str) -> None:
    """Beside `x` as wide as anything else, the array whose steps the states are is the outputs, and `x` the inputs."""
    outputs, h, x = _ran(4, both=False)
    report = rnninspect.inspect({"x": x, name: outputs, "final": h[0], "lengths": LENGTHS})
    assert (report.verdict, report.findings) == ("clean", [])


@pytest.mark.parametrize("name", NAMES)
def test_inputs_as_wide_as_the_state_are_no_outputs(name: str) -> None:
    """Nothing equals a step of them: the outputs are still asked for."""
    _, h, x = _ran(5, both=False, units=4)
    with pytest.raises(ShapeError, match="found no outputs"):
        rnninspect.inspect({name: x, "final": h[0], "lengths": LENGTHS})


@pytest.mark.parametrize("name", NAMES)
def test_outputs_under_a_name_of_their_own_win(name: str) -> None:
    """An array that a name calls inputs is none where another can be the outputs, whatever its width."""
    outputs, h, _ = _ran(6, both=False)
    report = rnninspect.inspect({name: outputs[..., ::-1].copy(), "y": outputs, "final": h[0], "lengths": LENGTHS})
    assert (report.verdict, report.findings) == ("clean", [])
    assert not any("is taken as the outputs" in note for note in report.notes)


@pytest.mark.parametrize("name", ["feats", "features", "embedded", "src"])
def test_c_beside_h_is_no_output_of_one_step(name: str) -> None:
    """`h_n` and `c_n` `[1, B, H]` fit each other as outputs of one step do: the array with all steps is still read."""
    torch.manual_seed(7)
    x, lstm = torch.randn(5, 9, 4), torch.nn.LSTM(4, 6, batch_first=True)
    with torch.no_grad():
        packed, (h, c) = lstm(
            torch.nn.utils.rnn.pack_padded_sequence(x, torch.from_numpy(LENGTHS), True, enforce_sorted=False)
        )
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].numpy()
    dump = {name: outputs, "x": x.numpy(), "h_n": h.numpy(), "c_n": c.numpy(), "lengths": LENGTHS}
    assert rnninspect.inspect(dump).verdict == "clean"
    exchanged = rnninspect.inspect({**dump, "h_n": c.numpy(), "c_n": h.numpy()})
    assert [f.rule for f in exchanged.findings if f.severity == "error"] == ["cell-hidden-swapped"]


def test_code_that_builds_an_lstm_says_what_a_gru_has() -> None:
    """Beside a lone state nothing tells the cell: Keras' fix speaks of both; of a stated cell it does so alone."""
    outputs, h, _ = _ran(8, both=False)
    assert h.shape[0] == 1
    options: dict[str, Any] = {"lengths": LENGTHS, "convention": "keras"}
    (open_cell,) = rnninspect.inspect(outputs, outputs[:, -1], **options).findings
    assert "LSTM(" in open_cell.fix
    assert "or GRU" in open_cell.fix
    (of_gru,) = rnninspect.inspect(outputs, outputs[:, -1], cell="gru", **options).findings
    assert "outputs, h = GRU(" in of_gru.fix
    assert "LSTM" not in of_gru.fix


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("names", [("output", "h_n"), ("outputs", "state"), ("out", "hidden")])
def test_outputs_and_state_under_each_others_names_are_read_by_their_numbers(
    names: tuple[str, str], both: bool
) -> None:
    """`h_n, output = gru(x)`: right runs are clean, a last column is named, and both say what was taken for what."""
    outputs, h, _ = _ran(3, both)
    for state, rules in ((h, []), (outputs[:, -1][None], ["last-column-as-final-state"])):
        if both and rules:
            continue
        report = rnninspect.inspect({names[1]: outputs, names[0]: state, "lengths": LENGTHS})
        assert [f.rule for f in report.findings if f.severity == "error"] == rules
        assert any(f"{names[1]} {list(outputs.shape)} is taken as the outputs" in note for note in report.notes)


def test_names_that_fit_are_not_exchanged() -> None:
    """A deep stack of few steps has outputs smaller than its state, and is no exchange."""
    torch.manual_seed(0)
    with torch.no_grad():
        steps, stack = torch.nn.GRU(4, 6, 5, batch_first=True)(torch.randn(4, 3, 4))
    for state, names in ((stack, []), (stack.flip(0), ["layer-order-reversed"])):
        report = rnninspect.inspect({"output": steps.numpy(), "h_n": state.numpy()}, direction="forward")
        assert [f.rule for f in report.findings if f.severity == "error"] == names
        assert report.shape["layers"] == 5
