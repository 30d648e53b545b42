"""The errors of the projections. Each error carries its data as attributes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from events.plurals import number_of_events

if TYPE_CHECKING:
    from events.models import Event

__all__ = [
    "EffectOnCommit",
    "HandlerFailed",
    "NotCaughtUp",
    "OperationRejected",
    "OutdatedCode",
    "ProjectionError",
    "StillUnavailable",
    "Unavailable",
    "UnknownProjection",
    "UnsafeTransaction",
    "WaitsForItself",
    "WaitsForNewerCode",
]


MAX_PAUSE_SECONDS: Final = 86_400


class ProjectionError(Exception):
    """Base class of the errors that the projections raise."""


class UnknownProjection(ProjectionError):
    """No projection has this name.

    Attributes:
        name: the unknown name.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        names = ", ".join(sorted(known)) or "none; register them in an app's projections.py or reactions.py"
        super().__init__(f"There is no projection {name!r}; registered projections: {names}")


class HandlerFailed(ProjectionError):
    """A handler raised an exception (`__cause__`) on `event`."""

    def __init__(self, event: "Event") -> None:
        self.event = event
        super().__init__(f"the handler failed on {event} (position {event.position})")


class Unavailable(ProjectionError):
    """A handler raises it when a system that it needs is away: nothing is parked, and no attempt is counted.

    The pass is rolled back, and tried again after a pause until the system is back.

    Attributes:
        retry_after_seconds: the pause, more than 0 and at most a day; None for pauses that grow from 1 s to 5 minutes.
        done: the position of the last event that is done, if a `project_batch` raises it: what it has done up to there
            is kept. None: nothing of the batch is done.
    """

    def __init__(self, reason: str = "", *, retry_after_seconds: float | None = None, done: int | None = None) -> None:
        if retry_after_seconds is not None and not 0 < retry_after_seconds <= MAX_PAUSE_SECONDS:
            raise ValueError(
                f"retry_after_seconds is {retry_after_seconds!r}; give more than 0 and at most {MAX_PAUSE_SECONDS}"
            )
        self.retry_after_seconds = retry_after_seconds
        self.done = done
        super().__init__(reason or "a system that the handler needs is unavailable")


class EffectOnCommit(ProjectionError):
    """A handler called `transaction.on_commit`. Its pass is rolled back."""

    def __init__(self, function: object) -> None:
        name = getattr(function, "__qualname__", None) or repr(function)
        super().__init__(
            f"transaction.on_commit({name}) was called in a pass. A rebuild would call the function again for each"
            " event, and a crash after the commit would lose the call. Write a Reaction (projections.reactions) for the"
            " effect, or call the function in its handler directly"
        )


class PassTooLong(BaseException):
    """The pass must run again with fewer events. No handler may take it for an error of its own."""


class WaitsForNewerCode(ProjectionError):
    """The next event is in a schema version of its type that this code does not know yet.

    No attempt is counted and nothing is parked: a worker with the newer code handles the event.
    """

    def __init__(self, projection: str, reason: str) -> None:
        super().__init__(f"Projection {projection!r} waits for newer code, deploy it and run it there: {reason}")


class StillUnavailable(ProjectionError):
    """A worker that was to catch up has given up, because a system that a handler needs has been away for too long.

    Nothing is parked and no attempt is counted: the next worker goes on where this one has ended.
    """

    def __init__(self, projection: str, reason: str, seconds: float) -> None:
        super().__init__(
            f"Projection {projection!r} cannot catch up. After {seconds:.0f} s, a system is still away: {reason}. Run"
            " this again when it is back, or leave the rest to a worker that keeps running"
        )


class OutdatedCode(ProjectionError):
    """An INLINE projection has been rebuilt with newer code than this process runs. Nothing is stored.

    If the event were stored without the projection, it would be missing from the rows permanently.
    """

    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"The rows of projection {name!r} were built by newer code than this process runs (version {version})."
            " Restart it with the new code. Rebuild INLINE projections only after every process runs the new code"
        )


class UnsafeTransaction(ProjectionError):
    """An event for an INLINE projection is dispatched in an unsupported isolation level. Nothing is stored.

    The transaction's snapshot may be older than the last rebuild, so it may show a state that is out of date.
    """

    def __init__(self, level: str) -> None:
        super().__init__(
            f"INLINE projections cannot be updated safely in a {level.upper()} transaction. Dispatch their events in a"
            " READ COMMITTED transaction, or make the projections ASYNC"
        )


class StopNow(SystemExit):
    """An operator ends this process at once. A handler's own SystemExit is a failure of the handler."""


# What ends a pass without an error of the handler.
NOT_OF_HANDLER: Final = (KeyboardInterrupt, StopNow, PassTooLong)


class NotCaughtUp(ProjectionError):
    """A projection did not reach a position before the timeout.

    Attributes:
        projection, position: the projection, and the position to reach.
        reached: the position that the projection has reached.
        lag_events: how many events lie between the two positions.
        status: the status of the projection, such as `paused`.
    """

    _advice = ""

    def __init__(self, projection: str, position: int, reached: int, lag_events: int, status: str) -> None:
        self.projection = projection
        self.position = position
        self.reached = reached
        self.lag_events = lag_events
        self.status = status
        super().__init__(
            f"Projection {projection!r} is at position {reached}, {number_of_events(lag_events)} before {position};"
            f" its status is {status}{self._advice}"
        )


class WaitsForItself(NotCaughtUp):
    """A transaction waits for a projection to handle events that workers do not see before it commits."""

    _advice = (
        ". Workers do not see the events of the transaction that waits before it commits. Wait after the commit. In a"
        " TestCase, which never commits, use eager_events of events.testing"
    )


class OperationRejected(ProjectionError):
    """The projection does not allow this operation in its present state; the message says why, and what to do."""
