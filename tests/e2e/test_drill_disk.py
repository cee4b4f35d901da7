"""A short drill: a full disk below the table, the ledger and Spark's spill. `make drill-files` has all of them."""

import subprocess
from pathlib import Path

import pytest

from drills.drill_disk import own_mounts, start


def can_mount() -> bool:
    mount = [*own_mounts(), "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="needs root or user namespaces to mount a small disk")
def test_what_a_full_disk_stopped_is_made_up_for(tmp_path: Path) -> None:
    assert start(tmp_path, ["lake/bronze/orders/_delta_log", "lake/ops", "spill"], least=True) == 0
