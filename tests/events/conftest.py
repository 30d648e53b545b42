"""Fixtures of the store's tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token

from events.integrity import seals
from events.models import Event
from events.store import EventStore
from tests.events.integrity.support import seal_all
from tests.events.streaming.support import Stream
from tests.support import AsgiServer, new


@pytest.fixture
def event(store: EventStore) -> Event:
    return store.dispatch(new(data={"n": 1}))[0]


@pytest.fixture
def connect(asgi_server: AsgiServer, make_user: Callable[..., User]) -> Iterator[Any]:
    """Opens a stream as a user who may read everything, or another one."""
    reader = make_user("events.view_event")
    # One client: each makes a TLS context of its own, which takes longer than to open a stream.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    client = httpx.Client(base_url=asgi_server.url, timeout=20, limits=limits, trust_env=False)

    @contextmanager
    def open_stream(path: str = "/api/events/stream/", user: User = reader, **headers: str) -> Iterator[Stream]:
        token, _ = Token.objects.get_or_create(user=user)
        headers["Authorization"] = f"Token {token.key}"
        with client.stream("GET", path, headers=headers) as response:
            yield Stream(response)

    with client:
        yield open_stream


@pytest.fixture
def sealed(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Twelve events of three aggregates, under seals of five."""
    monkeypatch.setattr(seals, "MAX_SEALED_EVENTS", 5)
    happened = datetime(2030, 1, 31, 12, 0, 0, 500, tzinfo=UTC)
    for n in range(4):
        for name in ("a-1", "b-1", "c-1"):
            store.dispatch(
                new(name, "Happened", data={"n": n, "é": [1.5, None]}, timestamp=happened, metadata={"by": n})
            )
    seal_all()
    return list(Event.objects.order_by("position"))
