"""Two mistakes at once are both named where neither alone gives what was seen; a pair accuses nothing that is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from rnninspect.diagnosis import two_causes
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case
from tests.support.pace import seconds_of
from tests.support.pairs import SHAPES, Pair, Tally, correct, pairs_in

# Two causes of a state; the second is injected into what the first leaves.
TOGETHER = [
    ("rows-permuted", "cell-hidden-swapped", ("lstm", 1, 1)),
    ("lengths-ignored", "cell-hidden-swapped", ("lstm", 1, 1)),
    ("lengths-misaligned", "cell-hidden-swapped", ("lstm", 2, 1)),
    ("off-by-one-length", "rows-permuted", ("gru", 1, 1)),
    ("lengths-ignored", "rows-permuted", ("gru", 1, 1)),
    ("rows-permuted", "layer-order-reversed", ("gru", 2, 1)),
    ("cell-hidden-swapped", "layer-order-reversed", ("lstm", 2, 2)),
    ("rows-permuted", "directions-interleaved", ("gru", 1, 2)),
    ("backward-final-at-last-step", "rows-permuted", ("gru", 1, 2)),
    ("pooled-state", "rows-permuted", ("gru", 1, 1)),
    ("output-dropout", "rows-permuted", ("gru", 1, 1)),
    ("left-padded", "cell-hidden-swapped", ("lstm", 1, 1)),
]


def injected(shape: tuple[str, int, int], *names: str) -> Case:
    """A right run with these mistakes made in it, one after the other, without its weights."""
    case = correct(shape)
    for name in names:
        case = rules()[name].inject(case)
    return case.with_weights(None)


def named(case: Case) -> set[str]:
    return {name for f in judge(case, rules()).findings for name in (f.rule, *f.alternatives)}


@pytest.mark.parametrize(("first", "second", "shape"), TOGETHER)
def test_two_mistakes_of_a_state_are_both_named(first: str, second: str, shape: tuple[str, int, int]) -> None:
    """Neither rule sees its mistake through the other's; both are named, each says of the other, and no row is left."""
    case = injected(shape, first, second)
    findings = judge(case, rules()).findings
    assert {first, second} <= named(case), [f.message for f in findings]
    assert not any(f.rule == "unexplained-state" or f.unexplained for f in findings)
    together = [f for f in findings if "together_with" in f.evidence]
    assert {f.evidence["together_with"] for f in together} == {f.rule for f in together}
    assert all(f.severity != "note" and f.fix for f in together)


def test_layers_listed_by_direction_first_and_h_beside_c() -> None:
    """h and c exchanged in states listed [D, L, B, H]: both are named."""
    case = correct(("lstm", 2, 2)).with_weights(None)
    tracks = {(t.layer, t.direction): t for t in case.trace.tracks}
    listed = [tracks[layer, d] for d in ("forward", "backward") for layer in (0, 1)]
    mixed = tuple(
        replace(track, final=other.cell, cell=other.final)
        for track, other in zip(case.trace.tracks, listed, strict=True)
    )
    assert {"layer-order-reversed", "cell-hidden-swapped"} <= named(case.with_trace(replace(case.trace, tracks=mixed)))


def test_two_are_not_sought_where_one_suffices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search does not run on a right case, nor on any that one rule explains."""

    def never(*_: object) -> None:
        raise AssertionError("two causes were sought")

    monkeypatch.setattr(two_causes, "two_causes", never)
    right = correct(("lstm", 1, 2)).with_weights(None)
    assert judge(right, rules()).findings == []
    for name in ("rows-permuted", "lengths-ignored", "cell-hidden-swapped", "pooled-state"):
        assert name in named(injected(("lstm", 1, 2), name))


def test_states_of_nowhere_are_given_no_two_causes() -> None:
    """Random states are explained by no pair of rules, whatever the layer."""
    rng = np.random.default_rng(2)
    for shape in SHAPES:
        case = correct(shape).with_weights(None)
        lost = case.with_tracks(
            lambda t: replace(t, final=rng.uniform(-0.5, 0.5, np.shape(t.final)).astype(np.float32), cell=t.cell)
        )
        assert two_causes.two_causes(lost, rules()) is None


def test_a_pair_that_leaves_a_row_is_none() -> None:
    """Where one row of two mistakes holds yet something else, no pair is named."""
    case = injected(("lstm", 1, 1), "rows-permuted", "cell-hidden-swapped")

    def spoiled(array: np.ndarray | None) -> np.ndarray:
        assert array is not None
        return np.where(np.arange(len(array))[:, None] == 2, np.float32(0.3), array)

    case = case.with_tracks(lambda t: replace(t, final=spoiled(t.final), cell=spoiled(t.cell)))
    assert two_causes.two_causes(case, rules()) is None


def test_a_few_numbers_tell_of_no_two_causes() -> None:
    """Of two rows of one unit a pair would fit by chance: none is named."""
    right = correct_case("lstm", lengths=np.array([3, 2]), steps=3, units=1)
    case = rules()["cell-hidden-swapped"].inject(rules()["rows-permuted"].inject(right)).with_weights(None)
    assert two_causes.two_causes(case, rules()) is None


def test_the_search_is_bounded() -> None:
    """64 rows of 200 steps and 256 units whose states equal nothing: two causes are sought for a second at most, the
    quicker of two times: the machine may be busy."""
    lengths = np.random.default_rng(0).integers(1, 201, 64)
    case = correct_case("lstm", 1, 2, lengths=lengths, steps=200, units=128).with_weights(None)
    lost = case.with_tracks(lambda t: replace(t, final=np.asarray(t.final)[:, ::-1] * 0.5))
    assert lost.facts
    listed: list[object] = []
    assert seconds_of(lambda: listed.append(two_causes.two_causes(lost, rules()))) < 1
    assert listed == [None, None]


def test_outputs_too_large_for_the_search_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the search is left out, the finding that nothing explains says that it was."""
    monkeypatch.setattr(two_causes, "MOST", 10)
    case = injected(("lstm", 1, 1), "rows-permuted").with_tracks(lambda t: replace(t, final=np.asarray(t.final) * 0.5))
    findings_left = [f for f in judge(case, rules()).findings if f.rule == "unexplained-state"]
    assert "two mistakes at once were not tried" in findings_left[0].message


def sampled(every: int, weighed: bool) -> Iterator[Pair]:
    """One in so many of all pairs; without weights, those that need none to be seen."""
    k = 0
    for shape in SHAPES:
        for pair in pairs_in(correct(shape)):
            if not weighed:
                if "weights" in (*pair.first.needs, *pair.second.needs):
                    continue
                pair = replace(pair, case=pair.case.with_weights(None))
            k += 1
            if k % every == 0:
                yield pair


def tally(pairs: Iterator[Pair]) -> Tally:
    """What comes of these pairs."""
    counted = Tally()
    for pair in pairs:
        counted.add(pair)
    return counted


def test_a_sample_of_all_pairs() -> None:
    """Of one in 160 of all pairs at least one is named in nine of ten, and both in more than half."""
    counts = tally(sampled(160, weighed=False)).counts
    assert counts.total() > 20
    assert counts[0] < 0.1 * counts.total(), counts
    assert counts[2] > 0.5 * counts.total(), counts


@pytest.mark.long
def test_all_pairs() -> None:
    """Every pair that can be injected together, without weights and, of one in ten, with them."""
    for weighed, every in ((False, 1), (True, 10)):
        counted = tally(sampled(every, weighed))
        print(counted.table())
        assert counted.counts[0] < 0.1 * counted.counts.total()
