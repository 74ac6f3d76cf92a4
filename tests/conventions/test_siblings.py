"""Arrays whose names differ by layer and direction alone are states, or outputs, of those layers and directions."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect import conventions
from rnninspect.conventions.dumps.roles import assign_roles
from rnninspect.core.layer_config import LayerConfig

OUTPUTS = np.ones((4, 5, 3), dtype=np.float32)


def read(names: list[str], **config: object) -> dict[str, tuple[str, int | None, str | None]]:
    """Role, layer and direction by name, of outputs `y` and states `[B, H]` under these names."""
    rng = np.random.default_rng(0)
    arrays = {"y": OUTPUTS, **{name: rng.uniform(-1, 1, (4, 3)).astype(np.float32) for name in names}}
    slots = assign_roles(conventions.get("torch"), arrays, LayerConfig(**config))  # type: ignore[arg-type]
    return {s.name: (s.role, s.layer, s.direction) for s in slots if s.name != "y"}


@pytest.mark.parametrize("stem", ["h_t", "encoder_hidden", "hidden", "last_state", "hx"])
def test_states_by_layer_and_direction(stem: str) -> None:
    """Whatever the state is called, its layer and direction stand behind its name, the one or the other first."""
    both = {f"{stem}_fw_0": (0, "forward"), f"{stem}_bw_0": (0, "backward")}
    both |= {f"{stem}_fw_1": (1, "forward"), f"{stem}_bw_1": (1, "backward")}
    assert read(list(both), cell="gru") == {name: ("h", *place) for name, place in both.items()}
    swapped = {f"{stem}.l0.fw": (0, "forward"), f"{stem}.l0.bw": (0, "backward")}
    assert read(list(swapped), cell="gru") == {name: ("h", *place) for name, place in swapped.items()}


@pytest.mark.parametrize(("h", "c"), [("encoder_hidden", "encoder_cell"), ("h_t", "c_t"), ("hidden", "cell")])
def test_every_role_has_its_siblings(h: str, c: str) -> None:
    """h, c and both initial states of two layers, none of them passed over."""
    names = [f"{stem}_{layer}" for stem in (h, c, "start", "start_cell") for layer in (0, 1)]
    roles = dict(zip((h, c, "start", "start_cell"), ("h", "c", "initial_h", "initial_c"), strict=True))
    assert read(names) == {name: (roles[name[:-2]], int(name[-1]), None) for name in names}


def test_directions_of_an_initial_state() -> None:
    """`h0_fw` and `h0_bw` beside `hidden_fw` and `hidden_bw` are what the two directions began with."""
    roles = read(["hidden_fw", "hidden_bw", "h0_fw", "h0_bw"])
    assert roles["h0_bw"] == ("initial_h", None, "backward")
    assert roles["hidden_fw"] == ("h", None, "forward")


@pytest.mark.parametrize("alone", [["hidden_1"], ["hidden_0", "hidden_2"], ["hidden_fw_0", "hidden_bw_1"]])
def test_a_family_that_is_not_whole_is_none(alone: list[str]) -> None:
    """One name alone, a layer that is missing, or a direction, is no stack: no array is placed by guess."""
    placed = read(["h_n", *alone])
    assert placed["h_n"] == ("h", None, None)
    assert not {name for name, (role, _, _) in placed.items() if role == "h"} & set(alone)


def test_a_list_that_may_hold_h_and_c_is_told_by_its_cell() -> None:
    """`hidden_0`, `hidden_1` without a c beside them: two layers of a GRU, h and c of an LSTM."""
    assert read(["hidden_0", "hidden_1"], cell="gru") == {"hidden_0": ("h", 0, None), "hidden_1": ("h", 1, None)}
    lstm = read(["hidden_0", "hidden_1"], cell="lstm", layers=1)
    assert {name: role for name, (role, _, _) in lstm.items()} == {"hidden_0": "h", "hidden_1": "c"}
