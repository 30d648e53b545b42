"""Appending over HTTP: one event, many, with expectations, and what is rejected."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from events.models import Event
from events.signals import event_committed, event_dispatched
from events.store import EventStore
from tests.events.api.support import append, history_url
from tests.support import aggregates, stored

pytestmark = pytest.mark.django_db


STRANGE_IDS = [
    "a/b",
    "/a",
    "a//b/",
    "what?",
    "100%",
    "%41",
    "a b",
    "é-ü",
    "日本-1",
    "😀",
    "a+b&c=d;e#f",
    "x:y@z",
    "events",
    "events/events",
    "a/../b",
]


def test_one_event_is_appended_and_comes_back_as_stored(api: APIClient) -> None:
    response = append(api, {"type": "Happened", "data": {"n": [1, 2.5, None]}, "metadata": {"by": "me"}})
    event = Event.objects.get()
    assert response.status_code == 201
    assert response.json() == {
        "aggregate_id": "a-1",
        "version": 1,
        "position": event.position,
        "events": [
            {
                "position": event.position,
                "aggregate_id": "a-1",
                "version": 1,
                "event_id": str(event.event_id),
                "type": "Happened",
                "data": {"n": [1, 2.5, None]},
                "metadata": {"by": "me"},
                "timestamp": event.timestamp.isoformat(),
                "recorded_at": event.recorded_at.isoformat(),
            }
        ],
    }
    assert api.get(f"/api/events/{event.event_id}/").json() == response.json()["events"][0]


@pytest.mark.parametrize("wrap", [lambda events: events, lambda events: {"events": events}])
def test_list_of_events_is_appended_at_once(api: APIClient, wrap: Callable[[Any], Any]) -> None:
    response = append(api, wrap([{"type": "A"}, {"type": "B", "timestamp": "2020-01-01T00:00:00+02:00"}]))
    assert response.status_code == 201
    assert [event["version"] for event in response.json()["events"]] == [1, 2]
    assert Event.objects.get(version=2).timestamp == datetime(2019, 12, 31, 22, tzinfo=UTC)
    assert append(api, wrap([])).status_code == 200


@pytest.mark.parametrize("in_header", [False, True])
def test_expectation_comes_in_the_body_or_as_if_match(api: APIClient, in_header: bool) -> None:
    def attempt(expected: Any, aggregate_id: str = "a-1") -> Any:
        if in_header:
            return append(api, {"type": "A"}, aggregate_id, if_match="*" if expected == "exists" else f'"{expected}"')
        return append(api, {"type": "A", "expected_version": expected}, aggregate_id)

    assert attempt(0).status_code == 201
    assert attempt(1).status_code == 201
    assert attempt("exists").status_code == 201
    response = attempt(1)
    rejected = 412 if in_header else 409
    assert response.status_code == rejected
    conflict = {"aggregate_id": "a-1", "expected": 1, "actual": 3}
    fault = response.json()
    assert fault["conflicts"] == [conflict]
    assert fault["type"] == "/api/problems/version-conflict/"
    assert {name: fault[name] for name in conflict} == conflict
    response = attempt("exists", "b-1")
    assert (response.status_code, response.json()["expected"], response.json()["actual"]) == (rejected, "exists", 0)
    assert aggregates() == {"a-1": 3}


def test_any_version_may_be_said(api: APIClient) -> None:
    assert append(api, {"events": [{"type": "A"}], "expected_version": "any"}).status_code == 201


def test_repeated_request_stores_once(api: APIClient) -> None:
    body = {"type": "A", "event_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "expected_version": 0}
    first, second = append(api, body), append(api, body)
    assert first.json() == second.json()
    assert stored() == [("a-1", 1)]
    response = append(api, body, "b-1")
    assert (response.status_code, response.json()["aggregate_id"]) == (409, "a-1")
    assert response.json()["event_id"] == body["event_id"]


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"type": ""}, "type"),
        ({}, "type"),
        ({"type": 5}, "type"),
        ({"type": "A", "data": [1]}, "data"),
        ({"type": "A", "data": {"a": "\0"}}, "data.a"),
        ({"type": "A", "timestamp": "2020-01-01T00:00:00"}, "timestamp"),
        ({"type": "A", "timestamp": "yesterday"}, "timestamp"),
        ({"type": "A", "timestamp": "2020-13-01T00:00:00Z"}, "timestamp"),
        ({"type": "A", "timestamp": 5}, "timestamp"),
        ({"type": "A", "event_id": "x"}, "event_id"),
        ({"type": "A", "event_id": 5}, "event_id"),
        ({"type": "A", "dta": {}}, "dta"),
        ({"type": "A", "aggregate_id": "b-1"}, "aggregate_id"),
        ({"type": "A", "version": 7}, "version"),
        ({"type": "A", "position": 7}, "position"),
        ("text", "event"),
        (None, "event"),
    ],
)
def test_bad_event_is_named_by_index_and_field_and_nothing_is_stored(api: APIClient, fault: Any, field: str) -> None:
    response = append(api, [{"type": "A"}, {"type": "B"}, fault])
    assert response.status_code == 400, response.content
    assert (response.json()["index"], response.json()["field"]) == (2, field)
    assert stored() == []


@pytest.mark.parametrize(
    ("body", "headers", "field"),
    [
        ({"type": "A", "expected_version": -1}, {}, "expected_version"),
        ({"type": "A", "expected_version": True}, {}, "expected_version"),
        ({"type": "A", "expected_version": "3"}, {}, "expected_version"),
        ({"type": "A", "expected_version": None}, {}, "expected_version"),
        ({"type": "A", "expected_version": 1.5}, {}, "expected_version"),
        ({"type": "A", "expected_version": {"b-1": 0}}, {}, "expected_version"),
        ({"type": "A", "expected_version": 0}, {"if_match": '"1"'}, "expected_version"),
        ({"type": "A"}, {"if_match": "W/1"}, "If-Match"),
        ({"events": {"type": "A"}}, {}, "events"),
        ({"events": [], "type": "A"}, {}, "events"),
        (5, {}, "events"),
    ],
)
def test_bad_request_is_named_and_nothing_is_stored(
    api: APIClient, body: Any, headers: dict[str, str], field: str
) -> None:
    response = append(api, body, **headers)
    assert (response.status_code, response.json()["field"]) == (400, field), response.content
    assert stored() == []


def test_null_counts_as_absent(api: APIClient) -> None:
    names = ("data", "metadata", "timestamp", "event_id", "events")
    for body in (dict.fromkeys(names), {"events": [dict.fromkeys(names[:-1])]}):
        (event, *_) = [body] if "data" in body else body["events"]
        event["type"] = "A"
        (appended,) = append(api, body).json()["events"]
        assert (appended["data"], appended["metadata"]) == ({}, {})
    for name in ("type", "typ"):
        assert append(api, {"type": "A", name: None}).json()["field"] == name


@pytest.mark.parametrize("value", [True, 5, 1.5, [1], {"a": 1}, "text", None])
@pytest.mark.parametrize(
    "field", ["aggregate_id", "type", "data", "metadata", "timestamp", "event_id", "expected_version"]
)
def test_errors_speak_of_json(api: APIClient, field: str, value: Any) -> None:
    response = api.post("/api/events/", {"aggregate_id": "a-1", "type": "A", field: value}, format="json")
    if response.status_code == 400:
        detail = response.json()["detail"]
        assert response.json()["field"] == field
        assert not re.search(r"\b(True|None|dict|str|int|float|bool|datetime|UUID object|uuid\.UUID)\b", detail), detail


@pytest.mark.parametrize("aggregate_id", STRANGE_IDS)
def test_any_aggregate_id_works_when_percent_encoded(api: APIClient, aggregate_id: str) -> None:
    response = append(api, {"type": "A", "expected_version": 0}, aggregate_id)
    assert (response.status_code, response.json()["aggregate_id"]) == (201, aggregate_id)
    assert [event["aggregate_id"] for event in api.get(history_url(aggregate_id)).json()["events"]] == [aggregate_id]
    assert api.get("/api/events/", {"aggregate_id": aggregate_id}).json()["events"] == response.json()["events"]
    listed = api.get("/api/aggregates/", {"starts_with": aggregate_id}).json()["aggregates"]
    assert [aggregate["aggregate_id"] for aggregate in listed] == [aggregate_id]
    if not aggregate_id.endswith("/events"):
        detail = api.get(f"/api/aggregates/{quote(aggregate_id, safe='')}/")
        assert (detail.status_code, detail.json()["aggregate_id"]) == (200, aggregate_id)
        activity = api.get(f"/api/read-models/aggregate-activity/{quote(aggregate_id, safe='')}/").json()
        assert (activity["aggregate_id"], activity["event_count"]) == (aggregate_id, 1)


def test_appends_over_http_reach_the_signals(api: APIClient, eager_events: None) -> None:
    seen = []

    def receiver(signal: Any, event: Event, **kwargs: Any) -> None:
        seen.append((signal, event.version))

    event_dispatched.connect(receiver)
    event_committed.connect(receiver)
    append(api, {"type": "A"})
    assert seen == [(event_dispatched, 1), (event_committed, 1)]


def test_numbers_cross_http_unchanged(api: APIClient) -> None:
    data = {"big": 2**70, "float": 1e23, "small": 5e-324, "one": 1.0, "text": "😀 \u2028"}
    append(api, {"type": "A", "data": data})
    read = api.get(history_url("a-1")).json()["events"][0]["data"]
    assert read == data
    assert {name: type(value) for name, value in read.items()} == {name: type(value) for name, value in data.items()}


def test_parameters_of_reading_are_rejected_when_appending(api: APIClient) -> None:
    response = api.post(history_url("a-1") + "?limit=5", {"type": "A"}, format="json")
    assert (response.status_code, response.json()["field"]) == (400, "limit")


def test_field_that_is_no_text_is_named_all_the_same(api: APIClient) -> None:
    response = api.post(history_url("a-1"), '{"type": "A", "\\ud800": 1}', content_type="application/json")
    assert (response.status_code, response.json()["field"]) == (400, "\\ud800")


def test_endless_recursion_of_a_handler_is_not_blamed_on_the_request(api: APIClient, store: EventStore) -> None:
    def recurse(**kwargs: Any) -> None:
        recurse(**kwargs)

    store.subscribe("A", recurse)
    with pytest.raises(RecursionError):
        append(api, {"type": "A"})
    assert stored() == []
