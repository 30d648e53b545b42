"""Events that tests make."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from events.exceptions import InvalidEvent
from events.models import Event
from events.store import EventStore
from events.testing import make_event, make_events, make_new_event
from events.types import NewEvent

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ID = UUID("01a216ad-271b-7476-87bc-b5341957456a")


def fields(event: Event) -> dict[str, Any]:
    return {field.name: getattr(event, field.name) for field in Event._meta.fields}


def test_new_event_needs_no_arguments() -> None:
    assert (make_new_event().aggregate_id, make_new_event().type, make_new_event().data) == ("test-1", "Happened", {})
    event = make_new_event("order-1", "OrderPlaced", {"total": 5}, metadata={"user": "ann"}, event_id=ID)
    assert event == NewEvent("order-1", "OrderPlaced", {"total": 5}, metadata={"user": "ann"}, event_id=ID)


def test_events_have_positions_and_versions_without_a_database() -> None:
    first, other, second = make_events(make_new_event("a-1"), make_new_event("b-1"), make_new_event("a-1"))
    assert [each.position for each in (first, other, second)] == [1, 2, 3]
    assert [each.version for each in (first, other, second)] == [1, 1, 2]
    assert first.timestamp == first.recorded_at == other.recorded_at
    assert first.recorded_at.tzinfo
    (later,) = make_events(make_new_event(timestamp=LONG_AGO), after_position=41, after_version=6)
    assert (later.position, later.version, later.timestamp) == (42, 7, LONG_AGO)
    assert later.recorded_at > LONG_AGO
    one = make_event("order-1", "OrderPlaced", {"total": 5}, position=9, version=3, recorded_at=LONG_AGO, event_id=ID)
    assert (one.position, one.version, one.timestamp, one.recorded_at, one.event_id) == (9, 3, LONG_AGO, LONG_AGO, ID)


@pytest.mark.django_db
def test_made_event_is_like_the_one_that_dispatch_returns() -> None:
    new = make_new_event(
        "order-1", "OrderPlaced", {"lines": ({"sku": "MUG", "price": 12.5},)}, metadata={"user": "ann"}
    )
    (stored,) = EventStore().dispatch(new)
    (made,) = make_events(new, after_position=stored.position - 1, recorded_at=stored.recorded_at)
    assert fields(made) == fields(stored)
    assert made.data == {"lines": [{"sku": "MUG", "price": 12.5}]}


def test_invalid_event_is_rejected_as_dispatch_does() -> None:
    with pytest.raises(InvalidEvent, match="data"):
        make_event(data={"total": float("nan")})
    with pytest.raises(InvalidEvent) as rejected:
        make_events(make_new_event(), make_new_event(""))
    assert rejected.value.index == 1
