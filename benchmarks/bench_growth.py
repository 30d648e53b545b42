"""Measure how the store's costs grow with its size: `make bench-growth`.

One database grows, and is measured at each of the sizes. Times are multiples of a reference that is measured in turn
with them: a bare INSERT by psycopg into a small table without indexes, or reading 100 rows of such a table. The client
waits while the server works, so each figure is the work of one core and the disk. docs/growth.md explains each row.

It needs the same database server as the tests, without other users, and a superuser for CHECKPOINT. It creates its own
database there, and drops it.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random
from typing import Any

from benchmarks.common import EVENT_DATA, Report, benchmark, by_turns, options_of, seconds
from benchmarks.growingstore import BATCH, aggregate_id, any_aggregate, grow, lengthen

TARGET = 1.3
APPENDS, BATCHES, QUICK_READS, READS = 200, 5, 200, 30  # turns of a round
LOGGED, EXPLAINED = 300, 100  # appends of which write-ahead log and pages are counted
EXISTING, AGAIN, NEW, HUNDRED = "append, existing", "append, existing, again", "append, new", "append 100 events"
FIRST_UNUSED = 10**9  # larger than any size: aggregates from this number on are new


class Growth:
    """The rows of the table: each measure at each size, and its ratio to the smallest size."""

    def __init__(self, report: Report, rounds: int) -> None:
        self.report = report
        self.rounds = rounds
        self.size = 0
        self.at_smallest: dict[str, float] = {}
        self.times: dict[str, float] = {}

    def note(self, name: str, value: float, detail: str = "") -> None:
        if name in self.at_smallest:
            self.times[name] = value / self.at_smallest[name]
            detail = f"{self.times[name]:.2f} x; {detail}"
        self.at_smallest.setdefault(name, value)
        self.report.note(f"{self.size:,}: {name}", value, detail)

    def compare(self, reference: Callable[[], Any], works: dict[str, Callable[[], Any]], turns: int) -> None:
        """Note the costs of `works`, as multiples of the reference in the same rounds."""
        first, *others = by_turns(
            self.rounds, *(partial(seconds, work) for work in (reference, *works.values())), turns=turns
        )
        for name, taken in zip(works, others, strict=True):
            detail = f"{1e6 * taken / turns:,.0f} us; reference {1e6 * first / turns:,.0f} us"
            self.note(name, taken / first, detail)


def main() -> None:
    parser = options_of(__doc__)
    sizes = [10**4, 10**5, 10**6, 10**7]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help="events in the store (%(default)s)")
    parser.add_argument("--long-aggregate", type=int, default=10**6, help="events of one aggregate (%(default)s)")
    options = parser.parse_args()
    if options.sizes != sorted(options.sizes) or any(size % BATCH for size in options.sizes):
        parser.error(f"the sizes must be multiples of {BATCH:,}, in ascending order")
    with benchmark(options) as report:
        describe_server(report)
        growth = Growth(report, options.rounds)
        for size in options.sizes:
            fill(growth, size)
            measure(growth)
        for name in (EXISTING, NEW) if len(options.sizes) > 1 else ():
            times = growth.times[name]
            detail = f"times that at {options.sizes[0]:,}, with {options.sizes[-1]:,} events"
            report.row(f"growth: {name}", times, f"<= {TARGET}", times <= TARGET, detail)
        measure_maintenance(growth)
        measure_long_aggregate(growth, options.long_aggregate)


def describe_server(report: Report) -> None:
    names = ["fsync", "synchronous_commit", "full_page_writes", "wal_compression", "checkpoint_timeout", "max_wal_size"]
    settings = {name: run(f"SHOW {name}")[0][0] for name in names}
    if "off" in (settings["fsync"], settings["synchronous_commit"]):
        sys.exit("This server does not wait for its disk, so appends cannot be measured. Turn fsync on.")
    ((buffers,),) = run("SELECT setting::int / 128 FROM pg_settings WHERE name = 'shared_buffers'")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    said = ", ".join(f"{name} {value}" for name, value in settings.items())
    report.note("server: shared_buffers", buffers, f"MiB; the machine has {memory:.1f} GiB of memory; {said}")


def fill(growth: Growth, size: int) -> None:
    before, growth.size = growth.size, size
    taken = seconds(lambda: grow(before, size))
    growth.note("events a second while it grew", (size - before) / taken, f"in calls of {BATCH:,}, {taken:,.0f} s")
    taken = seconds(partial(run, "VACUUM events_event"))
    growth.note("vacuum after it grew", taken, f"s, for {size - before:,} events that autovacuum has not reached")
    tidy()
    note_bytes(growth)  # before further events are stored
    lengthen(aggregates_of_thousand(size), 5000)
    tidy()


def aggregates_of_thousand(size: int) -> list[str]:
    """Return the aggregates with 1,000 events each that are added at this size."""
    return [f"ledger-{size}-{n}" for n in range(5)]


def tidy() -> None:
    """Vacuum, analyze and checkpoint now, so that autovacuum and the checkpointer do not run during a measurement."""
    for statement in ("VACUUM ANALYZE events_event", "VACUUM ANALYZE events_aggregate", "CHECKPOINT"):
        run(statement)


def note_bytes(growth: Growth, prefix: str = "") -> None:
    ((events,),) = run("SELECT count(*) FROM events_event")
    for table in ("events_event", "events_aggregate"):
        ((size,),) = run("SELECT pg_table_size(%s::regclass)", [table])
        growth.note(
            f"{prefix}bytes of {table}", size / events, f"an event; {size / 2**20:,.1f} MiB of {events:,} events"
        )
        indexes = """
            SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index
            WHERE indrelid = %s::regclass ORDER BY 1
        """
        for index, size in run(indexes, [table]):
            growth.note(f"{prefix}bytes of {index}", size / events, f"an event; {size / 2**20:,.1f} MiB")


def measure(growth: Growth) -> None:
    random = Random(growth.size)
    measure_appends(growth, random)
    tidy()
    measure_log(growth, random)
    measure_pages(growth, random)
    tidy()
    measure_reads(growth, random)


def measure_appends(growth: Growth, random: Random) -> None:
    last = ""
    unused = iter(range(FIRST_UNUSED + growth.size, FIRST_UNUSED + 2 * growth.size))

    def existing() -> None:
        nonlocal last
        last = any_aggregate(growth.size, random)
        append(last)

    def hundred() -> None:
        append(*(any_aggregate(growth.size, random) for _ in range(10)), each=10)

    works = {EXISTING: existing, AGAIN: lambda: append(last), NEW: lambda: append(aggregate_id(next(unused)))}
    reference = bare_insert()
    updates_before, on_page_before = updates_of_aggregates()
    growth.compare(reference, works, APPENDS)
    growth.compare(reference, {HUNDRED: hundred}, BATCHES)
    updates, on_page = updates_of_aggregates()
    share = (on_page - on_page_before) / (updates - updates_before)
    growth.note("HOT updates", share, "of the updates of aggregates add no index entries")


def updates_of_aggregates() -> tuple[int, int]:
    """Return how many updates of aggregates there were, and how many of them were HOT updates."""
    run("SELECT pg_stat_force_next_flush()")
    ((updates, on_page),) = run(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'events_aggregate'"
    )
    return updates, on_page


def append(*aggregate_ids: str, each: int = 1) -> None:
    from events.store import EventStore

    EventStore().dispatch(*map(new_event, aggregate_ids * each))


def new_event(aggregate_id: str) -> Any:
    """Return an event like the events of `grow`: one in ten has a correlation id."""
    from events.types import NewEvent

    number = next(_appended)
    metadata = {"correlation_id": f"flow-{number}"} if number % 10 == 0 else {}
    return NewEvent(aggregate_id, "OrderRated", json.loads(EVENT_DATA), metadata=metadata)


_appended = count()


def measure_log(growth: Growth, random: Random) -> None:
    """Append to some aggregates right after a checkpoint, and again after their pages have been logged once."""
    aggregate_ids = [any_aggregate(growth.size, random) for _ in range(LOGGED)]
    run("CHECKPOINT")
    for name in ("log bytes, after a checkpoint", "log bytes, steady"):
        log, images = logged()
        for one in aggregate_ids:
            append(one)
        log_after, images_after = logged()
        detail = f"an append, with {(images_after - images) / LOGGED:.2f} images of pages"
        growth.note(name, (log_after - log) / LOGGED, detail)


def logged() -> tuple[int, int]:
    """Return the bytes and the full page images that the server has logged."""
    run("SELECT pg_stat_force_next_flush()")
    ((log, images),) = run("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, wal_fpi FROM pg_stat_wal")
    return int(log), images


def measure_pages(growth: Growth, random: Random) -> None:
    from django.db import transaction
    from uuid_utils.compat import uuid7

    explain = """
        EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)
        SELECT * FROM events_append(ARRAY[%s], ARRAY['OrderRated'], ARRAY[%s::jsonb], ARRAY['{}'::jsonb],
                                    ARRAY[NULL::timestamptz], ARRAY[%s::uuid])
    """
    kinds = dict.fromkeys(("Hit", "Read", "Dirtied"), 0)
    for _ in range(EXPLAINED):
        with transaction.atomic():
            ((plan,),) = run(explain, [any_aggregate(growth.size, random), EVENT_DATA, uuid7()])
            transaction.set_rollback(True)
        for kind in kinds:
            kinds[kind] += plan[0]["Plan"][f"Shared {kind} Blocks"]
    hit, read, dirtied = (count / EXPLAINED for count in kinds.values())
    growth.note("pages", hit + read, f"touched by an append; of these {read:.1f} read, {dirtied:.1f} dirtied")


def measure_reads(growth: Growth, random: Random) -> None:
    from events.store import EventStore

    store = EventStore()
    settled = store.settled_position()
    thousands = aggregates_of_thousand(growth.size)
    reference = bare_read()
    quick: dict[str, Callable[[], Any]] = {
        "settled position": store.settled_position,
        "history of 10": lambda: store.get_events_for_aggregate(any_aggregate(growth.size, random)),
    }
    growth.compare(reference, quick, QUICK_READS)
    slow: dict[str, Callable[[], Any]] = {
        "history of 1,000": lambda: store.get_events_for_aggregate(random.choice(thousands)),
        "page of 1,000": lambda: list(store.read_all(after=random.randrange(settled - 1000), limit=1000)),
    }
    growth.compare(reference, slow, READS)


def measure_long_aggregate(growth: Growth, events: int) -> None:
    from events.store import EventStore

    short, long = aggregates_of_thousand(growth.size)[0], "ledger-long"
    lengthen([long], events)
    tidy()
    names = {short: "of 1,000 events", long: f"of {events:,} events"}
    newest = partial(EventStore().get_events_for_aggregate, reverse=True, limit=100)
    growth.compare(bare_read(), {f"newest 100 {names[one]}": partial(newest, one) for one in names}, READS)
    growth.compare(bare_insert(), {f"append, {names[one]}": partial(append, one) for one in names}, APPENDS)


def measure_maintenance(growth: Growth) -> None:
    ((events, size),) = run("SELECT count(*), pg_table_size('events_event') FROM events_event")
    run("VACUUM (FREEZE) events_event")
    works = {
        "read as a dump does": "COPY events_event TO '/dev/null'",
        "vacuum, all frozen": "VACUUM (FREEZE) events_event",
        "rebuild all indexes": "REINDEX TABLE events_event",
    }
    for name, statement in works.items():
        growth.note(name, seconds(partial(run, statement)), f"s; {events:,} events, {size / 2**20:,.0f} MiB of table")
    run("REINDEX TABLE events_aggregate")
    note_bytes(growth, "rebuilt, ")


def bare_insert() -> Callable[[], None]:
    """Return a function that inserts a row like an event's into a new table."""
    run("DROP TABLE IF EXISTS bare_insert")
    run("CREATE TABLE bare_insert (LIKE events_event)")
    columns = "position, aggregate_id, version, event_id, type, data, metadata, timestamp, recorded_at"
    statement = f"INSERT INTO bare_insert ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s, now(), now())"
    values = [1, aggregate_id(1), 1, "0190163d-8694-739b-aea5-966c26f8ad91", "OrderRated", EVENT_DATA, "{}"]
    return lambda: bare(statement, values)


def bare_read() -> Callable[[], None]:
    """Return a function that reads 100 rows like events' from a table that has no others."""
    run("DROP TABLE IF EXISTS bare_read")
    run("CREATE TABLE bare_read AS SELECT * FROM events_event ORDER BY position LIMIT 100")
    run("VACUUM ANALYZE bare_read")
    return lambda: bare("SELECT * FROM bare_read", [])


def bare(statement: str, values: list[Any]) -> None:
    """Run a statement by psycopg on Django's connection."""
    import psycopg
    from django.db import connection

    cursor = psycopg.Cursor(connection.connection)
    cursor.execute(statement.encode(), values)
    if cursor.description:
        cursor.fetchall()


def run(statement: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


if __name__ == "__main__":
    main()
