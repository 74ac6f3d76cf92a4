"""Nothing lost, nothing left behind, no traceback: what is written, what is killed, and what fails midway."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect.cli import call
from rnninspect.diagnosis import rules as registry
from rnninspect.errors import UnreadableError
from rnninspect.formats import atomic_write, read_arrays
from rnninspect.formats.atomic_write import write_whole
from rnninspect.formats.witness import unchanged
from tests.support.commandline import rnninspect
from tests.support.places import ROOT

DUMP = ROOT / "sample_data/published.npz"
WEIGHTS = ROOT / "sample_data/weights.npz"


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two dumps, a file of weights and a batch, in which the commands run."""
    for name, source in (
        ("a.npz", DUMP),
        ("b.npz", DUMP),
        ("w.npz", WEIGHTS),
        ("x.npy", ROOT / "sample_data/batch.npy"),
    ):
        shutil.copy(source, tmp_path / name)
    (tmp_path / "c.npz").symlink_to("a.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        "compare a.npz b.npz --format ndjson -o a.npz",
        "compare a.npz b.npz --format ndjson -o ./a.npz",
        "compare a.npz --format json -o c.npz",
        "compare a.npz#outputs --state a.npz#final_state.h --format json -o a.npz",
        "compare a.npz --weights w.npz -o w.npz --format json",
        "compare a.npz --against b.npz -o b.npz --format json",
        "compare . -o a.npz --format ndjson",
        "compare *.npz -o b.npz --format ndjson",
        "convert w.npz -o w.npz --to torch",
        "run x.npy --lengths 3,1,2 --save s.npz -o s.npz --format json",
        "run x.npy --lengths 3,1,2 --save x.npy",
        "show a.npz -o a.npz --format json",
    ],
)
def test_what_is_read_is_not_overwritten(two: Path, arguments: str) -> None:
    """An output that is an input, by whatever name, or another output, is refused, and every file stays as it was."""
    before = {path.name: path.read_bytes() for path in two.iterdir()}
    done = rnninspect(*arguments.split())
    assert done.code == 2
    assert "name another" in done.err
    assert len(done.err.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in two.iterdir()} == before


def test_streams_may_be_both(two: Path) -> None:
    """The null device, and stdout, can be written twice."""
    assert rnninspect("run", "x.npy", "--lengths", "3,1,2", "--save", "/dev/null", "-o", "/dev/null").code == 0
    assert rnninspect("compare", "a.npz", "b.npz", "-o", "/dev/null").code == 0


def interrupted(*_: object) -> None:
    """Ctrl-C, before anything is judged."""
    raise KeyboardInterrupt


def test_old_results_stay_until_the_first_is_there(two: Path) -> None:
    """`-o` of many dumps empties nothing before a dump was judged; what cannot be written is said before any is."""
    old = two / "old.ndjson"
    old.write_text("old\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rnninspect.cli.fleet.judge_one", interrupted)
        assert rnninspect("compare", "a.npz", "b.npz", "--format", "ndjson", "-o", old).code == 130
    assert old.read_text() == "old\n"
    assert rnninspect("compare", "a.npz", "b.npz", "--format", "ndjson", "-o", old).code == 0
    assert old.read_text().count('"kind":"summary"') == 2
    done = rnninspect("compare", "a.npz", "b.npz", "--format", "ndjson", "-o", "none/x.ndjson")
    assert (done.code, done.err) == (2, "rnninspect: cannot write none/x.ndjson: no such folder\n")


KILLED = """
import os, signal, sys
from rnninspect.formats.atomic_write import write_whole
def write(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
write_whole(sys.argv[1], write)
"""


def test_killed_runs_leave_nothing_after_the_next(tmp_path: Path) -> None:
    """The part that a killed run left is gone after the next one; one that is being written is left alone."""
    target = tmp_path / "x.bin"
    subprocess.run([sys.executable, "-c", KILLED, target], cwd=ROOT, check=False)
    assert len(list(tmp_path.iterdir())) == 1

    def write(file: Any) -> None:
        file.write(b"outer")
        write_whole(str(target), lambda inner: inner.write(b"inner"))

    write_whole(str(target), write)
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]
    assert target.read_bytes() == b"outer"


