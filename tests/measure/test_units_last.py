"""Outputs and states whose units are not on the last axis: read in the order that the numbers show, or refused."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect
from rnninspect.errors import ShapeError

ROWS, STEPS, UNITS = 5, 7, 4
LENGTHS = np.array([7, 3, 5, 1, 4])
ORDERS = {"B H T": (0, 2, 1), "H T B": (2, 1, 0), "H B T": (2, 0, 1), "T H B": (1, 2, 0)}


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Outputs `[B, T, H]` of a run with zeros behind each row's end, and the states `[B, H]` that it ends in."""
    outputs = np.random.default_rng(3).normal(size=(ROWS, STEPS, UNITS)).astype(np.float32)
    for row, length in enumerate(LENGTHS):
        outputs[row, length:] = 0
    return outputs, np.stack([outputs[row, length - 1] for row, length in enumerate(LENGTHS)])


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_of_axes_with_units_before_others_is_read_and_said(order: str) -> None:
    """Proves that a right run in such an order is clean, a permuted one named and mended in its own layout, and that
    nothing given is dropped."""
    outputs, states = batch()
    turned = np.ascontiguousarray(outputs.transpose(ORDERS[order]))
    report = rnninspect.inspect(turned, states.T, lengths=LENGTHS)
    assert report.verdict == "clean"
    assert order in report.to_dict()["reading"]["used"]
    assert any(f"read as [{order.replace(' ', ', ')}]" in note for note in report.to_dict()["notes"])
    permuted = np.roll(states, 1, axis=0).T
    wrong = rnninspect.inspect(turned, permuted, lengths=LENGTHS)
    assert [finding.rule for finding in wrong.findings] == ["rows-permuted"]
    assert np.array_equal(rnninspect.fix(turned, permuted, lengths=LENGTHS).arrays["final_state"], states.T)


def test_lengths_that_count_the_last_axis_alone_prove_it_the_rows() -> None:
    """Proves that where all states are of one step, which two orders show alike, the lengths decide."""
    outputs, _ = batch()
    report = rnninspect.inspect(outputs.transpose(1, 2, 0), outputs[:, -1].T, lengths=LENGTHS)
    assert {finding.rule for finding in report.findings} == {"last-column-as-final-state"}


def test_a_transposed_state_of_usual_outputs_is_refused_with_what_to_do() -> None:
    """Proves that no error is found in it where rows and units are as many."""
    outputs, states = batch()
    with pytest.raises(ShapeError, match=r"only if it is transposed: .* read as \[H, B\]"):
        rnninspect.inspect(outputs[:UNITS], states[:UNITS].T, lengths=LENGTHS[:UNITS])
