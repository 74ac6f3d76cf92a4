"""Every test file is imported on every system: what only POSIX has is reached for within the tests that need it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import PACKAGE, ROOT

MODULES = {"curses", "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
OF_OS = (
    "WNOHANG chown fork forkpty geteuid getloadavg getpgid getuid killpg mkfifo mknod nice openpty register_at_fork "
    "sched_getaffinity setsid sysconf uname wait"
)
OF_SIGNAL = "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGSTOP SIGUSR1 alarm pthread_kill setitimer"
ATTRIBUTES = {"os": set(OF_OS.split()), "signal": set(OF_SIGNAL.split()), "socket": {"AF_UNIX"}, "time": {"tzset"}}


def posix_on_import(text: str) -> list[str]:
    """What a module takes from POSIX alone while it is imported, as `line: name`."""
    return [f"{line}: {name}" for line, name in _seen(ast.parse(text))]


def _seen(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The same below a node: a function's decorators and defaults count, its body does not; nor does what a condition
    guards (`if sys.platform`, `hasattr`), nor a `try`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If | ast.Try | ast.IfExp | ast.Lambda):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in (*child.decorator_list, child.args):
                yield from _seen(ast.Expression(part))  # type: ignore[arg-type]
            continue
        if isinstance(child, ast.Import):
            yield from ((child.lineno, a.name) for a in child.names if a.name.split(".")[0] in MODULES)
        elif isinstance(child, ast.ImportFrom) and not child.level:
            of = ATTRIBUTES.get(child.module or "", set())
            names = [a.name for a in child.names if a.name in of]
            yield from ((child.lineno, name) for name in ([child.module] if child.module in MODULES else names) if name)
        elif isinstance(child, ast.Attribute) and child.attr in ATTRIBUTES.get(ast.unparse(child.value), set()):
            yield child.lineno, ast.unparse(child)
        yield from _seen(child)


@pytest.mark.parametrize("folder", [PACKAGE, ROOT / "tests"], ids=["package", "tests"])
def test_nothing_needs_posix_to_be_imported(folder: Path) -> None:
    """No file of the package or of the tests fails to import where there is no POSIX."""
    files = [path for path in sorted(folder.rglob("*.py")) if ROOT / "tests" / "data" not in path.parents]
    assert len(files) > 50
    seen = {str(path.relative_to(ROOT)): posix_on_import(path.read_text("utf-8")) for path in files}
    assert {path: names for path, names in seen.items() if names} == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import resource\n", ["1: resource"]),
        ("import sys, pty\n", ["1: pty"]),
        ("from pwd import getpwnam\n", ["1: pwd"]),
        ("from signal import SIGKILL, SIGTERM\n", ["1: SIGKILL"]),
        ("import os\n\nUSER = os.geteuid()\n", ["3: os.geteuid"]),
        ("class A:\n    end = signal.SIGKILL\n", ["2: signal.SIGKILL"]),
        ("@mark(os.geteuid() == 0)\ndef f():\n    pass\n", ["1: os.geteuid"]),
        ("def f(how=signal.SIGKILL):\n    pass\n", ["1: signal.SIGKILL"]),
        ("CASES = [(1, os.fork)]\n", ["1: os.fork"]),
        ("def f():\n    import resource\n    os.fork()\n", []),
        ("if sys.platform != 'win32':\n    import resource\n", []),
        ("try:\n    import fcntl\nexcept ImportError:\n    fcntl = None\n", []),
        ("later = lambda: os.fork()\n", []),
        ("import os\n\nPATH = os.path\n", []),
    ],
)
def test_what_needs_posix_is_seen(text: str, names: list[str]) -> None:
    """The guard itself can fail, and leaves alone what is not reached on import."""
    assert posix_on_import(text) == names
