"""Every check against every plant: rule i fires on mistake i and on no other, and nothing fires on a correct run."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from rnninspect.api.inspect import inspect
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.examples import runs
from rnninspect.diagnosis.judge import Judgement, judge
from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case, random_weights

SHAPES = [(cell, layers, directions) for cell in ("lstm", "gru", "rnn") for layers in (1, 2) for directions in (1, 2)]

# One layer and a stack, one direction and two, every cell; all shapes by `pytest -m long`.
OFTEN = [("lstm", 1, 1), ("lstm", 2, 2), ("gru", 1, 2), ("rnn", 2, 1)]
PLANTED = [shape if shape in OFTEN else pytest.param(shape, marks=pytest.mark.long) for shape in SHAPES]

# Rules that the same numbers bear out as well; each is a fact of its own, not a second cause.
ALSO = {
    "lengths-ignored": {"backward-read-padding"},  # both directions of the planted run read on
    "padding-computed": {"backward-read-padding"},
    "lengths-misaligned": {"backward-read-padding", "stale-initial-state", "mask-hole"},
    "left-padded": {"backward-not-flipped", "mask-hole"},
}


@functools.cache
def correct(shape: tuple[str, int, int]) -> Case:
    cell, layers, directions = shape
    if shape == ("lstm", 1, 1):  # one shape with peepholes and a clip, so that leaving them out can be planted
        return correct_case(cell, layers, directions)
    rows = np.array([4, 1, 7, 3]) if layers * directions == 4 else np.array([4, 1, 7, 3, 6])
    return correct_case(cell, layers, directions, lengths=rows)


def judged(case: Case) -> Judgement:
    return judge(case, rules())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nothing_fires_on_a_correct_run(shape: tuple[str, int, int]) -> None:
    """A right run of every cell, depth and direction has no finding at all, weights and inputs included."""
    reported = judged(correct(shape)).findings
    assert reported == []


@pytest.mark.parametrize("shape", PLANTED, ids=str)
@pytest.mark.parametrize("name", sorted(rules()))
def test_each_rule_on_its_own_plant(name: str, shape: tuple[str, int, int]) -> None:
    """The planted mistake is named, and no other rule is but those that the rule itself says or implies; nothing is
    said to go with it or to lie beneath it."""
    rule = rules()[name]
    try:
        injected = rule.inject(correct(shape))
    except CannotInject as reason:
        pytest.skip(str(reason))
    reported = judged(injected).findings
    named = {n for f in reported for n in (f.rule, *f.alternatives)}
    assert name in named, [f.message for f in reported]
    extra = {f.rule for f in reported if name not in (f.rule, *f.alternatives)}
    assert extra <= set(rule.implies) | ALSO.get(name, set()), [f.message for f in reported]
    finding = next(f for f in reported if name in (f.rule, *f.alternatives))
    assert finding.severity == rule.severity
    assert not any({"together_with", "beneath"} & set(f.evidence) for f in reported), [f.message for f in reported]


def plantable(name: str) -> list[tuple[str, int, int]]:
    shapes = []
    for shape in SHAPES:
        try:
            rules()[name].inject(correct(shape))
        except CannotInject:
            continue
        shapes.append(shape)
    return shapes


# Mistakes that need a cell or a shape which the matrix does not hold; each has a test of its own below.
ELSEWHERE = {"clip-or-peephole-ignored", "state-read-batch-first"}


@pytest.mark.parametrize("name", sorted(set(rules()) - ELSEWHERE))
def test_every_rule_can_be_planted(name: str) -> None:
    """No rule passes the matrix by being skipped everywhere."""
    assert plantable(name)


def test_a_clip_left_out_is_named() -> None:
    """A cell clip that the weights' reader was not told of is found, with its value."""
    weights = random_weights("lstm", 5, 5, cell_clip=0.25)
    case = correct_case(weights=weights)
    assert judged(case).findings == []
    reported = judged(rules()["clip-or-peephole-ignored"].inject(case)).findings
    assert [f.rule for f in reported] == ["clip-or-peephole-ignored"]
    assert reported[0].evidence["clip"] == pytest.approx(0.25)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_weights_of_another_layer_are_no_match(cell: str) -> None:
    """Weights that never gave these outputs are not passed over: the difference is reported with its size."""
    case = correct_case(cell).with_weights(random_weights(cell, 5, 5, seed=9))
    reported = judged(case).findings
    assert [(f.rule, f.severity) for f in reported] == [("unexplained-difference", "error")]
    reference = case.reference.tracks[0].outputs
    outputs = case.trace.tracks[0].outputs
    assert reported[0].evidence["largest"] == pytest.approx(float(np.abs(reference - outputs).max()))


