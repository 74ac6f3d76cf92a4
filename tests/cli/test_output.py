"""What is written where there is no terminal is what rich would write there, though rich is not asked."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.commandline import rnninspect
from tests.support.places import SAMPLES

COMMAND = ("compare", SAMPLES / "published.npz", "-q", "--lengths", "3,3,3")
RICH = {"TTY_COMPATIBLE": "0"}  # as without it, but that rich's Console says so
ENVIRONMENTS: list[dict[str, str]] = [
    {},
    {"COLUMNS": "57"},
    {"COLUMNS": "0"},
    {"COLUMNS": "-3"},
    {"COLUMNS": "57", "LINES": "3", "TERM": "dumb"},
    {"NO_COLOR": "1", "TERM": "xterm-256color"},
    {"LC_ALL": "C"},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("more", [(), ("--table", "full"), ("--color", "never")])
def test_a_pipe_gets_what_rich_would_write(
    environment: dict[str, str], more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same width, marks and lines, with one report and with several."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR", "COLUMNS", "LINES", "TERM", "LC_ALL"):
        monkeypatch.delenv(name, raising=False)
    for name, setting in environment.items():
        monkeypatch.setenv(name, setting)
    several = (*COMMAND[:2], SAMPLES / "bidirectional.npz", *COMMAND[2:3])
    plain = [rnninspect(*command, *more) for command in (COMMAND, several)]
    for name, setting in RICH.items():
        monkeypatch.setenv(name, setting)
    assert plain == [rnninspect(*command, *more) for command in (COMMAND, several)]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
@pytest.mark.parametrize("columns", [57, 0])
def test_a_pipe_is_as_wide_as_the_terminal_beside_it(columns: int) -> None:
    """`rnninspect … | less` fills the terminal that stdin still is."""
    import fcntl
    import struct
    import termios

    terminal, other = os.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE")}
    command = [sys.executable, "-m", "rnninspect", *map(str, COMMAND)]
    plain, rich = (
        subprocess.run(command, stdin=other, capture_output=True, text=True, check=False, env=environment | more).stdout
        for more in ({}, RICH)
    )
    os.close(other)
    os.close(terminal)
    assert plain == rich
    assert 0.7 * (columns or 80) < max(map(len, plain.splitlines())) <= (columns or 80)
