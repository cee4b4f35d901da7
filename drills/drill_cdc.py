"""`make drill-cdc`: changes of a database into tables while the driver is killed at every step, and the server once."""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import deltalake
import psycopg
from rich.console import Console

from demo.postgres import EmbeddedPostgres
from drills.killed_run import ALL_CDC_STEPS

ROOT = Path(__file__).parents[1]
PASSWORD = "drill"
PIPELINES = {"latest": "", "history": ", history: scd2"}
PIPELINE = """
pipeline: {name}
description: Accounts
trigger: available_now
source: {{cdc: bank, table: public.accounts, slot: drill_{name}, publication: lakeloop, changes_per_batch: 2000}}
sink: {{table: silver.{name}, mode: merge, keys: [id]{history}}}
"""
CONNECTION = """
bank:
  jdbc: {{url: "{url}", user: lakeloop, password: "${{secret:bank}}"}}
"""
SETUP = """
CREATE TABLE accounts (id int PRIMARY KEY, n int, note text);
CREATE TABLE marks (number int PRIMARY KEY);
CREATE PUBLICATION lakeloop FOR TABLE accounts;
INSERT INTO accounts SELECT i, 0, 'note ' || i FROM generate_series(0, 99) i
"""
Version = tuple[int | None, str | None]
console = Console()


