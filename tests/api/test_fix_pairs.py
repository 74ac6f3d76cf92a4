"""Two mistakes at once: what was named is mended, one after the other, where the arrays suffice."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rules import rules
from rnninspect.errors import UserError
from tests.support.made import correct_case

ROWS = np.array([2, 0, 1, 4, 3])


def mistaken(case: Case, *mistakes: str) -> dict[str, np.ndarray]:
    for name in mistakes:
        case = rules()[name].inject(case)
    return build_case.dump(case)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_permuted_rows_beside_a_residual(cell: str) -> None:
    """The states are put back in order; the sum in the outputs is a note, and stays."""
    right = correct_case(cell)
    fixed = rnninspect.fix(mistaken(right, "output-residual", "rows-permuted"), convention="tf1")
    assert [change.rule for change in fixed.changes] == ["rows-permuted"]
    assert fixed.report.verdict == "clean"
    for name, array in mistaken(right, "output-residual").items():
        np.testing.assert_array_equal(fixed.arrays[name], array)


def test_permuted_rows_beside_a_residual_of_no_inputs() -> None:
    """Without the inputs nothing tells what was added: nothing is written."""
    arrays = mistaken(correct_case("gru"), "output-residual", "rows-permuted")
    with pytest.raises(UserError, match="run again"):
        rnninspect.fix({n: a for n, a in arrays.items() if n != "inputs"}, convention="tf1")


@pytest.mark.parametrize("convention", ["tf1", "torch"])
def test_permuted_rows_beside_ignored_lengths(convention: str) -> None:
    """Every state is taken anew from the outputs, whosever it was; the row that was full among them."""
    right = correct_case("gru", convention=convention)
    fixed = rnninspect.fix(mistaken(right, "lengths-ignored", "rows-permuted"), convention=convention)
    assert fixed.changes[0].rule == "lengths-ignored"
    assert fixed.changes[0].rows == (0, 1, 2, 3, 4)
    state = right.trace.tracks[0].final
    assert state is not None
    name = next(n for n, a in fixed.arrays.items() if a.size == state.size and a.shape[-2:] == state.shape)
    np.testing.assert_allclose(fixed.arrays[name].reshape(state.shape), state, atol=1e-6)


def test_a_cell_state_of_another_step_is_still_refused() -> None:
    """The c of a run that read on belongs to no step of the outputs."""
    arrays = mistaken(correct_case("lstm"), "lengths-ignored", "rows-permuted")
    with pytest.raises(UserError, match="c is not in these arrays"):
        rnninspect.fix(arrays, convention="tf1")


@pytest.mark.parametrize("rows", [ROWS, np.arange(5)])
@pytest.mark.parametrize("where", ["state", "outputs", "rows of outputs"])
def test_interleaved_directions_beside_permuted_rows(where: str, rows: np.ndarray) -> None:
    """Whichever of state and outputs was interleaved, or reshaped without a transpose, both are put right."""
    case = correct_case("gru", 1, 2, convention="torch")
    outputs = np.stack([t.outputs for t in case.trace.tracks], 2)  # type: ignore[arg-type]
    states = np.stack([t.final for t in case.trace.tracks], 1)  # type: ignore[arg-type]
    right = outputs.reshape(5, 7, -1), states.reshape(5, -1)
    wrong = {
        "state": (right[0], states.swapaxes(1, 2).reshape(5, -1)),
        "outputs": (outputs.swapaxes(2, 3).reshape(5, 7, -1), right[1]),
        "rows of outputs": (outputs.swapaxes(1, 2).reshape(5, 7, -1), right[1]),
    }[where]
    about = {"lengths": case.trace.lengths, "bidirectional": True, "convention": "torch"}
    report = rnninspect.inspect(wrong[0], wrong[1][rows], **about)
    expected = ["directions-interleaved", *(["rows-permuted"] if rows is ROWS else [])]
    assert sorted(f.rule for f in report.findings) == expected
    fixed = rnninspect.fix(wrong[0], wrong[1][rows], **about)
    assert fixed.report.verdict == "clean"
    np.testing.assert_array_equal(fixed.arrays["outputs"], right[0])
    np.testing.assert_array_equal(fixed.arrays["final_state"], right[1])


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("convention", ["torch", "paddle", "keras"])
def test_layers_in_another_order_beside_weights(convention: str, directions: int, layers: int) -> None:
    """Inputs and weights decide it: the top state stands below, so that it was not another layer's that was taken."""
    case = correct_case("gru", layers, directions, convention=convention)
    about = {"weights": case.convention.write_weights(case.weights), "layers": layers, "convention": convention}
    about |= {"bidirectional": directions == 2, **case.convention.attributes(case.weights.spec)}  # type: ignore[union-attr]
    fixed = rnninspect.fix(mistaken(case, "layer-order-reversed"), **about)  # type: ignore[arg-type]
    assert [change.rule for change in fixed.changes] == ["layer-order-reversed"]
    for name, array in build_case.dump(case).items():
        np.testing.assert_array_equal(fixed.arrays[name], array)


def test_a_lower_layers_state_is_still_told() -> None:
    """The twin: the bottom layer's state in every slot is a wrong layer, for the top one's is nowhere."""
    case = correct_case("gru", 2, convention="torch")
    report = rnninspect.inspect(mistaken(case, "wrong-layer"), convention="torch", layers=2)
    assert "wrong-layer" in {name for f in report.findings for name in (f.rule, *f.alternatives)}


def test_what_is_unjudged_is_not_called_right() -> None:
    """A stack listed in reverse order may be half of two directions: fix says what would decide, and writes nothing."""
    arrays = mistaken(correct_case("gru", 2, convention="torch"), "layer-order-reversed")
    assert rnninspect.inspect(arrays, convention="torch").verdict == "unjudged"
    with pytest.raises(UserError, match="forward half of two directions"):
        rnninspect.fix(arrays, convention="torch")
    assert rnninspect.fix(arrays, convention="torch", layers=2).report.verdict == "clean"
