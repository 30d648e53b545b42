"""Lists of events are narrowed by query parameters."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from events.store import EventStore
from tests.support import new

pytestmark = pytest.mark.django_db


def test_events_can_be_filtered(api: APIClient, store: EventStore) -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    one, two, three = store.dispatch(
        new("user-1", "Born", timestamp=start, metadata={"correlation_id": "x"}),
        new("username-1", "Born", timestamp=start + timedelta(days=1)),
        new("user-2", "Died", timestamp=start + timedelta(days=2), metadata={"correlation_id": "y"}),
    )

    def found(**parameters: Any) -> list[int]:
        return [event["position"] for event in api.get("/api/events/", parameters).json()["events"]]

    assert found(type=" Born") == []
    assert found(timestamp_after="2020-01-02T01:00:00 01:00") == [two.position, three.position]  # + not escaped
    assert found(type="Born") == [one.position, two.position]
    assert found(type=["Born", "Died"]) == [one.position, two.position, three.position]
    assert found(category="user") == [one.position, three.position]
    assert found(category=["user", "username"]) == [one.position, two.position, three.position]
    assert found(category="user-1") == []
    assert found(aggregate_id="user-1") == found(correlation_id="x") == [one.position]
    assert found(timestamp_after="2020-01-02T00:00:00Z") == [two.position, three.position]
    assert found(timestamp_before="2020-01-01T12:00:00Z") == [one.position]
    assert found(recorded_at_after=(one.recorded_at + timedelta(hours=1)).isoformat()) == []
    assert found(recorded_at_before=(one.recorded_at + timedelta(hours=1)).isoformat(), category="user") == [
        one.position,
        three.position,
    ]