def main() -> None:
    """Kill at every step, then `--kills` times at random and the server once; raise unless all tables agree."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as folder,
        drilling(Path(folder), arguments.seed) as drill,
    ):
        for place, step in enumerate(ALL_CDC_STEPS):
            drill.kill_at(step, list(PIPELINES)[place % 2])
        for _ in range(arguments.kills):
            drill.kill_at_random()
        drill.kill_server()
        drill.finish()


@contextmanager
def drilling(folder: Path, seed: int) -> Iterator["Drill"]:
    """A server with an account table that somebody writes to, and a lake that follows it."""
    folder.chmod(0o755)
    settings = {"wal_level": "logical"}
    with EmbeddedPostgres(folder / "server", PASSWORD, settings) as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute(SETUP)
        writer = Writer(server.dsn, seed)
        writer.start()
        try:
            yield Drill(folder, server, writer, seed)
        finally:
            writer.stop.set()
            writer.join()


class Writer(threading.Thread):
    """Commits inserts, updates, deletes and changes of keys, and knows every version of every row."""

    def __init__(self, dsn: str, seed: int) -> None:
        super().__init__()
        self.stop, self._dsn, self._draw, self._number = threading.Event(), dsn, random.Random(seed), 0
        self.failure: BaseException | None = None
        self.rows: dict[int, Version] = {number: (0, f"note {number}") for number in range(100)}
        self.versions: dict[int, list[Version | None]] = {key: [row] for key, row in self.rows.items()}

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                try:
                    with psycopg.connect(self._dsn, autocommit=True) as connection:
                        while not self.stop.is_set():
                            self._commit(connection)
                            time.sleep(0.1)
                except psycopg.OperationalError:  # the server was killed
                    time.sleep(0.5)
        except BaseException as failure:
            self.failure = failure
            raise

    def _commit(self, connection: psycopg.Connection[Any]) -> None:
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
                with psycopg.connect(self._dsn) as again:
                    return again.execute("SELECT 1 FROM marks WHERE number = %s", [self._number]).fetchone() is not None
            except psycopg.OperationalError:
                time.sleep(0.5)
        raise SystemExit("the server did not come back")


class Drill:
    """Runs that are killed, against a server that is written to all the time."""

    def __init__(self, folder: Path, server: EmbeddedPostgres, writer: Writer, seed: int) -> None:
        self.folder, self.server, self.writer, self.draw, self.killed = folder, server, writer, random.Random(seed), 0
        base = folder / "conf/base"
        (base / "pipelines").mkdir(parents=True)
        (folder / "conf/local").mkdir()
        (folder / "secrets").mkdir()
        (folder / "secrets/bank").write_text(PASSWORD)
        (base / "platform.yml").write_text(f"lake: {folder}/lake\nsecrets_folder: {folder}/secrets\n")
        (base / "connections.yml").write_text(CONNECTION.format(url=server.jdbc_url))
        for name, history in PIPELINES.items():
            (base / f"pipelines/{name}.yml").write_text(PIPELINE.format(name=name, history=history))
        properties = "".join((ROOT / part / "spark.properties").read_text() for part in ("conf/base", "conf/local"))
        (base / "spark.properties").write_text(properties)

    def kill_at(self, step: str, pipeline: str) -> None:
        """A run of a pipeline that dies at the step."""
        code = self._start(step, pipeline).wait(timeout=300)
        if code != -signal.SIGKILL:
            raise SystemExit(f"the run that was to die {step} ended with {code}")
        self._count(f"{step} of {pipeline}")

    def kill_at_random(self) -> None:
        """A run of both that is killed somewhere between its start and its likely end."""
        self._kill(self._start("", *PIPELINES), after=self.draw.uniform(5, 30))
        self._count("at random")

    def kill_server(self) -> None:
        """The server dies and recovers in the middle of a run, which may fail and must not harm."""
        running = self._start("", *PIPELINES)
        time.sleep(self.draw.uniform(8, 15))
        self.server.crash()
        self._kill(running, after=20)  # it would go on as long as somebody writes
        self._count(f"the server; the run ended with {running.returncode}")

    def finish(self) -> None:
        """A run to the end once nobody writes, then the account."""
        self.writer.stop.set()
        self.writer.join()
        if self.writer.failure is not None:
            raise SystemExit(f"the writer failed: {self.writer.failure}")
        if self._start("", *PIPELINES).wait(timeout=600):
            raise SystemExit(f"the last run failed:\n{(self.folder / 'runs.log').read_text()[-4000:]}")
        console.print(f"{self.killed} kills: {self.account()}")

    def _start(self, step: str, *pipelines: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "drills.killed_run", str(self.folder / "conf"), step, *pipelines]
        log = (self.folder / "runs.log").open("ab")
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}
        with log:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    @staticmethod
    def _kill(running: "subprocess.Popen[bytes]", after: float) -> None:
        """End a run after so many seconds, unless it has ended by then."""
        time.sleep(after)
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()

    def _count(self, how: str) -> None:
        self.killed += 1
        console.print(f"killed {how}")

    def account(self) -> str:
        """What stands in the tables, in words; raises unless it is what the server has and the writer knows."""
        with psycopg.connect(self.server.dsn) as connection:
            source = connection.execute("SELECT id, n, note FROM accounts").fetchall()
        latest = rows_of(self.folder, "latest", ["id", "n", "note"])
        if checksum(source) != checksum(latest) or {key for key, *_ in source} != self.writer.rows.keys():
            raise SystemExit(f"the table has {len(latest)} rows and {checksum(latest)}, the source {len(source)} and "
                             f"{checksum(source)}")  # fmt: skip
        columns = ["id", "n", "note", "effective_time", "end_time", "is_current"]
        versions = rows_of(self.folder, "history", columns)
        current = [row[:3] for row in versions if row[5]]
        if checksum(current) != checksum(source):
            raise SystemExit("the current versions are not the source's rows")
        check_intervals(versions, self.writer.versions)
        return f"{len(source):,} rows of {checksum(source)} as in the source, {len(versions):,} versions without a gap"


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


def rows_of(folder: Path, table: str, columns: list[str]) -> list[tuple[Any, ...]]:
    rows = deltalake.DeltaTable(f"{folder}/lake/silver/{table}").to_pyarrow_table(columns=columns).to_pylist()
    return [tuple(row[column] for column in columns) for row in rows]


def checksum(rows: list[tuple[Any, ...]]) -> str:
    return hashlib.sha256(repr(sorted(rows, key=lambda row: row[0])).encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
