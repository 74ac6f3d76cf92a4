"""Chunked and stateful runs: a chunk goes on from where the one before ended, or it is said not to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.cli import call
from rnninspect.errors import UserError

ROWS, STEPS, FEATURES, UNITS = 4, 9, 3, 5
CUT = 5  # the first chunk is full for every row, as a stateful layer needs it
LENGTHS = np.array([4, 2, 1, 3])  # of the second chunk


@pytest.fixture(params=["LSTM", "GRU"])
def cell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def chunks(tmp_path: Path, cell: str) -> dict[str, Any]:
    """A torch layer of two layers run in two chunks: the second from where the first ended, and from zeros."""
    torch.manual_seed(3)
    layer = getattr(torch.nn, cell)(FEATURES, UNITS, num_layers=2, batch_first=True)
    x = torch.randn(ROWS, STEPS, FEATURES)

    def run(inputs: torch.Tensor, lengths: np.ndarray, state: Any) -> tuple[dict[str, np.ndarray], Any]:
        pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
        packed = pack(inputs, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        with torch.no_grad():
            output, after = layer(packed, state)
        padded, _ = pad(output, batch_first=True, total_length=inputs.shape[1])
        states = dict(zip(("h_n", "c_n"), after if cell == "LSTM" else (after,), strict=False))
        dump = {"output": padded, **states, "inputs": inputs}
        return {name: a.numpy() for name, a in dump.items()} | {"lengths": lengths}, after

    first, state = run(x[:, :CUT], np.full(ROWS, CUT), None)
    second, _ = run(x[:, CUT:], LENGTHS, state)
    reset, _ = run(x[:, CUT:], LENGTHS, None)
    weights = {name: p.detach().numpy() for name, p in layer.named_parameters()}
    for name, arrays in (("first", first), ("second", second), ("reset", reset), ("weights", weights)):
        np.savez(tmp_path / f"{name}.npz", **arrays)
    return {"path": tmp_path, "first": first, "second": second, "reset": reset}


def compare(chunks: dict[str, Any], dump: str, *more: str) -> dict[str, Any]:
    """The report of `compare --previous`, as JSON."""
    path = chunks["path"]
    out = path / "report.json"
    arguments = ["compare", str(path / f"{dump}.npz"), "--convention", "torch", "--layers", "2", "-q"]
    call([*arguments, "--previous", str(path / "first.npz"), "--format", "json", "-o", str(out), *more])
    report: dict[str, Any] = json.loads(out.read_text())
    return report


def test_a_run_goes_on_where_the_chunk_before_ended(chunks: dict[str, Any], cell: str) -> None:
    """`run --previous` gives what torch gave from the state of its first chunk, in every layer."""
    path = chunks["path"]
    np.savez(path / "batch.npz", inputs=chunks["second"]["inputs"], lengths=LENGTHS)
    arguments = ["run", str(path / "batch.npz"), "--convention", "torch", "--cell", cell.lower(), "--layers", "2"]
    arguments += ["--weights", str(path / "weights.npz"), "--save", str(path / "saved.npz"), "-q", "--exit-zero"]
    for previous, name in ((["--previous", str(path / "first.npz")], "second"), ([], "reset")):
        assert call([*arguments, *previous, "--format", "ndjson", "-o", str(path / "out")]) == 0
        with np.load(path / "saved.npz") as saved:
            for key in ("output", "h_n"):
                np.testing.assert_allclose(saved[key], chunks[name][key], rtol=0, atol=1e-6)
    assert np.abs(chunks["second"]["output"] - chunks["reset"]["output"]).max() > 0.01, "the state matters"


def test_the_weights_tell_whether_it_went_on(chunks: dict[str, Any], cell: str) -> None:
    """With inputs and weights: the second chunk is clean, one that began from zeros is not, and that is said."""
    weights = ["--weights", str(chunks["path"] / "weights.npz")]
    weights += ["--select", "stale-initial-state"] if cell == "LSTM" else []  # all rules take an LSTM's time
    assert compare(chunks, "second", *weights)["verdict"] == "clean"
    (finding,) = compare(chunks, "reset", *weights)["findings"]
    assert finding["rule"] == "stale-initial-state"
    assert finding["fix"].startswith("output, state = layer(x, state)  # the state that the chunk before ended")
    assert "not what the weights give from the final state of the previous chunk" in finding["message"]
    assert "from zeros" in finding["message"]
    assert finding["rows"] == [0, 1, 2, 3]


def test_without_weights_it_cannot_be_told(chunks: dict[str, Any]) -> None:
    """A dump that names no initial state, and no weights: not checked, with the reason, and not called clean."""
    report = compare(chunks, "reset")
    assert report["verdict"] == "unjudged"
    assert "the final state of the previous chunk" in report["untested"]
    skipped = {n["rule"]: n["reason"] for n in report["not_checked"]}
    assert skipped["stale-initial-state"] == "needs weights"


@pytest.mark.parametrize(
    ("change", "rows", "message"),
    [
        (lambda h: h, [], ""),
        (lambda h: 0 * h, [0, 1, 2, 3], "is zeros"),
        (lambda h: h[:, [1, 0, 2, 3]], [0, 1], "is another row's"),
        (lambda h: h + np.eye(ROWS)[3][:, None].astype(h.dtype), [3], "is another state"),
    ],
)
def test_a_named_initial_state_is_compared(chunks: dict[str, Any], change: Any, rows: list[int], message: str) -> None:
    """A dump that names its initial state needs no weights: each row that started elsewhere is named, and where."""
    initial = {"h_0": change(chunks["first"]["h_n"])}
    if "c_n" in chunks["first"]:
        initial["c_0"] = chunks["first"]["c_n"]
    np.savez(chunks["path"] / "named.npz", **chunks["second"], **initial)
    findings = compare(chunks, "named")["findings"]
    assert sorted({row for f in findings for row in f["rows"]}) == rows
    assert all(f["rule"] == "stale-initial-state" and message in f["message"] for f in findings)


def test_a_chunk_of_another_shape_is_refused(chunks: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Other rows, or no state at all: one line, exit 2."""
    path = chunks["path"]
    fewer = {k: v[:3] if k in ("output", "inputs", "lengths") else v[:, :3] for k, v in chunks["first"].items()}
    np.savez(path / "fewer.npz", **fewer)
    arguments = ["compare", str(path / "second.npz"), "--convention", "torch", "--layers", "2", "-q", "--previous"]
    assert call([*arguments, str(path / "fewer.npz")]) == 2
    error = capsys.readouterr().err
    assert "layer 0 forward ended in h (3, 5), but the dump's is (4, 5): rows and units must agree" in error
    assert error.count("\n") == 1
    batch = str(path / "second.npz")
    run = ["run", batch, "--initial-state", batch, "--previous", str(path / "first.npz"), "-q"]
    assert call(run) == 2
    assert "--initial-state and --previous both say where the run starts" in capsys.readouterr().err


