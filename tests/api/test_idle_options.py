"""Every option that was stated had an effect, or is named among what was not used; what cannot hold is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.errors import ShapeError, UserError
from tests.support.commandline import rnninspect as command

LENGTHS = np.array([5, 2, 4])
RNG = np.random.default_rng(0)
OUT = RNG.uniform(-0.9, 0.9, (3, 5, 4)).astype(np.float32) * (np.arange(5) < LENGTHS[:, None])[..., None]
STATE = OUT[np.arange(3), LENGTHS - 1]
CELL = np.arctanh(STATE) * 1.5


def unused(**options: Any) -> list[str]:
    """What the report on a right LSTM says was not used, of options beside it."""
    report = rnninspect.inspect(OUT, STATE, lengths=LENGTHS, **options)
    assert report.verdict == "clean"
    return list(report.source.get("unused", []))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"forget_bias": 1.0}, "forget_bias=1.0 was not used: it needs inputs and weights"),
        ({"clip": 3.0}, "clip=3.0 was not used"),
        ({"activation": "relu"}, "activation='relu' was not used"),
        (
            {"cell": "lstm", "reset_after": True},
            "reset_after=True was not used: a cell of kind lstm has no such attribute",
        ),
        ({"keep_order": True}, "keep_order=True was not used: no direction here is backward"),
        ({"padding": "repeat"}, "padding='repeat' is true of no row: the padded outputs are zero"),
        ({"state_batch_first": True}, "state_batch_first=True was not used: the state has no axis of layers"),
        ({"weights_convention": "keras"}, "weights_convention='keras' was not used: no weights were given"),
        ({"merge_mode": "concat"}, "merge_mode='concat' was not used: one direction has nothing to merge with"),
        ({"initial_state": np.zeros((3, 4))}, "initial_state [3, 4] was not used: it needs inputs and weights"),
    ],
)
def test_an_option_without_effect_is_named(options: dict[str, Any], sentence: str) -> None:
    """The reason stands beside it."""
    assert [text for text in unused(**options) if text.startswith(sentence)]


def test_options_with_an_effect_are_not_named() -> None:
    """What says how the arrays lie, and an activation beside c, was used."""
    assert unused(batch_first=True, layers=1, cell="lstm", direction="forward", padding="zero") == []
    assert unused(cell_state=CELL, activation="relu") == []


def test_weights_that_are_not_run_are_named() -> None:
    """They need the inputs."""
    lstm = {
        "weight_ih_l0": RNG.normal(size=(16, 3)),
        "weight_hh_l0": RNG.normal(size=(16, 4)),
        "bias_ih_l0": np.zeros(16),
        "bias_hh_l0": np.zeros(16),
    }
    assert any("weights= was not used" in text for text in unused(weights=lstm, convention="torch"))


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_a_cell_without_c_is_refused_beside_one(cell: str) -> None:
    with pytest.raises(ShapeError, match="no cell state"):
        rnninspect.inspect(OUT, STATE, cell_state=CELL, lengths=LENGTHS, cell=cell)


def test_a_projection_of_another_width_is_refused() -> None:
    with pytest.raises(ShapeError, match="4 units"):
        rnninspect.inspect(OUT, STATE, lengths=LENGTHS, num_proj=3)
    assert unused(num_proj=4)


def test_the_command_accounts_for_its_options(tmp_path: Path) -> None:
    """In JSON, and on the terminal; a mask beside `--lengths full` is named too."""
    np.savez(tmp_path / "dump.npz", outputs=OUT, state_h=STATE, mask=np.arange(5) < LENGTHS[:, None])
    done = command(
        "compare", tmp_path / "dump.npz", "--weights-prefix", "enc", "--forget-bias", "1", "--format", "json"
    )
    assert [text.split(" was")[0] for text in done.json["source"]["unused"]] == [
        "--weights-prefix enc",
        "--forget-bias 1.0",
    ]
    shown = command("compare", tmp_path / "dump.npz", "--weights-prefix", "enc", "--format", "table")
    assert "--weights-prefix enc was not used" in shown.out
    full = command("compare", tmp_path / "dump.npz", "--lengths", "full", "--format", "json").json
    assert any("the mask mask was not used" in note for note in full["notes"])


def test_a_flat_state_that_was_stated_is_no_idle_option() -> None:
    """TensorFlow 1's `[c, h]` in one array, its framework stated or not; of c and h apart it says nothing."""
    (text,) = rnninspect.inspect(OUT, (STATE[None], CELL[None]), lengths=LENGTHS, state_is_tuple=False).source["unused"]
    assert text == "state_is_tuple=False was not used: no array here holds c and h side by side"
    flat = np.concatenate([CELL, STATE], 1)
    for options in ({}, {"convention": "tf1"}):
        report = rnninspect.inspect(OUT, flat, lengths=LENGTHS, state_is_tuple=False, **options)
        assert report.verdict == "clean"
        assert not report.source.get("unused")
    refused = r"holds c and h side by side, \[B, 8\] beside outputs of 4 units; it is \[3, 4\]"
    with pytest.raises(UserError, match=refused):
        rnninspect.inspect(OUT, STATE, lengths=LENGTHS, convention="tf1", state_is_tuple=False)


@pytest.mark.parametrize("option", ["direction", "merge_mode"])
def test_a_word_that_an_option_does_not_know_is_refused_by_name(option: str) -> None:
    """The line lists those that it knows, as of a cell."""
    with pytest.raises(UserError, match=rf"unknown {option} 'backward'.*Known: "):
        rnninspect.inspect(np.zeros((2, 3, 4)), np.zeros((2, 4)), lengths=[3, 2], **{option: "backward"})
