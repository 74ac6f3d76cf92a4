"""Wrong weights beneath another mistake are named beside it; right ones are not accused by what would hide them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.core.finding import Finding
from rnninspect.diagnosis import weights_beneath as beneath
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.weights_beneath import weights_beneath
from rnninspect.diagnosis.weights_rule import WeightsRule
from tests.support.made import correct_case
from tests.support.pace import seconds_of
from tests.support.pairs import correct

LENGTHS = [
    "off-by-one-length",
    "lengths-misaligned",
    "lengths-rescaled",
    "last-column-as-final-state",
    "lengths-ignored",
]
# What touches outputs, inputs or starts, and hides the weights' mistake until it is undone.
HIDING = ["backward-not-flipped", "inputs-reshaped-not-transposed", "initial-state-unused", "left-padded", "mask-hole"]
WEIGHTS = sorted(name for name, rule in rules().items() if isinstance(rule, WeightsRule))


def injected(shape: tuple[str, int, int], *names: str) -> Case:
    """A right run with these mistakes; skipped where the shape has no room for one."""
    case = correct(shape)
    for name in names:
        try:
            case = rules()[name].inject(case)
        except Exception as reason:
            pytest.skip(str(reason))
    return case


def findings(case: Case) -> list[Finding]:
    return judge(case, rules()).findings


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("other", LENGTHS)
@pytest.mark.parametrize("cell", [pytest.param("lstm", marks=pytest.mark.long), "gru"])
def test_wrong_lengths_over_any_mistake_of_weights(cell: str, other: str, weights: str) -> None:
    """Both are named, whichever lengths were wrong and however the weights are."""
    reported = findings(injected((cell, 1, 1), other, weights))
    named = {name for f in reported for name in (f.rule, *f.alternatives)}
    assert {other, weights} <= named, [f.message for f in reported]


@pytest.mark.parametrize("weights", ["gate-order", "bias-dropped", "kernel-transposed"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_lengths_in_no_sorted_order_over_a_mistake_of_weights(cell: str, weights: str) -> None:
    """The states tell whose lengths were used, as long as they are as they were found."""
    case = injected((cell, 1, 1), weights)
    assert case.trace.lengths is not None
    reported = findings(case.with_lengths(np.roll(case.trace.lengths, 1)))
    assert {f.rule for f in reported if f.severity == "error"} == {"lengths-misaligned", weights}


@pytest.mark.parametrize("weights", ["gate-order", "bias-dropped", "recurrent-activation"])
@pytest.mark.parametrize("other", HIDING)
@pytest.mark.parametrize("shape", [pytest.param(("lstm", 1, 2), marks=pytest.mark.long), ("gru", 1, 1)], ids=str)
def test_what_hides_the_weights_is_undone(shape: tuple[str, int, int], other: str, weights: str) -> None:
    """The weights' mistake and the one that hid it are both named, and each says of the other."""
    reported = findings(injected(shape, other, weights))
    named = {name for f in reported for name in (f.rule, *f.alternatives)}
    assert {other, weights} <= named, [f.message for f in reported]
    assert not any(f.rule.startswith("unexplained") for f in reported)


def test_weights_beneath_lengths_of_a_stack_in_two_directions() -> None:
    """A stack of two directions, whose steps are few, is run for every change too: both are named."""
    reported = findings(injected(("gru", 2, 2), "lengths-misaligned", "update-gate-flipped"))
    assert {f.rule for f in reported} == {"lengths-misaligned", "update-gate-flipped"}


def test_symptoms_of_what_was_undone_are_not_named() -> None:
    """Beside backward outputs that were not flipped, found by undoing that, no state read at the wrong end is named."""
    reported = findings(injected(("gru", 1, 2), "backward-not-flipped", "gate-order"))
    assert {f.rule for f in reported} == {"backward-not-flipped", "gate-order"}


