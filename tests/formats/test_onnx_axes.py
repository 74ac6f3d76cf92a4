"""Two ONNX nodes are a stack where steps and rows reach the upper one as it reads them, however they were turned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect.formats import read_arrays

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

UNITS, FEATURES, STEPS, ROWS = 4, 3, 5, 2

# Operators between the two nodes, with what each is told: a permutation, or axes.
Between = list[tuple[str, list[int]]]
STACKS: dict[str, tuple[int, Between]] = {
    "one axis away": (1, [("Squeeze", [1])]),
    "counted from the end": (1, [("Squeeze", [-3])]),
    "turned and turned back": (1, [("Squeeze", [1]), ("Transpose", [1, 0, 2]), ("Transpose", [1, 0, 2])]),
    "turned with the directions' axis": (1, [("Transpose", [0, 2, 1, 3]), ("Reshape", [0, 0, -1])]),
    "an axis put in and taken out": (1, [("Squeeze", [1]), ("Unsqueeze", [2]), ("Squeeze", [2])]),
    "joined and parted where they were": (1, [("Reshape", [-1, UNITS]), ("Reshape", [STEPS, -1, UNITS])]),
    "with the lengths that it has": (2, [("Transpose", [0, 2, 1, 3]), ("Reshape", [STEPS, ROWS, 2 * UNITS])]),
    "both directions side by side": (2, [("Transpose", [0, 2, 1, 3]), ("Reshape", [0, 0, -1])]),
}
NO_STACKS: dict[str, tuple[int, Between]] = {
    "steps for rows": (1, [("Squeeze", [1]), ("Transpose", [1, 0, 2])]),
    "steps for rows, both directions": (2, [("Transpose", [2, 0, 1, 3]), ("Reshape", [0, 0, -1])]),
    "units for rows": (1, [("Squeeze", [1]), ("Transpose", [0, 2, 1])]),
    "directions among the rows": (2, [("Reshape", [0, -1, UNITS])]),
    "directions among the units of other rows": (2, [("Reshape", [0, -1, 2 * UNITS])]),
}
# The lengths of a Reshape tell these from stacks only where those of X are fixed.
NO_STACKS_OF_FIXED: dict[str, tuple[int, Between]] = {
    "rows for steps by a reshape": (1, [("Reshape", [ROWS, STEPS, UNITS])]),
    "joined, and parted elsewhere": (1, [("Reshape", [-1, UNITS]), ("Reshape", [ROWS, -1, UNITS])]),
    "reshaped once more": (
        2,
        [("Transpose", [0, 2, 1, 3]), ("Reshape", [0, 0, -1]), ("Reshape", [ROWS, STEPS, 2 * UNITS])],
    ),
}


def below(folder: Path, directions: int, between: Between, fixed: bool = False) -> tuple[str | None, str]:
    """The layer under the upper node, and what that reads, in words."""
    wide = UNITS * directions
    shapes = {"a": (directions, FEATURES, "bidirectional" if directions == 2 else "forward"), "b": (1, wide, "forward")}
    nodes, stored, value = [], {}, "X"
    for name, (count, features, direction) in shapes.items():
        stored |= {
            f"{name}W": np.ones((count, 4 * UNITS, features), np.float32),
            f"{name}R": np.ones((count, 4 * UNITS, UNITS), np.float32),
        }
        inputs, attributes = [value, f"{name}W", f"{name}R"], {"hidden_size": UNITS, "direction": direction}
        nodes.append(helper.make_node("LSTM", inputs, [f"{name}Y"], name=name, **attributes))
        value = f"{name}Y"
        for i, (operator, told) in enumerate(between if name == "a" else []):
            behind: dict[str, Any] = {"perm": told} if operator == "Transpose" else {}
            stored |= {} if behind else {f"told{i}": np.array(told)}
            nodes.append(helper.make_node(operator, [value] if behind else [value, f"told{i}"], [f"v{i}"], **behind))
            value = f"v{i}"
    shape = [STEPS, ROWS, FEATURES] if fixed else None
    ends = [
        helper.make_tensor_value_info(*end)
        for end in (("X", TensorProto.FLOAT, shape), ("bY", TensorProto.FLOAT, None))
    ]
    held = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], held)
    (folder / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    feed = read_arrays(folder / "m.onnx").feeds["b"]
    return feed.below, feed.reads


@pytest.mark.parametrize("fixed", [False, True], ids=["any batch", "one size of batch"])
@pytest.mark.parametrize("which", list(STACKS))
def test_outputs_that_arrive_as_they_are(which: str, fixed: bool, tmp_path: Path) -> None:
    """What only names or orders the same axes makes no difference."""
    assert below(tmp_path, *STACKS[which], fixed) == ("a", "the outputs of a")


@pytest.mark.parametrize("fixed", [False, True], ids=["any batch", "one size of batch"])
@pytest.mark.parametrize("which", [*NO_STACKS, *NO_STACKS_OF_FIXED])
def test_outputs_that_arrive_turned_are_no_stack(which: str, fixed: bool, tmp_path: Path) -> None:
    """The upper node reads rows as steps, or units as rows: that is said, where the file tells."""
    lower, reads = below(tmp_path, *(NO_STACKS | NO_STACKS_OF_FIXED)[which], fixed)
    if which in NO_STACKS_OF_FIXED and not fixed:
        assert lower == "a"
        return
    assert lower is None
    assert reads.startswith("the outputs of a; with other axes, through ")
