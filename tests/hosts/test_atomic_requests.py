"""A project with ATOMIC_REQUESTS: every request is a transaction, whatever the view does."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from events.models import Event
from events.store import EventStore
from tests.hosts.support import connected_by
from tests.support import AsgiServer, Wait, aggregates, in_threads, some, stored

pytestmark = pytest.mark.django_db(transaction=True)

HISTORY = "/api/aggregates/a-1/events/"
BATCH = 50
NDJSON = "application/x-ndjson"


@pytest.fixture(autouse=True)
def atomic_requests(transactional_db: None) -> Iterator[None]:
    with connected_by({"ATOMIC_REQUESTS": True}):
        yield


def lines(number: int, *more: Any) -> bytes:
    events = [{"aggregate_id": "a-1", "type": "Happened", "event_id": str(uuid4())} for _ in range(number)]
    return b"\n".join(map(orjson.dumps, [*events, *more]))


def send_lines(api: APIClient, content: bytes, query: str = "") -> Any:
    return api.post(f"/api/events/import/{query}", content, content_type=NDJSON)


def test_requests_append_conflict_and_repeat_as_ever(api: APIClient) -> None:
    def append(version: int, **headers: str) -> int:
        answer = api.post(HISTORY, {"type": "Happened"}, format="json", headers={"If-Match": f'"{version}"', **headers})
        return answer.status_code

    assert append(0) == 201
    assert append(0) == 412
    assert [append(1, **{"Idempotency-Key": "key-1"}) for _ in range(2)] == [201, 200]
    many = {"events": [{"aggregate_id": "b-1", "type": "A"}, {"aggregate_id": "a-1", "type": "B"}]}
    for version, status in ((7, 409), (2, 201)):
        body = {**many, "expected_version": {"a-1": version}}
        assert api.post("/api/events/", body, format="json").status_code == status
    assert aggregates() == {"a-1": 3, "b-1": 1}
    assert len(api.get("/api/events/").json()["events"]) == 4


def test_one_event_id_under_two_aggregates_at_once_is_rejected_and_nothing_of_it_stays(
    api: APIClient, store: EventStore
) -> None:
    """PostgreSQL ends the request's transaction there; the answer is the same as without one."""
    event_id = str(uuid4())

    def append(aggregate_id: str) -> Any:
        body = {"type": "Happened", "event_id": event_id}
        return lambda: api.post(f"/api/aggregates/{aggregate_id}/events/", body, format="json").status_code

    assert sorted(in_threads(append("a-1"), append("b-1"))) == [201, 409]
    assert len(stored()) == len(list(store.read_all())) == 1


def test_import_stores_batches_of_their_own_and_keeps_what_came_before_a_bad_line(
    api: APIClient, store: EventStore, settings: Any
) -> None:
    settings.EVENTS_MAX_DISPATCH_EVENTS = BATCH
    others: list[int] = []

    def look(event: Event, **kwargs: Any) -> None:
        others.extend(in_threads(Event.objects.count))

    with store.subscribe("Last", look):
        content = lines(BATCH, {"aggregate_id": "a-1", "type": "Last"}, {"type": ""})
        answer = send_lines(api, content, "?call_subscribers=true")
    assert answer.status_code == 400
    assert (answer.json()["line"], answer.json()["stored"]) == (BATCH + 2, BATCH + 1)
    assert others == [BATCH], "one transaction around an import of any length holds up every reader"
    assert len(stored()) == BATCH + 1


def test_export_gives_back_what_an_import_took(api: APIClient) -> None:
    content = lines(300)
    assert send_lines(api, content).json() == {"stored": 300, "known": 0}
    exported = b"".join(api.get("/api/events/export/"))  # type: ignore[call-overload]
    assert len(exported.splitlines()) == 300
    assert send_lines(api, exported).json() == {"stored": 0, "known": 300}


def test_streams_keep_no_connection_each(store: EventStore, asgi_server: AsgiServer, admin_user: User) -> None:
    """A database has a hundred connections or so; a process has a thousand streams."""
    headers = {"Authorization": f"Token {Token.objects.create(user=admin_user).key}", "Last-Event-ID": "0"}
    store.dispatch(*some(3))
    with httpx.Client(base_url=asgi_server.url, headers=headers, timeout=20) as client:
        streams = [client.stream("GET", "/api/events/stream/") for _ in range(12)]
        for stream in streams:
            received = stream.__enter__().iter_lines()
            assert len([next(line for line in received if line.startswith("id:")) for _ in range(3)]) == 3
        # This one, the poller's, the histories', and that of the last request, when the others have let go of theirs.
        Wait.until(lambda: sessions() <= 4, what="a connection each was let go of")
        for stream in streams:
            stream.__exit__(None, None, None)


def sessions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
