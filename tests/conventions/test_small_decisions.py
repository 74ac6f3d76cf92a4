"""Small decisions in reading dumps, each at the place where the other answer would be wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnninspect import conventions
from rnninspect.conventions.dumps.cell_behind import are_pairs, is_behind, is_cell_first, may_be_h_and_c, of_one_sign
from rnninspect.conventions.dumps.misfits import several, untold
from rnninspect.conventions.dumps.names import PLAIN_NAMES, USUAL_NAMES
from rnninspect.conventions.dumps.roles import Guess, guess_roles
from rnninspect.conventions.dumps.shapes import fits_as_state, is_prefix, match_name
from rnninspect.conventions.dumps.unread import _looks_like
from rnninspect.conventions.live.state import _is_h_list_and_c_list
from rnninspect.conventions.weights.scopes import blocks
from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig

RNG = np.random.default_rng(3)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def test_a_choice_among_arrays_names_outputs_and_state_alone() -> None:
    """Where several arrays could be outputs and state, the message lists these pairs, not cell states or inputs; of one
    pair it says that it is told by shape alone."""
    slots = (Slot("outputs", "a", floats(2, 3, 4)), Slot("h", "b", floats(2, 4)), Slot("c", "cell", floats(2, 4)))
    other = (slots[0], Slot("h", "d", floats(2, 4)))
    assert several([slots, other]).startswith("several arrays")
    message = several([slots, slots])
    assert "outputs = a (2, 3, 4), h = b (2, 4))" in message
    assert "by shape alone" in message
    assert "cell" not in message
    alone = untold(Guess(slots[:2], by_shape=("h",)))
    assert "by its shape b could be, and no number shows it" in alone


def test_lengths_by_value_beside_a_state_of_layers() -> None:
    """The rows are counted on the second axis of a state `[L, B, H]`, too."""
    outputs = floats(4, 5, 3)
    arrays = {"output": outputs, "h_n": floats(2, 4, 3), "many": np.array([5, 3, 2, 1])}
    slots = guess_roles(conventions.get("torch"), arrays, LayerConfig())[0].slots
    assert [slot.name for slot in slots if slot.role == "lengths"] == ["many"]


@pytest.mark.parametrize(("width", "fits"), [(5, True), (10, True), (7, False), (4, False)])
def test_a_state_is_as_wide_as_the_outputs_or_half_as_wide(width: int, fits: bool) -> None:
    """Of 5 units the outputs have 5, or 10 where both directions lie side by side; no other number."""
    assert fits_as_state(floats(2, 4, 5), floats(4, 7, width)) is fits


@pytest.mark.parametrize(
    ("shape", "role"), [((4, 6, 9), "inputs"), ((6, 4, 9), "inputs"), ((2, 4, 3), "h"), ((2, 4, 5), None)]
)
def test_what_an_array_without_a_telling_name_looks_like(shape: tuple[int, ...], role: str | None) -> None:
    """Rows and steps in either order are inputs; rows and units a state; else nothing."""
    assert _looks_like("q", floats(*shape), rows=4, steps=6, units=3) == role


def test_two_lists_are_of_states_and_of_cell_states_only_layer_by_layer() -> None:
    """Lists of unequal lengths, or of a single array each, are no list of h beside a list of c."""
    h, c = np.tanh(floats(2, 2, 3)) * 0.1, floats(2, 2, 3)
    c = np.abs(c) * np.sign(h) + np.sign(h)
    assert _is_h_list_and_c_list(([h[0], h[1]], [c[0], c[1]]))
    assert not _is_h_list_and_c_list(([h[0], h[1]], [c[0]]))
    assert not _is_h_list_and_c_list(([h[0]], [c[0]]))


def test_a_single_gate_is_not_counted() -> None:
    """A plain RNN has no gate blocks: the units alone say why a shape is expected."""
    assert blocks("n", 5, "kernel (3, 5)") == "5 units, as kernel (3, 5) says"
    assert blocks("rzn", 5, "kernel (3, 15)") == "3 gate blocks (r, z, n) of 5 units, as kernel (3, 15) says"


@pytest.mark.parametrize("name", ["keras", "torch", "paddle", "mxnet", "flax"])
def test_frameworks_that_keep_a_stack_flat_are_shown_no_nested_state(name: str) -> None:
    """Only where the state of a stack is a tuple of the layers' states does its fix pick one out of it."""
    convention = conventions.get(name)
    for rule in convention.fixes:
        assert convention.fix(rule, layers=2) == convention.fix(rule, layers=1)


