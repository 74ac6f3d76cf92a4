"""Writes what an example left in hand, as its reader would save it, and keeps the index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "data" / "documentation"


class Set:
    """The examples of one framework: `save` writes one."""

    def __init__(self, framework: str, version: str, convention: str) -> None:
        self.framework, self.version, self.convention = framework, version, convention
        self.entries: list[dict[str, Any]] = []

    def save(
        self,
        name: str,
        source: str,
        files: Mapping[str, Any],
        *calls: str,
        saved: str,
        changed: str = "",
    ) -> None:
        """Writes the files and enters the example.

        `source`: the docstring or page. `files`: what is in each; the suffix says how it is written, and a suffix alone
        stands for the example's name. `calls`: the arguments of `compare`, as one text each, `@` standing for the
        example's name; without any it is the first file alone. `saved`: the style in words. `changed`: what is not as
        the page has it.
        """
        named = {name + file if file.startswith(".") else file.replace("@", name): held for file, held in files.items()}
        for file, held in named.items():
            write(FOLDER / file, held)
        commands = [call.replace("@", name) for call in calls] or [next(iter(named))]
        self.entries.append(
            {
                "name": name,
                "framework": f"{self.framework} {self.version}",
                "convention": self.convention,
                "source": source,
                "files": list(named),
                "saved": saved,
                "changed": changed,
                "calls": commands,
            }
        )


def write(path: Path, held: Any) -> None:
    """One file, by its suffix."""
    if path.suffix == ".npz":
        positional, named = held if isinstance(held, tuple) else ((), held)
        np.savez(path, *map(array, positional), **{key: array(value) for key, value in named.items()})
    elif path.suffix == ".npy":
        np.save(path, array(held))
    elif path.suffix == ".pt":
        import torch

        torch.save(held, path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(held, default=lambda a: array(a).tolist()) + "\n")
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({key: np.ascontiguousarray(array(value)) for key, value in held.items()}, path)
    elif path.suffix == ".msgpack":
        from flax import serialization

        path.write_bytes(serialization.to_bytes(held))
    elif path.suffix == ".h5":
        import h5py

        with h5py.File(path, "w") as file:
            for key, value in held.items():
                file[key] = array(value)
    else:
        path.write_bytes(held)


def array(value: Any) -> np.ndarray:
    """Any framework's array, with its graph left behind."""
    for step in ("detach", "numpy"):
        value = getattr(value, step)() if hasattr(value, step) and not isinstance(value, np.ndarray) else value
    return np.asarray(value)
