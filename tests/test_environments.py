"""What the project may be installed with: bounds and pins that agree, and Pythons that are listed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

from tests.support.places import ROOT
from tests.tools import environments
from tests.tools.environments import oldest_python, pins, requirements, versions

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.mark.parametrize(("package", "bound"), list(requirements().items()))
def test_each_package_has_a_bound_and_a_pin_above_it(package: str, bound: str) -> None:
    """What is allowed has a lower bound, and the suite is run against a version that is allowed."""
    assert bound, f"{package} has no lower bound"
    assert Version(pins()[package.split("[")[0]]) >= Version(bound)


def test_the_oldest_environment_is_the_bounds() -> None:
    """Each package at its lower bound, on the oldest Python; what is left out is not asked for."""
    assert f"numpy=={requirements()['numpy']}" in versions("oldest", [])
    assert f"numpy=={pins()['numpy']}" in versions("3.13", [])
    assert not any(version.startswith("torch==") for version in versions("oldest", ["torch"]))
    assert f"torch=={pins()['torch']}" in versions("oldest", [], ["torch"])
    assert any(version.startswith("dask[distributed]==") for version in versions("oldest", []))


def test_the_pythons_are_listed() -> None:
    """The classifiers name the oldest Python that is allowed and those after it."""
    listed = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert listed == ["3.11", "3.12", "3.13"]
    assert listed[0] == oldest_python()


def test_a_package_that_pip_cannot_have_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The line says which package could not be installed, or which Python is not there."""
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    asked = [sys.executable, "nothing==99", "--no-index"]
    monkeypatch.setattr(environments, "versions", lambda *_: asked[1:])
    monkeypatch.setattr(environments, "interpreter", lambda _: asked[0])
    assert environments.made("3.11", [], []) == "not made: pip says No matching distribution found for nothing==99"
    monkeypatch.setattr(environments, "interpreter", lambda _: None)
    assert environments.made("3.11", [], []) == "not made: there is no Python 3.11 here"


@pytest.mark.parametrize(("module", "outcome"), [("left_out_here", "1 skipped"), ("another_one", "1 failed")])
def test_what_was_left_out_is_no_failure(module: str, outcome: str, tmp_path: Path) -> None:
    """A test that fails for want of a package that was left out is skipped; for want of another one it fails."""
    (tmp_path / "test_it.py").write_text(f"def test_it():\n    import {module}\n")
    environment = {**os.environ, "LEFT_OUT": "left_out_here", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.support.left_out"]
    ran = subprocess.run([*command, tmp_path], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert outcome in ran.stdout.splitlines()[-1]
