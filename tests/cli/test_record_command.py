"""`rnninspect record`: the script runs as under python, and what its layers did is reported when it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnninspect.cli import call
from rnninspect.cli.record import command
from rnninspect.recording.base import LIMIT

MODEL = """
import sys
import torch
from helper import LENGTHS

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.LSTM(4, 3, batch_first=True)

    def forward(self, x, lengths):
        if "packed" in sys.argv:
            pack = torch.nn.utils.rnn.pack_padded_sequence
            x = pack(x, lengths, batch_first=True, enforce_sorted=False)
        return self.rnn(x)

print(__name__, sys.argv[1:])
for _ in range(3):
    Model()(torch.randn(3, 5, 4), torch.tensor(LENGTHS))
if "exit" in sys.argv:
    sys.exit(7)
if "text" in sys.argv:
    sys.exit("a text")
if "raise" in sys.argv:
    raise ValueError("its own")
if "interrupt" in sys.argv:
    raise KeyboardInterrupt
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script with a module of its own beside it, run from elsewhere."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "train.py").write_text(MODEL)
    (tmp_path / "project" / "helper.py").write_text("LENGTHS = [3, 5, 2]\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path  # type: ignore[misc]
    sys.modules.pop("helper", None)


def record(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = call(["record", *arguments])
    return code, *capfd.readouterr()


@pytest.mark.usefixtures("folder")
def test_the_script_has_stdout_and_the_report_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """The script sees its own arguments and prints as ever; findings are on stderr, and are exit code 1."""
    arguments = ("--lengths", "lengths", "--format", "findings", "project/train.py", "--epochs", "3")
    code, out, err = record(capfd, *arguments)
    assert out == "__main__ ['--epochs', '3']\n"
    assert code == 1
    assert "lengths-ignored" in err
    assert "rnn  lengths-ignored in 3 of 3 calls" in err  # three models, one call of each
    assert err.count("record  rnn") == 1  # the first fault in full


@pytest.mark.usefixtures("folder")
def test_what_is_right_exits_zero(capfd: pytest.CaptureFixture[str]) -> None:
    """Packed sequences bring their lengths; a clean report is exit code 0; a table is the format without others."""
    code, _, err = record(capfd, "project/train.py", "packed")
    assert code == 0
    assert "clean" in err
    assert "1 layer clean (3 calls): rnn" in err


@pytest.mark.parametrize(
    ("way", "expected", "phrase"),
    [("exit", 7, ""), ("text", 1, "a text"), ("raise", 1, "ValueError: its own"), ("interrupt", 130, "")],
)
@pytest.mark.usefixtures("folder")
def test_a_script_that_fails_keeps_its_exit_code(
    capfd: pytest.CaptureFixture[str], way: str, expected: int, phrase: str
) -> None:
    """sys.exit, an exception and an interruption are the script's own; what was recorded until then is reported."""
    code, _, err = record(capfd, "--format", "findings", "project/train.py", "packed", way)
    assert code == expected
    assert phrase in err
    assert "clean" in err
    assert "cli/record.py" not in err
    assert "runpy" not in err


def test_the_report_in_a_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """-o takes the report away from stderr; several reports are lines of ndjson, or one JSON document."""
    done = record(capfd, "--format", "ndjson", "-o", "report.ndjson", "project/train.py", "packed")
    assert done == (0, "__main__ ['packed']\n", "")
    lines = [json.loads(line) for line in (folder / "report.ndjson").read_text().splitlines()]
    assert sum(line["kind"] == "summary" for line in lines) == 3
    assert {line["source"]["name"] for line in lines} == {"rnn"}
    code, _, err = record(capfd, "--format", "json", "-o", "report.json", "project/train.py", "packed")
    assert (code, err) == (0, "")
    assert len(json.loads((folder / "report.json").read_text())["reports"]) == 3
    code, _, err = record(capfd, "--format", "svg", "-o", "report.svg", "project/train.py", "packed")
    assert code == 2
    assert "3 reports, and a document of format svg holds one" in err
    assert not (folder / "report.svg").exists()


def test_modules_are_run_by_name(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """-m runs a module from the working folder, as python -m does; sys.argv and sys.path are put back."""
    monkeypatch.chdir(folder / "project")
    before = list(sys.argv), list(sys.path)
    code, out, _ = record(capfd, "-m", "train", "packed")
    assert (code, out) == (0, "__main__ ['packed']\n")
    assert (sys.argv, sys.path) == before


def test_nothing_to_record(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A script without recurrent layers cannot be judged; one that is not there is said in one line."""
    (folder / "plain.py").write_text("print('done')")
    code, out, err = record(capfd, "plain.py")
    assert (code, out) == (2, "done\n")
    assert "called no nn.LSTM" in err
    assert record(capfd, "--exit-zero", "-q", "plain.py") == (0, "done\n", "")
    code, _, err = record(capfd, "missing.py")
    assert code == 2
    assert err == "rnninspect: missing.py: no such file; name a Python script, or a module with -m\n"
    code, _, err = record(capfd, "-m", "no_such_module")
    assert code == 1
    assert "no_such_module" in err


def test_in_a_process_of_its_own(folder: Path) -> None:
    """From a shell: stdout is the script's to the byte, the exit code 1 says findings."""
    done = subprocess.run(
        [sys.executable, "-m", "rnninspect", "record", "--lengths", "lengths", "project/train.py", "a b"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == "__main__ ['a b']\n"
    assert "lengths-ignored" in done.stderr


LAST_IS_WRONG = """
import torch
torch.manual_seed(0)
layer = torch.nn.GRU(3, 4, batch_first=True)
pack = torch.nn.utils.rnn.pack_padded_sequence

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = layer

    def forward(self, x, lengths):
        return self.rnn(pack(x, lengths, batch_first=True, enforce_sorted=False) if lengths[0] < 5 else x)

model = Model()
for first in (2, 3, 5):
    model(torch.randn(2, 5, 3), torch.tensor([first, 4]))
"""


def test_a_run_is_not_clean_by_its_first_call(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As many calls are kept as in Python; where some were not, the last line says of how many the answer speaks."""
    (folder / "last.py").write_text(LAST_IS_WRONG)
    code, _, err = record(capfd, "--lengths", "lengths", "last.py")
    assert (code, err.splitlines()[0]) == (1, "3 calls of 1 layer: 1 with findings, 2 clean")
    assert "calls were judged" not in err
    code, _, err = record(capfd, "--lengths", "lengths", "--limit", "2", "last.py")
    assert (code, err.splitlines()[0]) == (0, "2 calls of 1 layer: 2 clean")
    assert err.splitlines()[-1] == "rnninspect: 2 of 3 calls were judged: a larger --limit keeps more"
    assert next(p for p in command.params if p.name == "limit").default == LIMIT
