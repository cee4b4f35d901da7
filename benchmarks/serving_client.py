"""A client that costs little: one connection kept alive, requests made beforehand, each sent when the last is answered.

`python -m benchmarks.serving_client FILE PORT REQUESTS WARM_UPS` prints a line of JSON; FILE has a list of requests as
texts, which are sent in turn. In a process of its own, so that nothing else waits for its interpreter.
"""

import gc
import json
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
END, LENGTH = b"\r\n\r\n", b"content-length:"


class Connection:
    """One connection to a server on loopback; raises OSError where it is refused or cut."""

    def __init__(self, port: int, seconds: float = 120.0) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> tuple[int, bytes, bytes]:
        """Status, headers and body of an answer, which must say its length."""
        self._socket.sendall(request)
        read = self._read()
        while (end := read.find(END)) < 0:
            read += self._read()
        head = read[:end].lower()
        at = head.index(LENGTH) + len(LENGTH)
        wanted = end + len(END) + int(head[at:].split(b"\r\n", 1)[0])
        while len(read) < wanted:
            read += self._read()
        return int(head[9:12]), head, read[end + len(END) :]

    def _read(self) -> bytes:
        if not (read := self._socket.recv(65_536)):
            raise ConnectionResetError("the server closed the connection")
        return read


def request_text(method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> str:
    """A request of HTTP/1.1, whole."""
    sent = "" if body is None else json.dumps(body)
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}",
        *(f"{name}: {text}" for name, text in (headers or {}).items()),
    ]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(sent.encode())}"]
    return "\r\n".join([*lines, "", sent])


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds: the time that so many of a hundred do not exceed."""
    ordered = sorted(seconds)
    return {f"p{share}_ms": 1e3 * ordered[max(-(-share * len(ordered) // 100) - 1, 0)] for share in (50, 95, 99)}


def main(file: Path, port: int, requests: int, warm_ups: int) -> None:
    """Ask so often, after so many requests that do not count; all must be answered by 200."""
    texts = [text.encode() for text in json.loads(file.read_text())]
    took, asked = [], cycle(texts)
    with Connection(port) as connection:
        for request in islice(asked, warm_ups):
            connection.ask(request)
        gc.disable()
        began = time.perf_counter()
        for request in islice(asked, requests):
            sent = time.perf_counter()
            status, _, body = connection.ask(request)
            took.append(time.perf_counter() - sent)
            if status != 200:
                sys.exit(f"{request.decode()}\n{status}: {body.decode()[:500]}")
        seconds = time.perf_counter() - began
    print(json.dumps({**percentiles(took), "requests_per_second": requests / seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
