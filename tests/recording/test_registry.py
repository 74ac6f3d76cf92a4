"""Which recorder knows which model, and that asking imports no framework."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from torch import nn

import rnninspect
from rnninspect.errors import UserError
from rnninspect.recording.registry import recorders, recorders_of


def test_importing_the_room_imports_no_framework() -> None:
    """`import rnninspect.recording`, the list of recorders and a refusal need no framework, and no torch."""
    code = (
        "import sys, rnninspect.recording as r; names = list(r.recorders())\n"
        "imported = {'torch', 'keras', 'jax', 'flax', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
        "try: r.record(object())\n"
        "except Exception as e: print(type(e).__name__, *names, *imported)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["UserError", "flax", "keras", "onnx", "torch"]


@pytest.mark.parametrize(
    ("model", "called"),
    [({}, "a builtins.dict"), (np.ones(3), "a numpy.ndarray"), (nn.LSTM, "a builtins.type"), (len, "a builtins.b")],
)
def test_a_model_of_no_known_kind_is_one_line(model: Any, called: str) -> None:
    """What no recorder knows is named by its type, beside all the kinds that can be recorded."""
    with pytest.raises(UserError) as caught:
        rnninspect.record(model)
    text = str(caught.value)
    assert text.startswith(called)
    assert "\n" not in text
    assert all(f"{r.name}: {r.models}" in text for r in recorders().values())


def test_a_module_is_torchs_and_no_model_is_everybodys() -> None:
    """Any torch module goes to torch's recorder; without a model all that can record everything do."""
    assert [r.name for r in recorders_of(nn.Linear(2, 2))] == ["torch"]
    assert [r.name for r in recorders_of(None)] == [r.name for r in recorders().values() if r.everything]
