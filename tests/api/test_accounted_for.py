"""What lies beside the arrays of a dump is named among what was not read, and takes nothing from the verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.errors import UserError
from rnninspect.formats import read_arrays

LENGTHS = [5, 2, 4]
OUT = np.random.default_rng(0).uniform(-0.9, 0.9, (3, 5, 4)).astype(np.float32)
STATE = OUT[np.arange(3), np.array(LENGTHS) - 1]


def _npz(path: Path, dump: dict[str, Any]) -> None:
    np.savez(path, **{name: np.asarray(entry) for name, entry in dump.items()})


def _json(path: Path, dump: dict[str, Any]) -> None:
    path.write_text(json.dumps(dump | {"c_n": None}, default=np.ndarray.tolist))


def _pt(path: Path, dump: dict[str, Any]) -> None:
    torch.save({k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in dump.items()}, path)


WRITERS = {"npz": _npz, "json": _json, "pt": _pt}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("wrong", [False, True])
def test_text_beside_the_arrays_is_named(tmp_path: Path, suffix: str, wrong: bool) -> None:
    """The same in every kind of file, and the arrays are judged as without it."""
    state = OUT[np.arange(3), np.array(LENGTHS) - 1 - wrong]
    file = tmp_path / f"dump.{suffix}"
    WRITERS[suffix](file, {"outputs": OUT, "h": state, "lengths": LENGTHS, "framework": "torch"})
    report = rnninspect.compare(file)
    assert report.verdict == ("findings" if wrong else "clean")
    (unused,) = report.source["unused"]
    assert unused.startswith("framework (")
    assert unused.endswith("was not read; it is no array of numbers")


@pytest.mark.parametrize("suffix", ["npz", "json"])
@pytest.mark.parametrize("spell", [str, "{}.0".format, " {}".format], ids=["whole", "fractions", "blanks"])
def test_text_that_spells_numbers_is_read_as_these(tmp_path: Path, suffix: str, spell: Any) -> None:
    """Lengths of a table or a request, `"5"`, judge the states as numbers do, and it is said; names of rows that hold
    digits stay text."""
    file, names = tmp_path / f"dump.{suffix}", ["utt1", "2", "3"]
    for wrong, verdict in ((False, "clean"), (True, "findings")):
        state = OUT[np.arange(3), np.array(LENGTHS) - 1 - wrong]
        WRITERS[suffix](file, {"outputs": OUT, "h": state, "lengths": [*map(spell, LENGTHS)], "names": names})
        report = rnninspect.compare(file)
        assert report.verdict == verdict
        assert any("lengths is text that spells numbers" in note for note in read_arrays(file).notes)
        assert [entry.partition(" ")[0] for entry in report.source["unused"]] == ["names"]


def test_objects_beside_the_arrays_are_named(tmp_path: Path) -> None:
    """Names with a None, and lengths as Python's own numbers, are never loaded: what is there is judged without."""
    file, names = tmp_path / "dump.npz", np.array(["a", None, "b"], dtype=object)
    for wrong, verdict in ((False, "clean"), (True, "findings")):
        state = OUT[np.arange(3), np.array(LENGTHS) - 1 - wrong]
        np.savez(file, outputs=OUT, h=state, lengths=LENGTHS, names=names)
        report = rnninspect.compare(file)
        assert report.verdict == verdict
        assert [entry.partition(" (")[0] for entry in report.source["unused"]] == ["names"]
    np.savez(file, outputs=OUT, h=STATE, lengths=np.array(LENGTHS, dtype=object))
    report = rnninspect.compare(file)
    assert report.verdict == "unjudged"
    assert "np.asarray(…, float)" in report.source["unused"][0]
    np.savez(file, outputs=names, h=STATE)
    with pytest.raises(UserError, match="outputs: it holds pickled"):
        rnninspect.compare(file)


@pytest.mark.parametrize("outputs", ["text", ["a", "b"], ["a", 1.0], None])
def test_text_in_place_of_numbers_is_refused(tmp_path: Path, outputs: Any) -> None:
    """Nothing else is there, or text lies among numbers."""
    file = tmp_path / "dump.json"
    file.write_text(json.dumps({"outputs": outputs}))
    with pytest.raises(UserError, match=r"only numbers|numbers are needed|no outputs"):
        rnninspect.compare(file)


def test_a_member_of_text_that_is_asked_for_is_refused(tmp_path: Path) -> None:
    _npz(tmp_path / "dump.npz", {"outputs": OUT, "h": STATE, "framework": "torch"})
    with pytest.raises(UserError, match="framework has dtype <U5; only numbers can be read"):
        rnninspect.compare(f"{tmp_path / 'dump.npz'}#framework")


@pytest.mark.parametrize(
    ("name", "number", "reason"),
    [
        ("num_layers", 3, "to state it: layers=3"),
        ("config.batch_first", True, "to state it: batch_first=True"),
        ("bidirectional", np.nan, "neither its name nor its shape says what it is"),
        ("layers", 2.5, "neither its name nor its shape says what it is"),
    ],
)
def test_an_attribute_of_the_layer_is_named_with_its_option(
    tmp_path: Path, name: str, number: Any, reason: str
) -> None:
    """A number that a layer is made with is nothing that the arrays are read by: the option for it is named."""
    _npz(tmp_path / "dump.npz", {"outputs": OUT, "h": STATE, "lengths": LENGTHS, name: number})
    (unused,) = rnninspect.compare(tmp_path / "dump.npz").source["unused"]
    assert unused == f"{name} [] was not read; {reason}"


@pytest.mark.parametrize("suffix", WRITERS)
def test_keras_words_for_its_states_are_understood(tmp_path: Path, suffix: str) -> None:
    """`whole_seq_output, final_memory_state, final_carry_state`, as in its documentation: the carry is c."""
    names = ("whole_seq_output", "final_memory_state", "final_carry_state")
    dump = dict(zip(names, (OUT, STATE, np.arctanh(STATE) * 1.5), strict=True))
    WRITERS[suffix](tmp_path / f"dump.{suffix}", dump | {"lengths": LENGTHS})
    report = rnninspect.compare(tmp_path / f"dump.{suffix}")
    assert (report.verdict, report.source["unused"]) == ("clean", [])
