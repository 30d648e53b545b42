"""Servers that are told to stop end their streams at once, and clients come back where they were."""

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token

from events.store import EventStore
from events.streaming import stopping
from events.streaming.server_sent_events import STOPPING
from tests.support import Background, Wait, new, process_on_test_database

pytestmark = pytest.mark.django_db(transaction=True)

APPLICATION = "eventstore_project.asgi:application"
SERVERS = {
    "uvicorn": ["uvicorn", APPLICATION, "--host", "127.0.0.1", "--port", "{port}", "--lifespan", "off"],
    "gunicorn": ["gunicorn", APPLICATION, "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "-b", "127.0.0.1:{port}"],
    # Workers of hypercorn get no signal: with --workers 0, it serves in its own process.
    "hypercorn": ["hypercorn", APPLICATION, "--bind", "127.0.0.1:{port}", "--workers", "0"],
    "daphne": ["daphne", APPLICATION, "-b", "127.0.0.1", "-p", "{port}"],
}


class Client:
    """A client that reads a stream until it ends."""

    def __init__(self, url: str, token: str, last_id: str = "") -> None:
        self.lines: list[str] = []
        self.ended_at = 0.0
        self._url = f"{url}/api/events/stream/"
        self._headers = {"Authorization": f"Token {token}", **({"Last-Event-ID": last_id} if last_id else {})}

    def read(self) -> None:
        try:
            with httpx.stream("GET", self._url, headers=self._headers, timeout=30) as response:
                assert response.status_code == 200
                for line in response.iter_lines():
                    self.lines.append(line)
        finally:
            self.ended_at = time.monotonic()

    @property
    def ids(self) -> list[str]:
        return [line.removeprefix("id: ") for line in self.lines if line.startswith("id: ")]

    @property
    def events(self) -> int:
        return sum(line.startswith("data: {") and '"type"' in line for line in self.lines)


@contextmanager
def served_by(name: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = process_on_test_database("-m", *[each.format(port=port) for each in SERVERS[name]])
    url = f"http://127.0.0.1:{port}"
    try:
        Wait.until(lambda: _answers(url), timeout_seconds=40, what=name)
        yield process, url
    finally:
        process.terminate()  # gunicorn ends its workers; killed, it would leave them
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        if process.stdout:
            process.stdout.close()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/health/live/", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


# Ctrl-C ends gunicorn at once, with whatever its workers do.
@pytest.mark.parametrize(
    ("name", "number"), [*((name, signal.SIGTERM) for name in SERVERS), ("uvicorn", signal.SIGINT)]
)
def test_server_that_is_told_to_stop_ends_its_streams_within_two_seconds(
    name: str, number: signal.Signals, store: EventStore, make_user: Callable[..., User]
) -> None:
    token = Token.objects.create(user=make_user("events.view_event")).key
    store.dispatch(new("a-1"))
    with served_by(name) as (process, url):
        clients = [Client(url, token) for _ in range(3)]
        with Background(clients[0].read), Background(clients[1].read), Background(clients[2].read):
            Wait.until(lambda: all(client.events == 1 for client in clients))
            asked_at = time.monotonic()
            process.send_signal(number)
            process.wait(20)
            assert time.monotonic() - asked_at < 2
    for client in clients:
        assert client.ended_at - asked_at < 2
        assert STOPPING.decode().strip() in client.lines, "the stream has ended by itself"
    store.dispatch(new("a-1"), new("a-2"))
    with served_by(name) as (process, url):
        again = Client(url, token, clients[0].ids[-1])
        with Background(again.read):
            Wait.until(lambda: again.events == 2)
            process.send_signal(number)
    assert not set(clients[0].ids) & set(again.ids[:2]), "no event comes twice"


def test_handler_of_the_server_is_called_too() -> None:
    called: list[Any] = []
    before = signal.signal(signal.SIGTERM, lambda *given: called.append("server"))

    async def run() -> None:
        stopping.when_stopping(lambda: called.append("streams"))
        stopping.when_stopping(lambda: called.append("never"))
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0.05)

    interrupt = signal.getsignal(signal.SIGINT)
    try:
        asyncio.run(run())
        assert called == ["server", "streams"]
        # A new loop in the same process, as in tests: the former one is closed, and is left alone.
        asyncio.run(run())
        assert called == ["server", "streams"] * 2
        found: Any = signal.getsignal(signal.SIGTERM)
        assert not isinstance(found._before, stopping._Handler), "handlers of the past do not add up"
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, interrupt)


def test_other_threads_have_no_signals() -> None:
    async def run() -> None:
        stopping.when_stopping(lambda: None)

    before = signal.getsignal(signal.SIGTERM)
    with Background(lambda: asyncio.run(run())):
        pass
    assert signal.getsignal(signal.SIGTERM) is before
