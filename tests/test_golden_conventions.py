"""The recorded runs of eight frameworks, read as their users would: facts, weights and dumps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logical import assert_same_tracks, assert_same_weights

from rnninspect import conventions
from rnninspect.conventions.base import Slot, Statement
from rnninspect.conventions.readings import readings
from rnninspect.conventions.roles import assign_roles
from rnninspect.trace import Array

GOLDEN = Path(__file__).parent / "golden"
CASES: list[dict[str, Any]] = json.loads((GOLDEN / "index.json").read_text())["cases"]
CORRECT = [case for case in CASES if not case["mistakes"]]
WEIGHED = [case for case in CASES if case.get("weights")]


def named(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


def arrays_of(file: str) -> dict[str, Array]:
    with np.load(GOLDEN / file) as z:
        return {key: z[key] for key in z.files}


def statement_of(case: dict[str, Any]) -> Statement:
    """What the user of that framework would state."""
    said = dict(case.get("stated") or {})
    said.pop("batch_first", None)
    said.setdefault("direction", "bidirectional" if case["directions"] == 2 else None)
    said.setdefault("time_major", case["time_major"])
    return Statement(cell=case["cell"].lower(), layers=case["layers"], attributes=case["attributes"], **said)


@named(CORRECT)
def test_the_first_reading_gives_the_recorded_steps(case: dict[str, Any]) -> None:
    """Every final state equals, bit for bit, the output at the step that is expected of it, which was recorded."""
    convention, said = conventions.get(case["layout"]), statement_of(case)
    reading = readings(convention, assign_roles(convention, arrays_of(case["data"]), said), said)[0]
    assert reading.stated
    trace = reading.trace
    checked = 0
    for recorded in case["expected"]["tracks"]:
        track = trace.track(recorded["layer"], {"fw": "forward", "bw": "backward"}[recorded["direction"]])
        assert track is not None
        assert track.final is not None
        if case["cell"] == "LSTM" and "state_is_tuple" not in case["attributes"] and _saves_cells(case):
            assert track.cell is not None
        if not recorded["outputs_given"]:
            continue
        assert track.outputs is not None
        for row, (step, given) in enumerate(zip(trace.expected_steps(track), recorded["all_steps"], strict=True)):
            if given and recorded["steps"][row] is not None:
                assert step in given
                assert np.array_equal(track.outputs[row, step], track.final[row])
                checked += 1
    assert checked


def _saves_cells(case: dict[str, Any]) -> bool:
    return any(name in str(list(arrays_of(case["data"]))) for name in ("_c", ".c", "'c'"))


@named(CASES)
def test_every_dump_has_a_reading(case: dict[str, Any]) -> None:
    """A mistaken dump is read as well: the mistakes are named later, by the numbers."""
    convention, said = conventions.get(case["layout"]), statement_of(case)
    arrays = arrays_of(case["data"])
    roles = {role: name for role, name in case["roles"].items() if role in ("outputs", "h", "c")}
    stated = {role: Slot(role, name, arrays[name]) for role, name in roles.items() if isinstance(name, str)}  # type: ignore[arg-type]
    assert readings(convention, assign_roles(convention, arrays, said, stated), said)  # type: ignore[arg-type]


@named(WEIGHED)
def test_weights_come_back_as_they_were(case: dict[str, Any]) -> None:
    """Weights are read whole, recognised as their framework's, and written again to the same numbers."""
    convention, said = conventions.get(case["weights_layout"]), statement_of(case)
    arrays = arrays_of(case["weights"])
    weights = convention.read_weights(arrays, said)
    assert convention in conventions.of_weights(arrays)
    again = convention.write_weights(weights)
    assert sorted((a.shape, a.dtype.str, a.tobytes()) for a in arrays.values()) == sorted(
        (a.shape, a.dtype.str, a.tobytes()) for a in again.values()
    )
    assert_same_weights(weights, convention.read_weights(again, said))


@named([case for case in CORRECT if case.get("weights") and case["weights_layout"] == case["layout"]])
def test_weights_speak_for_themselves(case: dict[str, Any]) -> None:
    """Cell, layers and directions come out of the weights alone, but for a single reverse direction."""
    convention, said = conventions.get(case["weights_layout"]), statement_of(case)
    stated = convention.read_weights(arrays_of(case["weights"]), said)
    alone = convention.read_weights(arrays_of(case["weights"]), Statement(attributes=case["attributes"]))
    assert alone.spec == stated.spec
    assert alone.depth == case["layers"]
    assert len(alone.directions) == case["directions"]


@named(CORRECT)
def test_a_dump_is_written_as_it_was_recorded(case: dict[str, Any]) -> None:
    """Written again, a dump has the recorded names, axes and values."""
    convention, said = conventions.get(case["layout"]), statement_of(case)
    arrays = arrays_of(case["data"])
    trace = readings(convention, assign_roles(convention, arrays, said), said)[0].trace
    own = case.get("weights") and case["weights_layout"] == case["layout"]
    weights = convention.read_weights(arrays_of(case["weights"]), said) if own else None
    dump = convention.dump(trace, said, weights)
    beside = {"inputs", "lengths", "mask"}
    assert set(dump) == set(arrays) - beside
    for name, array in dump.items():
        assert array.squeeze().shape == arrays[name].squeeze().shape
        assert np.array_equal(array.reshape(arrays[name].shape), arrays[name])
    dump |= {name: arrays[name] for name in beside & set(arrays)}
    assert_same_tracks(trace, readings(convention, assign_roles(convention, dump, said), said)[0].trace)
