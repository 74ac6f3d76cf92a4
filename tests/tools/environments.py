"""Makes environments that the suite must pass in, and runs it there: other Pythons, and the oldest packages allowed.

`python -m tests.tools.environments 3.11 3.12 3.13 oldest [-- PYTEST ARGUMENTS]`: the Pythons with the versions of
`tests/constraints.txt`; `oldest` with the lower bounds of `pyproject.toml`, on the oldest Python that it allows. They
lie under `build/environments` and are used again (delete one to make it anew). A Python is looked for on the path
(`python3.12`) and among pyenv's. `--without torch` leaves packages out, where they are too large to fetch: then give
the tests that need none of them. Prints a line an environment; exits 1 where one failed.
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


def versions(name: str, without: Iterable[str]) -> list[str]:
    """What pip is to install in an environment: `name==version`, one a package."""
    left_out = set(without)
    newest = pins()
    bounds = {package: bound for package, bound in requirements().items() if package.split("[")[0] not in left_out}
    return [f"{p}=={bound if name == 'oldest' else newest[p.split('[')[0]]}" for p, bound in bounds.items()]


def interpreter(version: str) -> str | None:
    """The path of that Python, where this machine has it."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return shutil.which(f"python{version}") or (str(pyenv[-1]) if pyenv else None)


def made(name: str, without: list[str]) -> Path | str:
    """The Python of an environment, made where there is none; or why there can be none."""
    version = oldest_python() if name == "oldest" else name
    base = interpreter(version)
    if base is None:
        return f"no Python {version} here"
    place = FOLDER / "-".join([name, *(f"no-{package}" for package in without)])
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (place / "done").exists():
        subprocess.run([base, "-m", "venv", "--clear", str(place)], check=True)
        install = [str(python), "-m", "pip", "install", "-q"]
        for arguments in (versions(name, without), ["--no-deps", "-e", str(ROOT)]):
            if subprocess.run([*install, *arguments], check=False).returncode:
                return "pip could not install it"
        (place / "done").touch()
    return python


def main() -> None:
    """Runs pytest in each environment that was named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("environments", nargs="+", help="3.11, 3.12, …, oldest")
    parser.add_argument("--without", nargs="*", default=[], metavar="PACKAGE")
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:split])
    failed = False
    for name in options.environments:
        python = made(name, options.without)
        line = python if isinstance(python, str) else None
        if line is None:
            command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *sys.argv[split + 1 :]]
            ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            line = ran.stdout.strip().splitlines()[-1] if ran.stdout.strip() else f"exit {ran.returncode}"
            failed |= ran.returncode != 0
            if ran.returncode:
                print(ran.stdout[-4000:])
        failed |= isinstance(python, str)
        print(f"{name}: {line}", flush=True)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
