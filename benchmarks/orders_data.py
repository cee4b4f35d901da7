"""Order files for benchmarks: seeded, one percent of the rows bad, split into files of 250,000 rows."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROWS_PER_FILE = 250_000
CHANNELS = ("web", "shop", "phone")
CONF = {
    "base/platform.yml": "lake: ${env:LAKELOOP_LAKE}\n",
    "base/connections.yml": "drop: {files: {path: '${env:ORDERS_DROP}'}}\n",
    "base/pipelines/orders.yml": """
pipeline: orders
description: Orders of a shop, one row per order
source:
  files: drop
  formats: {csv: {}}
  fields: [order_id, customer_id, ordered_at, channel, quantity, price]
transforms:
  - trim: [customer_id, channel]
  - cast: {ordered_at: timestamp, quantity: int, price: double}
rules:
  - is_not_null: order_id
  - is_not_null: customer_id
  - is_in_range: {column: quantity, min: 1, max: 1000}
  - is_in_range: {column: price, min: 0, max: 10000}
  - is_in: {column: channel, values: [web, shop, phone]}
sink: {table: silver.orders, mode: append}
""",
}


def write_orders(folder: Path, rows: int, seed: int) -> None:
    """CSV files with a header; every hundredth row has one of six defects."""
    draw = random.Random(seed)
    folder.mkdir(parents=True)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for first in range(0, rows, ROWS_PER_FILE):
        with (folder / f"orders_{first:09d}.csv").open("w") as file:
            file.write("order_id,customer_id,ordered_at,channel,quantity,price\n")
            for number in range(first, min(first + ROWS_PER_FILE, rows)):
                cells = [
                    f"O{number:09d}",
                    f"C{draw.randrange(100_000):06d}",
                    f"{start + timedelta(seconds=number):%Y-%m-%d %H:%M:%S}",
                    draw.choice(CHANNELS),
                    str(draw.randint(1, 20)),
                    f"{draw.random() * 500:.2f}",
                ]
                if number % 100 == 0:
                    spoil(cells, number // 100 % 6)
                file.write(",".join(cells) + "\n")


def spoil(cells: list[str], kind: int) -> None:
    """Put the defect of this kind into a row."""
    if kind == 0:
        cells.append("one cell too many")
    else:
        place, value = [(1, ""), (2, "yesterday"), (3, "pigeon"), (4, "0"), (5, "cheap")][kind - 1]
        cells[place] = value


def write_conf(folder: Path, properties: str) -> None:
    """The configuration of the benchmark's one pipeline."""
    for name, text in CONF.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "local").mkdir()
    (folder / "local" / "spark.properties").write_text(properties)
