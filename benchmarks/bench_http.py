"""Measure the HTTP interface against plain views and plain SQL: `make bench-http`.

It prints a ratio for each row, the target, and the raw numbers. It needs the same database server as the tests, creates
its own database there, and drops it. One uvicorn process serves both sides, over the loopback interface.
"""

import json
import os
import time
from http.client import HTTPConnection, HTTPResponse
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.common import (
    EVENT_DATA,
    Report,
    benchmark,
    by_turns,
    fill,
    options_of,
    other_sessions,
    seconds,
    server,
    wait_until,
)

PAGE_EVENTS = 1000
HISTORY = "history-1"


class Client:
    """A persistent connection of a user with a token."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port)
        self._headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}

    def get(self, path: str) -> HTTPResponse:
        return self._ask("GET", path)

    def post(self, path: str, body: Any) -> HTTPResponse:
        return self._ask("POST", path, json.dumps(body))

    def _ask(self, method: str, path: str, body: str | None = None) -> HTTPResponse:
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        if response.status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {response.status} {response.read()!r}")
        return response


def make_token() -> str:
    """Return the token of a new user who may read and append events, and nothing else."""
    from django.contrib.auth.models import Permission, User
    from rest_framework.authtoken.models import Token

    user = User.objects.create_user("bench")
    wanted = Permission.objects.filter(content_type__app_label="events", codename__in=["add_event", "view_event"])
    user.user_permissions.set(wanted)
    return str(Token.objects.create(user=user).key)


def measure_append(report: Report, client: Client, rounds: int, events: int) -> None:
    from django.db import connection

    from benchmarks import plainviews

    with connection.cursor() as cursor:
        cursor.execute(plainviews.CREATE_TABLE)
        cursor.execute("VACUUM ANALYZE bench_event")
    data = json.loads(EVENT_DATA)
    numbers, plain_numbers = count(), count()

    def append() -> None:
        path = f"/api/aggregates/http-{next(numbers) % 100}/events/"
        client.post(path, {"type": "Measured", "data": data}).read()

    def append_plainly() -> None:
        number = next(plain_numbers)
        path = f"/plain/http-{number % 100}/append/"
        client.post(path, {"type": "Measured", "data": data, "version": number // 100 + 1}).read()

    append(), append_plainly()  # the first requests also initialise the server
    ours, plain = by_turns(rounds, lambda: seconds(append), lambda: seconds(append_plainly), turns=events)
    rates = f"{events / ours:,.0f}/s against {events / plain:,.0f}/s"
    report.row("append over HTTP / a view with one INSERT", plain / ours, ">= 0.7", plain / ours >= 0.7, rates)


def measure_page(report: Report, client: Client, rounds: int, pages: int) -> None:
    from events.store import EventStore
    from events.types import NewEvent

    EventStore().dispatch(*(NewEvent(HISTORY, "Measured", json.loads(EVENT_DATA)) for _ in range(PAGE_EVENTS)))

    def read() -> bytes:
        return client.get(f"/api/aggregates/{HISTORY}/events/?limit={PAGE_EVENTS}").read()

    def read_plainly() -> bytes:
        return client.get(f"/plain/{HISTORY}/events/").read()

    assert len(json.loads(read())["events"]) == len(json.loads(read_plainly())) == PAGE_EVENTS
    ours, plain = by_turns(rounds, lambda: seconds(read), lambda: seconds(read_plainly), turns=pages)
    rates = f"{pages / ours:,.1f}/s against {pages / plain:,.1f}/s"
    report.row("page of 1,000 events / ListAPIView", plain / ours, ">= 2", plain / ours >= 2, rates)


def measure_export(report: Report, client: Client, rounds: int) -> None:
    import psycopg

    from events.models import Event

    total = Event.objects.count()

    def export() -> None:
        response, lines = client.get("/api/events/export/"), 0
        while block := response.read(256 * 1024):
            lines += block.count(b"\n")
        assert lines == total

    def copy() -> None:
        query = "COPY (SELECT row_to_json(e) FROM events_event e ORDER BY position) TO STDOUT"
        with psycopg.connect(os.environ["DATABASE_URL"]) as session, session.cursor().copy(query) as rows:
            assert sum(1 for _ in rows) == total

    export(), copy()
    ours, plain = by_turns(rounds, lambda: seconds(export), lambda: seconds(copy))
    rates = f"{total / ours:,.0f}/s against {total / plain:,.0f}/s"
    report.row(f"export of {total:,} events / COPY", plain / ours, ">= 0.5", plain / ours >= 0.5, rates)


def measure_streams(report: Report, port: int, token: str, streams: int, events: int) -> None:
    """Measure the time from the call of an append until the clients of the streams have the event."""
    from benchmarks.listeners import Listeners
    from events.store import EventStore
    from events.types import NewEvent

    store, began, sessions = EventStore(), {}, 0
    with Listeners(port, token, streams) as listeners:
        for number in range(events):
            start = time.perf_counter()
            (event,) = store.dispatch(NewEvent(f"streamed-{number % 10}", "Measured", json.loads(EVENT_DATA)))
            began[event.position] = start
            sessions = max(sessions, len(other_sessions()))
            time.sleep(0.05)
        taken = sorted((moment - began[position]) * 1000 for position, moment in listeners.came(events))
    p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
    detail = f"p99 {p99:.1f} ms, longest {taken[-1]:.1f} ms, {events} events"
    report.row(f"append to {streams} streams, p50", p50, "<= 20 ms", p50 <= 20, detail)
    report.row(f"database sessions for {streams} streams", sessions, "<= 2", sessions <= 2, "")


def measure_many_streams(report: Report, port: int, pid: int, token: str, streams: int) -> None:
    from benchmarks.listeners import Listeners

    before = _status(pid, "VmRSS")
    with Listeners(port, token, streams):
        sessions, after, threads = len(other_sessions()), _status(pid, "VmRSS"), _status(pid, "Threads")
    wait_until(lambda: not other_sessions(), "the last stream has ended")
    report.note(f"database sessions for {streams} streams", sessions, f"{threads} threads")
    report.note("server's resident memory, MiB", after / 1024, f"{before / 1024:.0f} MiB before they were opened")


def _status(pid: int, name: str) -> int:
    """Return a number from the process status of Linux; memory is in KiB."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines[name].split()[0])


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="events in the store (%(default)s)")
    parser.add_argument("--requests", type=int, default=300, help="requests of one kind in a round (%(default)s)")
    parser.add_argument("--streams", type=int, default=200, help="open streams while appends are timed (%(default)s)")
    parser.add_argument("--many-streams", type=int, default=500, help="maximum number of open streams (%(default)s)")
    options = parser.parse_args()
    with benchmark(options) as report:
        fill(options.events)
        token = make_token()
        with server() as (port, pid):
            client = Client(port, token)
            measure_append(report, client, options.rounds, options.requests)
            measure_page(report, client, options.rounds, max(1, options.requests // 15))
            measure_export(report, client, options.rounds)
            measure_streams(report, port, token, options.streams, events=200)
            measure_many_streams(report, port, pid, token, options.many_streams)


if __name__ == "__main__":
    main()
