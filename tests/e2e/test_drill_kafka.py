"""A short drill: killed after the commit to bronze, at random, and without a broker. `make drill-kafka` is longer."""

from pathlib import Path

import pytest

from drills.drill_kafka import Drill
from tools.kafka import KafkaBroker


@pytest.mark.slow
def test_killed_runs_and_brokers_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    with KafkaBroker() as broker:
        with Drill(tmp_path, broker, seed=7) as drill:
            drill.kill_at("after bronze")
            drill.kill_at_random()
            drill.kill_broker()
        drill.finish()
