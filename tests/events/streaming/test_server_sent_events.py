"""The protocol of an event stream: history, live events, checkpoints, heartbeats, and its end."""

import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from events.store import EventStore
from events.streaming import feed, server_sent_events
from tests.events.streaming.support import Stream
from tests.support import AsgiServer, Wait, new, some

pytestmark = pytest.mark.django_db(transaction=True)


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


@pytest.fixture
def permission_checks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the user might still read, at each check so far of the streams of this process."""
    found: list[bool] = []
    may_go_on = server_sent_events.Stream._may_go_on

    async def watched(stream: Any, *args: Any) -> bool:
        before = stream._permitted_at
        may = await may_go_on(stream, *args)
        if stream._permitted_at != before:
            found.append(may)
        return may

    monkeypatch.setattr(server_sent_events.Stream, "_may_go_on", watched)
    return found


def wait_for_checks(found: list[bool]) -> None:
    """Wait until a check has begun and ended: the first may have begun before."""
    before = len(found)
    Wait.until(lambda: len(found) >= before + 2 or found[-1:] == [False], what="permission checks")


def _revoke_permission(user: User) -> None:
    user.user_permissions.clear()


def _delete_token(user: User) -> None:
    Token.objects.filter(user=user).delete()


def _deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize("revoke", [_revoke_permission, _delete_token, _deactivate])
def test_stream_ends_when_its_user_may_not_read_any_more(
    connect: Any,
    make_user: Callable[..., User],
    store: EventStore,
    settings: Any,
    revoke: Callable[[User], None],
    permission_checks: list[bool],
) -> None:
    settings.EVENTS_STREAM_PERMISSION_SECONDS = 0.1
    user = make_user("events.view_event")
    with connect(user=user) as stream:
        stream.up_to("caught-up")
        wait_for_checks(permission_checks)
        store.dispatch(new("a-1"))
        assert stream.events(1)[0]["aggregate_id"] == "a-1"  # asked again, and still allowed
        revoke(user)
        wait_for_checks(permission_checks)
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
    connect: Any,
    make_user: Callable[..., User],
    store: EventStore,
    settings: Any,
    category_permissions: Any,
    permission_checks: list[bool],
) -> None:
    settings.EVENTS_STREAM_PERMISSION_SECONDS = 0.05
    user = make_user("events.view_event:order")
    with connect(user=user) as stream:
        stream.up_to("caught-up")
        store.dispatch(new("cart-1"), new("order-1"))
        assert stream.events(1)[0]["aggregate_id"] == "order-1"
        user.user_permissions.set(Permission.objects.filter(codename="view_event:cart"))
        wait_for_checks(permission_checks)
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
