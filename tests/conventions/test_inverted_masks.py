"""Masks that are true at padding, as in torch, and masks `[T, B]`: the numbers tell what they are, and not names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.core.cell import CellSpec
from rnninspect.errors import ShapeError
from tests.support.oracles import random_layer, run_masked

LENGTHS = np.array([6, 2, 4, 1])
REAL = np.arange(6) < LENGTHS[:, None]
INPUTS = np.random.default_rng(3).normal(size=(4, 6, 3))
BLANK_PADDING = np.where(REAL[..., None], INPUTS, 0)


def ran(mask: np.ndarray = REAL, inputs: np.ndarray = INPUTS, padding: str = "zero") -> tuple[np.ndarray, np.ndarray]:
    """Outputs and states of a GRU in numpy that reads what the mask says."""
    rng = np.random.default_rng(0)
    outputs, state, _ = run_masked(CellSpec("gru"), random_layer(rng, "gru", 3, 5), inputs, mask, padding=padding)
    return outputs, state


def told(arrays: dict[str, np.ndarray], **more: Any) -> tuple[str, list[str], list[int] | None]:
    report = rnninspect.inspect(arrays, **more)
    return report.verdict, [f.rule for f in report.findings if f.severity != "note"], report.lengths


@pytest.mark.parametrize("name", ["mask", "key_padding_mask", "src_padding_mask"])
def test_true_at_padding_is_read_so_where_outputs_or_inputs_show_it(name: str) -> None:
    """Proves that zeroed outputs, repeated ones, blank inputs and states before true all turn the mask, under any name,
    and that the mask the right way round is read as it is."""
    everywhere = np.ones_like(REAL)
    outputs, state = ran()
    clean = "clean", [], LENGTHS.tolist()
    assert told({"outputs": outputs, "h": state, name: ~REAL}) == clean
    assert told({"outputs": outputs, "h": state, name: REAL}) == clean
    held, state = ran(padding="repeat")
    assert told({"outputs": held, "h": state, name: ~REAL}, convention="keras") == clean
    read_on, last = ran(everywhere)
    gathered = read_on[np.arange(4), LENGTHS - 1]
    assert told({"outputs": read_on, "h": gathered, name: ~REAL}, convention="flax") == clean
    read_on, last = ran(everywhere, BLANK_PADDING)
    wrong = {"outputs": read_on, "h": last, "inputs": BLANK_PADDING, name: ~REAL}
    assert told(wrong) == ("findings", ["lengths-ignored"], LENGTHS.tolist())


def test_lengths_and_a_mask_of_padding_agree() -> None:
    """Proves that lengths beside a mask of padding agree with it, and tell it of outputs that show nothing, and that
    `[T, B]` beside `[B, T, H]` is turned."""
    read_on, last = ran(np.ones_like(REAL))
    wrong = "findings", ["lengths-ignored"], LENGTHS.tolist()
    assert told({"outputs": read_on, "h": last, "lengths": LENGTHS, "mask": ~REAL}) == wrong
    outputs, state = ran()
    for mask in (~REAL, (~REAL).T, REAL.T.astype(np.float32)):
        report = rnninspect.inspect(outputs, state, lengths=LENGTHS, mask=mask)
        assert (report.verdict, report.lengths) == ("clean", LENGTHS.tolist())


def test_padding_on_the_left_is_not_turned() -> None:
    """Proves that a mask which is right for padding in front is left alone, with an empty row too."""
    for lengths in ([6, 2, 4, 1], [6, 2, 0, 3]):
        in_front = np.arange(6) >= 6 - np.array(lengths)[:, None]
        outputs, state = ran(in_front)
        report = rnninspect.inspect(outputs, state, mask=in_front)
        assert not any(f.severity == "error" for f in report.findings)
        assert report.lengths == lengths
    in_front = np.arange(6) >= 6 - np.array([0, 1, 3, 5, 1, 6])[:, None]  # as many rows as steps, stored [T, B]
    outputs, state = ran(in_front, np.random.default_rng(3).normal(size=(6, 6, 3)), padding="repeat")
    report = rnninspect.inspect(outputs.swapaxes(0, 1), state, mask=in_front, convention="keras", time_major=True)
    assert report.lengths == [0, 1, 3, 5, 1, 6]
    assert not any(f.severity == "error" for f in report.findings)


@pytest.mark.parametrize("padding", ["repeat", "zero"])
def test_a_mask_of_half_the_steps_is_not_turned_by_reversed_outputs(padding: str) -> None:
    """Proves that outputs which are stored T-1 first, and padded behind, do not turn a mask of padding in front, which
    says of half the steps the opposite: right they are accused of nothing, and their other rows' states are named."""
    read = np.repeat([[True, False]], 4, axis=0).repeat(3, axis=1)  # along the time read
    outputs, state = ran(read, padding=padding)
    about: dict[str, Any] = {"mask": read[:, ::-1], "convention": "keras", "go_backwards": True}
    assert told({"outputs": outputs, "h": state}, **about) == ("clean", [], [3] * 4)
    assert told({"outputs": outputs, "h": state[[1, 0, 3, 2]]}, **about)[1] == ["rows-permuted"]


