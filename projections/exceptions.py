"""The errors of the projections: one base class, and the facts of each error as attributes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from events.models import Event

__all__ = [
    "HandlerFailed",
    "NotCaughtUp",
    "OperationRejected",
    "OutdatedCode",
    "ProjectionError",
    "UnknownProjection",
    "UnsafeTransaction",
]


class ProjectionError(Exception):
    """Base class of every error the projections raise on their own account."""


class UnknownProjection(ProjectionError):
    """There is no projection of this name.

    Attributes:
        name: the name asked for.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        names = ", ".join(sorted(known)) or "none; register them in an app's projections.py"
        super().__init__(f"There is no projection {name!r}; there are: {names}")


class HandlerFailed(ProjectionError):
    """A handler raised an exception (`__cause__`) on `event`."""

    def __init__(self, event: "Event") -> None:
        self.event = event
        super().__init__(f"the handler failed on {event} (position {event.position})")


class OutdatedCode(ProjectionError):
    """An INLINE projection has been rebuilt with newer code than this process has. Nothing is stored.

    Stored without it, the event would be missing from the rows for good, and nobody would know.
    """

    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"The rows of projection {name!r} are of newer code than this process has (version {version}): restart it"
            " with the new code, and rebuild INLINE projections only when every process has it"
        )


class UnsafeTransaction(ProjectionError):
    """An event for an INLINE projection is dispatched where the projection cannot be kept right. Nothing is stored.

    In a snapshot that is older than the dispatch, a projection may look as it did before it was built or rebuilt.
    """

    def __init__(self, level: str) -> None:
        super().__init__(
            f"INLINE projections cannot be kept right in a {level.upper()} transaction: dispatch what they handle in a"
            " READ COMMITTED one, or make them ASYNC"
        )


class NotCaughtUp(ProjectionError):
    """A projection did not reach a position in the time given.

    Attributes:
        projection, position: what was waited for.
        reached: the position it is at.
        lag_events: how many events lie between.
        status: what it is doing, such as `paused`.
    """

    def __init__(self, projection: str, position: int, reached: int, lag_events: int, status: str) -> None:
        self.projection = projection
        self.position = position
        self.reached = reached
        self.lag_events = lag_events
        self.status = status
        super().__init__(
            f"Projection {projection!r} is at position {reached}, {lag_events:,} events before {position}; it is"
            f" {status}"
        )


class OperationRejected(ProjectionError):
    """What an operator asked for cannot be done to this projection as it is; the message says why, and what can."""
