"""Bars on stderr: what is read is counted, shown on a terminal alone, and wiped away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from rnninspect.cli.progress import Passes
from rnninspect.core import tiles
from tests.support.places import ROOT

COMMAND = """
import sys
from rnninspect.core import tiles
from rnninspect.cli import call, progress
progress.LARGE, tiles.TILE_BYTES = 1, 1
sys.exit(call(sys.argv[1:]))
"""


def test_every_byte_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches hears of all tiles, and of nothing after the block."""
    outputs = np.zeros((5, 7, 3), dtype=np.float32)
    monkeypatch.setattr(tiles, "TILE_BYTES", 40)
    told: list[int] = []
    with tiles.watched(told.append):
        list(tiles.tiles(outputs))
    list(tiles.tiles(outputs))
    assert sum(told) == outputs.nbytes
    assert len(told) > 5


def test_a_second_pass_has_a_bar_of_its_own() -> None:
    """What goes beyond the size of the dump is the next pass, and begins at nothing; a full pass stays full."""
    bar = Progress(disable=True)
    passes = Passes(bar, 100)
    for size in (60, 40):
        passes.advance(size)
    assert [task.description for task in bar.tasks] == ["reading"]
    passes.advance(30)
    assert [task.description for task in bar.tasks] == ["pass 2"]
    assert bar.tasks[0].total == 100


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
@pytest.mark.parametrize("dumps", [["{0}"], ["{0}", "{0}", "{1}"]], ids=["one dump", "several"])
@pytest.mark.parametrize("quiet", [False, True])
def test_shown_on_a_terminal_and_wiped_away(dumps: list[str], quiet: bool, tmp_path: Path) -> None:
    """On a terminal a bar is drawn on stderr, and its line erased; --quiet leaves it out; stdout has none."""
    files = [tmp_path / "a.npz", tmp_path / "b.npz"]
    outputs = np.random.default_rng(0).normal(size=(40, 3, 4))
    for file in files:
        np.savez(file, outputs=outputs, state_h=outputs[:, -1], lengths=np.full(40, 3))
    master, slave = os.openpty()
    arguments = ["compare", *(d.format(*files) for d in dumps), "--format", "ndjson", *(["-q"] if quiet else [])]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        check=False,
    )
    os.close(slave)
    drawn = b""
    while True:
        try:
            piece = os.read(master, 1 << 16)
        except OSError:  # nothing is left, and nobody who could write more
            break
        drawn += piece
    os.close(master)
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout
    assert done.stdout.count(b'"kind":"summary"') == len(set(dumps))
    assert (b"\xe2\x94\x81" in drawn) != quiet  # the bar itself
    assert (b"\x1b[2K" in drawn) != quiet  # erased
