"""Makes environments that the suite must pass in, and runs it there: other Pythons, and the oldest packages allowed.

`python -m tests.tools.environments 3.11 3.12 3.13 oldest [-- PYTEST ARGUMENTS]`: the Pythons with the versions of
`tests/constraints.txt`; `oldest` with the lower bounds of `pyproject.toml`, on the oldest Python that it allows. They
lie under `build/environments` and are used again (delete one to make it anew). A Python is looked for among pyenv's
and on the path (`python3.12`). Where a package is too large to fetch, or has no wheel for a Python, `--pinned torch`
takes it at the version of `tests/constraints.txt` in `oldest` too, and `--without torch` leaves it out: tests that fail
for want of it are then skipped. Prints a line an environment: what pytest said at the end, or why it could not be
made; exits 1 where one failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from tests.support.places import ROOT

FOLDER = ROOT / "build" / "environments"
CONSTRAINTS = ROOT / "tests" / "constraints.txt"
REQUIREMENT = re.compile(r"([\w.-]+)(\[[\w,.-]+\])?\s*(?:>=\s*([\w.]+))?")


def requirements() -> dict[str, str]:
    """Every package that the project and its extras name, with its lower bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    listed = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    bounds = {}
    for requirement in listed:
        read = REQUIREMENT.fullmatch(requirement)
        if read is None:
            raise SystemExit(f"{requirement}: a name and a lower bound (>=) are needed")
        if read[1] != project["name"]:
            bounds[read[1] + (read[2] or "")] = read[3] or ""
    return bounds


def pins() -> dict[str, str]:
    """The versions that the suite is run against, by package."""
    lines = CONSTRAINTS.read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def oldest_python() -> str:
    """The oldest Python that the project allows: `3.11`."""
    bound = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    return str(bound).removeprefix(">=")


def versions(name: str, without: Iterable[str], pinned: Iterable[str] = ()) -> list[str]:
    """What pip is to install in an environment: `name==version`, one a package.

    Args: `without`: packages that are left out; `pinned`: packages that `oldest` takes at their usual version.
    """
    newest, asked = pins(), []
    for package, bound in requirements().items():
        plain = package.split("[")[0]
        if plain not in set(without):
            asked.append(f"{package}=={bound if name == 'oldest' and plain not in set(pinned) else newest[plain]}")
    return asked


def interpreter(version: str) -> str | None:
    """The path of that Python, where this machine has it and it starts (a shim of pyenv's may not)."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for path in (*map(str, reversed(pyenv)), shutil.which(f"python{version}")):
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


def made(name: str, without: list[str], pinned: list[str]) -> Path | str:
    """The Python of an environment, made where there is none; or why there can be none.

    Args: as those of `versions`.
    """
    version = oldest_python() if name == "oldest" else name
    base = interpreter(version)
    if base is None:
        return f"not made: there is no Python {version} here"
    kept = pinned if name == "oldest" else []
    place = FOLDER / "-".join([name, *(f"no-{package}" for package in without), *(f"pinned-{p}" for p in kept)])
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (place / "done").exists():
        subprocess.run([base, "-m", "venv", "--clear", str(place)], check=True)
        install = [str(python), "-m", "pip", "install", "-q"]
        for arguments in (versions(name, without, pinned), ["--no-deps", "-e", str(ROOT)]):
            ran = subprocess.run([*install, *arguments], capture_output=True, text=True, check=False)
            if ran.returncode:
                return f"not made: pip says {_reason(ran.stderr)}"
        (place / "done").touch()
    return python


def _reason(stderr: str) -> str:
    """What pip found wrong: its last line of an error, which names the package."""
    errors = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR: ")]
    return errors[-1] if errors else "nothing of why"


def passes(name: str, python: Path, without: list[str], arguments: list[str]) -> bool:
    """Whether the suite passes there; prints the last line of what pytest said, and the failures before it.

    Args: `without`: packages that are not there; `arguments` of pytest.
    """
    plugin = ["-p", "tests.support.left_out"] if without else []
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LEFT_OUT": " ".join(without)}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    lines = ran.stdout.strip().splitlines() or [f"exit {ran.returncode}: {ran.stderr[-2000:]}"]
    if ran.returncode:
        print("\n".join(line for line in lines if line.startswith(("FAILED", "ERROR"))))
    print(f"{name}: {lines[-1]}", flush=True)
    return ran.returncode == 0


def main() -> None:
    """Runs pytest in each environment that was named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("environments", nargs="+", help="3.11, 3.12, …, oldest")
    parser.add_argument("--without", nargs="*", default=[], metavar="PACKAGE")
    parser.add_argument("--pinned", nargs="*", default=[], metavar="PACKAGE")
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:split])
    failed = False
    for name in options.environments:
        python = made(name, options.without, options.pinned)
        if isinstance(python, str):
            print(f"{name}: {python}", flush=True)
            failed = True
        else:
            failed |= not passes(name, python, options.without, sys.argv[split + 1 :])
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