ZERO_UNIT = np.array([[0.5, 0.0, -0.3, 0.2]] * 4)


@pytest.mark.parametrize(
    ("h", "c", "pair"),
    [
        (ZERO_UNIT, 2 * ZERO_UNIT, True),
        (ZERO_UNIT, -2 * ZERO_UNIT, False),
        (ZERO_UNIT, ZERO_UNIT, False),  # |h| <= |tanh(c)| is less than |c|
        (2 * ZERO_UNIT, ZERO_UNIT, False),
        (ZERO_UNIT, 2 * ZERO_UNIT[:2], False),
    ],
)
def test_units_of_zero_say_nothing_of_h_and_c(h: np.ndarray, c: np.ndarray, pair: bool) -> None:
    """h and the c behind it have one sign and |h| <= |tanh(c)|; a unit that is zero in both is as good."""
    assert (are_pairs([h], [c]) and of_one_sign(h, c)) is pair
    assert is_behind(h, c, enough=12) is pair
    assert not is_behind(h, c, enough=13)  # so few numbers tell
    if pair:
        assert may_be_h_and_c(h, c)
        assert may_be_h_and_c(c, h)
        assert is_cell_first([c, h])
        assert not is_cell_first([h, c])


PATTERNS = sorted(
    {
        p
        for table in (*(c.names for c in conventions.conventions().values()), PLAIN_NAMES, USUAL_NAMES)
        for p in sum(table.values(), ())
    }
    | {"a|bc", "(?:a|bc)d", "a{2}b", "x?(?:y(?:z)?)*w+", r"[abc]+_\d", r"h_?n"}
)


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=6)
@given(st.data())
def test_no_name_is_passed_over_unasked(pattern: str, data: st.DataObject) -> None:
    """Every name of a pattern is matched, whatever was seen in the pattern before it was compiled."""
    name = data.draw(st.from_regex(pattern, fullmatch=True))
    assert match_name(pattern, name) is not None
    other = data.draw(st.text("abchnstx_.01", max_size=8))
    assert bool(match_name(pattern, other)) == bool(re.fullmatch(pattern, other))


@pytest.mark.parametrize(
    ("name", "shape", "role"),
    [("cell_state", (4, 3), "c"), ("c_n", (2, 4, 3), "c"), ("mem_out", (4, 6, 3), "outputs"), ("hidden", (9, 9), "h")],
)
def test_a_name_of_one_role_says_more_than_a_shape(name: str, shape: tuple[int, ...], role: str) -> None:
    """An array that was not read is called what its name says, where arrays of its shape might be another's."""
    assert _looks_like(name, floats(*shape), rows=4, steps=6, units=3) == role


@pytest.mark.parametrize(
    ("mask", "prefix"),
    [
        ([[1, 1, 0], [1, 0, 0]], True),
        ([[1, 1, 1], [1, 0, 1]], False),
        ([[0, 1, 1], [1, 1, 1]], False),
        ([[1, 1, 1], [1, 1, 1]], False),
        ([[2, 1, 0], [1, 0, 0]], False),
    ],
)
def test_a_mask_of_lengths_begins_every_row_and_has_no_holes(mask: list[list[int]], prefix: bool) -> None:
    """Zeros and ones that stop once in a row are a mask of lengths; holes, left padding and ones alone are none."""
    assert is_prefix(np.array(mask)) is prefix
    assert not is_prefix(np.array(mask, dtype=np.float32))
