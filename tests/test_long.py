"""Thousands of random runs of every convention: none that is right is accused, and every planted mistake is named.

Run by `pytest -m long`; the suite itself runs a few dozen of each. `RNNINSPECT_LONG` sets how many (10,000).
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from rnninspect import conventions
from rnninspect.core.finding import Finding
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Bools
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules
from rnninspect.errors import UserError
from rnninspect.measure.facts import TrackFacts
from tests.support.made import random_weights

LONG = int(os.environ.get("RNNINSPECT_LONG", "10000"))
SHORT = 40

# Of a right run only conventions may be remarked on, and empty rows, which are a trap in themselves.
REMARKS = {"padding-repeats-last-output", "padding-computed", "zero-length-row"}


def random_case(seed: int) -> Case:
    """A right run of a random layer, written as its framework's users save it and read back from that."""
    rng = np.random.default_rng(seed)
    cell = str(rng.choice(["lstm", "gru", "rnn"]))
    layers, directions = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    rows, steps = int(rng.integers(1, 7)), int(rng.integers(1, 9))
    units, features = int(rng.integers(2, 7)), int(rng.integers(1, 6))
    lengths = rng.integers(0 if rng.random() < 0.2 else 1, steps + 1, rows)
    if rng.random() < 0.3:
        lengths[rng.integers(rows)] = steps
    convention = conventions.get(str(rng.choice(list(conventions.conventions()))))
    config = LayerConfig(
        cell=cell,  # type: ignore[arg-type]
        layers=layers,
        direction="bidirectional" if directions == 2 else None,
        time_major=bool(rng.random() < 0.3),
    )
    spec: dict[str, object] = {}
    if cell == "gru":
        spec["reset_after"] = convention.spec("gru", {}).reset_after
    if cell == "lstm" and rng.random() < 0.3:
        spec["cell_clip"] = 0.2  # not in any weights file: what a reader must be told
    weights = random_weights(cell, features, units, layers, directions, seed, **spec)
    if cell != "gru" or not weights.spec.reset_after:
        weights = replace(weights, layers=tuple(replace(w, recurrent_bias=None) for w in weights.layers))
    inputs = rng.normal(size=(rows, steps, features)).astype(np.float32)
    fed = {"inputs": inputs.swapaxes(0, 1) if config.time_major else inputs, "lengths": lengths}
    case = build_case.run_case(fed, config, convention.name, weights=weights)
    arrays = build_case.dump(case)
    return build_case.read_case(arrays, config, convention.name).with_weights(weights)


def findings(case: Case) -> list[Finding]:
    return judge(case, rules()).findings


def quote_findings(case: Case, reported: list[Finding]) -> str:
    shape = (case.convention.name, case.config, case.trace.lengths, case.reading.text)
    return f"{shape}: {[(f.rule, f.message) for f in reported]}"


def check_right(seeds: range) -> int:
    """How many right runs were read and not accused."""
    count = 0
    for seed in seeds:
        try:
            case = random_case(seed)
        except UserError:
            continue  # a layer that this framework does not have
        reported = findings(case)
        accused = [
            f for f in reported if f.rule not in REMARKS or (f.severity == "error" and f.rule != "zero-length-row")
        ]
        assert not accused, f"seed {seed}: {quote_findings(case, accused)}"
        count += 1
    return count


def check_planted(seeds: range) -> dict[str, int]:
    """How often each mistake was planted where it shows; each time it was named, and nothing else accused."""
    names = sorted(rules())
    counts = dict.fromkeys(names, 0)
    for seed in seeds:
        try:
            case = random_case(seed)
        except UserError:
            continue
        name = names[seed % len(names)]
        if findings(case):
            continue  # a remark of its own would blur what the plant adds
        try:
            injected = rules()[name].inject(case)
        except CannotInject:
            continue
        if not visible(case, injected):
            continue
        reported = findings(injected)
        named = {n for f in reported for n in (f.rule, *f.alternatives)}
        assert name in named, f"seed {seed}: {name} in {quote_findings(injected, reported)}"
        others = {f.rule for f in reported if name not in (f.rule, *f.alternatives)}
        assert others <= REMARKS | set(rules()[name].implies), (
            f"seed {seed}: {name} in {quote_findings(injected, reported)}"
        )
        counts[name] += 1
    return counts


def visible(case: Case, injected: Case) -> bool:
    """Whether the plant changed a number that can tell; of rows of one step, or of all zeros, some change nothing."""
    right, wrong = case.trace, injected.trace
    long = right.mask.sum(1) > 1
    if injected.other is not None or any(f.mismatched.any() for f in injected.facts):
        return True
    if injected.weights is not case.weights:  # a single step uses only some of them, and a clip hides others
        shown = [(f.final, injected.reference.track(f.track.layer, f.track.direction)) for f in injected.facts]
        return any(made is not None and made.final is not None and _apart(final, made.final) for final, made in shown)
    if injected.batch is not case.batch or right.steps != wrong.steps:
        return bool(long.any())
    if len(case.facts) != len(injected.facts) or not np.array_equal(right.lengths, wrong.lengths):
        return True
    return any(_tells(old, new, long) for old, new in zip(case.facts, injected.facts, strict=True))


def _apart(ours: Array, theirs: Array) -> bool:
    """Whether two states differ by far more than rounding."""
    return bool(np.abs(ours.astype(np.float64) - theirs).max(initial=0.0) > 1e-3)


def _tells(old: TrackFacts, new: TrackFacts, long: Bools) -> bool:
    """Whether a track's cell state, its longer rows' real steps or its short rows' padding changed."""
    cells = old.track.cell, new.track.cell
    if cells[0] is not None and cells[1] is not None and not np.array_equal(cells[0][long], cells[1][long]):
        return True
    real = (old.outputs != new.outputs).any(-1) & old.mask & (long & ~new.final_zero)[:, None]
    padding = new.short & ~new.uniform & (np.array(old.padding) != np.array(new.padding))
    return bool(real.any() or padding.any())


def test_some_right_runs() -> None:
    """A few dozen random right runs of every convention are not accused."""
    assert check_right(range(SHORT)) > SHORT / 2


@pytest.mark.parametrize(
    ("rule", "seed"),
    [
        *(("off-by-one-length", seed) for seed in (144, 200, 704)),
        *(("directions-exchanged", seed) for seed in (5218, 8018)),
        ("flat-gather-wrong-stride", 5388),
        ("mask-inverted", 9662),
    ],
)
def test_no_second_cause(rule: str, seed: int) -> None:
    """Layers whose states are those of the lengths given have read no padding, a zero is at no step of theirs, and
    directions exchanged in the layers below are so in the top one, whatever else would give its one row, and rows that
    a wrong index gave in another order are its as well; a mistake of the padding that gives a state is no second one
    beneath another cause of that state."""
    assert check_planted(range(seed, seed + 1))[rule] == 1


@pytest.mark.long
def test_right_runs_are_never_accused() -> None:
    """No right run of any convention is accused."""
    count = check_right(range(LONG))
    print(f"{count} right runs judged, none accused")
    assert count > LONG / 2


@pytest.mark.long
def test_every_plant_is_named() -> None:
    """Every mistake that a random run has room for is named."""
    counts = check_planted(range(LONG))
    print(f"planted and named: {counts}")
    assert sum(counts.values()) > LONG / 5
