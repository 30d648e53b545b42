"""Events over HTTP: the pages of the store, one event, and appends to several aggregates."""

import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from events.models import Event
from events.store import EventStore
from tests.events.api.support import pages, send
from tests.support import UNREADABLE, aggregates, new, random_text, some, store_unchecked, stored

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("reverse", ["false", "true"])
def test_pages_of_the_store_follow_each_other(api: APIClient, store: EventStore, reverse: str) -> None:
    events = store.dispatch(*[new(f"a-{n}", type="AB"[n % 2]) for n in range(14)])
    wanted = [event.position for event in events if event.type == "A"]
    found = pages(api, f"/api/events/?type=A&limit=3&reverse={reverse}", "events")
    assert [len(page) for page in found] == [3, 3, 1]
    positions = [event["position"] for page in found for event in page]
    assert positions == (wanted[::-1] if reverse == "true" else wanted)


def test_checkpoint_says_where_to_go_on_even_when_nothing_matched(api: APIClient, store: EventStore) -> None:
    last = store.dispatch(*some(5))[-1].position
    body = api.get("/api/events/", {"type": "Unheard"}).json()
    assert (body["events"], body["next"], body["checkpoint"]) == ([], None, last)
    body = api.get("/api/events/", {"limit": 2}).json()
    assert body["checkpoint"] == body["events"][-1]["position"]
    (later,) = store.dispatch(new())
    body = api.get("/api/events/", {"after": last}).json()
    assert [event["position"] for event in body["events"]] == [later.position] == [body["checkpoint"]]


def test_event_never_changes_and_says_so(api: APIClient, store: EventStore) -> None:
    (event,) = store.dispatch(new())
    response = api.get(f"/api/events/{event.event_id}/")
    assert "immutable" in response.headers["Cache-Control"]
    assert {"Accept", "Authorization", "Cookie"} <= set(response.headers["Vary"].split(", "))


@pytest.mark.parametrize(
    "form",
    ["{0}", "{0:upper}", "{0.hex}", "{{{0}}}", "urn:uuid:{0}"],
    ids=["", "capitals", "no dashes", "braces", "urn"],
)
def test_event_is_found_by_its_id_in_any_form_that_an_append_takes(api: APIClient, form: str) -> None:
    event_id = uuid4()
    text = str(event_id).upper() if "upper" in form else form.format(event_id)
    assert send(api, {"type": "A", "event_id": text}).status_code == 201
    found = api.get(f"/api/events/{quote(text)}/")
    assert (found.status_code, found.json()["event_id"]) == (200, str(event_id))
    assert api.get(f"/api/events/{quote(text)}/?x=1").json()["type"] == "/api/problems/invalid/"
    assert api.get(f"/api/events/{quote(text[1:-1])}x/").status_code == 404


def test_several_aggregates_are_appended_to_all_or_nothing(api: APIClient, store: EventStore) -> None:
    store.dispatch(*some(2, "cart-7"))
    events = [{"aggregate_id": "order-1", "type": "A"}, {"aggregate_id": "cart-7", "type": "B"}]
    body = {"events": events, "expected_version": {"order-1": 0, "cart-7": 2, "user-9": 0}}
    response = send(api, body, "/api/events/")
    assert response.status_code == 201
    assert response.json()["versions"] == {"order-1": 1, "cart-7": 3}
    assert response.json()["position"] == response.json()["events"][-1]["position"]
    response = send(api, body, "/api/events/")
    assert response.status_code == 409
    assert response.json()["conflicts"] == [
        {"aggregate_id": "cart-7", "expected": 2, "actual": 3},
        {"aggregate_id": "order-1", "expected": 0, "actual": 1},
    ]
    checked = {"events": [], "expected_version": {"order-1": 1, "cart-7": "exists"}}
    assert send(api, checked, "/api/events/").status_code == 200
    assert send(api, {**checked, "expected_version": {"user-9": "exists"}}, "/api/events/").status_code == 409
    assert aggregates() == {"order-1": 1, "cart-7": 3}


