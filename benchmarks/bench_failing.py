"""Measure how long good events wait while other events fail: `make bench-failing`.

One event in a thousand fails at each attempt, each of another aggregate. Events are appended at half the rate at which
the projection handles them without failures. The time of a good event is from the call that appends it until the
checkpoint has passed it. This is a short form; the full one is `--events 1000000`.
"""

import bisect
import os
import threading
import time
from collections.abc import Callable

from benchmarks.bench_projections import catch_up, empty, manage
from benchmarks.common import Report, benchmark, fill, options_of, seconds, wait_until

FAILS_EVERY = 1_000
CALLS_PER_SECOND = 20
WARM_UP_EVENTS = 20_000
PATIENCE_SECONDS = 60  # how long the last events are waited for

# The failing event number k is of the aggregate item-k, so each of them is of another aggregate.
APPEND = """
    SELECT max(position) FROM events_append(
        ARRAY(SELECT 'item-' || CASE WHEN n %% 1000 = 7 THEN n / 1000 ELSE n %% 10000 END
              FROM generate_series(%(first)s::int, %(last)s) AS n),
        ARRAY(SELECT CASE WHEN n %% 1000 = 7 THEN 'Failing' ELSE 'Measured' END
              FROM generate_series(%(first)s::int, %(last)s) AS n),
        array_fill('{"quantity": 1}'::jsonb, ARRAY[%(number)s]), array_fill('{}'::jsonb, ARRAY[%(number)s]),
        array_fill(NULL::timestamptz, ARRAY[%(number)s]),
        ARRAY(SELECT gen_random_uuid() FROM generate_series(%(first)s::int, %(last)s)), '{}', '{}')
"""


class Times:
    """Pairs of a moment and a position, noted while others write and read them."""

    def __init__(self) -> None:
        self.moments: list[float] = []
        self.positions: list[int] = []

    def note(self, moment: float, position: int) -> None:
        self.moments.append(moment)
        self.positions.append(position)


def append(events: int, rate: float, appended: Times) -> None:
    """Append events at a rate, and note when each call began and the position of its last event."""
    import psycopg

    number = max(1, round(rate / CALLS_PER_SECOND))
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        begin = time.monotonic()
        for first in range(0, events, number):
            time.sleep(max(0.0, begin + first / rate - time.monotonic()))
            values = {"first": first, "last": first + number - 1, "number": number}
            started = time.monotonic()
            ((position,),) = server.execute(APPEND, values).fetchall()
            appended.note(started, position)


def watch(handled: Times, is_over: Callable[[], bool]) -> None:
    """Note the position of the checkpoint each time it moves."""
    import psycopg

    query = "SELECT position FROM projections_checkpoint WHERE projection_id = 'bench_failing'"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        while not is_over():
            row = server.execute(query).fetchone()
            if row and (not handled.positions or row[0] > handled.positions[-1]):
                handled.note(time.monotonic(), row[0])
            time.sleep(0.002)


def waits(appended: Times, handled: Times, end: float) -> list[float]:
    """Return how long the events of each call waited, sorted; for those that still wait, how long they have so far."""
    places = [bisect.bisect_left(handled.positions, position) for position in appended.positions]
    moments = [handled.moments[place] if place < len(handled.moments) else end for place in places]
    return sorted(moment - started for moment, started in zip(moments, appended.moments, strict=True))


def measure(report: Report, events: int) -> None:
    from benchmarks import readmodels
    from events.store import EventStore
    from projections import registry
    from projections.engine import registration
    from projections.models import Heartbeat, ProjectionState

    fill(WARM_UP_EVENTS)
    empty()
    alone = WARM_UP_EVENTS / seconds(lambda: catch_up(readmodels.ByEvent))
    empty()
    catch_up(readmodels.Failing)
    registration.ensure_registered(registry.get("bench_failing"))
    worker = manage("run_projections", "bench_failing")
    appended, handled, over = Times(), Times(), threading.Event()
    threads = [
        threading.Thread(target=append, args=(events, alone / 2, appended)),
        threading.Thread(target=watch, args=(handled, over.is_set)),
    ]
    try:
        wait_until(Heartbeat.objects.exists, "the worker has started")
        for thread in threads:
            thread.start()
        threads[0].join()
        settled = EventStore().settled_position()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and handled.positions[-1] < settled:
            time.sleep(0.1)
        end = time.monotonic()
        status = ProjectionState.objects.get(pk="bench_failing").status
    finally:
        over.set()
        threads[1].join()
        worker.terminate()
        worker.wait()
    found = waits(appended, handled, end)
    p50, p99 = (found[int(len(found) * part)] for part in (0.5, 0.99))
    name = f"{events // FAILS_EVERY:,} of {events:,} events fail: p99 of the others, s"
    detail = f"p50 {p50:.3f} s, longest {found[-1]:.3f} s, at {alone / 2:,.0f} events/s; {status}"
    report.row(name, p99, "<= 1", p99 <= 1 and status == "running", detail)


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--events", type=int, default=60_000, help="events to append (%(default)s)")
    options = parser.parse_args()
    with benchmark(options) as report:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE bench_count (key text PRIMARY KEY, count bigint NOT NULL)")
        measure(report, options.events)


if __name__ == "__main__":
    main()
