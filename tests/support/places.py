"""Where the repository's files lie, for every test."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rnninspect"
SAMPLES = ROOT / "sample_data"
DATA = ROOT / "tests" / "data"
GOLDEN = DATA / "golden"
RECORDED = DATA / "recorded"
PRINTED = DATA / "printed"
FIELD = DATA / "field"
