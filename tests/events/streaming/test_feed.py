"""The feed: one poller for all streams, no event lost and none twice."""

import random
import string
from contextlib import ExitStack, closing
from typing import Any

import pytest
from django.db import connection

from events.models import Event
from events.store import EventStore
from events.streaming import feed
from tests.support import (
    UNREADABLE,
    AsgiServer,
    Background,
    Wait,
    in_threads,
    new,
    open_append,
    raise_first,
    some,
    store_unchecked,
)

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_page_is_bounded_by_bytes(store: EventStore, settings: Any) -> None:
    settings.EVENTS_READ_PAGE_BYTES = 8 * 250_000
    text = "".join(random.Random(1).choices(string.printable[:90], k=100_000))
    events = [store.dispatch(new(data={"text": text}))[0] for _ in range(5)]
    messages, reached = feed._page(Event.objects.all(), 0, events[-1].position)
    assert 1 <= len(messages) <= 2
    assert reached == messages[-1].position
    messages, reached = feed._page(Event.objects.all(), events[-2].position, events[-1].position + 7)
    assert (len(messages), reached) == (1, events[-1].position + 7)


def test_event_that_cannot_be_read_is_shown_marked_and_the_stream_goes_on(connect: Any, store: EventStore) -> None:
    field, text = UNREADABLE["digits"]
    old = [store.dispatch(new())[0].position, store_unchecked(**{field: text}), store.dispatch(new())[0].position]
    with connect() as stream:
        found = stream.events(3)
        assert [each["position"] for each in found] == old
        assert ["unreadable" in each for each in found] == [False, True, False]
        stream.up_to("caught-up")
        later = [store_unchecked(**{field: text}), store.dispatch(new())[0].position]
        assert [each["position"] for each in stream.events(2)] == later


def test_events_beyond_the_queue_limit_are_read_from_the_database(
    connect: Any, store: EventStore, settings: Any
) -> None:
    settings.EVENTS_STREAM_MAX_QUEUED_BYTES = 200_000
    with connect() as stream:
        stream.up_to("caught-up")
        # More than the buffers between take, while nothing is read: the stream stands still, and falls behind.
        events = [event for n in range(60) for event in store.dispatch(new(f"a-{n}", data={"text": "x" * 300_000}))]
        Wait.until(lambda: store.settled_position() == events[-1].position)
        assert [found["position"] for found in stream.events(60)] == [event.position for event in events]


def test_client_ahead_of_the_settled_position_gets_no_event_twice(connect: Any, store: EventStore) -> None:
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
