"""Killed around the merge and the slot, once at random, and the server once; `make drill-sources` is longer."""

import pytest

from drills.drill_cdc import drilling


@pytest.mark.slow
def test_a_killed_run_leaves_the_table_as_the_source_is() -> None:
    with drilling(seed=7) as drill:
        drill.kill_at("before advance", "history")
        assert drill.finish().is_sound


@pytest.mark.slow
def test_a_killed_driver_or_server_leaves_the_table_as_the_source_is() -> None:
    with drilling(seed=7) as drill:
        drill.kill_at("after bronze", "latest")
        drill.kill_at("before advance", "history")
        drill.kill_at_random()
        drill.kill_server()
        assert drill.finish().is_sound
