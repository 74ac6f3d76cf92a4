"""The recorded runs of real frameworks, read as their users would: facts, weights and dumps."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect import conventions
from rnninspect.conventions.dumps.readings import readings
from rnninspect.conventions.dumps.roles import assign_roles
from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig
from tests.support.logical import assert_same_tracks, assert_same_weights
from tests.support.recordings import GOLDEN, RECORDED, Recording, each

ALL = GOLDEN + RECORDED
# Where Keras merged the directions, a dump does not hold each direction's outputs: only a run gives them.
CORRECT = [case for case in ALL if case.correct and "merge_mode" not in (case["stated"] or {})]
OWN = [case for case in CORRECT if case.weighed and case["weights_layout"] == case["layout"]]
BESIDE = {"inputs", "lengths", "mask"}


@each(CORRECT)
def test_every_final_state_equals_its_expected_step(case: Recording) -> None:
    """Read as stated, every final state equals the output of the step expected of it, bit for bit."""
    convention, config = conventions.get(case["layout"]), case.config
    reading = readings(convention, assign_roles(convention, case.dump(), config), config)[0]
    assert reading.as_stated
    checked = 0
    for track in reading.trace.tracks:
        assert track.final is not None
        assert (track.cell is not None) == (case["cell"] == "LSTM" and _saves_cells(case))
        if track.outputs is None:
            continue
        for row, step in enumerate(reading.trace.expected_steps(track)):
            if step >= 0:
                assert np.array_equal(track.outputs[row, step], track.final[row])
                checked += 1
    assert checked


def _saves_cells(case: Recording) -> bool:
    names = case.dump()
    return any(name.endswith(("_c", ".c", "c_n", ".cell")) or name == "c" for name in names) or (
        case["attributes"].get("state_is_tuple") is False or {"states.2", "states.3"} <= set(names)
    )


@each([case for case in GOLDEN if case.correct])
def test_expected_steps_are_the_recorded_ones(case: Recording) -> None:
    """The steps expected of each row are those found when the case was recorded, independently of this code."""
    convention, config = conventions.get(case["layout"]), case.config
    trace = readings(convention, assign_roles(convention, case.dump(), config), config)[0].trace
    for recorded in case["expected"]["tracks"]:
        track = trace.track(recorded["layer"], "backward" if recorded["direction"] == "bw" else "forward")
        assert track is not None
        if recorded["outputs_given"]:
            for step, one, listed in zip(
                trace.expected_steps(track), recorded["steps"], recorded["all_steps"], strict=True
            ):
                assert one is None or step in listed


@each(ALL)
def test_every_dump_has_a_reading(case: Recording) -> None:
    """A mistaken dump is read as well: the mistakes are named later, by the numbers."""
    convention, config, arrays = conventions.get(case["layout"]), case.config, case.dump()
    roles = {role: name for role, name in case["roles"].items() if role in ("outputs", "h", "c")}
    slots = {role: Slot(role, name, arrays[name]) for role, name in roles.items() if isinstance(name, str)}
    assert readings(convention, assign_roles(convention, arrays, config, slots), config)


@each([case for case in ALL if case.weighed])
def test_weights_come_back_as_they_were(case: Recording) -> None:
    """Weights are read whole, recognised as their framework's, and written again to the same numbers."""
    convention, config, arrays = conventions.get(case["weights_layout"]), case.config, case.weights()
    weights = convention.read_weights(arrays, config)
    assert convention in conventions.of_weights(arrays)
    again = convention.write_weights(weights)
    if not case.name.startswith("flax-nnx"):  # nnx joins gates that are written apart, as linen has them
        assert sorted((a.shape, a.dtype.str, a.tobytes()) for a in arrays.values()) == sorted(
            (a.shape, a.dtype.str, a.tobytes()) for a in again.values()
        )
    assert_same_weights(weights, convention.read_weights(again, config))


@each(OWN)
def test_weights_speak_for_themselves(case: Recording) -> None:
    """Cell and directions come out of the weights alone, but for a single reverse direction; the layers are stated."""
    convention = conventions.get(case["weights_layout"])
    as_stated = convention.read_weights(case.weights(), case.config)
    alone = convention.read_weights(case.weights(), LayerConfig(layers=case["layers"], attributes=case["attributes"]))
    assert alone.spec == as_stated.spec
    assert (alone.depth, len(alone.directions)) == (case["layers"], case["directions"])


@each(CORRECT)
@pytest.mark.parametrize("with_weights", [True, False])
def test_a_dump_is_written_as_it_was_recorded(case: Recording, with_weights: bool) -> None:
    """Written again beside its weights, a dump has the recorded names, axes and values; without them it reads alike."""
    convention, config, arrays = conventions.get(case["layout"]), case.config, case.dump()
    trace = readings(convention, assign_roles(convention, arrays, config), config)[0].trace
    own_names = with_weights and case in OWN
    dump = convention.dump(trace, config, convention.read_weights(case.weights(), config) if own_names else None)
    if own_names:
        assert set(dump) == set(arrays) - BESIDE
        for name, array in dump.items():
            assert array.squeeze().shape == arrays[name].squeeze().shape
            assert np.array_equal(array.reshape(arrays[name].shape), arrays[name])
    dump |= {name: arrays[name] for name in BESIDE & set(arrays)}
    assert_same_tracks(trace, readings(convention, assign_roles(convention, dump, config), config)[0].trace)
