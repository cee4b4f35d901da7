"""`lakeloop watch` as a process of its own: files that are dropped while it runs come in, and a signal ends it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lakeloop.lake.ledger import Ledger
from lakeloop.lake.ops_tables import read_rows

ROOT = Path(__file__).parents[2]
PIPELINE = """
pipeline: notes
description: Notes, one row per note
trigger: 1s
source: {files: drop, formats: {csv: {}}, fields: [id, text], files_per_batch: 2, settle: 0s}
rules: [{is_not_null: id}]
sink: {table: silver.notes}
"""


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_files_come_in_as_they_are_dropped_until_a_signal(tmp_path: Path, ending: signal.Signals) -> None:
    conf, drop, lake = tmp_path / "conf", tmp_path / "drop", tmp_path / "lake"
    (conf / "base/pipelines").mkdir(parents=True)
    (conf / "local").mkdir()
    drop.mkdir()
    (conf / "base/platform.yml").write_text(f"lake: {lake}\n")
    (conf / "base/connections.yml").write_text(f"drop: {{files: {{path: {drop}}}}}\n")
    (conf / "base/pipelines/notes.yml").write_text(PIPELINE)
    (conf / "base/spark.properties").write_text(
        "".join((ROOT / layer / "spark.properties").read_text() for layer in ("conf/base", "conf/local"))
    )
    for number in range(3):
        (drop / f"{number}.csv").write_text(f"id,text\n{number},a\n,b\n")
    with subprocess.Popen(
        [sys.executable, "-m", "lakeloop.cli", "watch", "--conf-dir", str(conf)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
    ) as process:  # fmt: skip
        try:
            # Two files a batch, and batch after batch until nothing is new.
            wait_for(lambda: len(Ledger(str(lake)).runs(10)) == 2, process)
            (drop / "late.csv").write_text("id,text\nlate,c\nlate,c\n")
            wait_for(lambda: len(Ledger(str(lake)).runs(10)) == 3, process)
            process.send_signal(ending)
            said = process.communicate(timeout=60)[0]
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, said
    assert "passes. Tables:" in said
    assert "2 read = 2 good + 0 quarantined + 0 dropped" in said
    runs = Ledger(str(lake)).runs(10)
    assert [(run["verb"], run["rows_read"], run["rows_quarantined"]) for run in runs] == [
        ("watch", 4, 2), ("watch", 2, 1), ("watch", 2, 0)
    ]  # fmt: skip
    files = read_rows(str(lake), "ops.files")
    assert sorted(Path(file["path"]).name for file in files) == ["0.csv", "1.csv", "2.csv", "late.csv"]
