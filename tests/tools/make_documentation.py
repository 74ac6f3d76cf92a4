"""Runs the recurrent examples of the frameworks' documentation, and saves what each leaves in hand.

    pip install torch==2.13.0 keras==3.15.1 flax==0.12.8 dm-haiku==0.0.17 onnx==1.23.2 onnxruntime==1.32.0
    pip install paddlepaddle==3.3.1 tensorflow==2.21.0 tf_keras==2.21.0
    python tests/tools/make_documentation.py [torch keras flax …]

Writes `tests/data/documentation/`: the files, and an entry each in `index.json`. Of frameworks that are not named, and
of those not installed, the entries and files stay as they are; so do the known failures, by name and call.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")
FRAMEWORKS = ("torch", "keras", "flax", "haiku", "onnx", "paddle", "tf1")


def main(chosen: list[str]) -> None:
    from documentation.saving import FOLDER

    path = FOLDER / "index.json"
    old: list[dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else []
    new: list[dict[str, Any]] = []
    for framework in FRAMEWORKS:
        kept = [entry for entry in old if entry["name"].startswith(f"{framework}-")]
        if chosen and framework not in chosen:
            new += kept
            continue
        try:
            examples = importlib.import_module(f"documentation.{framework}_examples")
        except ImportError as error:
            print(f"{framework}: {error}; its examples stay as they are")
            new += kept
            continue
        for file in {file for entry in kept for file in entry["files"]}:
            (FOLDER / file).unlink(missing_ok=True)
        made = examples.make().entries
        failures = {entry["name"]: entry["known_failures"] for entry in kept}
        new += [{**entry, "known_failures": failures.get(entry["name"], {})} for entry in made]
        print(f"{framework}: {len(made)} examples")
    path.write_text("[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in new) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
