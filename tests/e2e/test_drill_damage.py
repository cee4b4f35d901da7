"""A short drill of damages between real processes. `make drill-files` runs all of them."""

from pathlib import Path

from drills.drill_damage import DAMAGES, DamageDrill


def test_a_newest_commit_that_is_lost_changes_no_count(tmp_path: Path) -> None:
    drill = DamageDrill(tmp_path, seed=7)
    drill.begin(files=6)
    chosen = [damage for damage in DAMAGES if damage.words.startswith("newest") and damage.words.endswith("lost")]
    assert len(chosen) == 3
    for damage in chosen:
        drill.survive(damage)
