"""Reading your own writes: wait until a projection has come to a position."""

import time

from asgiref.sync import sync_to_async

from . import registry
from .exceptions import NotCaughtUp
from .operations import lag, status

__all__ = ["await_for", "wait_for"]

FIRST_PAUSE_SECONDS = 0.001
LONGEST_PAUSE_SECONDS = 0.02


def wait_for(projection: str, position: int, timeout_seconds: float = 5.0) -> int:
    """Return, once all events up to `position` are in the rows of `projection`, the position that it has reached.

    An INLINE projection is there as soon as the append has committed. Do not wait inside the transaction that appended:
    nobody else can see its events before it ends.

    Args:
        projection: its name.
        position: that of the event to wait for; `dispatch` and the HTTP interface return it.

    Raises:
        NotCaughtUp: it took longer than that; with how far it is, and what it is doing.
        UnknownProjection: there is none of this name.
    """
    registry.get(projection)
    deadline = time.monotonic() + timeout_seconds
    pause = FIRST_PAUSE_SECONDS
    while (reached := lag.reached(projection)) < position:
        left = deadline - time.monotonic()
        if left <= 0:
            found = status.report(projection)
            behind = lag.lag_events(reached, position)
            raise NotCaughtUp(projection, position, reached, behind, found.status)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
    return reached


async def await_for(projection: str, position: int, timeout_seconds: float = 5.0) -> int:
    """Do `wait_for` from a coroutine."""
    return await sync_to_async(wait_for)(projection, position, timeout_seconds)
