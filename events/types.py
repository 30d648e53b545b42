"""The values that callers pass to the event store: new events and expected versions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final, overload
from uuid import UUID

from uuid_utils.compat import uuid7

from . import decoding
from .exceptions import InvalidEvent

__all__ = ["ALL", "ANY", "EXISTS", "Expectation", "ExpectedVersion", "NewEvent", "Subscribed", "category_of"]

MAX_BIGINT: Final = 2**63 - 1
"""The largest position and the largest version: PostgreSQL's `bigint`."""


class Expectation(Enum):
    """An expectation about an aggregate that is not a version number."""

    ANY = "any"
    EXISTS = "exists"

    def __repr__(self) -> str:
        return self.name


class Subscribed(Enum):
    """What a handler can subscribe to besides one event type."""

    ALL = "all"

    def __repr__(self) -> str:
        return self.name


ANY: Final = Expectation.ANY
EXISTS: Final = Expectation.EXISTS
ALL: Final = Subscribed.ALL

ExpectedVersion = int | Expectation | Mapping[str, int | Expectation]

# A day within Python's years, so that a moment can be shown in any time zone.
EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
LATEST: Final = datetime(9999, 12, 30, tzinfo=UTC)

# The version number that stands for EXISTS in the arguments of the append functions.
_EXISTS_IN_SQL = -1


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append. `dispatch` validates it, so that the error can name the index of the event.

    Attributes:
        aggregate_id: the aggregate it belongs to; 1 to 255 characters, no control characters, and not `.` or `..`.
        type: what happened, such as `OrderPlaced`; 1 to 255 characters, no control characters. A payload, such as
            `OrderPlaced(total=5)` of a class that is registered as an event type, stands for both type and data.
        data: the payload, or a JSON object: dict, list, str, int, finite float, bool and None, with str keys. Write
            exact decimals, such as amounts of money, as str: a float has 15 to 17 digits.
        timestamp: when it happened, timezone-aware; None stands for the moment of storing.
        metadata: a JSON object about the event, such as its `correlation_id` or the user that caused it.
            The keys `cloudevent` (the attributes of a CloudEvent) and `$schema` (the schema version of the data) are
            reserved.
        event_id: makes a retry safe, because an id is never stored twice. None: a UUIDv7 is generated.
    """

    aggregate_id: str
    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    timestamp: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    event_id: UUID = field(default=None, kw_only=True)  # type: ignore[assignment]  # None is replaced below

    reserved_metadata: ClassVar[frozenset[str]] = frozenset(("cloudevent", decoding.SCHEMA))
    # Whether the data is as another store has stored it: in the schema version that the metadata names, or the first.
    is_as_stored: ClassVar[bool] = False

    if TYPE_CHECKING:

        @overload
        def __init__(
            self,
            aggregate_id: str,
            type: str,
            data: Mapping[str, Any] = ...,
            timestamp: datetime | None = None,
            *,
            metadata: Mapping[str, Any] = ...,
            event_id: UUID | None = None,
        ) -> None: ...

        @overload
        def __init__(
            self,
            aggregate_id: str,
            type: object,
            *,
            timestamp: datetime | None = None,
            metadata: Mapping[str, Any] = ...,
            event_id: UUID | None = None,
        ) -> None: ...

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __post_init__(self) -> None:
        if self.event_id is None:
            object.__setattr__(self, "event_id", uuid7())
        if self.type.__class__ is not str:
            self._take_payload()

    def _take_payload(self) -> None:
        """Take a payload in place of the type apart; `dispatch` rejects whatever else is not a string."""
        event_type = decoding.type_of(type(self.type))
        if isinstance(self.type, type):
            raise InvalidEvent("type", f"is the class {self.type.__qualname__}; give an object of it, or a name")
        if event_type is None:
            return
        if self.data:
            raise InvalidEvent("data", f"is given beside a payload {event_type.name}; leave it out")
        object.__setattr__(self, "data", self.type)
        object.__setattr__(self, "type", event_type.name)


class ReceivedEvent(NewEvent):
    """A new event whose metadata may have reserved keys: a CloudEvent, or an event from a file."""

    __slots__ = ()
    reserved_metadata: ClassVar[frozenset[str]] = frozenset()


class ExportedEvent(ReceivedEvent):
    """A new event as it was exported from a store."""

    __slots__ = ()
    is_as_stored: ClassVar[bool] = True


def category_of(aggregate_id: str) -> str:
    """Return the category of an aggregate: the part of its id before the first `-`; without a dash, the whole id."""
    return aggregate_id.partition("-")[0]


def expectations(expected_version: ExpectedVersion, aggregate_ids: Iterable[str]) -> dict[str, int]:
    """Return the expected versions for the append function, by aggregate id: -1 stands for EXISTS; ANY is left out.

    A single expectation applies to each of `aggregate_ids`; a mapping names its own aggregates.

    Raises:
        InvalidEvent: an expectation is not an integer from 0 up, EXISTS or ANY.
    """
    if isinstance(expected_version, Mapping):
        in_sql = {aggregate_id: _in_sql(expected) for aggregate_id, expected in expected_version.items()}
    else:
        in_sql = dict.fromkeys(aggregate_ids, _in_sql(expected_version))
    return {aggregate_id: number for aggregate_id, number in in_sql.items() if number is not None}


def expectation_from_sql(number: int | None) -> int | Expectation:
    """Return the expectation for which the append functions use `number`."""
    if number is None:
        return ANY
    return EXISTS if number == _EXISTS_IN_SQL else number


def _in_sql(expected: Any) -> int | None:
    if expected is ANY:
        return None
    if expected is EXISTS:
        return _EXISTS_IN_SQL
    if isinstance(expected, int) and not isinstance(expected, bool) and 0 <= expected <= MAX_BIGINT:
        return expected
    raise InvalidEvent(
        "expected_version", f"{expected!r} is not a version; give a whole number from 0 up, EXISTS or ANY"
    )
