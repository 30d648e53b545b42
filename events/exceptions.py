"""The errors of the event store, with one base class; each error has its data as attributes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

__all__ = [
    "AggregateNotFound",
    "BrokenSeal",
    "Conflict",
    "DispatchTooDeep",
    "DuplicateEvent",
    "EventStoreError",
    "ImmutableEvent",
    "InvalidEvent",
    "NewerEvent",
    "Rejected",
    "StandbyBehind",
    "UnreadableEvent",
    "UnsafeRead",
    "UnseenConflict",
    "VersionConflict",
]


# The path to a field may have names of a megabyte in it.
_FIELD_CHARACTERS = 255


def _printable(text: str) -> str:
    """Return `text` with lone surrogates escaped: the input may contain them, but UTF-8 cannot encode them."""
    return text.encode("utf-8", "backslashreplace").decode()


class EventStoreError(Exception):
    """Base class of the errors that the event store raises."""


class InvalidEvent(EventStoreError):
    """An event or another argument is not valid. Nothing was written.

    Attributes:
        field: the invalid field, or the path to it, such as `data.items[2].price`.
        reason: what is wrong, the limit, and the remedy.
        index: the index of the event in the call, from 0; None if the error does not belong to one event.
    """

    def __init__(self, field: str, reason: str, index: int | None = None) -> None:
        is_long = len(field) > _FIELD_CHARACTERS
        self.field = _printable(f"{field[:_FIELD_CHARACTERS]}…" if is_long else field)
        self.reason = _printable(reason)
        self.index = index
        where = self.field if index is None else f"event {index}: {self.field}"
        super().__init__(f"{where}: {self.reason}")


@dataclass(frozen=True)
class Conflict:
    """An expectation that does not hold: `aggregate_id` is at version `actual` (0: it does not exist)."""

    aggregate_id: str
    expected: Any
    actual: int

    def __str__(self) -> str:
        expected = f"version {self.expected}" if isinstance(self.expected, int) else "any version"
        actual = f"at version {self.actual}" if self.actual else "absent"
        return f"{self.aggregate_id!r} was expected at {expected} but is {actual}"


class VersionConflict(EventStoreError):
    """An aggregate is not at the expected version. Nothing was written; read the aggregate again and decide again.

    Attributes:
        conflicts: every expectation of the call that does not hold, ordered by aggregate id.
        aggregate_id, expected, actual: the data of the first conflict.
    """

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        self.conflicts = tuple(conflicts)
        self.aggregate_id = self.conflicts[0].aggregate_id
        self.expected = self.conflicts[0].expected
        self.actual = self.conflicts[0].actual
        super().__init__("; ".join(map(str, self.conflicts)))


class UnseenConflict(VersionConflict):
    """An aggregate was changed by a transaction that this one cannot see. This one is over; run it again.

    It is not READ COMMITTED, so `actual` is the version that it sees.
    """

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        super().__init__(conflicts)
        names = ", ".join(repr(each.aggregate_id) for each in self.conflicts)
        message = f"another transaction has changed {names}, and this one cannot see it: it is not READ COMMITTED"
        self.args = (f"{message}. It is over: run it again",)


class DuplicateEvent(EventStoreError):
    """An event id is already in use, and the call does not repeat the call that stored it. Nothing was written.

    Attributes:
        event_id: the id that is in use; None if only the database noticed the collision.
        aggregate_id: the aggregate that has the stored event; None if one call uses the id twice.
        differences: `type`, `data` or both, if the stored event is in the same place but has other content.
    """

    def __init__(
        self, event_id: UUID | None, aggregate_id: str | None, reason: str, differences: Sequence[str] = ()
    ) -> None:
        self.event_id = event_id
        self.aggregate_id = aggregate_id
        self.differences = tuple(differences)
        super().__init__(reason)


class Rejected(EventStoreError):
    """A subscriber or an INLINE projection does not accept an event. Nothing was written.

    Raise it, or a subclass, in a subscriber or in an INLINE projection. Clients receive everything in it: over HTTP as
    a problem with `status`, in the admin as a message, in an import with the number of the line.

    Attributes:
        status: the HTTP status of the response, from 400 to 499; a class attribute.
        message: the reason, for people.
        code: the reason, for programs: a short name that stays the same when the message changes.
        data: further facts for programs, which JSON can represent.
    """

    status: ClassVar[int] = 409

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A client would take another status for success, and drop an event that was not stored.
        if not isinstance(cls.status, int) or not 400 <= cls.status <= 499:
            raise TypeError(f"{cls.__qualname__}.status is {cls.status!r}; it must be from 400 to 499")

    def __init__(self, message: str = "", *, code: str | None = None, data: Any = None) -> None:
        self.message = _printable(str(message)) or "the event was rejected"
        self.code = code
        self.data = data
        super().__init__(self.message)


class AggregateNotFound(EventStoreError):
    """An aggregate has no events, and only a command that creates it could run.

    Attributes:
        aggregate_id: the aggregate.
    """

    def __init__(self, aggregate_id: str) -> None:
        self.aggregate_id = aggregate_id
        super().__init__(f"there is no aggregate {aggregate_id!r}")


class ImmutableEvent(EventStoreError):
    """Stored events cannot be changed or removed, and only `EventStore.dispatch()` writes events."""


class UnreadableEvent(EventStoreError):
    """An event is stored that this code cannot read. Earlier events were returned; go on behind `position`.

    Python cannot represent it, or the code of its event type fails to bring it to the newest version.

    Attributes:
        position: the position of the event; `read_all(after=position)` continues behind it.
        event_id: the id of the event; None if it was not read.
        reason: the field that cannot be read, and why.
        type: the type under which the event is stored; None if the type has no part in it.
        version: the schema version in which the event is stored; None if it has no part in it.
    """

    def __init__(
        self,
        position: int,
        event_id: UUID | None,
        reason: str,
        *,
        type: str | None = None,  # noqa: A002
        version: Any = None,
    ) -> None:
        self.position = position
        self.event_id = event_id
        self.reason = _printable(reason)
        self.type = type
        self.version = version
        super().__init__(f"the event {event_id} at position {position} cannot be read: {self.reason}")


class NewerEvent(UnreadableEvent):
    """Newer code has stored an event in a version of its type that this code does not know yet: deploy that code."""


class UnsafeRead(EventStoreError):
    """A read of the whole store could miss events here, because of an old snapshot or a standby."""


class BrokenSeal(EventStoreError):
    """The events differ from the events that were sealed, or have numbers that the store does not give.

    Attributes:
        position: the position of the first event that differs; without one, of the seal that does not match, or 0.
    """

    def __init__(self, position: int, reason: str) -> None:
        self.position = position
        super().__init__(reason)


class StandbyBehind(EventStoreError):
    """A standby did not replay in time all commits of the primary from before the read. Nothing was read.

    Attributes:
        standby: the alias of the standby.
    """

    def __init__(self, standby: str, seconds: float) -> None:
        self.standby = standby
        super().__init__(
            f"the standby {standby!r} did not catch up with the primary within {seconds:.1f} seconds: read again"
            " later, read from the primary, or raise EVENTS_STANDBY_WAIT_SECONDS"
        )


class DispatchTooDeep(EventStoreError):
    """Handlers dispatched events inside handlers, more than `EVENTS_MAX_DISPATCH_DEPTH` levels deep."""
