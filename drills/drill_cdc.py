"""Changes of a database into tables, latest state and history, while runs and the server are killed."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from demo.postgres import EmbeddedPostgres
from drills.database import DatabaseDrill, Writer, running_server
from drills.killed_run import CHANGE_STEPS
from drills.runs import Account, Tell, beside

PIPELINES = {"latest": "", "history": ", history: scd2"}
PIPELINE = """
pipeline: {name}
description: Accounts
trigger: available_now
source: {{cdc: bank, table: public.accounts, slot: drill_{name}, publication: lakeloop, changes_per_batch: 2000}}
sink: {{table: silver.{name}, mode: merge, keys: [id]{history}}}
"""
SETTINGS = {"wal_level": "logical"}
SETUP = """
CREATE TABLE accounts (id int PRIMARY KEY, n int, note text);
CREATE TABLE marks (number int PRIMARY KEY);
CREATE PUBLICATION lakeloop FOR TABLE accounts;
INSERT INTO accounts SELECT i, 0, 'note ' || i FROM generate_series(0, 99) i
"""
Version = tuple[int | None, str | None]


@contextmanager
def drilling(seed: int, tell: Tell | None = None) -> Iterator["CdcDrill"]:
    """A server with an account table that somebody writes to, and a lake that follows it."""
    with running_server(SETUP, SETTINGS) as (folder, server), CdcDrill(folder, server, seed, tell) as drill:
        yield drill


class AccountWriter(Writer):
    """Commits inserts, updates, deletes and changes of keys, and knows every version of every row."""

    def __init__(self, dsn: str, seed: int) -> None:
        super().__init__(dsn)
        self._draw, self._number = random.Random(seed), 0
        self.rows: dict[int, Version] = {number: (0, f"note {number}") for number in range(100)}
        self.versions: dict[int, list[Version | None]] = {key: [row] for key, row in self.rows.items()}

    def write(self, connection: psycopg.Connection[Any]) -> None:
        self._number += 1
        rows, first = dict(self.rows), 1000 + 10 * self._number  # no key below 1000 is made by a change of key
        statements = [self._change(rows, first + place) for place in range(self._draw.randint(1, 4))]
        try:
            with connection.transaction():
                connection.execute("INSERT INTO marks VALUES (%s)", [self._number])
                for statement, values in statements:
                    connection.execute(statement, values)
        except psycopg.OperationalError:
            if not self._is_there():
                raise
        for key in self.rows.keys() | rows.keys():
            if self.rows.get(key) != rows.get(key):
                self.versions.setdefault(key, []).append(rows.get(key))
        self.rows = rows

    def _change(self, rows: dict[int, Version], new: int) -> tuple[Any, list[object]]:
        what = self._draw.random()
        if what < 0.25:
            key = self._draw.randint(0, 150)
            if key not in rows:
                rows[key] = (self._number, None)
                return "INSERT INTO accounts VALUES (%s, %s, NULL)", [key, self._number]
        key = self._draw.choice(list(rows))
        if what < 0.4 and len(rows) > 20:
            del rows[key]
            return "DELETE FROM accounts WHERE id = %s", [key]
        if what < 0.5:
            rows[new] = rows.pop(key)
            return "UPDATE accounts SET id = %s WHERE id = %s", [new, key]
        rows[key] = (self._number, f"'{self._number}' ü")
        return "UPDATE accounts SET n = %s, note = %s WHERE id = %s", [*rows[key], key]

    def _is_there(self) -> bool:
        """Whether the last transaction was committed, asked once the server is back."""
        for _ in range(120):
            try:
                with psycopg.connect(self.dsn) as again:
                    return again.execute("SELECT 1 FROM marks WHERE number = %s", [self._number]).fetchone() is not None
            except psycopg.OperationalError:
                time.sleep(0.5)
        raise SystemExit("the server did not come back")


class CdcDrill(DatabaseDrill):
    """Runs that follow the changes of a table."""

    deaths = tuple((step, list(PIPELINES)[place % 2]) for place, step in enumerate(CHANGE_STEPS))
    writer: AccountWriter

    def __init__(self, folder: Path, server: EmbeddedPostgres, seed: int, tell: Tell | None, *network: int) -> None:
        pipelines = {name: PIPELINE.format(name=name, history=history) for name, history in PIPELINES.items()}
        super().__init__(folder, server, AccountWriter(server.dsn, seed), pipelines, seed, tell, *network)

    def __enter__(self) -> "CdcDrill":
        super().__enter__()
        return self

    def account(self) -> Account:
        """The rows of both tables beside the server's; raises where the history is not what the writer knows."""
        with psycopg.connect(self.server.dsn) as connection:
            source = set(connection.execute("SELECT id, n, note FROM accounts").fetchall())
        if {key for key, *_ in source} != self.writer.rows.keys():
            raise SystemExit("the server has other rows than the writer knows")
        latest = self.rows("silver/latest", ["id", "n", "note"])
        versions = self.rows("silver/history", ["id", "n", "note", "effective_time", "end_time", "is_current"])
        check_intervals(versions, self.writer.versions)
        current = [row[:3] for row in versions if row[5]]
        words = f", {len(versions):,} versions without a gap"
        return beside(source, latest) + beside(source, current) + Account(0, words=words)


def check_intervals(versions: list[tuple[Any, ...]], known: dict[int, list[Version | None]]) -> None:
    """Raise unless the versions of each key are those that were committed since the first read, with no other gaps."""
    found: dict[int, list[Version | None]] = {}
    last_end: dict[int, Any] = {}
    for key, n, note, begin, end, is_current in sorted(versions, key=lambda row: (row[0], row[3])):
        if is_current != (end is None) or (key in last_end and (last_end[key] is None or last_end[key] > begin)):
            raise SystemExit(f"the versions of {key} overlap")
        if key in last_end and last_end[key] < begin:
            found[key].append(None)
        found.setdefault(key, []).append((n, note))
        last_end[key] = end
    first_read = min(row[3] for row in versions)
    begins = {row[0]: row[3] for row in sorted(versions, key=lambda row: row[3], reverse=True)}
    for key, of_key in found.items():
        if last_end[key] is not None:
            of_key.append(None)
        # What the writer did before the first read is not in the history; what came later begins with the row.
        before = known[key][: -len(of_key)]
        if of_key != known[key][-len(of_key) :] or (begins[key] > first_read and before and before[-1] is not None):
            raise SystemExit(f"the history of {key} is {of_key}, the writer knows {known[key]}")
