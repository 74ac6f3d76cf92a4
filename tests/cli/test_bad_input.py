"""Bad input: one clear line on stderr, exit code 2, nothing on stdout, nothing half-written, never a traceback."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from tests.support.commandline import Done, rnninspect, valid
from tests.support.places import SAMPLES

BATCH, DUMP, WEIGHTS = SAMPLES / "batch.npy", SAMPLES / "published.npz", SAMPLES / "weights.npz"


def check_refused(done: Done, *phrases: str) -> None:
    """One line on stderr that holds every one of the words, exit 2, and an empty stdout."""
    lines = done.err.splitlines()
    assert (done.code, done.raw) == (2, b""), done
    assert len(lines) == 1, lines
    assert lines[0].startswith("rnninspect: ")
    assert lines[0].isprintable()
    for phrase in phrases:
        assert phrase in lines[0], lines[0]


@pytest.mark.parametrize(
    "done",
    [
        Done(1, b"", "rnninspect: no such file\n"),
        Done(2, b"run ", "rnninspect: no such file\n"),
        Done(2, b"", "rnninspect: no such file\nrnninspect: again\n"),
        Done(2, b"", "Traceback (most recent call last):\n"),
        Done(2, b"", "rnninspect: \x1b[31mno such file\n"),
        Done(2, b"", "rnninspect: empty\n"),
    ],
    ids=["code", "stdout", "two lines", "traceback", "escape code", "other words"],
)
def test_a_poor_refusal_is_seen(done: Done) -> None:
    """The check itself can fail, on each of its counts."""
    with pytest.raises(AssertionError):
        check_refused(done, "no such file")
    check_refused(Done(2, b"", "rnninspect: x.npy: no such file\n"), "x.npy", "no such file")


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bad files."""
    folder = tmp_path_factory.mktemp("bad")
    batch, dump = np.load(BATCH).astype(np.float32), dict(np.load(DUMP))
    (folder / "empty.npy").touch()
    (folder / "empty.json").touch()
    (folder / "text.txt").write_text("these are words")
    (folder / "noise").write_bytes(bytes(range(256)))
    (folder / "cut.npy").write_bytes(BATCH.read_bytes()[:-20])
    (folder / "cut.npz").write_bytes(DUMP.read_bytes()[:-100])
    (folder / "cut.json").write_text("[[[1, 2], [3, 4]]")
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "pickled.npy").write_bytes(pickle.dumps(batch))
    (folder / "null.json").write_text('{"inputs": [[[1, null]]]}')
    (folder / "words.json").write_text('{"inputs": [[["one"]]]}')
    (folder / "ragged.json").write_text("[[[1, 2], [3]], [[1, 2, 3]], [[1, 2]], [[1, 2]]]")
    (folder / "rows.json").write_text("[[1, 2, 3], [4], [5, 6]]")
    (folder / "lines.ndjson").write_text('[[1, 2]]\noops\n{"a": 1}\n[[1, 2]]\n')
    (folder / "folder.npy").mkdir()
    arrays = {
        "objects": np.array([{}, 1], dtype=object),
        "strings": np.array([["a", "b"]]),
        "complex": batch.astype(np.complex64),
        "records": np.zeros(3, dtype=[("a", "f4"), ("b", "i4")]),
        "rank0": np.array(1.0),
        "rank1": np.zeros(3),
        "rank4": np.zeros((2, 3, 4, 5)),
        "no_rows": np.zeros((0, 3, 3)),
        "no_steps": np.zeros((3, 0, 3)),
        "no_features": np.zeros((3, 3, 0)),
        "negative": np.array([3, -1, -2]),
        "fractions": np.array([3, 1.5, 2.5]),
        "not_numbers": np.array([3, np.nan, np.inf]),
        "huge": np.array([2**64 - 1, 1, 2], dtype=np.uint64),
        "beyond": np.array([1e300, 1, 2]),
        "booleans": np.array([True, True, False]),
        "square": np.array([[3, 1, 2], [1, 1, 1]]),
        "mask": np.arange(3) < np.array([3, 1, 2])[:, None],
        "wide_mask": np.ones((3, 4), dtype=bool),
        "turned": np.zeros((5, 3, 2)),
        "halves": np.full((3, 3), 0.5),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=name == "objects")
    np.savez(folder / "objects.npz", outputs=arrays["objects"], h=np.zeros((3, 4)))
    np.savez(folder / "two.npz", outputs=arrays["strings"], h=arrays["complex"])
    np.savez(folder / "nothing.npz")
    np.savez(folder / "unnamed.npz", foo=np.zeros((3, 3)))
    np.savez(folder / "state.npz", **{**dump, "final_state.h": np.zeros((3, 7))})
    np.savez(folder / "short.npz", **{**dump, "lengths": np.array([3, 1])})
    np.savez(folder / "signs.npz", **{**dump, "lengths": np.array([3, -1, -2])})
    return folder


