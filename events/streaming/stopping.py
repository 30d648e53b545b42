"""End the streams of this process when it is told to stop: servers wait for open responses, and streams never end.

Servers have no common hook for this. Uvicorn sends the event `shutdown` of ASGI's lifespan protocol after it has
waited, gunicorn kills its workers after a timeout, and Daphne just closes the connections. So this listens to the
signals, and passes them on to the server.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class _Handler:
    """Calls `end` in the event loop, and then what handled the signal before."""

    def __init__(self, before: Any, loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
        self._before, self._loop, self._end = before, loop, end

    def __call__(self, signal_number: int, frame: FrameType | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end)
        if callable(self._before):
            self._before(signal_number, frame)
        elif self._before == signal.SIG_DFL:
            signal.signal(signal_number, signal.SIG_DFL)
            os.kill(os.getpid(), signal_number)

    def is_of(self, loop: asyncio.AbstractEventLoop) -> bool:
        return self._loop is loop

    def without_closed_loops(self) -> Any:
        """Return this handler, or the one before it if its loop is closed, so that loops of the past do not add up."""
        if not self._loop.is_closed():
            return self
        return self._before.without_closed_loops() if isinstance(self._before, _Handler) else self._before


def when_stopping(end: Callable[[], None]) -> None:
    """Call `end` in the running event loop when this process gets SIGTERM or SIGINT; repeated calls change nothing.

    Only the main thread can listen to signals. A server that runs in another thread ends the streams itself, with
    `Feed.end_streams`.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        before = signal.getsignal(number)
        if isinstance(before, _Handler):
            before = before.without_closed_loops()
        # A handler that the server has set in the meantime is called, too.
        if before is not None and not (isinstance(before, _Handler) and before.is_of(loop)):
            signal.signal(number, _Handler(before, loop, end))
