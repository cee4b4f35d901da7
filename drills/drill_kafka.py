"""`make drill-kafka`: messages into a table while the driver's process group and the broker are killed."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import deltalake
from confluent_kafka import KafkaError, Message, Producer
from rich.console import Console

from drills.killed_run import ALL_STEPS
from tools.kafka import KafkaBroker

ROOT = Path(__file__).parents[1]
TOPIC = "orders"
PARTITIONS = 3
PER_SECOND = 200
PIPELINE = """
pipeline: orders
description: Orders, one row per order
trigger: available_now
source: {kafka: events, topics: [orders], format: {json: {}}, fields: [id, amount], max_messages: 1500}
transforms: [{cast: {amount: int}}]
rules: [{is_not_null: id}]
sink: {table: silver.orders}
"""
console = Console()


def main() -> None:
    """Kill runs at every step and `--kills` times at random, the broker `--outages` times; every message comes once."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--outages", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as folder, KafkaBroker() as broker:
        with Drill(Path(folder), broker, arguments.seed) as drill:
            for step in ALL_STEPS:
                drill.kill_at(step)
            for _ in range(arguments.kills):
                drill.kill_at_random()
            for _ in range(arguments.outages):
                drill.kill_broker()
        drill.finish()


class Drill:
    """A topic into which messages are sent for as long as the `with` block lasts, a lake, and runs that are killed."""

    def __init__(self, folder: Path, broker: KafkaBroker, seed: int) -> None:
        self.folder, self.broker, self.draw, self.killed, self.outages = folder, broker, random.Random(seed), 0, 0
        broker.create_topic(TOPIC, PARTITIONS)
        (folder / "conf/base/pipelines").mkdir(parents=True)
        (folder / "conf/local").mkdir()
        (folder / "conf/base/platform.yml").write_text(f"lake: {folder}/lake\n")
        (folder / "conf/base/connections.yml").write_text(
            f"events: {{kafka: {{bootstrap_servers: '{broker.bootstrap}', timeout_seconds: 10}}}}\n"
        )
        (folder / "conf/base/pipelines/orders.yml").write_text(PIPELINE)
        properties = "".join((ROOT / part / "spark.properties").read_text() for part in ("conf/base", "conf/local"))
        (folder / "conf/base/spark.properties").write_text(properties)
        self.sender = Sender(broker.bootstrap)

    def __enter__(self) -> "Drill":
        self.sender.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.sender.stop()

    def kill_at(self, step: str) -> None:
        """A run that dies at the step."""
        killed = self._start(step)
        code = killed.wait(timeout=300)
        if code != -signal.SIGKILL:
            raise SystemExit(f"the run that was to die {step} ended with {code}; see {self.folder}/runs.log")
        self._count(step)

    def kill_at_random(self) -> None:
        """A run that is killed somewhere between its start and its likely end."""
        running = self._start("")
        time.sleep(self.draw.uniform(2, 25))
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        self._count("at random")

    def kill_broker(self) -> None:
        """An outage of the broker while a run is under way, which may fail, and messages are sent."""
        running = self._start("")
        time.sleep(self.draw.uniform(5, 20))
        self.broker.kill()
        time.sleep(self.draw.uniform(0, 3))
        self.broker.start()
        running.wait(timeout=300)
        self.outages += 1
        console.print(f"killed the broker; the run under way ended with {running.returncode}")

    def finish(self) -> None:
        """A run to the end, then the account: each message in bronze once, under the verdict that it deserves."""
        if self._start("").wait(timeout=600):
            raise SystemExit(f"the last run failed; see {self.folder}/runs.log")
        console.print(f"{self.killed} runs and {self.outages} brokers killed: {self.account()}")

    def account(self) -> str:
        """What stands in the table, in words; raises unless it is what the broker has acknowledged."""
        table = deltalake.DeltaTable(f"{self.folder}/lake/bronze/orders")
        bronze = table.to_pyarrow_table(columns=["id", "amount", "_verdict"])
        found = Counter((row["id"], row["amount"], row["_verdict"]) for row in bronze.to_pylist())
        wanted = Counter(expected(number) for number in range(self.sender.sent))
        lost, twice = wanted - found, found - wanted
        if self.sender.failed or lost or twice:
            raise SystemExit(f"not sent {self.sender.failed}, lost {lost.total()}, too many {twice.total()}")
        bad = sum(count for (_, _, verdict), count in found.items() if verdict == "quarantined")
        return f"{found.total():,} messages, 0 lost, 0 twice, {bad:,} in quarantine"

    def _start(self, step: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "drills.killed_run", str(self.folder / "conf"), step]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}
        with (self.folder / "runs.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def _count(self, how: str) -> None:
        self.killed += 1
        console.print(f"killed {how}")


class Sender:
    """Sends numbered orders, each once (acks=all, idempotent), whatever becomes of the broker meanwhile."""

    def __init__(self, bootstrap: str) -> None:
        settings = {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "log_level": 0}
        self.producer, self.sent, self.failed = Producer(settings), 0, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more, and wait until the broker has all."""
        self._ended.set()
        self._thread.join()
        if left := self.producer.flush(120):
            raise SystemExit(f"{left} messages were not acknowledged within two minutes")

    def _send(self) -> None:
        while not self._ended.wait(0.1):
            for _ in range(PER_SECOND // 10):
                self.producer.produce(TOPIC, message(self.sent), key=str(self.sent), on_delivery=self._note)
                self.sent += 1
            self.producer.poll(0)

    def _note(self, error: KafkaError | None, _: Message) -> None:
        self.failed += error is not None


def message(number: int) -> bytes:
    """Of fifty orders one has no id, one an amount that is no number."""
    order = {"id": f"o{number}", "amount": number}
    if number % 50 == 0:
        del order["id"]
    return json.dumps(order | ({"amount": "many"} if number % 50 == 1 else {})).encode()


def expected(number: int) -> tuple[str | None, int | None, str]:
    """The row of an order with its verdict."""
    if number % 50 == 0:
        return None, number, "quarantined"
    return (f"o{number}", None, "quarantined") if number % 50 == 1 else (f"o{number}", number, "good")


if __name__ == "__main__":
    main()