def test_states_of_other_rows_than_the_masks_columns_do_not_turn_it() -> None:
    """Proves that states at padded steps, which end the columns of a mask `[B, T]`, are no ends of T rows: cell states
    in the place of outputs, over whose padding the state is repeated, are named, and the mask's lengths kept."""
    lengths = np.array([2, 3, 4])
    mask = np.arange(4) < lengths[:, None]
    rng = np.random.default_rng(5)
    layer, inputs = random_layer(rng, "lstm", 3, 5), rng.normal(size=(3, 4, 3))
    outputs, h, c = run_masked(CellSpec("lstm"), layer, inputs, mask, padding="repeat")
    steps = [run_masked(CellSpec("lstm"), layer, inputs[:, :end], mask[:, :end])[2] for end in range(1, 5)]
    cells = np.where(mask[..., None], np.stack([c for c in steps if c is not None], 1), outputs)
    verdict, named, read = told({"outputs": cells, "state_h": h, "state_c": c, "mask": mask}, convention="keras")
    assert (verdict, read) == ("findings", lengths.tolist())
    assert "outputs-are-cell-state" in named


def test_a_mask_that_no_number_tells_is_refused_or_left_out() -> None:
    """Proves that nothing is guessed where every output is computed: the stated mask is refused in one line, and one
    that only its name shows is named as not read."""
    outputs, state = ran(np.ones_like(REAL))
    with pytest.raises(ShapeError, match=r"true may stand for padding .* no number tells"):
        rnninspect.inspect(outputs, state, mask=~REAL)
    report = rnninspect.inspect({"outputs": outputs, "h": state, "key_padding_mask": ~REAL})
    assert report.verdict == "unjudged"
    assert "no number tells what is true in it" in report.source["unused"][0]


@pytest.mark.parametrize("lengths", [[6, 1, 4, 6], [1, 1, 4, 6], [6, 3, 3, 3]])
def test_states_before_true_tell_it_of_rows_of_two_lengths(lengths: list[int]) -> None:
    """Proves that states of two lengths, one step among them, show true to be padding, and that those of one length,
    which may as well be a step that all were taken from, do not."""
    real = np.arange(6) < np.array(lengths)[:, None]
    read_on, _ = ran(np.ones_like(real))
    dump = {"outputs": read_on, "h": read_on[np.arange(4), np.array(lengths) - 1]}
    if lengths.count(3) == 3:
        with pytest.raises(ShapeError, match="no number tells"):
            told(dump, mask=~real)
    else:
        assert told(dump, mask=~real) == ("clean", [], lengths)


def test_the_last_column_is_no_end_of_a_mask_that_leaves_a_row_out() -> None:
    """Proves that a mask of padding with a hole, whose name alone says what it is, stays unread beside the last column:
    of true at real steps that column would be right, but a full row would have none."""
    real = REAL.copy()
    real[2, 1] = False
    read_on, last = ran(np.ones_like(real))
    report = rnninspect.inspect({"outputs": read_on, "h": last, "key_padding_mask": ~real})
    assert report.verdict == "unjudged"
    assert "no number tells what is true in it" in report.source["unused"][0]


def test_a_hole_in_the_longest_row_is_no_inverted_mask() -> None:
    """Columns of rows that all begin with a real step look like padding: the states show that true is real. A run
    that read on is not clean."""
    holes = REAL[[3, 3, 3, 0]] & (np.arange(6) != 1)
    for padding in ("repeat", "zero"):
        outputs, state = ran(holes, padding=padding)
        assert told({"outputs": outputs, "h": state}, mask=holes)[:2] == ("clean", [])
    with pytest.raises(ShapeError, match="true may stand for padding"):
        told(dict(zip(("outputs", "h"), ran(np.ones_like(holes)), strict=True)), mask=holes)


ADDED = np.where(REAL, 0.0, -1e4)
CAUSAL = REAL[:, None, None] & np.tri(6, dtype=np.bool_)
FORMS = {
    "[B, 1, T]": REAL[:, None],
    "[B, 1, 1, T]": REAL[:, None, None].astype(np.float32),
    "[B, T, H]": np.repeat(REAL[..., None], 5, axis=2),
    "[B, 1, T, T]": np.broadcast_to(REAL[:, None, None], (4, 1, 6, 6)),
    "keys and queries": REAL[:, None] & REAL[:, :, None],
    "causal, [B, 1, T, T]": CAUSAL,
    "causal, added": np.where(CAUSAL, 0, -np.inf),
    "causal, [B, heads, T, T]": np.repeat(CAUSAL, 2, axis=1),
    "causal, [B * heads, T, T]": np.repeat(CAUSAL[:, 0], 2, axis=0),
    "added": ADDED,
    "added, [B, 1, 1, T]": np.where(REAL, 0, -np.inf)[:, None, None],
    "added, of whole numbers": ADDED.astype(np.int64),
    "true at padding": ~REAL[:, None, None],
}


