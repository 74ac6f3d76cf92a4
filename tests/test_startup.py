"""A start brings in what the command needs and no more, and ends as soon as its work is done."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import startup
from tests.support.places import SAMPLES

LISTS = """
import sys
from pathlib import Path
from rnninspect.cli import call
code = call({arguments!r})
sys.stdout.flush()
print(code, *sys.modules, file=sys.stderr)
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter's run of `code`, nothing on stdin."""
    return subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@functools.cache
def brought_by_numpy() -> set[str]:
    """The modules that `import numpy` alone brings: before numpy 2 numpy.ma and more."""
    return set(python("import sys, numpy; print(*sys.modules)").stdout.split())


def imported(*arguments: str) -> set[str]:
    """The modules that a process has imported once the command is done."""
    code, *modules = python(LISTS.format(arguments=list(arguments))).stderr.split()
    assert code == "0"
    return set(modules)


# Each of these is asked for by an option, by a file or by a library's caller, never by `compare` of a dump alone.
HEAVY = {
    "torch",
    "jsonschema",
    "h5py",
    "onnx",
    "onnxruntime",
    "msgpack",
    "safetensors",
    "dask",
    "fsspec",
    "jinja2",
    "numpy.ma",
}
OTHERS = {
    "rnninspect.formats.onnx",
    "rnninspect.report.renderers.html",
    "rnninspect.api.weights_file",
    "rnninspect.api.live",
    "tempfile",
}


@pytest.mark.parametrize(
    ("form", "needed", "other"),
    [("table", "rich.text", "rich.console"), ("json", "json", "rnninspect.report.renderers.table")],
)
def test_compare_imports_what_it_needs(form: str, needed: str, other: str) -> None:
    """Of formats and renderers, only those of this file and this result; no framework, no extra, no numpy.ma."""
    modules = imported("compare", str(SAMPLES / "published.npz"), "-q", "--format", form)
    assert {needed, "rnninspect.formats.npz", "rnninspect.diagnosis.rules.lengths_ignored"} <= modules
    assert not modules & (HEAVY | OTHERS | {other}) - brought_by_numpy()
    without = ("rnninspect.diagnosis.rules.weights", "rnninspect.diagnosis.rules.two_directions")
    assert not [module for module in modules if module.startswith(without)]


def test_help_imports_no_command() -> None:
    """The list of commands needs neither numpy nor rich nor any command's file."""
    modules = imported("--help")
    assert "click" in modules
    assert not modules & {"numpy", "rich", "rnninspect.api.inspect", "rnninspect.cli.run", "rnninspect.cli.compare"}


def test_a_format_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    """The file that a suffix names is tried first, but bytes decide: an .npz called .npy is still read."""
    wrong = tmp_path / "dump.npy"
    with open(SAMPLES / "published.npz", "rb") as source, open(wrong, "wb") as target:
        target.write(source.read())
    assert "rnninspect.formats.onnx" in imported("compare", str(wrong), "-q")


MAIN = """
import atexit, sys
import rnninspect.cli as cli
def call(arguments):
    atexit.register(print, "cleaned up")
    print("result")
    {body}
cli.call = call
atexit.register(print, "registered before")
cli.main([])
"""


def test_leaving_at_once_leaves_nothing_out() -> None:
    """What was registered for the exit runs, what was printed arrives, and the exit code is the command's."""
    done = python(MAIN.format(body="return 3"))
    assert (done.returncode, done.stdout, done.stderr) == (3, "result\ncleaned up\n", "")


def test_a_bug_keeps_its_traceback() -> None:
    """Only a command that came to its end is left at once; a bug ends as any program's does."""
    done = python(MAIN.format(body="raise ZeroDivisionError"))
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["result", "cleaned up", "registered before"]
    assert done.stderr.rstrip().endswith("ZeroDivisionError")


def test_the_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The start-up benchmark prints a ratio for each command it is given."""
    startup.main(["--repeat", "1", "--only=--help"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["imports", "--help"]
