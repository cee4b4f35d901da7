"""Orders as JSON messages, seeded, and the pipeline that checks them by 15 rules."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from confluent_kafka import Producer

from benchmarks.files_data import CHANNELS
from benchmarks.files_data import PIPELINE as OF_FILES

FIELDS = "fields: [order_id, customer_id, ordered_at, channel, quantity, price]"
RULES = OF_FILES[OF_FILES.index("transforms:") :]
PIPELINE = f"""
pipeline: orders
description: Orders of a shop, one row per order
owner: shop
source:
  kafka: events
  topics: ['${{env:ORDERS_TOPIC}}']
  format: {{json: {{}}}}
  {FIELDS}
  max_messages: 100000000
{RULES}"""
CONNECTION = "events: {{kafka: {{bootstrap_servers: '{bootstrap}'}}}}\n"
SCHEMA = "order_id STRING, customer_id STRING, ordered_at TIMESTAMP, channel STRING, quantity INT, price DOUBLE"


def orders(seed: int, *, bad: bool) -> Iterator[dict[str, Any]]:
    """Orders without end; with `bad` every hundredth has a channel that is not known."""
    draw, start, number = random.Random(seed), datetime(2026, 1, 1, tzinfo=UTC), 0
    while True:
        yield {
            "order_id": f"O{number:09d}",
            "customer_id": f"C{draw.randrange(100_000):06d}",
            "ordered_at": f"{start + timedelta(seconds=number):%Y-%m-%d %H:%M:%S}",
            "channel": "pigeon" if bad and number % 100 == 0 else draw.choice(CHANNELS),
            "quantity": draw.randint(1, 20),
            "price": round(draw.random() * 500, 2),
        }
        number += 1


def send_orders(bootstrap: str, topic: str, messages: int, seed: int, *, bad: bool) -> None:
    """Messages of about 150 bytes over all partitions."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 200_000})
    for number, order in zip(range(messages), orders(seed, bad=bad), strict=False):
        producer.produce(topic, json.dumps(order, separators=(",", ":")), key=order["order_id"])
        if number % 10_000 == 0:
            while producer.poll(0.01) and len(producer) > 100_000:
                pass
    if producer.flush(120):
        raise SystemExit("the broker did not take all messages")