def test_what_is_written_is_on_disk_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync comes before the rename; a failing write keeps its reason though the part cannot be removed (Windows)."""
    done: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: done.append("fsync"))
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, target: [done.append("replace"), replace(self, target)])
    write_whole(str(tmp_path / "x"), lambda file: file.write(b"x"))
    assert done == ["fsync", "replace"]

    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "in use")

    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(UnreadableError, match="No space left on device"):
        write_whole(str(tmp_path / "y"), full)


def test_no_open_file_is_replaced(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--resume` has closed the results file when it puts a new one in its place, as Windows demands."""
    results = two / "r.ndjson"
    assert rnninspect("compare", "a.npz", "b.npz", "--format", "ndjson", "-o", results).code == 0
    os.utime("a.npz", (1, 1))
    open_files: list[list[str]] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        links = (f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd"))
        open_files.append([os.readlink(link) for link in links if os.path.exists(link)])
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    assert rnninspect("compare", "a.npz", "b.npz", "--format", "ndjson", "-o", results, "--resume").code == 0
    assert len(open_files) == 1
    assert not [name for name in open_files[0] if name.endswith((".ndjson", atomic_write.PART))]


@pytest.mark.parametrize(
    "line",
    [
        '{"kind":"summary"}',
        '{"kind":"summary","source":1}',
        '{"kind":"summary","source":{"path":[]},"verdict":"clean"}',
        '{"kind":"summary","source":{"path":"x"},"verdict":[]}',
        '{"kind":"summary"' + ":[" * 20000,
        '{"kind":"error"}x',
        '{"kind":"finding","rule":1,"severity":"error"}',
        '{"kind":"finding","rule":"x","severity":"bad"}',
        '{"kind":"finding"}',
    ],
)
def test_resume_onto_lines_of_another_shape(two: Path, line: str) -> None:
    """What is no result is refused in one line, and stays as it is."""
    results = two / "r.ndjson"
    results.write_text(line + "\n")
    done = rnninspect("compare", "a.npz", "b.npz", "--format", "ndjson", "-o", results, "--resume")
    assert done.code == 2
    assert "holds lines that are no results" in done.err
    assert len(done.err.splitlines()) == 1
    assert results.read_text() == line + "\n"


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    """A file that was written to while it was read is no dump; one that was replaced whole is the one that was read."""
    path = tmp_path / "a.npz"
    shutil.copy(DUMP, path)

    def read_as_it_grows() -> None:
        with unchanged(), path.open("ab") as file:
            read_arrays(path)
            file.write(b"more")
            file.flush()

    with pytest.raises(UnreadableError, match=r"a\.npz: it was changed while it was read"):
        read_as_it_grows()
    shutil.copy(DUMP, path)
    with unchanged():
        read_arrays(path)
        shutil.copy(DUMP, tmp_path / "b.npz")
        os.replace(tmp_path / "b.npz", path)


SHORTENED = """
import os, sys
from rnninspect.cli import compare, main
from rnninspect.measure import scan
def shorten(*_):
    os.truncate(sys.argv[1], 100)
compare.inputs.note_reading = lambda *_: None
real = scan.scan
def scan_of_less(outputs, final):
    shorten()
    return real(outputs, final)
import rnninspect.measure.facts as facts
facts.scan = scan_of_less
main(["compare", sys.argv[1], "-q"])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="no SIGBUS here")
def test_a_mapped_file_that_becomes_shorter(tmp_path: Path) -> None:
    """The process survives SIGBUS: one line that names the file, exit 2."""
    outputs = np.random.default_rng(0).normal(size=(8, 200, 256))
    np.savez(tmp_path / "a.npz", outputs=outputs, h=outputs[:, -1])
    done = subprocess.run(
        [sys.executable, "-c", SHORTENED, tmp_path / "a.npz"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"rnninspect: {tmp_path}/a.npz became shorter while it was read: compare it when it is written whole\n"
    )


def _with_fault(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    class Faulty(type(registry.rules()[name])):  # type: ignore[misc]
        def check(self, case: Any) -> Iterator[Any]:
            yield from ()
            raise KeyError("no such thing")

    faulty = {**registry.rules(), name: Faulty()}
    monkeypatch.setattr(registry, "rules", lambda: faulty)


def test_a_fault_of_one_rule_loses_no_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The rule is listed as failed, the others' findings stay, exit 2; --traceback shows where."""
    sample = ROOT / "sample_data/printed.txt"
    arguments = ("compare", sample, "--lengths", "3,1,2", "--format", "json", "-q")
    right = rnninspect(*arguments).json
    assert [f["rule"] for f in right["findings"]] == ["last-column-as-final-state"]
    _with_fault(monkeypatch, "zero-length-row")
    done = rnninspect(*arguments)
    assert (done.code, done.err) == (2, "")
    assert done.json["findings"] == right["findings"]
    reasons = {r["rule"]: r["reason"] for r in done.json["not_checked"]}
    assert reasons["zero-length-row"].startswith("failed: KeyError: 'no such thing'")
    assert any("zero-length-row failed" in note for note in done.json["notes"])
    assert rnninspect(*arguments, "--exit-zero").code == 2
    shown = rnninspect(*arguments, "--traceback")
    assert "Traceback" in shown.err
    assert "no such thing" in shown.err
    assert "zero-length-row" in rnninspect("compare", sample, "--lengths", "3,1,2", "-q").out
    many = rnninspect("compare", DUMP, sample, "--format", "ndjson", "-q")
    assert many.code == 2


def test_a_fault_elsewhere_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the file and how to see the traceback; with --traceback it is raised. A lost library is said so."""

    def fault(*_: Any) -> None:
        raise ZeroDivisionError("by nought")

    def lost(*_: Any) -> None:
        raise ImportError("libtorch.so: failed to map segment")

    with monkeypatch.context() as patch:
        patch.setattr("rnninspect.api.inspect.compose", fault)
        done = rnninspect("compare", DUMP, "-q")
        assert done.code == 2
        assert done.err == (
            f"rnninspect: {DUMP}: unexpected ZeroDivisionError: by nought "
            "(a fault of rnninspect's own: --traceback shows where)\n"
        )
        with pytest.raises(ZeroDivisionError):
            call(["compare", str(DUMP), "-q", "--traceback"])
    monkeypatch.setattr("rnninspect.api.inspect.compose", lost)
    done = rnninspect("compare", DUMP, "-q")
    assert (done.code, "a package cannot be loaded (libtorch.so" in done.err) == (2, True)


@pytest.mark.parametrize("format", ["html", "svg", "markdown", "junit", "json"])
def test_declared_formats_are_utf8_everywhere(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a stdout of another encoding (Windows' redirection) they are the bytes that they are on one of UTF-8."""
    expected = rnninspect("compare", DUMP, "--format", format, "-q").raw
    for encoding in ("cp1252", "ascii", "shift_jis"):
        out = io.TextIOWrapper(io.BytesIO(), encoding)
        monkeypatch.setattr(sys, "stdout", out)
        call(["compare", str(DUMP), "--format", format, "-q"])
        assert out.buffer.getvalue() == expected  # type: ignore[attr-defined]


def test_no_warning_of_numpy(tmp_path: Path) -> None:
    """Numbers that overflow, are NaN or infinite everywhere, or near the largest, put nothing on stderr."""
    for i, values in enumerate((np.nan, np.inf, 3e38, -0.0, 1e-45)):
        outputs = np.full((3, 4, 5), values, np.float32)
        outputs[1, 1] *= -1
        np.savez(tmp_path / f"{i}.npz", outputs=outputs, h=outputs[:, 0], inputs=outputs, lengths=[1, 2, 0])
    dumps = sorted(tmp_path.glob("*.npz"))
    for arguments in (
        dumps,
        [*dumps, "--rtol", "1e300", "--atol", "1e308"],
        *([dump, "--against", dumps[0]] for dump in dumps[2:]),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "rnninspect", "compare", *arguments, "-q"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stderr == "", done.stderr


def test_a_file_that_hangs_does_not_stall_the_rest(tmp_path: Path) -> None:
    """In the middle of many dumps it is reported by its name after its seconds, and the others are judged."""
    shutil.copy(DUMP, tmp_path / "a.npz")
    shutil.copy(DUMP, tmp_path / "c.npz")
    os.mkfifo(tmp_path / "b.npz")
    for jobs in ("1", "2"):
        began = time.monotonic()
        names = [tmp_path / f"{letter}.npz" for letter in "abc"]
        done = rnninspect("compare", *names, "--format", "ndjson", "--allow", "seconds=1", "--jobs", jobs, "-q")
        assert time.monotonic() - began < 15
        assert done.code == 2
        last = [line for line in map(json.loads, done.out.splitlines()) if line["kind"] in ("summary", "error")]
        assert [(line["kind"], Path(line["source"]["path"]).name) for line in last] == [
            ("summary", "a.npz"), ("error", "b.npz"), ("summary", "c.npz"),
        ]  # fmt: skip