# The command's words, then those that its one line must hold. A bare file name is one of the folder `bad`.
UNREADABLE = [
    ("run missing.npy", "missing.npy: no such file"),
    ("compare missing.npz", "missing.npz: no such file"),
    ("run empty.npy", "empty.npy: it is empty"),
    ("run empty.json", "empty.json: it is empty"),
    ("run folder.npy", "folder.npy: it is a folder"),
    ("run text.txt", "text.txt: found no arrays", "print(outputs)"),
    ("run noise", "noise: not in a known format", "json, ", "npy, "),
    ("run cut.npy", "cut.npy: it is damaged or truncated"),
    ("compare cut.npz", "cut.npz: it is damaged or truncated"),
    ("run cut.json", "cut.json: not JSON, or truncated", "column 18"),
    ("run deep.json", "deep.json: nested too deeply"),
    ("run objects.npy", "objects.npy: it holds pickled Python objects", "never loaded"),
    ("compare objects.npz", "objects.npz: outputs: it holds pickled Python objects"),
    ("run pickled.npy", "pickled.npy: it is a pickle of numpy arrays", "np.save"),
    ("compare nothing.npz", "nothing.npz: it holds no arrays"),
    ("run {BATCH}#x", "unknown member of", "'x'"),
    ("compare {DUMP}#outputz", "'outputz'; did you mean 'outputs'?", "final_state.h"),
    ("show missing.json", "missing.json: cannot be read (No such file or directory)"),
    ("show cut.json", "cut.json: not a JSON report"),
    ("show deep.json", "deep.json: not a JSON report"),
    ("show rank1.npy", "rank1.npy: not a JSON report"),
]
ARRAYS = [
    ("run strings.npy", "dtype <U1; only numbers"),
    ("run complex.npy", "dtype complex64; only numbers"),
    ("run records.npy", "only numbers"),
    ("compare two.npz", "outputs has dtype <U1, h has dtype complex64"),
    ("run rank0.npy", "inputs are (): a batch has 3 axes"),
    ("run rank1.npy", "inputs are (3,): a batch has 3 axes"),
    ("run rank4.npy", "inputs are (2, 3, 4, 5): a batch has 3 axes"),
    ("run no_rows.npy", "inputs are (0, 3, 3): an empty batch"),
    ("run no_steps.npy", "inputs are (3, 0, 3): an empty batch"),
    ("run no_features.npy", "inputs are (3, 3, 0): an empty batch"),
    ("run null.json", "null.json: inputs[0][0][1] is null; numbers are needed"),
    ("run words.json", "inputs[0][0][0] is the text 'one'"),
    ("run ragged.json", "row 0 step 1 has 1, row 1 step 0 has 3, most have 2"),
    ("run lines.ndjson", "line 2, 3: a list of steps is needed"),
    ("run unnamed.npz", "found no inputs among foo", "--inputs"),
    ("compare unnamed.npz", "found no outputs", "foo (3, 3)", "--outputs"),
    ("compare {BATCH}", "found no final state h", "--state", "(3, 3, 3)"),
]
LENGTHS = [
    ("run rows.json -q --lengths 3,2,2", "more steps than the rows have (row 1: 2 stated, 1 given): leave them out"),
    ("run {BATCH} --lengths 3,1", "2 values, but the batch has 3 rows"),
    ("run turned.npy --lengths 3,1,2", "3 values, but the batch has 5 rows", "--time-major if"),
    ("run turned.npy --time-major --lengths 3,1,2,1,1", "5 values, but the batch has 3 rows", "--batch-first if"),
    ("run {BATCH} --lengths 3,-1,-2", "lengths[1] is -1, lengths[2] is -2;"),
    ("run {BATCH} --lengths 3,1.5,2.5", "lengths[1] is 1.5, lengths[2] is 2.5;"),
    ("run {BATCH} --lengths 3,nan,inf", "lengths[1] is nan, lengths[2] is inf;"),
    ("run {BATCH} --lengths 3,x,y", "'x', 'y' are not numbers"),
    ("run {BATCH} --lengths ,", "--lengths ,: it is empty"),
    ("run {BATCH} --lengths 5,1,7", "lengths[0] is 5, lengths[2] is 7, but inputs has T=3", "--time-major"),
    ("run {BATCH} --lengths 3,1,99999999999999999999", "lengths[2] is 1e+20"),
    ("run {BATCH} --lengths negative.npy", "lengths[1] is -1, lengths[2] is -2;"),
    ("run {BATCH} --lengths fractions.npy", "lengths[1] is 1.5, lengths[2] is 2.5;"),
    ("run {BATCH} --lengths not_numbers.npy", "lengths[1] is nan, lengths[2] is inf;"),
    ("run {BATCH} --lengths huge.npy", "lengths[0] is 18446744073709551615;"),
    ("run {BATCH} --lengths beyond.npy", "lengths[0] is 1e+300;"),
    ("run {BATCH} --lengths booleans.npy", "whole numbers", "dtype bool"),
    ("run {BATCH} --lengths square.npy", "lengths has the shape [2, 3]; give one length per row, [batch]"),
    ("run {BATCH} --lengths strings.npy", "--lengths strings.npy", "only numbers"),
    ("run {BATCH} --lengths missing.npy", "--lengths missing.npy: no such file"),
    ("run {BATCH} --lengths {WEIGHTS}", "--lengths", "it holds rnn/lstm_cell/kernel", "pick one with FILE#NAME"),
    ("run {BATCH} --lengths 3,2,2 --mask mask.npy", "row 1: length 2, mask 1 real steps, the last at 0"),
    ("run {BATCH} --mask wide_mask.npy", "mask is (3, 4), but the batch has 3 rows and 3 steps"),
    ("run {BATCH} --mask halves.npy", "mask must hold only true and false"),
    ("compare -q {DUMP} --lengths 3,1", "2 values, but the batch has 3 rows"),
    ("compare -q {DUMP} --lengths 3,-1,2.5", "lengths[1] is -1.0, lengths[2] is 2.5"),
    ("compare -q {DUMP} --lengths 3,1,99999999999999999999", "lengths[2] is 1e+20"),
    ("compare -q {DUMP} --lengths lengthz", "unknown member for --lengths 'lengthz'; did you mean 'lengths'?"),
    ("compare -q {DUMP} --mask wide_mask.npy", "mask is (3, 4)"),
    ("compare -q short.npz", "2 values, but the batch has 3 rows"),
    ("compare -q signs.npz", "lengths[1] is -1, lengths[2] is -2;"),
]
OPTIONS = [
    ("rum", "no such command 'rum'; did you mean 'run'? Known: compare, run"),
    ("run --hiden-size 3", "no such option '--hiden-size'; did you mean '--hidden-size'? (see rnninspect run --help)"),
    (
        "compare {DUMP} --initial-state h.npy",
        "one of the dump's arrays",
        "--previous takes the dump of the call before",
    ),
    ("compare @none.txt", "@none.txt: there is no file none.txt with a list of dumps"),
    ("fix none.npy other.npy -o f.npz", "none.npy, other.npy: no such file"),
    ("convert {DUMP} --to trch -o f.npz", "--to trch: unknown convention 'trch'; did you mean 'torch'?"),
    ("run --xyzzy", "no such option '--xyzzy'. (see rnninspect run --help)"),
    ("run -Z", "no such option '-Z'. (see rnninspect run --help)"),
    ("run {BATCH} again", "unexpected extra argument (again)"),
    ("run {BATCH} --cell lstn", "'lstn' is not one of 'lstm', 'gru', "),
    ("run {BATCH} --dtype float23", "'float64', 'float32', 'float16', 'bfloat16'"),
    ("run {BATCH} --device banana", "device 'banana' is not available here; available: cpu"),
    ("run {BATCH} --device meta", "device 'meta' is not available here; available: cpu"),
    ("run {BATCH} --convention trch", "unknown convention 'trch'; did you mean 'torch'? Known: tf1, "),
    ("compare {DUMP} --convention zzz", "unknown convention 'zzz'. Known: tf1, "),
    ("run {BATCH} --format jsn", "unknown format 'jsn'; did you mean 'json'?"),
    ("run {BATCH} --fail-on eror", "'error', 'warning', 'note'"),
    ("run {BATCH} --select lengths-ignord", "did you mean 'lengths-ignored'?"),
    ("run {BATCH} --ignore nothing-of-it", "unknown rule 'nothing-of-it'. All are listed by `rnninspect list rules`."),
    ("explain zzz", "unknown rule or word 'zzz'. All are listed by `rnninspect list rules` (rules) and `"),
    ("explain padding-hole", "did you mean 'padding'? All are listed by"),
    ("explain lengths-ignord", "did you mean 'lengths-ignored'?"),
    ("demo lengths-ignord", "did you mean 'lengths-ignored'?"),
    ("list rulez", "'rulez' is not one of 'rules', ", "'formats'"),
    ("run {BATCH} --rtol nan", "'nan' is not a finite number"),
    ("run {BATCH} --atol 1e400", "'1e400' is not a finite number"),
    ("run {BATCH} --rtol -1", "-1.0 is not in the range x>=0"),
    ("run {BATCH} --rtol x", "'x' is not a valid number"),
    ("run {BATCH} --hidden-size 0", "0 is not in the range x>=1"),
    ("run {BATCH} --hidden-size 1.5", "'1.5' is not a valid whole number"),
    ("run {BATCH} --hidden-size 99999999999", "8.0e+22 weights", "smaller --hidden-size"),
    ("run {BATCH} --layers 99999999999", "no stack has more than 1024 layers"),
    ("run {BATCH} --seed -1", "-1 is not in the range x>=0"),
    ("run {BATCH} --precision 99", "0<=x<=17"),
    ("run {BATCH} --forget-bias nan", "'nan' is not a finite number"),
    ("run {BATCH} --cell-clip -1", "-1.0 is not in the range x>0"),
    ("run {BATCH} --activation tahn", "unknown activation 'tahn'; did you mean 'tanh'?"),
    ("run {BATCH} --activations Sigmoid", "lstm needs 3 a direction"),
    ("run {BATCH} --activation-alpha x", "'x' is not a valid number"),
    ("run {BATCH} --num-proj 2", "--num-proj needs --weights"),
    ("run {BATCH} --use-peepholes", "--use-peepholes needs --weights"),
    ("run {BATCH} --bidirectional --direction forward", "contradict each other"),
    ("run {BATCH} --time-major --batch-first", "contradict each other"),
    ("run {BATCH} --excerpt -1", "--excerpt -1: give a count of numbers, or all"),
    ("run {BATCH} --rows x", "rows 'x' is not a selection"),
    ("run {BATCH} --rows 60-", "rows 60 not in the report: it has rows 0 to 2"),
    ("run {BATCH} --steps 7 --format json", "steps 7 not in the report: it has steps 0 to 2"),
    ("run {BATCH} --rows 2-1", "runs backwards"),
    ("run {BATCH} --weights missing.npz", "--weights missing.npz: no such file"),
    ("run {BATCH} -q --weights {WEIGHTS} --hidden-size 9", "--hidden-size 9 is stated, but the weights have 4 units"),
    ("run {BATCH} -q --weights {WEIGHTS} --cell gru", "the cell of these weights is lstm, not gru"),
    ("run {BATCH} -q --weights {WEIGHTS} --weights-convention trch", "did you mean 'torch'?"),
    ("run rank4.npy --weights {WEIGHTS} -q", "inputs are (2, 3, 4, 5)"),
    ("run {BATCH} --initial-state missing.npy", "--initial-state missing.npy: no such file"),
    ("run {BATCH} --initial-state rank1.npy", "initial state", "fits no layer of 3 rows"),
    ("compare -q {DUMP} --outputs foo", "unknown member for --outputs 'foo'. Known: inputs, lengths, outputs"),
    ("compare -q {DUMP} --state foo.npy", "--state foo.npy: no such file, and no member of the input (inputs"),
    ("compare -q {DUMP} --against missing.npz", "--against missing.npz: no such file"),
    ("compare -q {DUMP} --against rank4.npy", "--against rank4.npy: found no final state h"),
]


