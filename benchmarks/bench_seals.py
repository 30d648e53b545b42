"""Measure how fast events are sealed and verified: `make bench-seals`.

The client waits while the server works, so each figure is the work of one core. It prints events per second, the
target, and the ratio to reading the same rows by psycopg in the same run. It needs the same database server as the
tests, creates its own database there, and drops it.
"""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.common import benchmark, options_of, seconds
from benchmarks.variedstore import fill_varied

TARGET = 50_000


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="events in the store (%(default)s)")
    options = parser.parse_args()
    with benchmark(options) as report:
        fill_varied(options.events)
        works: dict[str, Callable[[], Any]] = {
            "rows read": read,
            "sealed": seal,
            "verified": verify,
            "sealed by a worker": seal_by_a_worker,
        }
        taken: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(options.rounds):
            for name, work in works.items():
                if name.startswith("sealed"):
                    forget_seals()
                taken[name].append(seconds(work))
        medians = {name: statistics.median(each) for name, each in taken.items()}
        for name, median in medians.items():
            rate = options.events / median
            detail = f"events per second, {medians['rows read'] / median:.2f} of reading them"
            if name == "rows read":
                report.note(name, rate, "events per second, as tuples by psycopg")
            elif name == "sealed by a worker":
                # No target: the worker reads the events as for any projection before it seals them.
                report.note(name, rate, detail)
            else:
                report.row(name, rate, f">= {TARGET}", rate >= TARGET, detail)


def read() -> None:
    from django.db import connection

    after, rows = 0, [()]
    with connection.cursor() as cursor:
        while rows:
            cursor.execute("SELECT * FROM events_event WHERE position > %s ORDER BY position LIMIT 1000", [after])
            rows = cursor.fetchall()
            after = rows[-1][0] if rows else after


def seal() -> None:
    from events.integrity import seals
    from events.storage import ordering

    up_to = ordering.settled_position("default")
    while seals.seal("default", up_to=up_to):
        pass


def verify() -> None:
    from events.integrity.verification import Verification

    for _ in Verification("default").run():
        pass


def seal_by_a_worker() -> None:
    from projections.projections import SealsProjection
    from projections.workers.worker import Until, Worker

    Worker([SealsProjection()], until=Until.CAUGHT_UP).run()


def forget_seals() -> None:
    from django.db import connection, transaction

    from projections.models import Checkpoint

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL events.maintenance = 'on'")
        cursor.execute("DELETE FROM events_seal")
        Checkpoint.objects.filter(projection="seals").update(position=0)


if __name__ == "__main__":
    main()
