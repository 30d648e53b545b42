"""Measure how much memory large events take at each door of the store: a part of `make memory`.

A new process opens each door, first of a store of small events, then of stores with events of a megabyte. The second
peak may be above the first by four times EVENTS_READ_PAGE_BYTES. An event of many small parts alone can take more in
Python: there, two events may be in memory, the one that the caller has and the next one, with their text. So the limit
is three times the objects of one event.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import string
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from io import StringIO
from typing import Any

from benchmarks.common import DATABASE, database

SETTINGS = "benchmarks.admin_settings"
MEGABYTE = 1_000_000
MIB = 1024 * 1024
PAGES = 4


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


SHAPES: dict[str, Callable[[int], str]] = {
    "small": lambda n: json.dumps({"n": n}),
    "text": lambda n: json.dumps({"text": "".join(random.Random(n).choices(string.printable[:62], k=MEGABYTE))}),
    "compressible": lambda n: json.dumps({"text": "the same words again, " * (MEGABYTE // 22)}),
    "escapes": lambda n: json.dumps({"text": "\x01" * (MEGABYTE // 6)}),
    "wide text": lambda n: json.dumps({"text": "😀" + "x" * MEGABYTE}, ensure_ascii=False),
    "parts": lambda n: '{"parts": [%s1]}' % ("1.5," * (MEGABYTE // 4)),
    "empty objects": lambda n: '{"parts": [%s{}]}' % ("{}," * (MEGABYTE // 3 - 10)),
    "deep": lambda n: '{"parts": [%s[]]}' % (f"{_nested(250)}," * (MEGABYTE // 501)),
}
# Shapes whose Python objects alone exceed the limit for a page.
OF_MANY_PARTS = ("empty objects", "deep")


def read_all() -> None:
    from events.store import EventStore

    for _ in EventStore().read_all():
        pass


def read_all_in_a_coroutine() -> None:
    from events.store import EventStore

    async def read() -> None:
        async for _ in EventStore().aread_all():
            pass

    asyncio.run(read())


def histories_as_of() -> None:
    from datetime import UTC, datetime

    follow(f"/api/aggregates/item-1/events/?limit=1000&as_of={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")


def export_to_a_file() -> None:
    from django.core.management import call_command

    call_command("export_events", "/dev/null", verbosity=0)


def export_over_http() -> None:
    get("/api/events/export/")


def follow(path: str, accept: str = "application/json") -> None:
    """Read a list over HTTP to its end."""
    following: str | None = path
    while following:
        link = get(following, accept).get("Link", "")
        following = link[link.index("<") + 1 : link.index(">")] if link else None


def get(path: str, accept: str = "*/*") -> dict[str, str]:
    """Send a request past the server and Django's test client, whose responses live until a garbage collection."""
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import RequestFactory

    address, _, query = path.removeprefix("http://testserver").partition("?")
    environ = RequestFactory()._base_environ(PATH_INFO=address, QUERY_STRING=query, HTTP_ACCEPT=accept)
    found: dict[str, str] = {}

    def start(status: str, headers: list[tuple[str, str]]) -> None:
        assert status == "200 OK", (path, status)
        found.update(headers)

    response: Any = _handler(WSGIHandler)(environ | {"HTTP_COOKIE": _cookie()}, start)
    for _ in response:
        pass
    response.close()
    return found


@cache
def _handler(make: Callable[[], Any]) -> Any:
    return make()


@cache
def _cookie() -> str:
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    browser = Client()
    browser.force_login(User.objects.get(username="measured"))
    return f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"


def open_pages(*paths: str) -> None:
    for path in paths:
        get(path)


def event_pages() -> None:
    from events.models import Event

    positions = Event.objects.order_by("position").values_list("position", flat=True)[:5]
    open_pages(*[f"/admin/events/event/{position}/change/" for position in positions])


def work(projection: type[Any]) -> None:
    from projections import registry
    from projections.workers.worker import Until, Worker

    if projection.name not in {each.name for each in registry.all_projections()}:
        registry.register(projection)
    Worker(registry.named([projection.name]), until=Until.CAUGHT_UP).run()


def rebuild(name: str) -> None:
    from projections import projections, registry
    from projections.operations import actions

    projection = getattr(projections, name)
    registry.register(projection)
    actions.ask_for_rebuild(projection.name, by="benchmark")
    work(projection)


def run_projection() -> None:
    from projections.projections import EventTypeActivityProjection

    work(EventTypeActivityProjection)


