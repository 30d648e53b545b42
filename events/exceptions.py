"""The errors of the event store: one base class, and the facts of each error as attributes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

__all__ = [
    "BrokenSeal",
    "Conflict",
    "DispatchTooDeep",
    "DuplicateEvent",
    "EventStoreError",
    "ImmutableEvent",
    "InvalidEvent",
    "StandbyBehind",
    "UnsafeRead",
    "VersionConflict",
]


def _printable(text: str) -> str:
    """Return `text` with halves of surrogate pairs, which the input may have held, escaped: no output takes them."""
    return text.encode("utf-8", "backslashreplace").decode()


class EventStoreError(Exception):
    """Base class of every error the event store raises on its own account."""


class InvalidEvent(EventStoreError):
    """An event, or an argument that goes with it, cannot be stored as it is. Nothing has been written.

    Attributes:
        field: the offending field, as a path where it lies deeper: `data.items[2].price`.
        reason: what is wrong, the limit, and the remedy.
        index: place of the event in the call, counted from 0; None when the fault is not one event's.
    """

    def __init__(self, field: str, reason: str, index: int | None = None) -> None:
        self.field = _printable(field)
        self.reason = _printable(reason)
        self.index = index
        where = self.field if index is None else f"event {index}: {self.field}"
        super().__init__(f"{where}: {self.reason}")


@dataclass(frozen=True)
class Conflict:
    """One expectation that does not hold: `aggregate_id` is at version `actual` (0: it does not exist)."""

    aggregate_id: str
    expected: Any
    actual: int

    def __str__(self) -> str:
        wanted = f"version {self.expected}" if isinstance(self.expected, int) else "any version"
        found = f"at version {self.actual}" if self.actual else "absent"
        return f"{self.aggregate_id!r} was expected at {wanted} but is {found}"


class VersionConflict(EventStoreError):
    """An aggregate is not at the version the caller expected. Nothing has been written; read it again and decide anew.

    Attributes:
        conflicts: every expectation of the call that failed, ordered by aggregate id.
        aggregate_id, expected, actual: those of the first.
    """

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        self.conflicts = tuple(conflicts)
        self.aggregate_id = self.conflicts[0].aggregate_id
        self.expected = self.conflicts[0].expected
        self.actual = self.conflicts[0].actual
        super().__init__("; ".join(map(str, self.conflicts)))


class DuplicateEvent(EventStoreError):
    """An event id is in use already, and the call is no plain repetition of what is stored. Nothing has been written.

    Attributes:
        event_id: the id that is in use; None when only the database saw the clash.
        aggregate_id: the aggregate it is stored under; None when the id is named twice in one call.
    """

    def __init__(self, event_id: UUID | None, aggregate_id: str | None, reason: str) -> None:
        self.event_id = event_id
        self.aggregate_id = aggregate_id
        super().__init__(reason)


class ImmutableEvent(EventStoreError):
    """Events are never changed or removed, and are written by `EventStore.dispatch()` alone."""


class UnsafeRead(EventStoreError):
    """The whole store cannot be read here without missing events: in an older snapshot, or on a standby."""


class BrokenSeal(EventStoreError):
    """The events are not those that were sealed.

    Attributes:
        position: of the first event, or else of the seal, that does not fit.
    """

    def __init__(self, position: int, reason: str) -> None:
        self.position = position
        super().__init__(reason)


class StandbyBehind(EventStoreError):
    """A standby has not replayed in time what the primary had committed when the read began; nothing was read.

    Attributes:
        replica: the alias of the standby.
    """

    def __init__(self, replica: str, seconds: float) -> None:
        self.replica = replica
        super().__init__(
            f"the standby {replica!r} has not come to where the primary was, in {seconds:.1f} seconds: read again"
            " later, read from the primary, or raise EVENTS_STANDBY_WAIT_SECONDS"
        )


class DispatchTooDeep(EventStoreError):
    """Handlers that dispatch events called each other too often; `EVENTS_MAX_DISPATCH_DEPTH` is the limit."""
