"""Messages into a Delta table without Spark: confluent-kafka, pyarrow's parser and delta-rs, one process.

No rule, no quarantine, and the offsets are kept nowhere: what is killed is read again and comes twice. Run by an
environment of its own, so it imports nothing of Lakeloop.
"""

import json
import os
import sys
import time

import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition
from deltalake import write_deltalake
from pyarrow import json as pa_json

ROWS_PER_COMMIT = 500_000
SCHEMA = pa.schema({
    "order_id": pa.string(), "customer_id": pa.string(), "ordered_at": pa.timestamp("us"),
    "channel": pa.string(), "quantity": pa.int32(), "price": pa.float64(),
})  # fmt: skip


def main(bootstrap: str, small: str, topic: str) -> None:
    """Bring the topic `small` in untimed, twice as the other ways do, then `topic`; prints a line of JSON."""
    root = os.environ["LAKELOOP_LAKE"]
    for number, name in enumerate((small, small, topic)):
        started, cpu = time.monotonic(), time.process_time()
        rows = bring(bootstrap, name, f"{root}/{number}")
        seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "rows": rows}))


def bring(bootstrap: str, topic: str, table: str) -> int:
    """All messages that the topic has, and their number."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "rival", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic).topics[topic].partitions
    ends = {place: consumer.get_watermark_offsets(TopicPartition(topic, place))[1] for place in partitions}
    consumer.assign([TopicPartition(topic, place, 0) for place in partitions])
    left, rows, values = sum(ends.values()), 0, []
    while left:
        messages = consumer.consume(10_000, timeout=10)
        values += [message.value() for message in messages]
        left -= len(messages)
        if values and (len(values) >= ROWS_PER_COMMIT or not left):
            options = pa_json.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="ignore")
            parsed = pa_json.read_json(pa.BufferReader(b"\n".join(values)), parse_options=options)
            write_deltalake(table, parsed, mode="append")
            rows, values = rows + parsed.num_rows, []
    consumer.close()
    return rows


if __name__ == "__main__":
    main(*sys.argv[3:])
