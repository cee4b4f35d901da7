"""Messages with 15 rules, quarantine and metrics beside the plainest parse and append, and a way without Spark."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.kafka_data import CONNECTION, PIPELINE, send_orders
from benchmarks.measuring import ROOT, Ratio, measured, print_ways, share_of, spreads, write_conf
from tools.kafka import KafkaBroker

SEED = 7
SMALL = 100_000
PARTITIONS = 4
TARGETS = {"kafka_clean": 0.9, "kafka_one_percent_bad": 0.8}
WAYS = ("lakeloop", "plain", "delta-rs")
RIVAL = ("confluent-kafka", "deltalake", "pyarrow")
console = Console()


def bench_kafka(folder: Path, rows: int, repeats: int) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """Rows per CPU second of each way over a clean topic, and over one with a bad row in every hundred."""
    figures: dict[str, Any] = {}
    ratios = {}
    rival = make_rival(folder / "rival")
    with KafkaBroker() as broker:
        write_conf(folder / "conf", CONNECTION.format(bootstrap=broker.bootstrap), orders=PIPELINE)
        topics = {"small": SMALL, **dict.fromkeys(TARGETS, rows)}
        for topic, messages in topics.items():
            broker.create_topic(topic, PARTITIONS)
            send_orders(broker.bootstrap, topic, messages, SEED, bad=topic != "kafka_clean")
        for topic, target in TARGETS.items():
            runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for turn in range(repeats):
                for way in WAYS:
                    lake = folder / f"{topic}_{way}_{turn}"
                    interpreter = rival if way == "delta-rs" else sys.executable
                    module = "benchmarks.kafka_rival" if way == "delta-rs" else "benchmarks.kafka_run"
                    command = [interpreter, "-m", module, way, str(folder / "conf"), broker.bootstrap, "small", topic]
                    found = measured(command, LAKELOOP_LAKE=str(lake))
                    if found["rows"] != rows:
                        raise SystemExit(f"{way} brought {found['rows']:,} rows of {topic}, not {rows:,}")
                    found["rows_per_cpu_second"] = rows / found["cpu_seconds"]
                    runs[way].append(found)
                    console.print(way, topic, found)
            ways = {way: spreads(found) for way, found in runs.items()}
            print_ways(topic, ways)
            shares = {
                way: share_of(found, runs["plain"], "rows_per_cpu_second")
                for way, found in runs.items()
                if way != "plain"
            }
            figures[topic] = {**ways, "rows_per_cpu_second_over_plain": shares}
            ratios[f"{topic}_rows_per_cpu_second_over_plain"] = Ratio(shares["lakeloop"], target, "at least")
    return figures, ratios


def make_rival(folder: Path) -> str:
    """An interpreter whose environment has the rival's packages alone, in the versions that are here."""
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], cwd=ROOT, check=True)
    interpreter = str(folder / "bin/python")
    packages = [f"{name}=={version(name)}" for name in RIVAL]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", interpreter, *packages], cwd=ROOT, check=True)
    return interpreter
