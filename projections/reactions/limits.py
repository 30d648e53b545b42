"""The time limit of a handler that holds a transaction open while it calls another system."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from types import FrameType

from django.db import connections

from projections.exceptions import ProjectionError

SPARE_SECONDS = 5


class TimeLimitExceeded(ProjectionError):
    """The handler took longer than the `time_limit_seconds` of its reaction."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the handler took longer than {seconds:g} s (time_limit_seconds of the reaction). Give its calls a shorter"
            " timeout, or raise the limit"
        )


def limit_transaction(seconds: float, using: str) -> None:
    """Let PostgreSQL end the open transaction if no statement comes for longer than the limit.

    This covers a handler that no signal interrupts: one in a thread, or one that catches every error.
    """
    with connections[using].cursor() as cursor:
        milliseconds = ceil((seconds + SPARE_SECONDS) * 1000)
        cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, true)", [str(milliseconds)])


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt the `with` block after the limit, in the main thread of a process, as workers run there.

    Raises:
        TimeLimitExceeded: the block took longer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_alarm(number: int, frame: FrameType | None) -> None:
        raise TimeLimitExceeded(seconds)

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
