"""Changes of a table of PostgreSQL, followed with rules and a record of each, beside one hand-written MERGE a batch.

The hand-written way is given its changes as files, as if another program had decoded the server's log for it, while
Lakeloop decodes it, lands it and records every change before it merges. The server's own work counts for neither.
"""

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import deltalake
import psycopg
import pyarrow.compute as pc
from rich.console import Console

from benchmarks.cdc_data import change, create
from benchmarks.measuring import Ratio, measured, print_ways, share_of, spreads, write_conf
from demo.postgres import EmbeddedPostgres

PASSWORD = "benchmark"
SEED, TARGET = 7, 0.9
ROWS_PER_CHANGE = 2.5  # so large is the table
PIPELINE = """
pipeline: accounts
description: Accounts as the bank has them, one row per account
trigger: available_now
source:
  cdc: bank
  table: public.${env:ACCOUNTS_TABLE}
  slot: ${env:ACCOUNTS_TABLE}
  publication: ${env:ACCOUNTS_TABLE}
  changes_per_batch: 100500
rules:
  - is_not_null: owner
  - is_in_range: {column: balance, min: 0, max: 1000000}
  - is_in: {column: city, values: [Basel, Bern, Genf, Zürich]}
sink: {table: silver.accounts, mode: merge, keys: [id]}
"""
CONNECTION = "bank: {jdbc: {url: '${env:SHOP_URL}', user: lakeloop, password: '${secret:shop_password}'}}\n"
TABLES = {"lakeloop": "silver/accounts", "plain": "plain"}
console = Console()


def bench_cdc(folder: Path, rows: int, repeats: int) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """Changes per CPU second of each way: as many changes again and again, onto a table that has them all so far."""
    write_conf(folder / "conf", CONNECTION, accounts=PIPELINE)
    log, runs = folder / "log/accounts", {way: [] for way in TABLES}  # type: dict[str, list[dict[str, float]]]
    with (
        EmbeddedPostgres(folder / "postgres", PASSWORD, {"wal_level": "logical"}) as server,
        psycopg.connect(server.dsn, autocommit=True) as connection,
    ):
        create(connection, "accounts", round(rows * ROWS_PER_CHANGE))
        for turn in range(repeats + 1):  # the first reads the table as a whole, and is not measured
            if turn:
                change(connection, "accounts", rows, SEED + turn, log)
            for way, found in runs.items():
                command = [sys.executable, "-m", "benchmarks.cdc_run", way, str(folder / "conf"), server.dsn, str(log)]
                lake = folder / f"lake_{way}"
                figures = measured(command, LAKELOOP_LAKE=str(lake), ACCOUNTS_TABLE="accounts",
                                   SHOP_URL=server.jdbc_url, LAKELOOP_SECRET_SHOP_PASSWORD=PASSWORD)  # fmt: skip
                require_same(connection, lake / TABLES[way], way)
                if turn:
                    found.append({**figures, "changes_per_second": rows / figures["seconds"],
                                  "changes_per_cpu_second": rows / figures["cpu_seconds"]})  # fmt: skip
                    console.print(way, found[-1])
    ways = {way: spreads(found) for way, found in runs.items()}
    print_ways(f"{rows:,} changes", ways)
    ratios = {
        f"cdc_changes_per_{unit}_over_merge": Ratio(
            share_of(runs["lakeloop"], runs["plain"], f"changes_per_{unit}"), TARGET, "at least"
        )
        for unit in ("second", "cpu_second")
    }
    return {"table_rows": round(rows * ROWS_PER_CHANGE), **ways}, ratios


def require_same(connection: "psycopg.Connection[tuple[Any, ...]]", table: Path, way: str) -> None:
    """Raise SystemExit where a table of the lake is not the one in the server."""
    wanted = connection.execute("SELECT count(*), sum(balance), sum(id) FROM accounts").fetchone()
    rows = deltalake.DeltaTable(str(table)).to_pyarrow_dataset().to_table(columns=["id", "balance"])
    found = (rows.num_rows, Decimal(pc.sum(rows["balance"]).as_py()), pc.sum(rows["id"]).as_py())
    if wanted is None or found != tuple(wanted):
        raise SystemExit(f"{way} has {found}, the server {wanted}")
