"""`make drill-files`: files into a table while the driver's process group is killed at every step and at random."""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import deltalake
from rich.console import Console

from drills.killed_run import ALL_STEPS
from lakeloop.lake.ops_tables import read_rows

ROOT = Path(__file__).parents[1]
ROWS_PER_FILE = 200
PIPELINE = """
pipeline: orders
description: Orders, one row per order
trigger: available_now
source: {files: drop, formats: {csv: {}}, fields: [id, amount], files_per_batch: 3, settle: 0s}
transforms: [{cast: {amount: int}}]
rules: [{is_not_null: id}]
sink: {table: silver.orders}
"""
console = Console()


def main() -> None:
    """Kill at every step, then `--kills` times at random; raise unless every row is there exactly once."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as folder:
        drill = Drill(Path(folder), arguments.seed)
        for step in ALL_STEPS:
            drill.kill_at(step)
        for _ in range(arguments.kills):
            drill.kill_at_random()
        drill.finish()


class Drill:
    """A drop folder that grows, a lake, and runs that are killed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.draw, self.files, self.killed = folder, random.Random(seed), 0, 0
        (folder / "drop").mkdir()
        (folder / "conf/base/pipelines").mkdir(parents=True)
        (folder / "conf/local").mkdir()
        (folder / "conf/base/platform.yml").write_text(f"lake: {folder}/lake\n")
        (folder / "conf/base/connections.yml").write_text(f"drop: {{files: {{path: {folder}/drop}}}}\n")
        (folder / "conf/base/pipelines/orders.yml").write_text(PIPELINE)
        properties = "".join((ROOT / part / "spark.properties").read_text() for part in ("conf/base", "conf/local"))
        (folder / "conf/base/spark.properties").write_text(properties)

    def kill_at(self, step: str) -> None:
        """Two new files, and a run that dies at the step."""
        self._drop(2)
        killed = self._start(step)
        code = killed.wait(timeout=300)
        if code != -signal.SIGKILL:
            raise SystemExit(f"the run that was to die {step} ended with {code}")
        self._count(step)

    def kill_at_random(self) -> None:
        """Two new files, and a run that is killed somewhere between its start and its likely end."""
        self._drop(2)
        running = self._start("")
        time.sleep(self.draw.uniform(2, 25))
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        self._count("at random")

    def finish(self) -> None:
        """A run to the end, then the account: each row in bronze and in silver once, each file in the catalog once."""
        if self._start("").wait(timeout=600):
            raise SystemExit("the last run failed")
        console.print(f"{self.killed} kills: {self.account()}")

    def account(self) -> str:
        """What stands in the tables, in words; raises unless it is what was dropped."""
        table = deltalake.DeltaTable(f"{self.folder}/lake/bronze/orders")
        bronze = table.to_pyarrow_table(columns=["id", "amount", "_verdict"])
        found = Counter((row["id"], row["amount"], row["_verdict"]) for row in bronze.to_pylist())
        wanted = Counter(row for number in range(self.files) for row in expected(number))
        files = Counter(row["path"] for row in read_rows(f"{self.folder}/lake", "ops.files"))
        lost, twice = wanted - found, found - wanted
        if lost or twice or len(files) != self.files or set(files.values()) != {1}:
            raise SystemExit(f"lost {lost.total()}, too many {twice.total()}, files {len(files)} of {self.files}")
        bad = sum(count for (_, _, verdict), count in found.items() if verdict == "quarantined")
        return f"{found.total():,} rows of {self.files} files, 0 lost, 0 twice, {bad:,} in quarantine"

    def _drop(self, files: int) -> None:
        for number in range(self.files, self.files + files):
            cells = ((id_ or "", "many" if amount is None else amount) for id_, amount, _ in expected(number))
            lines = ["id,amount", *(f"{id_},{amount}" for id_, amount in cells)]
            (self.folder / "drop" / f"{number:05d}.csv").write_text("\n".join([*lines, ""]))
        self.files += files

    def _start(self, step: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "drills.killed_run", str(self.folder / "conf"), step]
        log = (self.folder / "runs.log").open("ab")
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}
        with log:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def _count(self, how: str) -> None:
        self.killed += 1
        console.print(f"killed {how}")


def expected(number: int) -> list[tuple[str | None, int | None, str]]:
    """The rows of a file with their verdicts: one without an id, one whose amount is no number, the rest good."""
    first = number * ROWS_PER_FILE
    good = [(f"o{place}", place, "good") for place in range(first, first + ROWS_PER_FILE - 2)]
    return [*good, (None, first, "quarantined"), (f"o{first + ROWS_PER_FILE}", None, "quarantined")]


if __name__ == "__main__":
    main()
