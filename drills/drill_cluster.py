"""An executor and a worker of a standalone cluster killed in the middle of a stage: the same result, in what time."""

import json
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from drills.runs import ROOT, RUN_SECONDS, Account, Drill, Tell, beside, rows_in, wait_until
from tools.cluster import StandaloneCluster, free_ports

FILES, ROWS_PER_FILE, KEYS = 24, 10_000, 40_000
PIPELINE = """
pipeline: orders
description: Orders, the latest of each
source: {files: drop, formats: {csv: {}}, fields: [id, amount, place], settle: 0s}
transforms: [{cast: {amount: int, place: int}}, {dedupe: {keys: [id], latest_by: place}}]
rules: [{is_not_null: id}]
sink: {table: silver.orders, mode: merge, keys: [id]}
"""
Kill = Callable[[StandaloneCluster], None]
KILLS: dict[str, Kill] = {"executor": StandaloneCluster.kill_executor, "worker": StandaloneCluster.kill_worker}


def kill_each(kills: int, tell: Tell) -> Iterator[tuple[str, Account]]:
    """Each kind killed so often, every time in a job of its own, beside a job that nobody disturbed."""
    os.environ["PYTHONPATH"] = str(ROOT / "lib")  # for the Python processes of the executors
    with tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as name:
        with StandaloneCluster() as cluster:
            undisturbed = run_job(Path(name) / "undisturbed", cluster, None, tell)
        for what, kill in KILLS.items():
            account, slowest = Account(0), 0.0
            for number in range(kills):
                with StandaloneCluster() as cluster:  # a worker that was killed does not come back
                    seconds = run_job(Path(name) / f"{what}-{number}", cluster, kill, tell)
                slowest = max(slowest, seconds)
                account += account_of(Path(name) / f"{what}-{number}")
            tell(f"{what}: {slowest:.0f} s at most, undisturbed {undisturbed:.0f} s: × {slowest / undisturbed:.2f}")
            if not account.is_sound:
                raise SystemExit(f"{what}: {account}")
            yield f"{what} killed, × {slowest / undisturbed:.2f}", account


def run_job(folder: Path, cluster: StandaloneCluster, kill: Kill | None, tell: Tell) -> float:
    """The seconds of a job on the cluster, in whose longest stage something is killed."""
    folder.mkdir()
    (folder / "drop").mkdir()
    for number in range(FILES):
        lines = (",".join(map(str, row)) for row in rows_of(number))
        (folder / f"drop/{number:03d}.csv").write_text("\n".join(["id,amount,place", *lines, ""]))
    (port,) = free_ports(1)
    with Drill(folder, 7, f"drop: {{files: {{path: {folder}/drop}}}}\n", {"orders": PIPELINE}, tell=tell) as drill:
        # Small parts, so that there is a middle.
        own = ["--conf", f"spark.ui.port={port}", "--conf", "spark.sql.files.maxPartitionBytes=256k",
               "--conf", "spark.sql.files.openCostInBytes=0"]  # fmt: skip
        job = [str(ROOT / "jobs/run_pipeline.py"), "orders", "--conf-dir", str(folder / "conf")]
        began = time.monotonic()
        with (folder / "runs.log").open("wb") as log:
            running = subprocess.Popen(
                cluster.submit_command(*own, *job), env=cluster.environment, cwd=folder,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        drill.watch(running)
        if kill is not None:
            wait_until(lambda: is_midway(port), 180, f"no stage was in its middle\n{drill.log[-2000:]}")
            kill(cluster)
        if code := running.wait(RUN_SECONDS):
            raise SystemExit(f"the job ended with {code}\n{drill.log[-4000:]}")
        seconds = time.monotonic() - began
        tell(f"{folder.name}: {seconds:.0f} s")
        return seconds


def is_midway(port: int) -> bool:
    """Whether a stage of several tasks has some that are done and some that are not."""
    try:
        (application,) = asked(port, "applications")
        stages = asked(port, f"applications/{application['id']}/stages?status=active")
    except (OSError, ValueError):
        return False
    return any(stage["numTasks"] > 3 and 0 < stage["numCompleteTasks"] < stage["numTasks"] - 1 for stage in stages)


def asked(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=2) as answer:
        return json.load(answer)


def rows_of(number: int) -> Iterator[tuple[str, int, int]]:
    """Orders of a file; each comes in several files, with other amounts."""
    for row in range(ROWS_PER_FILE):
        place = number * ROWS_PER_FILE + row
        yield f"o{place * 7919 % KEYS}", place * 31 % 10_007, place


def account_of(folder: Path) -> Account:
    """The latest of each order, as it would be worked out by hand."""
    latest = {row[0]: row for number in range(FILES) for row in rows_of(number)}
    return beside(set(latest.values()), rows_in(f"{folder}/lake/silver/orders", ["id", "amount", "place"]))
