"""Projections measured against hand-written loops, side by side: `make bench-projections`.

Prints a ratio for each row, the target, and the raw numbers. Needs a database server as the tests do; works in a
database of its own there, and drops it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

DATABASE = "eventstore_benchmark"


@contextmanager
def database() -> Iterator[None]:
    """A new database, migrated, as Django's default; the processes started meanwhile use it too."""
    from eventstore_project import postgres

    postgres.join_or_exit()
    import psycopg

    settings = postgres.database_settings()
    login = {"host": settings["HOST"], "user": settings["USER"], "password": settings.get("PASSWORD") or None}
    with psycopg.connect(dbname=settings["NAME"], autocommit=True, **login) as server:
        server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {DATABASE}")
        word = f":{quote(settings['PASSWORD'])}" if settings.get("PASSWORD") else ""
        os.environ["DATABASE_URL"] = (
            f"postgres://{settings['USER']}{word}@{quote(settings['HOST'], safe='')}/{DATABASE}"
        )
        os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
        import django

        django.setup()
        try:
            yield
        finally:
            from django.db import connections

            connections.close_all()
            server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")


def fill(events: int) -> None:
    """Store `events` events of 1,000 aggregates by the append function; one in a thousand is of type Rare."""
    from django.db import connection

    from benchmarks.readmodels import EVENT_DATA

    with connection.cursor() as cursor:
        for start in range(0, events, 10_000):
            cursor.execute(
                """
                SELECT count(*) FROM events_append(
                    ARRAY(SELECT 'item-' || n %% 1000 FROM generate_series(%s::int, %s) AS n),
                    ARRAY(SELECT CASE n %% 1000 WHEN 7 THEN 'Rare' ELSE 'Measured' END
                          FROM generate_series(%s::int, %s) AS n),
                    array_fill(%s::jsonb, ARRAY[%s]), array_fill('{}'::jsonb, ARRAY[%s]),
                    array_fill(NULL::timestamptz, ARRAY[%s]),
                    ARRAY(SELECT gen_random_uuid() FROM generate_series(%s::int, %s)), '{}', '{}')
                """,
                [*[start, start + 9_999] * 2, EVENT_DATA, 10_000, 10_000, 10_000, start, start + 9_999],
            )
        cursor.execute("VACUUM ANALYZE events_event")


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def empty() -> None:
    from django.db import connection

    from projections.models import ProjectionState

    ProjectionState.objects.filter(name__startswith="bench").delete()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE bench_count")