@pytest.mark.parametrize("shape", [("lstm", 1, 1), ("gru", 1, 1), ("gru", 1, 2)], ids=str)
def test_a_lost_bias_beneath_the_last_column(shape: tuple[str, int, int]) -> None:
    """Biases that the file lacks are fitted once the states are taken as they ought to be."""
    case = injected(shape, "last-column-as-final-state")
    assert case.weights is not None
    lost = tuple(replace(w, bias=np.zeros_like(w.bias), recurrent_bias=None) for w in case.weights.layers)
    reported = findings(case.with_weights(replace(case.weights, layers=lost)))
    assert {f.rule for f in reported} == {"last-column-as-final-state", "bias-dropped"}


@pytest.mark.parametrize(
    "name", ["last-column-as-final-state", "off-by-one-length", "rows-permuted", "lengths-rescaled"]
)
def test_right_weights_are_not_accused(name: str) -> None:
    """A mistake of states or lengths alone says nothing of the weights."""
    for shape in (("lstm", 1, 1), ("gru", 1, 1)):
        reported = findings(injected(shape, name))
        assert not {f.rule for f in reported} & set(WEIGHTS)


def test_other_weights_are_left_unexplained() -> None:
    """Weights of another layer beside wrong states: no change is made up for them, and the difference is said."""
    case = injected(("gru", 1, 1), "rows-permuted")
    reported = findings(case.with_weights(correct_case("gru", seed=9).weights))
    assert {f.rule for f in reported} == {"rows-permuted", "unexplained-difference"}


def test_weights_are_not_sought_where_a_run_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search does nothing for weights that give the dump, and is not asked where a rule names what they lack."""
    assert weights_beneath(correct(("lstm", 1, 1)), rules(), frozenset()) == []

    def never(*_: object) -> None:
        raise UserWarning

    monkeypatch.setattr(beneath, "weights_beneath", never)
    assert [f.rule for f in findings(injected(("gru", 1, 1), "gate-order"))] == ["gate-order"]


def test_the_search_is_bounded() -> None:
    """64 rows of 200 steps and 256 units that no weights give: a second, and twice that on a busy machine."""
    lengths = np.random.default_rng(0).integers(1, 201, 64)
    case = correct_case("gru", 1, 2, lengths=lengths, steps=200, units=128)
    off = case.with_tracks(lambda t: replace(t, outputs=np.asarray(t.outputs) * 1.01, final=np.asarray(t.final) * 1.01))
    assert off.facts
    assert off.reference is not None
    listed: list[object] = []
    assert seconds_of(lambda: listed.extend(weights_beneath(off, rules(), frozenset())), times=1) < 2
    assert listed == []


@pytest.mark.parametrize("shape", [("lstm", 1, 2), ("gru", 2, 2), ("rnn", 1, 2)], ids=str)
def test_symptoms_of_lengths_ignored_are_not_named_beside_it(shape: tuple[str, int, int]) -> None:
    """A backward pass that read the padding first is what lengths that never arrived do, and no second mistake; the
    weights' own beneath it is."""
    assert [f.rule for f in findings(injected(shape, "lengths-ignored"))] == ["lengths-ignored"]
    if shape[1] == 1:
        both = findings(injected(shape, "lengths-ignored", "bias-dropped"))
        assert {f.rule for f in both} == {"lengths-ignored", "bias-dropped"}


@pytest.mark.parametrize("both", [False, True])
def test_other_weights_of_a_projection_are_left_unexplained(both: bool) -> None:
    """No cell state is fitted where a projection mixes the units that would show it; nothing is refused either."""
    torch.manual_seed(0)
    layer = torch.nn.LSTM(3, 6, proj_size=4, batch_first=True, bidirectional=both)
    inputs = torch.randn(5, 8, 3)
    with torch.no_grad():
        outputs, (h, c) = layer(inputs)
        for parameter in layer.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    order = [1, 2, 0, 4, 3]
    dump = {"output": outputs, "h_n": h[:, order], "c_n": c[:, order], "inputs": inputs, "lengths": np.full(5, 8)}
    report = rnninspect.inspect({k: np.asarray(v) for k, v in dump.items()}, weights=layer.state_dict())
    assert [f.rule for f in report.findings] == ["rows-permuted", "unexplained-difference"]
