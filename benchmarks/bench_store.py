"""Measure the store against PostgreSQL, Django and other event stores: `make bench`.

Each row is a ratio of medians: the store's events per second to the reference's, in the same rounds on the same server.
benchmarks/README.md explains the rows. It needs the same database server as the tests, creates its own database there,
and drops it.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import Report, benchmark, fill, options_of, seconds
from benchmarks.contest import Make, Turn, here, in_processes, medians
from benchmarks.peers import Peer, peers

STORE = "store"


class Against(NamedTuple):
    """A reference and the target of the ratio to it; None if the row has no target."""

    name: str
    turn: Turn
    target: float | None = None


class Bench:
    """Measures each row against its references."""

    def __init__(self, report: Report, options: argparse.Namespace, others: list[Peer]) -> None:
        self._report = report
        self._options = options
        self._others = others

    def compare(self, row: str, turn: Turn, *references: Against) -> None:
        turns: Mapping[str, Turn] = {STORE: turn, **{each.name: each.turn for each in references}}
        found = medians(self._options.rounds, turns)
        for each in references:
            ratio = found[STORE] / found[each.name]
            detail = f"{found[STORE]:,.0f} against {found[each.name]:,.0f} events/s"
            name = f"{row}: {each.name}"
            if each.target is None:
                self._report.note(name, ratio, detail)
            else:
                self._report.row(name, ratio, f">= {each.target}", ratio >= each.target, detail)

    def in_processes(self, processes: int, make: Make) -> Turn:
        return in_processes(processes, make, self._options.seconds)

    def here(self, work: Callable[[], int]) -> Turn:
        return here(work, self._options.seconds)

    def by_others(self, work: str, targets: Mapping[str, float], **parameters: Any) -> list[Against]:
        """Return the turns of the other event stores that can do `work`, with the target of each, if any."""

        def turn_of(peer: Peer) -> Turn:
            return lambda: peer.rate(work, seconds=self._options.seconds, **parameters)

        return [
            Against(peer.name, turn_of(peer), targets.get(peer.name)) for peer in self._others if work in peer.works
        ]

    def prepare_others(self, **parameters: Any) -> None:
        for peer in self._others:
            peer.rate("prepare", **parameters)

    def row(self, name: str, value: float, target: str, met: bool, detail: str) -> None:
        self._report.row(name, value, target, met, detail)


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="duration of each turn (%(default)s)")
    parser.add_argument("--events", type=int, default=200_000, help="events in the store that is read (%(default)s)")
    parser.add_argument(
        "--others", action="store_true", help="measure other event stores too, each in its own environment"
    )
    parser.add_argument(
        "--quick", action="store_true", help="run one short round as a smoke test; missed targets are no errors"
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.events = 1, 0.1, 10_000
    with ExitStack() as stack:
        report = stack.enter_context(benchmark(options))
        others = stack.enter_context(peers(os.environ["DATABASE_URL"])) if options.others else []
        bench = Bench(report, options, others)
        for measure in (appends, batches, rejections, imports, histories, whole_store, start_up):
            measure(bench, options)
        if options.quick:
            for row in report.rows:
                row["met"] = True


def appends(bench: Bench, options: argparse.Namespace) -> None:
    """Measure appends of one event per call."""
    from benchmarks import references

    _make_bare_table()
    for processes in (1, 4) if options.quick else (1, 4, 16, 48):
        wanted = {1: 0.75, 16: 0.65}.get(processes)
        faster = {1: 2.5, 16: 3.5}.get(processes)
        bench.compare(
            f"append, {processes} process{'es' * (processes > 1)}",
            bench.in_processes(processes, dispatching(1)),
            Against("bare INSERT", bench.in_processes(processes, references.insert), wanted),
            Against(
                "create() in atomic()",
                bench.in_processes(processes, references.create),
                1.3 if processes == 1 else None,
            ),
            *bench.by_others("append", {"eventsourcing": faster} if faster else {}, processes=processes, batch=1),
        )
    for processes in (1,) if options.quick else (1, 16):
        bench.compare(
            f"append function without Python, {processes} process{'es' * (processes > 1)}",
            bench.in_processes(processes, references.append_function),
            Against("bare INSERT", bench.in_processes(processes, references.insert)),
        )
    bare = Against("bare INSERT in a transaction", bench.in_processes(1, references.insert_in_transaction))
    bench.compare("append inside atomic()", bench.in_processes(1, dispatching_in_atomic), bare)
    bench.compare("append with a subscriber in the transaction", bench.in_processes(1, dispatching_subscribed), bare)


def batches(bench: Bench, options: argparse.Namespace) -> None:
    """Measure appends of many events per call."""
    from benchmarks import references

    for size in (10, 100, 1000):
        bench.compare(
            f"append batches of {size:,}",
            bench.in_processes(1, dispatching(size)),
            Against("executemany", bench.in_processes(1, references.insert_many(size)), 0.7 if size == 100 else None),
            Against("bulk_create()", bench.in_processes(1, references.bulk_create(size))),
            *bench.by_others("append", {"eventsourcing": 3.0} if size == 100 else {}, processes=1, batch=size),
        )
    bench.compare(
        "append to 10 aggregates in one call",
        bench.in_processes(1, dispatching(10, aggregates=10)),
        Against("executemany", bench.in_processes(1, references.insert_many(10))),
    )


def rejections(bench: Bench, options: argparse.Namespace) -> None:
    """Measure calls that store nothing."""
    from benchmarks import references

    bare = Against("bare INSERT", bench.in_processes(1, references.insert))
    bench.compare("version conflict", bench.in_processes(1, conflicting), bare)
    half = Against("bare INSERT", bench.in_processes(1, references.insert), 0.5)
    bench.compare("retry of a stored call", bench.in_processes(1, retrying), half)


def imports(bench: Bench, options: argparse.Namespace) -> None:
    """Measure the import of a file."""
    from django.core.management import call_command

    from benchmarks import references
    from events.store import EventStore
    from events.types import NewEvent

    number = options.events // 10
    runs = count()

    def import_file() -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "events.jsonl"
            _write_lines(path, number, next(runs))
            return number / seconds(lambda: call_command("import_events", str(path), stdout=StringIO()))

    def dispatch_all() -> float:
        run, store = next(runs), EventStore()
        events = [NewEvent(f"bulk-{run}-{n % 1000}", "Measured", references.DATA) for n in range(number)]
        parts = [events[start : start + 1000] for start in range(0, number, 1000)]
        return number / seconds(lambda: [store.dispatch(*part) for part in parts])

    def copy() -> float:
        now = "2026-01-01T00:00:00Z"
        source = references.rows(0, 1_000_000 + next(runs))
        lines = [(*next(source), now, now) for _ in range(number)]
        return number / seconds(lambda: references.copy(lines))

    limit = Against("COPY", copy, 0.25)
    bench.compare("import_events, from a file", import_file, limit)
    bench.compare("dispatch of 1,000 aggregates' events at once", dispatch_all, limit._replace(target=None))


def histories(bench: Bench, options: argparse.Namespace) -> None:
    """Measure reading the events of one aggregate as `Event` objects."""
    from benchmarks import references
    from events.store import EventStore
    from events.types import NewEvent

    store, session = EventStore(), references.connect()
    lengths = (10, 1000, 10_000 if options.quick else 100_000)
    for length in lengths:
        for start in range(0, length, 1000):
            size = min(1000, length - start)
            store.dispatch(*[NewEvent(f"history-{length}", "Measured", references.DATA) for _ in range(size)])
    bench.prepare_others(history=[1000], events=options.events)
    _vacuum()
    for length in lengths:
        aggregate_id = f"history-{length}"
        wanted = {1000: 0.6}.get(length)
        bench.compare(
            f"history of {length:,} events",
            bench.here(lambda aggregate_id=aggregate_id: len(store.get_events_for_aggregate(aggregate_id))),  # type: ignore[misc]
            Against(
                "tuples",
                bench.here(
                    lambda aggregate_id=aggregate_id: references.fetch(  # type: ignore[misc]
                        session, "aggregate_id = %s ORDER BY version", aggregate_id
                    )
                ),
                wanted,
            ),
            *(bench.by_others("history", {"eventsourcing": 1.2}, events=length) if length == 1000 else []),
        )


def whole_store(bench: Bench, options: argparse.Namespace) -> None:
    """Measure reading all events by position."""
    from benchmarks import references
    from events.store import EventStore

    store, session = EventStore(), references.connect()
    fill(options.events)
    _vacuum()
    bench.compare(
        "read_all",
        bench.here(lambda: sum(1 for _ in store.read_all())),
        Against("tuples", bench.here(lambda: references.fetch_pages(session, "true")), 0.6),
        *bench.by_others("read_all", {"eventsourcing": 1.2}),
    )
    bench.compare(
        "read_all of a type, one in a thousand",
        bench.here(lambda: sum(1 for _ in store.read_all(types=["Rare"]))),
        Against("tuples", bench.here(lambda: references.fetch_pages(session, "type = %s", "Rare"))),
    )


def start_up(bench: Bench, options: argparse.Namespace) -> None:
    """Measure the milliseconds that the apps add to `django.setup()`."""
    taken: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(3 * options.rounds):  # more rounds, because each is short and other load affects it
        for which, found in taken.items():
            script = _SETUP.format(apps="'events', 'projections'" if which == "with" else "")
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
            found.append(float(done.stdout) * 1000)
    without, both = (statistics.median(taken[which]) for which in ("without", "with"))
    detail = f"ms more: {both:.0f} with both apps, {without:.0f} without"
    bench.row("django.setup()", both - without, "<= 50", both - without <= 50, detail)


_SETUP = """
import time
begin = time.perf_counter()
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=['django.contrib.contenttypes', 'django.contrib.auth', {apps}],
                   DATABASES={{'default': {{'ENGINE': 'django.db.backends.postgresql', 'NAME': 'none'}}}})
