"""Readers that follow the store, each its own way, and come back after whatever breaks."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, Self

import httpx
from django.db import Error, connection

from events.exceptions import UnreadableEvent
from events.store import EventStore

PAUSE_SECONDS = 0.05
SILENCE_SECONDS = 20  # a stream gives a sign of life every 15


class Follower:
    """A thread that follows; what it has seen, it has seen for good.

    Attributes:
        seen: position and event id of each event, as they came.
        breaks: how often it had to come back.
        failure: what has ended it, which nothing may.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []
        self.breaks = 0
        self.failure: Exception | None = None
        self._ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def name(self) -> str:
        return type(self).__name__

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ending = True
        self._thread.join(2)

    def has_come_to(self, position: int) -> bool:
        return bool(self.seen) and self.seen[-1][0] >= position

    def _run(self) -> None:
        try:
            while not self._ending:
                try:
                    self._follow()
                    time.sleep(PAUSE_SECONDS)
                except (Error, httpx.HTTPError):
                    self.breaks += 1
                    connection.close()
                    time.sleep(PAUSE_SECONDS)
        except Exception as failure:
            self.failure = failure
        finally:
            connection.close()

    def _follow(self) -> None:
        """Take in what there is."""
        raise NotImplementedError

    def _sees(self, position: int, event_id: Any) -> None:
        self.seen.append((position, str(event_id)))


class PlainFollower(Follower):
    """Calls `read_all` again and again, after the last event it has seen."""

    def _follow(self) -> None:
        try:
            for event in EventStore().read_all(after=self.seen[-1][0] if self.seen else 0):
                self._sees(event.position, event.event_id)
        except UnreadableEvent as error:
            self._sees(error.position, error.event_id)


class HttpFollower(Follower):
    """One that comes over HTTP, by the Unix socket at `socket`."""

    def __init__(self, socket: Path, token: str) -> None:
        super().__init__()
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket)),
            base_url="http://localhost",
            headers={"Authorization": f"Token {token}"},
            timeout=SILENCE_SECONDS,
        )

    def _check(self, response: httpx.Response) -> None:
        """Let the follower come again after a fault of the server; a rejection it must not get."""
        if response.status_code >= 500:
            response.raise_for_status()
        elif response.status_code != 200:
            _rejected(response)


class PageFollower(HttpFollower):
    """Asks for page after page, each after the checkpoint that came with the one before."""

    def __init__(self, socket: Path, token: str) -> None:
        super().__init__(socket, token)
        self._checkpoint = 0

    def _follow(self) -> None:
        response = self._client.get("/api/events/", params={"after": self._checkpoint})
        self._check(response)
        page = response.json()
        for event in page["events"]:
            self._sees(event["position"], event["event_id"])
        self._checkpoint = page["checkpoint"]


class StreamFollower(HttpFollower):
    """Holds an event stream open, and resumes it by the last id that came, whatever came with it."""

    def __init__(self, socket: Path, token: str) -> None:
        super().__init__(socket, token)
        self._last_id = "0"

    def _follow(self) -> None:
        with self._client.stream("GET", "/api/events/stream/", headers={"Last-Event-ID": self._last_id}) as response:
            self._check(response)
            for message in _messages(response):
                if self._ending:
                    return
                if "event" not in message and "data" in message:
                    event = json.loads(message["data"])
                    self._sees(event["position"], event["event_id"])
                self._last_id = message.get("id", self._last_id)


def _messages(response: httpx.Response) -> Iterator[dict[str, str]]:
    """Yield the messages of a stream that came whole: those with the empty line behind them."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if not line:
            yield fields
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def _rejected(response: httpx.Response) -> NoReturn:
    raise RuntimeError(f"{response.request.url}: {response.status_code} {response.read().decode()}")