class Report:
    """The rows of the table, as they come."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def row(self, name: str, value: float, target: str, met: bool, detail: str) -> None:
        self.rows.append({"name": name, "value": round(value, 3), "target": target, "met": met, "detail": detail})
        mark = "ok  " if met else "MISS"
        print(f"{mark} {name:<44} {value:>9.3f}  target {target:<9} {detail}", flush=True)


def catch_up(*projections: Any) -> None:
    from projections import registry
    from projections.worker import Until, Worker

    for projection in projections:
        registry.register(projection)
    Worker([registry.get(projection.name) for projection in projections], until=Until.CAUGHT_UP).run()


def measure_catch_up(report: Report, rounds: int) -> None:
    import psycopg
    from django.db import connection

    from benchmarks import readmodels
    from events.models import Event

    total = Event.objects.count()
    settings = connection.settings_dict
    for name, projection, loop, target in (
        ("catch-up on sets / psycopg loop", readmodels.BySets, "sets", 0.6),
        ("catch-up with ORM handlers / ORM loop", readmodels.ByEvent, "orm", 0.8),
    ):
        ours, theirs = [], []
        for _ in range(rounds):
            empty()
            ours.append(seconds(lambda projection=projection: catch_up(projection)))
            empty()
            if loop == "sets":
                with psycopg.connect(host=settings["HOST"], user=settings["USER"], dbname=settings["NAME"]) as server:
                    theirs.append(seconds(lambda server=server: readmodels.hand_written_sets(server)))
            else:
                theirs.append(seconds(lambda: readmodels.hand_written_orm(total)))
        ratio = statistics.median(theirs) / statistics.median(ours)
        rates = f"{total / statistics.median(ours):,.0f}/s against {total / statistics.median(theirs):,.0f}/s"
        report.row(name, ratio, f">= {target}", ratio >= target, rates)


def measure_shards(report: Report, rounds: int) -> None:
    """The time that workers work, without their start: one process, and two, on four shards."""
    from django.db import connection

    from events.store import EventStore
    from projections.models import Checkpoint, Heartbeat, Operation  # noqa: F401

    settled = EventStore().settled_position()
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for processes in times:
            empty()
            workers = [manage("run_projections", "bench_sharded") for _ in range(processes)]
            try:
                while Heartbeat.objects.count() < processes:
                    time.sleep(0.01)
                # They wait at a settled position of 0 events to do: the projection is paused until now.
                release()
                start = time.perf_counter()
                while True:
                    positions = list(
                        Checkpoint.objects.filter(projection="bench_sharded").values_list("position", flat=True)
                    )
                    if positions and min(positions) >= settled:
                        break
                    time.sleep(0.01)
                times[processes].append(time.perf_counter() - start)
            finally:
                for worker in workers:
                    worker.terminate()
                    worker.wait()
                hold()
        connection.close()
    ratio = statistics.median(times[1]) / statistics.median(times[2])
    raw = f"{statistics.median(times[1]):.2f} s against {statistics.median(times[2]):.2f} s"
    report.row("4 shards: 2 processes / 1 process", ratio, ">= 1.6", ratio >= 1.6, raw)


def hold() -> None:
    """Let no worker begin with the sharded projection."""
    from django.db import connection

    from benchmarks import readmodels
    from projections import registration, registry
    from projections.models import ProjectionState

    registry.register(readmodels.Sharded)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE bench_count")
    ProjectionState.objects.filter(name="bench_sharded").delete()
    registration.ensure(registry.get("bench_sharded"))
    ProjectionState.objects.filter(name="bench_sharded").update(status="paused")


def release() -> None:
    from projections.models import ProjectionState

    ProjectionState.objects.filter(name="bench_sharded").update(status="running")


def measure_latency(report: Report, quiet_seconds: int) -> None:
    """From before the append is called until the checkpoint is seen to have passed it."""
    from django.db import connection

    from events.store import EventStore
    from events.types import NewEvent

    worker = manage("run_projections", "bench_orm")
    store = EventStore()

    def reached() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT position FROM projections_checkpoint WHERE projection_id = 'bench_orm'")
            row = cursor.fetchone()
            return row[0] if row else 0

    def one() -> float:
        start = time.perf_counter()
        (event,) = store.dispatch(NewEvent("item-1", "Measured"))
        while reached() < event.position:
            time.sleep(0.0002)
        return (time.perf_counter() - start) * 1000

    try:
        while reached() < store.settled_position():
            time.sleep(0.05)
        flowing = sorted(one() for _ in range(1000) if not time.sleep(0.01))
        p50, p99 = flowing[500], flowing[990]
        report.row("append to projected, p50", p50, "<= 5 ms", p50 <= 5, f"p99 {p99:.1f} ms, 1,000 events")
        report.row("append to projected, p99", p99, "<= 50 ms", p99 <= 50, f"longest {flowing[-1]:.1f} ms")
        time.sleep(2)  # it goes on looking often for a moment after an event
        before, started = cpu_seconds(worker.pid), time.perf_counter()
        time.sleep(quiet_seconds)
        idle = (cpu_seconds(worker.pid) - before) / (time.perf_counter() - started) * 100
        first = one()
        report.row(f"first event after {quiet_seconds} s", first, "<= 50 ms", first <= 50, "")
        report.row("idle worker, % of a core", idle, "< 1", idle < 1, "worker and its server process")
    finally:
        worker.terminate()
        worker.wait()


def measure_append(report: Report, rounds: int) -> None:
    """What an append costs with a worker beside it that idles, and without."""
    from events.store import EventStore
    from events.types import NewEvent

    store = EventStore()
    with_worker, without = [], []

    def append() -> None:
        for number in range(500):
            store.dispatch(NewEvent(f"other-{number}", "Unseen"))

    for _ in range(rounds):
        without.append(seconds(append))
        worker = manage("run_projections", "bench_orm")
        time.sleep(2)
        with_worker.append(seconds(append))
        worker.terminate()
        worker.wait()
    ratio = statistics.median(with_worker) / statistics.median(without)
    report.row(
        "append with a worker / without",
        ratio,
        "<= 1.15",
        ratio <= 1.15,
        f"{500 / statistics.median(with_worker):,.0f}/s against {500 / statistics.median(without):,.0f}/s",
    )


def measure_selective(report: Report, events: int, rounds: int) -> None:
    from benchmarks import readmodels

    fill(events)
    selective, everything = [], []
    for _ in range(rounds):
        empty()
        selective.append(seconds(lambda: catch_up(readmodels.Selective)))
        empty()
        everything.append(seconds(lambda: catch_up(readmodels.BySets)))
    ratio = statistics.median(everything) / statistics.median(selective)
    raw = f"{statistics.median(selective):.2f} s against {statistics.median(everything):.2f} s for all, on sets"
    report.row(f"1 in 1,000 of {events:,}: all / selective", ratio, ">= 20", ratio >= 20, raw)


def cpu_seconds(pid: int) -> float:
    """CPU time of a worker and of the server's processes that serve it."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
            " AND pid <> pg_backend_pid()"
        )
        backends = [row[0] for row in cursor.fetchall()]
    return sum(_cpu(each) for each in (pid, *backends))


def _cpu(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def manage(*arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "manage.py", *arguments], stderr=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=30_000, help="for catching up (%(default)s)")
    parser.add_argument("--many", type=int, default=1_000_000, help="for the selective projection (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quiet-seconds", type=int, default=60)
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    options = parser.parse_args()
    with database():
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE bench_count (key text PRIMARY KEY, count bigint NOT NULL)")
            cursor.execute("CREATE TABLE bench_checkpoint (position bigint NOT NULL)")
            cursor.execute("INSERT INTO bench_checkpoint VALUES (0)")
            cursor.execute("SHOW server_version")
            version = cursor.fetchone()[0]
        print(
            f"Python {platform.python_version()}, PostgreSQL {version}, {os.cpu_count()} cores, {options.rounds} rounds"
        )
        report = Report()
        fill(options.events)
        measure_catch_up(report, options.rounds)
        hold()
        measure_shards(report, options.rounds)
        measure_latency(report, options.quiet_seconds)
        measure_append(report, options.rounds)
        measure_selective(report, options.many, min(3, options.rounds))
        if options.json:
            with open(options.json, "w") as file:  # noqa: PTH123
                json.dump(report.rows, file, indent=2)
    sys.exit(0 if all(row["met"] for row in report.rows) else 1)


if __name__ == "__main__":
    main()
