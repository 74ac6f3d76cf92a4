"""What holds for every test: hypothesis draws the same examples each time, Keras runs on torch, and `--shuffle SEED`
changes the order."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import settings

settings.register_profile("suite", derandomize=True, deadline=None, database=None)
settings.load_profile("suite")
os.environ.setdefault("KERAS_BACKEND", "torch")  # before the first test imports it


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
