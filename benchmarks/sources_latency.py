"""From the moment a message is sent to the moment at which the table shows its row, at 1,000 messages a second.

Both ways are watched by the same eye, which stands outside of both and looks a hundred times a second: for the stream
written by hand, whether its table has a next version; for Lakeloop, up to which batch the view that people read shows
the rows, which is written after bronze and so later than the version that holds them. Which rows came with which of
these is read afterwards. The commit's own time would be the moment before Delta writes it, and a view has none.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import deltalake
import numpy as np
import pyarrow as pa
from pyarrow import parquet
from rich.console import Console

from benchmarks.kafka_data import CONNECTION, PIPELINE
from benchmarks.measuring import ROOT, Ratio, print_ways, share_of, spreads, write_conf
from lakeloop.lake.views import find_view
from tools.kafka import KafkaBroker

PER_SECOND = 1_000
WARM_SECONDS = 30
INTERVAL = "1s"
PARTITIONS = 4
LOOK_EVERY = 0.01
PATIENCE = 60.0
PERCENTILES = (50, 95, 99)
TARGET = 1.25
WATCHED = (
    PIPELINE.replace("price]", "price, sent_at]")
    .replace("price: double", "price: double, sent_at: double")
    .replace("owner: shop", f"owner: shop\ntrigger: {INTERVAL}")
)
console = Console()


def bench_latency(folder: Path, rows: int, repeats: int) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """Percentiles in seconds of `rows` messages, after others that only warm up, each way with the same interval."""
    runs: dict[str, list[dict[str, float]]] = {"lakeloop": [], "plain": []}
    with KafkaBroker() as broker:
        for turn in range(repeats):
            for way, found in runs.items():
                topic = f"{way}_{turn}"
                broker.create_topic(topic, PARTITIONS)
                place = folder / topic
                write_conf(place / "conf", CONNECTION.format(bootstrap=broker.bootstrap), orders=WATCHED)
                found.append(measure(way, place, broker.bootstrap, topic, rows))
                console.print(way, found[-1])
    ways = {way: spreads(found) for way, found in runs.items()}
    print_ways(f"seconds from event to table at {PER_SECOND:,}/s", ways)
    figures = {"per_second": PER_SECOND, "interval": INTERVAL, "warm_seconds": WARM_SECONDS, **ways}
    ratios = {
        f"latency_p{rank}_over_plain": Ratio(share_of(runs["lakeloop"], runs["plain"], f"p{rank}"), TARGET)
        for rank in PERCENTILES
    }
    return figures, ratios


def measure(way: str, folder: Path, bootstrap: str, topic: str, rows: int) -> dict[str, float]:
    """The percentiles of one way, whose process is started before the first message is sent."""
    lake, sent = folder / "lake", PER_SECOND * WARM_SECONDS + rows
    look = Shown(lake) if way == "lakeloop" else Versions(lake / "plain")
    seen: list[tuple[int, float]] = []
    with running("benchmarks.latency_run", way, str(folder / "conf"), bootstrap, topic, str(lake)) as reader:
        if reader.stdout is None or reader.stdout.readline().strip() != "ready":
            raise SystemExit(f"{way} did not start")
        with running("benchmarks.latency_send", bootstrap, topic, str(PER_SECOND), str(sent)) as sender:
            wait(look, seen, lambda: sender.poll() is not None)
            if sender.returncode:
                raise SystemExit("not all messages were sent")
        deadline = time.monotonic() + PATIENCE
        while look.rows() < sent:
            if time.monotonic() > deadline or reader.poll() is not None:
                raise SystemExit(f"{way} brought {look.rows():,} rows, not {sent:,}")
            until = time.monotonic() + 1
            wait(look, seen, lambda until=until: time.monotonic() > until)  # type: ignore[misc]
    numbers, sent_at = look.sent_at()
    steps, times = (np.array(values) for values in zip(*seen, strict=True))
    delays = times[np.searchsorted(steps, numbers)] - sent_at
    measured = delays[sent_at >= sent_at.min() + WARM_SECONDS]
    return {f"p{rank}": float(np.percentile(measured, rank)) for rank in PERCENTILES}


def wait(look: "Shown | Versions", seen: list[tuple[int, float]], ended: Callable[[], bool]) -> None:
    """Look again and again, and note when something new was to be seen first."""
    while not ended():
        newest = look.newest(seen[-1][0] if seen else -1)
        if newest is not None:
            seen.append((newest, time.time()))
        time.sleep(LOOK_EVERY)


class Shown:
    """What Lakeloop's view shows: the rows of the batches that were accepted."""

    def __init__(self, lake: Path) -> None:
        self.view, self.record = str(lake / "silver/orders"), str(lake / "bronze/orders")

    def newest(self, known: int) -> int | None:
        """The newest batch that the view shows, where it is another than `known`."""
        view = find_view(self.view)
        return view.accepted if view is not None and view.accepted > known else None

    def rows(self) -> int:
        """The rows that are shown."""
        return 0 if find_view(self.view) is None else len(self.sent_at()[0])

    def sent_at(self) -> tuple[Any, Any]:
        """The batch of each row that is shown, and when its message was sent."""
        view = find_view(self.view)
        assert view is not None
        files = deltalake.DeltaTable(self.record).to_pyarrow_dataset()
        good = files.to_table(columns=["_batch_id", "sent_at", "_verdict"]).to_pandas()
        shown = good[(good["_verdict"] == "good") & (good["_batch_id"] <= view.accepted)]
        return shown["_batch_id"].to_numpy(), shown["sent_at"].to_numpy()


class Versions:
    """What a Delta table shows: the rows of the files of its versions."""

    def __init__(self, table: Path) -> None:
        self.table = table

    def newest(self, known: int) -> int | None:
        """The version after `known`, where it is there."""
        return known + 1 if (self.table / f"_delta_log/{known + 1:020}.json").exists() else None

    def rows(self) -> int:
        """The rows of all versions."""
        return sum(parquet.read_metadata(self.table / path).num_rows for _, path in self._files())

    def sent_at(self) -> tuple[Any, Any]:
        """The version of each row, and when its message was sent."""
        parts = [
            (version, parquet.read_table(self.table / path, columns=["sent_at"])) for version, path in self._files()
        ]
        versions = np.concatenate([np.full(part.num_rows, version) for version, part in parts])
        return versions, pa.concat_tables([part for _, part in parts])["sent_at"].to_numpy()

    def _files(self) -> Iterator[tuple[int, str]]:
        for entry in sorted((self.table / "_delta_log").glob("*.json")):
            for line in entry.read_text().splitlines():
                if "add" in (action := json.loads(line)):
                    yield int(entry.stem), action["add"]["path"]


@contextmanager
def running(module: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A process for as long as the block lasts, which is asked to end then."""
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
