"""Event streams over HTTP: filters and limits."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from events.api.views import streams
from events.store import EventStore
from events.streaming.feed import Feed
from tests.events.api.support import as_problem
from tests.support import AsgiServer, new, some

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


def test_one_user_cannot_take_all_streams(connect: Any, settings: Any, make_user: Callable[..., User]) -> None:
    settings.EVENTS_STREAM_MAX_STREAMS_PER_USER = 1
    with connect() as stream:
        stream.up_to("caught-up")
        with connect() as rejected:
            rejected.response.read()
            assert as_problem(rejected.response, 429)["type"] == "/api/problems/too-many-streams-of-user/"
            assert rejected.response.headers["Retry-After"] == "5"
        with connect(user=make_user("events.view_event")) as other:
            other.up_to("caught-up")


@pytest.mark.django_db(transaction=True)
def test_requests_of_one_moment_do_not_exceed_the_limit(
    connect: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The view counts in one thread, the streams begin in another."""
    settings.EVENTS_STREAM_MAX_STREAMS = 1
    with connect() as stream:
        stream.up_to("caught-up")
        monkeypatch.setattr(streams, "_too_many", lambda user: None)
        with connect() as late:
            assert late.response.read() == b"retry: 5000\n\n"


@pytest.mark.parametrize("path", ["/api/events/stream/", "/api/aggregates/a-1/stream/"])
def test_head_has_the_headers_only_and_takes_no_slot(
    connect: Any, asgi_server: AsgiServer, admin_user: User, path: str
) -> None:
    headers = {"Authorization": f"Token {Token.objects.create(user=admin_user).key}"}
    with connect(path) as stream:
        stream.up_to("caught-up")
        response = httpx.head(asgi_server.url + path, headers=headers, timeout=5)
        assert response.status_code == 200
        expected = dict(stream.response.headers)
        assert {**response.headers, "date": ""} == {**expected, "date": ""}
        assert Feed.open_streams() == 1
    assert httpx.head(asgi_server.url + path, timeout=5).status_code == 401


def test_position_that_was_never_given_out_is_an_error(
    asgi_server: AsgiServer, admin_user: User, store: EventStore
) -> None:
    (event,) = store.dispatch(new())
    headers = {"Authorization": f"Token {Token.objects.create(user=admin_user).key}"}
    url = f"{asgi_server.url}/api/events/stream/"
    huge = str(2**63 - 1)
    for position in (huge, str(event.position + 1)):
        problem = as_problem(httpx.get(url, params={"after": position}, headers=headers, timeout=5), 400)
        assert problem["field"] == "after"
    problem = as_problem(httpx.get(url, headers={**headers, "Last-Event-ID": huge}, timeout=5), 400)
    assert problem["field"] == "Last-Event-ID"


def test_wsgi_says_that_it_has_no_streams(api: APIClient) -> None:
    for path in ("/api/events/stream/", "/api/aggregates/a-1/stream/"):
        response = api.get(path)
        assert (response.status_code, response.json()["type"]) == (501, "/api/problems/no-streams/")


async def stream_of_a_test_case(user: User) -> Any:
    client = AsyncClient()
    await sync_to_async(client.force_login)(user)
    return await client.get("/api/events/stream/")


def test_stream_in_a_test_case_says_that_it_would_see_nothing(admin_user: User) -> None:
    response = async_to_sync(stream_of_a_test_case)(admin_user)
    assert response.status_code == 501
    assert "Use a TransactionTestCase" in response.json()["detail"]


def test_empty_last_event_id_counts_as_absent(api: APIClient) -> None:
    assert api.get("/api/events/stream/", headers={"Last-Event-ID": ""}).status_code == 501
    problem = as_problem(api.get("/api/events/stream/?after=x", headers={"Last-Event-ID": ""}), 400)
    assert problem["field"] == "after"


@pytest.mark.parametrize(
    ("path", "headers", "field"),
    [
        ("?after=-1", {}, "after"),
        ("?after=later", {}, "after"),
        ("", {"Last-Event-ID": "x"}, "Last-Event-ID"),
        ("", {"Last-Event-ID": "1,2"}, "Last-Event-ID"),
        ("?limit=5", {}, "limit"),
        ("?timestamp_after=2020-01-01T00:00:00Z", {}, "timestamp_after"),
    ],
)
def test_bad_parameters_are_named(api: APIClient, path: str, headers: dict[str, str], field: str) -> None:
    response = api.get(f"/api/events/stream/{path}", headers=headers)
    assert (response.status_code, response.json()["field"]) == (400, field)
