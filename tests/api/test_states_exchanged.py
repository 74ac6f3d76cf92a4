"""h and c of a projected LSTM under each other's names: the widths tell it, and fix puts both back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import rnninspect
from rnninspect.errors import ShapeError

torch = pytest.importorskip("torch")
LENGTHS = [6, 3, 5, 2]
KINDS: list[dict[str, Any]] = [{}, {"bidirectional": True}, {"num_layers": 2}]


def packed_run(**kind: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """outputs `[B, T, D*P]`, h `[L*D, B, P]` and c `[L*D, B, H]` of torch's projected LSTM, P = 3 and H = 7."""
    torch.manual_seed(3)
    lstm = torch.nn.LSTM(4, 7, proj_size=3, batch_first=True, **kind)
    rnn = torch.nn.utils.rnn
    with torch.no_grad():
        packed = rnn.pack_padded_sequence(torch.randn(4, 6, 4), LENGTHS, batch_first=True, enforce_sorted=False)
        outputs, (h, c) = lstm(packed)
    return rnn.pad_packed_sequence(outputs, batch_first=True)[0].numpy(), h.numpy(), c.numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("convention", ["auto", "torch"])
def test_named_states_that_are_exchanged_are_told_by_their_widths(kind: dict[str, Any], convention: str) -> None:
    """The narrow array is h, whatever it is called; under its own names the same run is clean."""
    outputs, h, c = packed_run(**kind)
    dump = {"output": outputs, "h_n": c, "c_n": h, "lengths": np.array(LENGTHS)}
    report = rnninspect.inspect(dump, convention=convention)
    assert [(f.rule, f.rows) for f in report.findings] == [("cell-hidden-swapped", [0, 1, 2, 3])]
    right = rnninspect.inspect(dump | {"h_n": h, "c_n": c}, convention=convention)
    assert right.verdict == "clean"
    assert not right.findings


@pytest.mark.parametrize("kind", KINDS)
def test_a_tuple_of_exchanged_states_is_told_alike(kind: dict[str, Any]) -> None:
    """(c, h) handed over as torch's (h, c) is the same mistake."""
    outputs, h, c = packed_run(**kind)
    report = rnninspect.inspect(outputs, (c, h), lengths=LENGTHS, convention="torch")
    assert [f.rule for f in report.findings] == ["cell-hidden-swapped"]
    assert rnninspect.inspect(outputs, (h, c), lengths=LENGTHS, convention="torch").verdict == "clean"


@pytest.mark.parametrize("kind", KINDS)
def test_fix_puts_each_state_under_its_own_name(kind: dict[str, Any]) -> None:
    """The arrays change their names, whole, and the dump is clean then."""
    outputs, h, c = packed_run(**kind)
    fixed = rnninspect.fix({"output": outputs, "h_n": c, "c_n": h, "lengths": np.array(LENGTHS)})
    assert fixed.report.verdict == "clean"
    assert fixed.changes[0].arrays == ("h_n", "c_n")
    assert np.array_equal(fixed.arrays["h_n"], h)
    assert np.array_equal(fixed.arrays["c_n"], c)


def test_a_second_mistake_beside_it_is_told_too() -> None:
    """h of other rows, under the name of c."""
    outputs, h, c = packed_run()
    dump = {"output": outputs, "h_n": c, "c_n": h[:, [1, 2, 3, 0]], "lengths": np.array(LENGTHS)}
    assert {f.rule for f in rnninspect.inspect(dump).findings} == {"cell-hidden-swapped", "rows-permuted"}


def test_a_narrow_c_that_is_no_step_of_the_outputs_is_not_taken_for_h() -> None:
    """Its width alone says nothing: a projection's h is in the outputs."""
    outputs, h, c = packed_run()
    with pytest.raises(ShapeError, match="fits no reading"):
        rnninspect.inspect(outputs, (c, h + np.float32(0.1)), lengths=LENGTHS, convention="torch")
