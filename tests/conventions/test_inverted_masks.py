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
    """Proves that lengths beside a mask of padding agree with it, and that `[T, B]` beside `[B, T, H]` is turned."""
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


def test_a_mask_that_no_number_tells_is_refused_or_left_out() -> None:
    """Proves that nothing is guessed where every output is computed: the stated mask is refused in one line, and one
    that only its name shows is named as not read."""
    outputs, state = ran(np.ones_like(REAL))
    with pytest.raises(ShapeError, match=r"true may stand for padding .* no number tells"):
        rnninspect.inspect(outputs, state, mask=~REAL)
    report = rnninspect.inspect({"outputs": outputs, "h": state, "key_padding_mask": ~REAL})
    assert report.verdict == "unjudged"
    assert "no number tells what is true in it" in report.source["unused"][0]
