"""Two causes are named where undoing the first one matters to the second; one buffer is seen beside empty rows."""

from __future__ import annotations

import pytest

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
