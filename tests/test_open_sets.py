"""One new file is one new capability: a made-up format, rule, convention, renderer, cell, recorder, probe and
framework of live models, each a file
dropped into a copy of the package, are found everywhere without another line being changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rnninspect.diagnosis.rules import NEEDS
from tests.support.places import PACKAGE, ROOT, SAMPLES

MADE_UP = ROOT / "tests" / "support" / "open_sets"
# Where each is dropped.
ROOMS = {
    "format": "formats",
    "convention": "conventions",
    "rule": "diagnosis/rules",
    "renderer": "report/renderers",
    "cell": "engine/cells",
    "recorder": "recording",
    "probe": "invariance/probes",
    "framework": "invariance/frameworks",
}
LISTED = {
    "formats": "madeup",
    "conventions": "madeup",
    "rules": "made-up",
    "renderers": "madeup",
    "cells": "madeup",
    "recorders": "madeup",
    "probes": "madeup",
    "models": "madeup",
}


@dataclass(frozen=True)
class House:
    """A copy of the package with a made-up file in each of its open sets."""

    folder: Path

    def python(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """A process that imports the copy."""
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environment,
            input=stdin,
            capture_output=True,
            check=False,
        )

    def __call__(self, *arguments: str, code: int = 0, stdin: bytes = b"") -> str:
        """What a command prints, on stdout or in its error."""
        done = self.python("-m", "rnninspect", *arguments, stdin=stdin)
        assert done.returncode == code, done.stderr.decode()
        return (done.stdout or done.stderr).decode()

    def run(self, code: str) -> list[str]:
        """The lines that a script prints."""
        done = self.python("-c", code)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().splitlines()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(PACKAGE, folder / "rnninspect", ignore=shutil.ignore_patterns("__pycache__", "sample_data"))
    (folder / "sample_data").symlink_to(SAMPLES)
    for what, room in ROOMS.items():
        shutil.copy(MADE_UP / f"madeup_{what}.py", folder / "rnninspect" / room / "madeup.py")
    return House(folder)


def test_every_open_set_has_its_made_up_file() -> None:
    """The folders that the list of rooms leaves open are those that are tried here; the command line's are apart."""
    from tests.test_house import ROOMS as LIST

    folders = {room.removesuffix("/*") for room in LIST if room.endswith("/*")}
    assert folders - {"cli"} == {*ROOMS.values(), *(f"diagnosis/rules/{folder}" for folder in NEEDS)}
    assert {path.stem for path in MADE_UP.glob("*.py")} == {f"madeup_{what}" for what in ROOMS}


def test_lists_name_it(house: House) -> None:
    """`list` and the README's tables hold a row for it."""
    lines = house.run(
        "from rnninspect.cli import call\n"
        f"for what in {list(LISTED)}:\n"
        "    for form in ('table', 'markdown'):\n"
        "        print('===', what, form)\n"
        "        assert call(['list', what, '--format', form]) == 0\n"
    )
    lists = dict(part.split("\n", 1) for part in "\n".join(lines).split("=== ")[1:])
    assert len(lists) == 2 * len(LISTED)
    for what, name in LISTED.items():
        assert name in [row.split()[0] for row in lists[f"{what} table"].splitlines() if row.strip()]
        assert f"\n| {name} |" in lists[f"{what} markdown"]


# The course as the package lists it, of which two lessons are given: the whole one is judged in `cli/test_explain.py`.
TWO_LESSONS = """
from rnninspect.cli import call, demo
whole = demo.course()
demo.course = lambda: [(group, rule) for group, rule in whole if rule.name in ("made-up", "gate-order")]
assert len(demo.course()) == 2
call(["demo", "--all", "--format", "json"])
"""


def test_the_rule_is_explained_shown_and_taught(house: House) -> None:
    """`explain`, `demo`, the course and `--select` know the rule, with its own fix in every framework."""
    text = house("explain", "made-up")
    assert "h = -h" in text
    assert "made-up (error)" in house("explain")
    assert "madeup" in json.loads(house("explain", "made-up", "--format", "json"))["fixes"]
    shown = json.loads(house("demo", "made-up", "--format", "json"))
    assert [finding["rule"] for finding in shown["findings"]] == ["made-up"]
    lessons = json.loads("\n".join(house.run(TWO_LESSONS)))
    assert ("What the state holds", "made-up") in [(lesson["group"], lesson["rule"]) for lesson in lessons]
    house("compare", str(SAMPLES / "published.npz"), "--select", "made-up")


