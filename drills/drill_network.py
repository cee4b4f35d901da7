"""The line between a lake and each system cut in the middle of a run: refused, or silent and open."""

import json
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qs, urlsplit

from drills import drill_cdc, drill_jdbc
from drills.database import DatabaseDrill, running_server
from drills.drill_cdc import CdcDrill
from drills.drill_jdbc import JdbcDrill
from drills.drill_kafka import KafkaDrill
from drills.runs import Account, Drill, Tell, beside, wait_until
from tools.kafka import KafkaBroker
from tools.proxy import Cut, TcpProxy

CUTS: tuple[Cut, ...] = get_args(Cut)
SYSTEMS = ("Kafka", "JDBC", "CDC", "HTTP")
BOUND_SECONDS = 8  # how long a system may be silent, as the drill's connections declare it
HANG_SECONDS = 180  # a run that has not ended so long after the line was mended hangs
PAGES, PAGE_SIZE, PAGE_SECONDS = 30, 20, 0.2
CONNECTION = """
api:
  rest:
    base_url: "http://127.0.0.1:{port}"
    auth: none
    connect_timeout_seconds: {bound}
    read_timeout_seconds: {bound}
    retries: 1
"""
PIPELINE = """
pipeline: orders
description: Orders
source:
  rest: api
  path: /orders
  records: data
  paginate: {pages: {size: 20}}
  incremental: {cursor: id, param: after, key: [id]}
  fields: {id: {path: id, type: bigint}, note: note}
sink: {table: silver.orders}
"""


@contextmanager
def drilling(system: str, seed: int, tell: Tell | None = None) -> Iterator[tuple[Drill, TcpProxy]]:
    """A system, a line to it that can be cut, and a lake that reads by that line."""
    if system in ("JDBC", "CDC"):
        setup, settings = (drill_jdbc.SETUP, {}) if system == "JDBC" else (drill_cdc.SETUP, drill_cdc.SETTINGS)
        kind = JdbcDrill if system == "JDBC" else CdcDrill
        with (
            running_server(setup, settings) as (folder, server),
            TcpProxy(server.port) as proxy,
            kind(folder, server, seed, tell, proxy.port, BOUND_SECONDS) as drill,
        ):
            yield drill, proxy
        return
    with tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as name, TcpProxy() as proxy:
        if system == "Kafka":
            with KafkaBroker(proxy.port) as broker:
                proxy.target_port = broker.behind_port
                with KafkaDrill(Path(name), broker, seed, tell, port=proxy.port, timeout=BOUND_SECONDS) as drill:
                    yield drill, proxy
            return
        with PagedApi() as api:
            proxy.target_port = api.port
            with HttpDrill(Path(name), api, proxy.port, seed, tell) as drill:
                yield drill, proxy


def cut_midway(drill: Drill, proxy: TcpProxy, how: Cut, seconds: float) -> None:
    """A run whose line is cut for so long once it has begun to read. It may fail in a sentence, and must end."""
    drill.arrive()
    lines, said = proxy.lines, len(drill.log)
    running = drill.start()
    wait_until(lambda: proxy.lines > lines, 180, "the run asked nothing")
    time.sleep(drill.draw.uniform(0.5, 4))
    is_running = running.poll() is None
    proxy.cut(how)
    time.sleep(seconds)
    proxy.mend()
    with quiet(drill):
        try:
            code = running.wait(HANG_SECONDS)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"the line was {how} for {seconds:g} s, and the run hangs\n{drill.log[-2000:]}") from None
    answer = drill.log[said:]
    # The log may have what Spark said in full; what a person is told is the end.
    sentence = re.search(r"^\w+: \w+Error: .*\Z", answer.rstrip(), re.MULTILINE)
    if code and sentence is None:
        raise SystemExit(f"the line was {how}, and the run ended with {code} and said\n{answer[-4000:]}")
    when = "" if is_running else " after the run had ended"
    drill.count(f"{how} for {seconds:g} s{when}; the run ended with {code} {sentence[0] if code and sentence else ''}")


@contextmanager
def quiet(drill: Drill) -> Iterator[None]:
    """Nobody writes inside this block: a run that follows changes goes on as long as somebody does."""
    if not isinstance(drill, DatabaseDrill):
        yield
        return
    drill.writer.quiet.set()
    try:
        yield
    finally:
        drill.writer.quiet.clear()


class PagedApi:
    """`GET /orders?after=ID&page=N`: orders by their id, a page after a pause."""

    def __enter__(self) -> "PagedApi":
        self.orders = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                query = {name: int(values[0]) for name, values in parse_qs(urlsplit(self.path).query).items()}
                first = query.get("after", -1) + 1 + (query["page"] - 1) * PAGE_SIZE
                numbers = range(first, min(first + PAGE_SIZE, api.orders))
                body = json.dumps({"data": [{"id": number, "note": f"note {number}"} for number in numbers]}).encode()
                time.sleep(PAGE_SECONDS)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Quiet."""

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class HttpDrill(Drill):
    """Runs that read the pages of an API."""

    def __init__(self, folder: Path, api: PagedApi, port: int, seed: int, tell: Tell | None) -> None:
        super().__init__(
            folder, seed, CONNECTION.format(port=port, bound=BOUND_SECONDS), {"orders": PIPELINE}, tell=tell
        )
        self.api = api

    def arrive(self) -> None:
        """Orders for so many pages."""
        self.api.orders += PAGES * PAGE_SIZE - 7

    def account(self) -> Account:
        """Each order in bronze once."""
        wanted = {(number, f"note {number}") for number in range(self.api.orders)}
        return beside(wanted, self.rows("bronze/orders", ["id", "note"]))
