"""Measure from how many events a snapshot pays: `python -m benchmarks.domain_snapshots`.

It loads aggregates from all their events, and from a snapshot of them without later events, for a state of three fields
and for one of 200 lines. It needs the same database server as the tests, creates its own database there, and drops it.
"""

import itertools
import statistics
from decimal import Decimal
from typing import Any

from benchmarks.common import Report, benchmark, options_of, seconds

EVENTS = (1, 3, 10, 30, 100, 300, 1000)
# So many loads are one measurement.
LOADS = 20


def main() -> None:
    options = options_of(__doc__).parse_args()
    with benchmark(options) as report:
        measure(report, options.rounds)


def measure(report: Report, rounds: int) -> None:
    """Add, for each kind of state, how long loads take, and from how many events a snapshot is faster."""
    for name, aggregate_class, payload in _kinds():
        times = [_times(aggregate_class, payload, events, rounds) for events in EVENTS]
        for events, (fold, restored) in zip(EVENTS, times, strict=True):
            detail = f"of a load from {events} events: {restored * 1e6:.0f} instead of {fold * 1e6:.0f} µs"
            report.note(f"snapshot, {name}, {events} events", restored / fold, detail)
        report.note(f"snapshot, {name}: pays from", _crossing(times), "events, for a load")
        write = _write(aggregate_class, rounds)
        detail = f"events are applied in the time in which a snapshot of 1000 is taken and stored: {write * 1e6:.0f} µs"
        report.note(f"snapshot, {name}: the write", write / (times[-1][0] / EVENTS[-1]), detail)


def _crossing(times: list[tuple[float, float]]) -> float:
    """Return from how many events on a load from the snapshot is faster, by a straight line between measurements."""
    gains = [(events, fold - restored) for events, (fold, restored) in zip(EVENTS, times, strict=True)]
    for (fewer, loss), (more, gain) in itertools.pairwise(gains):
        if loss < 0 <= gain:
            return fewer + (more - fewer) * -loss / (gain - loss)
    return 0 if gains[0][1] >= 0 else float("inf")


def _times(aggregate_class: Any, payload: Any, events: int, rounds: int) -> tuple[float, float]:
    from django.db import connection

    from events.domain import Repository
    from events.store import EventStore
    from events.types import NewEvent

    plain, kept = Repository(aggregate_class), Repository(aggregate_class, snapshot_every=events)
    aggregate_id = plain.aggregate_id(events)
    EventStore().dispatch(*[NewEvent(aggregate_id, payload(number)) for number in range(events)])
    with kept.change(events):
        pass
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    taken: dict[Any, list[float]] = {plain: [], kept: []}
    for _ in range(rounds):
        for repository, each in taken.items():
            each.append(seconds(lambda repository=repository: [repository.get(events) for _ in range(LOADS)]) / LOADS)
    return statistics.median(taken[plain]), statistics.median(taken[kept])


def _write(aggregate_class: Any, rounds: int) -> float:
    from events.domain import Repository
    from events.domain.snapshots import keep, snapshots_of
    from events.store import EventStore

    snapshots = snapshots_of(aggregate_class)
    aggregate = Repository(aggregate_class).get(EVENTS[-1])
    (last,) = EventStore().get_events_for_aggregate(aggregate.aggregate_id, reverse=True, limit=1)

    def write() -> None:
        taken = snapshots.take(aggregate, last.event_id)
        assert taken
        keep(taken, "default")

    return statistics.median(seconds(write) for _ in range(4 * rounds))


def _kinds() -> list[tuple[str, Any, Any]]:
    from dataclasses import dataclass, field

    from events.domain import Aggregate, DomainEvent, applies

    class LineAdded(DomainEvent):
        sku: str
        quantity: int
        price: Decimal

    @dataclass(frozen=True)
    class Line:
        sku: str
        quantity: int
        price: Decimal

    class Wallet(Aggregate, category="wallet"):
        balance: Decimal = Decimal(0)
        count: int = 0
        last: str = ""

        @applies(LineAdded)
        def was_added(self, event: LineAdded) -> None:
            self.balance += event.price
            self.count += event.quantity
            self.last = event.sku

    class Cart(Aggregate, category="cart"):
        lines: dict[str, Line] = field(default_factory=dict)

        @applies(LineAdded)
        def was_added(self, event: LineAdded) -> None:
            self.lines[event.sku] = Line(event.sku, event.quantity, event.price)

    def payload(number: int) -> LineAdded:
        return LineAdded(sku=f"MUG-{number % 200}", quantity=2, price=Decimal("12.50"))

    return [("state of 3 fields", Wallet, payload), ("state of 200 lines", Cart, payload)]


if __name__ == "__main__":
    main()
