"""Event streams over HTTP: history, then live, none lost, none twice, nobody kept who may not be."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from events.models import Event
from events.store import EventStore
from events.streaming import feed
from tests.support import AsgiServer, Background, Wait, in_threads, new, open_append, raise_first, some

pytestmark = pytest.mark.django_db(transaction=True)


class Message:
    """One message of a stream, as a browser would see it."""

    def __init__(self, lines: list[str]) -> None:
        fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
        self.id = int(fields["id"]) if "id" in fields else None
        self.event = fields.get("event", "message")
        self.data = json.loads(fields["data"]) if "data" in fields else None
        self.is_comment = all(line.startswith(":") for line in lines)


class Stream:
    """An open stream, read message by message."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._messages = self._read()

    def _read(self) -> Iterator[Message]:
        lines: list[str] = []
        for line in self.response.iter_lines():
            if line:
                lines.append(line)
            elif lines:
                yield Message(lines)
                lines = []

    def next(self) -> Message:
        """The next message that is no comment and no `retry`."""
        return next(message for message in self._messages if message.data is not None)

    def any(self) -> Message:
        return next(self._messages)

    def events(self, count: int) -> list[dict[str, Any]]:
        return list(islice((each.data for each in self._messages if each.data and each.event == "message"), count))

    def up_to(self, name: str) -> list[Message]:
        found = []
        while not found or found[-1].event != name:
            found.append(self.next())
        return found

    def rest(self) -> list[Message]:
        return [message for message in self._messages if message.data is not None]


@pytest.fixture
def connect(asgi_server: AsgiServer, make_user: Callable[..., User]) -> Any:
    """Opens a stream as a user who may read everything, or another one."""
    reader = make_user("events.view_event")

    @contextmanager
    def open_stream(path: str = "/api/events/stream/", user: User = reader, **headers: str) -> Iterator[Stream]:
        token, _ = Token.objects.get_or_create(user=user)
        headers["Authorization"] = f"Token {token.key}"
        timeout = httpx.Timeout(20)
        with httpx.stream("GET", asgi_server.url + path, headers=headers, timeout=timeout) as response:
            yield Stream(response)

    return open_stream


def test_history_comes_first_then_what_is_new(connect: Any, store: EventStore) -> None:
    old = store.dispatch(*some(2), new("a-1", data={"n": 3, "text": "\x85 \u2028 \u2029 \r\n"}))
    with connect() as stream:
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        found = stream.up_to("caught-up")
        assert [message.id for message in found] == [*(event.position for event in old), old[-1].position]
        assert [message.event for message in found] == ["message"] * 3 + ["caught-up"]
        assert found[0].data["data"] == {"n": 1}
        assert found[-1].data == {"position": old[-1].position}
        (later,) = store.dispatch(new("b-1"))
        message = stream.next()
        assert (message.id, message.event, message.data["aggregate_id"]) == (later.position, "message", "b-1")
        api = APIClient()
        api.force_authenticate(User.objects.create_superuser("root"))
        assert api.get(f"/api/events/{later.event_id}/").json() == message.data


@pytest.mark.parametrize("how", ["after", "Last-Event-ID", "both"])
def test_it_goes_on_after_what_the_client_has_seen(connect: Any, store: EventStore, how: str) -> None:
    events = store.dispatch(*some(4))
    seen = events[1].position
    path = f"/api/events/stream/?after={seen if how == 'after' else 0}"
    headers = {} if how == "after" else {"Last-Event-ID": str(seen)}
    with connect(path, **headers) as stream:
        assert [event["version"] for event in stream.events(2)] == [3, 4]


def test_from_now_on(connect: Any, store: EventStore) -> None:
    store.dispatch(*some(4))
    with connect("/api/events/stream/?after=now") as stream:
        assert stream.next().event == "caught-up"
        store.dispatch(new("b-1"))
        assert [event["aggregate_id"] for event in stream.events(1)] == ["b-1"]


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


def test_checkpoints_move_on_though_nothing_matches_and_can_be_resumed_from(
    connect: Any, store: EventStore, settings: Any
) -> None:
    settings.EVENTS_STREAM_CHECKPOINT_SECONDS = 0.1
    with connect("/api/events/stream/?type=Rare") as stream:
        stream.up_to("caught-up")
        *_, last = store.dispatch(*some(5))
        message = stream.next()
        assert (message.event, message.id, message.data) == ("checkpoint", last.position, {"position": last.position})
    store.dispatch(new("a-1", "Rare"))
    with connect("/api/events/stream/?type=Rare", **{"Last-Event-ID": str(message.id)}) as stream:
        assert [event["type"] for event in stream.events(1)] == ["Rare"]


