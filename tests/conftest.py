"""What holds for every test: hypothesis draws the same examples each time, Keras runs on torch, one thread computes, no
test sees another's colours, and `--shuffle SEED` changes the order."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("suite", derandomize=True, deadline=None, database=None)
settings.load_profile("suite")
os.environ.setdefault("KERAS_BACKEND", "torch")  # before the first test imports it
# Before numpy and torch start: a second thread gains nothing on small arrays and waits for work by spinning, which
# makes bounds on processor time depend on what else the machine does.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run the files, and the tests of each, in another order"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files in another order, and within each its tests: what a file's fixtures hold is made once all the same."""
    seed = config.getoption("--shuffle")
    if seed is None:
        return
    draw = random.Random(seed)
    files = {item.path: draw.random() for item in items}
    items.sort(key=lambda item: (files[item.path], draw.random()))


@pytest.fixture(autouse=True)
def _styles_of_its_own() -> Iterator[None]:
    """rich keeps a style's codes as they were printed first, be it in 16 colours: forget them after each test."""
    yield
    if "rich.style" in sys.modules:
        style = sys.modules["rich.style"].Style
        style.parse.cache_clear()
        style._add.cache_clear()
