"""The recorded runs of real frameworks: `golden/`, and what it lacks in `recorded/`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from tests.support.places import DATA


@dataclass(frozen=True)
class Recording:
    """One case of an `index.json`; its fields are explained in `golden/README.md`."""

    folder: Path
    fields: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    @property
    def name(self) -> str:
        return str(self["name"])

    @property
    def correct(self) -> bool:
        return not self["mistakes"]

    @property
    def weighed(self) -> bool:
        return bool(self["weights"])

    @property
    def config(self) -> LayerConfig:
        """What the user of that framework would state."""
        config = dict(self["stated"] or {})
        config.pop("batch_first", None)
        config.setdefault("direction", "bidirectional" if self["directions"] == 2 else None)
        config.setdefault("time_major", self["time_major"])
        return LayerConfig(cell=self["cell"].lower(), layers=self["layers"], attributes=self["attributes"], **config)

    def dump(self) -> dict[str, Array]:
        return _arrays(self.folder / self["data"])

    def weights(self) -> dict[str, Array]:
        return _arrays(self.folder / self["weights"])


def _arrays(path: Path) -> dict[str, Array]:
    with np.load(path) as z:
        return {key: z[key] for key in z.files}


def _of(folder: str) -> list[Recording]:
    read = json.loads((DATA / folder / "index.json").read_text())
    return [Recording(DATA / folder, case) for case in (read["cases"] if isinstance(read, dict) else read)]


GOLDEN = _of("golden")
RECORDED = _of("recorded")


def each(cases: list[Recording]) -> pytest.MarkDecorator:
    """One test a recording, under its name."""
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])
