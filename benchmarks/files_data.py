"""Order files in four formats, seeded, one percent of the rows bad, and the pipeline that checks them by 15 rules."""

import csv
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

ROWS_PER_FILE = 250_000
FIELDS = ("order_id", "customer_id", "ordered_at", "channel", "quantity", "price")
CHANNELS = ("web", "shop", "phone")
EXTENSIONS = {"csv": "csv", "json": "jsonl", "xml": "xml", "parquet": "parquet"}
Row = tuple[str, str, str, str, str, str]
PIPELINE = """
pipeline: orders
description: Orders of a shop, one row per order
owner: shop
source:
  files: drop
  formats: {csv: {}, jsonl: {}, xml: {row_tag: order}, parquet: {}}
  fields: [order_id, customer_id, ordered_at, channel, quantity, price]
  settle: 0s
transforms:
  - cast: {ordered_at: timestamp, quantity: int, price: double}
rules:
  - is_not_null: order_id
  - is_not_null: customer_id
  - is_not_null: ordered_at
  - is_not_null: channel
  - is_not_null: quantity
  - is_not_null: price
  - is_not_blank: order_id
  - is_in_range: {column: quantity, min: 1, max: 1000}
  - is_in_range: {column: price, min: 0, max: 10000}
  - is_in: {column: channel, values: [web, shop, phone]}
  - matches: {column: order_id, pattern: 'O\\d{9}'}
  - matches: {column: customer_id, pattern: 'C\\d{6}'}
  - has_length: {column: order_id, min: 10, max: 10}
  - has_length: {column: customer_id, min: 7, max: 7}
  - has_length: {column: channel, min: 3, max: 5}
sink: {table: silver.orders, mode: append}
"""


def write_orders(folder: Path, kind: str, rows: int, seed: int, rows_per_file: int = ROWS_PER_FILE) -> None:
    """Files of one format; of every hundred rows one has a channel that is not known."""
    folder.mkdir(parents=True)
    draw = random.Random(seed)
    for number, first in enumerate(range(0, rows, rows_per_file)):
        some = list(_rows(draw, first, min(first + rows_per_file, rows)))
        path = folder / f"orders_{number:06d}.{EXTENSIONS[kind]}"
        if kind == "parquet":
            parquet.write_table(_typed(some), path)
        else:
            _write_text(path, kind, some)


def write_conf(folder: Path, properties: str) -> None:
    """The configuration of the one pipeline."""
    (folder / "base/pipelines").mkdir(parents=True)
    (folder / "local").mkdir()
    (folder / "base/platform.yml").write_text("lake: ${env:LAKELOOP_LAKE}\n")
    (folder / "base/connections.yml").write_text("drop: {files: {path: '${env:ORDERS_DROP}'}}\n")
    (folder / "base/pipelines/orders.yml").write_text(PIPELINE)
    (folder / "local/spark.properties").write_text(properties)


def _rows(draw: random.Random, first: int, end: int) -> Iterator[Row]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(first, end):
        channel = "pigeon" if number % 100 == 0 else draw.choice(CHANNELS)
        at = f"{start + timedelta(seconds=number):%Y-%m-%d %H:%M:%S}"
        price = f"{draw.random() * 500:.2f}"
        yield f"O{number:09d}", f"C{draw.randrange(100_000):06d}", at, channel, str(draw.randint(1, 20)), price


def _write_text(path: Path, kind: str, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        if kind == "csv":
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(FIELDS)
            writer.writerows(rows)
        elif kind == "json":
            for row in rows:
                record = dict(zip(FIELDS, row, strict=True)) | {"quantity": int(row[4]), "price": float(row[5])}
                file.write(json.dumps(record) + "\n")
        else:
            file.write("<orders>\n")
            for row in rows:
                cells = "".join(f"<{name}>{value}</{name}>" for name, value in zip(FIELDS, row, strict=True))
                file.write(f"<order>{cells}</order>\n")
            file.write("</orders>\n")


def _typed(rows: list[Row]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    return pa.table({
        "order_id": columns[0], "customer_id": columns[1],
        "ordered_at": [datetime.fromisoformat(f"{at}+00:00") for at in columns[2]],
        "channel": columns[3], "quantity": pa.array(map(int, columns[4]), pa.int32()),
        "price": list(map(float, columns[5])),
    })  # fmt: skip
