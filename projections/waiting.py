"""Read your own writes: wait until a projection has reached a position."""

import time

from asgiref.sync import sync_to_async

from events.routing import database
from events.storage import ordering

from . import registry
from .exceptions import NotCaughtUp, WaitsForItself
from .operations import lag, status

__all__ = ["await_for", "wait_for"]

FIRST_PAUSE_SECONDS = 0.001
LONGEST_PAUSE_SECONDS = 0.02


def wait_for(projection: str, position: int, timeout_seconds: float = 5.0) -> int:
    """Wait until the rows of `projection` contain all events up to `position`; return the position it has reached.

    An INLINE projection reaches the position when the append commits. Do not wait inside the transaction that appends:
    workers cannot see its events before it commits. In tests, see `events.testing.eager_events`.

    Args:
        projection: the name of the projection.
        position: the position of the event to wait for; `dispatch` and the HTTP interface return it.

    Raises:
        NotCaughtUp: the timeout passed first; the error says how far the projection is, and its status. A subclass,
            `WaitsForItself`, is raised at once if the open transaction of this connection must commit first.
        UnknownProjection: no projection has this name.
    """
    registry.get(projection)
    deadline = time.monotonic() + timeout_seconds
    pause = FIRST_PAUSE_SECONDS
    while (reached := lag.reached(projection)) < position:
        left = deadline - time.monotonic()
        is_in_vain = ordering.is_held_here(position, database())
        if left <= 0 or is_in_vain:
            found = status.report(projection)
            behind = lag.lag_events(reached, position)
            error = WaitsForItself if is_in_vain else NotCaughtUp
            raise error(projection, position, reached, behind, found.status)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
    return reached


async def await_for(projection: str, position: int, timeout_seconds: float = 5.0) -> int:
    """Wait as `wait_for` does, from a coroutine."""
    return await sync_to_async(wait_for)(projection, position, timeout_seconds)
