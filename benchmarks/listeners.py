"""Clients of many event streams, in one thread, that record when each event arrives."""

import asyncio
import threading
import time
from typing import Any, Self

from benchmarks.common import wait_until

OPENED_AT_ONCE = 20
PATIENCE_SECONDS = 60


class Listener(asyncio.Protocol):
    """One open stream. It parses as much of Server-Sent Events as the benchmark needs.

    Attributes:
        came: position and arrival time of each event.
    """

    def __init__(self, request: bytes) -> None:
        self.came: list[tuple[int, float]] = []
        self.caught_up = asyncio.get_running_loop().create_future()
        self.closed = asyncio.get_running_loop().create_future()
        self._request = request
        self._unread = b""
        self._position: int | None = None
        self._is_control = False

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            if line.startswith(b"id: "):
                self._position = int(line[4:])
            elif line.startswith(b"event: "):
                self._is_control = True
                if line == b"event: caught-up":
                    self.caught_up.set_result(None)
            elif not line and self._position is not None:  # the end of a message
                if not self._is_control:
                    self.came.append((self._position, now))
                self._position, self._is_control = None, False

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set_result(None)
        if not self.caught_up.done():
            self.caught_up.set_exception(error or ConnectionError(f"no stream was opened: {self._unread!r}"))


class Listeners:
    """A context manager that opens streams of all events from now on."""

    def __init__(self, port: int, token: str, count: int) -> None:
        self._port = port
        self._request = (
            f"GET /api/events/stream/?after=now HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Token {token}\r\nAccept: text/event-stream\r\n\r\n"
        ).encode()
        self._count = count
        self._listeners: list[Listener] = []
        self._transports: list[Any] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(PATIENCE_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        time.sleep(1)  # until the database sessions of the last requests have ended
        return self

    def __exit__(self, *exc_info: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PATIENCE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def came(self, events: int) -> list[tuple[int, float]]:
        """Wait for `events` events on each stream; return position and arrival time of each.

        Raises:
            TimeoutError: a stream got fewer events in time.
        """
        wait_until(lambda: all(len(each.came) >= events for each in self._listeners), f"{events} events on all streams")
        return [arrival for each in self._listeners for arrival in each.came]

    async def _open(self) -> None:
        for start in range(0, self._count, OPENED_AT_ONCE):
            count = min(OPENED_AT_ONCE, self._count - start)
            opened = await asyncio.gather(*(self._open_one() for _ in range(count)))
            await asyncio.gather(*(listener.caught_up for listener in opened))

    async def _close(self) -> None:
        for transport in self._transports:
            transport.abort()
        await asyncio.gather(*(listener.closed for listener in self._listeners))

    async def _open_one(self) -> Listener:
        transport, listener = await self._loop.create_connection(
            lambda: Listener(self._request), "127.0.0.1", self._port
        )
        self._transports.append(transport)
        self._listeners.append(listener)
        return listener