@pytest.mark.parametrize(
    ("body", "headers", "field"),
    [
        ({"events": [{"type": "A"}]}, {}, "aggregate_id"),
        (
            {"events": [{"aggregate_id": "a-1", "type": "A"}], "expected_version": {"a-1": "soon"}},
            {},
            "expected_version",
        ),
        ({"events": [{"aggregate_id": "a-1", "type": "A"}], "expected_version": {"": 0}}, {}, "expected_version"),
        ({"aggregate_id": "a-1", "type": "A"}, {"if_match": '"0"'}, "If-Match"),
        ([{"aggregate_id": 5, "type": "A"}], {}, "aggregate_id"),
    ],
)
def test_bad_append_to_several_is_named(api: APIClient, body: Any, headers: dict[str, str], field: str) -> None:
    response = send(api, body, "/api/events/", **headers)
    assert (response.status_code, response.json()["field"]) == (400, field)
    assert stored() == []


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else 1


JSON, INDENTED, CLOUDEVENTS = "application/json", "application/json; indent=2", "application/cloudevents-batch+json"


@pytest.mark.parametrize("media_type", [JSON, INDENTED, CLOUDEVENTS])
@pytest.mark.parametrize(("field", "text"), UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("path", ["/api/events/", "/api/aggregates/a-1/events/"])
def test_lists_mark_an_event_that_python_cannot_represent(
    api: APIClient, store: EventStore, path: str, field: str, text: str, media_type: str
) -> None:
    store.dispatch(new(data={"n": 1}))
    store_unchecked(**{field: text})
    store.dispatch(new(data={"n": 3}))
    response = api.get(path, HTTP_ACCEPT=media_type)
    assert response.status_code == 200
    body = response.json()
    first, second, third = body if media_type == CLOUDEVENTS else body["events"]
    assert second["unreadable"].startswith(field)
    assert len(second["unreadable"]) < 200
    assert (first["data"], third["data"]) == ({"n": 1}, {"n": 3})
    assert "unreadable" not in first
    if media_type != CLOUDEVENTS:
        assert second[field] is None


@pytest.mark.parametrize("media_type", [JSON, INDENTED, CLOUDEVENTS])
@pytest.mark.parametrize("value", [2**70, nested(100)], ids=["integer beyond 64 bits", "deep"])
def test_rest_of_a_marked_event_may_be_what_orjson_does_not_write(
    api: APIClient, store: EventStore, value: Any, media_type: str
) -> None:
    store.dispatch(new(data={"n": 1}))
    store_unchecked(data=json.dumps({"v": value}), timestamp="infinity")
    response = api.get("/api/events/", HTTP_ACCEPT=media_type)
    assert response.status_code == 200
    body = response.json()
    first, second = body if media_type == CLOUDEVENTS else body["events"]
    assert second["unreadable"].startswith("timestamp")
    assert (first["data"], second["data"]) == ({"n": 1}, {"v": value})


@pytest.mark.parametrize("media_type", [JSON, "application/cloudevents+json"])
@pytest.mark.parametrize(("field", "text"), UNREADABLE.values(), ids=UNREADABLE)
def test_one_event_is_marked(api: APIClient, field: str, text: str, media_type: str) -> None:
    position = store_unchecked(**{field: text})
    event_id = Event.objects.filter(position=position).values_list("event_id", flat=True).get()
    response = api.get(f"/api/events/{event_id}/", HTTP_ACCEPT=media_type)
    assert response.json()["unreadable"].startswith(field)
    assert "immutable" not in response.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/api/events/", "/api/aggregates/a-1/events/"])
@pytest.mark.parametrize("reverse", ["false", "true"])
def test_bytes_end_a_page_before_its_limit(
    api: APIClient, store: EventStore, settings: Any, path: str, reverse: str
) -> None:
    settings.EVENTS_READ_PAGE_BYTES = 8 * 20_000
    events = store.dispatch(*[new(data={"text": random_text(8000)}) for _ in range(5)])
    found = pages(api, f"{path}?limit=100&reverse={reverse}", "events")
    assert [len(page) for page in found] == [2, 2, 1]
    positions = [event["position"] for page in found for event in page]
    assert sorted(positions) == [event.position for event in events]