@pytest.mark.parametrize("dump", ["second", "reset"])
@pytest.mark.parametrize("weighed", [False, True])
def test_a_program_gets_the_report_of_the_command(chunks: dict[str, Any], dump: str, weighed: bool) -> None:
    """`rnninspect.compare(previous=…)` reports what `compare --previous` does, with and without weights."""
    path = chunks["path"]
    weights = path / "weights.npz" if weighed else None
    report = rnninspect.compare(
        path / f"{dump}.npz", previous=path / "first.npz", weights=weights, convention="torch", layers=2
    )
    more = ["--weights", str(weights)] if weighed else []
    assert report.to_dict() == compare(chunks, dump, *more)
    assert ("stale-initial-state" in {f.rule for f in report.findings}) == (weighed and dump == "reset")


def test_a_program_is_told_which_argument_is_wrong(chunks: dict[str, Any], tmp_path: Path) -> None:
    """A chunk before that lacks a state, or is not there, is named as the keyword that gave it."""
    path = chunks["path"]
    np.savez(tmp_path / "bare.npz", output=chunks["first"]["output"], lengths=chunks["first"]["lengths"])
    for name in ("bare.npz", "missing.npz"):
        with pytest.raises(UserError) as raised:
            rnninspect.compare(path / "second.npz", previous=tmp_path / name, convention="torch", layers=2)
        assert str(raised.value).startswith(f"previous={str(tmp_path / name)!r}: ")
        assert "--" not in str(raised.value)
