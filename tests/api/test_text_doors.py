"""The doors of a print-out: inspect(text=…), a string given as outputs, convert, and the tolerance in the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.errors import UnknownNameError, UnreadableError, UserError
from tests.support.commandline import rnninspect as command
from tests.support.places import PRINTED, SAMPLES


def text(name: str) -> str:
    """One of the print-outs that people pasted."""
    return (PRINTED / f"{name}.txt").read_text("utf-8")


def test_inspect_reads_a_text() -> None:
    """What was printed is judged as the arrays are: right, wrong, and by the names of arrays in it."""
    assert rnninspect.inspect(text=text("torch-print"), lengths=[5, 2, 1]).ok
    wrong = rnninspect.inspect(text=text("torch-not-packed"), lengths=[5, 2, 1])
    assert "lengths-ignored" in {f.rule for f in wrong.findings}
    last = rnninspect.inspect(text=text("last-column"), final_state="last output", lengths=[2, 4, 2])
    assert "last-column-as-final-state" in {f.rule for f in last.findings}
    assert any("last output" in note for note in last.source["notes"])


def test_each_wrong_door_says_which_is_right() -> None:
    """A text or a path as outputs, a text beside outputs, an unknown name, no arrays: each is one sentence."""
    with pytest.raises(UserError, match=r"inspect\(text=…\)"):
        rnninspect.inspect(text("torch-print"))
    with pytest.raises(UserError, match="compare"):
        rnninspect.inspect("dump.npz")
    with pytest.raises(UserError, match="give one of them"):
        rnninspect.inspect(np.ones((1, 2, 1)), text="h = [[0.5]]")
    with pytest.raises(UnknownNameError, match="last_output"):
        rnninspect.inspect(text=text("last-column"), final_state="first output")
    with pytest.raises(UnreadableError, match="no arrays"):
        rnninspect.inspect(text="Version 1.14.0")


def test_two_precisions_match_within_what_is_said() -> None:
    """Outputs of four decimals beside a state of six: rounded alike, and the tolerance stands in the report."""
    report = rnninspect.inspect(text=text("numpy-mixed-decimals"), lengths=[2, 4, 2])
    assert report.ok
    assert report.tolerance["atol"] == pytest.approx(1.05e-4)
    assert any("rounded to 4 decimals" in note for note in report.notes)


def test_convert_saves_what_was_read(tmp_path: Path) -> None:
    """`convert question.txt -o dump.npz` writes the arrays under their names; another file needs --to."""
    done = command("convert", str(PRINTED / "question-page.txt"), "-o", str(tmp_path / "dump.npz"))
    assert done.code == 0
    with np.load(tmp_path / "dump.npz") as saved:
        assert set(saved) == {"lengths", "inputs", "hidden_states", "final_state.c", "final_state.h"}
        assert saved["lengths"].tolist() == [2, 4, 2]
    refused = command("convert", str(SAMPLES / "published.npz"), "-o", str(tmp_path / "other.npz"))
    assert (refused.code, "--to" in refused.err) == (2, True)


def test_elided_steps_refuse_lengths() -> None:
    """Where steps are missing, lengths cannot be counted on them: that is said, with how to print all."""
    with pytest.raises(UserError, match=r"elided.*set_printoptions"):
        rnninspect.inspect(text=text("torch-elided"), lengths=[9, 9, 9, 9, 9, 9])


def test_a_print_out_of_torch_gets_torchs_fix() -> None:
    """Arrays under anybody's names, printed as torch prints, are read as torch's, in a file and in `inspect`."""
    text = (
        "outputs = tensor([[[0.5, 0.1], [0.2, 0.3]], [[0.4, 0.6], [0.0, 0.0]]], grad_fn=<TransposeBackward0>)\n"
        "state = tensor([[0.2, 0.3], [0.0, 0.0]], grad_fn=<SelectBackward0>)\n"
    )
    report = rnninspect.inspect(text=text, lengths=[2, 1], batch_first=True)
    assert report.convention == "torch"
    assert "h_n[-1]" in report.findings[0].fix
    assert "# if these are" not in report.findings[0].fix


def _printed_run() -> tuple[str, str, str]:
    """The outputs, h and c of a right packed LSTM of lengths 5, 2, 3, as torch prints them."""
    torch.manual_seed(19)
    lstm, pack = torch.nn.LSTM(4, 3, batch_first=True), torch.nn.utils.rnn.pack_padded_sequence
    with torch.no_grad():
        packed, (h, c) = lstm(pack(torch.randn(3, 5, 4), torch.tensor([5, 2, 3]), True, enforce_sorted=False))
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    return str(outputs), str(h), str(c)


@pytest.mark.parametrize(
    "label", ["h, c:", "(h, c):", "(h_n, c_n) =", "[h, c]:", "hidden, cell:", "state_h, state_c =", "state (h, c):"]
)
def test_a_labelled_tuple_is_held_to_its_label(label: str) -> None:
    """A right tuple under `(h, c)` is clean; c printed where h is named is `cell-hidden-swapped`."""
    outputs, h, c = _printed_run()
    right = f"out: {outputs}\n{label} ({h}, {c})\nlengths: [5, 2, 3]"
    assert rnninspect.inspect(text=right).verdict == "clean"
    wrong = rnninspect.inspect(text=f"out: {outputs}\n{label} ({c}, {h})\nlengths: [5, 2, 3]")
    assert [finding.rule for finding in wrong.findings] == ["cell-hidden-swapped"]


def test_a_script_beside_its_output_is_read() -> None:
    """The two arrays below two prints are what these were of; a last column there is named."""
    outputs, h, c = _printed_run()
    code = "lengths = [5, 2, 3]\nout, (h, c) = lstm(packed)\nprint(out)\nprint(h)\n"
    for script in (code, f"```python\n{code}```\n", f"```python\n{code}```\n\n```\n"):
        assert rnninspect.inspect(text=f"{script}\n{outputs}\n{h}\n").verdict == "clean"
        wrong = rnninspect.inspect(text=f"{script}\n{outputs}\n{h.replace('0.', '0.0')}\n")
        assert wrong.verdict == "findings"
    assert rnninspect.inspect(text=f"{outputs} ({h}, {c})\nlengths: [5, 2, 3]").verdict == "clean"


def test_pasted_json_of_rows_is_read_as_its_file(tmp_path: Path) -> None:
    """One object a row, in lines or in a list, padded or not: the answer is that of a file of the same bytes, right and
    wrong."""
    rng = np.random.default_rng(2)
    outputs, lengths = rng.normal(size=(3, 4, 2)), [4, 2, 3]
    outputs[np.arange(4) >= np.array(lengths)[:, None]] = 0
    for at, verdict in ((np.array(lengths) - 1, "clean"), (np.full(3, 3), "findings")):
        rows = [
            {"outputs": outputs[b].tolist(), "h": outputs[b, at[b]].tolist(), "length": lengths[b]} for b in range(3)
        ]
        for name, pasted in (("a.ndjson", "\n".join(map(json.dumps, rows))), ("a.json", json.dumps(rows, indent=1))):
            (tmp_path / name).write_text(pasted)
            assert rnninspect.compare(tmp_path / name).verdict == verdict
            assert rnninspect.inspect(text=pasted).verdict == verdict