@pytest.mark.parametrize("form", FORMS)
def test_masks_as_attention_takes_them_are_read(form: str) -> None:
    """Proves that every form of one mask says the same: of a right run it is clean, and of one that read on a mistake,
    unless true may be padding, which is then refused."""
    outputs, state = ran()
    assert told({"outputs": outputs, "h": state}, mask=FORMS[form]) == ("clean", [], LENGTHS.tolist())
    read_on, last = ran(np.ones_like(REAL))
    if form == "true at padding":
        with pytest.raises(ShapeError, match="true may stand for padding"):
            told({"outputs": read_on, "h": last}, mask=FORMS[form])
    else:
        assert told({"outputs": read_on, "h": last}, mask=FORMS[form])[:2] == ("findings", ["lengths-ignored"])
        if len(FORMS[form]) == len(outputs):  # else how many heads there are is not to be seen
            assert np.array_equal(rnninspect.final_state(outputs, mask=FORMS[form]), state)


ONLY_CAUSAL = np.broadcast_to(np.tri(6), (4, 2, 6, 6))  # of padding it says nothing


@pytest.mark.parametrize("mask", [ADDED[:3], np.random.default_rng(0).random((4, 6, 5)) > 0.5, ONLY_CAUSAL, CAUSAL[:3]])
def test_a_mask_that_fits_nothing_is_refused_with_its_numbers(mask: np.ndarray) -> None:
    """Proves that the message has the shapes of what was given, though states in fewer rows were tried besides."""
    sizes = f"mask is {mask.shape}, but the batch has 4 rows and 6 steps"
    with pytest.raises(ShapeError, match=sizes.replace("(", r"\(").replace(")", r"\)")):
        told(dict(zip(("outputs", "h"), ran(), strict=True)), mask=mask)


@pytest.mark.parametrize("lengths", [[3, 6, 1, 2, 5, 4], [6, 5, 4, 2, 2, 1]])
@pytest.mark.parametrize("time_major", [False, True])
def test_a_square_mask_is_turned_where_the_states_show_it(lengths: list[int], time_major: bool) -> None:
    """Proves that `[T, B]` of as many rows as steps is read so in a right run and in wrong ones, and `[B, T]` as it
    lies: right or wrong, and with a hole in every row."""
    real, inputs = np.arange(6) < np.array(lengths)[:, None], np.random.default_rng(3).normal(size=(6, 6, 3))
    outputs, state = ran(real, inputs)
    read_on, last = ran(np.ones_like(real), inputs)

    def verdict(steps: np.ndarray, h: np.ndarray, mask: np.ndarray) -> Any:
        return told(
            {"outputs": steps.swapaxes(0, 1) if time_major else steps, "h": h}, mask=mask, time_major=time_major
        )

    for mask in (real, real.T):
        assert verdict(outputs, state, mask) == ("clean", [], lengths)
    assert verdict(outputs, state[::-1], real) == verdict(outputs, state[::-1], real.T)
    assert verdict(outputs, state[::-1], real.T) == ("findings", ["rows-permuted"], lengths)
    if lengths[0] == 3:  # sorted, `[B, T]` is as good a mask
        assert verdict(read_on, last, real.T) == ("findings", ["lengths-ignored"], lengths)
    holes = np.array(
        [[1, 0, 1, 1, 0, 0], [1, 0, 0, 1, 0, 0], [1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0]] + [[1, 0] * 3] * 2
    )
    outputs, state = ran(holes != 0, inputs, "repeat")
    assert verdict(outputs, state, holes)[0] != "findings"


@pytest.mark.parametrize("padding", ["zero", "repeat"])
@pytest.mark.parametrize("lines", ["1101 1000 1100 1110", "1111101 1000000", "1000 1000 1101 1100"])
def test_a_mask_with_holes_lies_as_the_outputs_do(lines: str, padding: str) -> None:
    """Proves that `[T, B]` beside outputs `[T, B, H]` is right where the states show its rows' ends, though of as many
    rows as steps its shape does not tell, of two rows its lines are lengths too, and states that repeat up to the last
    column are where its lines end; rows moved are still named."""
    rng = np.random.default_rng(3)
    real = np.array([[step == "1" for step in line] for line in lines.split()])
    rows, steps = real.shape
    outputs, state = ran(real, rng.normal(size=(rows, steps, 3)), padding)
    for options in ({}, {"time_major": True}):
        dump = {"outputs": outputs.swapaxes(0, 1), "h": state}
        assert told(dump, mask=real.T, **options)[:2] == ("clean", [])
        moved = told(dump | {"h": state[::-1]}, mask=real.T, **options)
        assert moved[:2] == ("findings", ["rows-permuted"])
    assert told({"outputs": outputs, "h": state}, mask=real)[:2] == ("clean", [])
