"""What outputs show of where a run ended, in fix: lengths that are too small, and padding that is filled."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import rnninspect
from rnninspect.errors import UserError

torch = pytest.importorskip("torch")
LENGTHS = np.array([7, 4, 5, 3])


def packed_run(padding_value: float = 0.0, bidirectional: bool = False) -> dict[str, npt.NDArray[Any]]:
    """torch's packed run of a GRU of 5 units, as a dump: 4 rows of 7 steps."""
    torch.manual_seed(8)
    gru, rnn = torch.nn.GRU(3, 5, batch_first=True, bidirectional=bidirectional), torch.nn.utils.rnn
    with torch.no_grad():
        packed = rnn.pack_padded_sequence(
            torch.randn(4, 7, 3), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
        )
        outputs, h = gru(packed)
    padded = rnn.pad_packed_sequence(outputs, batch_first=True, padding_value=padding_value)[0]
    return {"output": padded.numpy(), "h_n": h.numpy(), "lengths": LENGTHS.copy()}


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("missing", [1, 2])
def test_lengths_that_the_run_shows_too_small_are_what_is_mended(missing: int, bidirectional: bool) -> None:
    """The states are those of the run's own last steps: earlier ones would be wrong."""
    dump = packed_run(bidirectional=bidirectional)
    short = dump | {"lengths": LENGTHS - missing}
    (finding,) = [f for f in rnninspect.inspect(short).findings if f.rule == "off-by-one-length"]
    assert finding.fix.startswith(f"lengths = lengths + {missing} ")
    assert "run again" in finding.fix
    with pytest.raises(UserError, match="these may be too small, or the run had others"):
        rnninspect.fix(short)
    fixed = rnninspect.fix(short, cause="off-by-one-length")
    assert fixed.report.verdict == "clean"
    assert all(np.array_equal(fixed.arrays[name], array) for name, array in dump.items())


def test_a_state_read_one_step_late_is_mended_where_the_run_went_on() -> None:
    """Outputs that were computed to the end tell nothing of the run's lengths: the states are put right there."""
    torch.manual_seed(8)
    with torch.no_grad():
        outputs = torch.nn.GRU(3, 5, batch_first=True)(torch.randn(4, 7, 3))[0].numpy()
    rows, lengths = np.arange(4), LENGTHS - 1
    dump = {"output": outputs, "h_n": outputs[rows, lengths][None].copy(), "lengths": lengths}
    (finding,) = [f for f in rnninspect.inspect(dump).findings if f.rule == "off-by-one-length"]
    assert finding.fix.startswith("last_index = lengths - 1  # not length:")
    fixed = rnninspect.fix(dump, cause="off-by-one-length")
    assert np.array_equal(fixed.arrays["h_n"][0], outputs[rows, lengths - 1])


@pytest.mark.parametrize("padding_value", [-1.0, 2.0, 0.0])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_right_run_with_a_padding_value_is_copied(padding_value: float, bidirectional: bool) -> None:
    """One number behind the real steps is padding, not a step that the run repeated."""
    dump = packed_run(padding_value, bidirectional)
    fixed = rnninspect.fix(dump)
    assert fixed.changes == ()
    assert all(np.array_equal(fixed.arrays[name], array) for name, array in dump.items())


def test_lengths_that_contradict_a_padding_value_are_refused() -> None:
    """The run's lengths are read off the padding value as off zeros."""
    dump = packed_run(-1.0)
    rows = np.arange(4)
    dump |= {"lengths": LENGTHS - 1, "h_n": dump["output"][rows, LENGTHS - 2][None].copy()}
    with pytest.raises(UserError, match="the run had other lengths"):
        rnninspect.fix(dump)


@pytest.mark.parametrize("row", [1, 3])
def test_a_single_padded_step_that_repeats_is_told(row: int) -> None:
    """A row of one step equals itself throughout, and torch's padding is zero; zero there is right."""
    torch.manual_seed(8)
    lengths = [2, 2, 2, 2]
    lengths[row], rnn = 1, torch.nn.utils.rnn
    with torch.no_grad():
        packed = rnn.pack_padded_sequence(
            torch.randn(4, 2, 3), torch.tensor(lengths), batch_first=True, enforce_sorted=False
        )
        outputs, h = torch.nn.GRU(3, 5, batch_first=True)(packed)
    right = rnn.pad_packed_sequence(outputs, batch_first=True)[0].numpy()
    repeated = right.copy()
    repeated[row, 1] = repeated[row, 0]
    about: dict[str, Any] = {"lengths": lengths, "convention": "torch", "batch_first": True}
    findings = rnninspect.inspect(repeated, h.numpy(), **about).findings
    assert [(f.rule, f.rows) for f in findings] == [("padding-repeats-last-output", [row])]
    assert not rnninspect.inspect(right, h.numpy(), **about).findings
    assert rnninspect.inspect(repeated, h.numpy()[0], **about | {"convention": "keras"}).verdict == "clean"