@pytest.mark.parametrize(("cell", "directions"), [("lstm", 1), ("gru", 2), ("rnn", 2)])
def test_the_first_bad_step_is_told(cell: str, directions: int) -> None:
    """One step's outputs are spoiled: of all steps fed with the dump's own outputs, that one is the first to be bad."""
    case = correct_case(cell, 1, directions)
    last = case.trace.tracks[-1]
    assert last.outputs is not None
    corrupted = last.outputs.copy()
    corrupted[2, 3, 1] += 0.05
    reported = judged(case.with_tracks(lambda t: replace(t, outputs=corrupted) if t is last else t)).findings
    assert [f.rule for f in reported] == ["unexplained-difference"]
    assert [b[:3] for b in reported[0].evidence["first_bad_steps"]] == [[last.direction, 2, 3]]


def test_two_mistakes_on_different_rows_are_both_named() -> None:
    """One row's state is another's, two rows' are a step early: each cause is named with its own rows."""
    case = correct_case("gru", lengths=np.array([4, 2, 7, 3, 6, 5]))
    early = rules()["off-by-one-length"].inject(case).trace.tracks[0].final
    final = case.trace.tracks[0].final
    assert early is not None
    assert final is not None
    corrupted = final.copy()
    corrupted[[0, 3]] = early[[0, 3]]
    corrupted[[2, 5]] = final[[5, 2]]
    reported = judged(case.with_tracks(lambda t: replace(t, final=corrupted))).findings
    assert {f.rule: f.rows for f in reported} == {"off-by-one-length": [0, 3], "rows-permuted": [2, 5]}


def test_what_nothing_explains_says_where_it_was_found() -> None:
    """A state taken from another row's middle step is no known mistake, but its origin is told."""
    case = correct_case("gru")
    outputs, final = case.trace.tracks[0].outputs, case.trace.tracks[0].final
    assert outputs is not None
    assert final is not None
    corrupted = final.copy()
    corrupted[3] = outputs[2, 4]
    reported = judged(case.with_tracks(lambda t: replace(t, final=corrupted))).findings
    assert [f.rule for f in reported] == ["unexplained-state"]
    assert reported[0].evidence["origins"] == [[3, 2, 4]]


def test_a_state_of_one_row_is_named() -> None:
    """h_n[:, -1] of as many layers as rows is the last row's, and is said to be."""
    case = correct_case("gru", 4, 1, lengths=np.array([4, 1, 7, 3]))
    reported = judged(rules()["state-read-batch-first"].inject(case)).findings
    assert [f.rule for f in reported] == ["state-read-batch-first"]
    assert reported[0].evidence["row"] == 3


@pytest.mark.parametrize("name", sorted(rules()))
def test_every_rule_explains_itself(name: str) -> None:
    """A rule has a summary, a reason, and a fix of its own."""
    rule = rules()[name]
    assert rule.name == name
    assert len(rule.summary) > 20
    assert len(rule.why) > 60
    assert rule.fix.strip()


@pytest.mark.parametrize("name", sorted(rules()))
def test_implied_rules_exist(name: str) -> None:
    """A rule implies rules that there are."""
    assert set(rules()[name].implies) <= set(rules())


@pytest.mark.parametrize("example", ["single", "bidirectional"])
def test_worked_examples_are_clean(example: str) -> None:
    """Both packaged examples are right runs."""
    assert judged(runs.case(example)).findings == []  # type: ignore[arg-type]


def test_a_gate_that_holds_the_state_is_no_masked_step() -> None:
    """A GRU whose update gate saturates repeats its output exactly; weights that give the same numbers clear it."""
    case = correct_case("gru")
    assert case.weights is not None
    heavy = tuple(replace(w, input_kernel=w.input_kernel * 60, bias=w.bias * 30) for w in case.weights.layers)
    case = correct_case("gru", weights=replace(case.weights, layers=heavy))
    outputs = case.trace.tracks[0].outputs
    assert outputs is not None
    held = (outputs[:, 1:] == outputs[:, :-1]).all(-1) & case.trace.mask[:, 1:]
    assert held.any()
    assert judged(case).findings == []


def test_a_saturated_layer_shares_no_buffer() -> None:
    """Steps that are all at tanh's bound are equal because nothing is larger; equal steps within it are one buffer."""
    for value, named in ((1.0, False), (0.5, True)):
        outputs = np.full((2, 3, 4), value, np.float32)
        reported = inspect(outputs, outputs[:, -1], lengths=[3, 3], inputs=np.arange(6.0).reshape(2, 3, 1)).findings
        assert ("outputs-aliased" in {f.rule for f in reported}) == named


def test_one_row_without_lengths_may_repeat_its_only_step() -> None:
    """One row whose steps are all equal may be a single real step and its padding; two rows share a buffer."""
    for rows, named in ((1, False), (2, True)):
        outputs = np.repeat(np.random.default_rng(0).uniform(-1, 1, (rows, 1, 4)), 3, axis=1)
        reported = inspect(outputs, outputs[:, -1], convention="tf1").findings
        assert ("outputs-aliased" in {f.rule for f in reported}) == named