def retry_parked() -> None:
    from projections.base import Projection, handles
    from projections.models import ParkedEvent
    from projections.operations import actions

    class Parking(Projection):
        name = "memory_parking"
        retry_delays_seconds = ()
        fails = True

        @handles("Measured")
        def take(self, event: Any) -> None:
            if Parking.fails:
                raise ValueError

    work(Parking)
    assert ParkedEvent.objects.exists()
    Parking.fails = False
    assert actions.retry("memory_parking", by="benchmark")[1] == 0


def seal_and_verify() -> None:
    from django.core.management import call_command

    for command in ("seal_events", "verify_events"):
        call_command(command, stdout=StringIO())


def doctor() -> None:
    from events.monitoring import diagnostics

    for each in diagnostics.diagnostics("default"):
        list(each.diagnose("default"))


DOORS: dict[str, Callable[[], None]] = {
    "read_all": read_all,
    "aread_all": read_all_in_a_coroutine,
    "list over HTTP": lambda: follow("/api/events/?limit=1000"),
    "list as CloudEvents": lambda: follow("/api/events/?limit=1000", accept="application/cloudevents-batch+json"),
    "history over HTTP": lambda: follow("/api/aggregates/item-1/events/?limit=1000"),
    "history as of a moment": histories_as_of,
    "export to a file": export_to_a_file,
    "export over HTTP": export_over_http,
    "timeline": lambda: open_pages("/admin/events/aggregate/item-1/change/"),
    "event pages": event_pages,
    "list in the admin": lambda: open_pages("/admin/events/event/"),
    "search in the admin": lambda: open_pages("/admin/events/event/?in=data&q=words"),
    "dashboard": lambda: open_pages("/admin/"),
    "pass of a projection": run_projection,
    "rebuild": lambda: rebuild("EventTypeActivityProjection"),
    "rebuild of an INLINE projection": lambda: rebuild("AggregateActivityProjection"),
    "retry of parked events": retry_parked,
    "seal, verify": seal_and_verify,
    "doctor": doctor,
}


def open_door(name: str) -> None:
    """Open one door in this process, and print its peak memory in MiB."""
    import django

    django.setup()
    DOORS[name]()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def objects_mib(text: str) -> float:
    """Return the memory of the Python objects of JSON, in MiB."""
    import tracemalloc

    import orjson

    tracemalloc.start()
    value = orjson.loads(text)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del value
    return size / MIB


def fill(make: Callable[[int], str], events: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for n in range(events):
            cursor.execute("SELECT events_append_one('item-1', 'Measured', %s::jsonb)", [make(n)])


def measure(shape: str, events: int, doors: Sequence[str]) -> dict[str, float]:
    """Return the peak memory in MiB of each door, of a store with `events` events of a shape."""
    with database(DATABASE, SETTINGS):
        from django.contrib.auth.models import User
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        User.objects.create_superuser("measured", password="measured")
        fill(SHAPES[shape], events)
        found = {}
        for door in doors:
            command = [sys.executable, "-m", "benchmarks.memory_of_doors", "--door", door]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found[door] = float(answer.stdout.splitlines()[-1])
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=60, help="events in each store (%(default)s)")
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES)[1:], choices=SHAPES, help="the shapes of events")
    parser.add_argument("--doors", nargs="*", default=list(DOORS), help="the doors to open")
    parser.add_argument("--door", help=argparse.SUPPRESS)
    parser.add_argument("--shape", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.door:
        open_door(options.door)
    elif options.shape:
        print(json.dumps(measure(options.shape, options.events, options.doors)))
    else:
        sys.exit(_compare(options))


def _compare(options: argparse.Namespace) -> bool:
    """Print the memory above that for small events; return whether a limit is exceeded."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS)
    from events.conf import conf

    limit = PAGES * conf.read_page_bytes / MIB
    idle, missed = _measured_apart("small", options), False
    for shape in options.shapes:
        allowed = limit
        if shape in OF_MANY_PARTS:
            allowed = max(limit, 3 * objects_mib(SHAPES[shape](0)))
        print(f"{options.events} events of 1 MB, {shape}: at most {allowed:.0f} MiB more than for small events")
        for door, peak in _measured_apart(shape, options).items():
            more = peak - idle[door]
            missed |= more > allowed
            mark = "ok  " if more <= allowed else "MISS"
            print(f"{mark} {door:<34}{idle[door]:>8.1f} MiB {more:>+8.1f} MiB", flush=True)
    return missed


def _measured_apart(shape: str, options: argparse.Namespace) -> dict[str, float]:
    """Measure in a new process, because Django is set up for one database."""
    command = [sys.executable, "-m", "benchmarks.memory_of_doors", "--shape", shape, "--events", str(options.events)]
    answer = subprocess.run([*command, "--doors", *options.doors], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
