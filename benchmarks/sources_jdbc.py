"""A table of PostgreSQL: read whole in parts, then from its cursor on when one percent of its rows has changed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console

from benchmarks.measuring import Ratio, spread
from demo.postgres import EmbeddedPostgres

ROOT = Path(__file__).parents[1]
PASSWORD = "benchmark"
SMALL, CHANGED, TARGET = 20_000, 0.01, 0.1
PIPELINE = """
pipeline: orders
description: Orders of a shop, one row per order and change
source:
  jdbc: shop
  table: ${env:ORDERS_TABLE}
  incremental: {cursor: updated_at, overlap: 1m}
  parallel: {partition_column: order_id, num_partitions: 4}
rules:
  - is_not_null: order_id
  - is_in_range: {column: quantity, min: 1, max: 1000}
  - is_in: {column: channel, values: [web, shop, phone]}
sink: {table: silver.orders}
"""
CREATE = """
CREATE TABLE {table} AS SELECT
    n::bigint AS order_id, 'C' || lpad((n * 7919 % 100000)::text, 6, '0') AS customer_id,
    (ARRAY['web', 'shop', 'phone'])[1 + n % 3] AS channel, (1 + n % 20)::int AS quantity,
    (n * 31 % 50000 / 100.0)::numeric(10, 2) AS price,
    '2026-01-01Z'::timestamptz + n * interval '1 second' AS updated_at
FROM generate_series(1, {rows}) n;
ALTER TABLE {table} ADD PRIMARY KEY (order_id);
CREATE INDEX ON {table} (updated_at);
ANALYZE {table}"""
# Every hundredth row, each a second after the one before, behind all that was there.
CHANGE = """
UPDATE {table} SET quantity = 21 - quantity, updated_at = latest + order_id * interval '1 millisecond'
FROM (SELECT max(updated_at) AS latest FROM {table}) AS state WHERE order_id % {every} = 0"""
console = Console()


def bench_jdbc(folder: Path, rows: int, repeats: int) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """A load of all rows into a lake of its own, a change, and what is new then, a process each."""
    full, incremental = [], []
    with EmbeddedPostgres(folder / "postgres", PASSWORD) as server:
        write_conf(folder / "conf")
        with psycopg.connect(server.dsn, autocommit=True) as database:
            for table, size in (("orders", rows), ("warm", SMALL), ("warm_changed", SMALL)):
                database.execute(CREATE.format(table=table, rows=size))
            database.execute(CHANGE.format(table="warm_changed", every=round(1 / CHANGED)))
            for turn in range(repeats):
                lake = folder / f"lake_{turn}"
                full.append(run(folder / "conf", server, lake, rows))
                database.execute(CHANGE.format(table="orders", every=round(1 / CHANGED)))
                incremental.append(run(folder / "conf", server, lake, round(rows * CHANGED)))
    figures = {
        name: {key: spread([each[key] for each in found]) for key in ("seconds", "cpu_seconds", "rows")}
        for name, found in (("full", full), ("incremental", incremental))
    }
    seconds = [new["seconds"] / whole["seconds"] for new, whole in zip(incremental, full, strict=True)]
    return figures, {"jdbc_incremental_over_full": Ratio(spread(seconds)["median"], TARGET)}


def run(conf: Path, server: EmbeddedPostgres, lake: Path, expected: int) -> dict[str, Any]:
    """What a process measured of one run of the pipeline, warmed by a small table in lakes of its own."""
    environment = {**os.environ, "LAKELOOP_LAKE": str(lake), "SHOP_URL": server.jdbc_url,
                   "LAKELOOP_SECRET_SHOP_PASSWORD": PASSWORD, "ORDERS_TABLE": "orders"}  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "benchmarks.sources_run",
        str(conf),
        "ORDERS_TABLE=warm",
        "ORDERS_TABLE=warm_changed",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if found["rows"] != expected:
        raise SystemExit(f"{found['rows']:,} rows were read, not {expected:,}")
    console.print(found)
    return found


def write_conf(folder: Path) -> None:
    """The configuration of the one pipeline, with Spark as it is shipped."""
    (folder / "base/pipelines").mkdir(parents=True)
    (folder / "local").mkdir()
    for part in ("base", "local"):
        (folder / part / "spark.properties").write_text((ROOT / "conf" / part / "spark.properties").read_text())
    (folder / "base/platform.yml").write_text("lake: ${env:LAKELOOP_LAKE}\n")
    connection = "shop: {jdbc: {url: '${env:SHOP_URL}', user: lakeloop, password: '${secret:shop_password}'}}\n"
    (folder / "base/connections.yml").write_text(connection)
    (folder / "base/pipelines/orders.yml").write_text(PIPELINE)
