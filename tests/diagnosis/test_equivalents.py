"""The same run, given in another way, gets the same answer: a mask for lengths, more padding, other axes or units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from rnninspect.api.inspect import inspect_case
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.build_case import read_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case

Answer = tuple[str, list[tuple[str, str, list[int]]]]
STEPS = 7
# Mistakes of states and lengths that do not count the rows or the steps of the whole. (Padding before the data beside a
# mask that puts it behind is another matter: so a layer that reads backwards looks.)
MISTAKES = (
    "last-column-as-final-state",
    "off-by-one-length",
    "rows-permuted",
    "lengths-rescaled",
    "state-never-written",
)
MISTAKES += (
    "lengths-ignored",
    "mask-hole",
    "lengths-from-zeros",
    "zero-length-row",
    "lengths-misaligned",
)
LENGTHS = {"five rows": [4, 1, 7, 3, 6], "two rows": [4, 7], "two rows, longest first": [7, 2]}


def _answer(arrays: Mapping[str, Array], config: LayerConfig, convention: str, turned: bool = False) -> Answer:
    """The verdict, and what is found in which rows; `turned`: the rows came in the opposite order."""
    case = read_case(arrays, config, convention, named_roles={})
    report = inspect_case(case, "compare", excerpt=0)
    last = report.shape["batch"] - 1
    answers = [
        (f.rule, f.severity, sorted(last - row for row in f.rows) if turned else f.rows) for f in report.findings
    ]
    return report.verdict, sorted(answers)


def _made(name: str, convention: str, lengths: list[int], directions: int) -> Case | None:
    right = correct_case("lstm", 1, directions, lengths=np.array(lengths), convention=convention, steps=STEPS)
    try:
        return rules()[name].inject(right) if name else right
    except CannotInject:
        return None


def _is_sequence(array: Array, rows: int) -> bool:
    return array.ndim == 3 and array.shape[:2] == (rows, STEPS)


@pytest.mark.parametrize("convention", ["tf1", "keras"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("name", ["", *MISTAKES], ids=["right", *MISTAKES])
def test_equivalent_dumps(name: str, lengths: list[int], convention: str) -> None:
    """Each way of saying the same gives the same findings in the same rows."""
    for directions in (1, 2):
        case = _made(name, convention, lengths, directions)
        if case is None:
            continue
        arrays, config, rows = build_case.dump(case), case.config, len(lengths)
        expected = _answer(arrays, config, convention)
        sequences = [key for key, array in arrays.items() if _is_sequence(array, rows)]

        if "lengths" in arrays and arrays["lengths"].max() <= STEPS:
            mask = {"mask": np.arange(STEPS)[None] < arrays["lengths"][:, None]}
            masked = {key: array for key, array in arrays.items() if key != "lengths"} | mask
            assert _answer(masked, config, convention) == expected

        turned = {key: array[::-1] for key, array in arrays.items()}
        assert _answer(turned, config, convention, turned=True) == expected

        swapped = {key: a.swapaxes(0, 1) if key in sequences else a for key, a in arrays.items()}
        time_major = replace(config, time_major=True, axes_stated=True)
        assert _answer(swapped, time_major, convention) == expected

        plain = {key: array for key, array in arrays.items() if key != "inputs"}
        without = _answer(plain, config, convention)
        for factor in (0.25, 2.0**-60):
            small = {k: a * a.dtype.type(factor) if a.dtype.kind == "f" else a for k, a in plain.items()}
            assert _answer(small, config, convention) == without


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("name", ["", "off-by-one-length", "rows-permuted", "last-column-as-final-state"])
def test_more_zero_padding(name: str, lengths: list[int]) -> None:
    """Zeros behind zeroed padding say nothing new of states that are not zero themselves."""
    case = _made(name, "tf1", [*lengths[:-1], 5] if name.startswith("last") else lengths, 1)
    assert case is not None
    arrays = build_case.dump(case)
    rows = len(lengths)
    wider = {
        key: np.pad(array, [(0, 0), (0, 4), (0, 0)]) if _is_sequence(array, rows) else array
        for key, array in arrays.items()
    }
    assert _answer(wider, case.config, "tf1") == _answer(arrays, case.config, "tf1")


def test_a_mask_of_other_axes_is_no_mask_of_these() -> None:
    """A mask `[B, T]` beside arrays `[T, B, H]` says what its lengths say there; one with holes stays a mask."""
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(4, 3, 2))
    holes = np.array([[1, 0, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1]], dtype=bool)
    case = read_case({"outputs": outputs, "h": outputs[:, 2], "mask": holes}, LayerConfig(), "tf1", named_roles={})
    assert case.trace.mask_given
    assert case.trace.lengths is None
    prefixes = np.sort(holes, axis=1)[:, ::-1]
    case = read_case({"outputs": outputs, "h": outputs[:, 2], "mask": prefixes}, LayerConfig(), "tf1", named_roles={})
    assert not case.trace.mask_given
    assert case.trace.lengths is not None
    assert case.trace.lengths.tolist() == [2, 3, 2, 3]
