"""Exports and imports over HTTP: bad lines, filters, many events in little memory."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.test import Client
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from events.formats.serialization import event_as_dict
from events.models import Event
from events.storage import reader
from events.store import EventStore
from projections.models import AggregateActivity
from tests import FULL
from tests.support import AsgiServer, new, some, stored

pytestmark = pytest.mark.django_db

NDJSON = "application/x-ndjson"


def send(api: APIClient, *lines: Any, **headers: str) -> Any:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return api.post("/api/events/import/", text, content_type=NDJSON, headers=headers)


def line(n: int, **fields: Any) -> dict[str, Any]:
    return {"aggregate_id": f"a-{n % 10}", "type": "A", "data": {"n": n}, **fields}


def test_import_counts_and_can_be_repeated(api: APIClient) -> None:
    lines = [line(n) for n in range(25)]
    assert send(api, *lines).json() == {"stored": 25, "known": 0}
    response = send(api, *lines, line(99), "")
    assert (response.status_code, response.json()) == (200, {"stored": 1, "known": 25})
    assert Event.objects.count() == 26


@pytest.mark.parametrize("lines", [(), ("", " ", "")])
def test_import_without_events_is_an_error(api: APIClient, lines: tuple[str, ...]) -> None:
    response = send(api, *lines)
    assert (response.status_code, response.json()["field"]) == (400, "body")
    assert "has no events" in response.json()["detail"]


def test_import_with_a_session_needs_its_csrf_token_and_reads_every_line(admin_user: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    body = "\n".join(json.dumps(line(n)) for n in range(3))
    assert client.post("/api/events/import/", body, content_type=NDJSON).status_code == 403
    client.cookies["csrftoken"] = "x" * 32
    response = client.post("/api/events/import/", body, content_type=NDJSON, headers={"X-CSRFToken": "x" * 32})
    assert (response.status_code, response.json()) == (200, {"stored": 3, "known": 0})
    response = client.post("/api/events/import/", "", content_type=NDJSON, headers={"X-CSRFToken": "x" * 32})
    assert (response.status_code, response.json()["field"]) == (400, "body")


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"aggregate_id": "a-1"}, "type"),
        ("{", "line"),
        ("[1]", "event"),
        ({**line(1), "typ": 1}, "typ"),
        ({**line(1), "data": {"a": "\0"}}, "data.a"),
        ('{"aggregate_id": "a-1", "type": "A", "data": {"n": NaN}}', "line"),
        ('{"aggregate_id": "a-1", "type": "A", "data": ' + "[" * 100_000, "line"),
    ],
)
def test_first_bad_line_is_named_and_those_before_it_are_stored(api: APIClient, bad: Any, field: str) -> None:
    response = send(api, line(1), "", line(2), bad, line(3))
    assert response.status_code == 400
    fault = response.json()
    assert (fault["line"], fault["field"], fault["stored"], fault["known"]) == (4, field, 2, 0)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert len(stored()) == 2


def test_bytes_that_are_no_text_are_named(api: APIClient) -> None:
    body = json.dumps(line(1)).encode() + b"\n" + b'{"aggregate_id": "a-1", "type": "\xff\xfe"}'
    response = api.post("/api/events/import/", body, content_type=NDJSON)
    assert (response.status_code, response.json()["line"], response.json()["field"]) == (400, 2, "line")


def test_line_without_end_is_rejected_before_it_is_read(api: APIClient, settings: Any) -> None:
    settings.EVENTS_MAX_EVENT_BYTES = 1000
    response = send(api, line(1), '{"aggregate_id": "' + "x" * 100_000)
    assert (response.status_code, response.json()["line"]) == (400, 2)
    assert "longer than 22,384 bytes" in response.json()["detail"]


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/csv", "multipart/form-data; boundary=x"])
def test_other_media_types_are_rejected(api: APIClient, kind: str) -> None:
    response = api.post("/api/events/import/", b"{}", content_type=kind)
    assert response.status_code == 415


def test_packed_bodies_are_rejected(api: APIClient) -> None:
    assert send(api, line(1), **{"Content-Encoding": "gzip"}).json()["field"] == "Content-Encoding"


def test_export_is_what_import_takes(api: APIClient, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_JSON_FIRST_PAGE_EVENTS", 3)  # several pages
    data = {"n": 2**70, "f": 1e23, "t": '😀 "\\ \x85 \u2028 \u2029\n', "e": {}, "l": [None, True], "s": 5e-324}
    store.dispatch(*[new(f"a-{n}", data={**data, "i": n}, metadata={"m": n}) for n in range(20)])
    response = api.get("/api/events/export/")
    assert response.headers["Content-Type"] == NDJSON
    lines = b"".join(response).decode().splitlines()
    exported = [json.loads(each) for each in lines]
    assert [each["data"] for each in exported] == [event.data for event in Event.objects.order_by("position")]
    moments = ("timestamp", "recorded_at")
    for each, event in zip(exported, Event.objects.order_by("position"), strict=True):
        wanted = event_as_dict(event)
        assert list(each) == list(wanted)
        assert {k: v for k, v in each.items() if k not in moments} == {
            k: v for k, v in wanted.items() if k not in moments
        }
    assert send(api, *lines).json() == {"stored": 0, "known": 20}


def test_export_can_be_narrowed(api: APIClient, store: EventStore) -> None:
    events = store.dispatch(new("a-1", "A"), new("b-1", "B"), new("a-2", "A"), new("a-3", "A"))

    def positions(**parameters: Any) -> list[int]:
        text = b"".join(api.get("/api/events/export/", parameters)).decode()
        return [json.loads(each)["position"] for each in text.splitlines()]

    assert positions(type="A", after=events[0].position) == [events[2].position, events[3].position]
    assert positions(category="b") == [events[1].position]
    assert positions(up_to=events[1].position) == [events[0].position, events[1].position]
    assert positions(type="Unheard") == positions(category="a-b") == []


def test_pages_of_large_events_end_at_some_megabytes(store: EventStore) -> None:
    text = "x" * 700_000
    for n in range(8):
        store.dispatch(new(f"a-{n}", data={"text": text}))
    sizes = [len(page) for page in store.export()]
    assert len(sizes) == 4
    assert max(sizes) < 3 * 1024 * 1024


@pytest.mark.django_db(transaction=True)
def test_tens_of_thousands_of_events_in_one_request_and_out_again(
    asgi_server: AsgiServer, admin_user: Any, no_subscribers: None
) -> None:
    """The memory that Python holds does not grow with the request, nor with the answer."""
    headers = {"Authorization": f"Token {Token.objects.create(user=admin_user).key}", "Content-Type": NDJSON}
    count = 100_000 if FULL else 25_000  # `make memory` sends a million

    def lines() -> Iterator[bytes]:
        for start in range(0, count, 500):
            yield b"".join(json.dumps(line(n)).encode() + b"\n" for n in range(start, start + 500))

    tracemalloc.start()
    try:
        answer = httpx.post(f"{asgi_server.url}/api/events/import/", content=lines(), headers=headers, timeout=200)
        assert answer.json() == {"stored": count, "known": 0}
        found = 0
        with httpx.stream("GET", f"{asgi_server.url}/api/events/export/", headers=headers, timeout=200) as response:
            for chunk in response.iter_bytes():
                found += chunk.count(b"\n")
        assert found == count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    print(f"{peak / 2**20:.1f} MiB")
    assert peak < 40 * 1024 * 1024


@pytest.mark.parametrize("asked", [None, "false", "true"])
def test_import_calls_subscribers_only_when_asked(api: APIClient, store: EventStore, asked: str | None) -> None:
    seen = []
    store.subscribe("A", lambda event, **kwargs: seen.append(event.version))
    query = f"?call_subscribers={asked}" if asked else ""
    body = json.dumps(line(0))
    assert api.post(f"/api/events/import/{query}", f"{body}\n{body}", content_type=NDJSON).status_code == 200
    assert seen == ([1, 2] if asked == "true" else [])
    assert AggregateActivity.objects.get().event_count == 2


@pytest.mark.parametrize("query", ["call_subscribers=maybe", "call_subscribers=", "subscribers=true"])
def test_parameters_of_an_import_are_strict(api: APIClient, query: str) -> None:
    response = api.post(f"/api/events/import/?{query}", json.dumps(line(0)), content_type=NDJSON)
    assert (response.status_code, response.json()["field"]) == (400, query.partition("=")[0])


def test_reading_stops_at_the_settled_position(api: APIClient, store: EventStore) -> None:
    store.dispatch(*some(3))
    last = Event.objects.latest("position").position
    assert b"".join(api.get("/api/events/export/", {"after": last})) == b""


def test_head_of_an_export_reads_nothing(api: APIClient, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.dispatch(*some(3))
    full = api.get("/api/events/export/")
    assert len(b"".join(full).splitlines()) == 3
    monkeypatch.setattr(reader, "json_pages", None)
    response = api.head("/api/events/export/")
    assert (response.status_code, dict(response.headers)) == (200, dict(full.headers))
    assert b"".join(response) == b""
