"""Killed around bronze and the merge, and the server once; `make drill-sources` is longer."""

import pytest

from drills.drill_jdbc import drilling


@pytest.mark.slow
def test_a_killed_run_loses_no_row_and_repeats_none() -> None:
    with drilling(seed=7) as drill:
        drill.kill_at("before merge", "orders")
        assert drill.finish().is_sound


@pytest.mark.slow
def test_a_killed_driver_or_server_loses_no_row_and_repeats_none() -> None:
    with drilling(seed=7) as drill:
        drill.kill_at("after bronze", "entries")
        drill.kill_at("before merge", "orders")
        drill.kill_server()
        assert drill.finish().is_sound
        assert drill.writer.committed_late
