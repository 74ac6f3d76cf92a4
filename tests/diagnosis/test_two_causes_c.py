"""Two causes are named where undoing the first one matters to the second; one buffer is seen beside empty rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import rnninspect
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.pairs import correct


@pytest.mark.parametrize("cell_shape", [("lstm", 1, 2), ("lstm", 2, 2)], ids=str)
def test_a_state_that_c_holds_is_no_proof_of_another_mistake_in_h(cell_shape: tuple[str, int, int]) -> None:
    """Where c equals the outputs, whatever h is, no second mistake in h is proven by it."""
    overwritten = rules()["cell-overwritten-by-hidden"].inject(correct(cell_shape))
    case = rules()["state-from-another-run"].inject(overwritten).with_weights(None)
    named = {finding.rule for finding in judge(case, rules()).findings}
    assert "directions-interleaved" not in named


def test_c_and_h_exchanged_and_rows_permuted_are_both_named() -> None:
    """The second mistake moves c too: that is proof."""
    exchanged = rules()["cell-hidden-swapped"].inject(correct(("lstm", 1, 1)))
    case = rules()["rows-permuted"].inject(exchanged).with_weights(None)
    assert {"cell-hidden-swapped", "rows-permuted"} <= {finding.rule for finding in judge(case, rules()).findings}


def test_one_buffer_is_seen_beside_rows_of_zeros() -> None:
    """Rows whose state was never written show zeros at every step, and do not hide that the others repeat theirs."""
    unwritten = rules()["state-never-written"].inject(correct(("lstm", 1, 1)))
    case = rules()["outputs-aliased"].inject(unwritten).with_weights(None)
    assert "outputs-aliased" in {finding.rule for finding in judge(case, rules()).findings}


@pytest.mark.parametrize("shape", [("lstm", 1, 1), ("lstm", 2, 1), ("lstm", 1, 2)], ids=str)
@pytest.mark.parametrize("other", ["cell-hidden-swapped", "outputs-are-cell-state"])
def test_one_state_in_the_place_of_both_is_told_by_the_outputs(shape: tuple[str, int, int], other: str) -> None:
    """Where c overwrote h the outputs are smaller than it in every unit, and where they hold c, larger than h."""
    case = correct(shape)
    order = ("cell-hidden-swapped", "cell-overwritten-by-hidden")
    for name in order if other == order[0] else ("cell-overwritten-by-hidden", other):
        case = rules()[name].inject(case)
    assert {f.rule for f in judge(case.with_weights(None), rules()).findings} == {"cell-overwritten-by-hidden", other}


def test_an_overwritten_c_of_another_step_tells_of_no_exchange() -> None:
    """The twin: h, and c with it, are of the step before; nothing says which of the two the outputs are."""
    case = rules()["off-by-one-length"].inject(correct(("lstm", 1, 1))).with_weights(None)
    case = case.with_tracks(lambda track: replace(track, cell=track.final))
    named = {f.rule for f in judge(case, rules()).findings}
    assert named == {"cell-overwritten-by-hidden", "off-by-one-length"}


def test_an_overwritten_c_is_told_beneath_a_cast() -> None:
    """h was cast since, and c was not: no |h| of an LSTM is larger than |tanh(c)|, which c right beside it shows."""
    right = correct(("lstm", 1, 1))
    drifted = rules()["precision-drift"].inject(rules()["cell-overwritten-by-hidden"].inject(right))
    assert "cell-overwritten-by-hidden" in {f.rule for f in judge(drifted, rules()).findings}
    cast = rules()["precision-drift"].inject(right)
    assert "cell-overwritten-by-hidden" not in {f.rule for f in judge(cast, rules()).findings}


def test_a_c_of_other_units_fails_no_rule() -> None:
    """A projected LSTM's c is wider than its h, and c of both directions lies in one array: nothing is compared."""
    rng = np.random.default_rng(0)
    outputs = rng.uniform(-0.5, 0.5, (3, 6, 4)).astype(np.float32)
    h, c = outputs[:, 2], rng.uniform(-0.5, 0.5, (3, 8)).astype(np.float32)
    report = rnninspect.inspect(outputs, h, cell_state=c, lengths=[6, 6, 6])
    assert not any("failed" in note for note in report.notes)
