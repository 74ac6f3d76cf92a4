"""The commands as people type them: results, streams, exit codes, pipes, colours and locales."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnninspect.cli import COMMANDS
from rnninspect.cli.output import ascii_only
from rnninspect.report.schema import schema
from tests.support.commandline import Done, rnninspect, valid
from tests.support.places import SAMPLES

ROOT = SAMPLES.parent
BATCH, DUMP, WEIGHTS = SAMPLES / "batch.npy", SAMPLES / "published.npz", SAMPLES / "weights.npz"
RUN = ("run", BATCH, "--lengths", "3,1,2")


def arrays(raw: bytes, folder: Path) -> dict[str, np.ndarray]:
    (folder / "dump.npz").write_bytes(raw)
    with np.load(folder / "dump.npz") as dump:
        return dict(dump)


def rows(done: Done) -> list[list[int]]:
    """The matching steps of each row of the first track."""
    return [row["steps"] for row in done.json["tracks"][0]["rows"]]


# --- run


def side_by_side(measured: dict[str, np.ndarray], published: dict[str, np.ndarray], rtol: float) -> str:
    """Every number that differs by more than `rtol`, beside the published one; empty where none does."""
    lines = []
    for name in ("outputs", "final_state.h", "final_state.c"):
        for place in np.ndindex(published[name].shape):
            ours, theirs = float(measured[name][place]), float(published[name][place])
            if not abs(ours - theirs) <= rtol * abs(theirs):
                lines.append(f"{name}{list(place)}: {ours:.9g}, published {theirs:.9g}")
    return "\n".join(lines)


def test_run_reproduces_the_published_table(tmp_path: Path) -> None:
    """The published outputs and states come out to a relative 2e-6, zeros exactly; what does not is shown beside it."""
    saved = arrays(rnninspect(*RUN, "--weights", WEIGHTS, "--save", "-", "-q").raw, tmp_path)
    published = dict(np.load(DUMP))
    assert saved["outputs"].shape == (3, 3, 4)
    difference = side_by_side(saved, published, 2e-6)
    assert not difference, f"\n{difference}"


def test_a_wrong_table_is_seen() -> None:
    """The comparison can fail, and shows both numbers."""
    published = dict(np.load(DUMP))
    wrong = {name: array.astype(np.float64) for name, array in published.items()}
    wrong["outputs"][0, 2, 1] *= 1 + 3e-6
    wrong["outputs"][1, 2, 3] = 1e-30  # zero in the table
    shown = side_by_side(wrong, published, 2e-6).splitlines()
    assert shown == ["outputs[0, 2, 1]: 0.350368836, published 0.350367785", "outputs[1, 2, 3]: 1e-30, published 0"]


def test_run_takes_lengths_from_wherever_they_are(tmp_path: Path) -> None:
    """As numbers, a file, a member, the batch's own, a mask, or ragged rows: one and the same report."""
    batch, lengths = np.load(BATCH), np.array([3, 1, 2])
    np.savez(tmp_path / "both.npz", inputs=batch, lengths=lengths)
    np.save(tmp_path / "lengths.npy", lengths)
    np.save(tmp_path / "mask.npy", np.arange(3) < lengths[:, None])
    ragged = [row[:n].tolist() for row, n in zip(batch, lengths, strict=True)]
    (tmp_path / "lines.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in ragged))
    (tmp_path / "object.json").write_text(json.dumps({"inputs": ragged, "lengths": [3, 1, 2]}))
    ways: list[tuple[str | Path, ...]] = [
        (tmp_path / "both.npz",),
        (BATCH, "--lengths", tmp_path / "lengths.npy"),
        (BATCH, "--lengths", f"{tmp_path / 'both.npz'}#lengths"),
        (f"{tmp_path / 'both.npz'}#inputs", "--lengths", " 3, 1,2"),
        (BATCH, "--mask", tmp_path / "mask.npy"),
        (tmp_path / "lines.ndjson",),
        (tmp_path / "object.json",),
    ]
    wanted = rnninspect(*RUN, "--format", "json", "-q").json
    for way in ways:
        report = rnninspect("run", *way, "--format", "json", "-q").json
        assert report["lengths"] == [3, 1, 2]
        assert report["tracks"] == wanted["tracks"], way


def test_attributes_of_another_cell_are_said_to_be_idle() -> None:
    """What means nothing to the cell is named on stderr, and what does is not."""
    batch = SAMPLES / "batch.npy"
    done = rnninspect("run", batch, "--lengths", "3,1,2", "--reset-after", "--forget-bias", "0", "--format", "json")
    assert done.code == 0
    assert "--reset-after: not used: a cell of kind lstm has no such attribute" in done.err
    assert "--forget-bias" not in done.err


def test_a_print_out_of_other_decimals_is_noted(tmp_path: Path) -> None:
    """The report says that the numbers were rounded alike, and the tolerance that it used."""
    with np.load(SAMPLES / "published.npz") as z:
        arrays = {name: z[name] for name in z.files}
    arrays["outputs"] = np.round(arrays["outputs"].astype(np.float64), 4)
    np.savez(tmp_path / "dump.npz", **arrays)
    report = rnninspect("compare", tmp_path / "dump.npz", "--lengths", "3,1,2", "--format", "json").json
    assert report["verdict"] == "clean"
    assert "rounded to 4" in report["notes"][0]
    assert report["tolerance"]["atol"] == pytest.approx(1.05e-4)


def test_run_reads_a_flat_batch_as_one_feature(tmp_path: Path) -> None:
    """A 2-D batch is read as one feature a step, and that is said on stderr unless -q is."""
    np.save(tmp_path / "flat.npy", np.load(BATCH)[..., 0])
    done = rnninspect("run", tmp_path / "flat.npy", "--format", "json")
    assert "the batch is (3, 3): read as rows and steps, with one feature per step" in done.err
    quiet = rnninspect("run", tmp_path / "flat.npy", "--format", "json", "-q")
    assert (quiet.err, quiet.raw) == ("", done.raw)


def test_run_axes_and_truncation(tmp_path: Path) -> None:
    """--time-major reads [T, B, F] and saves it so; --truncate cuts the time axis to the longest row."""
    np.save(tmp_path / "tm.npy", np.load(BATCH).swapaxes(0, 1))
    usual = arrays(rnninspect(*RUN, "--save", "-", "-q").raw, tmp_path)
    command = ("run", tmp_path / "tm.npy", "--lengths", "3,1,2", "--time-major", "--save", "-", "-q")
    swapped = arrays(rnninspect(*command).raw, tmp_path)
    assert np.array_equal(swapped["outputs"].swapaxes(0, 1), usual["outputs"])
    assert np.array_equal(swapped["inputs"].swapaxes(0, 1), usual["inputs"])
    cut = arrays(rnninspect("run", BATCH, "--lengths", "2,1,2", "--truncate", "--save", "-", "-q").raw, tmp_path)
    assert cut["outputs"].shape == (3, 2, 4)


def test_run_starts_from_a_state(tmp_path: Path) -> None:
    """A row of length zero ends in the initial state that was given, c as h."""
    states = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.savez(tmp_path / "state.npz", h_0=states[0], c_0=states[1])
    command = ("run", BATCH, "--lengths", "3,0,2", "--initial-state", tmp_path / "state.npz", "--save", "-", "-q")
    saved = arrays(rnninspect(*command).raw, tmp_path)
    assert np.array_equal(saved["final_state.h"][1], states[0, 1])
    assert np.array_equal(saved["final_state.c"][1], states[1, 1])


def test_run_seed_decides_the_weights(tmp_path: Path) -> None:
    """The same seed gives the same numbers, another seed others."""
    first, again, other = (
        arrays(rnninspect(*RUN, "--seed", seed, "--hidden-size", "5", "--save", "-", "-q").raw, tmp_path)["outputs"]
        for seed in ("7", "7", "8")
    )
    assert first.shape == (3, 3, 5)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_absent_device_is_named() -> None:
    """--device cuda on a machine without one says what there is."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    done = rnninspect(*RUN, "--device", "cuda")
    assert (done.code, done.err) == (2, "rnninspect: device 'cuda' is not available here; available: cpu\n")


# --- compare


def test_compare_reads_single_arrays(tmp_path: Path) -> None:
    """Outputs, states and lengths from files of their own give what the dump gives."""
    for name, array in np.load(DUMP).items():
        np.save(tmp_path / f"{name}.npy", array)
    options = ("--outputs", tmp_path / "outputs.npy", "--state", tmp_path / "final_state.h.npy")
    options += ("--cell-state", tmp_path / "final_state.c.npy", "--lengths", "3,1,2")
    done = rnninspect("compare", *options, "--format", "json", "-q")
    assert (done.code, rows(done)) == (0, [[2], [0], [1]])
    members = ("compare", DUMP, "--outputs", "outputs", "--state", "final_state.h", "--lengths", "lengths")
    assert rows(rnninspect(*members, "--format", "json", "-q")) == [[2], [0], [1]]


@pytest.mark.parametrize("suffix", ["npz", "json"])
def test_compare_reads_what_run_saved(suffix: str, tmp_path: Path) -> None:
    """A saved dump holds the run bit for bit, in every format that is written here."""
    dump = tmp_path / f"dump.{suffix}"
    saved = rnninspect(*RUN, "--bidirectional", "--layers", "2", "--save", dump, "--format", "json", "-q")
    read = rnninspect("compare", dump, "--format", "json", "-q")
    assert (saved.code, read.code) == (0, 0)
    assert [t["rows"] for t in read.json["tracks"][2:]] == [t["rows"] for t in saved.json["tracks"][2:]]


def test_a_pipeline_of_two_commands() -> None:
    """`run … --save - | compare --format json`: the dump alone is on stdout, and it is read from the pipe."""
    dump = rnninspect(*RUN, "--weights", WEIGHTS, "--save", "-", "-q")
    assert (dump.code, dump.err) == (0, "")
    for source in ((), ("-",)):
        done = rnninspect("compare", *source, "--format", "json", stdin=dump.raw)
        assert done.code == 0
        assert done.json["source"]["path"] == "stdin"
        assert rows(done) == [[2], [0], [1]]


def test_saving_to_stdout_leaves_the_report_to_a_file(tmp_path: Path) -> None:
    """With --save - the report is written where -o says, or not at all."""
    done = rnninspect(*RUN, "-q", "--save", "-", "--format", "json", "-o", tmp_path / "report.json")
    assert done.raw.startswith(b"PK")
    assert valid((tmp_path / "report.json").read_text())["verdict"] == "clean"


# --- bare commands


@pytest.mark.parametrize(("name", "sample"), [("run", "batch.npy"), ("compare", "published.npz")])
def test_bare_commands_show_the_worked_example(name: str, sample: str) -> None:
    """Without a file the packaged example is inspected, which stderr says; -q does not say it."""
    done = rnninspect(name, "--format", "json")
    assert f"rnninspect: no file given: this is the packaged worked example, {sample}\n" in done.err
    assert (done.code, rows(done), done.json["lengths"]) == (0, [[2], [0], [1]], [3, 1, 2])
    assert rnninspect(name, "--format", "json", "-q").err == ""


def test_an_empty_pipe_is_no_example() -> None:
    """A pipe that brings nothing is refused: the example in its place would be a wrong answer."""
    done = rnninspect("compare", stdin=b"")
    assert (done.code, done.err) == (2, "rnninspect: stdin: it is empty\n")


# --- formats and files


@pytest.mark.parametrize("arguments", [("run", BATCH, "--lengths", "3,1,2"), ("compare", DUMP)], ids=["run", "compare"])
@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_json_is_the_same_each_time(arguments: tuple[str | Path, ...], form: str) -> None:
    """Identical input gives identical bytes."""
    first, again = (rnninspect(*arguments, "--format", form, "-q").raw for _ in range(2))
    assert first == again
    assert first.endswith(b"\n")


def test_ndjson_lines() -> None:
    """One line a row and track, one a finding, the summary last; each carries its source, and together the report."""
    command = ("compare", DUMP, "--lengths", "3,3,3", "-q", "--format")
    report = rnninspect(*command, "json").json
    lines = [json.loads(line) for line in rnninspect(*command, "ndjson").out.splitlines()]
    assert [line["kind"] for line in lines] == ["row"] * 3 + ["finding"] * len(report["findings"]) + ["summary"]
    assert {json.dumps(line["source"]) for line in lines} == {json.dumps(report["source"])}
    line_keys = {"kind", "source"}
    records = [{k: v for k, v in line.items() if k not in line_keys} for line in lines]
    assert records[:3] == [{"layer": 0, "direction": "forward", **row} for row in report["tracks"][0]["rows"]]
    assert records[3:-1] == report["findings"] != []
    assert records[-1]["verdict"] == report["verdict"] == "findings"


def test_ndjson_has_every_track() -> None:
    """Two layers of two directions over five rows are twenty row lines."""
    done = rnninspect("compare", SAMPLES / "bidirectional.npz", "--format", "ndjson", "-q")
    lines = [json.loads(line) for line in done.out.splitlines()]
    places = [(line["layer"], line["direction"], line["row"]) for line in lines if line["kind"] == "row"]
    assert len(set(places)) == len(places) == 20


@pytest.mark.parametrize("form", ["table", "json", "ndjson"])
def test_a_file_holds_what_stdout_would(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-o writes the result there and nothing to stdout; -o - is stdout."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    command = ("compare", DUMP, "-q", "--format", form)
    done = rnninspect(*command, "-o", tmp_path / "report")
    assert (done.code, done.raw) == (0, b"")
    shown = rnninspect(*command)
    assert (tmp_path / "report").read_bytes() == shown.raw == rnninspect(*command, "-o", "-").raw


def test_show_renders_a_saved_report_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file or a pipe, in each format as the command itself, with its exit code; rows can be chosen anew."""
    monkeypatch.setenv("COLUMNS", "80")
    command = ("compare", DUMP, "--lengths", "3,3,3", "-q")
    saved = rnninspect(*command, "--format", "json")
    (tmp_path / "report.json").write_bytes(saved.raw)
    for form in ("table", "json", "ndjson"):
        direct = rnninspect(*command, "--format", form)
        assert rnninspect("show", tmp_path / "report.json", "--format", form) == direct
        assert rnninspect("show", "-", "--format", form, stdin=saved.raw) == direct
    assert rnninspect("show", tmp_path / "report.json", "--exit-zero").code == 0
    one = rnninspect("show", tmp_path / "report.json", "--rows", "1").out
    assert "row 1  " in one
    assert "row 0  " not in one


def test_schema_is_printed() -> None:
    """`schema` prints the JSON Schema that the tests hold every report against."""
    assert json.loads(rnninspect("schema").out) == schema()
    with pytest.raises(AssertionError, match="verdict"):
        valid(json.dumps({**rnninspect("compare", "--format", "json", "-q").json, "verdict": "good"}))


# --- exit codes and choices


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 1),
        (("--exit-zero",), 0),
        (("--fail-on", "note"), 1),
        (("--ignore", "zero-length-row"), 0),
        (("--select", "lengths-ignored,off-by-one-length"), 0),
        (("--select", "zero-length-row"), 1),
    ],
)
def test_exit_codes_of_findings(options: tuple[str, ...], code: int, tmp_path: Path) -> None:
    """1 where a finding of the chosen rules reaches --fail-on, else 0; a warning alone needs --fail-on warning."""
    dump = {**np.load(DUMP), "lengths": np.array([3, 0, 2])}
    for name in ("outputs", "final_state.h", "final_state.c"):
        dump[name][1] = 0  # as a row without a real step leaves it
    np.savez(tmp_path / "zero.npz", **dump)
    command = ("compare", tmp_path / "zero.npz", "-q", "--format", "json")
    done = rnninspect(*command, "--fail-on", "warning", *options)
    assert done.code == code, done.json["findings"]
    assert rnninspect(*command).code == 0


