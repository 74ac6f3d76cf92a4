"""The command over every recorded run: the mistake that was made is named, and a right run is not accused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rnninspect.cli import call
from tests.support.recordings import GOLDEN, Recording, each

ROLES = {
    "outputs": "--outputs",
    "h": "--state",
    "c": "--cell-state",
    "inputs": "--inputs",
    "lengths": "--lengths",
    "mask": "--mask",
}
# Names that every convention knows; others are said by an option, as a user would.
KNOWN = {"outputs", "output", "Y", "state_h", "state_c", "h_n", "c_n", "Y_h", "Y_c", "final_state", "final_state.h"}
KNOWN |= {"final_state.c", "carry", "carry.h", "carry.c", "inputs", "lengths", "mask", "h", "c", "state"}
STATED = {"direction", "go_backwards", "keep_order", "batch_first", "state_batch_first", "padding", "time_major"}
PAIRS = {case.name: case for case in GOLDEN}


def arguments(case: Recording, folder: Path) -> list[str]:
    """`compare` as the user of that framework would call it; the files have neutral names."""

    def staged(path: Path, name: str) -> str:
        return str(shutil.copy(path, folder / f"{name}{path.suffix}"))

    command = ["compare", staged(case.folder / case["data"], "dump")]
    if not case.correct and case["pair"] in PAIRS:
        command += ["--against", staged(case.folder / PAIRS[case["pair"]]["data"], "reference")]
    command += ["--convention", case["layout"], "--cell", case["cell"].lower(), "--layers", str(case["layers"])]
    config = {name: value for name, value in (case["stated"] or {}).items() if name in STATED}
    config["time_major"] = config.get("time_major", case["time_major"]) or None
    if case["directions"] == 2 and "direction" not in config:
        command.append("--bidirectional")
    for name, value in {**(case["attributes"] or {}), **config}.items():
        command += option(name, value)
    for role, name in (case["roles"] or {}).items():
        if isinstance(name, str) and name not in KNOWN and role in ROLES:
            command += [ROLES[role], name]
    if case.weighed:
        command += ["--weights", staged(case.folder / case["weights"], "weights")]
        if case["weights_layout"] not in (None, case["layout"]):
            command += ["--weights-convention", case["weights_layout"]]
    return [*command, "--format", "json", "--quiet"]


def option(name: str, value: Any) -> list[str]:
    """A statement as an option.

    >>> option("time_major", True), option("reset_after", False), option("activations", ["Tanh", "Relu"])
    (['--time-major'], ['--no-reset-after'], ['--activations', 'Tanh,Relu'])
    """
    option_name = name.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{option_name}" if value else f"--no-{option_name}"]
    return [f"--{option_name}", ",".join(value) if isinstance(value, list) else str(value)]


def named(finding: dict[str, Any]) -> set[str]:
    return {finding["rule"], *finding["alternatives"]}


@each(GOLDEN)
def test_the_mistake_is_named(case: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exactly the mistakes that were made, errors called errors; of a right run only what is listed as acceptable."""
    code = call(arguments(case, tmp_path))
    printed = capsys.readouterr()
    assert code in (0, 1), printed.err
    findings = json.loads(printed.out)["findings"]
    expected = set(case["mistakes"])
    for mistake in expected:
        loud = (case.fields.get("severity") or {}).get(mistake, "error")
        assert [f for f in findings if mistake in named(f) and (loud != "error" or f["severity"] == "error")]
    assert not [f["message"] for f in findings if not named(f) & (expected | set(case["acceptable"]))]
    assert code == int(any(f["severity"] == "error" for f in findings))


@each([case for case in GOLDEN if case.correct])
def test_the_matching_steps_are_those_recorded(
    case: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every step that a final state equals, found by a program of its own when the run was recorded."""
    call(arguments(case, tmp_path))
    tracks = {(t["layer"], t["direction"]): t["rows"] for t in json.loads(capsys.readouterr().out)["tracks"]}
    exact = str(case["data"]).endswith(".npz")
    for track in case["expected"]["tracks"]:
        if not track.get("outputs_given") or not track.get("all_steps"):
            continue
        rows = tracks[track["layer"], {"fw": "forward", "bw": "backward"}[track["direction"]]]
        for row, steps in zip(rows, track["all_steps"], strict=True):
            assert row["steps"] == steps if exact else set(steps) <= set(row["steps"])


def test_mistakes_of_every_kind_are_recorded() -> None:
    """The recordings hold enough different mistakes, and enough right runs, for a pass to mean something."""
    assert len({m for case in GOLDEN for m in case["mistakes"]}) >= 35
    assert len([case for case in GOLDEN if case.correct]) >= 50
