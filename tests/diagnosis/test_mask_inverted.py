"""Runs over the padding alone, beside a mask, lengths or tokens that say so; and right runs that look like them."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect
from rnninspect import conventions
from rnninspect.core.cell import CellSpec
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, prefix_mask
from rnninspect.diagnosis import build_case
from tests.support.made import random_weights
from tests.support.oracles import random_layer, run_masked

LENGTHS = np.array([5, 1, 4, 2])
REAL = np.arange(6) < LENGTHS[:, None]
IN_FRONT = np.flip(REAL, 1)
FULL = prefix_mask(np.array([6, 1, 4, 2]), 6)
RNG = np.random.default_rng(3)


def inputs_of(real: Array) -> Array:
    return np.where(real[..., None], RNG.normal(size=(4, 6, 3)), 0)


def ran(read: Array, real: Array, padding: str) -> dict[str, Array]:
    """Outputs and states of a GRU in numpy that reads the steps `read` of inputs that are zero where not `real`."""
    layer = random_layer(np.random.default_rng(0), "gru", 3, 5)
    outputs, state, _ = run_masked(CellSpec("gru"), layer, inputs_of(real), read, padding=padding)
    return {"outputs": outputs, "h": state}


def told(dump: dict[str, Array]) -> tuple[str, list[str]]:
    report = rnninspect.inspect(dump)
    return report.verdict, [f.rule for f in report.findings if f.severity != "note"]


@pytest.mark.parametrize("padding", ["zero", "repeat"])
@pytest.mark.parametrize("real", [REAL, FULL, IN_FRONT], ids=["behind", "a full row", "in front"])
def test_a_run_over_the_padding_alone_is_named(real: Array, padding: str) -> None:
    """Proves that lengths, inputs and tokens each tell it from a right run, and that right runs are accused of
    nothing, be the mask beside them true at real steps or at padding."""
    besides = {
        "inputs": {"mask": real, "inputs": inputs_of(real)},
        "tokens": {"tokens": np.where(real, 7, 0)},
        "lengths": {"lengths": real.sum(1)} if real is not IN_FRONT else {"mask": real, "lengths": real.sum(1)},
    }
    for what, more in besides.items():
        if what != "tokens" or real is not IN_FRONT:  # of which nothing shows that they are skipped ahead of the end
            assert told(ran(~real, real, padding) | more) == ("findings", ["mask-inverted"]), what
        assert told(ran(real, real, padding) | more)[1] == [], what
    inverted = {"mask": ~real, "inputs": inputs_of(real)}
    assert told(ran(real, real, padding) | inverted)[1] == []


def test_a_single_real_step_leaves_two_causes() -> None:
    """Proves that a zero at the only real step, beside a state that is off, is either the mask's or a run's that read
    on over the padding, that such a run is not taken for the other where that step moves, and that right runs are not
    accused."""
    inputs, real = RNG.normal(size=(1, 6, 3)), np.arange(6)[None] < 1
    layer = random_layer(np.random.default_rng(0), "gru", 3, 5)
    expected = ((~real, {"lengths-ignored": ["mask-inverted"]}), (real | True, {"lengths-ignored": []}), (real, {}))
    for read, rules in expected:
        outputs, state, _ = run_masked(CellSpec("gru"), layer, inputs, read)
        report = rnninspect.inspect({"outputs": outputs, "h": state, "lengths": np.array([1])})
        assert {f.rule: f.alternatives for f in report.findings} == rules


def test_a_mask_that_fits_two_runs_is_not_clean() -> None:
    """Proves that outputs which are zero, or stand still, at true alone leave it open which way round the mask is,
    where no row without padding tells, rows that get longer among them, and that masks the right way round stay
    clean."""
    rising = REAL[[1, 3, 2, 0]]
    for real, padding in ((REAL, "repeat"), (REAL, "zero"), (rising, "repeat"), (rising, "zero"), (IN_FRONT, "repeat")):
        wrong = rnninspect.inspect(ran(~real, real, padding) | {"mask": real})
        assert wrong.verdict == "unjudged"
        assert wrong.untested is not None
        assert "called with the opposite" in wrong.untested
        assert told(ran(real, real, padding) | {"mask": real}) == ("clean", [])
    assert told(ran(rising, rising, "zero") | {"mask": ~rising}) == ("clean", [])
    in_front = np.flip(FULL, 1)
    assert told(ran(in_front, in_front, "repeat") | {"mask": ~in_front}) == ("clean", [])
    assert told(ran(FULL, FULL, "repeat") | {"mask": ~FULL}) == ("clean", [])
    assert told(ran(~FULL, FULL, "repeat") | {"mask": FULL}) == ("findings", ["mask-inverted"])


@pytest.mark.parametrize("computed", [False, True])
def test_as_many_steps_as_there_is_padding_are_named(computed: bool) -> None:
    """Proves that lengths counted on the inverse of the mask give one cause for every row, outputs zeroed or not, and
    that the rows of one length, or lengths in another order, are left to other causes."""
    lengths = np.array([5, 1, 4, 2, 2])
    inputs, layer = RNG.normal(size=(5, 6, 3)), random_layer(np.random.default_rng(0), "gru", 3, 5)
    whole = run_masked(CellSpec("gru"), layer, inputs, np.ones((5, 6), dtype=np.bool_))[0]

    def packed(counts: Array, counted: Array) -> list[str]:
        outputs = whole if computed else np.where(prefix_mask(counts, 6)[..., None], whole, 0)
        return told({"outputs": outputs, "h": whole[np.arange(5), counts - 1], "lengths": counted})[1]

    assert packed(6 - lengths, lengths) == ["mask-inverted"]
    assert packed(lengths, lengths) == []
    assert "mask-inverted" not in packed(np.full(5, 4), np.full(5, 2))
    assert packed(lengths[::-1], lengths)[:1] != ["mask-inverted"]


def test_weights_that_are_wrong_besides_are_named_too() -> None:
    """Proves that a run over the padding is undone, so that a bias lost from the weights given is seen beneath it, and
    that right weights beside such a run are accused of nothing."""
    inputs, config = inputs_of(REAL).astype(np.float32), LayerConfig(cell="gru", layers=1)
    weights = random_weights("gru", 3, 5, reset_after=True)
    case = build_case.run_case({"inputs": inputs, "mask": ~REAL}, config, "keras", weights=weights)
    dump = {name: array for name, array in build_case.dump(case).items() if name != "mask"} | {"lengths": LENGTHS}
    saved = conventions.get("keras").write_weights(weights)
    lost = {name: 0 * array if "bias" in name else array for name, array in saved.items()}
    for tried, rules in ((saved, ["mask-inverted"]), (lost, ["bias-dropped", "mask-inverted"])):
        report = rnninspect.inspect(dump, cell="gru", convention="keras", weights=tried)
        assert sorted(f.rule for f in report.findings if f.severity != "note") == rules
