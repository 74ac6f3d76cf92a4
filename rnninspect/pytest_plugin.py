"""The pytest plugin: one fixture. It imports neither numpy nor torch before a test calls it.

It is registered by entry point; `pytest -p no:rnninspect` leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rnninspect.testing import assert_final_state


@pytest.fixture(scope="session", name="assert_final_state")
def _assert_final_state() -> Callable[..., None]:
    """rnninspect.testing.assert_final_state: outputs and final state belong together, or the test fails with why."""
    return assert_final_state
