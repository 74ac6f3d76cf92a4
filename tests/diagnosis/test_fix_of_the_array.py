"""The fix is of the call that was made and of the array that is wrong, and a message names arguments to its reader."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.cli import call

LENGTHS = torch.tensor([8, 3, 6, 2, 5])


def run(kind: str, bidirectional: bool, packed: bool = True) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Outputs `[B, T, D*H]`, h and c of a batch-major layer."""
    torch.manual_seed(3)
    layer = getattr(nn, kind)(4, 6, batch_first=True, bidirectional=bidirectional)
    x = torch.randn(5, 8, 4)
    with torch.no_grad():
        if packed:
            out, state = layer(pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False))
            out = pad_packed_sequence(out, batch_first=True)[0]
        else:
            out, state = layer(x)
    return out, *(state if kind == "LSTM" else (state, None))


@pytest.mark.parametrize("packed", [True, False])
def test_the_call_is_made_as_it_was(packed: bool) -> None:
    """h and c exchanged behind a packed call: unpacked as the fix has it, packed again; else with x as it was."""
    out, h, c = run("LSTM", False, packed)
    lengths = LENGTHS if packed else torch.full((5,), 8)
    report = rnninspect.inspect(out, (c, h), lengths=lengths)
    assert [f.rule for f in report.findings] == ["cell-hidden-swapped"]
    assert f"= lstm({'packed' if packed else 'x'})" in report.findings[0].fix


def test_the_interleaved_array_is_taken_apart() -> None:
    """Interleaved is the state alone, or the outputs alone: the fix, done as it is written, makes the report clean."""
    out, h, _ = run("GRU", True)
    right = torch.cat([h[0], h[1]], 1).numpy()
    mixed = np.stack([h[0], h[1]], -1).reshape(5, -1)
    report = rnninspect.inspect(out, mixed, lengths=LENGTHS, bidirectional=True)
    assert [f.rule for f in report.findings] == ["directions-interleaved"]
    names = {"torch": torch, "h": torch.from_numpy(mixed), "output": out, "B": 5, "T": 8}
    exec(report.findings[0].fix, names)
    assert np.array_equal(names["h"], right)
    halves = np.stack(np.split(out.numpy(), 2, -1), -1).reshape(out.shape)
    report = rnninspect.inspect(halves, right, lengths=LENGTHS, bidirectional=True)
    assert [f.rule for f in report.findings] == ["directions-interleaved"]
    names = {"np": np, "h": right, "outputs": halves, "output": torch.from_numpy(halves), "B": 5, "T": 8}
    exec(report.findings[0].fix, names)
    assert np.array_equal(names["outputs"], out.numpy())


@pytest.mark.parametrize("column", [0, 2])
def test_one_column_of_all_rows_is_no_wrong_length(column: int) -> None:
    """The same step of every row is one or more before the end of some row, whatever its length: no length is wrong."""
    out, h, _ = run("GRU", True)
    state = torch.cat([out[:, column, :6], h[1]], 1)
    report = rnninspect.inspect(out, state, lengths=LENGTHS, bidirectional=True)
    assert (report.verdict, "off-by-one-length" in [f.rule for f in report.findings]) == ("findings", False)
    short = torch.cat([out[torch.arange(5), LENGTHS - 2, :6], h[1]], 1)
    report = rnninspect.inspect(out, short, lengths=LENGTHS, bidirectional=True)
    assert [f.rule for f in report.findings] == ["off-by-one-length"]


def test_a_message_names_arguments_as_its_reader_types_them(tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    """Zeroed after the padding was read: the message asks for inputs= in Python, and for --inputs on a command line."""
    out, h, _ = run("GRU", False, packed=False)
    zeroed = torch.where((torch.arange(8) < LENGTHS[:, None])[..., None], out, 0.0)
    report = rnninspect.inspect(zeroed, h[0], lengths=LENGTHS)
    message = next(f.message for f in report.findings if f.rule == "lengths-ignored")
    assert "inputs= and weights=" in message
    assert "\ufdd0" not in message
    np.savez(tmp_path / "dump.npz", output=zeroed.numpy(), h_n=h.numpy(), lengths=LENGTHS.numpy())
    call(["compare", str(tmp_path / "dump.npz"), "--format", "json"])
    written = capsys.readouterr().out
    assert "--inputs and --weights" in written
    assert "\ufdd0" not in written


@pytest.mark.parametrize("halved", ["index", "lengths"])
def test_what_was_divided_is_mended(halved: str) -> None:
    """States at half of each length: of outputs that end at the lengths the index was halved and h is gathered anew; of
    outputs that end at half of them the lengths were doubled, and they are mended."""
    lengths = torch.tensor([8, 4, 6, 2, 8])
    torch.manual_seed(3)
    layer, x = nn.LSTM(4, 6, batch_first=True), torch.randn(5, 8, 4)
    ran = lengths if halved == "index" else lengths // 2
    with torch.no_grad():
        out = layer(pack_padded_sequence(x, ran, batch_first=True, enforce_sorted=False))[0]
    out = pad_packed_sequence(out, batch_first=True, total_length=8)[0]
    rows = torch.arange(5)
    fixed = rnninspect.fix(
        out.numpy(), out[rows, lengths // 2 - 1].numpy(), lengths=lengths.numpy(), convention="torch"
    )
    assert [change.rule for change in fixed.changes] == ["lengths-rescaled"]
    assert fixed.report.verdict == "clean"
    assert np.array_equal(fixed.arrays["lengths"], ran)
    assert np.array_equal(fixed.arrays["final_state"], out[rows, ran - 1])
