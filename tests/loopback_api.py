"""An HTTP server on loopback that answers as a test says, and keeps what it was asked."""

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request; `target` is path and query as they came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True)
class Reply:
    """What the server says: a status, a body, headers (one left empty is not sent), and the pause before each piece."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    pauses: tuple[float, ...] = ()


class LoopbackApi:
    """Answers on a free port of 127.0.0.1 as long as the `with` block lasts; over TLS where a `context` is given."""

    def __init__(self, answer: Callable[[Asked], Reply], context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Asked] = []
        self._answer, self._context, self._lock = answer, context, threading.Lock()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return self._server.server_port

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if self._context is not None:
            self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reply(self, asked: Asked) -> Reply:
        with self._lock:
            self.requests.append(asked)
            return self._answer(asked)


def _handler(api: LoopbackApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            reply = api.reply(Asked(self.command, self.path, dict(self.headers), body))
            self.send_response_only(reply.status)
            kind = {"Content-Type": "application/json", "Content-Length": str(len(reply.body))}
            headers = {name: value for name, value in (kind | dict(reply.headers)).items() if value}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                size = len(reply.body) // (len(reply.pauses) or 1)
                for number, pause in enumerate(reply.pauses):
                    time.sleep(pause)
                    self.wfile.write(reply.body[number * size : (number + 1) * size])
                self.wfile.write(reply.body[len(reply.pauses) * size :])
                # A body that was announced longer than it is must end here, or the client would wait.
                if headers.get("Content-Length") != str(len(reply.body)):
                    self.close_connection = True
            except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                self.close_connection = True

        do_POST = do_GET  # noqa: N815 - the name of `http.server`

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Quiet: `LoopbackApi.requests` is the log."""

    return Handler