def test_nothing_to_judge_is_no_success(tmp_path: Path) -> None:
    """A dump in which no row can tell is unjudged, exit 2, never clean."""
    np.savez(tmp_path / "blank.npz", outputs=np.zeros((2, 3, 4)), h=np.zeros((2, 4)), lengths=np.array([3, 2]))
    done = rnninspect("compare", tmp_path / "blank.npz", "-q", "--format", "json")
    assert (done.code, done.json["verdict"]) == (2, "unjudged")


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is 130, wherever it comes."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rnninspect.cli.inputs.read_arrays", interrupt)
    assert rnninspect("compare", DUMP) == Done(130, b"", "")


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither numpy's nor torch's refusal is a traceback."""

    def numpy_refuses(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 1. TiB")

    def torch_refuses(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 1 TiB")

    with monkeypatch.context() as patch:
        patch.setattr("rnninspect.cli.inputs.read_arrays", numpy_refuses)
        done = rnninspect("compare", DUMP)
    assert (done.code, done.err) == (2, f"rnninspect: {DUMP}: not enough memory: Unable to allocate 1. TiB\n")
    monkeypatch.setattr("rnninspect.engine.kept_runs.run_once", torch_refuses)
    done = rnninspect(*RUN)
    assert (done.code, done.err.startswith("rnninspect: not enough memory on cpu for inputs of (3, 3, 3)")) == (2, True)


def test_versions_are_named() -> None:
    """--version names the package, numpy, torch and Python."""
    names_and_versions = rnninspect("--version").out.split()
    assert names_and_versions[::2] == ["rnninspect", "numpy", "torch", "Python"]
    assert names_and_versions[3] == np.__version__


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_shows_how(name: str) -> None:
    """Every command's help says what it does and holds a line to copy."""
    done = rnninspect(*name.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: rnninspect {name}".rstrip())
    if name not in ("list", "schema"):
        assert re.search(rf"^  rnninspect {name or 'run'} ", done.out, re.MULTILINE)


# --- colours and locales


@pytest.mark.parametrize(
    ("environment", "options", "coloured"),
    [
        ({}, (), False),
        ({"FORCE_COLOR": "1"}, (), True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, (), False),
        ({"FORCE_COLOR": "1"}, ("--color", "never"), False),
        ({"NO_COLOR": "1", "TERM": "dumb"}, ("--color", "always"), True),
    ],
)
def test_colours(
    environment: dict[str, str], options: tuple[str, ...], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Escape codes go to a terminal alone, or where they are asked for; the text is the same without them."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    plain = rnninspect("compare", DUMP, "-q").out
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    text = rnninspect("compare", DUMP, "-q", *options).out
    assert ("\x1b[" in text) == coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", text) == plain


def test_no_color_leaves_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under NO_COLOR a terminal gets bold and dim at most: no code sets a colour."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    text = rnninspect("compare", DUMP, "-q", "--lengths", "3,3,3").out
    assert set(re.findall(r"\x1b\[([\d;]*)m", text)) <= {"0", "1", "2", "1;2"}


@pytest.mark.parametrize(
    ("encoding", "environment", "plain"),
    [
        ("utf-8", {}, False),
        ("utf-8", {"LANG": "de_DE.UTF-8"}, False),
        ("utf-8", {"LC_ALL": "C"}, True),
        ("utf-8", {"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, True),
        ("utf-8", {"LC_CTYPE": "C.UTF-8", "LANG": "C"}, True),  # what Python makes of LANG=C
        ("utf-8", {"LC_CTYPE": "C.UTF-8"}, False),
        ("utf-8", {"LC_ALL": "C.UTF-8", "LANG": "C"}, False),
        ("latin-1", {"LANG": "de_DE"}, True),
        ("ascii", {}, True),
    ],
)
def test_ascii_where_the_locale_says_so(encoding: str, environment: dict[str, str], plain: bool) -> None:
    """The locale as stated decides, not the one that Python puts in its place."""
    assert ascii_only(encoding, environment) == plain


def test_marks_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    """LC_ALL=C leaves no other character in the table."""
    monkeypatch.setenv("LC_ALL", "C")
    assert rnninspect("compare", DUMP, "-q", "--lengths", "3,3,3").out.isascii()
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert not rnninspect("compare", DUMP, "-q", "--lengths", "3,3,3").out.isascii()


@pytest.mark.parametrize(("columns", "widest"), [("0", 80), ("10", 40), ("60", 60), ("many", 80)])
def test_widths(columns: str, widest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS is honoured down to 40; what is no width is 80."""
    monkeypatch.setenv("COLUMNS", columns)
    lines = rnninspect("compare", DUMP, "-q").out.splitlines()
    assert 0.7 * widest < max(map(len, lines)) <= widest
    assert any(line.startswith("row 0") for line in lines)


# --- processes: what only a shell can show


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line in bash, with nothing on stdin, from the checkout's folder."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={**os.environ, "PATH": path, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_a_pipe_into_jq() -> None:
    """The pipelines of the README, as a shell runs them."""
    rows_of = "jq -c '.tracks[0].rows[] | {row, steps}'"
    wanted = '{"row":0,"steps":[2]}\n{"row":1,"steps":[0]}\n{"row":2,"steps":[1]}\n'
    run = "rnninspect run sample_data/batch.npy --lengths 3,1,2"
    done = shell(f"{run} --format json | {rows_of}; {run} --save - | rnninspect compare -q --format json | {rows_of}")
    assert (done.stdout, done.stderr) == (wanted + wanted, "")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("compare", DUMP, "-q"), 141),
        (("compare", DUMP, "-q", "--format", "json"), 141),
        (("list", "rules"), 141),
        (("--help",), 141),
        (("compare", "missing.npz"), 2),
    ],
)
def test_a_reader_that_goes_away(arguments: tuple[str | Path, ...], code: int) -> None:
    """A closed pipe is never 1, which would mean findings, and never a traceback."""
    command = [sys.executable, "-m", "rnninspect", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ("rnninspect: missing.npz: no such file\n" if code == 2 else "")
        assert process.wait() == code


def test_streams_that_are_closed() -> None:
    """Without stdin, stdout or stderr a command does what is left to do, and says by its exit code how that went."""
    dump = "sample_data/published.npz"
    commands = {
        f"rnninspect compare {dump} -q <&-": 0,
        "rnninspect compare - <&-": 2,
        "rnninspect show - <&-": 2,
        f"rnninspect compare {dump} >&- 2>&-": 0,
        "rnninspect compare missing.npz >&- 2>&-": 2,
    }
    done = shell("".join(f"{command}; echo $? >&3;\n" for command in commands).join(["exec 3>&2\n", ""]))
    assert [line for line in done.stderr.splitlines() if line.isdigit()] == [str(c) for c in commands.values()]
    assert "Traceback" not in done.stderr
    assert "stdin is closed" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk() -> None:
    """A result that cannot be written is exit 2 with one line, whether it is a table, JSON, a dump or the help."""
    commands = ("compare -q", "compare -q --format json", "list rules", "--help")
    done = shell("".join(f"rnninspect {command} >/dev/full; echo $?;" for command in commands))
    assert done.stdout.split() == ["2"] * len(commands)
    assert done.stderr.splitlines() == ["rnninspect: cannot go on: No space left on device"] * len(commands)


def test_a_signal() -> None:
    """Ctrl-C while it waits for its input: 130, nothing on stdout, no traceback."""
    command = [sys.executable, "-m", "rnninspect", "compare", "-"]
    pipe = subprocess.PIPE

    def heard() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # who runs the tests in the background may have had it ignored

    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, preexec_fn=heard) as process:
        assert process.stdin is not None
        process.stdin.write(b"PK")  # it reads on for the rest
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(signal.SIGINT)
        code = process.wait(20)
        assert process.stdout is not None
        assert process.stderr is not None
        assert (code, process.stdout.read(), process.stderr.read()) == (130, b"", b"")


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}])
def test_an_encoding_that_knows_little(environment: dict[str, str]) -> None:
    """No character of ours is beyond the encoding of the stream."""
    done = shell("rnninspect compare -q && rnninspect run --help && rnninspect list conventions", **environment)
    assert (done.returncode, done.stderr) == (0, "")