def test_silence_is_broken_by_heartbeats(connect: Any, settings: Any) -> None:
    settings.EVENTS_STREAM_HEARTBEAT_SECONDS = 0.1
    with connect() as stream:
        stream.up_to("caught-up")
        assert stream.any().is_comment


def test_nothing_is_lost_or_doubled_while_writers_overlap(connect: Any, store: EventStore) -> None:
    """Clients that come, go and come again, while transactions commit out of order."""
    count = 150

    def write(writer: int) -> None:
        for n in range(count):
            with open_append(store, new(f"w-{writer}", data={"n": n})) if n % 30 == 0 else closing(connection):
                store.dispatch(new(f"x-{writer}", data={"n": n}))

    def follow() -> list[int]:
        seen: list[int] = []
        while True:
            headers = {"Last-Event-ID": str(seen[-1])} if seen else {}
            with connect(**headers) as stream:
                while True:
                    message = stream.next()
                    if message.event == "message":
                        seen.append(message.id)
                        if len(seen) % 97 == 0 and message.data["aggregate_id"] != "end-1":
                            break  # and connect again
                    if message.data.get("aggregate_id") == "end-1":
                        return seen

    followers = [Background(follow) for _ in range(3)]
    for follower in followers:
        follower.__enter__()
    try:
        raise_first(in_threads(*[lambda writer=writer: write(writer) for writer in range(4)]))
    finally:
        store.dispatch(new("end-1"))
        for follower in followers:
            follower.__exit__(None, None, None)
    everything = list(Event.objects.order_by("position").values_list("position", flat=True))
    for follower in followers:
        assert follower.result == everything


def test_history_of_many_pages_runs_over_into_live_events(connect: Any, store: EventStore) -> None:
    old = store.dispatch(*some(feed.PAGE_EVENTS * 2 + 50))
    with connect() as stream:
        first = stream.events(feed.PAGE_EVENTS + 1)
        new_ones = store.dispatch(*some(5, "b-1"))
        rest = stream.events(len(old) + 5 - len(first))
    assert [event["position"] for event in first + rest] == [event.position for event in [*old, *new_ones]]


def test_what_is_too_much_to_keep_is_read_from_the_database(connect: Any, store: EventStore, settings: Any) -> None:
    settings.EVENTS_STREAM_MAX_QUEUED_BYTES = 200_000
    with connect() as stream:
        stream.up_to("caught-up")
        # More than the buffers between take, while nothing is read: the stream stands still, and falls behind.
        events = [event for n in range(60) for event in store.dispatch(new(f"a-{n}", data={"text": "x" * 300_000}))]
        Wait.until(lambda: store.settled_position() == events[-1].position)
        assert [found["position"] for found in stream.events(60)] == [event.position for event in events]


def test_settled_position_that_lies_behind_the_client_repeats_nothing(connect: Any, store: EventStore) -> None:
    """Another process may have seen a higher one: it is never too high, but may come out lower for a while."""
    with ExitStack() as held:
        held.enter_context(open_append(store, new("slow-1")))
        *_, last = store.dispatch(*some(3))
        with connect(**{"Last-Event-ID": str(last.position)}) as stream:
            stream.up_to("caught-up")
            held.close()
            (later,) = store.dispatch(new("b-1"))
            assert stream.events(1)[0]["position"] == later.position


def test_open_append_holds_the_stream_back(connect: Any, store: EventStore, settings: Any) -> None:
    settings.EVENTS_STREAM_HEARTBEAT_SECONDS = 0.2
    with connect() as stream:
        stream.up_to("caught-up")
        with open_append(store, new("slow-1")):
            store.dispatch(new("quick-1"))
            assert stream.any().is_comment
        assert [event["aggregate_id"] for event in stream.events(2)] == ["slow-1", "quick-1"]


def test_one_poller_and_no_connection_for_each_stream(connect: Any, store: EventStore, asgi_server: AsgiServer) -> None:
    def sessions() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            return int(cursor.fetchone()[0])

    opened = []
    try:
        for _ in range(40):
            stream = connect()
            opened.append((stream, stream.__enter__()))
        for _, stream in opened:
            stream.up_to("caught-up")
        # Ours, the poller, the reader of histories.
        Wait.until(lambda: sessions() <= 3, what="connections given back")
        (event,) = store.dispatch(new())
        assert [stream.events(1)[0]["position"] for _, stream in opened] == [event.position] * 40
    finally:
        for manager, _ in opened:
            manager.__exit__(None, None, None)
    Wait.until(lambda: feed.Feed.open_streams() == 0 and sessions() == 1, what="the feed closed")