@pytest.mark.parametrize("case", [*UNREADABLE, *ARRAYS, *LENGTHS, *OPTIONS], ids=lambda case: case[0])
def test_refused_in_one_line(case: tuple[str, ...], bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is refused with the line that says what was seen, what was needed, and every bad row."""
    monkeypatch.chdir(bad)
    before = sorted(os.listdir(bad))
    arguments = case[0].format(BATCH=BATCH, DUMP=DUMP, WEIGHTS=WEIGHTS).split(" ")
    check_refused(rnninspect(*arguments), *case[1:])
    assert sorted(os.listdir(bad)) == before


@pytest.mark.parametrize("option", ["--lengths", "--mask", "--inputs", "--weights", "--save", "-o", "--initial-state"])
def test_an_empty_word_is_refused(option: str) -> None:
    """An empty shell variable is a mistake, never the array without a name nor the working folder."""
    check_refused(rnninspect("run", BATCH, option, ""), option, "it is empty")
    check_refused(rnninspect("run", ""), "it is empty")


def test_every_bad_row_is_named() -> None:
    """Of many bad rows twenty are named and the rest counted."""
    lengths = ",".join(["-1"] * 25)
    batch = b'{"inputs": ' + str([[[0.5]]] * 25).encode() + b"}"
    done = rnninspect("run", "-", f"--lengths={lengths}", stdin=batch)
    check_refused(done, *(f"lengths[{row}] is -1" for row in range(20)), "(and 5 more)")


def test_a_state_that_fits_nothing(bad: Path) -> None:
    """The readings that were tried are printed, with the options that would state another."""
    done = rnninspect("compare", bad / "state.npz", "-q")
    places = ("tried: outputs [batch, steps, units] with 3 rows, 3 steps", "outputs [steps, batch, units]")
    check_refused(done, "(3, 7)", *places, "--layers", "--state")


def test_lengths_beyond_time_are_a_finding_in_compare() -> None:
    """What `run` cannot do, `compare` reports: the rule names every row."""
    done = rnninspect("compare", DUMP, "--lengths", "5,1,7", "--format", "json", "-q")
    assert done.code == 1
    rows_by_rule = {finding["rule"]: finding["rows"] for finding in done.json["findings"]}
    assert rows_by_rule["length-exceeds-time"] == [0, 2]


def test_nan_in_inputs_is_allowed_and_reported(tmp_path: Path) -> None:
    """A NaN at a real step reaches the outputs and is a finding; in the padding it is read by nobody, and noted."""
    inputs = np.load(BATCH).astype(np.float32)
    inputs[2, 1, 0] = np.nan
    inputs[1, 2, 0] = np.inf
    np.save(tmp_path / "x.npy", inputs)
    real = rnninspect("run", tmp_path / "x.npy", "--lengths", "3,1,2", "--format", "json")
    assert (real.code, real.err) == (1, "")
    assert [f["rule"] for f in real.json["findings"]] == ["nonfinite-values"]
    assert real.json["notes"] == [
        "inputs hold NaN or infinity at real steps [row, step] [2, 1]",
        "inputs hold NaN or infinity at padded steps [row, step] [1, 2]",
    ]
    padded = rnninspect("run", tmp_path / "x.npy", "--lengths", "3,1,1", "--format", "json")
    assert padded.code == 0
    assert padded.json["notes"] == ["inputs hold NaN or infinity at padded steps [row, step] [1, 2], [2, 1]"]


@pytest.mark.parametrize(
    ("option", "target", "phrase"),
    [
        ("--save", "missing/dump.npz", "No such file or directory"),
        ("--save", "taken", "it is a folder"),
        ("--save", "dump.npy", ".npy holds one array, not 5"),
        ("--save", "dump.foo", "unknown format to write '.foo'"),
        ("-o", "missing/report.json", "No such file or directory"),
        ("-o", "taken", "it is a folder"),
    ],
)
def test_an_unwritable_target(
    option: str, target: str, phrase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the file nor a part of it is left, and nothing is printed before the refusal."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    check_refused(rnninspect("run", "-q", option, target), phrase)
    assert sorted(os.listdir(tmp_path)) == ["taken"]


def test_a_read_only_file_is_kept(tmp_path: Path) -> None:
    """A file that may not be written is not replaced behind its back."""
    target = tmp_path / "report.json"
    target.write_text("kept")
    target.chmod(0o444)
    if os.access(target, os.W_OK):
        pytest.skip("this user may write everything")
    check_refused(rnninspect("compare", DUMP, "-q", "-o", target), "it is read-only")
    assert target.read_text() == "kept"


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk fills up in mid-write, the file that was there stays as it was."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "dump.npz"
    target.write_bytes(b"old")
    monkeypatch.setattr(np.lib.format, "write_array", full)
    check_refused(rnninspect("run", "-q", "--save", target), "cannot write", "No space left on device")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["dump.npz"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file that a link leads to is written, with its permissions; the link is not replaced."""
    target, link = tmp_path / "report.json", tmp_path / "link.json"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    assert rnninspect("compare", DUMP, "-q", "--format", "json", "-o", link).code == 0
    assert link.is_symlink()
    assert valid(target.read_text())["verdict"] == "clean"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_pipe_is_written_through(tmp_path: Path) -> None:
    """A named pipe (a device, another process' stream) is written to; no file takes its place."""
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert rnninspect("compare", DUMP, "-q", "--format", "json", "-o", pipe).code == 0
    reader.join(30)
    assert [valid(text)["verdict"] for text in read] == ["clean"]
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_pipe_is_read(tmp_path: Path) -> None:
    """A named pipe, as a shell's <(…) gives it, is one dump, read once and whole."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    Thread(target=pipe.write_bytes, args=[DUMP.read_bytes()], daemon=True).start()
    done = rnninspect("compare", pipe, "-q", "--format", "json")
    assert (done.code, done.json["verdict"]) == (0, "clean")


@pytest.mark.parametrize("name", ["[red]x[bold].npz", "\x1b[31mred.npz", "new\nline.npz", "\udcff.npz"])
def test_hostile_names(name: str, tmp_path: Path) -> None:
    """A name from the file system or from a dump is shown, not obeyed, in the table as in an error."""
    path = tmp_path / name
    with open(path, "wb") as file:
        np.savez(file, **{**dict(np.load(DUMP)), "[red]a\x1b[31m\n": np.zeros(2)})
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    done = rnninspect("compare", path, "-q")
    assert done.code == 0
    assert "\x1b" not in done.out
    assert "[red]a\\x1b[31m\\n" in "".join(done.out.split()), done.out
    assert shown in done.out.replace("\n", ""), done.out
    check_refused(rnninspect("compare", path, "-q", "--state", "foo"), "[red]a\\x1b[31m\\n")
    check_refused(rnninspect("compare", f"{path}x"), f"{shown}x: no such file")
    assert rnninspect("compare", path, "-q", "--format", "json").json["source"]["path"]
