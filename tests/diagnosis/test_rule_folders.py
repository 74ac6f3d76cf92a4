"""A folder of rules says what each of them needs, so that a rule that cannot be checked need not be imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rule import Rule
from rnninspect.diagnosis.rules import NEEDS, rules
from tests.support.made import correct_case
from tests.support.places import PACKAGE

FOLDER = PACKAGE / "diagnosis" / "rules"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*/*.py")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_rule_needs_what_its_folder_says(file: Path) -> None:
    """It is called as its file, needs what the folder's rules need, and asks for it as any rule does."""
    if file.stem == "__init__":
        assert file.parent.name in NEEDS
        return
    rule = rules()[file.stem.replace("_", "-")]
    assert rule.name == file.stem.replace("_", "-")
    assert type(rule).__module__.endswith(f"{file.parent.name}.{file.stem}")
    assert rule.needs == NEEDS[file.parent.name]
    assert type(rule).missing is Rule.missing


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("weights", [True, False])
def test_what_is_not_checked_is_as_the_rules_themselves_say(cell: str, directions: int, weights: bool) -> None:
    """The reasons are those that the rules give when all of them have been imported."""
    case = correct_case(cell, 1, directions)
    case = case if weights else case.with_weights(None)
    lazy, loaded = judge(case, rules()), judge(case, dict(rules()))
    assert lazy.not_checked == loaded.not_checked
    assert {rule.rule for rule in lazy.not_checked} == {n for n, rule in rules().items() if rule.missing(case)}


def test_every_rule_of_a_group_has_a_place_of_its_own() -> None:
    """Places run from 1 on, one rule each: two rules of one place would be taught in the order of their names."""
    places: dict[str, list[int]] = {}
    for rule in rules().values():
        places.setdefault(rule.group, []).append(rule.place)
    assert {group: sorted(of_it) for group, of_it in places.items()} == {
        group: list(range(1, len(of_it) + 1)) for group, of_it in places.items()
    }