def test_no_more_streams_than_the_process_takes(connect: Any, settings: Any) -> None:
    settings.EVENTS_STREAM_MAX_STREAMS = 1
    with connect() as stream:
        stream.up_to("caught-up")
        with connect() as rejected:
            rejected.response.read()
            assert rejected.response.status_code == 503
            assert rejected.response.headers["Retry-After"] == "5"
            assert rejected.response.json()["type"] == "/api/problems/too-many-streams/"


def _revoke_permission(user: User) -> None:
    user.user_permissions.clear()


def _delete_token(user: User) -> None:
    Token.objects.filter(user=user).delete()


def _deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize("revoke", [_revoke_permission, _delete_token, _deactivate])
def test_stream_ends_when_its_user_may_not_read_any_more(
    connect: Any, make_user: Callable[..., User], store: EventStore, settings: Any, revoke: Callable[[User], None]
) -> None:
    settings.EVENTS_STREAM_PERMISSION_SECONDS = 0.1
    user = make_user("events.view_event")
    with connect(user=user) as stream:
        stream.up_to("caught-up")
        time.sleep(0.3)
        store.dispatch(new("a-1"))
        assert stream.events(1)[0]["aggregate_id"] == "a-1"  # asked again, and still allowed
        revoke(user)
        time.sleep(0.3)
        store.dispatch(new("secret-1"))
        assert [message.event for message in stream.rest()] == ["revoked"]


def test_session_that_ended_ends_its_stream(
    asgi_server: AsgiServer, make_user: Callable[..., User], settings: Any
) -> None:
    settings.EVENTS_STREAM_PERMISSION_SECONDS = 0.1
    user = make_user("events.view_event")
    client = APIClient()
    client.login(username=user.username, password="secret")
    cookies = {"sessionid": client.cookies["sessionid"].value}
    with httpx.stream("GET", f"{asgi_server.url}/api/events/stream/", cookies=cookies, timeout=20) as response:
        stream = Stream(response)
        stream.up_to("caught-up")
        client.logout()
        assert stream.rest()[-1].event == "revoked"


def test_category_that_is_granted_or_taken_away_shows_in_the_open_stream(
    connect: Any, make_user: Callable[..., User], store: EventStore, settings: Any, category_permissions: Any
) -> None:
    settings.EVENTS_STREAM_PERMISSION_SECONDS = 0.05
    user = make_user("events.view_event:order")
    with connect(user=user) as stream:
        stream.up_to("caught-up")
        store.dispatch(new("cart-1"), new("order-1"))
        assert stream.events(1)[0]["aggregate_id"] == "order-1"
        user.user_permissions.set(Permission.objects.filter(codename="view_event:cart"))
        time.sleep(0.3)
        store.dispatch(new("order-2"), new("cart-2"))
        assert stream.events(1)[0]["aggregate_id"] == "cart-2"


def test_client_that_reads_nothing_is_cut_off(
    asgi_server: AsgiServer, make_user: Callable[..., User], store: EventStore, settings: Any
) -> None:
    settings.EVENTS_STREAM_SEND_TIMEOUT_SECONDS = 0.5
    for n in range(40):
        store.dispatch(new(f"a-{n}", data={"text": "x" * 500_000}))
    token = Token.objects.create(user=make_user("events.view_event"))
    where = urlsplit(asgi_server.url)
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((where.hostname, where.port))
        head = f"GET /api/events/stream/ HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Token {token.key}\r\n\r\n"
        client.sendall(head.encode())
        Wait.until(lambda: feed.Feed.open_streams() == 1)
        Wait.until(lambda: feed.Feed.open_streams() == 0, what="the stuck client cut off")


def test_streams_outlive_the_poller_s_connection(connect: Any, store: EventStore) -> None:
    with connect() as stream:
        stream.up_to("caught-up")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            assert cursor.fetchone()[0] >= 1
        store.dispatch(new("a-1"))
        assert stream.events(1)[0]["aggregate_id"] == "a-1"


def test_server_that_shuts_down_ends_its_streams_properly(connect: Any, store: EventStore, asgi_server: Any) -> None:
    store.dispatch(new())
    with connect() as stream:
        stream.up_to("caught-up")
        asgi_server.stop()
        assert stream.rest() == []  # the end, and not a broken connection


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