django.setup()
print(time.perf_counter() - begin)
"""


def dispatching(size: int, aggregates: int = 1) -> Make:
    """Return a work that dispatches `size` events per call, to `aggregates` aggregates in turn."""

    def make(process: int, run: int) -> Callable[[], int]:
        from benchmarks.references import AGGREGATES_OF_A_PROCESS, DATA
        from events.store import EventStore
        from events.types import NewEvent

        store, calls = EventStore(), count()

        def work() -> int:
            home = next(calls)
            store.dispatch(
                *[
                    NewEvent(f"p{run}-{process}-{(home + n % aggregates) % AGGREGATES_OF_A_PROCESS}", "Measured", DATA)
                    for n in range(size)
                ]
            )
            return size

        return work

    return make


def dispatching_in_atomic(process: int, run: int) -> Callable[[], int]:
    from django.db import transaction

    dispatch = dispatching(1)(process, run)

    def work() -> int:
        with transaction.atomic():
            return dispatch()

    return work


def dispatching_subscribed(process: int, run: int) -> Callable[[], int]:
    from events.store import EventStore

    EventStore().subscribe("Measured", lambda event, **kwargs: None)
    return dispatching(1)(process, run)


def conflicting(process: int, run: int) -> Callable[[], int]:
    from benchmarks.references import DATA
    from events.exceptions import VersionConflict
    from events.store import EventStore
    from events.types import NewEvent

    store, home = EventStore(), f"conflict-{run}-{process}"
    store.dispatch(NewEvent(home, "Measured", DATA))

    def work() -> int:
        try:
            store.dispatch(NewEvent(home, "Measured", DATA), expected_version=0)
        except VersionConflict:
            return 1
        raise AssertionError("no conflict")

    return work


def retrying(process: int, run: int) -> Callable[[], int]:
    from benchmarks.references import DATA
    from events.store import EventStore
    from events.types import NewEvent

    store, event = EventStore(), NewEvent(f"retry-{run}-{process}", "Measured", DATA)
    store.dispatch(event)
    return lambda: len(store.dispatch(event))


def _make_bare_table() -> None:
    from django.db import connection

    from benchmarks.references import BARE_TABLE

    with connection.cursor() as cursor:
        cursor.execute(BARE_TABLE)


def _vacuum() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE events_event, events_aggregate")


def _write_lines(path: Path, number: int, run: int) -> None:
    import orjson

    from benchmarks.references import DATA

    with path.open("wb") as file:
        for n in range(number):
            file.write(
                orjson.dumps({"aggregate_id": f"file-{run}-{n % 1000}", "type": "Measured", "data": DATA}) + b"\n"
            )


if __name__ == "__main__":
    main()
