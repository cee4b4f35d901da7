"""Messages into a table while runs and the broker are killed; with repeats, each id must land once all the same."""

import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from confluent_kafka import KafkaError, Message, Producer

from drills.killed_run import APPEND_STEPS
from drills.runs import Account, Drill, Tell, stop_run, wait_until
from lakeloop.core.run_record import now
from lakeloop.lake.ops_tables import read_rows
from tools.kafka import KafkaBroker

TOPIC = "orders"
PARTITIONS = 3
PER_SECOND = 100
REPEATED = 0.4  # of the messages, where they are sent several times
PIPELINE = """
pipeline: orders
description: Orders, one row per order
trigger: {trigger}
source: {{kafka: events, topics: [orders], format: {{json: {{}}}}, fields: [id, amount], max_messages: 2000}}
transforms: [{{cast: {{amount: int}}}}{dedupe}]
rules: [{{is_not_null: id}}]
sink: {{table: silver.orders}}
"""
DEDUPE = ", {dedupe: {keys: [id], against: table}}"


@contextmanager
def drilling(
    seed: int, tell: Tell | None = None, *, repeats: bool = False, trigger: str = "available_now"
) -> Iterator["KafkaDrill"]:
    """A broker, a topic into which messages are sent for as long as the block lasts, and a lake."""
    with (
        tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as folder,
        KafkaBroker() as broker,
        KafkaDrill(Path(folder), broker, seed, tell, repeats=repeats, trigger=trigger) as drill,
    ):
        yield drill


class KafkaDrill(Drill):
    """Runs that read a topic into which somebody sends all the time."""

    deaths = tuple((step, "") for step in APPEND_STEPS)

    def __init__(
        self, folder: Path, broker: KafkaBroker, seed: int, tell: Tell | None = None,
        *, repeats: bool = False, trigger: str = "available_now", port: int | None = None, timeout: int = 10,
    ) -> None:  # fmt: skip
        server = broker.bootstrap if port is None else f"127.0.0.1:{port}"
        connection = f"events: {{kafka: {{bootstrap_servers: '{server}', timeout_seconds: {timeout}}}}}\n"
        pipeline = PIPELINE.format(trigger=trigger, dedupe=DEDUPE if repeats else "")
        super().__init__(folder, seed, connection, {"orders": pipeline}, tell=tell)
        broker.create_topic(TOPIC, PARTITIONS)
        self.broker, self.sender = broker, Sender(broker.bootstrap, seed, REPEATED if repeats else 0)
        self.repeats, self.restarted_at = repeats, now()

    def __enter__(self) -> "KafkaDrill":
        self.sender.start()
        return self

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self.sender.stop()

    def kill_broker(self) -> None:
        """A power cut of the broker, and its start on the same data, while messages are sent and read."""
        time.sleep(self.draw.uniform(3, 10))
        self.broker.kill()
        time.sleep(self.draw.uniform(0, 3))
        self.broker.start()
        self.restarted_at = now()
        self.count("killed the broker")

    def kill_broker_under_watch(self, outages: int) -> float:
        """Outages while `lakeloop watch` goes on, and the seconds until it is behind by nothing after the last one."""
        began = now()
        watching = self.launch("-m", "lakeloop.cli", "watch", "orders", "--conf-dir", str(self.folder / "conf"))
        wait_until(lambda: bool(self.caught_up(began)), 120, "nothing was read")
        for _ in range(outages):
            self.kill_broker()
        wait_until(lambda: bool(self.caught_up(self.restarted_at)), 300, "the lag did not go back to 0")
        if watching.poll() is not None:
            raise SystemExit(f"`lakeloop watch` ended with {watching.returncode}\n{self.log[-2000:]}")
        stop_run(watching)
        return (min(self.caught_up(self.restarted_at)) - self.restarted_at).total_seconds()

    def caught_up(self, since: datetime) -> list[datetime]:
        """When batches ended that were planned since a time and left nothing behind them."""
        planned = {
            row["batch_id"]: json.loads(row["plan"])["details"]["behind"]
            for row in read_rows(self.lake, "ops.batches")
            if row["planned_at"] >= since
        }
        ends = read_rows(self.lake, "ops.runs", [("outcome", "=", "succeeded")])
        return [row["ended_at"] for row in ends if planned.get(row["batch_id"]) == 0]

    def finish(self) -> Account:
        self.sender.stop()
        return super().finish()

    def account(self) -> Account:
        """Each message in bronze once, under the verdict that it deserves; of one that was sent again only the first.

        Of repeated bad ones it depends on the batches which are quarantined and which are dropped beside another.
        """
        rows = self.rows("bronze/orders", ["id", "amount", "_verdict"])
        found = Counter(row if row[2] != "dropped" else ("dropped",) for row in rows)
        wanted = Counter({expected(number): times for number, times in self.sender.sent.items()})
        if self.repeats:
            wanted = Counter({row: 1 if row[2] == "good" else 0 for row in wanted})
            found = Counter({row: times for row, times in found.items() if row[-1] == "good"})
        lost, twice = (wanted - found).total(), (found - wanted).total()
        total, failed = self.sender.sent.total(), self.sender.failed
        words = f", {total:,} messages sent, {len(self.sender.sent):,} ids" + (f", {failed} FAILED" if failed else "")
        missing = max(total - len(rows), 0)
        return Account(len(rows), lost + missing, twice + max(len(rows) - total, 0), found == wanted, words)


class Sender:
    """Sends numbered orders (acks=all, idempotent), some of them again, whatever becomes of the broker meanwhile."""

    def __init__(self, bootstrap: str, seed: int, repeated: float) -> None:
        settings = {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "log_level": 0}
        self.producer, self.failed = Producer(settings), 0
        self.sent: Counter[int] = Counter()
        self._draw, self._repeated, self._next = random.Random(seed), repeated, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more, and wait until the broker has all."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        if left := self.producer.flush(120):
            raise SystemExit(f"{left} messages were not acknowledged within two minutes")

    def _send(self) -> None:
        while not self._ended.wait(0.1):
            for _ in range(PER_SECOND // 10):
                if self._next and self._draw.random() < self._repeated:
                    number = self._draw.randrange(max(0, self._next - 3000), self._next)
                else:
                    number, self._next = self._next, self._next + 1
                self.sent[number] += 1
                # By place and not by id: repeats come by every partition.
                self.producer.produce(TOPIC, message(number), key=str(self.sent.total()), on_delivery=self._note)
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
