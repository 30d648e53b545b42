"""A stream costs a coroutine, not a thread."""

import threading
from contextlib import ExitStack
from typing import Any

import pytest

from events.store import EventStore
from events.streaming.feed import Feed
from tests.support import Wait, new

pytestmark = pytest.mark.django_db(transaction=True)


def test_streams_keep_no_threads(connect: Any, store: EventStore) -> None:
    with ExitStack() as opened:
        opened.enter_context(connect()).up_to("caught-up")  # starts the threads of the feed
        before = threading.active_count()
        streams = [opened.enter_context(connect()) for _ in range(20)]
        for stream in streams:
            stream.up_to("caught-up")
        Wait.until(lambda: threading.active_count() <= before + 2, what="the threads of the requests ended")
        (event,) = store.dispatch(new())
        assert [stream.events(1)[0]["position"] for stream in streams] == [event.position] * 20
    Wait.until(lambda: Feed.open_streams() == 0, what="the streams ended")