@pytest.mark.parametrize("folder", NEEDS)
def test_a_rule_may_lie_in_the_folder_of_what_it_needs(house: House, folder: str) -> None:
    """It is listed, and not checked where that evidence is lacking; its file is not even imported then."""
    text, name = (MADE_UP / "madeup_rule.py").read_text("utf-8"), f"of-{folder.replace('_', '-')}"
    text = text.replace('    name = "made-up"', f'    name = "{name}"\n    needs = {NEEDS[folder]}')
    path = house.folder / "rnninspect/diagnosis/rules" / folder / f"of_{folder}.py"
    outputs = np.arange(1, 25, dtype=np.float32).reshape(2, 3, 4)
    np.savez(house.folder / "bare.npz", outputs=outputs, h=outputs[:, -1])
    path.write_text(text, "utf-8")
    assert f"{name} " in house("list", "rules")
    lines = house.run(
        "import sys\n"
        "from rnninspect.cli import call\n"
        "call(['compare', 'bare.npz', '--lengths', '3,3', '-q', '--format', 'json'])\n"
        f"print(any('of_{folder}' in module for module in sys.modules))\n"
    )
    path.unlink()
    reasons = {rule["rule"]: rule["reason"] for rule in json.loads("\n".join(lines[:-1]))["not_checked"]}
    assert reasons[name] == f"needs {' and '.join(NEEDS[folder][1:])}"
    assert lines[-1] == "False"


def test_the_format_is_written_and_read(house: House) -> None:
    """`--save x.madeup` writes to a real file, content decides when it is read, from a file and from a pipe."""
    path = house.folder / "x.madeup"
    house("run", str(SAMPLES / "batch.npy"), "--lengths", "3,1,2", "--save", str(path), "-q")
    assert path.read_bytes().startswith(b"MADEUP\n")
    first = json.loads(house("compare", str(path), "--format", "json"))
    assert first["verdict"] == "clean"
    renamed = path.rename(path.with_suffix(".bin"))
    assert json.loads(house("compare", str(renamed), "--format", "json"))["tracks"] == first["tracks"]
    piped = json.loads(house("compare", "-", "--format", "json", stdin=renamed.read_bytes()))
    assert piped["tracks"] == first["tracks"]
    assert ".madeup" in house("convert", str(SAMPLES / "weights.npz"), "--to", "torch", "-o", "x.unknown", code=2)


def test_the_convention_is_written_and_read(house: House) -> None:
    """`convert --to` moves weights there and back, and a dump under its names is known by them."""
    weights = str(SAMPLES / "weights.npz")
    moved, back, dump = (str(house.folder / name) for name in ("moved.madeup", "back.npz", "dump.npz"))
    assert house("convert", weights, "--to", "madeup", "-o", moved).startswith(
        "tf1 -> madeup: gates i j f o -> o g f i"
    )
    assert house("convert", moved, "--to", "tf1", "-o", back).startswith("madeup -> tf1: gates o g f i -> i j f o")
    with np.load(weights) as before, np.load(back) as after:
        names = {name.rpartition("/")[2]: name for name in after.files}
        for name in before.files:
            moved_array = after[names[name.rpartition("/")[2]]]
            assert np.allclose(moved_array, before[name], rtol=0, atol=1e-6)
    batch = str(SAMPLES / "batch.npy")
    house("run", batch, "--lengths", "3,1,2", "--weights", moved, "--save", dump, "-q")
    with np.load(dump) as arrays:
        assert {"madeup_outputs", "madeup_h", "madeup_c"} <= set(arrays.files)
    report = json.loads(house("compare", dump, "--weights", moved, "--format", "json"))
    assert (report["convention"], report["verdict"]) == ("madeup", "clean")
    assert "madeup.run(inputs, lengths)" in house("explain", "lengths-ignored", "--convention", "madeup")


def test_the_renderer_renders(house: House) -> None:
    """`--format madeup` is known to every command that shows a report, and to a saved one."""
    dump, report = str(SAMPLES / "published.npz"), str(house.folder / "report.json")
    assert house("compare", dump, "--format", "madeup") == "madeup verdict clean\n"
    house("compare", dump, "--format", "json", "-o", report)
    assert house("show", report, "--format", "madeup") == "madeup verdict clean\n"
    assert house("demo", "made-up", "--format", "madeup") == "madeup verdict findings\nmade-up\n"


