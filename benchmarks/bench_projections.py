"""Measure projections against hand-written loops: `make bench-projections`.

It prints a ratio for each row, the target, and the raw numbers. It needs the same database server as the tests, creates
its own database there, and drops it.
"""

import os
import subprocess
import sys
import time
from typing import Any

from benchmarks import reactions, timers
from benchmarks.common import Report, benchmark, by_turns, fill, options_of, other_sessions, seconds, wait_until


def empty() -> None:
    from django.db import connection

    from projections.models import ProjectionState

    ProjectionState.objects.filter(name__startswith="bench").delete()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE bench_count")


def catch_up(*projections: Any) -> None:
    from projections import registry
    from projections.workers.worker import Until, Worker

    for projection in projections:
        registry.register(projection)
    Worker([registry.get(projection.name) for projection in projections], until=Until.CAUGHT_UP).run()


def catch_up_seconds(projection: Any) -> float:
    empty()
    return seconds(lambda: catch_up(projection))


def measure_catch_up(report: Report, rounds: int) -> None:
    from benchmarks import readmodels
    from events.models import Event

    total = Event.objects.count()

    def loop_on_sets() -> float:
        import psycopg

        empty()
        with psycopg.connect(os.environ["DATABASE_URL"]) as server:
            return seconds(lambda: readmodels.hand_written_sets(server))

    def loop_with_orm() -> float:
        empty()
        return seconds(lambda: readmodels.hand_written_orm(total))

    for name, projection, loop, target in (
        ("catch-up on sets / psycopg loop", readmodels.BySets, loop_on_sets, 0.6),
        ("catch-up with ORM handlers / ORM loop", readmodels.ByEvent, loop_with_orm, 0.8),
    ):
        ours, theirs = by_turns(rounds, lambda projection=projection: catch_up_seconds(projection), loop)
        rates = f"{total / ours:,.0f}/s against {total / theirs:,.0f}/s"
        report.row(name, theirs / ours, f">= {target}", theirs / ours >= target, rates)


def measure_shards(report: Report, rounds: int) -> None:
    """Measure one and two worker processes on four shards, without the time of their start."""
    from django.db import connection

    from events.store import EventStore
    from projections.models import Checkpoint, Heartbeat

    settled = EventStore().settled_position()

    def work_of(processes: int) -> float:
        empty()
        workers = [manage("run_projections", "bench_sharded") for _ in range(processes)]
        try:
            wait_until(lambda: Heartbeat.objects.count() >= processes, "the workers have started")
            # The projection is paused until all workers have started.
            release()
            return seconds(lambda: wait_until(is_caught_up, "all shards have caught up"))
        finally:
            for worker in workers:
                worker.terminate()
                worker.wait()
            hold()
            connection.close()

    def is_caught_up() -> bool:
        positions = list(Checkpoint.objects.filter(projection="bench_sharded").values_list("position", flat=True))
        return bool(positions) and min(positions) >= settled

    one, two = by_turns(rounds, lambda: work_of(1), lambda: work_of(2))
    report.row(
        "4 shards: 2 processes / 1 process", one / two, ">= 1.6", one / two >= 1.6, f"{one:.2f} s against {two:.2f} s"
    )


def hold() -> None:
    """Register the sharded projection again, and pause it."""
    from django.db import connection

    from benchmarks import readmodels
    from projections import registry
    from projections.engine import registration
    from projections.models import ProjectionState

    registry.register(readmodels.Sharded)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE bench_count")
    ProjectionState.objects.filter(name="bench_sharded").delete()
    registration.ensure_registered(registry.get("bench_sharded"))
    ProjectionState.objects.filter(name="bench_sharded").update(status="paused")


def release() -> None:
    from projections.models import ProjectionState

    ProjectionState.objects.filter(name="bench_sharded").update(status="running")


def measure_latency(report: Report, quiet_seconds: int) -> None:
    """Measure the time from the call of an append until the checkpoint has passed the event."""
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
        wait_until(lambda: reached() >= store.settled_position(), "the worker has caught up")
        flowing = sorted(one() for _ in range(1000) if not time.sleep(0.01))
        p50, p99 = flowing[500], flowing[990]
        report.row("append to projected, p50", p50, "<= 5 ms", p50 <= 5, f"p99 {p99:.1f} ms, 1,000 events")
        report.row("append to projected, p99", p99, "<= 50 ms", p99 <= 50, f"longest {flowing[-1]:.1f} ms")
        time.sleep(2)  # after an event the worker polls at short intervals for a moment
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
    """Measure appends with an idle worker, and without."""
    from events.store import EventStore
    from events.types import NewEvent

    store = EventStore()

    def without() -> float:
        return seconds(lambda: [store.dispatch(NewEvent(f"other-{number}", "Unseen")) for number in range(500)])

    def with_worker() -> float:
        worker = manage("run_projections", "bench_orm")
        time.sleep(2)
        taken = without()
        worker.terminate()
        worker.wait()
        return taken

    alone, beside = by_turns(rounds, without, with_worker)
    rates = f"{500 / beside:,.0f}/s against {500 / alone:,.0f}/s"
    report.row("append with a worker / without", beside / alone, "<= 1.15", beside / alone <= 1.15, rates)


def measure_selective(report: Report, events: int, rounds: int) -> None:
    from benchmarks import readmodels

    fill(events)
    selective, everything = by_turns(
        rounds, lambda: catch_up_seconds(readmodels.Selective), lambda: catch_up_seconds(readmodels.BySets)
    )
    ratio = everything / selective
    raw = f"{selective:.2f} s against {everything:.2f} s for all, on sets"
    report.row(f"1 in 1,000 of {events:,}: all / selective", ratio, ">= 20", ratio >= 20, raw)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a worker and of the server processes of its connections."""
    return sum(_cpu(each) for each in (pid, *other_sessions()))


def _cpu(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def manage(*arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "manage.py", *arguments], stderr=subprocess.DEVNULL)


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--events", type=int, default=30_000, help="events to catch up with (%(default)s)")
    parser.add_argument("--many", type=int, default=1_000_000, help="events for the selective projection (%(default)s)")
    parser.add_argument("--quiet-seconds", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=60, help="over which timers are spread (%(default)s)")
    options = parser.parse_args()
    with benchmark(options) as report:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE bench_count (key text PRIMARY KEY, count bigint NOT NULL)")
            cursor.execute("CREATE TABLE bench_checkpoint (position bigint NOT NULL)")
            cursor.execute("INSERT INTO bench_checkpoint VALUES (0)")
        fill(options.events)
        measure_catch_up(report, options.rounds)
        hold()
        measure_shards(report, options.rounds)
        measure_latency(report, options.quiet_seconds)
        measure_append(report, options.rounds)
        reactions.measure_reactions(report, options.rounds)
        timers.measure_timers(report, options.rounds, options.seconds)
        measure_selective(report, options.many, min(3, options.rounds))


if __name__ == "__main__":
    main()
