"""What the project may be installed with: bounds and pins that agree, and Pythons that are listed."""

from __future__ import annotations

import tomllib

import pytest
from packaging.version import Version

from tests.support.places import ROOT
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
    assert any(version.startswith("dask[distributed]==") for version in versions("oldest", []))


def test_the_pythons_are_listed() -> None:
    """The classifiers name the oldest Python that is allowed and those after it."""
    listed = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert listed == ["3.11", "3.12", "3.13"]
    assert listed[0] == oldest_python()
