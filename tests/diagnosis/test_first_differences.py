"""What two runs' first differing steps point to: a sentence for each, and where one turns into the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rnninspect.core.trace import Array, Direction, Trace, Track, prefix_mask
from rnninspect.diagnosis.evidence.first_differences import explain
from rnninspect.measure.difference import EXPONENTS, differences, is_drift, state_differences

LENGTHS, STEPS = (5, 2, 4), 5
PRECISION = "rounding that grows with the steps: another precision, device or order of summation"
FIRST = (
    "every differing row differs from its first step on (other weights, layout, gate order or biases, or another "
    "initial state)"
)
SECOND = "step 0 agrees and step 1 does not: the forget bias or the recurrent kernel"
MIXED = "some rows differ from their first step on and others later: the inputs themselves, lengths or masks"
BACKWARD = "only the backward half of short rows differs: the reversal read the padding"
PADDED = "only padded steps differ: another convention for the padding"
STATES = "the outputs agree and the final states do not: each was taken at another step, or from another row"


def later(count: int) -> str:
    return f"rows first differ after {count} or more steps: lengths, masks, or the inputs themselves"


def traces(changed: Sequence[tuple[int, int]], directions: Sequence[Direction] = ("forward",)) -> tuple[Trace, Trace]:
    """Two runs of float32 whose last direction differs by 1/2 at these (row, step)."""
    rng = np.random.default_rng(0)
    mask = prefix_mask(LENGTHS, STEPS)
    outputs = [rng.uniform(-0.9, 0.9, (3, STEPS, 2)).astype(np.float32) for _ in directions]
    other = outputs[-1].copy()
    for row, step in changed:
        other[row, step, 1] += 0.5

    def trace(arrays: Sequence[Array]) -> Trace:
        return Trace(
            mask, tuple(Track(0, d, a, None) for d, a in zip(directions, arrays, strict=True)), np.array(LENGTHS)
        )

    return trace(outputs), trace([*outputs[:-1], other])


@pytest.mark.parametrize(
    ("direction", "changed", "sentence"),
    [
        ("forward", [], "no difference"),
        ("forward", [(1, 2), (1, 4)], PADDED),
        ("forward", [(0, 0), (2, 0)], FIRST),
        ("forward", [(0, 0), (0, 3), (1, 1)], MIXED),
        ("forward", [(0, 1), (0, 2)], SECOND),
        ("forward", [(0, 2)], later(2)),
        ("forward", [(0, 4), (2, 3)], later(3)),
        ("forward", [(1, 1), (1, 2)], SECOND),
        ("backward", [(0, 4), (1, 1)], FIRST),  # a full row too, at the step that it reads first
        ("backward", [(0, 3)], SECOND),
        ("backward", [(0, 0)], later(4)),
        ("backward", [(1, 1)], BACKWARD),
        ("backward", [(1, 0), (2, 3)], BACKWARD),
        ("backward", [(0, 4), (1, 0)], MIXED),
    ],
)
def test_each_place_has_its_sentence(direction: Direction, changed: list[tuple[int, int]], sentence: str) -> None:
    """Steps count in the order read, padding apart; the backward half of short rows alone is the reversal."""
    one, other = traces(changed, ("forward", direction) if direction == "backward" else ("forward",))
    assert explain(differences(one, other)) == sentence


def test_short_rows_of_a_forward_track_are_no_reversal() -> None:
    """The same places in both directions: the forward half says that something else is wrong."""
    one, other = traces([(1, 1)], ("forward", "backward"))
    forward = traces([])[0].tracks[0].outputs
    assert forward is not None
    changed = forward.copy()
    changed[1, 0] += 0.5
    both = Trace(other.mask, (Track(0, "forward", changed, None), other.tracks[1]), other.lengths)
    first = Trace(one.mask, (Track(0, "forward", forward, None), one.tracks[1]), one.lengths)
    assert explain(differences(first, both)) == FIRST


def test_a_full_row_must_be_there_and_agree() -> None:
    """Without a full row nothing says that full rows agree."""
    mask = prefix_mask((2, 4), 5)
    outputs = np.random.default_rng(1).uniform(-1, 1, (2, 5, 2))
    other = outputs.copy()
    other[0, 1] += 0.5
    one, two = (Trace(mask, (Track(0, "backward", a, None),), np.array([2, 4])) for a in (outputs, other))
    assert explain(differences(one, two)) == FIRST


def test_states_count_only_where_outputs_agree() -> None:
    """Final states that differ are a fault of their own where every real output agrees, padded ones or not."""
    for changed, sentence in (([], STATES), ([(1, 3)], STATES), ([(0, 0)], FIRST)):
        one, other = traces(changed)
        h = np.zeros((3, 2))
        states = [Trace(t.mask, (Track(0, "forward", t.tracks[0].outputs, h + i),)) for i, t in enumerate((one, other))]
        assert explain(differences(one, other), state_differences(*states)) == sentence


@pytest.mark.parametrize(
    ("step", "units", "drift"),
    [(0, 16, True), (0, 17, False), (3, 256, True), (3, 258, False), (3, 17, True)],
)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_rounding_has_its_limits(direction: Direction, step: int, units: float, drift: bool) -> None:
    """A few roundings at the first step that is read, 256 later on, of the largest number that there is."""
    outputs = np.full((1, STEPS, 1), 2.0, dtype=np.float32)
    outputs[0, 2] = 0.1  # which no coarser precision holds
    other = outputs.astype(np.float64)
    at = STEPS - 1 - step if direction == "backward" else step
    other[0, at] -= units * EXPONENTS["float32"] * 2.0
    mask = np.ones((1, STEPS), dtype=np.bool_)
    one, two = (
        Trace(mask, (Track(0, direction, a, None),), np.array([STEPS])) for a in (outputs, other.astype(np.float32))
    )
    (compared,) = differences(one, two)
    assert compared.precisions == ("float32", "float32")
    assert compared.scale == 2.0
    assert is_drift(compared) is drift
    assert (explain([compared]) == PRECISION) is drift


def test_all_tracks_must_drift() -> None:
    """One track that differs by more than rounding is no matter of precision, whatever the others do."""
    one, other = traces([(0, 2)], ("forward", "backward"))
    forward = one.tracks[0].outputs
    assert forward is not None
    nudged = np.nextafter(forward, np.float32(2))
    both = Trace(other.mask, (Track(0, "forward", nudged, None), other.tracks[1]), other.lengths)
    assert explain(differences(one, both)) != PRECISION
    alone = Trace(one.mask, (Track(0, "forward", nudged, None), one.tracks[1]), one.lengths)
    assert explain(differences(one, alone)) == PRECISION
