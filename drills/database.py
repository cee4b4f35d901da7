"""What drills of a database have in common: a server that somebody writes to all the time, and that can die."""

import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from demo.postgres import EmbeddedPostgres
from drills.runs import Account, Drill, Tell, stop_run

PASSWORD = "drill"
CONNECTION = """
bank:
  jdbc:
    url: "{url}"
    user: lakeloop
    password: "${{secret:bank}}"
    connect_timeout_seconds: 5
    read_timeout_seconds: {bound}
"""
BOUND_SECONDS = 60


@contextmanager
def running_server(setup: str, settings: Mapping[str, str] | None = None) -> Iterator[tuple[Path, EmbeddedPostgres]]:
    """A folder for a drill, and beside it a server in which `setup` was done."""
    with tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "server", PASSWORD, settings) as server:
            with psycopg.connect(server.dsn, autocommit=True) as connection:
                connection.execute(setup)
            yield folder, server


class Writer(threading.Thread):
    """Writes in a thread of its own until its end, but for times of quiet; comes back when the server does."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self.ended, self.quiet, self.dsn = threading.Event(), threading.Event(), dsn
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                try:
                    with psycopg.connect(self.dsn, autocommit=True) as connection:
                        while not self.ended.is_set():
                            if not self.quiet.is_set():
                                self.write(connection)
                            time.sleep(0.1)
                except psycopg.OperationalError:  # the server was killed
                    time.sleep(0.5)
        except BaseException as failure:
            self.failure = failure
            raise

    def write(self, connection: "psycopg.Connection[Any]") -> None:
        """One transaction or more."""
        raise NotImplementedError

    def end(self) -> None:
        """Write no more; raises SystemExit where writing failed."""
        self.ended.set()
        self.join()
        if self.failure is not None:
            raise SystemExit(f"the writer failed: {self.failure}")


class DatabaseDrill(Drill):
    """Runs that read from a server that is written to all the time, for as long as the block lasts.

    `port` is the one by which the lake reaches the server, `bound` how many seconds the server may be silent.
    """

    random_seconds = (5.0, 30.0)

    def __init__(
        self, folder: Path, server: EmbeddedPostgres, writer: Writer, pipelines: Mapping[str, str], seed: int,
        tell: Tell | None, port: int | None = None, bound: int = BOUND_SECONDS,
    ) -> None:  # fmt: skip
        url = server.jdbc_url.replace(f":{server.port}/", f":{port or server.port}/")
        super().__init__(folder, seed, CONNECTION.format(url=url, bound=bound), pipelines, {"bank": PASSWORD}, tell)
        self.server, self.writer = server, writer

    def __enter__(self) -> "DatabaseDrill":
        self.writer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self.writer.ended.set()
        self.writer.join()

    def kill_server(self) -> None:
        """The server dies and recovers in the middle of a run, which may fail and must not harm."""
        running = self.start()
        time.sleep(self.draw.uniform(8, 15))
        self.server.crash()
        time.sleep(20)  # it would go on as long as somebody writes
        stop_run(running)
        self.count(f"killed the server; the run ended with {running.returncode}")

    def finish(self) -> Account:
        self.writer.end()
        return super().finish()
