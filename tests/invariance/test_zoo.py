"""The zoo: every wrong model is caught with its place, no right one is accused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from rnninspect import Report, check_padding
from tests.support.zoo import Animal, awkward, of_people, pairs

PAIRS, AWKWARD = pairs(), awkward()
NAMES = [animal.name for animal in PAIRS]


def checked(make: Callable[[], Any], animal: Animal, seed: int) -> Report:
    """The report on a model, on its batch of that seed and size."""
    torch.manual_seed(seed)
    inputs, options = animal.batch(seed, seed)
    return check_padding(make(), *inputs, seconds=None, **options)


def judge_pair(animal: Animal, seed: int) -> None:
    """The right model is clean, the wrong one is caught with the finding and the place that are expected."""
    right = checked(animal.right, animal, seed)
    assert right.verdict == "clean", right
    assert animal.wrong is not None
    wrong = checked(animal.wrong, animal, seed)
    assert animal.finding in [finding.rule for finding in wrong.findings], wrong
    if animal.place:
        first = next(finding for finding in wrong.findings if finding.rule == animal.finding)
        assert re.search(animal.place, first.evidence["where"]), first


def test_the_zoo_is_large_enough() -> None:
    """Thirty models or more are there right and wrong, and a dozen that look wrong."""
    assert len(PAIRS) >= 30
    assert len(AWKWARD) >= 12
    assert len({animal.name for animal in [*PAIRS, *AWKWARD]}) == len(PAIRS) + len(AWKWARD)
    assert {animal.finding for animal in PAIRS} == {
        "reads-padding",
        "depends-on-padded-width",
        "rows-mixed",
        "step-unread",
    }


@pytest.mark.parametrize("animal", PAIRS, ids=NAMES)
def test_wrong_models_are_caught_and_right_ones_are_not_accused(animal: Animal) -> None:
    """Each model is clean right, and found wrong where it is wrong."""
    judge_pair(animal, 0)


@pytest.mark.parametrize("animal", AWKWARD, ids=lambda animal: animal.name)
def test_awkward_models_are_not_accused(animal: Animal) -> None:
    """A right model that looks wrong has no finding, and something could have failed."""
    assert checked(animal.right, animal, 0).verdict == "clean"


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_models_that_the_check_was_not_written_with(seed: int) -> None:
    """All wrong ones are caught and no right one is accused; the place is right in 9 of 10 or more."""
    animals, places = of_people(), []
    for animal in animals:
        assert animal.wrong is not None
        assert checked(animal.right, animal, seed).verdict == "clean", animal.name
        wrong = checked(animal.wrong, animal, seed)
        first = next((one for one in wrong.findings if one.rule in animal.finding.split("|")), None)
        assert first is not None, animal.name
        places += [bool(re.fullmatch(animal.place, first.evidence["where"]))] if animal.place else []
    assert len(animals) >= 80
    assert sum(places) >= 0.9 * len(places) > 60


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 5))
def test_the_zoo_at_other_seeds_and_sizes(seed: int) -> None:
    """The same holds for other weights, other batches and other sizes."""
    for animal in PAIRS:
        judge_pair(animal, seed)
    for animal in AWKWARD:
        assert checked(animal.right, animal, seed).verdict == "clean", animal.name
