"""The packaged worked examples: `sample_data/` beside the package in a checkout, inside it when installed."""

from __future__ import annotations

from pathlib import Path

from rnninspect.errors import UnknownNameError


def path(name: str) -> str:
    """The file of that name; UnknownNameError lists the packaged ones."""
    here = Path(__file__).resolve().parents[2]  # the package
    for folder in (here / "sample_data", here.parent / "sample_data"):
        if (folder / name).exists():
            return str(folder / name)
    folders = [f for f in (here / "sample_data", here.parent / "sample_data") if f.is_dir()]
    raise UnknownNameError("sample", name, sorted(p.name for f in folders for p in f.iterdir()))
