"""Factories of events for tests: new ones to dispatch, and stored ones without a database."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack, overload
from uuid import UUID

from django.utils import timezone

from events.generics import A
from events.models import Event
from events.types import NewEvent
from events.validation import validate_events

AGGREGATE_ID = "test-1"
TYPE = "Happened"


class Fields(TypedDict, total=False):
    """The further fields of a `NewEvent`."""

    timestamp: datetime | None
    metadata: Mapping[str, Any]
    event_id: UUID


def make_new_event(
    aggregate_id: str = AGGREGATE_ID,
    type: object = TYPE,  # noqa: A002
    data: Mapping[str, Any] | None = None,
    **fields: Unpack[Fields],
) -> NewEvent:
    """Return an event to dispatch, of which a test names only what matters.

    Args:
        type: a name, or a payload in place of type and data, as `NewEvent` has them.
        fields: `timestamp`, `metadata` and `event_id`, as `NewEvent` has them.
    """
    new: Any = NewEvent  # whose type is a payload only without data
    made: NewEvent = new(aggregate_id, type, {} if data is None else data, **fields)
    return made


class StoredFields(Fields, total=False):
    """The further fields of an `Event`."""

    position: int
    version: int
    recorded_at: datetime | None


@overload
def make_event(
    aggregate_id: str = AGGREGATE_ID,
    type: str = TYPE,
    data: Mapping[str, Any] | None = None,
    **fields: Unpack[StoredFields],
) -> Event: ...
@overload
def make_event(aggregate_id: str, type: A, **fields: Unpack[StoredFields]) -> Event[A]: ...
def make_event(
    aggregate_id: str = AGGREGATE_ID,
    type: object = TYPE,  # noqa: A002
    data: Mapping[str, Any] | None = None,
    *,
    position: int = 1,
    version: int = 1,
    recorded_at: datetime | None = None,
    **fields: Unpack[Fields],
) -> Event:
    """Return an event as a handler receives it, without storing it.

    Args:
        type: a name, or a payload in place of type and data, as `NewEvent` has them.
        recorded_at: None stands for now.
        fields: `timestamp`, `metadata` and `event_id`, as `NewEvent` has them.

    Raises:
        InvalidEvent: `dispatch` would reject the event.
    """
    new = make_new_event(aggregate_id, type, data, **fields)
    (event,) = make_events(new, after_position=position - 1, after_version=version - 1, recorded_at=recorded_at)
    return event


def make_events(
    *events: NewEvent, after_position: int = 0, after_version: int = 0, recorded_at: datetime | None = None
) -> list[Event]:
    """Return `events` as `dispatch` would, without storing them: with positions, and versions in their aggregates.

    Args:
        after_position: the position before the first event.
        after_version: the version of each aggregate before its first event.
        recorded_at: when all of them were stored, and when those without a `timestamp` happened; None stands for now.

    Raises:
        InvalidEvent: `dispatch` would reject an event.
    """
    recorded_at = timezone.now() if recorded_at is None else recorded_at
    versions: Counter[str] = Counter()
    made = []
    for position, row in enumerate(validate_events(events), after_position + 1):
        versions[row.aggregate_id] += 1
        made.append(
            Event(
                position=position,
                aggregate_id=row.aggregate_id,
                version=after_version + versions[row.aggregate_id],
                event_id=row.event_id,
                type=row.type,
                data=row.data,
                metadata=row.metadata,
                timestamp=row.timestamp or recorded_at,
                recorded_at=recorded_at,
            )
        )
    return made
