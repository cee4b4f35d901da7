"""A table of PostgreSQL: read whole in parts, then from its cursor on when one percent of its rows has changed."""

import sys
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console

from benchmarks.measuring import Ratio, measured, print_ways, share_of, spreads, write_conf
from demo.postgres import EmbeddedPostgres

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
FROM generate_series(1, {rows}::bigint) n;
ALTER TABLE {table} ADD PRIMARY KEY (order_id);
CREATE INDEX ON {table} (updated_at);
ANALYZE {table}"""
# Every hundredth row, each a second after the one before, behind all that was there.
CHANGE = """
UPDATE {table} SET quantity = 21 - quantity, updated_at = latest + order_id * interval '1 millisecond'
FROM (SELECT max(updated_at) AS latest FROM {table}) AS state WHERE order_id % {every} = 0"""
CONNECTION = "shop: {jdbc: {url: '${env:SHOP_URL}', user: lakeloop, password: '${secret:shop_password}'}}\n"
console = Console()


def bench_jdbc(folder: Path, rows: int, repeats: int) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """A load of all rows into a lake of its own, a change, and what is new then, a process each."""
    full, incremental = [], []
    with EmbeddedPostgres(folder / "postgres", PASSWORD) as server:
        write_conf(folder / "conf", CONNECTION, orders=PIPELINE)
        with psycopg.connect(server.dsn, autocommit=True) as database:
            for table, size in (("orders", rows), ("warm", SMALL), ("warm_changed", SMALL)):
                database.execute(CREATE.format(table=table, rows=size))
            database.execute(CHANGE.format(table="warm_changed", every=round(1 / CHANGED)))
            for turn in range(repeats):
                lake = folder / f"lake_{turn}"
                full.append(run(folder / "conf", server, lake, rows))
                database.execute(CHANGE.format(table="orders", every=round(1 / CHANGED)))
                incremental.append(run(folder / "conf", server, lake, round(rows * CHANGED)))
    figures = {"full": spreads(full), "incremental": spreads(incremental)}
    print_ways(f"{rows:,} rows", figures)
    return figures, {
        f"jdbc_incremental_{figure}_over_full": Ratio(share_of(incremental, full, figure), TARGET)
        for figure in ("seconds", "cpu_seconds")
    }


def run(conf: Path, server: EmbeddedPostgres, lake: Path, expected: int) -> dict[str, Any]:
    """What a process measured of one run of the pipeline, warmed by a small table in lakes of its own."""
    command = [sys.executable, "-m", "benchmarks.sources_run", str(conf), "ORDERS_TABLE=warm",
               "ORDERS_TABLE=warm_changed"]  # fmt: skip
    found = measured(command, LAKELOOP_LAKE=str(lake), SHOP_URL=server.jdbc_url, ORDERS_TABLE="orders",
                     LAKELOOP_SECRET_SHOP_PASSWORD=PASSWORD)  # fmt: skip
    if found["rows"] != expected:
        raise SystemExit(f"{found['rows']:,} rows were read, not {expected:,}")
    console.print(found)
    return found
