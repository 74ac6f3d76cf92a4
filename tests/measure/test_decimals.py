"""Print-outs: how many decimals an array was rounded to, and matching in spite of them."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect.core.precision import Precision
from rnninspect.core.trace import Array
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from rnninspect.measure import decimals
from tests.support.made import correct_case

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("digits", [1, 3, 5])
def test_decimals_are_told(digits: int, dtype: str) -> None:
    """Numbers rounded to some decimals are seen as such in either type; one number more precise, and they are not."""
    values = np.round(RNG.uniform(-1, 1, 200), digits).astype(dtype)
    assert decimals.decimals(values) == digits
    values[17] += 0.3 * 10.0**-digits
    assert decimals.decimals(values) != digits


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_full_precision_is_not_taken_for_print(dtype: str) -> None:
    """No draw of full-precision numbers, however few, passes for a print-out."""
    for size in range(1, 40):
        assert decimals.decimals(RNG.uniform(-1, 1, size).astype(dtype)) is None


def test_integers_and_halves_say_nothing() -> None:
    """Zeros, ones, a half and a quarter are round in any precision."""
    assert decimals.decimals(np.array([0.0, 1.0, 0.5, -2.0, 0.25])) is None


def dumped(outputs: int | None, states: int | None) -> dict[str, Array]:
    """A right dump of two layers, its outputs and states printed with so many decimals (None: not printed)."""

    def at(array: Array, digits: int | None) -> Array:
        return array if digits is None else np.round(array.astype(np.float64), digits)

    arrays = build_case.dump(correct_case("lstm", 1, 1))
    kept = {name: array for name, array in arrays.items() if name in ("inputs", "lengths")}
    return kept | {n: at(a, outputs if n == "outputs" else states) for n, a in arrays.items() if n not in kept}


@pytest.mark.parametrize(("outputs", "states"), [(4, None), (None, 4), (3, 6), (6, 4), (4, 4)])
def test_a_print_out_of_a_right_run_is_not_accused(outputs: int | None, states: int | None) -> None:
    """Unequal decimals are evened out, the tolerance says so, and every state is at its step."""
    case = build_case.read_case(dumped(outputs, states), correct_case().config, "tf1")
    assert judge(case, rules()).findings == []
    assert not any(f.mismatched.any() for f in case.facts)
    fewest = min(d for d in (outputs, states) if d is not None)
    assert case.choice.rounded_to == (None if outputs == states else Precision(decimals=fewest))
    assert case.tolerance.atol == (0 if outputs == states else pytest.approx(1.05 * 10.0**-fewest))


def test_no_room_is_given_that_rounding_does_not_need() -> None:
    """Outputs of whole numbers beside a state that is a hundredth off: nothing was rounded away, so it is not near."""
    outputs = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    state = (outputs[:, 2] + np.float32(0.01)).astype(np.float32)
    case = build_case.read_case({"outputs": outputs, "final_state.h": state}, correct_case().config, "tf1")
    assert case.tolerance.atol == 0
    assert any(f.mismatched.any() for f in case.facts)


def test_a_mistake_in_a_print_out_is_named() -> None:
    """Rounding alike brings back exact equality, so that rows in another order are found by their numbers."""
    arrays = dumped(4, 6)
    order = [2, 0, 1, 4, 3]
    for name in arrays:
        if name.startswith("final_state"):
            arrays[name] = arrays[name][order]
    case = build_case.read_case(arrays, correct_case().config, "tf1")
    assert [f.rule for f in judge(case, rules()).findings] == ["rows-permuted"]


def test_weights_agree_with_a_print_out() -> None:
    """Rounded outputs and inputs do not make right weights look wrong."""
    arrays = dumped(3, 3)
    arrays["inputs"] = np.round(arrays["inputs"].astype(np.float64), 3)
    right = correct_case()
    case = build_case.read_case(arrays, right.config, "tf1").with_weights(right.weights)
    assert judge(case, rules()).findings == []


def test_a_list_of_float32_keeps_its_decimals() -> None:
    """`tolist()` gives the further digits of a rounded float32, which are no precision; those of others are."""
    values = np.random.default_rng(0).uniform(-1, 1, 60).astype(np.float32)
    assert decimals.decimals(np.array(np.round(values, 2).tolist())) == 2
    assert decimals.decimals(np.array(values.tolist())) is None
    assert decimals.decimals(np.round(values.astype(np.float64), 2)) == 2
