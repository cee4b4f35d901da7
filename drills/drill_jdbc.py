"""Rows of a database by a cursor with an overlap, while they change and are committed late, and runs are killed."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from demo.postgres import EmbeddedPostgres
from drills.database import DatabaseDrill, Writer, running_server
from drills.killed_run import APPEND_STEPS, MERGE_STEPS
from drills.runs import Account, Tell, beside

LATE_SECONDS = 8.0  # at most so long a transaction stays open
SOURCE = "{{jdbc: bank, table: public.{table}, incremental: {{cursor: changed_at, overlap: 1m}}}}"
PIPELINES = {"entries": "{table: silver.entries}", "orders": "{table: silver.orders, mode: merge, keys: [id], "
             "sequence_by: changed_at}"}  # fmt: skip
# A run that finishes a batch goes on with what has come since.
PIPELINE = "pipeline: {table}\ndescription: Drilled\ntrigger: available_now\nsource: " + SOURCE + "\nsink: {sink}\n"
SETUP = """
CREATE TABLE entries (id int PRIMARY KEY, n int, note text, changed_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, n int, note text, changed_at timestamptz);
INSERT INTO orders SELECT i, 0, 'note ' || i, now() FROM generate_series(1, 100) i
"""


@contextmanager
def drilling(seed: int, tell: Tell | None = None) -> Iterator["JdbcDrill"]:
    """A server with entries that are added and orders that change, and a lake that reads them by their cursor."""
    with running_server(SETUP) as (folder, server), JdbcDrill(folder, server, seed, tell) as drill:
        yield drill


class OrderWriter(Writer):
    """Adds entries, adds and changes orders; some transactions take their time first and are committed later."""

    def __init__(self, dsn: str, seed: int) -> None:
        super().__init__(dsn)
        self._draw, self._next = random.Random(seed), 1000
        self._late: list[tuple[int, psycopg.Connection[Any]]] = []  # rounds until the commit
        self.committed_late = 0

    def run(self) -> None:
        try:
            super().run()
        finally:
            while self._late:
                self._commit_late()

    def write(self, connection: psycopg.Connection[Any]) -> None:
        number, self._next = self._next, self._next + 10
        if len(self._late) < 5 and self._draw.random() < 0.2:
            late = psycopg.connect(self.dsn)
            self._change(late, number)
            self._late.append((self._draw.randint(5, int(LATE_SECONDS * 10)), late))
        else:
            with connection.transaction():
                self._change(connection, number)
        self._late = [(rounds - 1, late) for rounds, late in self._late]
        self._late.sort(key=lambda pair: -pair[0])
        while self._late and self._late[-1][0] <= 0:
            self._commit_late()

    def _commit_late(self) -> None:
        _, late = self._late.pop()
        with suppress(psycopg.Error), late:  # whose server was killed is rolled back, by the server
            late.commit()
            self.committed_late += 1

    def _change(self, connection: psycopg.Connection[Any], number: int) -> None:
        note = self._draw.choice([None, f"'{number}' ü"])
        for place in range(self._draw.randint(1, 4)):
            row = [number + place, number, note]
            connection.execute("INSERT INTO entries VALUES (%s, %s, %s, clock_timestamp())", row)
        # A late transaction holds an order of its own, or the others would wait for it.
        key = number if self._draw.random() < 0.3 else self._draw.randint(1, 100)
        connection.execute(
            "INSERT INTO orders SELECT %s, %s, %s, clock_timestamp() WHERE NOT EXISTS "
            "(SELECT 1 FROM orders WHERE id = %s)", [key, number, note, key],
        )  # fmt: skip
        connection.execute(
            "UPDATE orders SET n = %s, note = %s, changed_at = clock_timestamp() WHERE id IN "
            "(SELECT id FROM orders WHERE id = %s FOR UPDATE SKIP LOCKED)", [number, note, key],
        )  # fmt: skip


class JdbcDrill(DatabaseDrill):
    """Runs that read what is new by a cursor."""

    deaths = tuple(
        (step, pipeline)
        for steps in zip(APPEND_STEPS, MERGE_STEPS, strict=True)
        for step, pipeline in zip(steps, PIPELINES, strict=True)
    )
    writer: OrderWriter

    def __init__(self, folder: Path, server: EmbeddedPostgres, seed: int, tell: Tell | None, *network: int) -> None:
        pipelines = {table: PIPELINE.format(table=table, sink=sink) for table, sink in PIPELINES.items()}
        super().__init__(folder, server, OrderWriter(server.dsn, seed), pipelines, seed, tell, *network)

    def __enter__(self) -> "JdbcDrill":
        super().__enter__()
        return self

    def account(self) -> Account:
        """Every entry in bronze once, every order in silver as it is, and no version of an order in bronze twice."""
        columns = ["id", "n", "note", "changed_at"]
        with psycopg.connect(self.server.dsn) as connection:
            connection.execute("SET timezone = 'UTC'")
            entries, orders = (
                {(*row[:3], row[3].isoformat()) for row in connection.execute(f"SELECT * FROM {table}")}
                for table in PIPELINES
            )
        found = {
            table: [(*row[:3], row[3].isoformat()) for row in self.rows(table, columns)]
            for table in ("bronze/entries", "silver/orders", "bronze/orders")
        }
        versions = Counter(found["bronze/orders"])
        repeated = Account(0, twice=versions.total() - len(versions))
        words = f", {versions.total():,} versions, {self.writer.committed_late:,} commits late"
        accounts = beside(entries, found["bronze/entries"]) + beside(orders, found["silver/orders"])
        return accounts + repeated + Account(0, words=words)
