"""Arrays whose names say nothing of outputs and state, or the wrong thing, are told by shapes and numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.measure.dump_arrays import DumpArrays
from rnninspect.measure.weigh import weigh

ROWS, STEPS, UNITS = 4, 6, 5
LENGTHS = np.array([6, 2, 5, 3])
OUTPUTS = np.random.default_rng(5).standard_normal((ROWS, STEPS, UNITS)).astype(np.float32)
STATE = OUTPUTS[np.arange(ROWS), LENGTHS - 1].copy()
OTHER_ROWS = STATE[[1, 2, 3, 0]]
NOISE = np.random.default_rng(6).standard_normal((ROWS, UNITS)).astype(np.float32)


def roles(arrays: Mapping[str, Array], named: Mapping[Role, Slot] | None = None) -> tuple[dict[Role, str], str]:
    """The names of what is taken for outputs and state, and the notes on it."""
    read = weigh(DumpArrays({**arrays, "lens": LENGTHS}, named=named or {}), LayerConfig(), Tolerance())
    taken = {slot.role: slot.name for slot in read.slots if slot.role in ("outputs", "h")}
    return taken, "; ".join(read.choice.reading.evidence.notes)


@pytest.mark.parametrize("state", [STATE, OTHER_ROWS, OUTPUTS[:, -1]], ids=["right", "other rows", "last column"])
@pytest.mark.parametrize(
    ("outputs_name", "state_name"),
    [("hidden", "output"), ("memory", "hs"), ("h", "h_T"), ("states", "outputs"), ("shuchu", "zhuangtai"), ("a", "b")],
)
def test_names_that_mislead_give_way(outputs_name: str, state_name: str, state: Array) -> None:
    """All steps under a state's name and the last one under an outputs' are read by shape, and it is said."""
    taken, notes = roles({state_name: state, outputs_name: OUTPUTS})
    assert taken == {"outputs": outputs_name, "h": state_name}
    assert "by its shape" in notes


def test_names_that_fit_are_kept() -> None:
    """Where the names' roles fit by shape, numbers that speak for another array change nothing."""
    taken, notes = roles({"output": OUTPUTS, "h_n": NOISE, "context_vector": STATE})
    assert taken == {"outputs": "output", "h": "h_n"}
    assert "by its shape" not in notes


def test_of_several_unnamed_states_the_one_of_the_outputs_steps_is_taken() -> None:
    """A state in another row order is told from an attention's context and from c, which are no steps at all."""
    for further in (NOISE, 2 * STATE):
        taken, _ = roles({"encoder_outputs": OUTPUTS, "a": further, "b": OTHER_ROWS})
        assert taken == {"outputs": "encoder_outputs", "h": "b"}
    with pytest.raises(ShapeError, match=r"several arrays"):
        roles({"encoder_outputs": OUTPUTS, "a": OTHER_ROWS, "b": STATE[[2, 3, 0, 1]]})


def test_numbers_that_are_no_steps_tell_no_role() -> None:
    """An array that could be the state by its shape alone is not accused: it has to be named."""
    with pytest.raises(ShapeError, match="name them with state="):
        roles({"encoder_outputs": OUTPUTS, "a": NOISE})
    with pytest.raises(ShapeError, match=r"several arrays|fits no reading|no array fits"):
        roles({"hidden": NOISE, "output": NOISE + 1, "a": OUTPUTS})


def test_what_was_named_is_never_exchanged() -> None:
    """Arrays that the user named and that do not fit are refused, though they would the other way round."""
    named: dict[Role, Slot] = {"outputs": Slot("outputs", "last", STATE), "h": Slot("h", "all", OUTPUTS)}
    with pytest.raises(ShapeError, match="fits no reading"):
        roles({"last": STATE, "all": OUTPUTS}, named)


@pytest.mark.parametrize("name", ["mask", "masks", "x_mask"])
def test_a_mask_of_units_is_no_mask_of_steps(name: str) -> None:
    """A dropout's `[B, T, H]` beside lengths is left out and said; `[B, T, 1]` is read; a named one is refused."""
    arrays = {"outputs": OUTPUTS, "state": STATE, "lens": LENGTHS}
    kept = (np.random.default_rng(4).random(OUTPUTS.shape) > 0.2) / np.float32(0.8)
    reading = weigh(DumpArrays({**arrays, name: kept}), LayerConfig(), Tolerance()).choice.reading
    assert any(name in text and "[B, T]" in text for text in reading.evidence.unused)
    steps = (np.arange(STEPS) < LENGTHS[:, None]).astype(np.float32)[..., None]
    read = weigh(DumpArrays({**arrays, name: steps}), LayerConfig(), Tolerance())
    assert [slot.name for slot in read.slots if slot.role == "mask"] == [name]
    with pytest.raises(ShapeError, match=r"\[B, T\]"):
        weigh(DumpArrays({**arrays, name: kept}, named={"mask": Slot("mask", name, kept)}), LayerConfig(), Tolerance())


@pytest.mark.parametrize("by_row", [False, True])
def test_numbers_that_are_all_one_tell_no_roles(by_row: bool) -> None:
    """An array of one number is no run whose steps end in another one of that number: weights may be filled so."""
    filled = np.full((ROWS, STEPS, UNITS), 0.1, dtype=np.float32)
    state = filled[:, 0].copy()
    if by_row:
        filled[1, 2:] = 0.2
        assert roles({"hidden": filled, "output": state})[0] == {"outputs": "hidden", "h": "output"}
        return
    with pytest.raises(ShapeError):
        roles({"hidden": filled, "output": state})