def test_the_cell_runs(house: House) -> None:
    """`--cell madeup` runs, saves and is judged with its c; no framework has its weights, and that is said."""
    dump = str(house.folder / "cell.npz")
    house("run", str(SAMPLES / "batch.npy"), "--lengths", "3,1,2", "--cell", "madeup", "--save", dump, "-q")
    with np.load(dump) as arrays:
        assert arrays["final_state.c"].tolist() == [[3.0] * 4, [1.0] * 4, [2.0] * 4]
    assert json.loads(house("compare", dump, "--cell", "madeup", "--format", "json"))["verdict"] == "clean"
    assert "madeup" in house("run", "--help").partition("--cell")[2][:60]
    weights = str(SAMPLES / "weights.npz")
    assert "not madeup" in house("convert", weights, "--cell", "madeup", "--to", "torch", "-o", dump, code=2)
    lines = house.run(
        "from rnninspect.conventions import conventions\n"
        "from rnninspect.engine.initialise import glorot\n"
        "for name, convention in conventions().items():\n"
        "    try: convention.write_weights(glorot('madeup', 3, 4)); print('written')\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
    )
    assert [line.split(",")[0] for line in lines] == [
        f"UserError {name} has no names for weights of the cell madeup"
        for name in house.run("from rnninspect.conventions import conventions; print(*conventions(), sep='\\n')")
    ]


def test_the_recorder_records(house: House) -> None:
    """`rnninspect.record` hands a model to the recorder that knows it, and judges and saves what that gives."""
    lines = house.run(
        "import sys, types, numpy as np, rnninspect\n"
        "outputs = np.arange(24.0).reshape(2, 3, 4)\n"
        "model = types.SimpleNamespace(madeup_layer=lambda x: (outputs, outputs[:, -1]))\n"
        "with rnninspect.record(model, lengths=[3, 2]) as recording: model.madeup_layer(None)\n"
        "model.madeup_layer(None)\n"
        "print(recording)\n"
        "(report,) = recording.inspect()\n"
        "print(report.verdict, *[f.rule for f in report.findings], report.notes[-1])\n"
        "print('torch' in sys.modules)\n"
        "recording.save('recorded.madeup')\n"
        "try: rnninspect.record({})\n"
        "except rnninspect.UserError as error: print(error)\n"
    )
    assert lines[0] == "<Recording: 1 call (layer x 1)>"
    assert lines[1].startswith("findings lengths-ignored")
    assert lines[1].endswith("made up")
    assert lines[2] == "False"
    assert "madeup: objects with a madeup_layer; " in lines[3]
    assert (house.folder / "recorded.madeup").read_bytes().startswith(b"MADEUP")


SUITE = """
[pytest]
addopts = --import-mode=importlib -p no:cacheprovider
"""
# Files whose tests ask a registry for what they try, and the made-up entry that must be among it.
ASKING = {
    "formats/test_formats.py": ".madeup",
    "conventions/test_conventions.py": "madeup",
    "conventions/test_convention_weights.py": "madeup",
    "conventions/test_convention_errors.py": "madeup",
    "api/test_convert.py": "madeup",
    "diagnosis/test_rules.py": "made-up",
    "diagnosis/test_fixes.py": "made-up",
    "cli/test_explain.py": "made-up",
    "report/test_renderers.py": "madeup",
    "engine/test_cells.py": "madeup",
}
# What `explain` shows of a rule is recorded by `tests.tools.make_demos`, which would have to be run for a new one.
RECORDED = ("test_records_are_what_demo_says", "test_explain_prints_all_of_it")


def test_the_suite_tries_it(house: House) -> None:
    """The tests of each room try the made-up entry without being told of it, and it passes them."""
    (house.folder / "pytest.ini").write_text(SUITE)
    files = [str(ROOT / "tests" / name) for name in ASKING]
    selection = f"(madeup or made-up) and not ({' or '.join(RECORDED)})"
    options = ["-c", "pytest.ini", "--rootdir", str(ROOT), "-q", "-k", selection]
    done = house.python("-m", "pytest", *options, "-rA", *files)
    text = done.stdout.decode()
    assert done.returncode == 0, text[-3000:]
    for name, entry in ASKING.items():
        assert [line for line in text.splitlines() if name in line and entry in line], (name, text[-3000:])
