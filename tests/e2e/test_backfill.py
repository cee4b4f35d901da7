"""`lakeloop backfill` beside `lakeloop watch` as processes of their own: killed, finished by the other, asked again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lakeloop.lake.ledger import History, Ledger

ROOT = Path(__file__).parents[2]
PIPELINE = """
pipeline: notes
description: Notes, one row per note
trigger: 1s
source: {{files: drop, formats: {{csv: {{}}}}, fields: [id, at, text], files_per_batch: 1, settle: 0s}}
transforms: [{{map: {{text: {{values: {{a: {letter}}}, otherwise: keep}}}}}}]
sink: {{table: silver.notes, mode: merge, keys: [id], sequence_by: at}}
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    conf = tmp_path / "conf"
    (conf / "base/pipelines").mkdir(parents=True)
    (conf / "local").mkdir()
    (tmp_path / "drop").mkdir()
    (conf / "base/platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    (conf / "base/connections.yml").write_text(f"drop: {{files: {{path: {tmp_path}/drop}}}}\n")
    (conf / "base/pipelines/notes.yml").write_text(PIPELINE.format(letter="b"))
    (conf / "base/spark.properties").write_text(
        "".join((ROOT / layer / "spark.properties").read_text() for layer in ("conf/base", "conf/local"))
    )
    return conf


@contextmanager
def lakeloop(conf: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "lakeloop.cli", *arguments, "--conf-dir", str(conf)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(condition: Callable[[], bool], *processes: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 240
    while not condition():
        for process in processes:
            assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_killed_backfill_is_finished_by_the_watcher_and_goes_on_when_it_is_asked_again(conf: Path) -> None:
    lake, drop = str(conf.parent / "lake"), conf.parent / "drop"

    def history() -> History:
        return Ledger(lake).history("notes")

    def add(number: int) -> None:
        (drop / f"{number}.csv").write_text(f"id,at,text\n{number},1,a\n{number}x,1,\n,1,a\n")

    for number in range(4):
        add(number)
    with lakeloop(conf, "watch", "notes") as watcher:
        wait_for(lambda: history().finished_id == 3, watcher)
        (conf / "base/pipelines/notes.yml").write_text(PIPELINE.format(letter="c"))  # what was read before is mended
        with lakeloop(conf, "backfill", "notes", "--from", "0.csv", "--to", "3.csv") as backfill:
            wait_for(lambda: (last := history().last) is not None and last.plan.kind == "backfill", watcher, backfill)
            os.killpg(backfill.pid, signal.SIGKILL)
        add(4)
        wait_for(lambda: history().finished_id == 5, watcher)  # and number 4 is the killed one
        with lakeloop(conf, "backfill", "notes", "--from", "0.csv", "--to", "3.csv") as backfill:
            add(5)
            said = backfill.communicate(timeout=240)[0]
            assert backfill.returncode == 0, said
        wait_for(lambda: history().finished is not None and history().batches == 9, watcher)
        wait_for(lambda: history().outcome == "succeeded", watcher)
        watcher.send_signal(signal.SIGTERM)
        watched = watcher.communicate(timeout=120)[0]
    assert "failed" not in said + watched
    assert "from 0.csv to 3.csv, batch 2: 1 file, 1 left" in " ".join(said.split())
    assert "batch 1" not in said
    runs = Ledger(lake).runs(20)
    assert [run["outcome"] for run in runs] == ["succeeded"] * 9
    assert [run["verb"] for run in runs if "read again" in run["message"]] == ["watch", "backfill", "backfill"]
    rows = DeltaTable(f"{lake}/silver/notes").to_pyarrow_table().to_pylist()
    mended = {"0": "c", "1": "c", "2": "c", "3": "b", "4": "c", "5": "c"}
    assert {row["id"]: row["text"] for row in rows} == mended | {f"{number}x": None for number in range(6)}
    assert len(rows) == 12
