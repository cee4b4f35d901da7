"""A TCP proxy on loopback whose line can be cut: by a refusal, or by silence.

with TcpProxy(port) as proxy:
    proxy.cut("silent")
    proxy.mend()
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self

from tools.cluster import HOST, free_ports

Cut = Literal["refused", "silent"]
CHUNK_BYTES = 65_536
AT_ONCE = struct.pack("ii", 1, 0)  # a reset instead of a farewell


class TcpProxy:
    """Leads from `port` to `target_port` of this machine for as long as the `with` block lasts.

    A line that fell silent stays open and carries nothing any more, even once it is mended: only new ones do.
    """

    def __init__(self, target_port: int | None = None) -> None:
        self.target_port, (self.port,) = target_port, free_ports(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: asyncio.Server | None = None
        self._lines: list[_Line] = []
        self._is_silent = False

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._do(self._gather())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def lines(self) -> int:
        """How many connections there have been."""
        return len(self._lines)

    def cut(self, how: Cut) -> None:
        """Refuse and reset every connection, or swallow every byte on all of them, new ones included."""
        self._do(self._close() if how == "refused" else self._fall_silent())

    def mend(self) -> None:
        """Carry what comes by new connections."""
        self._do(self._listen())

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(what, self._loop)
        done.result(30)

    async def _listen(self) -> None:
        self._is_silent = False
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, HOST, self.port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for line in self._lines:
            line.reset()
        await asyncio.sleep(0)

    async def _fall_silent(self) -> None:
        self._is_silent = True
        for line in self._lines:
            line.is_silent = True

    async def _gather(self) -> None:
        mine = asyncio.current_task()
        for task in asyncio.all_tasks():
            if task is not mine:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(writer, is_silent=self._is_silent)
        self._lines.append(line)
        assert self.target_port is not None
        try:
            there, back = await asyncio.open_connection(HOST, self.target_port)
        except OSError:
            line.reset()
            return
        line.ends.append(back)
        await asyncio.gather(line.pump(reader, back), line.pump(there, writer))


class _Line:
    """One connection, with its two ends."""

    def __init__(self, writer: asyncio.StreamWriter, *, is_silent: bool) -> None:
        self.ends, self.is_silent = [writer], is_silent

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Carry bytes one way; what ends on one side ends on the other, unless the line is silent."""
        with suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                if not self.is_silent:
                    sink.write(chunk)
                    await sink.drain()
        if not self.is_silent:
            sink.close()

    def reset(self) -> None:
        """End both sides at once."""
        for end in self.ends:
            if not end.transport.is_closing():
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                end.transport.abort()
