"""A short drill: killed around the commit to bronze and once at random. `make drill-files` is the long one."""

from pathlib import Path

from drills.drill_files import FilesDrill


def test_a_killed_process_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    with FilesDrill(tmp_path, seed=7) as drill:
        for step in ("after bronze", "after catalog"):
            drill.kill_at(step)
        drill.kill_at_random()
        assert drill.finish().is_sound
