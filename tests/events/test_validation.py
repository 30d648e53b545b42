"""Events are validated before anything is written, and the error names the limit and the remedy."""

import json
import re
from datetime import UTC, datetime, timedelta
from datetime import timezone as fixed_zone
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from events.exceptions import InvalidEvent
from events.formats import cloudevents
from events.store import EventStore
from events.types import NewEvent
from tests.support import aggregates, new, some, stored

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"aggregate_id": ""}, "aggregate_id"),
        ({"aggregate_id": "x" * 256}, "aggregate_id"),
        ({"aggregate_id": "a\0b"}, "aggregate_id"),
        ({"aggregate_id": "a\nb"}, "aggregate_id"),
        ({"aggregate_id": "a\ud800"}, "aggregate_id"),
        ({"aggregate_id": None}, "aggregate_id"),
        ({"aggregate_id": 7}, "aggregate_id"),
        ({"aggregate_id": "."}, "aggregate_id"),
        ({"aggregate_id": ".."}, "aggregate_id"),
        ({"type": ""}, "type"),
        ({"type": "x" * 256}, "type"),
        ({"type": None}, "type"),
        ({"data": None}, "data"),
        ({"data": [1]}, "data"),
        ({"data": "text"}, "data"),
        ({"data": {"a": {"b": [0, float("nan")]}}}, "data.a.b[1]"),
        ({"data": {"a": float("inf")}}, "data.a"),
        ({"data": {1: "a"}}, "data"),
        ({"data": {"a": {"b\0": 1}}}, "data.a"),
        ({"data": {"a": "\0"}}, "data.a"),
        ({"data": {"a": "\ud800"}}, "data.a"),
        ({"data": {"when": timezone.now()}}, "data.when"),
        ({"data": {"id": NewEvent("a", "b").event_id}}, "data.id"),
        ({"data": {"a": {1, 2}}}, "data.a"),
        ({"data": {"a": 10**5000}}, "data.a"),
        ({"data": {"a": "x" * (1024 * 1024)}}, "data"),
        ({"metadata": {"a": float("nan")}}, "metadata.a"),
        ({"metadata": None}, "metadata"),
        ({"metadata": {"correlation_id": "x" * 256}}, "metadata.correlation_id"),
        ({"metadata": {"correlation_id": [0] * 200}}, "metadata.correlation_id"),
        ({"timestamp": datetime(1, 1, 1, tzinfo=UTC)}, "timestamp"),
        ({"timestamp": datetime(9999, 12, 31, tzinfo=UTC)}, "timestamp"),
        ({"timestamp": timezone.now().replace(tzinfo=None)}, "timestamp"),
        ({"timestamp": "2020-01-01"}, "timestamp"),
        ({"event_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, "event_id"),
    ],
)
def test_invalid_event_is_named_by_index_and_field_and_nothing_is_written(
    store: EventStore, fault: dict[str, Any], field: str
) -> None:
    batch = some(100)
    batch[57] = NewEvent(**{"aggregate_id": "a-1", "type": "Happened", **fault})
    with pytest.raises(InvalidEvent) as caught:
        store.dispatch(*batch)
    assert caught.value.index == 57
    assert caught.value.field == field
    assert str(caught.value).startswith(f"event 57: {field}: ")
    assert (stored(), aggregates()) == ([], {})


def test_invalid_event_names_limit_and_remedy(store: EventStore, settings: Any) -> None:
    settings.EVENTS_MAX_EVENT_BYTES = 20
    with pytest.raises(InvalidEvent, match=r"takes 21 bytes .* at most 20 .*EVENTS_MAX_EVENT_BYTES"):
        store.dispatch(new(data={"text": "12345678"}))
    store.dispatch(new(data={"text": "1234567"}))


def test_data_nested_too_deep_is_rejected(store: EventStore) -> None:
    data: dict[str, Any] = {}
    for _ in range(300):
        data = {"a": data}
    with pytest.raises(InvalidEvent, match="nested more than 254 levels"):
        store.dispatch(new(data=data))


def test_other_objects_than_new_events_are_rejected(store: EventStore) -> None:
    with pytest.raises(InvalidEvent, match=r"is a list; pass NewEvent objects"):
        store.dispatch([new()])  # type: ignore[arg-type]


@pytest.mark.parametrize("hours", [-23, 17])
def test_moments_of_any_time_zone_are_taken(store: EventStore, hours: int) -> None:
    """PostgreSQL itself takes offsets of up to 16 hours."""
    moment = datetime(2020, 1, 1, tzinfo=fixed_zone(timedelta(hours=hours)))
    (event,) = store.dispatch(new(timestamp=moment))
    assert event.timestamp == moment
    late = datetime(2100, 1, 1, tzinfo=fixed_zone(timedelta(hours=hours)))
    assert store.get_events_for_aggregate("a-1", as_of=late) == [event]


@pytest.mark.parametrize("value", [1e300, 10**300, {"a": 1e200, "b": [1e100]}, [1] * 90, "x" * 256])
def test_correlation_id_is_as_long_as_the_database_writes_it(store: EventStore, value: Any) -> None:
    with pytest.raises(InvalidEvent, match="correlation_id"):
        store.dispatch(new(metadata={"correlation_id": value}))
    assert stored() == []
    store.dispatch(*[new(metadata={"correlation_id": each}) for each in (None, True, 7, 1e200, [1] * 80, "x" * 255)])


@pytest.mark.parametrize("name", [".", ".."])
def test_id_that_clients_remove_from_addresses_is_rejected_at_every_door(
    store: EventStore, api: APIClient, admin_client: Client, tmp_path: Path, name: str
) -> None:
    message = f"is '{name}', which clients remove from addresses; choose another id"
    for call in (
        lambda: store.dispatch(new("a-1"), expected_version={name: 0}),
        lambda: store.get_events_for_aggregate(name),
    ):
        with pytest.raises(InvalidEvent, match=re.escape(message)):
            call()
    event = {"aggregate_id": name, "type": "T"}
    cloudevent = {"specversion": "1.0", "id": "1", "source": "/x", "type": "T", "subject": name}
    for response in (
        api.post("/api/events/", event, format="json"),
        api.post(f"/api/aggregates/%2E{name[1:]}/events/", {"type": "T"}, format="json"),
        api.get(f"/api/aggregates/%2E{name[1:]}/"),
        api.post("/api/events/import/", json.dumps(event), content_type="application/x-ndjson"),
        api.post("/api/events/", json.dumps(cloudevent), content_type=cloudevents.MEDIA_TYPE),
    ):
        assert (response.status_code, response.json()["field"]) == (400, "aggregate_id"), response.data
        assert message in response.json()["detail"]
    form = {"aggregate_id": name, "type": "T", "expected_version": 0, "event_id": str(new().event_id)}
    assert message in unescape(admin_client.post("/admin/events/event/add/", form).content.decode())
    path = tmp_path / "events.csv"
    path.write_text(f"id,type\n{name},T\n")
    with pytest.raises(CommandError, match=re.escape(message)):
        call_command("import_events", str(path), aggregate_id="id", type="type", stdout=StringIO())
    assert stored() == []


def test_dots_inside_an_id_are_kept(store: EventStore) -> None:
    names = ["a/../b", "...", "./a", ". ", ".-1", "%2E", "a/.."]
    assert [event.aggregate_id for event in store.dispatch(*map(new, names))] == names
