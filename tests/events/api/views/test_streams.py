"""Event streams over HTTP: filters and limits."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from events.store import EventStore
from tests.support import new, some

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("type=A", [0, 3]),
        ("type=A&type=B", [0, 1, 3]),
        ("category=user", [0, 1]),
        ("category=user&category=order&type=A", [0, 3]),
        ("aggregate_id=user-2", [1]),
        ("category=user-1", []),
    ],
)
def test_filters_hold_for_history_and_live_events_alike(
    connect: Any, store: EventStore, query: str, wanted: list[int]
) -> None:
    kinds = [("user-1", "A"), ("user-2", "B"), ("username-1", "C"), ("order-1", "A")]
    events = store.dispatch(*[new(*kind) for kind in kinds])
    with connect(f"/api/events/stream/?{query}") as stream:
        found = [message.id for message in stream.up_to("caught-up")[:-1]]
        assert found == [events[index].position for index in wanted]
        later = store.dispatch(*[new(*kind) for kind in kinds])
        if wanted:
            positions = [event["position"] for event in stream.events(len(wanted))]
            assert positions == [later[index].position for index in wanted]


def test_stream_of_one_aggregate(connect: Any, store: EventStore) -> None:
    store.dispatch(*some(2), new("b-1"))
    with connect("/api/aggregates/a-1/stream/?type=Happened") as stream:
        assert [message.event for message in stream.up_to("caught-up")] == ["message", "message", "caught-up"]
        store.dispatch(new("b-1"), new("a-1", "Other"), new("a-1"))
        assert [event["version"] for event in stream.events(1)] == [4]


def test_no_more_streams_than_the_process_takes(connect: Any, settings: Any) -> None:
    settings.EVENTS_STREAM_MAX_STREAMS = 1
    with connect() as stream:
        stream.up_to("caught-up")
        with connect() as rejected:
            rejected.response.read()
            assert rejected.response.status_code == 503
            assert rejected.response.headers["Retry-After"] == "5"
            assert rejected.response.json()["type"] == "/api/problems/too-many-streams/"


def test_wsgi_says_that_it_has_no_streams(api: APIClient) -> None:
    for path in ("/api/events/stream/", "/api/aggregates/a-1/stream/"):
        response = api.get(path)
        assert (response.status_code, response.json()["type"]) == (501, "/api/problems/no-streams/")


@pytest.mark.parametrize(
    ("path", "headers", "field"),
    [
        ("?after=-1", {}, "after"),
        ("?after=later", {}, "after"),
        ("", {"Last-Event-ID": "x"}, "Last-Event-ID"),
        ("?limit=5", {}, "limit"),
        ("?timestamp_after=2020-01-01T00:00:00Z", {}, "timestamp_after"),
    ],
)
def test_bad_parameters_are_named(api: APIClient, path: str, headers: dict[str, str], field: str) -> None:
    response = api.get(f"/api/events/stream/{path}", headers=headers)
    assert (response.status_code, response.json()["field"]) == (400, field)
