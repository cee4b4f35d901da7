"""Messages at a steady pace, each with the time at which it was sent."""

import json
import sys
import time

from confluent_kafka import Producer

from benchmarks.kafka_data import orders

SEED = 7
TICK = 0.01


def main(bootstrap: str, topic: str, per_second: int, messages: int) -> None:
    """Send, a few every hundredth of a second; what is late is caught up with and has its own time."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    started = time.monotonic()
    for sent, order in zip(range(messages), orders(SEED, bad=False), strict=False):
        while sent >= (time.monotonic() - started) * per_second:
            producer.poll(0)
            time.sleep(TICK)
        producer.produce(topic, json.dumps({**order, "sent_at": time.time()}), key=order["order_id"])
    if producer.flush(60):
        raise SystemExit("the broker did not take all messages")


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
