"""`make bench-kafka`: messages with 15 rules, quarantine and metrics beside the plainest parse and append."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.kafka_data import PIPELINE, send_orders
from benchmarks.measuring import Ratio, spread, write_result
from tools.kafka import KafkaBroker

ROOT = Path(__file__).parents[1]
SEED = 7
MESSAGES, SMALL = 2_000_000, 100_000
PARTITIONS = 4
TARGETS = {"kafka_clean": 0.9, "kafka_one_percent_bad": 0.8}
console = Console()


def main() -> None:
    """Send, read both ways in turn, and write `results/kafka.json`: rows per CPU second, ours over plain."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"seed": SEED, "repeats": arguments.repeats, "messages": arguments.messages}
    ratios = {}
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder, KafkaBroker() as broker:
        bench = Bench(Path(folder), broker)
        for name, target in TARGETS.items():
            topic = bench.topic(name, arguments.messages, bad=name == "kafka_one_percent_bad")
            pairs = [(bench.run("ours", topic), bench.run("plain", topic)) for _ in range(arguments.repeats)]
            figures[name] = {
                way: {figure: spread([pair[place][figure] for pair in pairs]) for figure in ("seconds", "cpu_seconds")}
                for place, way in enumerate(("ours", "plain"))
            }
            share = spread([plain["cpu_seconds"] / ours["cpu_seconds"] for ours, plain in pairs])
            figures[name]["rows_per_cpu_second_over_plain"] = share
            ratios[name] = Ratio(share["median"], target, "at least")
    write_result("kafka", figures, ratios)


class Bench:
    """A broker with topics of orders, and measured processes with lakes of their own."""

    def __init__(self, folder: Path, broker: KafkaBroker) -> None:
        self.folder, self.broker, self.number = folder, broker, 0
        properties = "".join((ROOT / part / "spark.properties").read_text() for part in ("conf/base", "conf/local"))
        connections = f"events: {{kafka: {{bootstrap_servers: '{broker.bootstrap}'}}}}\n"
        files = {
            "base/platform.yml": "lake: ${env:LAKELOOP_LAKE}\n", "base/connections.yml": connections,
            "base/pipelines/orders.yml": PIPELINE, "local/spark.properties": properties,
        }  # fmt: skip
        for name, text in files.items():
            path = folder / "conf" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.small = self.topic("small", SMALL, bad=True)

    def topic(self, name: str, messages: int, *, bad: bool) -> str:
        """A topic with orders."""
        self.broker.create_topic(name, PARTITIONS)
        send_orders(self.broker.bootstrap, name, messages, SEED, bad=bad)
        return name

    def run(self, way: str, topic: str) -> dict[str, Any]:
        """What a process measured."""
        self.number += 1
        command = [sys.executable, "-m", "benchmarks.kafka_run", way, str(self.folder / "conf"), self.broker.bootstrap]
        environment = {**os.environ, "LAKELOOP_LAKE": str(self.folder / f"lake_{self.number}")}
        done = subprocess.run([*command, self.small, topic], cwd=ROOT, env=environment,
                              capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["runs"][0]
        console.print(way, topic, found)
        return found


if __name__ == "__main__":
    main()
