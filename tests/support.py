"""Helpers for tests: events without ado, threads with connections of their own, waiting without guessing."""

import asyncio
import os
import random
import socket
import string
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit
from uuid import uuid4

import uvicorn
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.db import connection, connections, transaction

from events.models import Aggregate, Event
from events.store import EventStore
from events.streaming.feed import Feed
from events.types import NewEvent
from tests import MANAGE


def new(aggregate_id: str = "a-1", type: str = "Happened", **fields: Any) -> NewEvent:  # noqa: A002
    """A new event of which only what matters is named."""
    return NewEvent(aggregate_id, type, **fields)


def some(number: int, aggregate_id: str = "a-1") -> list[NewEvent]:
    return [new(aggregate_id, data={"n": n}) for n in range(1, number + 1)]


def store_in_the_past(*events: tuple[str, str, datetime], gap: int = 1) -> None:
    """Write events (aggregate id, type, recorded at) past the guards, each `gap` positions above the one before."""
    versions: Counter[str] = Counter()
    position = last_position()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL events.maintenance = 'on'")
        rows = []
        for aggregate_id, event_type, moment in events:
            versions[aggregate_id] += 1
            position += gap
            rows.append((position, aggregate_id, versions[aggregate_id], uuid4(), event_type, moment, moment))
        cursor.executemany(
            "INSERT INTO events_event (position, aggregate_id, version, event_id, type, data, metadata, timestamp,"
            " recorded_at) VALUES (%s, %s, %s, %s, %s, '{}', '{}', %s, %s)",
            rows,
        )
        cursor.execute(
            "INSERT INTO events_aggregate (aggregate_id, category, version, created_at, updated_at)"
            " SELECT aggregate_id, split_part(aggregate_id, '-', 1), count(*), min(recorded_at), max(recorded_at)"
            " FROM events_event GROUP BY 1"
        )
        if events:
            cursor.execute("SELECT setval('events_event_position_seq', %s)", [position])


# Events that an older version or SQL could store, though Python cannot represent them: the field and its text.
UNREADABLE = {
    "digits": ("data", '{"v": %s}' % ("9" * 5000)),
    "digits in the metadata": ("metadata", '{"v": %s}' % ("9" * 5000)),
    "decimals": ("data", '{"v": %s.5}' % ("9" * 400)),
    "zeros": ("data", '{"v": 1%s}' % ("0" * 5000)),
    "decimals near zero": ("data", '{"v": 0.%s1}' % ("0" * 400)),
    "nesting": ("data", '{{"v": {}{}}}'.format("[" * 1500, "]" * 1500)),
    "nesting below the limit of parsers": ("metadata", '{{"v": {}{}}}'.format("[" * 300, "]" * 300)),
    "infinity": ("timestamp", "infinity"),
    "minus infinity": ("recorded_at", "-infinity"),
    "year": ("timestamp", "12000-01-01 00:00+00"),
    "year before Christ": ("timestamp", "0044-03-15 00:00+00 BC"),
}


def random_text(size: int) -> str:
    """Text that PostgreSQL does not compress."""
    return "".join(random.Random(size).choices(string.ascii_letters, k=size))


def store_unchecked(aggregate_id: str = "a-1", event_type: str = "Happened", **fields: str) -> int:
    """Write an event past the guards and checks, its fields as PostgreSQL's text; return its position."""
    now = "2024-05-01 12:00+00"
    values = {"data": "{}", "metadata": "{}", "timestamp": now, "recorded_at": now, **fields}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL events.maintenance = 'on'")
        cursor.execute(
            "INSERT INTO events_aggregate AS a (aggregate_id, category, version, created_at, updated_at)"
            " VALUES (%s, split_part(%s, '-', 1), 1, now(), now())"
            " ON CONFLICT (aggregate_id) DO UPDATE SET version = a.version + 1 RETURNING version",
            [aggregate_id, aggregate_id],
        )
        (version,) = cursor.fetchone()
        cursor.execute(
            "INSERT INTO events_event (position, aggregate_id, version, event_id, type, data, metadata, timestamp,"
            " recorded_at) VALUES (nextval('events_event_position_seq'), %s, %s, gen_random_uuid(), %s, %s::jsonb,"
            " %s::jsonb, %s::timestamptz, %s::timestamptz) RETURNING position",
            [aggregate_id, version, event_type, *values.values()],
        )
        (position,) = cursor.fetchone()
    return int(position)


def stored() -> list[tuple[str, int]]:
    """All that is in the store: aggregate id and version of each event, by position."""
    return list(Event.objects.order_by("position").values_list("aggregate_id", "version"))


def aggregates() -> dict[str, int]:
    return dict(Aggregate.objects.values_list("aggregate_id", "version"))


