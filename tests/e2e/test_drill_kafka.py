"""Short drills of messages: runs killed, a broker killed under `lakeloop watch`, and repeats that land once."""

import pytest

from drills.drill_kafka import drilling


def test_a_killed_run_loses_nothing_and_repeats_nothing() -> None:
    with drilling(seed=7) as drill:
        drill.kill_at("after bronze")
        assert drill.finish().is_sound


@pytest.mark.slow
def test_a_run_killed_at_random_after_another_loses_nothing_and_repeats_nothing() -> None:
    with drilling(seed=7) as drill:
        drill.kill_at("after bronze")
        drill.kill_at_random()
        assert drill.finish().is_sound


@pytest.mark.slow
def test_a_killed_broker_loses_nothing_and_the_lag_goes_back_to_nothing() -> None:
    with drilling(seed=7, trigger="1s") as drill:
        assert drill.kill_broker_under_watch(1) > 0
        assert drill.finish().is_sound


@pytest.mark.slow
def test_messages_that_come_several_times_land_once_though_runs_are_killed() -> None:
    with drilling(seed=7, repeats=True) as drill:
        drill.kill_at("before bronze")
        drill.kill_at("after bronze")
        assert drill.finish().is_sound
        assert max(drill.sender.sent.values()) > 1
