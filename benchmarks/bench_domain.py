"""Measure typed events, aggregates and snapshots: `make bench-domain`.

Each row is a ratio of medians that were measured in turns: how much longer the work takes than the same work without
the toolkit. It needs the same database server as the tests, creates its own database there, and drops it.
"""

import argparse
import gc
import os
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from itertools import count
from typing import Any

from benchmarks import domain_snapshots
from benchmarks.common import Report, benchmark, by_turns, options_of, seconds
from benchmarks.contest import Turn, in_processes, medians
from benchmarks.peers import peers

_numbers = count()
DATA = {"sku": "MUG-1", "quantity": 2, "price": "12.50", "customer": "customer-17", "note": "x" * 60}
COMMANDS_OF_A_WALLET = 10


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="duration of each turn of the wallets (%(default)s)")
    parser.add_argument("--events", type=int, default=20_000, help="events in the store that is read (%(default)s)")
    parser.add_argument("--others", action="store_true", help="measure the library eventsourcing too")
    parser.add_argument(
        "--quick", action="store_true", help="run one short round as a smoke test; missed targets are no errors"
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.events = 1, 0.1, 1000
    with ExitStack() as stack:
        report = stack.enter_context(benchmark(options))
        types()
        gc.collect()
        gc.freeze()  # as in other benchmarks: a full collection of what Django keeps would hit one turn or another
        for measure in (appends, reads, commands, wallets):
            measure(report, options)
        domain_snapshots.measure(report, options.rounds)
        if options.quick:
            for row in report.rows:
                row["met"] = True


def appends(report: Report, options: argparse.Namespace) -> None:
    """Measure appends of typed events against the same events as dictionaries."""
    from events.store import EventStore
    from events.types import NewEvent

    store, measured = EventStore(), types()["Measured"]
    payload = measured(**{**DATA, "price": Decimal(DATA["price"])})  # type: ignore[arg-type]

    def append(what: Callable[[str], NewEvent], events: int) -> Callable[[], float]:
        def turn() -> float:
            aggregate_id = f"append-{next(_numbers)}"
            return seconds(lambda: store.dispatch(*[what(aggregate_id) for _ in range(events)]))

        return turn

    for events, turns, target in ((1, 300, 1.05), (1000, 3, 1.2)):
        turns = min(turns, 20) if options.quick else turns
        typed, raw = by_turns(
            options.rounds,
            append(lambda aggregate_id: NewEvent(aggregate_id, payload), events),
            append(lambda aggregate_id: NewEvent(aggregate_id, "Raw", DATA), events),
            turns=turns,
        )
        _row(report, f"dispatch of {events} typed", typed, raw, target, turns)


def reads(report: Report, options: argparse.Namespace) -> None:
    """Measure `read_all` of events without a class, and of typed ones with every payload, against the former."""
    from django.db import connection

    from events.store import EventStore
    from events.testing import isolated_registry
    from events.types import NewEvent

    store = EventStore()
    with isolated_registry(empty=True):  # the older version is stored by code of that version
        for start in range(0, options.events, 1000):
            for name in ("Raw", "Measured", "Changed"):
                store.dispatch(*[NewEvent(f"read-{start}", name, DATA) for _ in range(1000)])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE events_event")

    def read(name: str, use: Callable[[Any], Any]) -> float:
        def work() -> None:
            found = [use(event) for event in store.read_all(types=[name], categories=["read"])]
            assert len(found) == options.events

        gc.collect()  # what the turn before has left is not part of this one
        return seconds(work)

    def without_types() -> float:
        with isolated_registry(empty=True):
            return read("Raw", lambda event: event.data)

    for name, read_one, target in (
        ("nothing to decode", lambda: read("Raw", lambda event: event.data), 1.03),
        ("every payload", lambda: read("Measured", lambda event: event.payload), 1.3),
        ("every payload upcast", lambda: read("Changed", lambda event: event.payload), 2.0),
    ):
        # In pairs: the memory that an upcast page leaves behind changes the times of the other two by some percent.
        nothing, value = by_turns(options.rounds, without_types, read_one, turns=2)
        _row(report, f"read_all, {name}", value, nothing, target, turns=2)


def commands(report: Report, options: argparse.Namespace) -> None:
    """Measure `handle` on an aggregate with ten events against one dispatch."""
    from events.domain import Repository
    from events.store import EventStore
    from events.types import NewEvent

    store, wallet = EventStore(), types()["Wallet"]
    wallets, turns = Repository(wallet), 20 if options.quick else 200

    def handle() -> float:
        number = next(_numbers)
        store.dispatch(*[NewEvent(f"wallet-{number}", types()["Deposited"](amount=Decimal(1))) for _ in range(10)])
        return seconds(lambda: wallets.handle(number, wallet.deposit, Decimal(1)))

    def dispatch() -> float:
        aggregate_id = f"wallet-{next(_numbers)}"
        store.dispatch(*[NewEvent(aggregate_id, "Raw", {"amount": "1"}) for _ in range(10)])
        event = NewEvent(aggregate_id, "Raw", {"amount": "1"})
        return seconds(lambda: store.dispatch(event, expected_version=10))

    handled, dispatched = by_turns(options.rounds, handle, dispatch, turns=turns)
    _row(report, "handle on 10 events", handled, dispatched, 2, turns)


def wallets(report: Report, options: argparse.Namespace) -> None:
    """Measure a wallet of ten commands, here and in the library `eventsourcing`, in commands per second."""
    found: dict[str, float] = {}
    with ExitStack() as stack:
        others = stack.enter_context(peers(os.environ["DATABASE_URL"], ["eventsourcing"])) if options.others else []
        for processes in (1,) if options.quick else (1, 16):
            turns: dict[str, Turn] = {"wallet": in_processes(processes, _wallets_of_a_process, options.seconds)}
            for peer in others:
                if "wallet" in peer.works:
                    turns[peer.name] = lambda peer=peer, processes=processes: peer.rate(  # type: ignore[misc]
                        "wallet", processes=processes, seconds=options.seconds
                    )
            found = medians(options.rounds, turns)
            for name, rate in found.items():
                detail = f"{found['wallet']:,.0f} against {rate:,.0f} commands/s"
                report.note(f"wallet, {processes} processes: {name}", found["wallet"] / rate, detail)


def _wallets_of_a_process(process: int, turn: int) -> Callable[[], int]:
    from events.domain import Repository

    wallet = types()["Wallet"]
    repository, number = Repository(wallet), count()

    def work() -> int:
        wallet_id = f"{process}.{turn}.{next(number)}"
        for _ in range(COMMANDS_OF_A_WALLET):
            repository.handle(wallet_id, wallet.deposit, Decimal("12.50"))
        return COMMANDS_OF_A_WALLET

    return work


def _row(report: Report, name: str, value: float, reference: float, target: float, turns: int = 1) -> None:
    detail = f"{value / turns * 1e6:,.0f} against {reference / turns * 1e6:,.0f} µs"
    report.row(name, value / reference, f"<= {target}", value / reference <= target, detail)


_types: dict[str, Any] = {}


def types() -> dict[str, Any]:
    """Return the classes that are measured; they are defined when Django is set up."""
    if _types:
        return _types
    from events.domain import Aggregate, DomainEvent, applies, creates, upcasts

    class Measured(DomainEvent):
        sku: str
        quantity: int
        price: Decimal
        customer: str
        note: str

    class Changed(DomainEvent, version=2):
        sku: str
        quantity: int
        price: Decimal
        customer: str
        remark: str

    @upcasts(Changed, to=2)
    def with_remark(data: dict[str, Any]) -> dict[str, Any]:
        data["remark"] = data.pop("note")
        return data

    class Deposited(DomainEvent):
        amount: Decimal

    class Wallet(Aggregate, category="wallet"):
        balance: Decimal = Decimal(0)

        @applies(Deposited)
        def was_deposited(self, event: Deposited) -> None:
            self.balance += event.amount

        @creates
        def deposit(self, amount: Decimal) -> None:
            self.record(Deposited(amount=amount))

    _types.update({each.__name__: each for each in (Measured, Changed, Deposited, Wallet)})
    return _types


if __name__ == "__main__":
    main()