def last_position() -> int:
    """The last position taken from the sequence, whether or not an event came of it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_event_position_seq")
        return cursor.fetchone()[0]


def newest_position() -> int:
    """The position of the last event there is; 0 in an empty store."""
    return Event.objects.order_by("-position").values_list("position", flat=True).first() or 0


def in_threads(*functions: Callable[[], Any]) -> list[Any]:
    """Run `functions` side by side, each with a connection of its own; return what each returned or raised."""
    results: list[Any] = [None] * len(functions)
    start = threading.Barrier(len(functions))

    def run(index: int, function: Callable[[], Any]) -> None:
        try:
            start.wait()
            results[index] = function()
        except Exception as error:
            results[index] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def raise_first(results: Iterable[Any]) -> None:
    for result in results:
        if isinstance(result, Exception):
            raise result


class Background:
    """A function in a thread of its own, with a connection of its own; what it raises comes out at the end."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._thread.join()
        if self.error:
            raise self.error

    def _run(self) -> None:
        try:
            self.result = self._function()
        except Exception as error:
            self.error = error
        finally:
            connections.close_all()


@contextmanager
def open_append(store: EventStore, *events: NewEvent) -> Iterator[None]:
    """A transaction of another connection that has dispatched `events`, and commits at the end of the block."""
    inside, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            store.dispatch(*events)
            inside.set()
            may_end.wait(20)

    with Background(hold):
        try:
            assert inside.wait(20)
            yield
        finally:
            may_end.set()


class _ThreadedServer(uvicorn.Server):
    """Uvicorn in a thread, which gets no signals: it ends the streams itself."""

    async def shutdown(self, sockets: Any = None) -> None:
        Feed.end_streams()
        await super().shutdown(sockets)


class AsgiServer:
    """The project served by uvicorn on a loopback port, in this process, with the test's settings and database."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            ASGIStaticFilesHandler(get_asgi_application()),
            lifespan="off",
            log_level="error",
            timeout_graceful_shutdown=10,
            ws="none",
        )
        self._server = _ThreadedServer(config)

    def __enter__(self) -> Self:
        self._background = Background(lambda: self._server.run(sockets=[self._socket]))
        self._background.__enter__()
        Wait.until(lambda: self._server.started)
        return self

    def stop(self) -> None:
        self._server.should_exit = True

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        self._background.__exit__(None, None, None)
        self._socket.close()


class FragileProxy:
    """A way to a server of this machine that breaks when it is told to, in the middle of what it carries."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._writers: set[asyncio.StreamWriter] = set()
        self._allowance: int | None = None  # bytes of answers until it breaks
        self._ready = threading.Event()
        self.breaks = 0

    def __enter__(self) -> Self:
        self._background = Background(lambda: asyncio.run(self._serve()))
        self._background.__enter__()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._background.__exit__(None, None, None)

    def break_now(self) -> None:
        """Break all connections, whatever they do."""
        self._when_broken(self._break)

    def break_after(self, size: int) -> None:
        """Break all connections when `size` more bytes of answers have passed; wait for it."""
        self._when_broken(lambda: setattr(self, "_allowance", size))

    def _when_broken(self, order: Callable[[], None]) -> None:
        breaks = self.breaks
        self._loop.call_soon_threadsafe(order)
        Wait.until(lambda: self.breaks > breaks, what="connections broken")

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._end.wait()
        server.close()
        while self._writers:
            self._break()
            await asyncio.sleep(0.01)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        both = {writer}
        self._writers |= both
        try:
            there, to_there = await asyncio.open_connection(self._target.hostname, self._target.port)
            both.add(to_there)
            self._writers |= both
            await asyncio.gather(self._pass_on(reader, to_there), self._pass_on(there, writer, counts=True))
        except ConnectionError:
            pass  # broken by us, or closed by one of the two
        finally:
            for each in both:
                each.transport.abort()
            self._writers -= both

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counts: bool = False) -> None:
        while piece := await source.read(4096):
            if counts and self._allowance is not None:
                piece = piece[: self._allowance]
                self._allowance -= len(piece)
            sink.write(piece)
            await sink.drain()
            if counts and self._allowance == 0:
                self._break()
        raise ConnectionResetError  # ends the other direction, too

    def _break(self) -> None:
        self._allowance = None
        self.breaks += 1
        for writer in self._writers:
            writer.transport.abort()


class Wait:
    """Waiting for a condition, not for a while."""

    @staticmethod
    def until(condition: Callable[[], Any], *, timeout_seconds: float = 20, what: str = "") -> Any:
        deadline = time.monotonic() + timeout_seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {timeout_seconds} s: {what or condition}")
            time.sleep(0.005)
        return value


def somebody_waits_for_us() -> bool:
    """Whether some connection waits for a lock that this thread's connection holds."""
    with connection.cursor() as cursor:
        # Not pg_stat_activity: a transaction sees that as it was when it first looked.
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])


def process_on_test_database(*arguments: str | Path, **environment: str) -> "subprocess.Popen[str]":
    """Start Python with `arguments` and the settings and the database of the test."""
    settings = connection.settings_dict
    login = quote(settings["USER"]) + (f":{quote(settings['PASSWORD'])}" if settings["PASSWORD"] else "")
    port = f":{settings['PORT']}" if settings["PORT"] else ""
    url = f"postgres://{login}@{quote(settings['HOST'], safe='')}{port}/{settings['NAME']}"
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": url, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def manage_process(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """Start a real `manage.py` on the test's database."""
    return process_on_test_database(MANAGE, *arguments, **environment)


def manage(*arguments: str, **environment: str) -> str:
    """Run a real `manage.py` on the test's database to its end; return what it printed."""
    process = manage_process(*arguments, **environment)
    with process:
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output
