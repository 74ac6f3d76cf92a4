"""The pytest plugin: two fixtures, and one setting. It imports neither numpy nor torch before a test calls it.

It is registered by entry point; `pytest -p no:rnninspect` leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rnninspect.core.full_lengths import FULL
from rnninspect.testing import assert_final_state, assert_ignores_padding

SETTING = "rnninspect_lengths"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The setting: `rnninspect_lengths = full`, where no batch of a project's tests holds padding."""
    parser.addini(SETTING, "full: assert_final_state takes every step as real where a test states no lengths or mask")


def pytest_configure(config: pytest.Config) -> None:
    """Raise UsageError on a setting that it does not know."""
    setting = config.getini(SETTING)
    if setting not in ("", FULL):
        raise pytest.UsageError(f"{SETTING} is {setting!r}; a project may state only {FULL!r}")


@pytest.fixture(scope="session", name="assert_final_state")
def _assert_final_state(pytestconfig: pytest.Config) -> Callable[..., None]:
    """rnninspect.testing.assert_final_state: outputs and final state belong together, or the test fails with why."""
    if pytestconfig.getini(SETTING) != FULL:
        return assert_final_state

    def assert_full_unless_stated(*arrays: Any, **options: Any) -> None:
        """The same, under the project's setting."""
        __tracebackhide__ = True
        assert_final_state(*arrays, **{"full_lengths": "assumed", **options})

    return assert_full_unless_stated


@pytest.fixture(scope="session", name="assert_ignores_padding")
def _assert_ignores_padding() -> Callable[..., None]:
    """rnninspect.testing.assert_ignores_padding: no row depends on its padding, or the test fails with where."""
    return assert_ignores_padding
