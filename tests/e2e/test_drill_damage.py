"""A short drill of damages between real processes. `make drill-files` runs all of them."""

from pathlib import Path

import pytest

from drills.drill_damage import DAMAGES, Damage, DamageDrill

NEWEST_LOST = [damage for damage in DAMAGES if damage.words.startswith("newest") and damage.words.endswith("lost")]


def test_three_commits_can_be_the_newest() -> None:
    assert len(NEWEST_LOST) == 3


@pytest.mark.parametrize(
    "damage",
    [NEWEST_LOST[0], *(pytest.param(each, marks=pytest.mark.slow) for each in NEWEST_LOST[1:])],
    ids=lambda damage: damage.words,
)
def test_a_newest_commit_that_is_lost_changes_no_count(tmp_path: Path, damage: Damage) -> None:
    drill = DamageDrill(tmp_path, seed=7)
    drill.begin(files=6)
    drill.survive(damage)
