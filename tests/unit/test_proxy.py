"""A line that is cut by a refusal, and one that falls silent."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tools.proxy import TcpProxy


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says everything back."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(line: socket.socket) -> None:
        with line:
            try:
                while said := line.recv(100):
                    line.sendall(said)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(line,)))
            threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for thread in threads:
        thread.join()


def connected(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def said_back(line: socket.socket, text: bytes) -> bytes:
    line.sendall(text)
    return line.recv(100)


def test_a_refusal_ends_lines_and_lets_none_in_until_it_is_mended(echo: int) -> None:
    with TcpProxy(echo) as proxy:
        with connected(proxy) as line:
            assert said_back(line, b"a") == b"a"
            proxy.cut("refused")
            with pytest.raises(ConnectionResetError):
                line.recv(100)
        with pytest.raises(ConnectionRefusedError):
            connected(proxy)
        proxy.mend()
        with connected(proxy) as line:
            assert said_back(line, b"b") == b"b"
        assert proxy.lines == 2


def test_a_silent_line_stays_open_and_is_dead_for_good(echo: int) -> None:
    with TcpProxy(echo) as proxy, connected(proxy) as old:
        assert said_back(old, b"a") == b"a"
        proxy.cut("silent")
        old.settimeout(0.2)
        with pytest.raises(TimeoutError):
            said_back(old, b"b")
        with connected(proxy) as new:
            new.settimeout(0.2)
            with pytest.raises(TimeoutError):
                said_back(new, b"c")
        proxy.mend()
        with pytest.raises(TimeoutError):
            said_back(old, b"d")
        with connected(proxy) as line:
            assert said_back(line, b"e") == b"e"


def test_a_server_that_says_something_and_hangs_up_is_heard(echo: int) -> None:
    text = b"x" * 1_000_000
    with socket.create_server(("127.0.0.1", 0)) as server, TcpProxy(server.getsockname()[1]) as proxy:

        def say() -> None:
            line, _ = server.accept()
            with line:
                line.sendall(text)

        thread = threading.Thread(target=say)
        thread.start()
        with connected(proxy) as line:
            heard = b""
            while chunk := line.recv(65_536):
                heard += chunk
        thread.join()
        assert heard == text
