"""An executor and a worker killed in the middle of a stage; how long it takes is measured by `make drill-sources`."""

import pytest

from drills.drill_cluster import kill_each


@pytest.mark.slow
def test_a_killed_executor_or_worker_changes_no_row() -> None:
    accounts = dict(kill_each(1, print))
    assert len(accounts) == 2
    assert all(account.is_sound for account in accounts.values())
